"""Worker processes submit each order once, whichever of them dies, whatever the database does."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from adapters.square.shop_orders import TOASTIE, paid
from databases import PostgresServer
from tillpost.models.order import Pickup
from tillpost.outbox import Outbox
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator
from waiting import AGES
from worker_process import WorkerProcess, until

pytestmark = pytest.mark.slow

Square = Running[SquareSimulator]
SHORT = 2.0
"""A lease, in seconds."""


def open_outbox(url: str) -> Outbox:
    return Outbox(url, engine="procrastinate")


def add(outbox: Outbox, numbers: Iterable[int]) -> None:
    for number in numbers:
        outbox.add(paid(f"A-{number}", [TOASTIE]), connection="cafe", is_new=True)


def start_worker(url: str, square: Square, lease: float = SHORT, **options: Any) -> WorkerProcess:
    return WorkerProcess(url, square.settings, engine="procrastinate", lease=lease, **options)


def slow(seconds: float, times: int | None = None) -> FaultPlan:
    """Return faults by which each answer to a new order takes so many seconds."""
    drip = Fault(kind=FaultKind.SLOW_DRIP, drip_seconds=seconds)
    return FaultPlan(rules=(FaultRule(fault=drip, method="POST", path="/v2/orders$", times=times),))


def count_arrived(square: Square) -> int:
    return len(square.simulator.ledger().shown)


def has_more_than(square: Square, orders: int) -> bool:
    return count_arrived(square) > orders


def wait_for_arrivals(square: Square, orders: int, *, within: float = 120) -> None:
    until(lambda: count_arrived(square) == orders, within, f"{orders} orders on the register")


def wait_until_received(outbox: Outbox, within: float = 120) -> None:
    until(lambda: states(outbox) == {"received"}, within, "all orders received")


def states(outbox: Outbox) -> set[str]:
    return {stored.state.value for stored in outbox.orders(most=10_000)}


def assert_all_received(square: Square, outbox: Outbox, orders: int) -> None:
    """Assert that each order is on the register once, and that the outbox knows it."""
    ledger = square.simulator.ledger()
    assert (len(ledger.shown), ledger.twice, ledger.half_done) == (orders, (), ())
    assert states(outbox) == {"received"}


def jobs_left(outbox: Outbox) -> int:
    with outbox.database.reading() as db:
        return int(db.scalar(text("SELECT count(*) FROM procrastinate_jobs")) or 0)


def test_committed_orders_are_submitted_and_leave_no_jobs(
    square: Square, postgres_url: str
) -> None:
    with open_outbox(postgres_url) as outbox, start_worker(postgres_url, square) as worker:
        add(outbox, [0])
        wait_for_arrivals(square, 1)
        add(outbox, range(1, 20))
        wait_until_received(outbox)
        until(lambda: jobs_left(outbox) == 0, 120, "an empty queue")
        worker.stop()

        assert_all_received(square, outbox, 20)


def test_job_wakes_the_worker_before_polling_would(square: Square, postgres_url: str) -> None:
    """Polling finds an order only when it is a second late; a job is faster."""
    with open_outbox(postgres_url) as outbox, start_worker(postgres_url, square):
        add(outbox, [0])
        wait_for_arrivals(square, 1)
        until_woken(outbox, square)


def test_orders_without_jobs_are_submitted(square: Square, postgres_url: str) -> None:
    with Outbox(postgres_url, engine="embedded") as outbox, start_worker(postgres_url, square):
        add(outbox, range(3))

        wait_for_arrivals(square, 3)


def test_full_connection_is_drained_after_its_jobs_ended(square: Square, postgres_url: str) -> None:
    square.simulator.set_faults(slow(0.3))
    with open_outbox(postgres_url) as outbox:
        add(outbox, range(12))
        with start_worker(postgres_url, square, concurrency=1, until_idle=True) as worker:
            assert worker.process.wait(120) == 0

        assert_all_received(square, outbox, 12)


def test_scheduled_order_is_submitted_on_time(square: Square, postgres_url: str) -> None:
    with open_outbox(postgres_url) as outbox, start_worker(postgres_url, square):
        outbox.prepare()
        began = time.time()
        due = datetime.now(ZoneInfo("Australia/Sydney")) + timedelta(seconds=1806)
        order = paid("A-1", [TOASTIE], fulfilment=Pickup(due_at=due))
        eligible_at = outbox.add(order, connection="cafe", is_new=True).eligible_at
        assert eligible_at > began + 4
        wait_for_arrivals(square, 1)

        assert eligible_at <= time.time() < eligible_at + AGES


def test_order_is_retried_after_an_outage(square: Square, postgres_url: str) -> None:
    refused = FaultRule(
        fault=Fault(kind=FaultKind.SERVER_ERROR, status=503), method="POST", times=2
    )
    square.simulator.set_faults(FaultPlan(rules=(refused,)))
    with open_outbox(postgres_url) as outbox:
        add(outbox, range(1))
        with start_worker(postgres_url, square, until_idle=True) as worker:
            assert worker.process.wait(120) == 0

        assert_all_received(square, outbox, 1)


@pytest.mark.parametrize("lease", [SHORT, 10.0], ids=["a short lease", "the default lease"])
def test_killed_workers_orders_are_taken_over_in_time(
    square: Square, postgres_url: str, lease: float
) -> None:
    square.simulator.set_faults(slow(3, times=4))
    with (
        open_outbox(postgres_url) as outbox,
        start_worker(postgres_url, square, lease=lease) as first,
    ):
        add(outbox, range(4))
        until(lambda: states(outbox) == {"sending"}, 120, "four claimed orders")
        with start_worker(postgres_url, square, lease=lease):
            until(lambda: len(outbox.workers.beats()) == 2, 120, "a second worker")
            first.kill()

            until(lambda: states(outbox) == {"received"}, AGES, "the takeover")

        assert_all_received(square, outbox, 4)


def test_stopping_worker_ends_in_time_and_loses_nothing(square: Square, postgres_url: str) -> None:
    square.simulator.set_faults(slow(0.5))
    with open_outbox(postgres_url) as outbox, start_worker(postgres_url, square) as worker:
        add(outbox, range(20))
        until(lambda: count_arrived(square) >= 2, 120, "some orders")

        assert worker.stop() < AGES

        assert "sending" not in states(outbox)
        assert outbox.workers.beats() == {}
        assert 2 <= count_arrived(square) < 20
        square.simulator.set_faults(FaultPlan())
        with start_worker(postgres_url, square, until_idle=True) as next_one:
            assert next_one.process.wait(120) == 0
        assert_all_received(square, outbox, 20)


def test_worker_with_hanging_platform_stops_in_time(square: Square, postgres_url: str) -> None:
    hangs = FaultRule(
        fault=Fault(kind=FaultKind.TIMEOUT, hang_seconds=600), method="POST", path="/v2/orders$"
    )
    square.simulator.set_faults(FaultPlan(rules=(hangs,)))
    with open_outbox(postgres_url) as outbox, start_worker(postgres_url, square) as worker:
        add(outbox, [0])
        until(lambda: outbox.journal("A-0"), 120, "the order's intent")

        assert worker.stop() < AGES

        with start_worker(postgres_url, square, until_idle=True) as next_one:
            assert next_one.process.wait(120) == 0
        assert_all_received(square, outbox, 1)


def test_two_workers_share_the_connection_limit(square: Square, postgres_url: str) -> None:
    square.simulator.set_faults(slow(0.2))
    with open_outbox(postgres_url) as outbox:
        added = 40
        add(outbox, range(added))
        most_claimed = 0
        workers: set[str] = set()
        holders = text("SELECT worker FROM tillpost_orders WHERE worker IS NOT NULL")
        with (
            start_worker(postgres_url, square, concurrency=3),
            start_worker(postgres_url, square, concurrency=3),
        ):
            deadline = time.monotonic() + 120
            while count_arrived(square) < 40 or len(workers) < 2:
                assert time.monotonic() < deadline
                if added - count_arrived(square) < 10:  # both have something to do
                    add(outbox, [added])
                    added += 1
                with outbox.database.reading() as db:
                    claimed_by = list(db.scalars(holders))
                most_claimed = max(most_claimed, len(claimed_by))
                workers |= set(claimed_by)
                time.sleep(0.01)
            wait_until_received(outbox)

        assert most_claimed == 3
        assert len(workers) == 2
        assert_all_received(square, outbox, added)


@pytest.mark.parametrize(("down", "how"), [(0.0, "fast"), (3.0, "immediate"), (35.0, "fast")])
def test_workers_survive_a_database_restart(
    square: Square, postgres: PostgresServer, postgres_url: str, down: float, how: Any
) -> None:
    square.simulator.set_faults(slow(0.2))
    with (
        open_outbox(postgres_url) as outbox,
        start_worker(postgres_url, square) as first,
        start_worker(postgres_url, square) as second,
    ):
        outbox.prepare()
        until(lambda: len(outbox.workers.beats()) == 2, 120, "the workers")
        add(outbox, range(20))
        until(lambda: count_arrived(square) >= 4, 120, "some orders")

        postgres.stop(how)
        time.sleep(down)
        postgres.start()

        wait_until_received(outbox)
        square.simulator.set_faults(FaultPlan())
        until_woken(outbox, square)
        assert first.stop() < AGES
        assert second.stop() < AGES
        ledger = square.simulator.ledger()
        assert (ledger.twice, ledger.half_done) == ((), ())


def until_woken(outbox: Outbox, square: Square) -> None:
    """Add orders until one is submitted so fast that a job must have woken a worker."""
    deadline = time.monotonic() + 120
    for number in range(100, 200):
        before = count_arrived(square)
        add(outbox, [number])
        if until(partial(has_more_than, square, before), 120, "the order") < 0.9:
            return
        assert time.monotonic() < deadline, "no worker receives notifications"


def test_database_may_restart_as_a_worker_starts(
    square: Square, postgres: PostgresServer, postgres_url: str
) -> None:
    """It needs the database to start; after that any use of it may fail."""
    with open_outbox(postgres_url) as outbox, start_worker(postgres_url, square) as worker:
        outbox.prepare()
        until(lambda: len(outbox.workers.beats()) == 1, 120, "the worker")
        restarts = threading.Thread(target=postgres.restart, args=("immediate",))
        restarts.start()
        restarts.join()
        add(outbox, range(2))

        wait_for_arrivals(square, 2, within=120)
        assert worker.stop() < AGES


def test_jobs_of_dead_workers_are_deleted(square: Square, postgres_url: str) -> None:
    with open_outbox(postgres_url) as outbox:
        add(outbox, [0])
        with outbox.database.writing() as db:
            # As a killed worker leaves it.
            db.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))
        with start_worker(postgres_url, square):
            wait_for_arrivals(square, 1)
            until(lambda: jobs_left(outbox) == 0, 120, "an empty queue")


def test_resumed_worker_overwrites_nothing(square: Square, postgres_url: str) -> None:
    square.simulator.set_faults(slow(1.0))
    with open_outbox(postgres_url) as outbox, start_worker(postgres_url, square) as first:
        add(outbox, range(6))
        until(lambda: "sending" in states(outbox), 120, "claimed orders")
        first.process.send_signal(signal.SIGSTOP)
        with start_worker(postgres_url, square):
            wait_until_received(outbox)
            first.process.send_signal(signal.SIGCONT)
            until(lambda: len(outbox.workers.beats()) == 2, 120, "the first, under a new id")

        assert first.stop() < AGES
        assert_all_received(square, outbox, 6)
