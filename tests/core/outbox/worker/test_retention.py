"""What is stored and for how long: events, erased and pruned orders, tables of each version."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.outbox.stores import processing, work_off
from core.toy import lost_order, toy_order
from core.toy_server import ToyServer
from tillpost import OrderError
from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied, ErrorRecord, Outcome, Transcript
from tillpost.models.order import Customer, Draft, PosOrder, PosState, Progress
from tillpost.outbox import OrderState, Outbox
from tillpost.outbox.db import schema as t
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

texts = st.text(max_size=30)
times = st.floats(0, 4e9)
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
effects = st.sampled_from(Effect)
yes_no = st.booleans()
keys = st.none() | texts
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


@given(events)
def test_stored_event_is_read_back_unchanged(event: Event) -> None:
    kind, body = event_row(event)
    assert "\0" not in body
    assert event_of(kind, body) == event


def test_journal_of_a_healed_order_holds_its_exchanges(outbox: Outbox, server: ToyServer) -> None:
    server.items[0].sku = "S1"
    server.items[0].id = "i2"
    outbox.add(toy_order(), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    kinds = [type(event).__name__ for event in outbox.journal("ord-1")]
    assert kinds == [
        "SubmissionRequested",
        "Intended",
        "Settled",
        "Failed",
        "Imported",
        "Intended",
        "Settled",
        "Submitted",
    ]
    query = sa.select(t.events.c.kind, t.events.c.exchange).order_by(t.events.c.number)
    with outbox.database.reading() as db:
        rows = db.execute(query).all()
    with_exchange = [row for row in rows if row.exchange]
    assert [row.kind for row in with_exchange] == ["Settled", "Settled"]
    exchanges = [Transcript.model_validate_json(row.exchange) for row in with_exchange]
    assert "toy-access-token" not in str(exchanges)


# ---------------------------------------------------------------------- erase and prune

DAY = 86_400


def age(outbox: Outbox, order_id: str, days: float) -> None:
    with outbox.database.writing() as db:
        added = time.time() - days * DAY
        db.execute(sa.update(t.orders).where(t.orders.c.id == order_id).values(added_at=added))


def test_erased_order_is_still_recognised_as_a_repetition(
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
    stored = {order.id: order for order in outbox.orders()}
    assert [name for name, order in stored.items() if order.order is None] == ["old"]
    erased = stored["old"]
    assert (erased.customer, erased.code) == ("", "")
    assert erased.state is OrderState.RECEIVED
    assert outbox.add(orders["old"], connection="cafe") == erased
    with pytest.raises(OrderError):
        outbox.add(toy_order("old", quantity=2), connection="cafe")
    with outbox.database.reading() as db:
        row = db.execute(sa.select(t.orders).where(t.orders.c.id == "old")).one()
        journal = db.execute(sa.select(t.events).where(t.events.c.order_id == "old")).all()
    assert "Mia" not in str(row)
    assert "mia@example.com" not in str(journal)


def test_only_journals_of_old_finished_orders_are_pruned(outbox: Outbox, server: ToyServer) -> None:
    for order in (toy_order("old"), toy_order("young"), lost_order("failed")):
        outbox.add(order, connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    age(outbox, "old", 31)
    age(outbox, "failed", 31)
    before = len(outbox.journal("old"))
    assert before
    assert prune(outbox, 30) == before
    assert not outbox.journal("old")
    assert outbox.journal("young")
    assert outbox.journal("failed")
    assert outbox.get("old")
