"""What is stored and for how long: events, erased and pruned orders, tables of each version."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.outbox.stores import processing, work_off
from core.toy import lost_order, toy_order
from core.toy_server import ToyServer
from tillpost import ConfigError, MenuError, OrderError
from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied, ErrorRecord, Outcome, Transcript
from tillpost.models.order import Customer, Draft, Pickup, PosOrder, PosState, Progress
from tillpost.outbox import OrderState, Outbox, OutboxConnection, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.orders import ActError, OrderOperations
from tillpost.outbox.orders.models import UnreadableEventError, event_of, event_row
from tillpost.outbox.orders.updates import OrderUpdates
from tillpost.outbox.worker.retention import erase, prune
from tillpost.submission.erasure import event_without_texts
from tillpost.submission.history import fold
from tillpost.submission.journal import (
    Cancelled,
    DoubtResolved,
    Event,
    Failed,
    Imported,
    Intended,
    KeyRetired,
    LookedUp,
    OfTicket,
    Pruned,
    Sent,
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
intents = st.builds(Intended, times, effects, st.integers(0, 99), keys, texts)
sents = st.builds(
    Sent,
    intents,
    earlier=yes_no,
    applied=st.none() | st.sampled_from(Applied),
    settled_at=st.none() | times,
)
pruned_journals = st.builds(
    Pruned,
    times,
    sent=st.lists(sents, max_size=3).map(tuple),
    empty_lookups=st.lists(st.builds(LookedUp, times, st.none()), max_size=3).map(tuple),
    found=st.none() | drafts,
    pos_order=st.none() | pos_orders,
    generation=st.integers(0, 9),
    digest=texts,
    cancelled=yes_no,
    ticket=st.none() | st.builds(Pruned, times, generation=st.integers(0, 9)),
)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(SubmissionRequested, times, texts, yes_no),
    intents,
    st.builds(Settled, times, st.sampled_from(Applied)),
    st.builds(LookedUp, times, st.none() | pos_orders | drafts),
    st.builds(Imported, times, yes_no, yes_no, yes_no),
    st.builds(Failed, times, errors, st.integers(1, 9), times),
    st.builds(DoubtResolved, times),
    st.builds(KeyRetired, times),
    st.builds(Submitted, times, pos_orders),
    st.builds(Cancelled, times, pos_orders),
    pruned_journals,
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


def write(outbox: Outbox, order_id: str, **values: object) -> None:
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).where(t.orders.c.id == order_id).values(**values))


def age(outbox: Outbox, order_id: str, days: float, **values: object) -> None:
    """Make an order so old. By then it was reported if unconfirmed, and isn't polled any more."""
    added = time.time() - days * DAY
    write(outbox, order_id, added_at=added, expected_at=None, poll_at=None, **values)


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


def test_what_may_quote_the_customer_is_erased_with_the_customer(
    outbox: Outbox, server: ToyServer
) -> None:
    """Also in words that no search finds; what the journal amounts to stays."""
    outbox.add(toy_order("old"), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    pos_order = stored_pos_order(outbox).model_copy(
        update={"notices": ("The peanut note was cut",)}
    )
    exchange = Transcript(
        method="POST", path="/orders", request_body="peanut", response_body="peanut"
    )
    error = ErrorRecord(
        kind="OrderError",
        detail="no peanut",
        code="E7",
        subjects=("peanut",),
        outcome=Outcome.CREATED,
        pos_order=pos_order,
        exchange=exchange,
    )
    appended: list[Event] = [
        Failed(3, error),
        OfTicket(Submitted(4, pos_order)),
        LookedUp(5, pos_order),
        Intended(6, Effect.CREATE, 0, "k", "d", notices=("peanut",)),
        Settled(7, Applied.MAYBE),
    ]
    before = outbox.journal("old")
    with outbox.database.writing() as db:
        for number, event in enumerate(appended, len(before)):
            kind, body = event_row(event, number)
            row = {"order_id": "old", "number": number, "kind": kind, "body": body}
            row["exchange"] = exchange.model_dump_json()
            db.execute(sa.insert(t.events).values(**row))
    shown = pos_order.model_dump_json()
    age(outbox, "old", 31, error=error.model_dump_json(), pos_order=shown, ticket=shown)
    history = fold(outbox.journal("old"))

    assert erase(outbox, 30) == 1
    with outbox.database.reading() as db:
        rows = [*db.execute(sa.select(t.orders)), *db.execute(sa.select(t.events))]
    assert "peanut" not in str(rows)
    assert "E7" in str(rows)
    left = fold(outbox.journal("old"))
    assert (left.sent[0], left.digest, left.failure is None) == (
        history.sent[0],
        history.digest,
        history.failure is None,
    )
    assert left.pos_order
    assert left.doubts[-1].intent.key == "k"


def stored_pos_order(outbox: Outbox) -> PosOrder:
    order = outbox.get("old")
    assert order
    assert order.pos_order
    return order.pos_order


@given(events)
def test_erased_event_is_read_back_and_erased_once(event: Event) -> None:
    erased = event_without_texts(event)
    assert type(erased) is type(event)
    assert event_without_texts(erased) == erased
    assert event_of(*event_row(erased)) == erased


def test_report_after_erasing_brings_no_notices(outbox: Outbox, server: ToyServer) -> None:
    outbox.add(toy_order("old"), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    age(outbox, "old", 31)
    assert erase(outbox, 30) == 1
    seen = stored_pos_order(outbox).model_copy(
        update={"state": PosState.ACCEPTED, "notices": ("for Mia",)}
    )
    updates = OrderUpdates(outbox.engine, outbox.settings)
    refusal = ErrorRecord(kind="OrderError", detail="no", pos_order=seen)
    with outbox.database.writing() as db:
        updates.record_status(db, "cafe", seen, time.time())
        assert stored_pos_order(outbox).state is PosState.RECEIVED
    assert stored_pos_order(outbox).state is PosState.ACCEPTED
    with outbox.database.writing() as db:
        updates.record_refusal(db, "cafe", seen.id, "old", refusal, time.time())
    with outbox.database.reading() as db:
        rows = [*db.execute(sa.select(t.orders)), *db.execute(sa.select(t.events))]
    assert "Mia" not in str(rows)


def test_unreadable_texts_are_erased_and_events_stay(outbox: Outbox, server: ToyServer) -> None:
    outbox.add(toy_order("old"), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    age(outbox, "old", 31, error="for Mia", ticket='{"id": "Mia')
    with outbox.database.writing() as db:
        first = t.events.c.number == 0
        db.execute(sa.update(t.events).where(first).values(body="?", exchange="for Mia"))
    assert erase(outbox, 30) == 1
    with outbox.database.reading() as db:
        rows = [*db.execute(sa.select(t.orders)), *db.execute(sa.select(t.events))]
    assert "Mia" not in str(rows)
    with pytest.raises(UnreadableEventError):
        outbox.journal("old")


def test_only_journals_of_old_finished_orders_are_pruned(outbox: Outbox, server: ToyServer) -> None:
    for order in (toy_order("old"), toy_order("young"), lost_order("failed")):
        outbox.add(order, connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    age(outbox, "old", 31)
    age(outbox, "failed", 31)
    before = outbox.journal("old")
    assert before
    assert prune(outbox, 30) == len(before)
    assert prune(outbox, 30) == 0
    (left,) = outbox.journal("old")
    assert isinstance(left, Pruned)
    assert fold([left]).sent == fold(before).sent
    assert outbox.journal("young")
    assert outbox.journal("failed")
    assert outbox.get("old")


# What isn't over. The values are those of an order 8 days old that was received.
NOT_OVER = {
    "due in 20 minutes": {"wanted_at": time.time() + 1200},
    "waits for its register": {"expected_at": time.time() + 60},
    "is polled": {"poll_at": time.time() + 60},
    "has a problem": {"problem_at": time.time() - 60},
    "in error": {"state": "error"},
    "rejected": {"state": "rejected", "problem_at": time.time() - 60},
    "in doubt": {"state": "manual", "due_at": time.time() + 60},
    "being sent": {"worker": "somebody"},
}


@pytest.mark.parametrize("values", NOT_OVER.values(), ids=NOT_OVER)
def test_what_is_not_over_is_neither_erased_nor_pruned(
    outbox: Outbox, server: ToyServer, values: dict[str, object]
) -> None:
    outbox.add(toy_order(), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    age(outbox, "ord-1", 8)
    write(outbox, "ord-1", **values)

    assert (erase(outbox, 7), prune(outbox, 7)) == (0, 0)

    age(outbox, "ord-1", 8)
    over = {"wanted_at": None, "problem_at": None, "state": "received", "due_at": None}
    write(outbox, "ord-1", **over, worker=None)
    assert erase(outbox, 7) == 1
    assert prune(outbox, 7) > 0


def test_scheduled_order_knows_when_it_is_wanted(outbox: Outbox) -> None:
    at = datetime.now(UTC) + timedelta(days=9)
    order = toy_order().model_copy(update={"fulfilment": Pickup(due_at=at)})
    outbox.add(order, connection="cafe")
    with outbox.database.reading() as db:
        assert db.scalar(sa.select(t.orders.c.wanted_at)) == pytest.approx(at.timestamp())


# ---------------------------------------------------------------------- never twice, though pruned


def create_keys(server: ToyServer) -> list[str]:
    """Return the idempotency keys under which the platform was sent orders."""
    creates = [seen for seen in server.seen if (seen.method, seen.path) == ("POST", "/orders")]
    return [seen.headers["idempotency-key"] for seen in creates]


def refuse_late(outbox: Outbox, server: ToyServer) -> None:
    """Let the platform refuse an order that it had received, since an item is gone."""
    (pos_id,) = [made.id for made in server.orders.values() if made.status == "OPEN"]
    del server.orders[pos_id]
    refusal = MenuError("no longer sold", code="GONE").record()
    with outbox.database.writing() as db:
        updates = OrderUpdates(outbox.engine, outbox.settings)
        updates.record_refusal(db, "cafe", pos_id, "ord-1", refusal, time.time())


def test_refused_pruned_order_goes_on_under_the_next_key(outbox: Outbox, server: ToyServer) -> None:
    """First by itself, after a menu import; then by a person, since the menu is too young."""
    connections = from_mapping({"cafe": OutboxConnection(server.adapter())})
    operations = OrderOperations(outbox, "mia", connections=connections)
    outbox.add(toy_order(), connection="cafe")
    with processing(outbox, server) as processor:
        for generation in range(3):
            work_off(processor)
            assert create_keys(server)[-1] == f"ord-1-{generation}"
            age(outbox, "ord-1", 31)
            assert prune(outbox, 30) > 0
            refuse_late(outbox, server)
            server.items[0].id = f"new-{generation}"
            if generation:
                work_off(processor)
                operations.resubmit("ord-1")
        work_off(processor)

    order = outbox.get("ord-1")
    assert order
    assert order.state is OrderState.RECEIVED
    keys = list(dict.fromkeys(create_keys(server)))
    assert keys == [f"ord-1-{generation}" for generation in range(4)]
    assert len(server.orders) == 1


def test_pruned_order_that_is_sent_again_makes_no_second_one(
    outbox: Outbox, server: ToyServer
) -> None:
    """However it came to be due again: it has arrived, and the caller hears that."""
    outbox.add(toy_order(), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
        age(outbox, "ord-1", 31)
        prune(outbox, 30)
        again = outbox.add(toy_order(), connection="cafe")
        assert again.state is OrderState.RECEIVED
        write(outbox, "ord-1", state="due", due_at=time.time(), pos_order=None, new_request=True)
        work_off(processor)

    order = outbox.get("ord-1")
    assert order
    assert order.state is OrderState.RECEIVED
    assert order.pos_order
    assert order.pos_order.id == "o1"
    assert create_keys(server) == ["ord-1-0"]


def test_erased_order_refused_late_is_closed_not_sent_again(
    outbox: Outbox, server: ToyServer
) -> None:
    outbox.add(toy_order(), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
        age(outbox, "ord-1", 31)
        assert erase(outbox, 30) == 1
        prune(outbox, 30)
        refuse_late(outbox, server)
        operations = OrderOperations(
            outbox, "mia", connections=from_mapping({"cafe": OutboxConnection(server.adapter())})
        )
        with pytest.raises(ActError, match="its content was erased"):
            operations.resubmit("ord-1")
        outbox.add(toy_order("ord-2"), connection="cafe")
        assert work_off(processor) == ["ord-2"]

    assert "was erased" in operations.manual("ord-1").docket
    order = outbox.get("ord-1")
    assert order
    assert (order.state, order.problem_at) == (OrderState.MANUAL, None)


def test_journal_that_cannot_be_read_is_not_pruned(outbox: Outbox, server: ToyServer) -> None:
    for order_id in ("damaged", "well"):
        outbox.add(toy_order(order_id), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    with outbox.database.writing() as db:
        damaged = sa.update(t.events).where(t.events.c.order_id == "damaged")
        db.execute(damaged.where(t.events.c.number == 1).values(kind="Teleported"))
    for order_id in ("damaged", "well"):
        age(outbox, order_id, 31)

    assert prune(outbox, 30) == len(outbox.entries("damaged"))

    assert len(outbox.entries("damaged")) > 1
    assert len(outbox.entries("well")) == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), -1, 1e300])
@pytest.mark.parametrize("act", [erase, prune])
def test_retention_by_no_number_of_days_is_refused(
    outbox: Outbox, act: Callable[[Outbox, float], int], number: float
) -> None:
    """To PostgreSQL, every order is older than NaN."""
    with pytest.raises(ConfigError, match="days must be a number from 0 to"):
        act(outbox, number)
