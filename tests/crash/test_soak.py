"""A worker that runs for long, with all faults on, needs no more of anything at the end.

The stores fail on one request in five. Others are hostile: their servers send headers without an
end, gzip bombs and garbage. No order of theirs arrives, and no good store is held up.
`--soak-seconds 1800` is a long run. It prints a table of what was measured.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import select

from crash.deliveries import Deliveries
from crash.hostile_stores import hostile_stores
from crash.test_crash import STUCK_AFTER, journals
from crash.workers import PROGRAM
from crash.world import End, Placed, World, place, serving
from tillpost.outbox import OrderState, Outbox, OutboxSettings
from tillpost.outbox.db import schema as t
from tillpost.testing.adversary import BEHAVIOURS

pytestmark = pytest.mark.slow

ORDERS_PER_SECOND = 5
STORES_FOR = 6000
"""For how many orders there are stores, as `serving` counts them."""

HOSTILE_EACH = 2
"""How many hostile stores there are of each platform."""

HOSTILE_EVERY = 5
"""After how many orders of good stores one is added for a hostile store."""

HOSTILE_FROM = 1_000_000
"""The number of the first order of a hostile store."""

DELIVERED_WITHIN = 60.0
"""How long an order at a good store may take, in seconds, in a full run."""

FULL_SIZE = 1800
"""Seconds of a full run. A shorter one may be on a busy machine, so no order is timed."""

ROWS_SHOWN = 12

ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
}
"""Makes glibc give back what is freed.

By itself it keeps memory for each thread, and more the larger the answers were that the thread has
met. That took turns of some 10 MB for longer than half an hour, and hid what the worker keeps.
"""


class Sample(NamedTuple):
    """What a process holds."""

    seconds: float
    megabytes: float
    threads: int
    files: int
    sockets: int


def sample(process: int, seconds: float) -> Sample:
    """Read from `/proc` what a process holds now."""
    proc = Path(f"/proc/{process}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    targets: list[str] = []
    for descriptor in (proc / "fd").iterdir():
        try:
            targets.append(str(descriptor.readlink()))
        except FileNotFoundError:
            continue  # closed meanwhile
    sockets = sum(target.startswith("socket:") for target in targets)
    megabytes = int(status["VmRSS"].split()[0]) / 1024
    return Sample(seconds, megabytes, int(status["Threads"]), len(targets) - sockets, sockets)


def table(samples: Sequence[Sample]) -> str:
    """Return some of the samples, one a line."""
    step = max(1, len(samples) // ROWS_SHOWN)
    rows = [f"{'seconds':>8}{'MB':>8}{'threads':>9}{'files':>7}{'sockets':>9}"]
    rows += [
        f"{s.seconds:8.0f}{s.megabytes:8.1f}{s.threads:9}{s.files:7}{s.sockets:9}"
        for s in samples[::step]
    ]
    return "\n".join(rows)


def grown(samples: Sequence[Sample]) -> Sequence[str]:
    """Return what is larger in the last third than in the middle third, beyond chance.

    The worker's pools of threads fill up during the first minutes, each up to eight.
    """
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    is_short = samples[-1].seconds < 600
    megabytes = 40.0 if is_short else 8.0
    threads = 16 if is_short else 4
    allowed = {"megabytes": megabytes, "threads": threads, "files": 8, "sockets": 12}
    found: list[str] = []
    for name, more in allowed.items():
        before = statistics.median(getattr(each, name) for each in middle)
        after = statistics.median(getattr(each, name) for each in last)
        if after > before + more:
            found.append(f"{name}: {before:.0f}, then {after:.0f}")
    return found


class Orders:
    """The orders of a soak: those of the good stores, and some for hostile ones in between."""

    def __init__(
        self,
        outbox: Outbox,
        deliveries: Deliveries,
        seed: int,
        good: Sequence[str],
        hostile: Sequence[str],
    ) -> None:
        self._outbox = outbox
        self._deliveries = deliveries
        self._seed = seed
        self._good = good
        self._hostile = hostile
        self.added = 0
        self.added_hostile = 0

    def add_up_to(self, number: int) -> None:
        """Add orders of the good stores up to that many, and of the others their share."""
        while self.added < number:
            placed = place(self.added, self._seed, self._good)
            if placed.end is End.ARRIVES and placed.order.due_at is None:
                self._deliveries.expect(placed)
            self._add(placed)
            self.added += 1
            if self.added % HOSTILE_EVERY == 0:
                self._add(place(HOSTILE_FROM + self.added_hostile, self._seed, self._hostile))
                self.added_hostile += 1

    def hostile_states(self) -> Counter[str]:
        """Return in which states the orders of the hostile stores are."""
        its = select(t.orders.c.state).where(t.orders.c.connection.in_(self._hostile))
        with self._outbox.database.reading() as db:
            return Counter(db.scalars(its))

    def _add(self, placed: Placed) -> None:
        self._outbox.add(placed.order, connection=placed.store, is_new=placed.is_new)


def wait_while_it_gets_on(left: Callable[[], int]) -> None:
    """Wait until nothing is left, or until that hasn't become less for a while."""
    fewest, since = left(), time.monotonic()
    while fewest and time.monotonic() - since < STUCK_AFTER:
        time.sleep(0.2)
        if left() < fewest:
            fewest, since = left(), time.monotonic()


def twice(world: World) -> Sequence[str]:
    """Return the orders that a register has twice."""
    return [
        f"{name} {reference}"
        for name, store in world.stores.items()
        for reference in store.ledger().twice
    ]


@pytest.mark.timeout(7200)
def test_worker_needs_no_more_of_anything_in_time(
    soak_seconds: int, seed: int, tmp_path: Path
) -> None:
    settings = OutboxSettings(
        db=f"sqlite:///{tmp_path}/orders.db",
        threads=8,
        concurrency=16,
        first_wait=0.05,
        longest_wait=0.5,
        erase_after_days=0.0,
        prune_after_days=0.0,
    )
    program = tmp_path / "world.json"
    samples: list[Sample] = []
    with ExitStack() as stack:
        world = stack.enter_context(serving(seed, STORES_FOR))
        hostile, hostility = stack.enter_context(hostile_stores(seed, world, HOSTILE_EACH))
        outbox = stack.enter_context(Outbox(settings=settings))
        World({**world.stores, **hostile}).write(program, settings)
        outbox.prepare()
        deliveries = stack.enter_context(Deliveries(outbox, DELIVERED_WITHIN))
        orders = Orders(outbox, deliveries, seed, tuple(world.stores), tuple(hostile))
        command = [sys.executable, str(PROGRAM), str(program), "--for-ever"]
        log = tmp_path / "worker.log"
        with log.open("wb") as output:
            environment = {**os.environ, **ALLOCATOR}
            worker = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            began = time.monotonic()
            while (seconds := time.monotonic() - began) < soak_seconds:
                orders.add_up_to(int(seconds * ORDERS_PER_SECOND))
                time.sleep(0.5)
                assert worker.poll() is None, log.read_text()[-2000:]
                samples.append(sample(worker.pid, seconds))
            wait_while_it_gets_on(
                lambda: len(deliveries.missing) + len(BEHAVIOURS) - len(hostility.met)
            )
        finally:
            worker.terminate()
            worker.wait(60)
        took = sorted(deliveries.seconds.values())
        states = orders.hostile_states()
        print(
            f"\n--seed {seed}: {orders.added} orders in {soak_seconds} s, {world.struck} of"
            f" {world.requests} requests failed; good stores' orders took"
            f" {statistics.median(took):.1f} s, {took[-1]:.1f} s at most;"
            f" {orders.added_hostile} orders of hostile stores met {len(hostility.met)} of"
            f" {len(BEHAVIOURS)} behaviours in {hostility.met.total()} requests, and are"
            f" {dict(states)}\n{table(samples)}"
        )
        assert not {OrderState.RECEIVED, OrderState.ACCEPTED} & states.keys(), states
        missing = deliveries.missing
        assert not missing, f"{missing}\n{journals(outbox, missing)}\n{log.read_text()[-2000:]}"
        late = "\n".join(deliveries.late.values())
        is_timed = soak_seconds >= FULL_SIZE
        assert not (is_timed and late), f"{late}\n{log.read_text()[-20000:]}"
        assert not twice(world)
        assert set(hostility.met) == set(BEHAVIOURS)
    assert worker.returncode == 0
    assert not grown(samples), table(samples)
