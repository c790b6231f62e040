"""Rows: how fast workers drain a backlog under each engine, and how soon a single order is sent.

A backlog is compared with that of one embedded worker on SQLite, in orders a second from the first
tenth to the last tenth. The platform, a simulator in this process, answers at once, or `slow`: each
call takes 0.15 s, as in production. Workers, simulator and PostgreSQL share the machine. A `wait`
is the time from the commit of a single order to the platform.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from sqlalchemy import select

from adapters.square.shop_orders import TOASTIE, paid
from benchmarks.frame import row
from benchmarks.places import Database, databases
from tillpost.outbox import Outbox
from tillpost.outbox.db import schema as t
from tillpost.simulator import Fault, FaultKind, FaultPlan, Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator
from worker_process import WorkerProcess, until

SETUPS: dict[str, tuple[Database, str]] = {
    "sqlite": ("sqlite", "embedded"),
    "postgresql": ("postgresql", "embedded"),
    "procrastinate": ("postgresql", "procrastinate"),
}
"""The database and the engine by what a row is called."""

_AT_ONCE = FaultPlan()
_SLOWLY = FaultPlan(
    rate=1, method="POST", faults=(Fault(kind=FaultKind.SLOW_DRIP, drip_seconds=0.15),)
)


def drains_against_one_worker(
    setup: str, workers: int, *, slowly: bool, orders: int, rounds: int
) -> Iterator[float]:
    """Yield orders a second of so many workers / of one embedded worker on SQLite."""
    kind, engine = SETUPS[setup]
    with (
        serve_in_thread(SquareSimulator()) as square,
        databases("sqlite") as new_file,
        databases(kind) as new_database,
    ):
        square.simulator.set_faults(_SLOWLY if slowly else _AT_ONCE)
        for _ in range(rounds):
            floor = _drained(square, new_file(), "embedded", 1, orders)
            yield _drained(square, new_database(), engine, workers, orders) / floor


def _drained(
    square: Running[SquareSimulator], url: str, engine: str, workers: int, orders: int
) -> float:
    """Drain a backlog by worker processes; return orders a second."""
    square.simulator.reset()
    with Outbox(url, engine=engine) as outbox, ExitStack() as stack:
        for number in range(orders):
            outbox.add(paid(f"A-{number}", [TOASTIE]), connection="cafe", is_new=True)
        running = [
            WorkerProcess(url, square.settings, engine=engine, concurrency=64, until_idle=True)
            for _ in range(workers)
        ]
        for worker in running:
            stack.enter_context(worker)
        for worker in running:
            assert worker.process.wait(300) == 0
        received = select(t.orders.c.updated_at).where(t.orders.c.state == "received")
        with outbox.database.reading() as db:
            at: list[float] = sorted(db.scalars(received))
    assert len(at) == orders
    assert not square.simulator.ledger().twice
    tenth = orders // 10
    return (orders - 2 * tenth) / (at[-tenth] - at[tenth])


def waits(setup: str, orders: int) -> Iterator[float]:
    """Yield the seconds from the commit of a single order to the platform."""
    kind, engine = SETUPS[setup]
    with serve_in_thread(SquareSimulator()) as square, databases(kind) as new_database:
        url = new_database()
        with (
            Outbox(url, engine=engine) as outbox,
            WorkerProcess(url, square.settings, engine=engine),
        ):
            for number in range(orders + 1):
                outbox.add(paid(f"A-{number}", [TOASTIE]), connection="cafe", is_new=True)
                took = until(_has_more_than(square, number), 30, "the order")
                if number:  # the first waits for the worker to start
                    yield took
                time.sleep(0.5 + number / 50)


def _has_more_than(square: Running[SquareSimulator], orders: int) -> Callable[[], bool]:
    return lambda: len(square.simulator.ledger().shown) > orders


for _setup, (_kind, _engine) in SETUPS.items():
    _where = f"{_engine} on {_kind}"

    @row(
        f"engines-{_setup}-wait",
        f"from the commit of an order to the platform, {_where}",
        unit="s",
        takes=20,
    )
    def _wait(setup: str = _setup) -> Iterator[float]:
        return waits(setup, orders=15)

    for _workers in (1, 2, 4):
        if (_setup, _workers) == ("sqlite", 1):
            continue  # the reference
        for _slowly, _suffix, _answers in ((False, "", ""), (True, "-slow", ", 0.15 s a call")):

            @row(
                f"engines-{_setup}-{_workers}{_suffix}",
                f"workers: {_workers}, {_where} / one embedded on sqlite{_answers}",
                takes=45 if _slowly else 30,
            )
            def _drain(
                setup: str = _setup, workers: int = _workers, slowly: bool = _slowly
            ) -> Iterator[float]:
                return drains_against_one_worker(
                    setup, workers, slowly=slowly, orders=200, rounds=3
                )
