"""Workers are killed while they submit orders to platforms that fail on one request in five.

Each order must end as it should, once, and the outbox must agree with the registers.
`--crash-orders 10000 --kills 300` is a long run; `--seed` repeats a run's orders, faults and choice
of workers to kill, though not its timing.
"""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, func, select

from crash.tally import tally
from crash.workers import Workers, working
from crash.world import LEAD, Placed, World, place, serving
from tillpost.outbox import Outbox, OutboxSettings
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.claims import SET_ASIDE_AFTER

pytestmark = pytest.mark.slow

WORKERS = 3
BACKLOG = 60
"""A kill waits until at most so many orders are due, which spreads the kills over the run."""

VISIT_EVERY = 5
"""After how many kills another program visits the database."""

STUCK_AFTER = 120.0  # seconds


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database of a kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/orders.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("address", "engine"),
    [("sqlite", "embedded"), ("postgresql", "procrastinate")],
    indirect=["address"],
)
def test_killed_workers_lose_and_duplicate_no_order(
    address: str,
    engine: str,
    crash_orders: int,
    kills: int,
    seed: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "aiohttp.server")  # it logs each killed client
    settings = OutboxSettings(
        db=address,
        engine=engine,
        threads=6,
        concurrency=16,
        lease=4.0,
        first_wait=0.05,
        longest_wait=0.5,
        lead=LEAD,
    )
    program = tmp_path / "world.json"
    log = tmp_path / "workers.log"
    began = time.monotonic()
    with serving(seed, crash_orders) as world, Outbox(settings=settings) as outbox:
        world.write(program, settings)
        with working(program, log, WORKERS) as workers:
            run = Run(world, outbox, workers, seed)
            run.storm(crash_orders, kills)
            run.drain()
        result = tally(world, outbox, run.placed)
        took = time.monotonic() - began
        print(
            f"\n--seed {seed}: {crash_orders} orders, {kills} kills of {workers.started} workers"
            f" with {run.in_flight} claimed orders,"
            f" {world.struck} of {world.requests} requests failed, {took:.0f} s\n{result}"
        )
        events = journals(outbox, result.suspects)
        assert not result.wrong, f"--seed {seed}: {result}\n{events}\n{workers.log()}"
    assert run.in_flight > 0
    assert world.struck > world.requests / 8


def journals(outbox: Outbox, order_ids: Sequence[str]) -> str:
    """Return what happened to the orders that ended wrong, an event a line."""
    lines: list[str] = []
    for order_id in order_ids:
        lines += [f"{order_id}: {event}" for event in outbox.journal(order_id)]
    if not lines:
        return ""
    for each in outbox.imports(most=60):
        changes = each.changes.in_words()
        lines.append(f"import of {each.connection} at {each.at}: {changes}")
    return "\n".join(lines)


class Run:
    """One run: orders are added while workers are killed."""

    def __init__(self, world: World, outbox: Outbox, workers: Workers, seed: int) -> None:
        self._world = world
        self._outbox = outbox
        self._workers = workers
        self._seed = seed
        self._draw = random.Random(seed)
        self.placed: list[Placed] = []
        self.in_flight: int = 0

    def storm(self, orders: int, kills: int) -> None:
        """Add the orders, a share before each kill, and kill at random."""
        for number in range(kills):
            self._add(orders * (number + 1) // kills)
            if number == kills // 2:
                self._world.drift()
            self._wait_for(lambda: self._due() <= BACKLOG)
            self._pause(self._draw.uniform(0.05, 0.8))
            # After one more crash, an order would rightly be set aside for a person.
            self._wait_for(lambda: self._worst() < SET_ASIDE_AFTER - 1)
            self.in_flight += self._held_by(self._workers.kill_one(self._draw, self._at_work()))
            self._workers.fill()
            if number % VISIT_EVERY == 0:
                self._visit()

    @property
    def stuck_after(self) -> float:
        """For how many seconds there may be no progress."""
        return STUCK_AFTER

    def drain(self) -> None:
        """Let the workers finish what is left."""
        latest = max(
            each.order.due_at.timestamp() - LEAD for each in self.placed if each.order.due_at
        )
        self._wait_for(lambda: time.time() > latest)
        self._wait_for(lambda: self._due() == 0)
        try:
            self._workers.wait(self.stuck_after)
        except AssertionError as error:
            error.add_note(f"unfinished: {self._unfinished()}")
            raise

    def _add(self, up_to: int) -> None:
        for number in range(len(self.placed), up_to):
            each = place(number, self._seed, tuple(self._world.stores))
            self._outbox.add(each.order, connection=each.store, is_new=each.is_new)
            self.placed.append(each)

    def _visit(self) -> None:
        """Have a process open the database, read from it and close it, as a command does."""
        program = (
            "import sys; from tillpost import Outbox\n"
            "with Outbox(sys.argv[1]) as outbox: outbox.orders(most=1)"
        )
        url = self._outbox.database.engine.url.render_as_string(hide_password=False)
        subprocess.run([sys.executable, "-c", program, url], check=True, timeout=120)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        self._wait_for(lambda: time.monotonic() >= deadline)

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds. Fail when there is no progress."""
        left = self._left()
        since = time.monotonic()
        while not condition():
            self._workers.fill()
            time.sleep(0.05)
            left_now = self._left()
            if left_now != left:
                left = left_now
                since = time.monotonic()
            is_stuck = time.monotonic() - since > self.stuck_after
            assert not is_stuck, f"no progress: {self._unfinished()}\n{self._workers.log()}"

    def _left(self) -> int:
        return self._count(t.orders.c.due_at.is_not(None))

    def _due(self) -> int:
        return self._count(t.orders.c.due_at <= time.time() + 5)

    def _worst(self) -> int:
        with self._outbox.database.reading() as db:
            return db.scalar(select(func.max(t.orders.c.crash_count))) or 0

    def _at_work(self) -> Collection[int]:
        """Return the processes of enlisted workers, those killed in the last seconds included."""
        with self._outbox.database.reading() as db:
            descriptions = db.scalars(select(t.workers.c.description)).all()
        return {int(description.rpartition(" ")[2]) for description in descriptions}

    def _held_by(self, process: int) -> int:
        its = select(t.workers.c.id).where(t.workers.c.description.endswith(f" {process}"))
        return self._count(t.orders.c.worker.in_(its))

    def _count(self, which: ColumnElement[bool]) -> int:
        with self._outbox.database.reading() as db:
            return db.scalar(select(func.count()).select_from(t.orders).where(which)) or 0

    def _unfinished(self) -> Sequence[str]:
        columns = t.orders.c
        left = select(columns.id, columns.worker, columns.waits_for, columns.due_at).where(
            columns.due_at.is_not(None) | columns.worker.is_not(None)
        )
        with self._outbox.database.reading() as db:
            return [
                f"{row.id} {row.worker} {row.waits_for} {row.due_at}"
                for row in db.execute(left.limit(10))
            ]
