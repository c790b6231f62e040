"""Refusals after acceptance are handled like those in an answer; people's decisions stay."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from core.outbox.hooked import Generic, Heard, Kounta, Square, Store, column, stored
from core.outbox.stores import Clock
from tillpost.adapter.webhooks import OrderRefused
from tillpost.errors import Outcome
from tillpost.models.order import Progress
from tillpost.outbox import OrderState, Outbox, WaitsFor, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule

LOST_ANSWER = Fault(kind=FaultKind.LOST_ANSWER)
ANSWERS_LOST = FaultRule(method="POST", path="/orders.json$", fault=LOST_ANSWER, times=None)


def process_due(store: Store, outbox: Outbox, heard: Heard | None = None) -> int:
    """Process the orders that are due; return how many there were."""
    with store.processing(outbox, heard) as processor:
        claims = processor.claim(9)
        for claim in claims:
            processor.handle(claim)
    return len(claims)


# ---------------------------------------------------------------------- late refusals


def test_late_menu_error_imports_menu_and_submits_again(outbox: Outbox, generic: Generic) -> None:
    heard = Heard()
    pos_id = generic.bring(outbox)
    generic.simulator.recreate_variation("5312")
    del generic.simulator.world.orders[pos_id]
    receiver = generic.receiver(outbox, heard)
    refusal = generic.refused(pos_id, "MenuError")
    (event,) = receiver.receive("cafe", *refusal)
    assert isinstance(event, OrderRefused)
    order = stored(outbox)
    assert (order.state, order.waits_for, order.pos_order) == (
        OrderState.DUE,
        WaitsFor.NOTHING,
        None,
    )
    assert heard.names == ["menu_error", "order_status_changed"]
    process_due(generic, outbox, heard)
    order = stored(outbox)
    assert order.state is OrderState.RECEIVED, order.error
    assert [entry.reference for entry in generic.simulator.ledger().shown] == ["ord-1"]
    assert heard.names[2:] == ["menu_imported", "order_submitted"]


def test_late_menu_error_that_import_cannot_fix_ends_in_error(
    outbox: Outbox, generic: Generic
) -> None:
    """The order is submitted again once at most, however often it is refused late."""
    pos_id = generic.bring(outbox)
    del generic.simulator.world.orders[pos_id]
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *generic.refused(pos_id, "MenuError"))
    made = generic.simulator.count("POST", "/orders")
    process_due(generic, outbox)
    order = stored(outbox)
    assert order.state is OrderState.ERROR
    assert order.error
    assert (order.error.kind, order.error.detail) == ("MenuError", "no longer sold")
    assert generic.simulator.count("POST", "/orders") == made


def test_second_late_menu_error_ends_in_error(outbox: Outbox, generic: Generic) -> None:
    pos_id = generic.bring(outbox)
    receiver = generic.receiver(outbox)
    for number in range(2):
        generic.simulator.recreate_variation("5312" + "-NEW" * number)
        del generic.simulator.world.orders[pos_id]
        receiver.receive("cafe", *generic.refused(pos_id, "MenuError", event_id=f"e{number}"))
        process_due(generic, outbox)
        again = stored(outbox)
        if again.pos_order:
            pos_id = again.pos_order.id
    assert stored(outbox).state is OrderState.ERROR


@pytest.mark.parametrize("kind", ["MenuError", "TaxError"])
def test_refused_order_that_platform_still_has_is_not_sent_again(
    kind: str, outbox: Outbox, generic: Generic
) -> None:
    heard = Heard()
    pos_id = generic.bring(outbox)
    refusal = generic.refused(pos_id, kind)
    generic.receiver(outbox, heard).receive("cafe", *refusal)
    order = stored(outbox)
    assert order.state is OrderState.ERROR
    assert order.error
    assert order.error.outcome is Outcome.CREATED
    assert heard.names == ["order_failed", "order_status_changed"]
    assert process_due(generic, outbox) == 0
    assert len(generic.simulator.ledger().shown) == 1


@pytest.mark.parametrize(
    "kind", ["TaxError", "OutageError", "OrderError", "StoreClosedError", "Strange"]
)
def test_other_late_refusal_ends_in_error(kind: str, outbox: Outbox, generic: Generic) -> None:
    heard = Heard()
    pos_id = generic.bring(outbox)
    del generic.simulator.world.orders[pos_id]
    generic.receiver(outbox, heard).receive("cafe", *generic.refused(pos_id, kind))
    order = stored(outbox)
    assert order.state is OrderState.ERROR
    assert order.remedy
    assert order.due_at is None
    assert heard.names == ["order_failed", "order_status_changed"]


def test_webhook_about_older_copy_leaves_the_new_one_alone(
    outbox: Outbox, generic: Generic
) -> None:
    old = generic.bring(outbox)
    generic.simulator.recreate_variation("5312")
    del generic.simulator.world.orders[old]
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *generic.refused(old, "MenuError"))
    process_due(generic, outbox)
    rejected = {"id": old, "reference": "ord-1", "state": "rejected", "progress": "cancelled"}
    event = {
        "kind": "order_changed",
        "event_id": "e9",
        "pos_id": old,
        "reference": "ord-1",
        "pos_order": rejected,
    }
    receiver.receive("cafe", *generic.signed(json.dumps(event).encode()))
    assert stored(outbox).state is OrderState.RECEIVED


# ---------------------------------------------------------------------- decisions of people


def test_copy_of_order_taken_over_is_recorded_and_state_stays(
    outbox: Outbox,
) -> None:
    store = Kounta()
    store.simulator.set_faults(FaultPlan(rules=(ANSWERS_LOST,)))
    outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
    process_due(store, outbox)
    connections = from_mapping({"cafe": store.connected()})
    operations = OrderOperations(outbox, "mia", connections=connections)
    operations.manual("ord-1", even_in_doubt=True)
    assert stored(outbox).pos_order is None
    (pos_id,) = store.simulator.world.orders
    store.receiver(outbox).receive("cafe", *store.notification(str(pos_id)))
    order = stored(outbox)
    assert order.state is OrderState.MANUAL
    assert order.pos_order
    assert order.pos_order.id == str(pos_id)
    store.close()


def test_order_given_up_in_doubt_is_received_when_it_appears(outbox: Outbox) -> None:
    store = Kounta()
    heard = Heard()
    store.simulator.set_faults(FaultPlan(rules=(ANSWERS_LOST,)))
    outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
    process_due(store, outbox)
    doubt = {"kind": "DoubtError", "detail": "given up", "outcome": "unknown"}
    with outbox.database.writing() as db:
        given_up = {"state": "error", "due_at": None, "error": json.dumps(doubt), "waits_for": ""}
        db.execute(sa.update(t.orders).values(**given_up))
    (pos_id,) = store.simulator.world.orders
    store.receiver(outbox, heard).receive("cafe", *store.notification(str(pos_id)))
    order = stored(outbox)
    assert (order.state, order.waits_for) == (OrderState.DUE, WaitsFor.LOOK)
    assert heard.names == ["order_status_changed"]
    process_due(store, outbox, heard)
    order = stored(outbox)
    assert (order.state, order.error) == (OrderState.RECEIVED, None)
    assert heard.names == ["order_status_changed", "order_submitted"]
    OrderOperations(outbox, "mia").accept("ord-1")
    assert process_due(store, outbox) == 0
    assert len(store.simulator.world.orders) == 1
    store.close()


def test_arrival_does_not_reset_progress_set_by_a_person(outbox: Outbox, square: Square) -> None:
    square.simulator.remove_variation("5312")
    outbox.add(square.order("ord-1"), connection="cafe")
    operations = OrderOperations(outbox, "mia")
    process_due(square, outbox)
    operations.accept("ord-1")
    operations.advance("ord-1", Progress.READY)
    square.simulator.reset()
    operations.resubmit("ord-1")
    process_due(square, outbox)
    order = stored(outbox)
    assert (order.state, order.progress) == (OrderState.RECEIVED, Progress.READY)
    assert order.pos_order
    square.simulator.staff_accept("ord-1")
    square.receiver(outbox).receive("cafe", *square.notification(order.pos_order.id))
    order = stored(outbox)
    assert (order.state, order.progress) == (OrderState.ACCEPTED, Progress.READY)


def test_order_rejected_before_its_lookup_is_reported(
    outbox: Outbox,
) -> None:
    """Its answer was lost, and staff were faster than the look-up."""
    store = Kounta()
    heard = Heard()
    lost_once = ANSWERS_LOST.model_copy(update={"times": 1})
    store.simulator.set_faults(FaultPlan(rules=(lost_once,)))
    outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
    clock = Clock()
    with store.processing(outbox, heard, clock) as processor:
        for claim in processor.claim(1):
            processor.handle(claim)
        store.simulator.staff_reject("ord-1")
        for _ in range(4):
            clock.ahead += 5
            for claim in processor.claim(1):
                processor.handle(claim)
    order = stored(outbox)
    assert (order.state, order.progress) == (OrderState.REJECTED, Progress.CANCELLED)
    assert order.remedy
    assert order.remedy.action == "refund"
    assert "order_rejected" in heard.names
    assert column(outbox, "problem_at") is not None
    store.close()
