"""Workers on machines whose clocks are far apart deliver each other's orders at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import OrderState, Outbox
from tillpost.outbox.orders.models import WaitsFor
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator
from waiting import eventually
from worker_process import WorkerProcess

pytestmark = pytest.mark.slow

Square = Running[SquareSimulator]

MINUTES = 60.0
HOURS = 3600.0

LONGEST_WAIT = 2.0
"""The longest wait before a retry, in seconds."""

SETTINGS: dict[str, Any] = {
    "first_wait": 0.2,
    "longest_wait": LONGEST_WAIT,
    "give_up_after": 10 * MINUTES,
    "outage_after": 1000,
}

UNFINISHED = {OrderState.DUE, OrderState.SENDING}

UNAVAILABLE = Fault(kind=FaultKind.SERVER_ERROR, status=503)

wrong_clocks = pytest.mark.parametrize(
    ("engine", "one", "other"),
    [
        ("embedded", 20 * MINUTES, 0.0),
        ("embedded", 0.0, 20 * MINUTES),
        ("embedded", -20 * MINUTES, 5 * HOURS),
        ("procrastinate", -20 * MINUTES, 5 * HOURS),
    ],
)
"""By how many seconds the clocks of two workers are ahead."""


@pytest.fixture
def square() -> Iterator[Square]:
    with serve_in_thread(SquareSimulator()) as running:
        yield running


def start_worker(url: str, square: Square, engine: str, ahead: float) -> WorkerProcess:
    return WorkerProcess(url, square.settings, engine=engine, ahead=ahead, **SETTINGS)


def database_time(outbox: Outbox) -> float:
    with outbox.database.reading() as db:
        seconds = db.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
    assert seconds is not None
    return float(seconds)


def refuse(square: Square, times: int | None) -> None:
    rule = FaultRule(fault=UNAVAILABLE, method="POST", path="/v2/orders$", times=times)
    square.simulator.set_faults(FaultPlan(rules=(rule,)))


def add(outbox: Outbox, numbers: Iterable[int]) -> None:
    for number in numbers:
        outbox.add(paid(f"A-{number}", [TOASTIE]), connection="cafe", is_new=True)


def states(outbox: Outbox) -> set[OrderState]:
    return {stored.state for stored in outbox.orders()}


def waits_for_retry(outbox: Outbox) -> bool:
    stored = outbox.get("A-0")
    return stored is not None and stored.waits_for is WaitsFor.RETRY and stored.worker is None


@wrong_clocks
def test_order_that_one_worker_put_off_is_sent_by_the_other(
    engine: str, one: float, other: float, square: Square, postgres_url: str
) -> None:
    refuse(square, times=None)
    with Outbox(postgres_url, engine=engine) as outbox:
        add(outbox, [0])
        with start_worker(postgres_url, square, engine, one) as worker:
            eventually(lambda: waits_for_retry(outbox))
            worker.kill()
        stored = outbox.get("A-0")
        assert stored
        assert stored.due_at is not None
        assert stored.due_at <= database_time(outbox) + LONGEST_WAIT

        square.simulator.set_faults(FaultPlan())
        with start_worker(postgres_url, square, engine, other):
            eventually(lambda: states(outbox) == {OrderState.RECEIVED})


@wrong_clocks
def test_workers_give_up_no_order_that_was_just_added(
    engine: str, one: float, other: float, square: Square, postgres_url: str
) -> None:
    refuse(square, times=10)
    with (
        Outbox(postgres_url, engine=engine) as outbox,
        start_worker(postgres_url, square, engine, one),
        start_worker(postgres_url, square, engine, other),
    ):
        add(outbox, range(20))
        eventually(lambda: not states(outbox) & UNFINISHED)

        assert states(outbox) == {OrderState.RECEIVED}
        ledger = square.simulator.ledger()
        assert (len(ledger.shown), ledger.twice, ledger.half_done) == (20, (), ())
