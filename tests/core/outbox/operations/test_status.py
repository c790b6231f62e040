"""One look tells how everything stands: what waits, what went wrong, and which stores need somebody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from core.outbox.corner_shop import QUICK, connected, lunch, work_off
from tillpost import Outbox
from tillpost.models.order import Pickup, Progress
from tillpost.outbox import Processor, from_mapping
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.outbox.operations.status import LATE, overview
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator

Shop = Running[SquareSimulator]


@pytest.fixture(params=["sqlite", "postgresql"])
def outbox(request: pytest.FixtureRequest) -> Iterator[Outbox]:
    """An outbox on each database."""
    on_sqlite = request.param == "sqlite"
    url = (
        f"sqlite:///{request.getfixturevalue('tmp_path')}/orders.db"
        if on_sqlite
        else request.getfixturevalue("postgres_url")
    )
    with Outbox(url, settings=QUICK) as made:
        made.prepare()
        yield made


def test_a_new_outbox_is_well_and_empty(outbox: Outbox) -> None:
    known = overview(outbox)
    assert (known.well, known.problems, known.waiting, known.oldest) == (True, {}, 0, None)


def test_an_order_that_nobody_takes_in_hand_is_late_after_a_while(outbox: Outbox) -> None:
    outbox.add(lunch(), connection="cafe")
    now = time.time()
    fresh, later = overview(outbox, now + 1.0), overview(outbox, now + LATE + 1.0)
    assert (fresh.waiting, fresh.late, fresh.well, fresh.workers) == (1, 0, True, 0)
    assert (later.late, later.well) == (1, False)
    assert later.oldest
    assert (later.oldest.order, later.oldest.connection) == ("ord-1", "cafe")


def test_scheduled_orders_are_neither_late_nor_the_oldest(outbox: Outbox) -> None:
    tomorrow = Pickup(due_at=datetime.now(UTC) + timedelta(days=1))
    outbox.add(lunch(fulfilment=tomorrow), connection="cafe")
    known = overview(outbox)
    assert (known.scheduled, known.waiting, known.late, known.oldest) == (1, 0, 0, None)


def test_problems_are_counted_by_kind_until_the_customer_has_had_the_order(
    shop: Shop, outbox: Outbox
) -> None:
    shop.simulator.remove_variation("5312")
    for number in range(3):
        outbox.add(lunch(f"ord-{number}"), connection="cafe")
    work_off(outbox, {"cafe": connected(shop)})
    assert overview(outbox).problems == {"MenuError": 3}
    assert not overview(outbox).well
    desk = OrderOperations(outbox, "mia")
    desk.accept("ord-0")
    assert overview(outbox).problems == {"MenuError": 3}, "it still isn't on the register"
    desk.advance("ord-0", Progress.COMPLETED)
    assert overview(outbox).problems == {"MenuError": 2}
    assert {order.id for order in outbox.orders(problem=True)} == {"ord-1", "ord-2"}


def test_an_outage_keeps_orders_waiting_but_none_is_late(shop: Shop, outbox: Outbox) -> None:
    down = Fault(kind=FaultKind.SERVER_ERROR, status=503)
    shop.simulator.set_faults(FaultPlan(rules=(FaultRule(fault=down, times=None),)))
    for number in range(QUICK.outage_after):
        outbox.add(lunch(f"ord-{number}"), connection="cafe")
    with Processor(outbox, connections=from_mapping({"cafe": connected(shop)})) as processor:
        for claim in processor.claim(QUICK.outage_after):
            processor.handle(claim)
        known = overview(outbox, time.time() + LATE * 2)
    assert (known.waiting, known.late, known.workers) == (QUICK.outage_after, 0, 1)
