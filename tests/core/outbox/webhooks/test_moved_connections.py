"""Reports about orders that were sent before the connection's address was changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from core.outbox.hooked import Delivery, Generic, Kounta, Store, column, stored
from tillpost.errors import Outcome
from tillpost.outbox import OrderState, Outbox
from tillpost.outbox.db import schema as t
from tillpost.outbox.delivery.connections import from_mapping
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.outbox.worker.order_monitor import OrderMonitor
from tillpost.submission.address import address_of
from tillpost.submission.journal import Sighted


@pytest.fixture
def other() -> Iterator[Generic]:
    """Another store of the generic format. It numbers its orders as the first one does."""
    opened = Generic()
    yield opened
    opened.close()


@pytest.fixture
def kounta() -> Iterator[Kounta]:
    opened = Kounta()
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


def test_orders_with_one_id_at_two_addresses_are_told_apart(
    outbox: Outbox, generic: Generic, other: Generic
) -> None:
    pos_id = generic.bring(outbox)
    assert other.bring(outbox, "ord-2") == pos_id
    other.simulator.staff_accept(pos_id)
    other.receiver(outbox).receive("cafe", *other.told(pos_id))
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
    kounta.receiver(outbox).receive("cafe", *kounta.told(pos_id))
    assert count_requests(kounta) == requests
    assert stored(outbox).state is OrderState.RECEIVED


def test_copy_keeps_the_address_it_was_reported_at(
    outbox: Outbox, generic: Generic, other: Generic
) -> None:
    """At another address, its id may be another order's, which must not be cancelled."""
    pos_id = generic.bring(outbox)
    by_hand = {"state": "manual", "pos_order": None, "pos_id": None, "poll_at": None}
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(**by_hand))
        db.execute(sa.delete(t.events))
    generic.receiver(outbox).receive("cafe", *generic.told(pos_id))
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
