"""What people do with orders: each act fits where the order stands or is refused, is kept, and counts once."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from core.outbox.corner_shop import connected, lunch, work_off
from tillpost.models.order import Address, Delivery, Progress
from tillpost.outbox import OrderState, Outbox, OutboxConnection, Processor, WaitsFor, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.orders import ActError, OrderOperations
from tillpost.outbox.orders.problems import problem_columns
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator

Shop = Running[SquareSimulator]
BLT = "5312"
UNFOUND = FaultRule(path="/orders/search$", fault=Fault(kind=FaultKind.SERVER_ERROR), times=None)
"""Nothing can be looked for."""


@pytest.fixture
def known(shop: Shop) -> dict[str, OutboxConnection]:
    """The connection "cafe"."""
    return {"cafe": connected(shop)}


@pytest.fixture
def desk(shop_outbox: Outbox, known: dict[str, OutboxConnection]) -> OrderOperations:
    """Where Mia acts."""
    return OrderOperations(shop_outbox, "mia", connections=from_mapping(known))


def stuck(
    shop: Shop, outbox: Outbox, known: dict[str, OutboxConnection], order_id: str = "ord-1"
) -> None:
    """An order that stands in error, because its toastie is gone."""
    shop.simulator.remove_variation(BLT)
    outbox.add(lunch(order_id), connection="cafe")
    work_off(outbox, known)
    stored = outbox.get(order_id)
    assert stored
    assert stored.state is OrderState.ERROR


def brought(outbox: Outbox, known: dict[str, OutboxConnection], order_id: str = "ord-1") -> None:
    """An order that the platform has."""
    outbox.add(lunch(order_id), connection="cafe")
    work_off(outbox, known)
    stored = outbox.get(order_id)
    assert stored
    assert stored.state is OrderState.RECEIVED


def test_an_order_in_error_is_accepted_and_moved_on_step_by_step(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    stuck(shop, shop_outbox, known)
    assert desk.accept("ord-1").progress is Progress.ACCEPTED
    assert desk.accept("ord-1").progress is Progress.ACCEPTED
    assert [desk.advance("ord-1").progress for _ in range(3)] == ["preparing", "ready", "completed"]
    with pytest.raises(ActError, match="nothing comes after that"):
        desk.advance("ord-1")
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.state is OrderState.ERROR
    assert [(act.who, act.what, act.note) for act in desk.acts("ord-1")] == [
        ("mia", "accept", "accepted"),
        ("mia", "advance", "preparing"),
        ("mia", "advance", "ready"),
        ("mia", "advance", "completed"),
    ]


def test_only_a_delivery_goes_on_board_and_nothing_goes_backwards(
    shop_outbox: Outbox, desk: OrderOperations
) -> None:
    shop_outbox.add(lunch("pickup"), connection="cafe")
    shop_outbox.add(
        lunch("van", fulfilment=Delivery(address=Address(line1="1 High St"))), connection="cafe"
    )
    with pytest.raises(ActError, match="isn't a step of this order"):
        desk.advance("pickup", Progress.ON_BOARD)
    assert desk.advance("van", Progress.ON_BOARD).progress is Progress.ON_BOARD
    with pytest.raises(ActError, match="doesn't go back to ready"):
        desk.advance("van", Progress.READY)


def test_a_mended_order_that_is_sent_again_arrives(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    stuck(shop, shop_outbox, known)
    shop.simulator.reset()
    assert desk.resubmit("ord-1").state is OrderState.DUE
    work_off(shop_outbox, known)
    assert [entry.reference for entry in shop.simulator.ledger().shown] == ["ord-1"]
    with pytest.raises(ActError, match="the platform has it"):
        desk.resubmit("ord-1")


def test_people_who_press_resubmit_at_once_make_one_order(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    stuck(shop, shop_outbox, known)
    shop.simulator.reset()
    with ThreadPoolExecutor(8) as pool:
        states = {stored.state for stored in pool.map(desk.resubmit, ["ord-1"] * 8)}
        work_off(shop_outbox, known)
    assert states <= {OrderState.DUE, OrderState.SENDING}
    assert len(shop.simulator.ledger().entries) == 1
    assert [act.what for act in desk.acts("ord-1")] == ["resubmit"]


def test_an_order_taken_over_is_withdrawn_at_the_platform_and_never_sent_again(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    brought(shop_outbox, known)
    taken = desk.manual("ord-1")
    assert (taken.order.state, taken.copy_may_appear) == (OrderState.MANUAL, False)
    assert "PAID ONLINE" in taken.docket
    assert "COOK IT ONCE" not in taken.docket
    work_off(shop_outbox, known)
    (entry,) = shop.simulator.ledger().entries
    assert entry.fulfilment_state == "CANCELED"
    with pytest.raises(ActError, match="taken over by hand"):
        desk.resubmit("ord-1")


def test_where_a_copy_cant_be_withdrawn_the_docket_says_that_one_may_appear(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    brought(shop_outbox, known)
    fault = FaultRule(
        method="PUT", path="^/v2/orders/", fault=Fault(kind=FaultKind.SERVER_ERROR), times=None
    )
    shop.simulator.set_faults(FaultPlan(rules=(fault,)))
    taken = desk.manual("ord-1")
    assert taken.copy_may_appear
    assert "MAY STILL APPEAR ON SQUARE" in " ".join(taken.docket.split())
    assert [act.note for act in desk.acts("ord-1")] == ["a copy may still appear"]


def test_a_docket_that_is_printed_again_says_the_same(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    lost = FaultRule(
        method="POST", path="^/v2/orders$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=None
    )
    shop.simulator.set_faults(FaultPlan(rules=(lost,)))
    shop_outbox.add(lunch(), connection="cafe")
    with Processor(shop_outbox, connections=from_mapping(known)) as processor:
        assert processor.process("ord-1")
    shop.simulator.set_faults(FaultPlan(rules=(lost, UNFOUND)))
    first = desk.manual("ord-1", even_in_doubt=True)
    assert first.copy_may_appear
    again = desk.manual("ord-1")
    assert (again.docket, again.copy_may_appear) == (first.docket, True)


def test_in_doubt_an_order_is_taken_over_only_when_that_is_said(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    lost = FaultRule(
        method="POST", path="/v2/orders$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=None
    )
    shop.simulator.set_faults(FaultPlan(rules=(lost,)))
    settings = shop_outbox.settings.model_copy(update={"give_up_after": 0.3})
    with Outbox(str(shop_outbox.database.engine.url), settings=settings) as hasty:
        hasty.add(lunch(), connection="cafe")
        work_off(hasty, known)
    with pytest.raises(ActError, match="look at the register first, or say --even-in-doubt"):
        desk.manual("ord-1")
    with pytest.raises(ActError, match="can be cancelled once that is known"):
        desk.cancel("ord-1")
    shop.simulator.set_faults(FaultPlan(rules=(lost, UNFOUND)))
    taken = desk.manual("ord-1", even_in_doubt=True)
    assert taken.copy_may_appear


def test_what_is_found_of_an_order_in_doubt_is_withdrawn_when_it_is_taken_over(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    lost = FaultRule(
        method="POST", path="^/v2/orders$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=1
    )
    shop.simulator.set_faults(FaultPlan(rules=(lost,)))
    shop_outbox.add(lunch(), connection="cafe")
    with Processor(shop_outbox, connections=from_mapping(known)) as processor:
        assert processor.process("ord-1")
    (there,) = shop.simulator.ledger().entries
    assert there.state == "OPEN"
    assert not desk.manual("ord-1", even_in_doubt=True).copy_may_appear
    (there,) = shop.simulator.ledger().entries
    assert there.state == "CANCELED"


def test_an_order_that_was_never_sent_is_cancelled_without_a_request(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    assert desk.cancel("ord-1").state is OrderState.CANCELLED
    assert desk.cancel("ord-1").progress is Progress.CANCELLED
    work_off(shop_outbox, known)
    assert shop.simulator.requests == ()
    for act in (desk.resubmit, desk.manual, desk.accept):
        with pytest.raises(ActError, match="it is cancelled"):
            assert act("ord-1") is None


def test_an_order_that_the_platform_has_is_cancelled_there(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    brought(shop_outbox, known)
    assert desk.cancel("ord-1").state is OrderState.CANCELLED
    (entry,) = shop.simulator.ledger().entries
    assert entry.fulfilment_state == "CANCELED"


@pytest.mark.parametrize("act", ["cancel", "manual"])
def test_an_order_that_a_worker_sends_between_the_look_at_it_and_the_act_isnt_settled_as_if_it_had_never_been_sent(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], act: str
) -> None:
    shop_outbox.add(lunch(), connection="cafe")

    def while_a_worker_is_faster() -> float:
        if not shop.simulator.ledger().entries:
            work_off(shop_outbox, known)
        return time.time()

    desk = OrderOperations(
        shop_outbox, "mia", connections=from_mapping(known), clock=while_a_worker_is_faster
    )
    with pytest.raises(ActError, match="has gone on meanwhile"):
        getattr(desk, act)("ord-1")
    stored = shop_outbox.get("ord-1")
    assert stored
    assert (stored.state, stored.worker) == (OrderState.RECEIVED, None)
    getattr(desk, act)("ord-1")
    (entry,) = shop.simulator.ledger().entries
    assert entry.fulfilment_state == "CANCELED"


def test_an_order_that_staff_turned_down_is_a_problem_until_somebody_says_that_the_customer_was_paid_back(
    shop_outbox: Outbox, desk: OrderOperations
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    turned_down = {
        "state": "rejected",
        "due_at": None,
        **problem_columns(OrderState.REJECTED, WaitsFor.NOTHING, 1.0, 9.0),
    }
    with shop_outbox.database.writing() as db:
        db.execute(update(t.orders).values(**turned_down))
    assert [order.id for order in shop_outbox.orders(problem=True)] == ["ord-1"]
    for act in (desk.accept, desk.resubmit, desk.manual):
        with pytest.raises(ActError, match="turned it down"):
            act("ord-1")
    for _ in range(2):
        closed = desk.cancel("ord-1")
        assert (closed.state, closed.progress) == (OrderState.REJECTED, Progress.CANCELLED)
        assert not shop_outbox.orders(problem=True)
    assert [act.what for act in desk.acts("ord-1")] == ["cancel"]


def test_an_order_that_cant_be_withdrawn_isnt_cancelled(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    brought(shop_outbox, known)
    fault = FaultRule(
        method="PUT", path="^/v2/orders/", fault=Fault(kind=FaultKind.SERVER_ERROR), times=None
    )
    shop.simulator.set_faults(FaultPlan(rules=(fault,)))
    with pytest.raises(ActError, match="cancel it at the register"):
        desk.cancel("ord-1")
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.state is OrderState.RECEIVED


def test_what_is_handed_to_the_provider_tells_the_exchange_and_nothing_of_the_customer(
    shop: Shop, shop_outbox: Outbox, known: dict[str, OutboxConnection], desk: OrderOperations
) -> None:
    stuck(shop, shop_outbox, known)
    told = json.dumps(desk.export("ord-1"))
    assert '"MenuError"' in told
    assert "/v2/orders" in told
    for personal in ("Mia", "0411", "+61"):
        assert personal not in told


def test_an_order_that_isnt_there_is_said_so(desk: OrderOperations) -> None:
    for act in (desk.accept, desk.advance, desk.resubmit, desk.manual, desk.cancel, desk.export):
        with pytest.raises(ActError, match="no order 'nowhere'"):
            act("nowhere")
