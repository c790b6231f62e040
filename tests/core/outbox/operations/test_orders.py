"""Operations of people on orders: which are refused, what they do, what the audit log holds."""

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
Connections = dict[str, OutboxConnection]

BLT = "5312"

LOOKUP_FAILS = FaultRule(
    path="/orders/search$", fault=Fault(kind=FaultKind.SERVER_ERROR), times=None
)
WITHDRAWAL_FAILS = FaultRule(
    method="PUT", path="^/v2/orders/", fault=Fault(kind=FaultKind.SERVER_ERROR), times=None
)
ANSWERS_LOST = FaultRule(
    method="POST", path="^/v2/orders$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=None
)


@pytest.fixture
def connections(shop: Shop) -> Connections:
    return {"cafe": connected(shop)}


@pytest.fixture
def operations(shop_outbox: Outbox, connections: Connections) -> OrderOperations:
    return OrderOperations(shop_outbox, "mia", connections=from_mapping(connections))


def state_of(outbox: Outbox, order_id: str = "ord-1") -> OrderState:
    stored = outbox.get(order_id)
    assert stored
    return stored.state


@pytest.fixture
def failed(shop: Shop, shop_outbox: Outbox, connections: Connections) -> None:
    """The order ord-1 is in error, because its toastie is gone."""
    shop.simulator.remove_variation(BLT)
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, connections)
    assert state_of(shop_outbox) is OrderState.ERROR


@pytest.fixture
def received(shop_outbox: Outbox, connections: Connections) -> None:
    """The platform has the order ord-1."""
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, connections)
    assert state_of(shop_outbox) is OrderState.RECEIVED


def process_once(outbox: Outbox, connections: Connections) -> None:
    """Submit ord-1 once; it is due again for a look-up, since the answer was lost."""
    outbox.add(lunch(), connection="cafe")
    with Processor(outbox, connections=from_mapping(connections)) as processor:
        (claim,) = processor.claim(1)
        processor.handle(claim)
    assert state_of(outbox) is OrderState.DUE


@pytest.mark.usefixtures("failed")
def test_failed_order_is_accepted_and_advanced_step_by_step(
    shop_outbox: Outbox, operations: OrderOperations
) -> None:
    assert operations.accept("ord-1").progress is Progress.ACCEPTED
    assert operations.accept("ord-1").progress is Progress.ACCEPTED
    for step in ("preparing", "ready", "completed"):
        assert operations.advance("ord-1").progress == step
    with pytest.raises(ActError, match="nothing comes after that"):
        operations.advance("ord-1")
    assert state_of(shop_outbox) is OrderState.ERROR
    acts = [(act.who, act.what, act.note) for act in operations.acts("ord-1")]
    assert acts == [
        ("mia", "accept", "accepted"),
        ("mia", "advance", "preparing"),
        ("mia", "advance", "ready"),
        ("mia", "advance", "completed"),
    ]


def test_only_a_delivery_goes_on_board_and_no_order_goes_back(
    shop_outbox: Outbox, operations: OrderOperations
) -> None:
    delivery = Delivery(address=Address(line1="1 High St"))
    shop_outbox.add(lunch("pickup"), connection="cafe")
    shop_outbox.add(lunch("van", fulfilment=delivery), connection="cafe")
    with pytest.raises(ActError, match="isn't a step of this order"):
        operations.advance("pickup", Progress.ON_BOARD)
    assert operations.advance("van", Progress.ON_BOARD).progress is Progress.ON_BOARD
    with pytest.raises(ActError, match="can't go back to ready"):
        operations.advance("van", Progress.READY)


@pytest.mark.usefixtures("failed")
def test_resubmitted_order_arrives_after_the_menu_was_corrected(
    shop: Shop, shop_outbox: Outbox, connections: Connections, operations: OrderOperations
) -> None:
    shop.simulator.reset()
    assert operations.resubmit("ord-1").state is OrderState.DUE
    work_off(shop_outbox, connections)
    assert [entry.reference for entry in shop.simulator.ledger().shown] == ["ord-1"]
    with pytest.raises(ActError, match="the platform has it"):
        operations.resubmit("ord-1")


@pytest.mark.usefixtures("failed")
def test_concurrent_resubmits_make_one_order(
    shop: Shop, shop_outbox: Outbox, connections: Connections, operations: OrderOperations
) -> None:
    shop.simulator.reset()
    with ThreadPoolExecutor(8) as pool:
        states = {stored.state for stored in pool.map(operations.resubmit, ["ord-1"] * 8)}
        work_off(shop_outbox, connections)
    assert states <= {OrderState.DUE, OrderState.SENDING}
    assert len(shop.simulator.ledger().entries) == 1
    assert [act.what for act in operations.acts("ord-1")] == ["resubmit"]


@pytest.mark.usefixtures("received")
def test_order_taken_over_is_withdrawn_and_never_sent_again(
    shop: Shop, shop_outbox: Outbox, connections: Connections, operations: OrderOperations
) -> None:
    taken = operations.manual("ord-1")
    assert taken.order.state is OrderState.MANUAL
    assert not taken.copy_may_appear
    assert "PAID ONLINE" in taken.docket
    assert "COOK IT ONCE" not in taken.docket
    work_off(shop_outbox, connections)
    (entry,) = shop.simulator.ledger().entries
    assert entry.fulfilment_state == "CANCELED"
    with pytest.raises(ActError, match="taken over by hand"):
        operations.resubmit("ord-1")


@pytest.mark.usefixtures("received")
def test_docket_warns_of_a_copy_that_cannot_be_withdrawn(
    shop: Shop, operations: OrderOperations
) -> None:
    shop.simulator.set_faults(FaultPlan(rules=(WITHDRAWAL_FAILS,)))
    taken = operations.manual("ord-1")
    assert taken.copy_may_appear
    assert "MAY STILL APPEAR ON SQUARE" in " ".join(taken.docket.split())
    assert [act.note for act in operations.acts("ord-1")] == ["a copy may still appear"]


def test_reprinted_docket_is_the_same(
    shop: Shop, shop_outbox: Outbox, connections: Connections, operations: OrderOperations
) -> None:
    shop.simulator.set_faults(FaultPlan(rules=(ANSWERS_LOST,)))
    process_once(shop_outbox, connections)
    shop.simulator.set_faults(FaultPlan(rules=(ANSWERS_LOST, LOOKUP_FAILS)))
    first = operations.manual("ord-1", even_in_doubt=True)
    assert first.copy_may_appear
    again = operations.manual("ord-1")
    assert again.docket == first.docket
    assert again.copy_may_appear


def test_order_in_doubt_is_taken_over_only_with_even_in_doubt(
    shop: Shop, shop_outbox: Outbox, connections: Connections, operations: OrderOperations
) -> None:
    shop.simulator.set_faults(FaultPlan(rules=(ANSWERS_LOST,)))
    settings = shop_outbox.settings.model_copy(update={"give_up_after": 0.3})
    url = str(shop_outbox.database.engine.url)
    with Outbox(url, settings=settings) as impatient:
        impatient.add(lunch(), connection="cafe")
        work_off(impatient, connections)
    expected = "look at the register first, or repeat with --even-in-doubt"
    with pytest.raises(ActError, match=expected):
        operations.manual("ord-1")
    with pytest.raises(ActError, match="can be cancelled once that is known"):
        operations.cancel("ord-1")
    shop.simulator.set_faults(FaultPlan(rules=(ANSWERS_LOST, LOOKUP_FAILS)))
    taken = operations.manual("ord-1", even_in_doubt=True)
    assert taken.copy_may_appear


def test_order_in_doubt_is_found_and_withdrawn_when_taken_over(
    shop: Shop, shop_outbox: Outbox, connections: Connections, operations: OrderOperations
) -> None:
    lost_once = ANSWERS_LOST.model_copy(update={"times": 1})
    shop.simulator.set_faults(FaultPlan(rules=(lost_once,)))
    process_once(shop_outbox, connections)
    (entry,) = shop.simulator.ledger().entries
    assert entry.state == "OPEN"
    taken = operations.manual("ord-1", even_in_doubt=True)
    assert not taken.copy_may_appear
    (entry,) = shop.simulator.ledger().entries
    assert entry.state == "CANCELED"


def test_order_never_sent_is_cancelled_without_a_request(
    shop: Shop, shop_outbox: Outbox, connections: Connections, operations: OrderOperations
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    assert operations.cancel("ord-1").state is OrderState.CANCELLED
    assert operations.cancel("ord-1").progress is Progress.CANCELLED
    work_off(shop_outbox, connections)
    assert shop.simulator.requests == ()
    for act in (operations.resubmit, operations.manual, operations.accept):
        with pytest.raises(ActError, match="it is cancelled"):
            assert act("ord-1") is None


@pytest.mark.usefixtures("received")
def test_cancelled_order_is_withdrawn_at_the_platform(
    shop: Shop, operations: OrderOperations
) -> None:
    assert operations.cancel("ord-1").state is OrderState.CANCELLED
    (entry,) = shop.simulator.ledger().entries
    assert entry.fulfilment_state == "CANCELED"


@pytest.mark.parametrize("act", ["cancel", "manual"])
def test_act_on_an_order_sent_meanwhile_is_refused(
    shop: Shop, shop_outbox: Outbox, connections: Connections, act: str
) -> None:
    """A worker sends the order after the operation has read it, and before it claims it."""
    shop_outbox.add(lunch(), connection="cafe")

    def clock_during_which_a_worker_sends() -> float:
        if not shop.simulator.ledger().entries:
            work_off(shop_outbox, connections)
        return time.time()

    operations = OrderOperations(
        shop_outbox,
        "mia",
        connections=from_mapping(connections),
        clock=clock_during_which_a_worker_sends,
    )
    with pytest.raises(ActError, match="has changed meanwhile"):
        getattr(operations, act)("ord-1")
    stored = shop_outbox.get("ord-1")
    assert stored
    assert (stored.state, stored.worker) == (OrderState.RECEIVED, None)

    getattr(operations, act)("ord-1")
    (entry,) = shop.simulator.ledger().entries
    assert entry.fulfilment_state == "CANCELED"


def test_rejected_order_is_a_problem_until_it_is_cancelled(
    shop_outbox: Outbox, operations: OrderOperations
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    rejected = {
        "state": "rejected",
        "due_at": None,
        **problem_columns(OrderState.REJECTED, WaitsFor.NOTHING, 1.0, 9.0),
    }
    with shop_outbox.database.writing() as db:
        db.execute(update(t.orders).values(**rejected))
    assert [order.id for order in shop_outbox.orders(problem=True)] == ["ord-1"]
    for act in (operations.accept, operations.resubmit, operations.manual):
        with pytest.raises(ActError, match="turned it down"):
            act("ord-1")
    for _ in range(2):
        closed = operations.cancel("ord-1")
        assert (closed.state, closed.progress) == (OrderState.REJECTED, Progress.CANCELLED)
        assert not shop_outbox.orders(problem=True)
    assert [act.what for act in operations.acts("ord-1")] == ["cancel"]


@pytest.mark.usefixtures("received")
def test_order_that_cannot_be_withdrawn_is_not_cancelled(
    shop: Shop, shop_outbox: Outbox, operations: OrderOperations
) -> None:
    shop.simulator.set_faults(FaultPlan(rules=(WITHDRAWAL_FAILS,)))
    with pytest.raises(ActError, match="cancel it at the register"):
        operations.cancel("ord-1")
    assert state_of(shop_outbox) is OrderState.RECEIVED


@pytest.mark.usefixtures("failed")
def test_export_holds_the_exchange_but_no_customer_data(operations: OrderOperations) -> None:
    exported = json.dumps(operations.export("ord-1"))
    assert '"MenuError"' in exported
    assert "/v2/orders" in exported
    for personal in ("Mia", "0411", "+61"):
        assert personal not in exported


def test_act_on_unknown_order_is_refused(operations: OrderOperations) -> None:
    acts = (
        operations.accept,
        operations.advance,
        operations.resubmit,
        operations.manual,
        operations.cancel,
        operations.export,
    )
    for act in acts:
        with pytest.raises(ActError, match="no order 'nowhere'"):
            act("nowhere")
