"""Rows: what a worker costs with 100, 2,000 and 10,000 stores.

The worker is `tillpost worker` in a process of its own, over a TOML file and a SQLite database. All
stores are at one Square simulator, in another process. One order is due when the worker starts.
The rows of a number of stores come from one run: when that order was delivered, how large the
worker became, how much of a core it used while it had nothing to do but look after the stores, and
how many requests it sent meanwhile.

`stores-2000-unseen` is about orders that no register confirms and no webhook reports: one of each
store, received within five minutes. It says how many requests a second their looks took, how late
the orders were reported as unseen, and the share of a core.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from sqlalchemy import insert, select

from benchmarks.frame import Bar, NoMoreThan, row
from benchmarks.orders import order_of
from benchmarks.places import simulated_square
from tillpost.models.order import PosOrder, PosState
from tillpost.outbox import Outbox, OutboxSettings
from tillpost.outbox.db import schema as t

SETTLE_SECONDS = 75.0
"""Seconds between the delivery and the idle minute: a new store is first checked after a minute."""

IDLE_SECONDS = 60.0

UNSEEN_STORES = 2_000

UNSEEN_SECONDS = 120.0

GIVE_UP_AFTER = 600.0
"""Seconds that the first delivery may take."""

_UNSEEN_AFTER = OutboxSettings().unseen_after

_COMMAND = "from tillpost_command import main; main()"

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Tended:
    """What one worker cost.

    Attributes:
        delivered: Seconds from its start to its first delivery.
        memory: The most MB of memory up to the end.
        idle: The share of a core that it used while idle, in per cent.
        requests: How many requests it sent a second while idle.
    """

    delivered: float
    memory: float
    idle: float
    requests: float


@dataclass(frozen=True)
class Watched:
    """What one worker did about orders without a sign of their register.

    Attributes:
        late: By how many seconds each order was reported too late.
        busy: The share of a core that it used, in per cent.
        requests: How many requests it sent a second.
    """

    late: Sequence[float]
    busy: float
    requests: float


@cache
def tended(stores: int, settle: float = SETTLE_SECONDS, idle: float = IDLE_SECONDS) -> Tended:
    """Run one worker with so many stores, once in this process."""
    with _folder() as folder, simulated_square() as settings:
        environment = _prepare(folder, stores, settings)
        began = time.monotonic()
        with _running(folder, environment) as worker:
            delivered = _wait_for_delivery(worker, folder / "worker.log", began)
            time.sleep(settle)
            share, requests = _spent_in(idle, worker.pid, settings["base_url"])
            return Tended(delivered, _most_memory(worker.pid), share, requests)


@cache
def watched(stores: int, measured: float = UNSEEN_SECONDS) -> Watched:
    """Run one worker with so many stores that have an unseen order, once in this process."""
    with _folder() as folder, simulated_square() as settings:
        environment = _prepare(folder, stores, settings)
        _make_unseen(folder, stores)
        with _running(folder, environment) as worker:
            _wait_for_delivery(worker, folder / "worker.log", time.monotonic())
            began_at = time.time()
            busy, requests = _spent_in(measured, worker.pid, settings["base_url"])
            ended_at = time.time()
        return Watched(_lateness(folder, began_at + 5, ended_at - 15), busy, requests)


# ------------------------------------------------------------------ the stores


@contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="tillpost-benchmark-") as folder:
        yield Path(folder)


def _prepare(folder: Path, stores: int, settings: Mapping[str, Any]) -> Mapping[str, str]:
    """Write the stores' file, and a database with one due order; return the environment."""
    values = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    tables = [
        f'[connections.store-{number:05}]\nplatform = "square"\n{values}\n'
        for number in range(stores)
    ]
    url = f"sqlite:///{folder}/orders.db"
    (folder / "tillpost.toml").write_text(f'[outbox]\ndb = "{url}"\n\n' + "\n".join(tables))
    with Outbox(url) as outbox:
        outbox.add(order_of(1, "first"), connection=f"store-{stores // 2:05}", is_new=True)
    return {**os.environ, "TILLPOST_CONFIG": str(folder / "tillpost.toml")}


# ------------------------------------------------------------------ orders without a sign


def _make_unseen(folder: Path, stores: int) -> None:
    """Give each store an order that the platform has received within the last five minutes."""
    now = time.time()
    with Outbox(f"sqlite:///{folder}/orders.db") as outbox, outbox.database.writing() as db:
        sample = dict(db.execute(select(t.orders)).mappings().one())
        rows = [{**sample, **_unseen(number, stores, now, sample)} for number in range(stores)]
        db.execute(insert(t.orders), rows)


def _unseen(number: int, stores: int, now: float, sample: Mapping[str, Any]) -> dict[str, object]:
    name = f"unseen-{number}"
    received_at = now - _UNSEEN_AFTER * number / stores
    seen = PosOrder(id=name, reference=name, state=PosState.RECEIVED, total=760)
    return {
        "id": name,
        "content": str(sample["content"]).replace('"first"', f'"{name}"'),
        "connection": f"store-{number:05}",
        "state": "received",
        "due_at": None,
        "pos_id": name,
        "pos_order": seen.model_dump_json(),
        "received_at": received_at,
        "expected_at": received_at + _UNSEEN_AFTER,
        "poll_at": now + 30 * number / stores,
    }


def _lateness(folder: Path, begin: float, end: float) -> Sequence[float]:
    """Return by how many seconds the orders were reported late that were due in a time."""
    row = t.orders.c
    late: list[float] = []
    with Outbox(f"sqlite:///{folder}/orders.db") as outbox, outbox.database.reading() as db:
        for seen in db.execute(select(row.received_at, row.unseen_reported_at)):
            due_at = (seen.received_at or 0.0) + _UNSEEN_AFTER
            if begin <= due_at < end:
                late.append((seen.unseen_reported_at or math.inf) - due_at)
    return late


# ------------------------------------------------------------------ the worker


@contextmanager
def _running(folder: Path, environment: Mapping[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """Run `tillpost worker` during the block, with its log in `worker.log`."""
    command = [sys.executable, "-c", _COMMAND, "worker", "--json"]
    log = (folder / "worker.log").open("w")
    with (
        log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        ) as worker,
    ):
        try:
            yield worker
        finally:
            worker.kill()


def _wait_for_delivery(worker: subprocess.Popen[bytes], log: Path, began: float) -> float:
    """Return after how many seconds the worker noted the order as received."""
    while worker.poll() is None and time.monotonic() < began + GIVE_UP_AFTER:
        for line in log.read_text().splitlines():
            event: dict[str, object] = json.loads(line) if line.endswith("}") else {}
            if event.get("event") == "order_processed":
                assert event["state"] == "received", event
                return time.monotonic() - began
        time.sleep(0.02)
    raise AssertionError(f"not delivered: {log.read_text()[-2000:]}")


def _spent_in(seconds: float, process: int, base_url: str) -> tuple[float, float]:
    """Return the per cent of a core that a process uses meanwhile, and its requests a second."""
    before = _cpu_seconds(process), _sent(base_url)
    time.sleep(seconds)
    computed = (_cpu_seconds(process) - before[0]) / seconds
    return computed * 100, (_sent(base_url) - before[1]) / seconds


def _most_memory(process: int) -> float:
    """Return the most memory that a process has had, in MB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def _cpu_seconds(process: int) -> float:
    """Return the seconds of a core that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _sent(base_url: str) -> float:
    """Return how many requests the simulator has had."""
    with urlopen(f"{base_url}/_simulator/") as answer:
        return float(json.load(answer)["requests"])


# ------------------------------------------------------------------ the rows

_BARS: dict[int, tuple[Bar, Bar, Bar]] = {
    100: (None, None, None),
    2_000: (NoMoreThan(5), NoMoreThan(250), NoMoreThan(5)),
    10_000: (NoMoreThan(15), NoMoreThan(500), NoMoreThan(5)),
}
"""The bars of the seconds to the first order, the MB, and the idle per cent of a core."""


def _tended_row(
    stores: int, name: str, text: str, unit: str, bar: Bar, figure: Callable[[Tended], float]
) -> None:
    run = f"stores-{stores}"
    takes = 10 + SETTLE_SECONDS + IDLE_SECONDS

    @row(f"{run}-{name}", f"{text}, {stores:,} stores", bar, unit=unit, takes=takes, run=run)
    def _tended() -> Iterator[float]:
        yield figure(tended(stores))


for _stores, (_start_bar, _memory_bar, _idle_bar) in _BARS.items():
    _tended_row(
        _stores,
        "start",
        "a worker's start to its first order",
        "s",
        _start_bar,
        lambda run: run.delivered,
    )
    _tended_row(
        _stores, "memory", "a worker's most memory", "MB", _memory_bar, lambda run: run.memory
    )
    _tended_row(
        _stores, "idle", "an idle worker's share of a core", "%", _idle_bar, lambda run: run.idle
    )
    _tended_row(
        _stores, "requests", "an idle worker's requests", "/s", None, lambda run: run.requests
    )


def _watched_row(
    name: str, text: str, unit: str, figures: Callable[[Watched], Sequence[float]]
) -> None:
    run = f"stores-{UNSEEN_STORES}-unseen"

    @row(f"{run}-{name}", text, unit=unit, takes=20 + UNSEEN_SECONDS, run=run)
    def _watched() -> Iterator[float]:
        yield from figures(watched(UNSEEN_STORES))


_EACH = f"{UNSEEN_STORES:,} stores with an unseen order each"

_watched_row("looks", f"requests, {_EACH}", "/s", lambda run: [run.requests])
_watched_row("busy", f"a worker's share of a core, {_EACH}", "%", lambda run: [run.busy])
_watched_row("late", f"delay of the reports, {_EACH}", "s", lambda run: run.late)
