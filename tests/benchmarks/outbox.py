"""Rows: what storing orders costs, on SQLite and on PostgreSQL.

- Adding is compared with a bare insert of the same row with the same durability, one after the
  other, by the medians of a round: the database's own housekeeping falls into any call.
- Draining is compared with `AsyncTill.submit` of as many orders at once, without an outbox, in
  orders a second: what syncing to disk takes counts, too.
- Claiming the next of many stored orders is compared with claiming the next of a thousand. The
  others are done, as after years of use, or all wait, as after a long outage. The tables are filled
  by SQL; PostgreSQL's are analysed, as it does by itself within minutes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, TypeAlias

import psycopg
from sqlalchemy import select, text
from sqlalchemy.engine import make_url

from benchmarks.frame import Bar, NoLessThan, NoMoreThan, in_turn, row, seconds
from benchmarks.orders import order_of
from benchmarks.places import DATABASES, Database, databases
from benchmarks.submission import new_orders, square_for
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

LINES = 2

# ------------------------------------------------------------------ adding


BareInsert: TypeAlias = Callable[[tuple[Any, ...]], None]
"""Inserts a row, and returns once it is on disk."""


@contextmanager
def _bare_inserts(url: str) -> Generator[BareInsert]:
    """Yield what inserts rows of orders with the database's driver alone."""
    parameters = make_url(url)
    marks = len(t.orders.c)
    if parameters.drivername == "sqlite":
        with closing(sqlite3.connect(str(parameters.database), isolation_level=None)) as db:
            for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                db.execute(f"PRAGMA {setting}")
            insert = f"INSERT INTO tillpost_orders VALUES ({', '.join('?' * marks)})"

            def into_sqlite(values: tuple[Any, ...]) -> None:
                db.execute("BEGIN IMMEDIATE")
                db.execute(insert, values)
                db.execute("COMMIT")

            yield into_sqlite
        return
    address = parameters.set(drivername="postgresql").render_as_string()
    with closing(psycopg.connect(address)) as connection:
        statement = f"INSERT INTO tillpost_orders VALUES ({', '.join(['%s'] * marks)})".encode()

        def into_postgresql(values: tuple[Any, ...]) -> None:
            connection.execute(statement, values)
            connection.commit()

        yield into_postgresql


def adds_against_bare_inserts(kind: Database, each: int, rounds: int) -> Iterator[float]:
    """Yield orders added a second / rows inserted a second by the driver."""
    with databases(kind) as new_database:
        bare_url = new_database()
        with Outbox(bare_url) as same_tables:
            same_tables.prepare()
        with Outbox(new_database()) as outbox, _bare_inserts(bare_url) as insert:
            outbox.add(order_of(LINES, "sample"), connection="cafe")
            with outbox.database.reading() as db:
                sample = tuple(db.execute(select(t.orders)).one())

            for _ in range(rounds):
                spent: tuple[list[float], list[float]] = ([], [])
                for order in new_orders(each, LINES):
                    values = (order.id, *sample[1:])
                    spent[0].append(seconds(partial(insert, values)))
                    spent[1].append(seconds(partial(outbox.add, order, connection="cafe")))
                yield statistics.median(spent[0]) / statistics.median(spent[1])


# ------------------------------------------------------------------ draining


def drains_against_submission(
    kind: Database, at_once: int, each: int, rounds: int
) -> Iterator[float]:
    """Yield orders drained a second / orders submitted a second."""
    settings = OutboxSettings(threads=at_once, concurrency=at_once)
    with square_for(LINES) as square, databases(kind) as new_database:
        cafe = OutboxConnection(adapter_for("square", dict(square)))
        connections = from_mapping({"cafe": cafe})

        def submit() -> float:
            orders = new_orders(each, LINES)
            return seconds(lambda: asyncio.run(_submit_all(orders, square, at_once)))

        with Outbox(new_database(), settings=settings) as outbox:

            def drain() -> float:
                for order in new_orders(each, LINES):
                    outbox.add(order, connection="cafe")
                with Processor(outbox, connections=connections) as processor:
                    took = seconds(lambda: Worker(processor).run(until_idle=True))
                with outbox.database.reading() as db:
                    assert set(db.scalars(select(t.orders.c.state))) == {"received"}
                return took

            yield from in_turn(submit, drain, rounds)


async def _submit_all(orders: Iterable[Order], square: dict[str, Any], at_once: int) -> None:
    async with AsyncTill.connect("square", **dict(square)) as till:
        waiting = iter(orders)

        async def submit_some() -> None:
            for order in waiting:
                await till.submit(order)

        await asyncio.gather(*(submit_some() for _ in range(at_once)))


# ------------------------------------------------------------------ claiming

FEW = 1_000

_AT_A_TIME = 50_000
"""How many orders one statement stores: the outbox's connections bound the time of each."""


def claims_among_many(kind: Database, stored: int, *, done: bool, rounds: int) -> Iterator[float]:
    """Yield the time of a claim among so many stored orders / among a thousand."""
    with (
        databases(kind) as new_database,
        filled(new_database(), stored, done=done) as many,
        filled(new_database(), FEW, done=done) as few,
    ):
        yield from in_turn(
            lambda: _claiming(many, done=done), lambda: _claiming(few, done=done), rounds
        )


@contextmanager
def filled(url: str, stored: int, *, done: bool) -> Generator[Outbox]:
    """Fill a database with orders that are done, or due now; yield its outbox."""
    with Outbox(url) as outbox:
        outbox.add(order_of(LINES, "o-sample"), connection="cafe")
        now = time.time()
        values = {column.name: column.name for column in t.orders.c}
        values |= {
            "id": "'o-' || CAST(n AS TEXT)",
            "content": "replace(content, 'o-sample', 'o-' || CAST(n AS TEXT))",
            "added_at": f"{now - stored} + n",
            "state": "'received'" if done else "state",
            "due_at": "NULL" if done else f"{now - 60}",
        }
        for first in range(1, stored + 1, _AT_A_TIME):
            last = min(first + _AT_A_TIME - 1, stored)
            statement = f"""
                WITH RECURSIVE numbers(n) AS
                    (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
                INSERT INTO tillpost_orders ({", ".join(values)})
                SELECT {", ".join(values.values())}
                FROM numbers, tillpost_orders WHERE id = 'o-sample'
            """
            with outbox.database.writing() as db:
                db.execute(text(statement))
        with outbox.database.writing() as db:
            db.execute(t.orders.delete().where(t.orders.c.id == "o-sample"))
            if db.dialect.name == "postgresql":
                db.execute(text("ANALYZE"))
        yield outbox


def _claiming(outbox: Outbox, *, done: bool) -> float:
    """Return the median time that it takes to find and to claim an order, in seconds."""
    spent: list[float] = []
    with Processor(outbox, connections=from_mapping({})) as processor:
        for order in new_orders(20, LINES):
            if done:
                outbox.add(order, connection="cafe")
            began = time.perf_counter()
            (claim,) = processor.claim(1)
            spent.append(time.perf_counter() - began)
            outbox.claims.release(claim, time.time(), due_in=1e6, crashes=0)
    return statistics.median(spent)


# ------------------------------------------------------------------ the rows

_DRAIN_BARS: dict[Database, Bar] = {"sqlite": NoLessThan(0.6), "postgresql": None}

_SIZES = {10_000: 8.0, 100_000: 12.0, 1_000_000: 30.0}
"""How many orders are stored, and about how many seconds a row with them takes."""

for _kind in DATABASES:

    @row(
        f"outbox-add-{_kind}",
        f"adds a second / bare inserts a second, {_kind}",
        NoLessThan(0.5),
        takes=15,
    )
    def _add(kind: Database = _kind) -> Iterator[float]:
        return adds_against_bare_inserts(kind, each=50, rounds=21)

    for _at_once in (4, 16):

        @row(
            f"outbox-drain-{_kind}-{_at_once}",
            f"orders drained / submitted, {_at_once} at once, {_kind}",
            _DRAIN_BARS[_kind],
            takes=25,
        )
        def _drain(kind: Database = _kind, at_once: int = _at_once) -> Iterator[float]:
            return drains_against_submission(kind, at_once, each=200, rounds=7)

    for _stored, _takes in _SIZES.items():
        for _done, _state in ((True, "done"), (False, "waiting")):

            @row(
                f"outbox-claim-{_kind}-{_state}-{_stored}",
                f"claiming among {_stored:,} {_state} orders / among {FEW:,}, {_kind}",
                NoMoreThan(1.5),
                takes=_takes,
            )
            def _claim(
                kind: Database = _kind, stored: int = _stored, done: bool = _done
            ) -> Iterator[float]:
                return claims_among_many(kind, stored, done=done, rounds=15)
