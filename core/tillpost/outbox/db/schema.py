"""The outbox's tables, as SQLAlchemy Core describes them.

All queries are written against these; the steps in `migrations` create them. All names begin with
`tillpost_`, so that the tables can live in an embedder's own database. Times (`..._at`) are epoch
seconds. JSON is stored as text, since it is always read and written whole.
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
    Table,
    false,
    text,
)

from tillpost.outbox.db.text import String, Text

__all__ = [
    "audit_log",
    "connections",
    "credentials",
    "events",
    "menu_imports",
    "metadata",
    "orders",
    "webhooks",
    "workers",
]

metadata = MetaData()

_NAME = String(200)
_COUNTER = BigInteger().with_variant(Integer, "sqlite")


def _partial_index(name: str, *columns: str, where: str) -> Index:
    condition = text(where)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


orders = Table(
    "tillpost_orders",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("connection", _NAME, nullable=False),
    # The order as JSON; NULL once it was erased.
    Column("content", Text),
    # Of the content; it stays when that is erased.
    Column("digest", String(64), nullable=False),
    Column("code", Text, nullable=False),
    # The customer's name, for searching; empty once it was erased.
    Column("customer", Text, nullable=False),
    Column("added_at", Double, nullable=False),
    # When it may first be processed: a scheduled order waits.
    Column("eligible_at", Double, nullable=False),
    # When the customer wants it; NULL: as soon as possible.
    Column("wanted_at", Double),
    # Nobody had sent it before it was added.
    Column("is_new", Boolean, nullable=False),
    # An OrderState.
    Column("state", String(20), nullable=False),
    # A Progress, as the customer sees it.
    Column("progress", String(20), nullable=False),
    # When it is next processed; NULL: it isn't, unless a person acts.
    Column("due_at", Double),
    # A WaitsFor.
    Column("waits_for", String(20), nullable=False),
    # When its flow wanted to continue, on the flow's own clock.
    Column("suspended_until", Double, nullable=False),
    # The next attempt begins a new submission, with a fresh retry budget.
    Column("new_request", Boolean, nullable=False),
    # The worker that has claimed it; NULL: none has.
    Column("worker", String(36)),
    # Rises with every claim, so that an earlier holder can't overwrite a later one.
    Column("fencing_token", Integer, nullable=False),
    # How many workers in a row died with it claimed.
    Column("crash_count", Integer, nullable=False),
    # An ErrorRecord as JSON.
    Column("error", Text),
    # A PosOrder as JSON.
    Column("pos_order", Text),
    Column("updated_at", Double, nullable=False),
    # Since when a person has to act; NULL: nobody has to.
    Column("problem_at", Double),
    # When the problem is next escalated.
    Column("escalate_at", Double),
    Column("escalations", Integer, nullable=False, server_default="0"),
    # The platform's id of it, by which webhooks name it.
    Column("pos_id", _NAME),
    # When the platform was first known to have it.
    Column("received_at", Double),
    # When its status is next polled; NULL: it isn't.
    Column("poll_at", Double),
    # When the register should have shown that it has it; NULL: it has, or that was reported.
    Column("expected_at", Double),
    # When the register or its staff first showed that they have it.
    Column("confirmed_at", Double),
    # When it was reported that the register shows no sign of it.
    Column("unseen_reported_at", Double),
    # The attention ticket at the platform, a PosOrder as JSON.
    Column("ticket", Text),
    # What the platform reported of it last while a worker had claimed it: a Report as JSON.
    Column("reported", Text),
    _partial_index(
        "tillpost_orders_due",
        "connection",
        "due_at",
        "added_at",
        where="worker IS NULL AND due_at IS NOT NULL",
    ),
    _partial_index("tillpost_orders_claimed", "connection", "worker", where="worker IS NOT NULL"),
    # The number is `claims.ISOLATE_AFTER`.
    _partial_index(
        "tillpost_orders_isolated",
        "due_at",
        where="worker IS NULL AND due_at IS NOT NULL AND crash_count >= 2",
    ),
    _partial_index("tillpost_orders_problem", "problem_at", where="problem_at IS NOT NULL"),
    _partial_index("tillpost_orders_poll", "poll_at", where="poll_at IS NOT NULL"),
    _partial_index("tillpost_orders_escalate", "escalate_at", where="escalate_at IS NOT NULL"),
    _partial_index("tillpost_orders_expected", "expected_at", where="expected_at IS NOT NULL"),
    Index("tillpost_orders_added", "added_at"),
    _partial_index("tillpost_orders_pos_id", "pos_id", "connection", where="pos_id IS NOT NULL"),
    Index("tillpost_orders_state", "state", "added_at"),
)
"""One row for each order: its state, and when it is next processed."""

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
    # The name of the event's class in `submission.journal`; see `models.event_row`.
    Column("kind", String(40), nullable=False),
    # The event as JSON.
    Column("body", Text, nullable=False),
    # What was sent and received, redacted: a Transcript as JSON.
    Column("exchange", Text),
    sqlite_with_rowid=False,
)
"""The orders' journals."""

workers = Table(
    "tillpost_workers",
    metadata,
    Column("id", String(36), primary_key=True),
    # The heartbeat counter: it rises while the worker is alive.
    Column("beat", Integer, nullable=False),
    # For how many seconds it may be silent before another worker takes it for dead.
    Column("lease", Double, nullable=False),
    # Host and process, for people.
    Column("description", Text, nullable=False),
    Column("started_at", Double, nullable=False),
)
"""The workers that may claim orders."""

connections = Table(
    "tillpost_connections",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("platform", String(100), nullable=False),
    # A WaitsFor; empty: it isn't paused.
    Column("paused", String(20), nullable=False),
    # A fingerprint of the credentials that the platform refused.
    Column("refused_credentials", String(64), nullable=False),
    Column("paused_at", Double),
    # When an order or a check next finds out whether the platform grants access again.
    Column("pause_probe_at", Double),
    # The circuit breaker: how many orders in a row failed by an outage, and how, as JSON.
    Column("failures", Integer, nullable=False),
    Column("evidence", Text, nullable=False),
    # Since when the circuit is open; NULL: it is closed.
    Column("opened_at", Double),
    # When one order may probe whether the outage is over, and how many have.
    Column("probe_at", Double, nullable=False),
    Column("probes", Integer, nullable=False),
    # A Whose: who is at fault for the outage.
    Column("outage_cause", String(20), nullable=False),
    # How many orders may be claimed at once after an outage; 0: as many as ever.
    Column("recovery_limit", Integer, nullable=False),
    # Until when the platform accepts no more requests.
    Column("not_before", Double, nullable=False),
    # When a connection to the platform last failed, and when it last answered anything.
    Column("unreachable_at", Double, nullable=False),
    Column("reached_at", Double, nullable=False),
    # The menu in force, as JSON.
    Column("menu", Text),
    # When that was imported, or an import was put under review.
    Column("menu_at", Double, nullable=False),
    # A menu that a person must accept or discard, as JSON.
    Column("menu_in_review", Text),
    # The worker that is importing the menu.
    Column("importer", String(36)),
    Column("import_failed_at", Double, nullable=False),
    Column("import_failure", Text),
    # When the daily import is next due.
    Column("sync_at", Double),
    # When an import is due because the platform reported a change; NULL: it reported none.
    Column("import_at", Double),
    # What the last check of the store found, as JSON.
    Column("readiness", Text),
    # When it is next checked; 0: as soon as possible.
    Column("check_at", Double, nullable=False, server_default="0"),
    # The availability that was last reported to plugins; NULL: none was.
    Column("takes_orders", Boolean),
    Column("takes_orders_since", Double),
    # The conditions are spelt out in the queries, so that the planner sees that an index fits.
    _partial_index("tillpost_connections_check", "check_at", where="paused = ''"),
    _partial_index("tillpost_connections_paused", "pause_probe_at", where="paused <> ''"),
    _partial_index("tillpost_connections_sync", "sync_at", where="sync_at IS NOT NULL"),
    _partial_index("tillpost_connections_import", "import_at", where="import_at IS NOT NULL"),
)
"""One row for each connection that a worker has used.

`connection_rows` reads and writes it.
"""

menu_imports = Table(
    "tillpost_menu_imports",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("connection", _NAME, nullable=False),
    Column("imported_at", Double, nullable=False),
    # A MenuChanges as JSON.
    Column("changes", Text, nullable=False),
    # It would have removed so much that a person had to review it.
    Column("needed_review", Boolean, nullable=False, server_default=false()),
    # "accepted", "discarded" or "superseded"; empty: not reviewed.
    Column("review_result", String(20), nullable=False, server_default=""),
    Index("tillpost_menu_imports_connection", "connection", "imported_at"),
)
"""What each menu import changed."""

webhooks = Table(
    "tillpost_webhooks",
    metadata,
    Column("connection", _NAME, primary_key=True),
    Column("event_id", String(200), primary_key=True),
    Column("received_at", Double, nullable=False),
)
"""The webhook events that were received, so that each has its effect once."""

credentials = Table(
    "tillpost_credentials",
    metadata,
    Column("connection", _NAME, primary_key=True),
    Column("platform", String(100), nullable=False),
    # The adapter's settings that aren't secret, as JSON.
    Column("settings", Text, nullable=False),
    # Its secrets, encrypted; empty: there are none.
    Column("encrypted_secrets", Text, nullable=False),
    # Of the key that they were encrypted with.
    Column("key_fingerprint", String(64), nullable=False),
    # The person or account at the platform that connected the store.
    Column("granted_by", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("expires_at", Double),
    Column("connected_at", Double, nullable=False),
    # Rises with every change.
    Column("version", Integer, nullable=False),
    # Of the tokens in the TOML file that these were refreshed from: they are used while the file
    # has the same. Empty: a person connected the store here.
    Column("file_tokens_fingerprint", String(64), nullable=False),
    # The worker that is refreshing the token.
    Column("refresher", String(36)),
)
"""The connections that were made here, and the tokens of all, encrypted."""

audit_log = Table(
    "tillpost_audit_log",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("done_at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(40), nullable=False),
    Column("connection", _NAME, nullable=False),
    # NULL: it was done to the connection.
    Column("order_id", String(40)),
    Column("note", Text, nullable=False),
    Index("tillpost_audit_log_order", "order_id", "done_at"),
)
"""What people did, and when."""
