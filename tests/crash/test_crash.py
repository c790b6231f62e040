"""Orders for stores on three platforms that fail on one request in five, carried by workers that are killed.

Each order has to end as it must, once, with the store and the registers in agreement.
`--crash-orders 10000 --kills 300` makes it a long one; `--seed` repeats a run's orders, faults and
choice of victims, though not its timing."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, func, select

from crash.gang import Gang, working
from crash.tally import tally
from crash.world import LEAD, Placed, World, place, serving
from tillpost.outbox import Outbox, OutboxSettings
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.claims import SET_ASIDE_AFTER

pytestmark = pytest.mark.slow

WORKERS = 3
BACKLOG = 60
"""A kill waits until no more orders than these are due, so that the kills are spread over the whole run."""

STUCK_AFTER = 120.0  # seconds


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of the kind that the test asks for."""
    kind: str = request.param
    return (
        f"sqlite:///{tmp_path}/orders.db"
        if kind == "sqlite"
        else request.getfixturevalue("postgres_url")
    )


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("address", "engine"),
    [("sqlite", "embedded"), ("postgresql", "procrastinate")],
    indirect=["address"],
)
def test_whenever_workers_are_killed_each_order_ends_once_and_as_it_must(
    address: str,
    engine: str,
    crash_orders: int,
    kills: int,
    seed: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "aiohttp.server")  # it logs each client that was killed
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
    program, log = tmp_path / "world.json", tmp_path / "workers.log"
    began = time.monotonic()
    with serving(seed, crash_orders) as world, Outbox(settings=settings) as outbox:
        world.write(program, settings)
        with working(program, log, WORKERS) as gang:
            run = Run(world, outbox, gang, seed)
            run.storm(crash_orders, kills)
            run.drain()
        told = tally(world, outbox, run.placed)
        print(
            f"\n--seed {seed}: {crash_orders} orders, {kills} kills of {gang.started} workers with {run.in_flight} orders"
            f" in hand, {world.struck} of {world.requests} requests failed, {time.monotonic() - began:.0f} s\n{told}"
        )
        assert not told.wrong, (
            f"--seed {seed}: {told}\n{journals(outbox, told.suspects)}\n{gang.said()}"
        )
    assert run.in_flight > 0
    assert world.struck > world.requests / 8


def journals(outbox: Outbox, order_ids: Sequence[str]) -> str:
    """Return what happened to the orders that ended wrong, an event a line."""
    told = [f"{order_id}: {event}" for order_id in order_ids for event in outbox.journal(order_id)]
    menus = [
        f"import of {each.connection} at {each.at}: {each.changes.in_words()}"
        for each in outbox.imports(most=60)
    ]
    return "\n".join((*told, *menus) if told else ())


class Run:
    """One run: orders come in while workers die, and go on coming until both are through."""

    def __init__(self, world: World, outbox: Outbox, gang: Gang, seed: int) -> None:
        self._world = world
        self._outbox = outbox
        self._gang = gang
        self._seed = seed
        self._draw = random.Random(seed)
        self.placed: list[Placed] = []
        self.in_flight = 0

    def storm(self, orders: int, kills: int) -> None:
        """Add the orders, a share before each kill, and kill at random."""
        for number in range(kills):
            self._add(orders * (number + 1) // kills)
            if number == kills // 2:
                self._world.drift()
            self._wait_for(lambda: self._due() <= BACKLOG)
            self._pause(self._draw.uniform(0.05, 0.8))
            # One more death, and an order would rightly be a person's.
            self._wait_for(lambda: self._worst() < SET_ASIDE_AFTER - 1)
            self.in_flight += self._held_by(self._gang.kill_one(self._draw, self._at_work()))
            self._gang.fill()

    def drain(self) -> None:
        """Let the workers go on until nothing is left."""
        latest = max(
            each.order.due_at.timestamp() - LEAD for each in self.placed if each.order.due_at
        )
        self._wait_for(lambda: time.time() > latest)
        self._wait_for(lambda: self._due() == 0)
        self._gang.wait(STUCK_AFTER)

    def _add(self, up_to: int) -> None:
        for number in range(len(self.placed), up_to):
            each = place(number, self._seed, tuple(self._world.stores))
            self._outbox.add(each.order, connection=each.store, is_new=each.is_new)
            self.placed.append(each)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._wait_for(lambda: time.monotonic() >= until)

    def _wait_for(self, it_is_so: Callable[[], bool]) -> None:
        """Wait until something is so. Fail when nothing goes on."""
        left, since = self._left(), time.monotonic()
        while not it_is_so():
            self._gang.fill()
            time.sleep(0.05)
            if left != (left := self._left()):
                since = time.monotonic()
            assert time.monotonic() - since < STUCK_AFTER, (
                f"nothing goes on: {self._unfinished()}\n{self._gang.said()}"
            )

    def _left(self) -> int:
        return self._count(t.orders.c.due_at.is_not(None))

    def _due(self) -> int:
        return self._count(t.orders.c.due_at <= time.time() + 5)

    def _worst(self) -> int:
        with self._outbox.database.reading() as db:
            return db.scalar(select(func.max(t.orders.c.crash_count))) or 0

    def _at_work(self) -> Collection[int]:
        """Return the processes that have begun to work, the dead of the last seconds among them."""
        with self._outbox.database.reading() as db:
            return {
                int(about.rpartition(" ")[2]) for about in db.scalars(select(t.workers.c.about))
            }

    def _held_by(self, process: int) -> int:
        its = select(t.workers.c.id).where(t.workers.c.about.endswith(f" {process}"))
        return self._count(t.orders.c.worker.in_(its))

    def _count(self, which: ColumnElement[bool]) -> int:
        with self._outbox.database.reading() as db:
            return db.scalar(select(func.count()).select_from(t.orders).where(which)) or 0

    def _unfinished(self) -> Sequence[str]:
        left = select(t.orders.c.id, t.orders.c.worker, t.orders.c.waits_for).where(
            t.orders.c.due_at.is_not(None)
        )
        with self._outbox.database.reading() as db:
            return [f"{row.id} {row.worker} {row.waits_for}" for row in db.execute(left.limit(10))]
