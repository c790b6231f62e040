"""All processes go by the clock of PostgreSQL; on SQLite, by that of their machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from core.outbox.database_time import DatabaseTime
from core.outbox.stores import processing, work_off
from core.toy import toy_order
from core.toy_server import ToyServer, answer
from tillpost.outbox import DatabaseError, OrderState, Outbox, OutboxSettings, Processor
from tillpost.outbox.db import clock as clock_module
from tillpost.outbox.db.clock import FIRST_ANSWERS, OLD_AFTER
from tillpost.outbox.db.database import Database
from tillpost.outbox.worker.maintenance import Maintenance
from waiting import eventually

HOURS = 3600.0
BEGAN = 1_800_000_000.0
"""What the simulated clock of the database shows at first, in epoch seconds."""


class Scene:
    """A database whose clock the test sets, and a steady clock by which its answers are slow.

    `ways` are the seconds that the next queries take, there and back; others take none.
    """

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.now = 1000.0
        self.ahead = BEGAN - self.now
        self.ways: list[tuple[float, float]] = []
        self._back = 0.0
        engine = self.database.engine
        event.listen(engine, "before_cursor_execute", self._send, retval=True)
        event.listen(engine, "after_cursor_execute", self._arrive)

    def steady(self) -> float:
        return self.now

    def time(self) -> float:
        """Return the time by the database's clock."""
        return self.now + self.ahead

    def adjust(self, *ways: tuple[float, float]) -> None:
        """Adjust the clock once for each answer."""
        for way in ways:
            self.ways = [way]
            with self.database.reading() as db:
                self.database.clock.adjust(db)

    @property
    def error(self) -> float:
        """By how much the clock is wrong, in seconds."""
        return self.database.clock() - self.time()

    def _send(
        self, _1: object, _2: object, statement: str, parameters: object, _3: object, _4: object
    ) -> tuple[str, object]:
        if "clock_timestamp" not in statement:
            return statement, parameters
        outward, self._back = self.ways.pop(0) if self.ways else (0.0, 0.0)
        self.now += outward
        return f"SELECT CAST({self.time()!r} AS double precision)", parameters

    def _arrive(self, *_: object) -> None:
        self.now += self._back
        self._back = 0.0


@pytest.fixture
def scene(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    opened = Scene(postgres_url)
    monkeypatch.setattr(clock_module, "steady", opened.steady)
    yield opened
    opened.database.close()


# ---------------------------------------------------------------------- what it shows


def test_clock_is_the_databases_where_the_machines_is_wrong(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + 5 * HOURS)
    database = Database(postgres_url)
    began = true_time()
    shown = database.clock()
    ended = true_time()
    database.close()

    assert began <= shown <= ended + (ended - began)
    assert caplog.messages == ["machine_clock_skew seconds=18000"]


def test_leap_of_the_machines_clock_changes_nothing(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres_url)
    true_time = time.time
    before = database.clock()
    monkeypatch.setattr(time, "time", lambda: true_time() - 5 * HOURS)
    after = database.clock()
    database.close()

    assert before <= after <= true_time() + 60


def test_sqlite_uses_the_machines_clock(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Outbox(sqlite_url) as outbox:
        monkeypatch.setattr(time, "time", lambda: BEGAN)
        assert outbox.clock() == BEGAN
        assert outbox.add(toy_order(), connection="cafe").added_at == BEGAN


def test_clock_of_unreachable_database_is_an_error() -> None:
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseError):
        database.clock()
    database.close()


def test_known_time_needs_no_database(scene: Scene) -> None:
    scene.adjust((0.0, 0.0))
    scene.database.close()
    event.listen(scene.database.engine, "do_connect", lambda *_: pytest.fail("it connected"))
    scene.now += 0.9 * OLD_AFTER

    assert scene.error == 0.0


# ---------------------------------------------------------------------- slow answers


@pytest.mark.parametrize(
    ("ways", "error"),
    [
        ([(0.2, 0.2), (0.2, 0.2), (0.2, 0.2)], 0.0),
        ([(0.0, 8.0), (0.1, 0.1), (5.0, 0.0)], 0.0),
        ([(0.1, 0.0), (0.0, 0.1), (0.3, 0.3)], 0.0),
        ([(0.0, 8.0), (0.0, 8.0), (0.0, 8.0)], -4.0),
    ],
    ids=["equal ways", "two slow answers", "two unequal ways", "slow ways back only"],
)
def test_first_answers_bound_the_time_from_both_sides(
    ways: list[tuple[float, float]], error: float, scene: Scene
) -> None:
    scene.ways = list(ways)
    scene.database.clock()

    assert scene.error == pytest.approx(error, abs=1e-5)


@pytest.mark.parametrize("way", [(0.0, 8.0), (8.0, 0.0), (4.0, 4.0)])
def test_slow_answer_changes_no_clock_that_is_right(way: tuple[float, float], scene: Scene) -> None:
    scene.adjust((0.001, 0.001), way)

    assert abs(scene.error) < 0.001


def test_quick_answer_mends_what_slow_ones_left_open(scene: Scene) -> None:
    scene.ways = [(0.0, 8.0)] * FIRST_ANSWERS
    scene.database.clock()
    scene.adjust((0.001, 0.001))

    assert abs(scene.error) < 0.001


@pytest.mark.parametrize("leap", [5 * HOURS, -5 * HOURS])
def test_database_that_is_set_is_followed(
    leap: float, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    scene.adjust((0.001, 0.001))
    caplog.clear()
    scene.ahead += leap
    scene.adjust((0.0, 4.0))
    assert abs(scene.error) <= 2.0
    scene.adjust((0.001, 0.001))

    assert abs(scene.error) < 0.001
    assert [text.partition(" ")[0] for text in caplog.messages] == ["database_clock_changed"]


@pytest.mark.slow
def test_clocks_that_drift_apart_stay_within_a_round_trip(scene: Scene) -> None:
    for _ in range(500):
        scene.ahead -= 0.001
        scene.adjust((0.002, 0.018))

        assert abs(scene.error) < 0.021


# ---------------------------------------------------------------------- when it is asked


def test_adding_orders_asks_once_a_minute_for_the_time(
    prepared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Outbox(prepared_postgres_url) as outbox:
        asked = DatabaseTime(outbox.database.engine)
        for number in range(20):
            outbox.add(toy_order(f"ord-{number}"), connection="cafe")
        assert asked.queries == FIRST_ANSWERS

        monkeypatch.setattr(clock_module, "OLD_AFTER", 0.0)
        asked.ahead = HOURS
        added = outbox.add(toy_order("ord-20"), connection="cafe")
    assert added.added_at == pytest.approx(time.time() + HOURS, abs=60)


def test_callers_session_shows_the_time_too(
    prepared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web application may add all its orders in sessions of its own."""
    monkeypatch.setattr(clock_module, "OLD_AFTER", 0.0)
    engine = create_engine(prepared_postgres_url)
    asked = DatabaseTime(engine)
    with Outbox(prepared_postgres_url) as outbox, Session(engine) as session:
        outbox.add(toy_order("ord-1"), connection="cafe", session=session)
        asked.ahead = HOURS
        added = outbox.add(toy_order("ord-2"), connection="cafe", session=session)
        session.commit()
    engine.dispose()

    assert added.added_at == pytest.approx(time.time() + HOURS, abs=60)


@pytest.mark.anyio
async def test_callers_async_session_shows_the_time_too(prepared_postgres_url: str) -> None:
    engine = create_async_engine(prepared_postgres_url)
    DatabaseTime(engine.sync_engine).ahead = HOURS
    with Outbox(prepared_postgres_url) as outbox:
        async with AsyncSession(engine) as session:
            added = await outbox.add(toy_order(), connection="cafe", session=session)
            await session.commit()
    await engine.dispose()

    assert added.added_at == pytest.approx(time.time() + HOURS, abs=60)


def test_heartbeat_follows_the_databases_clock(prepared_postgres_url: str) -> None:
    settings = OutboxSettings(lease=0.5)
    with Outbox(prepared_postgres_url, settings=settings) as outbox, Processor(outbox) as processor:
        DatabaseTime(outbox.database.engine).ahead = HOURS

        eventually(lambda: processor.clock() > time.time() + 0.9 * HOURS)


def test_orders_wait_no_longer_once_the_database_is_set_back(
    prepared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = OutboxSettings(lease=3600.0)
    with ToyServer() as server, Outbox(prepared_postgres_url, settings=settings) as outbox:
        of_database = DatabaseTime(outbox.database.engine)
        of_database.ahead = 5 * HOURS
        server.on("POST /orders", answer(503))
        for name in ("retried", "added"):
            outbox.add(toy_order(name), connection="cafe")
        with processing(outbox, server) as processor:
            (retried,) = processor.claim(1)
            processor.handle(retried)
            server.forget("POST /orders")
            of_database.ahead = 0.0
            monkeypatch.setattr(clock_module, "OLD_AFTER", 0.0)
            with outbox.database.reading():
                assert processor.clock() < time.time() + HOURS
            assert work_off(processor) == []
            Maintenance(processor).tend()
            assert sorted(work_off(processor)) == ["added", "retried"]
        assert {stored.state for stored in outbox.orders()} == {OrderState.RECEIVED}
