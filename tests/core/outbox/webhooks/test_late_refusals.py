"""A refusal that comes late goes the way of one in the answer, and what people have settled stays settled."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from core.outbox.hooked import Generic, Heard, Kounta, Square, column, stored
from core.outbox.stores import Clock
from tillpost.adapter.webhooks import OrderRefused
from tillpost.errors import Outcome
from tillpost.models.order import Progress
from tillpost.outbox import OrderState, Outbox, Processor, WaitsFor, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule

# ---------------------------------------------------------------------- refusals that come late


def test_a_menu_error_that_comes_late_is_mended_as_one_in_the_answer(
    outbox: Outbox, generic: Generic
) -> None:
    heard, pos_id = Heard(), generic.bring(outbox)
    generic.simulator.recreate_variation("5312")
    del generic.simulator.world.orders[pos_id]
    (event,) = generic.receiver(outbox, heard).receive(
        "cafe", *generic.refused(pos_id, "MenuError")
    )
    assert isinstance(event, OrderRefused)
    now = stored(outbox)
    assert (now.state, now.waits_for, now.pos_order) == (OrderState.DUE, WaitsFor.NOTHING, None)
    assert heard.names == ["menu_error", "order_status_changed"]
    with generic.processing(outbox, heard) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    now = stored(outbox)
    assert now.state is OrderState.RECEIVED, now.error
    assert [entry.reference for entry in generic.simulator.ledger().shown] == ["ord-1"]
    assert heard.names[2:] == ["menu_imported", "order_submitted"]


def test_a_menu_error_that_an_import_cant_mend_ends_as_a_persons(
    outbox: Outbox, generic: Generic
) -> None:
    """The order goes once more at most, however often it is refused late."""
    pos_id = generic.bring(outbox)
    del generic.simulator.world.orders[pos_id]
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *generic.refused(pos_id, "MenuError"))
    made = generic.simulator.count("POST", "/orders")
    with generic.processing(outbox) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    now = stored(outbox)
    assert now.state is OrderState.ERROR
    assert now.error
    assert (now.error.kind, now.error.detail) == ("MenuError", "no longer sold")
    assert generic.simulator.count("POST", "/orders") == made


def test_an_order_is_mended_late_once(outbox: Outbox, generic: Generic) -> None:
    pos_id = generic.bring(outbox)
    receiver = generic.receiver(outbox)
    for number in range(2):
        generic.simulator.recreate_variation("5312" + "-NEW" * number)
        del generic.simulator.world.orders[pos_id]
        receiver.receive("cafe", *generic.refused(pos_id, "MenuError", event_id=f"e{number}"))
        with generic.processing(outbox) as processor:
            for claim in processor.claim(9):
                processor.handle(claim)
        again = stored(outbox)
        if again.pos_order:
            pos_id = again.pos_order.id
    assert stored(outbox).state is OrderState.ERROR


@pytest.mark.parametrize("kind", ["MenuError", "TaxError"])
def test_an_order_that_is_refused_in_words_only_and_is_there_is_never_sent_again(
    kind: str, outbox: Outbox, generic: Generic
) -> None:
    heard, pos_id = Heard(), generic.bring(outbox)
    generic.receiver(outbox, heard).receive("cafe", *generic.refused(pos_id, kind))
    now = stored(outbox)
    assert now.state is OrderState.ERROR
    assert now.error
    assert now.error.outcome is Outcome.CREATED
    assert heard.names == ["order_failed", "order_status_changed"]
    with generic.processing(outbox) as processor:
        assert processor.claim(9) == []
    assert len(generic.simulator.ledger().shown) == 1


@pytest.mark.parametrize(
    "kind", ["TaxError", "OutageError", "OrderError", "StoreClosedError", "Strange"]
)
def test_any_other_refusal_that_comes_late_is_a_persons(
    kind: str, outbox: Outbox, generic: Generic
) -> None:
    heard, pos_id = Heard(), generic.bring(outbox)
    del generic.simulator.world.orders[pos_id]
    generic.receiver(outbox, heard).receive("cafe", *generic.refused(pos_id, kind))
    now = stored(outbox)
    assert now.state is OrderState.ERROR
    assert now.remedy
    assert now.due_at is None
    assert heard.names == ["order_failed", "order_status_changed"]


def test_what_is_said_of_an_older_copy_doesnt_touch_the_new_one(
    outbox: Outbox, generic: Generic
) -> None:
    old = generic.bring(outbox)
    generic.simulator.recreate_variation("5312")
    del generic.simulator.world.orders[old]
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *generic.refused(old, "MenuError"))
    with generic.processing(outbox) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    there = {"id": old, "reference": "ord-1", "state": "rejected", "progress": "cancelled"}
    told = {
        "kind": "order_changed",
        "event_id": "e9",
        "pos_id": old,
        "reference": "ord-1",
        "pos_order": there,
    }
    receiver.receive("cafe", *generic.signed(json.dumps(told).encode()))
    assert stored(outbox).state is OrderState.RECEIVED


# ---------------------------------------------------------------------- what people settled


def test_an_order_that_was_taken_over_stays_so_and_a_copy_that_appears_is_noted(
    outbox: Outbox,
) -> None:
    store = Kounta()
    lost = FaultRule(
        method="POST", path="/orders.json$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=None
    )
    store.simulator.set_faults(FaultPlan(rules=(lost,)))
    outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
    with store.processing(outbox) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    known = from_mapping({"cafe": store.connected()})
    OrderOperations(outbox, "mia", connections=known).manual("ord-1", even_in_doubt=True)
    assert stored(outbox).pos_order is None
    (made,) = store.simulator.world.orders
    store.receiver(outbox).receive("cafe", *store.told(str(made)))
    now = stored(outbox)
    assert now.state is OrderState.MANUAL
    assert now.pos_order
    assert now.pos_order.id == str(made)
    store.close()


def test_an_order_that_was_given_up_in_doubt_and_turns_up_has_arrived(outbox: Outbox) -> None:
    store, heard = Kounta(), Heard()
    lost = FaultRule(
        method="POST", path="/orders.json$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=None
    )
    store.simulator.set_faults(FaultPlan(rules=(lost,)))
    outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
    with store.processing(outbox) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    doubt = {"kind": "DoubtError", "detail": "given up", "outcome": "unknown"}
    with outbox.database.writing() as db:
        given_up = {"state": "error", "due_at": None, "error": json.dumps(doubt), "waits_for": ""}
        db.execute(sa.update(t.orders).values(**given_up))
    (made,) = store.simulator.world.orders
    store.receiver(outbox, heard).receive("cafe", *store.told(str(made)))
    now = stored(outbox)
    assert (now.state, now.error) == (OrderState.RECEIVED, None)
    assert heard.names == ["order_submitted", "order_status_changed"]
    OrderOperations(outbox, "mia").accept("ord-1")
    with store.processing(outbox) as processor:
        assert processor.claim(9) == []
    assert len(store.simulator.world.orders) == 1
    store.close()


def test_an_order_that_a_person_moved_on_isnt_taken_back_when_it_arrives(
    outbox: Outbox, square: Square
) -> None:
    square.simulator.remove_variation("5312")
    outbox.add(square.order("ord-1"), connection="cafe")
    known, desk = from_mapping({"cafe": square.connected()}), OrderOperations(outbox, "mia")
    with Processor(outbox, connections=known) as processor:
        for claim in processor.claim(1):
            processor.handle(claim)
        desk.accept("ord-1")
        desk.advance("ord-1", Progress.READY)
        square.simulator.reset()
        desk.resubmit("ord-1")
        for claim in processor.claim(1):
            processor.handle(claim)
    now = stored(outbox)
    assert (now.state, now.progress) == (OrderState.RECEIVED, Progress.READY)
    assert now.pos_order
    square.simulator.staff_accept("ord-1")
    square.receiver(outbox).receive("cafe", *square.told(now.pos_order.id))
    now = stored(outbox)
    assert (now.state, now.progress) == (OrderState.ACCEPTED, Progress.READY)


def test_an_order_that_staff_turned_down_before_it_was_known_to_be_there_is_told(
    outbox: Outbox,
) -> None:
    """Its answer was lost, staff were faster than the look."""
    store, heard = Kounta(), Heard()
    lost = FaultRule(
        method="POST", path="/orders.json$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=1
    )
    store.simulator.set_faults(FaultPlan(rules=(lost,)))
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
    now = stored(outbox)
    assert (now.state, now.progress) == (OrderState.REJECTED, Progress.CANCELLED)
    assert now.remedy
    assert now.remedy.action == "refund"
    assert "order_rejected" in heard.names
    assert column(outbox, "problem_at") is not None
    store.close()
