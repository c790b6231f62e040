"""What is kept, and for how long: events come back as they were, erased orders are still known, tables fit the code."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st

from core.outbox.stores import Opening, processing, work_off
from core.toy import lost_order, toy_order
from core.toy_server import ToyServer
from tillpost import OrderError
from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied, ErrorRecord, Outcome, Transcript
from tillpost.models.order import Customer, Draft, PosOrder, PosState, Progress
from tillpost.outbox import DatabaseError, OrderState, Outbox, Processor
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.migrate import HEAD, VERSION_TABLE, VERSIONS, migrate
from tillpost.outbox.orders.models import event_of, event_row
from tillpost.outbox.worker.retention import erase, prune
from tillpost.submission.journal import (
    Cancelled,
    DoubtResolved,
    Event,
    Failed,
    Imported,
    Intended,
    KeyRetired,
    LookedUp,
    Settled,
    SubmissionRequested,
    Submitted,
)

# ---------------------------------------------------------------------- events

texts, times = st.text(max_size=30), st.floats(0, 4e9)
ids = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=20)
pos_orders = st.builds(
    PosOrder,
    id=ids,
    reference=texts,
    state=st.sampled_from(PosState),
    progress=st.sampled_from(Progress),
    status=texts,
    total=st.none() | st.integers(-(2**53), 2**53),
    notices=st.lists(texts, max_size=3).map(tuple),
)
drafts = st.builds(Draft, id=ids, total=st.integers(0, 2**53), version=st.integers(0, 100))
errors = st.builds(
    ErrorRecord,
    kind=st.sampled_from(["MenuError", "OutageError", "PermissionsError"]),
    detail=texts,
    lines=st.lists(st.integers(0, 99), max_size=3).map(tuple),
    applied=st.sampled_from(Applied),
    outcome=st.sampled_from(Outcome),
    retry_after=st.none() | st.floats(0, 1e6),
    pos_order=st.none() | pos_orders,
    exchange=st.none(),
)
effects, yes_no, keys = st.sampled_from(Effect), st.booleans(), st.none() | texts
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(SubmissionRequested, times, texts, yes_no),
    st.builds(Intended, times, effects, st.integers(0, 99), keys, texts),
    st.builds(Settled, times, st.sampled_from(Applied)),
    st.builds(LookedUp, times, st.none() | pos_orders | drafts),
    st.builds(Imported, times, yes_no, yes_no, yes_no),
    st.builds(Failed, times, errors, st.integers(1, 9), times),
    st.builds(DoubtResolved, times),
    st.builds(KeyRetired, times),
    st.builds(Submitted, times, pos_orders),
    st.builds(Cancelled, times, pos_orders),
)


@pytest.fixture
def url(new_url: str) -> str:
    """Return the address of a database without tables: they are made, and migrated, here."""
    return new_url


@given(events)
def test_every_event_comes_back_from_the_store_as_it_was(event: Event) -> None:
    kind, body = event_row(event)
    assert "\0" not in body
    assert event_of(kind, body) == event


def test_the_journal_of_a_healed_order_tells_its_story_with_what_went_out_and_came_back(
    outbox: Outbox, server: ToyServer
) -> None:
    server.items[0].sku, server.items[0].id = "S1", "i2"
    outbox.add(toy_order(), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    told = [type(event).__name__ for event in outbox.journal("ord-1")]
    assert told == [
        "SubmissionRequested",
        "Intended",
        "Settled",
        "Failed",
        "Imported",
        "Intended",
        "Settled",
        "Submitted",
    ]
    with outbox.database.reading() as db:
        rows = db.execute(
            sa.select(t.events.c.kind, t.events.c.exchange).order_by(t.events.c.number)
        ).all()
    sent = [Transcript.model_validate_json(row.exchange) for row in rows if row.exchange]
    assert [row.kind for row in rows if row.exchange] == ["Settled", "Settled"]
    assert "toy-access-token" not in str(sent)


# ---------------------------------------------------------------------- erasing

DAY = 86_400


def age(outbox: Outbox, order_id: str, days: float) -> None:
    with outbox.database.writing() as db:
        added = time.time() - days * DAY
        db.execute(sa.update(t.orders).where(t.orders.c.id == order_id).values(added_at=added))


def test_customers_are_erased_from_what_is_done_and_old_and_such_an_order_is_still_known(
    outbox: Outbox, server: ToyServer
) -> None:
    mia = Customer(name="Mia Chen", phone="0400", email="mia@example.com")
    orders = {
        name: toy_order(name).model_copy(update={"customer": mia})
        for name in ("old", "young", "late")
    }
    failed = lost_order("failed").model_copy(update={"customer": mia})
    for order in (orders["old"], orders["young"], failed):
        outbox.add(order, connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    outbox.add(orders["late"], connection="cafe")
    for name in ("old", "failed", "late"):
        age(outbox, name, 31)

    assert erase(outbox, 30) == 1
    assert erase(outbox, 30) == 0
    stood = {stored.id: stored for stored in outbox.orders()}
    assert {name for name, stored in stood.items() if stored.order is None} == {"old"}
    assert (stood["old"].customer, stood["old"].code, stood["old"].state) == (
        "",
        "",
        OrderState.RECEIVED,
    )
    assert outbox.add(orders["old"], connection="cafe") == stood["old"]
    with pytest.raises(OrderError):
        outbox.add(toy_order("old", quantity=2), connection="cafe")
    with outbox.database.reading() as db:
        row = dict(db.execute(sa.select(t.orders).where(t.orders.c.id == "old")).mappings().one())
        journal = [
            tuple(event)
            for event in db.execute(sa.select(t.events).where(t.events.c.order_id == "old"))
        ]
    assert "Mia" not in str(row)
    assert "mia@example.com" not in str(journal)


def test_journals_are_pruned_of_what_is_done_and_old(outbox: Outbox, server: ToyServer) -> None:
    for order in (toy_order("old"), toy_order("young"), lost_order("failed")):
        outbox.add(order, connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    age(outbox, "old", 31)
    age(outbox, "failed", 31)
    before = len(outbox.journal("old"))
    assert before
    assert prune(outbox, 30) == before
    assert [bool(outbox.journal(name)) for name in ("old", "young", "failed")] == [
        False,
        True,
        True,
    ]
    assert outbox.get("old")


# ---------------------------------------------------------------------- tables


def test_the_tables_that_the_steps_make_are_those_that_the_code_describes(outbox: Outbox) -> None:
    outbox.prepare()
    with outbox.database.reading() as db:
        context = MigrationContext.configure(db, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, t.metadata) == []


def test_the_tables_that_the_steps_make_have_the_very_defaults_and_indexes_that_the_code_describes(
    outbox: Outbox,
) -> None:
    """Alembic's comparison doesn't see for which rows an index is."""
    outbox.prepare()
    with outbox.database.reading() as db:
        made = described(db)
    with outbox.database.writing() as db:
        for table in reversed(t.metadata.sorted_tables):
            table.drop(db)
        t.metadata.create_all(db)
    with outbox.database.reading() as db:
        assert described(db) == made


DESCRIBED = {
    "sqlite": """
        SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name LIKE 'tillpost%'
        UNION ALL SELECT m.name || ' ' || c.name || ' ' || c.type || c."notnull" || ifnull(c.dflt_value, '') || c.pk
        FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name LIKE 'tillpost%'
    """,
    "postgresql": """
        SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'tillpost%'
        UNION ALL SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_name LIKE 'tillpost%'
    """,
}


def described(db: sa.Connection) -> set[str]:
    return {str(row[0]) for row in db.execute(sa.text(DESCRIBED[db.dialect.name]))}


def test_the_version_that_the_code_wants_is_the_last_step() -> None:
    config = Config()
    config.set_main_option("script_location", "tillpost.outbox.db:migrations")
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == HEAD
    assert {step.revision for step in script.walk_revisions()} == set(VERSIONS)


def set_version(outbox: Outbox, version: str) -> None:
    outbox.prepare()
    with outbox.database.writing() as db:
        db.execute(
            sa.text(f"UPDATE {VERSION_TABLE} SET version_num = :version"), {"version": version}
        )


def test_a_store_of_a_newer_version_is_left_alone_with_one_line(
    open_outbox: Opening, server: ToyServer
) -> None:
    before = open_outbox()
    before.add(toy_order(), connection="cafe")
    set_version(before, "9999")
    said = (
        f"the store is of a newer version (9999) than this Tillpost knows ({HEAD}): update Tillpost"
    )
    uses: list[Callable[[Outbox], object]] = [
        lambda outbox: outbox.add(toy_order("ord-2"), connection="cafe"),
        lambda outbox: outbox.get("ord-1"),
        lambda outbox: outbox.orders(),
        lambda outbox: outbox.resume("cafe"),
        lambda outbox: Processor(outbox).__enter__(),
    ]
    for use in uses:
        with pytest.raises(DatabaseError) as refused:
            use(open_outbox())
        assert str(refused.value) == said
    newer = open_outbox()
    with pytest.raises(DatabaseError, match="newer version"), newer.database.writing() as db:
        migrate(db, newer.engine)
    set_version(before, HEAD)
    assert [stored.id for stored in open_outbox().orders()] == ["ord-1"]


def test_a_store_of_an_older_version_says_which_command_brings_it_up(
    open_outbox: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_version(open_outbox(), "0001")
    monkeypatch.setattr("tillpost.outbox.db.migrate.VERSIONS", ("0001", "0002"))
    monkeypatch.setattr("tillpost.outbox.db.migrate.HEAD", "0002")
    with pytest.raises(
        DatabaseError,
        match=r"^the store is of an older version \(0001\): run `tillpost outbox migrate`$",
    ):
        open_outbox().orders()


def test_the_store_lives_beside_an_embedders_own_migrations(outbox: Outbox) -> None:
    with outbox.database.writing() as db:
        db.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        db.execute(sa.text("INSERT INTO alembic_version VALUES ('theirs')"))
    outbox.add(toy_order(), connection="cafe")
    with outbox.database.reading() as db:
        assert db.scalar(sa.text("SELECT version_num FROM alembic_version")) == "theirs"
        assert all(
            name.startswith(("tillpost_", "alembic_version"))
            for name in sa.inspect(db).get_table_names()
        )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://x", "the store is SQLite or PostgreSQL, not mysql"),
        (
            "orders.db",
            "not a database URL that is known: it has no scheme, as in sqlite:///orders.db",
        ),
        ("sqlite://", "a store in memory loses its orders: name a file, as in sqlite:///orders.db"),
    ],
)
def test_a_url_that_cant_be_a_store_is_refused_in_one_line(url: str, said: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        Outbox(url)
    assert str(refused.value) == said
