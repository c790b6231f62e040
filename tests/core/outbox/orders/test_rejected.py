"""An order that staff rejected: a person refunds and closes it, or keys it in by hand."""

from __future__ import annotations

import pytest

from core.outbox.hooked import Kounta
from tillpost import Outbox
from tillpost.models.order import Progress
from tillpost.outbox import OrderState, from_mapping
from tillpost.outbox.operations.diagnosis import diagnose_order
from tillpost.outbox.operations.orders import ActError, OrderOperations


@pytest.fixture
def store(kounta: Kounta) -> Kounta:
    """A store whose staff can delete an order at the register."""
    return kounta


@pytest.fixture
def operations(shop_outbox: Outbox, store: Kounta) -> OrderOperations:
    """The actions of a person called Mia."""
    return OrderOperations(
        shop_outbox, "mia", connections=from_mapping({"cafe": store.connected()})
    )


def reject_order(outbox: Outbox, store: Kounta, how: str) -> None:
    """Submit an order, and let staff reject or delete it."""
    pos_id = store.bring(outbox)
    getattr(store.simulator, f"staff_{how}")("ord-1")
    receiver = store.receiver(outbox)
    receiver.receive("cafe", *store.notification(pos_id))
    assert [order.id for order in outbox.orders(problem=True)] == ["ord-1"]


@pytest.mark.parametrize("how", ["reject", "delete"])
def test_cancelling_a_rejected_order_closes_it(
    shop_outbox: Outbox, store: Kounta, operations: OrderOperations, how: str
) -> None:
    reject_order(shop_outbox, store, how)
    found = diagnose_order(shop_outbox, "ord-1", live=False)
    assert (found.well, found.error) == (False, "OrderError")
    assert any("tillpost orders cancel ord-1" in step.do for step in found.steps)
    operations.cancel("ord-1")
    assert not shop_outbox.orders(problem=True)
    closed = diagnose_order(shop_outbox, "ord-1", live=False)
    assert (closed.well, closed.error, closed.steps) == (True, "", ())


def test_order_deleted_by_mistake_is_keyed_in_by_hand(
    shop_outbox: Outbox, store: Kounta, operations: OrderOperations
) -> None:
    reject_order(shop_outbox, store, "delete")
    taken_over = operations.manual("ord-1")
    assert (taken_over.order.state, taken_over.order.progress) == (
        OrderState.MANUAL,
        Progress.ACCEPTED,
    )
    assert not taken_over.copy_may_appear
    assert "PAID" in taken_over.docket
    assert operations.manual("ord-1").docket == taken_over.docket
    assert operations.advance("ord-1").progress is Progress.PREPARING
    assert not shop_outbox.orders(problem=True)


def test_rejected_or_closed_order_cannot_be_keyed_in(
    shop_outbox: Outbox, store: Kounta, operations: OrderOperations
) -> None:
    reject_order(shop_outbox, store, "reject")
    with pytest.raises(ActError, match="turned it down"):
        operations.manual("ord-1")
    operations.cancel("ord-1")
    with pytest.raises(ActError, match="turned it down"):
        operations.manual("ord-1")
