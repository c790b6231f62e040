"""What storing orders costs, as ratios of two things that are timed in turn in one run.

Adding beside a bare insert of the same row with the same durability; draining beside bare
`AsyncTill.submit` at the same concurrency, against a Square simulator in a process of its own, so
that it shares no interpreter with either; claiming the next order among many stored ones beside
claiming it among few. Printed beside their bars, and fail no run: `pytest tests/benchmarks`, which
the suite leaves out."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from recent import PLACED_AT
from tillpost import AsyncTill, Order
from tillpost.client.base import adapter_for
from tillpost.outbox import (
    Outbox,
    OutboxConnection,
    OutboxSettings,
    Processor,
    Worker,
    from_mapping,
)
from tillpost.outbox.db import schema as t

ADD_AT_LEAST = 0.5
DRAIN_AT_LEAST = 0.4
CLAIM_AT_MOST = 1.5

FEW, MANY = 1_000, 100_000

SIMULATOR = """
import asyncio, json
from tillpost.simulator import serve
from tillpost_simulators.square import SquareSimulator
simulator = SquareSimulator()
def ready(url):
    print(json.dumps(simulator.connection_settings(url)), flush=True)
asyncio.run(serve(simulator, ready=ready))
"""


def small_order(name: str) -> Order:
    """A coffee and another, as most orders are."""
    milk = {"modifier_id": "228", "name": "Oat milk", "unit_price": 80}
    line = {
        "item_id": "7302",
        "sku": "FW-R",
        "name": "Flat white, regular",
        "quantity": 1,
        "unit_price": 550,
    }
    return Order.model_validate(
        {
            "id": name,
            "code": "B1",
            "placed_at": PLACED_AT,
            "currency": "AUD",
            "customer": {"name": "Mia Chen"},
            "lines": [{**line, "modifiers": [milk]}] * 2,
            "payments": [{"method": "card", "amount": 1260, "reference": "pi_1"}],
        }
    )


def small_orders(name: str, count: int) -> list[Order]:
    return [small_order(f"{name}-{number:06}") for number in range(count)]


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def report(capsys: pytest.CaptureFixture[str], what: str, measured: float, bar: str) -> None:
    with capsys.disabled():
        print(f"\n{what}: {measured:.2f} (the bar is {bar})")


# ---------------------------------------------------------------------- adding


def test_add_against_a_bare_insert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders, spent = small_orders("add", 2_000), (list[float](), list[float]())
    with (
        Outbox(f"sqlite:///{tmp_path}/ours.db") as outbox,
        Outbox(f"sqlite:///{tmp_path}/bare.db") as same_tables,
    ):
        same_tables.prepare()
        outbox.add(small_order("first"), connection="cafe")
        with outbox.database.reading() as db:
            row = list(db.execute(select(t.orders)).one())
        bare = sqlite3.connect(tmp_path / "bare.db", isolation_level=None)
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            bare.execute(f"PRAGMA {setting}")
        statement = f"INSERT INTO tillpost_orders VALUES ({', '.join('?' * len(row))})"

        def bare_insert(order: Order) -> None:
            bare.execute("BEGIN IMMEDIATE")
            bare.execute(statement, (order.id, *row[1:]))
            bare.execute("COMMIT")

        for order in orders:
            spent[0].append(seconds(lambda order=order: outbox.add(order, connection="cafe")))  # type: ignore[misc]
            spent[1].append(seconds(lambda order=order: bare_insert(order)))  # type: ignore[misc]
        bare.close()
    ours, floor = map(statistics.median, spent)
    report(
        capsys,
        f"adds a second / bare inserts a second ({ours * 1e6:.0f} us)",
        floor / ours,
        f"{ADD_AT_LEAST}",
    )


# ---------------------------------------------------------------------- draining


@pytest.fixture
def square() -> Generator[dict[str, Any]]:
    """A Square simulator in a process of its own: the settings to connect to it with."""
    with subprocess.Popen(
        [sys.executable, "-c", SIMULATOR], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("at_once", [4, 16])
def test_drain_against_bare_submission(
    at_once: int, square: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = OutboxSettings(threads=at_once, concurrency=at_once)
    source = from_mapping({"cafe": OutboxConnection(adapter_for("square", dict(square)))})
    rounds, size = 7, 200

    def drain(outbox: Outbox) -> None:
        with Processor(outbox, connections=source) as processor:
            Worker(processor).run(until_idle=True)

    async def submit_all(orders: Iterable[Order]) -> None:
        async with AsyncTill.connect("square", **square) as till:
            waiting = iter(orders)

            async def submit_some() -> None:
                for order in waiting:
                    await till.submit(order)

            await asyncio.gather(*(submit_some() for _ in range(at_once)))

    spent = (list[float](), list[float]())
    with Outbox(f"sqlite:///{tmp_path}/outbox.db", settings=settings) as outbox:
        for number in range(rounds):
            orders = small_orders(f"bare-{number}", size)
            spent[1].append(seconds(lambda orders=orders: asyncio.run(submit_all(orders))))  # type: ignore[misc]
            for order in small_orders(f"drain-{number}", size):
                outbox.add(order, connection="cafe")
            spent[0].append(seconds(lambda: drain(outbox)))
        with outbox.database.reading() as db:
            assert set(db.execute(select(t.orders.c.state)).scalars()) == {"received"}
    ours, floor = map(statistics.median, spent)
    rate = f"{size / ours:.0f} a second"
    report(
        capsys,
        f"orders drained / submitted, {at_once} at once ({rate})",
        floor / ours,
        f"{DRAIN_AT_LEAST}",
    )


# ---------------------------------------------------------------------- claiming


def fill(outbox: Outbox, count: int, *, done: bool) -> None:
    """Insert orders without `add`, as years of use would: done ones, or ones due now."""
    outbox.add(small_order("o-sample"), connection="cafe")
    now = time.time()
    with outbox.database.writing() as db:
        sample = dict(db.execute(select(t.orders)).mappings().one())
        db.execute(t.orders.delete())
        stood = {"state": "received", "due_at": None} if done else {"due_at": now - 60}
        content = str(sample["content"])
        for some in range(0, count, 5_000):
            numbers = range(some, min(some + 5_000, count))
            named = {f"o-{number:06}": now - count + number for number in numbers}
            rows = [
                {
                    **sample,
                    **stood,
                    "id": name,
                    "added_at": at,
                    "content": content.replace("o-sample", name),
                }
                for name, at in named.items()
            ]
            db.execute(insert(t.orders), rows)


def time_of_claiming(outbox: Outbox, *, done: bool) -> float:
    """The median time that it takes to find and to take the next order, in seconds."""
    spent = list[float]()
    with Processor(outbox, connections=from_mapping({})) as processor:
        for number in range(300):
            if done:
                outbox.add(small_order(f"next-{number}"), connection="cafe")
            began = time.perf_counter()
            (claim,) = processor.claim(1)
            spent.append(time.perf_counter() - began)
            outbox.claims.release(claim, time.time(), due_in=1e6, crashes=0)
    return statistics.median(spent)


@pytest.mark.parametrize("done", [True, False], ids=["mostly done", "all waiting"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_claim_among_many_orders_against_few(
    database: str,
    done: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = list[float]()
    for count in (FEW, MANY):
        if database == "sqlite":
            url = f"sqlite:///{tmp_path}/{count}.db"
        else:
            server = request.getfixturevalue("postgres")
            url = server.url(server.create_database())
        with Outbox(url) as outbox:
            fill(outbox, count, done=done)
            found.append(time_of_claiming(outbox, done=done))
    states = "mostly done" if done else "all waiting"
    what = f"claiming among {MANY} / among {FEW}, {states}, on {database}"
    report(capsys, f"{what} ({found[0] * 1e3:.2f} ms)", found[1] / found[0], f"{CLAIM_AT_MOST}")
