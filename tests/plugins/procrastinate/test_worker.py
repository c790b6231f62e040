"""Workers in processes of their own carry orders to the register, whoever of them dies, whatever the database does."""

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
from worker_process import WorkerProcess, until

pytestmark = pytest.mark.slow

Square = Running[SquareSimulator]
SHORT = 2.0
"""A lease, in seconds."""


def the_outbox(url: str) -> Outbox:
    return Outbox(url, engine="procrastinate")


def add(outbox: Outbox, numbers: Iterable[int]) -> None:
    for number in numbers:
        outbox.add(paid(f"A-{number}", [TOASTIE]), connection="cafe", is_new=True)


def a_worker(url: str, square: Square, lease: float = SHORT, **options: Any) -> WorkerProcess:
    return WorkerProcess(url, square.settings, engine="procrastinate", lease=lease, **options)


def slow(seconds: float, times: int | None = None) -> FaultPlan:
    """Every answer to a new order comes after so many seconds."""
    drip = Fault(kind=FaultKind.SLOW_DRIP, drip_seconds=seconds)
    return FaultPlan(rules=(FaultRule(fault=drip, method="POST", path="/v2/orders$", times=times),))


def arrived(square: Square) -> int:
    return len(square.simulator.ledger().shown)


def has_more_than(square: Square, orders: int) -> bool:
    return arrived(square) > orders


def states(outbox: Outbox) -> set[str]:
    return {stored.state.value for stored in outbox.orders(most=10_000)}


def all_is_well(square: Square, outbox: Outbox, orders: int) -> None:
    """Every order is on the register once, and the store knows."""
    ledger = square.simulator.ledger()
    assert (len(ledger.shown), ledger.twice, ledger.half_done) == (orders, (), ())
    assert states(outbox) == {"received"}


def jobs_left(outbox: Outbox) -> int:
    with outbox.database.reading() as db:
        return int(db.scalar(text("SELECT count(*) FROM procrastinate_jobs")) or 0)


def test_orders_are_carried_as_soon_as_they_are_committed_and_leave_no_jobs(
    square: Square, postgres_url: str
) -> None:
    with the_outbox(postgres_url) as outbox, a_worker(postgres_url, square) as worker:
        add(outbox, [0])
        until(lambda: arrived(square) == 1, 20, "the first order")
        add(outbox, range(1, 20))
        until(lambda: states(outbox) == {"received"}, 15, "all orders")
        until(lambda: jobs_left(outbox) == 0, 5, "an empty queue")
        worker.stop()

        all_is_well(square, outbox, 20)


def test_an_order_is_carried_by_its_job_before_anybody_looks(
    square: Square, postgres_url: str
) -> None:
    """The looking finds an order when it is a second late; a job that wakes is faster."""
    with the_outbox(postgres_url) as outbox, a_worker(postgres_url, square):
        add(outbox, [0])
        until(lambda: arrived(square) == 1, 20, "the worker's start")
        waits = list[float]()
        for number in range(1, 6):
            add(outbox, [number])
            waits.append(until(partial(has_more_than, square, number), 15, "the order"))

    assert min(waits) < 0.9


def test_orders_without_jobs_are_found(square: Square, postgres_url: str) -> None:
    with Outbox(postgres_url, engine="embedded") as outbox, a_worker(postgres_url, square):
        add(outbox, range(3))

        until(lambda: arrived(square) == 3, 20, "all orders")


def test_a_full_connection_is_drained_although_its_jobs_found_no_room(
    square: Square, postgres_url: str
) -> None:
    square.simulator.set_faults(slow(0.3))
    with the_outbox(postgres_url) as outbox:
        add(outbox, range(12))
        with a_worker(postgres_url, square, concurrency=1, until_idle=True) as worker:
            assert worker.process.wait(60) == 0

        all_is_well(square, outbox, 12)


def test_a_scheduled_order_goes_at_its_time(square: Square, postgres_url: str) -> None:
    with the_outbox(postgres_url) as outbox, a_worker(postgres_url, square):
        outbox.prepare()
        due = datetime.now(ZoneInfo("Australia/Sydney")) + timedelta(seconds=1806)
        order = paid("A-1", [TOASTIE], fulfilment=Pickup(due_at=due))
        eligible_at = outbox.add(order, connection="cafe", is_new=True).eligible_at
        assert eligible_at > time.time() + 4
        until(lambda: arrived(square) == 1, 20, "the order")

        assert eligible_at <= time.time() < eligible_at + 5


def test_an_order_that_an_outage_stops_goes_when_its_wait_is_over(
    square: Square, postgres_url: str
) -> None:
    refused = FaultRule(
        fault=Fault(kind=FaultKind.SERVER_ERROR, status=503), method="POST", times=2
    )
    square.simulator.set_faults(FaultPlan(rules=(refused,)))
    with the_outbox(postgres_url) as outbox:
        add(outbox, range(1))
        with a_worker(postgres_url, square, until_idle=True) as worker:
            assert worker.process.wait(60) == 0

        all_is_well(square, outbox, 1)


@pytest.mark.parametrize("lease", [SHORT, 10.0], ids=["a short lease", "the default lease"])
def test_a_killed_workers_orders_are_taken_over_within_fifteen_seconds(
    square: Square, postgres_url: str, lease: float
) -> None:
    square.simulator.set_faults(slow(3, times=4))
    with the_outbox(postgres_url) as outbox, a_worker(postgres_url, square, lease=lease) as first:
        add(outbox, range(4))
        until(lambda: states(outbox) == {"sending"}, 20, "four orders in hand")
        with a_worker(postgres_url, square, lease=lease):
            until(lambda: len(outbox.workers.beats()) == 2, 20, "a second worker")
            first.kill()

            until(
                lambda: states(outbox) == {"received"}, 15 if lease > SHORT else 8, "the takeover"
            )

        all_is_well(square, outbox, 4)


def test_a_worker_that_is_asked_to_ends_in_time_and_loses_nothing(
    square: Square, postgres_url: str
) -> None:
    square.simulator.set_faults(slow(0.5))
    with the_outbox(postgres_url) as outbox, a_worker(postgres_url, square) as worker:
        add(outbox, range(20))
        until(lambda: arrived(square) >= 2, 20, "some orders")

        assert worker.stop() < 10

        assert "sending" not in states(outbox)
        assert outbox.workers.beats() == {}
        assert 2 <= arrived(square) < 20
        square.simulator.set_faults(FaultPlan())
        with a_worker(postgres_url, square, until_idle=True) as next_one:
            assert next_one.process.wait(60) == 0
        all_is_well(square, outbox, 20)


def test_a_worker_whose_platform_hangs_ends_in_time(square: Square, postgres_url: str) -> None:
    hangs = FaultRule(
        fault=Fault(kind=FaultKind.TIMEOUT, hang_seconds=60), method="POST", path="/v2/orders$"
    )
    square.simulator.set_faults(FaultPlan(rules=(hangs,)))
    with the_outbox(postgres_url) as outbox, a_worker(postgres_url, square) as worker:
        add(outbox, [0])
        until(lambda: outbox.journal("A-0"), 20, "the order's intent")

        assert worker.stop() < 10

        with a_worker(postgres_url, square, until_idle=True) as next_one:
            assert next_one.process.wait(60) == 0
        all_is_well(square, outbox, 1)


def test_two_workers_share_a_connections_limit(square: Square, postgres_url: str) -> None:
    square.simulator.set_faults(slow(0.2))
    with the_outbox(postgres_url) as outbox:
        add(outbox, range(40))
        held, most, workers = outbox.database, 0, set[str]()
        with (
            a_worker(postgres_url, square, concurrency=3),
            a_worker(postgres_url, square, concurrency=3),
        ):
            deadline = time.monotonic() + 60
            while arrived(square) < 40:
                assert time.monotonic() < deadline
                with held.reading() as db:
                    now = list(
                        db.scalars(
                            text("SELECT worker FROM tillpost_orders WHERE worker IS NOT NULL")
                        )
                    )
                most, workers = max(most, len(now)), workers | set(now)
                time.sleep(0.01)
            until(lambda: states(outbox) == {"received"}, 10, "all orders")

        assert most == 3
        assert len(workers) == 2
        all_is_well(square, outbox, 40)


@pytest.mark.parametrize(("down", "how"), [(0.0, "fast"), (3.0, "immediate"), (35.0, "fast")])
def test_workers_outlive_the_database(
    square: Square, postgres: PostgresServer, postgres_url: str, down: float, how: Any
) -> None:
    square.simulator.set_faults(slow(0.2))
    with (
        the_outbox(postgres_url) as outbox,
        a_worker(postgres_url, square) as first,
        a_worker(postgres_url, square) as second,
    ):
        add(outbox, range(20))
        until(lambda: arrived(square) >= 4, 20, "some orders")

        postgres.stop(how)
        time.sleep(down)
        postgres.start()

        until(lambda: states(outbox) == {"received"}, 40, "all orders")
        square.simulator.set_faults(FaultPlan())
        until_woken(outbox, square)
        assert first.stop() < 10
        assert second.stop() < 10
        ledger = square.simulator.ledger()
        assert (ledger.twice, ledger.half_done) == ((), ())


def until_woken(outbox: Outbox, square: Square) -> None:
    """Add orders until one is carried so fast that a job must have woken a worker."""
    deadline = time.monotonic() + 30
    for number in range(100, 200):
        before = arrived(square)
        add(outbox, [number])
        if until(partial(has_more_than, square, before), 20, "the order") < 0.9:
            return
        assert time.monotonic() < deadline, "no worker listens any more"


def test_the_database_may_restart_just_as_a_worker_has_started(
    square: Square, postgres: PostgresServer, postgres_url: str
) -> None:
    """It needs the database to begin with; what it does after that may fail at any time."""
    with the_outbox(postgres_url) as outbox, a_worker(postgres_url, square) as worker:
        outbox.prepare()
        until(lambda: len(outbox.workers.beats()) == 1, 20, "the worker")
        restarts = threading.Thread(target=postgres.restart, args=("immediate",))
        restarts.start()
        restarts.join()
        add(outbox, range(2))

        until(lambda: arrived(square) == 2, 30, "all orders")
        assert worker.stop() < 10


def test_jobs_of_dead_workers_are_cleared_away(square: Square, postgres_url: str) -> None:
    with the_outbox(postgres_url) as outbox:
        add(outbox, [0])
        with outbox.database.writing() as db:
            db.execute(
                text("UPDATE procrastinate_jobs SET status = 'doing'")
            )  # as a killed worker leaves it
        with a_worker(postgres_url, square):
            until(lambda: arrived(square) == 1, 20, "the order")
            until(lambda: jobs_left(outbox) == 0, 10, "an empty queue")


def test_a_paused_worker_that_comes_back_writes_over_nobody(
    square: Square, postgres_url: str
) -> None:
    square.simulator.set_faults(slow(1.0))
    with the_outbox(postgres_url) as outbox, a_worker(postgres_url, square) as first:
        add(outbox, range(6))
        until(lambda: "sending" in states(outbox), 20, "orders in hand")
        first.process.send_signal(signal.SIGSTOP)
        with a_worker(postgres_url, square):
            until(lambda: states(outbox) == {"received"}, 30, "the takeover")
            first.process.send_signal(signal.SIGCONT)
            time.sleep(3)

        assert first.stop() < 10
        all_is_well(square, outbox, 6)
