"""A worker that runs for long, with all faults on, needs no more of anything at the end.

`--soak-seconds 1800` is a long run. It prints a table of what was measured.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from crash.workers import PROGRAM
from crash.world import place, serving
from tillpost.outbox import Outbox, OutboxSettings

pytestmark = pytest.mark.slow

ORDERS_PER_SECOND = 5
STORES_FOR = 6000
"""For how many orders there are stores, as `serving` counts them."""

ROWS_SHOWN = 12


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
    threads = 16 if is_short else 4
    allowed = {"megabytes": 8.0, "threads": threads, "files": 8, "sockets": 12}
    found: list[str] = []
    for name, more in allowed.items():
        before = statistics.median(getattr(each, name) for each in middle)
        after = statistics.median(getattr(each, name) for each in last)
        if after > before + more:
            found.append(f"{name}: {before:.0f}, then {after:.0f}")
    return found


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
    with serving(seed, STORES_FOR) as world, Outbox(settings=settings) as outbox:
        world.write(program, settings)
        outbox.prepare()
        stores = tuple(world.stores)
        command = [sys.executable, str(PROGRAM), str(program), "--for-ever"]
        log = tmp_path / "worker.log"
        with log.open("wb") as output:
            worker = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            began = time.monotonic()
            added = 0
            while (seconds := time.monotonic() - began) < soak_seconds:
                while added < seconds * ORDERS_PER_SECOND:
                    placed = place(added, seed, stores)
                    outbox.add(placed.order, connection=placed.store, is_new=placed.is_new)
                    added += 1
                time.sleep(0.5)
                assert worker.poll() is None, log.read_text()[-2000:]
                samples.append(sample(worker.pid, seconds))
        finally:
            worker.terminate()
            worker.wait(60)
        print(
            f"\n--seed {seed}: {added} orders in {soak_seconds} s, {world.struck} of"
            f" {world.requests} requests failed\n{table(samples)}"
        )
    assert worker.returncode == 0
    assert not grown(samples), table(samples)
