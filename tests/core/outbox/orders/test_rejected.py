"""An order that the store said no to: a person pays back and closes it, or makes it all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.outbox.hooked import Kounta
from tillpost import Outbox
from tillpost.models.order import Progress
from tillpost.outbox import OrderState, from_mapping
from tillpost.outbox.operations.diagnosis import diagnose_order
from tillpost.outbox.operations.orders import ActError, OrderOperations


@pytest.fixture
def store() -> Iterator[Kounta]:
    """A store whose staff can delete an order at the register."""
    opened = Kounta()
    yield opened
    opened.close()


@pytest.fixture
def desk(shop_outbox: Outbox, store: Kounta) -> OrderOperations:
    """Where Mia acts."""
    return OrderOperations(
        shop_outbox, "mia", connections=from_mapping({"cafe": store.connected()})
    )


def said_no(outbox: Outbox, store: Kounta, how: str) -> None:
    """Bring an order there, and let staff say no to it."""
    pos_id = store.bring(outbox)
    getattr(store.simulator, f"staff_{how}")("ord-1")
    receiver = store.receiver(outbox)
    receiver.receive("cafe", *store.told(pos_id))
    assert [order.id for order in outbox.orders(problem=True)] == ["ord-1"]


@pytest.mark.parametrize("how", ["reject", "delete"])
def test_once_the_customer_was_paid_back_it_is_closed_and_nothing_is_left_to_do(
    shop_outbox: Outbox, store: Kounta, desk: OrderOperations, how: str
) -> None:
    said_no(shop_outbox, store, how)
    found = diagnose_order(shop_outbox, "ord-1", live=False)
    assert (found.well, found.error) == (False, "OrderError")
    assert any("tillpost orders cancel ord-1" in step.do for step in found.steps)
    desk.cancel("ord-1")
    assert not shop_outbox.orders(problem=True)
    closed = diagnose_order(shop_outbox, "ord-1", live=False)
    assert (closed.well, closed.error, closed.steps) == (True, "", ())


def test_one_that_was_deleted_by_mistake_is_made_from_its_docket(
    shop_outbox: Outbox, store: Kounta, desk: OrderOperations
) -> None:
    said_no(shop_outbox, store, "delete")
    taken = desk.manual("ord-1")
    assert (taken.order.state, taken.order.progress) == (OrderState.MANUAL, Progress.ACCEPTED)
    assert not taken.copy_may_appear
    assert "PAID" in taken.docket
    assert desk.manual("ord-1").docket == taken.docket
    assert desk.advance("ord-1").progress is Progress.PREPARING
    assert not shop_outbox.orders(problem=True)


def test_one_that_was_turned_down_or_closed_isnt_made(
    shop_outbox: Outbox, store: Kounta, desk: OrderOperations
) -> None:
    said_no(shop_outbox, store, "reject")
    with pytest.raises(ActError, match="turned it down"):
        desk.manual("ord-1")
    desk.cancel("ord-1")
    with pytest.raises(ActError, match="turned it down"):
        desk.manual("ord-1")
