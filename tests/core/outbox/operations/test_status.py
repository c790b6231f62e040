"""The status of an outbox: what waits, what went wrong, and which stores need a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'orders.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def outbox(url: str) -> Iterator[Outbox]:
    """An outbox on each database."""
    with Outbox(url, settings=QUICK) as outbox:
        outbox.prepare()
        yield outbox


def test_new_outbox_is_well_and_empty(outbox: Outbox) -> None:
    status = overview(outbox)
    assert status.well
    assert status.problems == {}
    assert status.waiting == 0
    assert status.oldest is None


def test_due_order_that_no_worker_claims_becomes_late(outbox: Outbox) -> None:
    outbox.add(lunch(), connection="cafe")
    now = time.time()

    status = overview(outbox, now + 1.0)
    assert (status.waiting, status.late, status.workers) == (1, 0, 0)
    assert status.well

    later = overview(outbox, now + LATE + 1.0)
    assert later.late == 1
    assert not later.well
    assert later.oldest
    assert (later.oldest.order, later.oldest.connection) == ("ord-1", "cafe")


def test_scheduled_order_is_neither_late_nor_the_oldest(outbox: Outbox) -> None:
    tomorrow = Pickup(due_at=datetime.now(UTC) + timedelta(days=1))
    outbox.add(lunch(fulfilment=tomorrow), connection="cafe")
    status = overview(outbox)
    assert (status.scheduled, status.waiting, status.late) == (1, 0, 0)
    assert status.oldest is None


def test_problem_is_counted_until_its_order_is_completed(shop: Shop, outbox: Outbox) -> None:
    shop.simulator.remove_variation("5312")
    for number in range(3):
        outbox.add(lunch(f"ord-{number}"), connection="cafe")
    work_off(outbox, {"cafe": connected(shop)})
    assert overview(outbox).problems == {"MenuError": 3}
    assert not overview(outbox).well

    operations = OrderOperations(outbox, "mia")
    operations.accept("ord-0")
    assert overview(outbox).problems == {"MenuError": 3}, "it still isn't on the register"
    operations.advance("ord-0", Progress.COMPLETED)
    assert overview(outbox).problems == {"MenuError": 2}
    assert {order.id for order in outbox.orders(problem=True)} == {"ord-1", "ord-2"}


def test_orders_waiting_for_an_outage_to_end_are_not_late(shop: Shop, outbox: Outbox) -> None:
    failing = Fault(kind=FaultKind.SERVER_ERROR, status=503)
    shop.simulator.set_faults(FaultPlan(rules=(FaultRule(fault=failing, times=None),)))
    count = QUICK.outage_after
    for number in range(count):
        outbox.add(lunch(f"ord-{number}"), connection="cafe")
    with Processor(outbox, connections=from_mapping({"cafe": connected(shop)})) as processor:
        for claim in processor.claim(count):
            processor.handle(claim)
        status = overview(outbox, time.time() + LATE * 2)
    assert (status.waiting, status.late, status.workers) == (count, 0, 1)
