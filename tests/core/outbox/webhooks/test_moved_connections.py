"""Reports about orders that a worker has claimed, or that are at another address."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from core.outbox.hooked import Delivery, Generic, Kounta, Store, column, stored
from tillpost.errors import Outcome
from tillpost.outbox import OrderState, Outbox, WaitsFor
from tillpost.outbox.db import schema as t
from tillpost.outbox.delivery.connections import from_mapping
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.outbox.worker.order_monitor import OrderMonitor
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule
from tillpost.submission.address import address_of
from tillpost.submission.journal import Intended, Sighted


@pytest.fixture
def other() -> Iterator[Generic]:
    """Another store of the generic format. It numbers its orders as the first one does."""
    opened = Generic()
    yield opened
    opened.close()


def move(store: Store, to: Store) -> None:
    """Set a connection to another store; the simulators stay as they are."""
    store.settings, to.settings = to.settings, store.settings


def poll_now(store: Store, outbox: Outbox) -> None:
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(poll_at=0))
    with store.processing(outbox) as processor:
        OrderMonitor(processor).poll()


def process_due(store: Store, outbox: Outbox) -> None:
    with store.processing(outbox) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)


def count_requests(*stores: Store) -> int:
    return sum(len(store.simulator.requests) for store in stores)


def refusal(generic: Generic, pos_id: str, *, named: str = "") -> Delivery:
    error = {"kind": "MenuError", "detail": "no longer sold"}
    event = {"kind": "order_refused", "event_id": "e1", "pos_id": pos_id, "error": error}
    return generic.signed(json.dumps({**event, "reference": named}).encode())


def test_order_at_another_address_is_not_polled(
    outbox: Outbox, generic: Generic, other: Generic, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pos_id = generic.bring(outbox)
    assert other.bring(outbox, "ord-9") == pos_id, "the test needs the same id twice"
    generic.simulator.staff_accept(pos_id)
    other.simulator.staff_accept(pos_id)
    move(generic, other)
    requests = count_requests(generic, other)
    with outbox.database.writing() as db:
        db.execute(sa.delete(t.orders).where(t.orders.c.id == "ord-9"))
    poll_now(generic, outbox)
    assert count_requests(generic, other) == requests
    assert stored(outbox).state is OrderState.RECEIVED
    assert "order_elsewhere id=ord-1 connection=cafe" in caplog.text

    move(generic, other)
    poll_now(generic, outbox)
    assert stored(outbox).state is OrderState.ACCEPTED, "the connection was set back"


def test_orders_with_one_id_at_two_addresses_are_distinguished(
    outbox: Outbox, generic: Generic, other: Generic
) -> None:
    pos_id = generic.bring(outbox)
    assert other.bring(outbox, "ord-2") == pos_id
    other.simulator.staff_accept(pos_id)
    other.receiver(outbox).receive("cafe", *other.notification(pos_id))
    assert stored(outbox).state is OrderState.RECEIVED
    assert stored(outbox, "ord-2").state is OrderState.ACCEPTED


def test_refusal_of_order_at_another_address_sends_nothing(
    outbox: Outbox, generic: Generic, other: Generic
) -> None:
    """The new address shows no such order, which says nothing about the old one."""
    pos_id = generic.bring(outbox)
    move(generic, other)
    requests = count_requests(generic, other)
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *refusal(generic, pos_id, named="ord-1"))
    assert count_requests(generic, other) == requests
    order = stored(outbox)
    assert order.state is OrderState.ERROR
    assert order.error
    assert order.error.outcome is Outcome.UNKNOWN
    process_due(generic, outbox)
    assert not other.simulator.ledger().entries


def test_refusal_by_id_alone_is_of_the_present_address(
    outbox: Outbox, generic: Generic, other: Generic
) -> None:
    pos_id = generic.bring(outbox)
    move(generic, other)
    generic.receiver(outbox).receive("cafe", *refusal(generic, pos_id))
    assert stored(outbox).state is OrderState.RECEIVED


def test_webhook_of_order_at_another_host_fetches_nothing(outbox: Outbox, kounta: Kounta) -> None:
    pos_id = kounta.bring(outbox)
    kounta.simulator.staff_accept(pos_id)
    address = str(kounta.settings["base_url"]).replace("127.0.0.1", "localhost")
    kounta.settings = {**kounta.settings, "base_url": address}
    requests = count_requests(kounta)
    kounta.receiver(outbox).receive("cafe", *kounta.notification(pos_id))
    assert count_requests(kounta) == requests
    assert stored(outbox).state is OrderState.RECEIVED


def make_doubtful(outbox: Outbox, state: OrderState) -> None:
    """Have an order that was received be in doubt: its create's answer was lost."""
    (requested, intended) = outbox.journal("ord-1")[:2]
    assert isinstance(intended, Intended)
    doubt = {"kind": "DoubtError", "detail": "no answer", "outcome": "unknown"}
    values = {
        "state": state.value,
        "due_at": 0.0 if state is OrderState.DUE else None,
        "error": json.dumps(doubt),
        **dict.fromkeys(("pos_order", "pos_id", "received_at", "poll_at", "expected_at")),
    }
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(**values))
        db.execute(sa.delete(t.events).where(t.events.c.number > 1))
    assert requested


@pytest.mark.parametrize("state", [OrderState.ERROR, OrderState.DUE])
def test_report_of_a_claimed_order_in_doubt_is_kept(
    outbox: Outbox, kounta: Kounta, state: OrderState
) -> None:
    pos_id = kounta.bring(outbox)
    make_doubtful(outbox, state)
    with kounta.processing(outbox) as processor:
        claim = processor.claim_order("ord-1")
        assert claim
        kounta.receiver(outbox).receive("cafe", *kounta.notification(pos_id))
        assert stored(outbox).state is OrderState.SENDING
        with processor.claims.recording(
            claim,
            (),
            time.time(),
            worker=None,
        ):
            pass
        if state is OrderState.ERROR:
            OrderMonitor(processor).poll()
            assert stored(outbox).waits_for is WaitsFor.LOOK
        (again,) = processor.claim(9)
        assert [e.pos_id for e in again.events if isinstance(e, Sighted)] == [pos_id]
        assert column(outbox, "reported") is None
        processor.handle(again)
    order = stored(outbox)
    assert order.state is OrderState.RECEIVED, order.error
    assert len(kounta.simulator.ledger().entries) == 1


def test_report_of_a_claimed_order_that_arrived_is_kept(outbox: Outbox, generic: Generic) -> None:
    """Its poll shows it, even if the platform can't be asked then."""
    pos_id = generic.bring(outbox)
    generic.simulator.staff_accept(pos_id)
    notification = generic.notification(pos_id)
    with generic.processing(outbox) as processor:
        claim = processor.claim_order("ord-1")
        assert claim
        generic.receiver(outbox).receive("cafe", *notification)
        with processor.claims.recording(
            claim,
            (),
            time.time(),
            worker=None,
        ):
            pass
        assert stored(outbox).state is OrderState.RECEIVED
        away = FaultRule(fault=Fault(kind=FaultKind.SERVER_ERROR, status=503), times=None)
        generic.simulator.set_faults(FaultPlan(rules=(away,)))
        OrderMonitor(processor).poll()
    assert stored(outbox).state is OrderState.ACCEPTED
    assert column(outbox, "reported") is None


def test_copy_keeps_the_address_it_was_reported_at(
    outbox: Outbox, generic: Generic, other: Generic
) -> None:
    """At another address, its id may be another order's, which must not be cancelled."""
    pos_id = generic.bring(outbox)
    by_hand = {"state": "manual", "pos_order": None, "pos_id": None, "poll_at": None}
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(**by_hand))
        db.execute(sa.delete(t.events))
    generic.receiver(outbox).receive("cafe", *generic.notification(pos_id))
    (sighted,) = outbox.journal("ord-1")
    assert isinstance(sighted, Sighted)
    assert sighted.address == address_of(generic.connected().adapter)

    assert other.bring(outbox, "ord-9") == pos_id
    move(generic, other)
    operations = OrderOperations(
        outbox, "mia", connections=from_mapping({"cafe": generic.connected()})
    )
    assert "base_url was" in operations.elsewhere("ord-1")
    with pytest.raises(ValueError, match="base_url was"):
        operations.cancel("ord-1")
    (entry,) = other.simulator.ledger().entries
    assert entry.state != "cancelled"
    assert column(outbox, "pos_id") == pos_id
