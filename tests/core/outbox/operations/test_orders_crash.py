"""Whoever acts on an order may die amid it: what was taken over or cancelled by then is never sent after all."""

from __future__ import annotations

import pytest

from core.outbox.killing import Counter, Heartbeat, Site, every_step, until_stopped
from core.outbox.operations.test_people_machine import KeyedSeen, KeylessSeen
from core.stand_in import Keyed, an_order
from tillpost.outbox import OrderState
from tillpost.outbox.db.database import Database
from tillpost.outbox.operations.orders import OrderOperations

pytestmark = pytest.mark.slow

SETTLED = (OrderState.MANUAL, OrderState.CANCELLED)


@pytest.mark.parametrize("kind", [KeyedSeen, KeylessSeen])
@pytest.mark.parametrize("sent", [False, True], ids=["never sent", "at the platform"])
def test_wherever_who_takes_it_over_and_cancels_it_dies_it_isnt_sent_again(
    kind: type[Keyed], sent: bool, either: Database
) -> None:
    counter = Counter()
    shop = counter.shop(kind)

    def alive(order_id: str) -> list[object]:
        return [
            o
            for o in counter.platform.orders.values()
            if o["ref"] == order_id and o["state"] != "DEAD"
        ]

    def run(life: Heartbeat, number: int) -> None:
        order = an_order(f"ord_{number}")
        first = Site(either, shop)
        first.add(order)
        if sent:
            first.work()
        first.end()
        mortal = Site(either, shop, life)
        desk = OrderOperations(
            mortal.outbox, "mia", connections=lambda _: shop.connected(life), clock=shop.clock
        )
        until_stopped(lambda: desk.manual(order.id), lambda: desk.cancel(order.id))
        mortal.end()

        last = Site(either, shop)
        before = last.outbox.get(order.id)
        last.work()
        after = last.outbox.get(order.id)
        assert before
        assert after
        assert len(alive(order.id)) <= 1
        if before.state in SETTLED:
            assert (after.state, after.due_at) == (before.state, None)
            assert not alive(order.id)
        last.end()

    assert every_step(run) > 4
