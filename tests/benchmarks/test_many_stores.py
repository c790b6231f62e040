"""What a worker costs with 100, 2,000 and 10,000 stores: its start, its memory and its idle minute.

The worker is `tillpost worker` in a process of its own, over a TOML file and a SQLite database. All
stores are at one Square simulator, in another process. One order is due when the worker starts. The
table says when that was delivered, how large the worker became, how much of a core it used while it
had nothing to do but tend the stores, and how many requests it sent meanwhile. Nothing fails a run.

    pytest tests/benchmarks/test_many_stores.py -s -q --override-ini addopts=--import-mode=importlib

`STORES=100,2000` measures other numbers, `IDLE_SECONDS=20` for a shorter time, `SETTLE_SECONDS=5`
with less time between the delivery and the measured time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from recent import PLACED_AT
from tillpost import Order
from tillpost.outbox import Outbox

STORES = tuple(int(count) for count in os.environ.get("STORES", "100,2000,10000").split(","))

IDLE_SECONDS = float(os.environ.get("IDLE_SECONDS", "60"))

SETTLE_SECONDS = float(os.environ.get("SETTLE_SECONDS", "75"))
"""Seconds between the delivery and the idle minute: a new store is first checked after a minute."""

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
        started: MB of memory then.
        memory: The most MB of memory up to the end.
        idle: The share of a core that it used while idle.
        requests: How many requests it sent a second while idle.
    """

    stores: int
    delivered: float
    started: float
    memory: float
    idle: float
    requests: float


def test_worker_with_many_stores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[Measured] = []
    for stores in STORES:
        folder = tmp_path / str(stores)
        folder.mkdir()
        rows.append(measure(folder, stores))
        with capsys.disabled():
            print(f"\n{table(rows)}" if len(rows) == len(STORES) else ".", end="", flush=True)


def measure(folder: Path, stores: int) -> Measured:
    """Measure one worker with so many stores."""
    with square() as settings:
        environment = prepare(folder, stores, settings)
        began = time.monotonic()
        command = [sys.executable, "-c", COMMAND, "worker", "--json"]
        log = (folder / "worker.log").open("w")
        with log, subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        ) as worker:
            try:
                delivered = wait_for_delivery(worker, folder / "worker.log", began)
                started = memory(worker.pid)
                time.sleep(SETTLE_SECONDS)
                before = cpu_seconds(worker.pid), sent(settings["base_url"])
                time.sleep(IDLE_SECONDS)
                after = cpu_seconds(worker.pid), sent(settings["base_url"])
                most = memory(worker.pid, "VmHWM")
            finally:
                worker.terminate()
    idle, requests = ((new - old) / IDLE_SECONDS for new, old in zip(after, before, strict=True))
    return Measured(stores, delivered, started, most, idle, requests)


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


def wait_for_delivery(worker: subprocess.Popen[bytes], log: Path, began: float) -> float:
    """Return after how many seconds the worker noted the order as received."""
    while worker.poll() is None and time.monotonic() < began + GIVE_UP_AFTER:
        for line in log.read_text().splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "order_processed":
                assert event["state"] == "received", event
                return time.monotonic() - began
        time.sleep(0.02)
    raise AssertionError(f"not delivered: {log.read_text()[-2000:]}")


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
    with urlopen(f"{base_url}/_simulator/") as answer:  # noqa: S310  our own process
        return float(json.load(answer)["requests"])


def table(rows: list[Measured]) -> str:
    """Return the figures as a table, each with its bar."""
    lines = [f"{'stores':>7}{'first order':>20}{'memory then':>14}{'most memory':>20}"]
    lines[0] += f"{'idle':>20}{'requests a second':>20}"
    for row in rows:
        seconds, most, idle = AT_MOST.get(row.stores, (None, None, None))
        lines.append(
            f"{row.stores:>7}{_with_bar(f'{row.delivered:.1f} s', seconds):>20}"
            f"{row.started:>11.0f} MB{_with_bar(f'{row.memory:.0f} MB', most):>20}"
            f"{_with_bar(f'{row.idle:.1%}', idle):>20}{row.requests:>20.1f}"
        )
    return "\n".join(lines)


def _with_bar(text: str, bar: float | None) -> str:
    return text if bar is None else f"{text} (bar {bar:g})"
