"""How fast workers drain a backlog under each engine, and how soon a single order is sent.

All is timed in turn in one run, and printed as ratios to one embedded worker on SQLite, because the
machine's speed drops out of those: `pytest tests/benchmarks/test_engines.py`. The workers share the
machine with the simulator."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Generator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from adapters.square.shop_orders import TOASTIE, paid
from databases import PostgresServer
from tillpost.outbox import Outbox
from tillpost.simulator import Fault, FaultKind, FaultPlan, Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator
from worker_process import WorkerProcess, until

ORDERS = 200
ROUNDS = 3
SINGLES = 15
SETUPS = (("sqlite", "embedded"), ("postgresql", "embedded"), ("postgresql", "procrastinate"))
AT_ONCE = FaultPlan()
AFTER_A_WHILE = FaultPlan(
    rate=1, method="POST", faults=(Fault(kind=FaultKind.SLOW_DRIP, drip_seconds=0.15),)
)


@pytest.fixture
def square() -> Generator[Running[SquareSimulator]]:
    with serve_in_thread(SquareSimulator()) as running:
        yield running


def fresh(database: str, postgres: PostgresServer, folder: Path) -> str:
    if database == "postgresql":
        return postgres.url(postgres.create_database())
    return f"sqlite:///{folder / f'{time.monotonic_ns()}.db'}"


def has_more_than(square: Running[SquareSimulator], orders: int) -> bool:
    return len(square.simulator.ledger().shown) > orders


def drained(square: Running[SquareSimulator], url: str, engine: str, workers: int) -> float:
    """Orders a second, between the first tenth and the last tenth of a backlog."""
    square.simulator.reset()
    with Outbox(url, engine=engine) as outbox:
        for number in range(ORDERS):
            outbox.add(paid(f"A-{number}", [TOASTIE]), connection="cafe", is_new=True)
        running = [
            WorkerProcess(url, square.settings, engine=engine, concurrency=64, until_idle=True)
            for _ in range(workers)
        ]
        for worker in running:
            assert worker.process.wait(300) == 0
        with outbox.database.reading() as db:
            at: list[float] = sorted(
                db.scalars(text("SELECT updated_at FROM tillpost_orders WHERE state = 'received'"))
            )
    assert len(at) == ORDERS
    assert not square.simulator.ledger().twice
    tenth = ORDERS // 10
    return (ORDERS - 2 * tenth) / (at[-tenth] - at[tenth])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("answers", ["at once", "after 0.15 s a call"])
def test_how_fast_a_backlog_is_drained(
    square: Running[SquareSimulator],
    postgres: PostgresServer,
    tmp_path: Path,
    answers: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    square.simulator.set_faults(AT_ONCE if answers == "at once" else AFTER_A_WHILE)
    rates = defaultdict[tuple[str, str, int], list[float]](list)
    for _ in range(ROUNDS):
        for database, engine in SETUPS:
            for workers in (1, 2):
                url = fresh(database, postgres, tmp_path)
                rates[database, engine, workers].append(drained(square, url, engine, workers))
    floor = statistics.median(rates["sqlite", "embedded", 1])
    with capsys.disabled():
        print(
            f"\na backlog of {ORDERS}, the platform answers {answers};"
            f" one embedded worker on SQLite: {floor:.0f}/s"
        )
        for (database, engine, workers), each in rates.items():
            ratio = statistics.median(each) / floor
            print(f"  {database:10} {engine:13} {workers} workers: {ratio:.2f} of that")


@pytest.mark.timeout(600)
def test_how_soon_a_single_order_goes(
    square: Running[SquareSimulator],
    postgres: PostgresServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    waits = defaultdict[tuple[str, str], list[float]](list)
    for database, engine in SETUPS:
        square.simulator.reset()
        url = fresh(database, postgres, tmp_path)
        with (
            Outbox(url, engine=engine) as outbox,
            WorkerProcess(url, square.settings, engine=engine),
        ):
            for number in range(SINGLES + 1):
                outbox.add(paid(f"A-{number}", [TOASTIE]), connection="cafe", is_new=True)
                took = until(partial(has_more_than, square, number), 30, "the order")
                if number:  # the first waits for the worker to start
                    waits[database, engine].append(took)
                time.sleep(0.5 + number / 50)
    with capsys.disabled():
        print("\nfrom the commit of a single order to the register, median:")
        for (database, engine), each in waits.items():
            median, longest = statistics.median(each), max(each)
            print(f"  {database:10} {engine:13} {median:.2f} s (at most {longest:.2f} s)")
