"""A person's process dies during an act: an order taken over or cancelled is never sent again."""

from __future__ import annotations

import pytest

from core.outbox.asking import Asking
from core.outbox.killing import Counter, Lifetime, Site, every_step, until_stopped
from core.outbox.operations.test_people_machine import KeyedRegister, KeylessRegister
from core.stand_in import Keyed, an_order
from tillpost.outbox import OrderState
from tillpost.outbox.db.database import Database
from tillpost.outbox.operations.orders import OrderOperations

pytestmark = pytest.mark.slow

SETTLED = (OrderState.MANUAL, OrderState.CANCELLED)


@pytest.mark.parametrize("kind", [KeyedRegister, KeylessRegister])
@pytest.mark.parametrize("sent", [False, True], ids=["never sent", "at the platform"])
def test_crash_during_takeover_or_cancel_never_sends_the_order(
    kind: type[Keyed], sent: bool, either: Database
) -> None:
    counter = Counter()
    shop = counter.shop(kind)

    def active(order_id: str) -> list[object]:
        orders = counter.platform.orders.values()
        copies = [order for order in orders if order["ref"] == order_id]
        return [copy for copy in copies if copy["state"] != "DEAD"]

    def run(life: Lifetime, number: int) -> None:
        order = an_order(f"ord_{number}")
        first = Site(either, shop)
        first.add(order)
        if sent:
            first.work()
        first.end()
        mortal = Site(either, shop, life)
        operations = OrderOperations(
            mortal.outbox,
            "mia",
            connections=Asking(lambda _: shop.connected(life)),
            clock=shop.clock,
        )
        until_stopped(lambda: operations.manual(order.id), lambda: operations.cancel(order.id))
        mortal.end()

        last = Site(either, shop)
        before = last.outbox.get(order.id)
        last.work()
        after = last.outbox.get(order.id)
        assert before
        assert after
        assert len(active(order.id)) <= 1
        if before.state in SETTLED:
            assert (after.state, after.due_at) == (before.state, None)
            assert not active(order.id)
        last.end()

    assert every_step(run) > 4
