"""What a worker costs with 100, 2,000 and 10,000 stores: its start, its memory and its idle minute.

The worker is `tillpost worker` in a process of its own, over a TOML file and a SQLite database. All
stores are at one Square simulator, in another process. One order is due when the worker starts. The
table says when that was delivered, how large the worker became, how much of a core it used while it
had nothing to do but tend the stores, and how many requests it sent meanwhile.

A line below is of orders that no register confirms and no webhook reports: one of each store,
received within five minutes. It says how many polls a second their schedules ask for, how many
requests were sent, how late the orders were reported as unseen, and the share of a core.

Nothing fails a run.

    pytest tests/benchmarks/test_many_stores.py -s -q --override-ini addopts=--import-mode=importlib

`STORES=100,2000` measures other numbers, `IDLE_SECONDS=20` for a shorter time, `SETTLE_SECONDS=5`
with less time between the delivery and the measured time; `UNSEEN_STORES=500` and
`UNSEEN_SECONDS=60` do so for the line.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from sqlalchemy import insert, select

from recent import PLACED_AT
from tillpost import Order
from tillpost.models.order import PosOrder, PosState, Progress
from tillpost.outbox import OrderState, Outbox, OutboxSettings
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.transitions import next_poll_at

STORES = tuple(int(count) for count in os.environ.get("STORES", "100,2000,10000").split(","))

IDLE_SECONDS = float(os.environ.get("IDLE_SECONDS", "60"))

SETTLE_SECONDS = float(os.environ.get("SETTLE_SECONDS", "75"))
"""Seconds between the delivery and the idle minute: a new store is first checked after a minute."""

UNSEEN_STORES = int(os.environ.get("UNSEEN_STORES", "2000"))

UNSEEN_SECONDS = float(os.environ.get("UNSEEN_SECONDS", "120"))

UNSEEN_AFTER = OutboxSettings().unseen_after

AT_MOST = {2_000: (5.0, 250.0, 0.05), 10_000: (15.0, 500.0, 0.05)}
"""The bars: seconds to the first delivery, MB, and the idle share of a core."""

GIVE_UP_AFTER = 600.0
"""Seconds that the first delivery may take."""

SIMULATOR = """
import asyncio, json
from tillpost.simulator import serve
from tillpost_simulators.square import SquareSimulator
simulator = SquareSimulator()
def ready(url):
    print(json.dumps(simulator.connection_settings(url)), flush=True)
asyncio.run(serve(simulator, ready=ready))
"""

COMMAND = "from tillpost_command import main; main()"

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """What one worker cost.

    Attributes:
        stores: How many connections it had.
        delivered: Seconds from its start to its first delivery.
        computed: Seconds of a core that it used until then, which other programs hardly change.
        started: MB of memory then.
        memory: The most MB of memory up to the end.
        idle: The share of a core that it used while idle.
        requests: How many requests it sent a second while idle.
    """

    stores: int
    delivered: float
    computed: float
    started: float
    memory: float
    idle: float
    requests: float


@pytest.mark.timeout(0)
def test_worker_with_many_stores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[Measured] = []
    for stores in STORES:
        folder = tmp_path / str(stores)
        folder.mkdir()
        rows.append(measure(folder, stores))
        with capsys.disabled():
            print(f"\n{table(rows)}", flush=True)


@pytest.mark.timeout(0)
def test_unseen_orders_of_many_stores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with square() as settings:
        environment = prepare(tmp_path, UNSEEN_STORES, settings)
        make_unseen(tmp_path, UNSEEN_STORES)
        with running(tmp_path, environment) as worker:
            wait_for_delivery(worker, tmp_path / "worker.log", time.monotonic())
            began_at = time.time()
            computed, requests = spent_in(UNSEEN_SECONDS, worker.pid, settings["base_url"])
            ended_at = time.time()
    late = lateness(tmp_path, began_at + 5, ended_at - 15)
    with capsys.disabled():
        print(
            f"\n{UNSEEN_STORES} stores with an order that no register confirms: their schedules ask"
            f" for {polls_asked_for(UNSEEN_STORES):.1f} polls a second;"
            f" {requests:.1f} requests a second sent;"
            f" {len(late)} orders reported {statistics.median(late):.1f} s late"
            f" (at most {max(late):.1f} s); {computed:.1%} of a core"
        )


def measure(folder: Path, stores: int) -> Measured:
    """Measure one worker with so many stores."""
    with square() as settings:
        environment = prepare(folder, stores, settings)
        began = time.monotonic()
        with running(folder, environment) as worker:
            delivered = wait_for_delivery(worker, folder / "worker.log", began)
            computed = cpu_seconds(worker.pid)
            started = memory(worker.pid)
            time.sleep(SETTLE_SECONDS)
            idle, requests = spent_in(IDLE_SECONDS, worker.pid, settings["base_url"])
            most = memory(worker.pid, "VmHWM")
    return Measured(stores, delivered, computed, started, most, idle, requests)


# ---------------------------------------------------------------------- the stores


@contextmanager
def square() -> Generator[dict[str, Any]]:
    """Run a Square simulator in a process of its own; yield the settings to connect with."""
    command = [sys.executable, "-c", SIMULATOR]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def prepare(folder: Path, stores: int, settings: Mapping[str, Any]) -> Mapping[str, str]:
    """Write the stores' file, and a database with one due order; return the environment."""
    values = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    tables = [
        f'[connections.store-{number:05}]\nplatform = "square"\n{values}\n'
        for number in range(stores)
    ]
    url = f"sqlite:///{folder}/orders.db"
    (folder / "tillpost.toml").write_text(f'[outbox]\ndb = "{url}"\n\n' + "\n".join(tables))
    with Outbox(url) as outbox:
        outbox.add(order(), connection=f"store-{stores // 2:05}", is_new=True)
    return {**os.environ, "TILLPOST_CONFIG": str(folder / "tillpost.toml")}


def order() -> Order:
    """Return a coffee, paid."""
    line = {"item_id": "7302", "name": "Flat white, regular", "quantity": 1, "unit_price": 550}
    payment = {"method": "card", "amount": 550, "reference": "pi_1"}
    return Order.model_validate(
        {
            "id": "first",
            "code": "B1",
            "placed_at": PLACED_AT,
            "currency": "AUD",
            "customer": {"name": "Mia Chen"},
            "lines": [line],
            "payments": [payment],
        }
    )


# ---------------------------------------------------------------------- orders without a sign


def make_unseen(folder: Path, stores: int) -> None:
    """Give each store an order that the platform has received within the last five minutes."""
    now = time.time()
    with Outbox(f"sqlite:///{folder}/orders.db") as outbox, outbox.database.writing() as db:
        sample = dict(db.execute(select(t.orders)).mappings().one())
        rows = [{**sample, **unseen(number, stores, now, sample)} for number in range(stores)]
        db.execute(insert(t.orders), rows)


def unseen(number: int, stores: int, now: float, sample: Mapping[str, Any]) -> dict[str, object]:
    name = f"unseen-{number}"
    received_at = now - UNSEEN_AFTER * number / stores
    seen = PosOrder(id=name, reference=name, state=PosState.RECEIVED, total=550)
    return {
        "id": name,
        "content": str(sample["content"]).replace('"first"', f'"{name}"'),
        "connection": f"store-{number:05}",
        "state": "received",
        "due_at": None,
        "pos_id": name,
        "pos_order": seen.model_dump_json(),
        "received_at": received_at,
        "expected_at": received_at + UNSEEN_AFTER,
        "poll_at": now + 30 * number / stores,
    }


def polls_asked_for(stores: int) -> float:
    """Return how many polls a second such orders ask for, each the last before its report, too."""
    polls = 1
    at = _next_poll_at(0.0)
    while at < UNSEEN_AFTER:
        polls += 1
        at = _next_poll_at(at)
    return stores * polls / UNSEEN_AFTER


def _next_poll_at(now: float) -> float:
    return next_poll_at(OrderState.RECEIVED, Progress.NEW, 0.0, None, now) or math.inf


def lateness(folder: Path, begin: float, end: float) -> Sequence[float]:
    """Return by how many seconds the orders were reported late that were due in a time."""
    row = t.orders.c
    late: list[float] = []
    with Outbox(f"sqlite:///{folder}/orders.db") as outbox, outbox.database.reading() as db:
        for seen in db.execute(select(row.received_at, row.unseen_reported_at)):
            due_at = (seen.received_at or 0.0) + UNSEEN_AFTER
            if begin <= due_at < end:
                late.append((seen.unseen_reported_at or math.inf) - due_at)
    return late


# ---------------------------------------------------------------------- the worker


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """Run `tillpost worker` during the block, with its log in `worker.log`."""
    command = [sys.executable, "-c", COMMAND, "worker", "--json"]
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
            worker.terminate()


def wait_for_delivery(worker: subprocess.Popen[bytes], log: Path, began: float) -> float:
    """Return after how many seconds the worker noted the order as received."""
    while worker.poll() is None and time.monotonic() < began + GIVE_UP_AFTER:
        for line in log.read_text().splitlines():
            event: dict[str, object] = json.loads(line) if line.endswith("}") else {}
            if event.get("event") == "order_processed":
                assert event["state"] == "received", event
                return time.monotonic() - began
        time.sleep(0.02)
    raise AssertionError(f"not delivered: {log.read_text()[-2000:]}")


def spent_in(seconds: float, process: int, base_url: str) -> tuple[float, float]:
    """Return the share of a core that a process uses meanwhile, and its requests a second."""
    before = cpu_seconds(process), sent(base_url)
    time.sleep(seconds)
    computed = (cpu_seconds(process) - before[0]) / seconds
    return computed, (sent(base_url) - before[1]) / seconds


def memory(process: int, kind: str = "VmRSS") -> float:
    """Return the memory of a process in MB: now, or the most that it had (`VmHWM`)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {kind}")


def cpu_seconds(process: int) -> float:
    """Return the seconds of a core that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def sent(base_url: str) -> float:
    """Return how many requests the simulator has had."""
    with urlopen(f"{base_url}/_simulator/") as answer:
        return float(json.load(answer)["requests"])


# ---------------------------------------------------------------------- the table


def table(rows: list[Measured]) -> str:
    """Return the figures as a table, each with its bar."""
    heads = ("stores", "first order", "of a core", "memory then", "most memory", "idle")
    lines = [_columns(*heads, "requests a second")]
    for row in rows:
        seconds, most, idle = AT_MOST.get(row.stores, (None, None, None))
        cells = (
            str(row.stores),
            _with_bar(f"{row.delivered:.1f} s", seconds),
            f"{row.computed:.1f} s",
            f"{row.started:.0f} MB",
            _with_bar(f"{row.memory:.0f} MB", most),
            _with_bar(f"{row.idle:.1%}", idle),
            f"{row.requests:.1f}",
        )
        lines.append(_columns(*cells))
    return "\n".join(lines)


def _columns(*cells: str) -> str:
    return "".join(f"{cell:>20}" for cell in cells)


def _with_bar(text: str, bar: float | None) -> str:
    return text if bar is None else f"{text} (bar {bar:g})"
