"""The outbox's tables, as SQLAlchemy Core describes them. Queries are written against these; `migrations` makes them.

All names begin with `tillpost_`, so that the tables can live in an embedder's own database. Times
are epoch seconds, JSON is text (it is read and written whole), and amounts occur only inside of it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

__all__ = [
    "acts",
    "connections",
    "credentials",
    "events",
    "imports",
    "metadata",
    "orders",
    "webhooks",
    "workers",
]

metadata = MetaData()

_NAME = String(200)
_COUNTER = BigInteger().with_variant(Integer, "sqlite")

orders = Table(
    "tillpost_orders",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("connection", _NAME, nullable=False),
    Column("content", Text),  # the order as JSON; None once it was erased
    Column("digest", String(64), nullable=False),  # of the content, and kept when that is erased
    Column("code", Text, nullable=False),
    Column(
        "customer", Text, nullable=False
    ),  # the customer's name, for searching; empty once it was erased
    Column("added_at", Double, nullable=False),
    Column(
        "begin_at", Double, nullable=False
    ),  # when it first falls due: a scheduled order goes later
    Column("is_new", Boolean, nullable=False),  # nobody sent it before it was added
    Column("state", String(20), nullable=False),  # an OrderState
    Column("progress", String(20), nullable=False),
    Column("due_at", Double),  # when something is to be done for it by itself; None: nothing is
    Column("waits_for", String(20), nullable=False),  # a Wait
    Column(
        "resume_at", Double, nullable=False
    ),  # up to when its flow wanted to rest, on the flow's own clock
    Column("to_ask", Boolean, nullable=False),  # its flow asks anew, with a fresh budget
    Column("worker", String(36)),  # who has it in hand; None: nobody
    Column(
        "fence", Integer, nullable=False
    ),  # rises with every claim: an old holder can't write over a new one
    Column(
        "crash_count", Integer, nullable=False
    ),  # how many workers in a row died with it in hand
    Column("error", Text),  # an ErrorRecord as JSON
    Column("pos_order", Text),  # a PosOrder as JSON
    Column("updated_at", Double, nullable=False),
    Column("problem_at", Double),  # since when a person has to act; None: nobody has to
    Column("escalate_at", Double),  # when that is next told to somebody else
    Column("escalations", Integer, nullable=False, server_default="0"),
    Column("pos_id", _NAME),  # the platform's id of it, by which webhooks name it
    Column("received_at", Double),  # when the platform was first known to have it
    Column("watch_at", Double),  # when the platform is next asked how it stands; None: it isn't
    Column(
        "expect_at", Double
    ),  # by when the register should have shown that it has it; None: that is settled or told
    Column("proved_at", Double),  # when the register or its staff first showed that they have it
    Column("unseen_at", Double),  # when it was told that they hadn't
    Column("ticket", Text),  # the attention ticket at the platform, a PosOrder as JSON
    Index(
        "tillpost_orders_due",
        "connection",
        "due_at",
        "added_at",
        sqlite_where=text("worker IS NULL AND due_at IS NOT NULL"),
        postgresql_where=text("worker IS NULL AND due_at IS NOT NULL"),
    ),
    Index(
        "tillpost_orders_held",
        "connection",
        "worker",
        sqlite_where=text("worker IS NOT NULL"),
        postgresql_where=text("worker IS NOT NULL"),
    ),
    Index(
        "tillpost_orders_deadly",
        "due_at",
        sqlite_where=text("worker IS NULL AND due_at IS NOT NULL AND crash_count >= 2"),
        postgresql_where=text("worker IS NULL AND due_at IS NOT NULL AND crash_count >= 2"),
    ),
    Index(
        "tillpost_orders_problem",
        "problem_at",
        sqlite_where=text("problem_at IS NOT NULL"),
        postgresql_where=text("problem_at IS NOT NULL"),
    ),
    Index(
        "tillpost_orders_watched",
        "watch_at",
        sqlite_where=text("watch_at IS NOT NULL"),
        postgresql_where=text("watch_at IS NOT NULL"),
    ),
    Index(
        "tillpost_orders_escalated",
        "escalate_at",
        sqlite_where=text("escalate_at IS NOT NULL"),
        postgresql_where=text("escalate_at IS NOT NULL"),
    ),
    Index(
        "tillpost_orders_expected",
        "expect_at",
        sqlite_where=text("expect_at IS NOT NULL"),
        postgresql_where=text("expect_at IS NOT NULL"),
    ),
    Index("tillpost_orders_added", "added_at"),
    Index(
        "tillpost_orders_pos_id",
        "pos_id",
        "connection",
        sqlite_where=text("pos_id IS NOT NULL"),
        postgresql_where=text("pos_id IS NOT NULL"),
    ),
    Index("tillpost_orders_state", "state", "added_at"),
)
"""One row an order: where it stands, and when something is to be done for it."""

events = Table(
    "tillpost_events",
    metadata,
    Column(
        "order_id",
        String(40),
        ForeignKey("tillpost_orders.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),  # the name of one of the journal's events
    Column("body", Text, nullable=False),
    Column("exchange", Text),  # what went out and came back, redacted: a Transcript as JSON
    sqlite_with_rowid=False,
)
"""The orders' journals."""

workers = Table(
    "tillpost_workers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("beat", Integer, nullable=False),  # rises while the worker lives
    Column("about", Text, nullable=False),  # host and process, for people
    Column("started_at", Double, nullable=False),
)
"""Who may have orders in hand. A worker whose `beat` stands still is dead, and its row is taken away."""

connections = Table(
    "tillpost_connections",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("platform", String(100), nullable=False),
    Column("paused", String(20), nullable=False),  # a Wait, empty when it isn't paused
    Column(
        "paused_with", String(64), nullable=False
    ),  # a fingerprint of the credentials that were refused
    Column("paused_at", Double),
    # The circuit: closed while `opened_at` is None. `failures` in a row, told in `evidence`.
    Column("failures", Integer, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("opened_at", Double),
    Column("probe_at", Double, nullable=False),  # when one order may try whether the outage is over
    Column("probes", Integer, nullable=False),
    Column("whose", String(20), nullable=False),  # whose the outage is, a Whose
    Column(
        "ramp", Integer, nullable=False
    ),  # how many may be in hand at once after an outage; 0: no bound
    Column("not_before", Double, nullable=False),  # up to when the platform takes no more requests
    Column("unreached_at", Double, nullable=False),  # when it last couldn't be connected to
    Column("reached_at", Double, nullable=False),  # when it last answered anything
    # The menu.
    Column("menu", Text),
    Column("menu_at", Double, nullable=False),  # when it was imported, or an import was held
    Column("held", Text),  # a menu that waits for a person
    Column("importer", String(36)),  # the worker that is importing now
    Column("import_failed_at", Double, nullable=False),
    Column("import_failure", Text),
    Column("sync_at", Double),  # when the daily import is next due
    Column(
        "import_at", Double
    ),  # when one is due because the platform told of a change; None: it told of none
    # Whether it takes orders now, as it was last seen.
    Column("readiness", Text),  # what the last check saw, a Seen as JSON
    Column(
        "check_at", Double, nullable=False, server_default="0"
    ),  # when it is next asked; 0: nobody has said yet
    Column("takes_orders", Boolean),  # as it was last told; None: it never was
    Column("takes_since", Double),
)
"""One row a connection that a worker has met: may its orders go, with which menu, and does it take more?"""

imports = Table(
    "tillpost_imports",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("connection", _NAME, nullable=False),
    Column("at", Double, nullable=False),
    Column("changes", Text, nullable=False),  # a MenuChanges as JSON
    Column("held", Boolean, nullable=False, server_default=false()),
    Column(
        "settled", String(20), nullable=False, server_default=""
    ),  # what a person made of a held one
    Index("tillpost_imports_connection", "connection", "at"),
)
"""What each menu import changed."""

webhooks = Table(
    "tillpost_webhooks",
    metadata,
    Column("connection", _NAME, primary_key=True),
    Column("event_id", String(200), primary_key=True),
    Column("at", Double, nullable=False),
)
"""Which webhooks have come in."""

credentials = Table(
    "tillpost_credentials",
    metadata,
    Column("connection", _NAME, primary_key=True),
    Column("platform", String(100), nullable=False),
    Column("settings", Text, nullable=False),  # the adapter's settings that are no secrets, as JSON
    Column("sealed", Text, nullable=False),  # its secrets, sealed with the key
    Column("sealed_with", String(64), nullable=False),  # a mark of that key
    Column(
        "granted_by", Text, nullable=False
    ),  # the person or account at the provider that connected the store
    Column("scopes", Text, nullable=False),
    Column("expires_at", Double),
    Column("connected_at", Double, nullable=False),
    Column("version", Integer, nullable=False),  # rises whenever the row is written
    Column(
        "follows", String(64), nullable=False
    ),  # of the TOML file's tokens, a fingerprint: these
    # were renewed from them, and count for as long as the file has the same; empty: a person
    # connected the store here
    Column("refresher", String(36)),  # the worker that is renewing the token now
)
"""The connections that were made here, and the tokens of all, sealed."""

acts = Table(
    "tillpost_acts",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(40), nullable=False),
    Column("connection", _NAME, nullable=False),
    Column("order_id", String(40)),  # None: it was done to the connection
    Column("note", Text, nullable=False),
    Index("tillpost_acts_order", "order_id", "at"),
)
"""Who did what, and when."""
