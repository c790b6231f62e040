"""Shared menus: one import at a time, one menu in effect, a daily import at the store's time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from core.outbox.db.test_database_fails_briefly import broken
from core.outbox.stores import Clock, Heard, Opening, processing, work_off
from core.toy import ToyItem, lost_order, toy_order
from core.toy_server import ToyServer, answer, passing
from tillpost import OutageError
from tillpost.menus.diff import MenuChanges
from tillpost.outbox import (
    ConnectionOptions,
    DatabaseError,
    OrderState,
    Outbox,
    OutboxConnection,
    Processor,
    WaitsFor,
)
from tillpost.outbox.db import schema as t
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.request_budget import RequestBudget
from tillpost.outbox.worker.connection_tasks import ConnectionTasks
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.menu_sync import MenuSync, next_sync
from waiting import eventually


def connection_row(outbox: Outbox, connection: str = "cafe") -> sa.RowMapping:
    with outbox.database.reading() as db:
        return (
            db.execute(sa.select(t.connections).where(t.connections.c.name == connection))
            .mappings()
            .one()
        )


def stored_imports(outbox: Outbox) -> list[tuple[MenuChanges, bool]]:
    with outbox.database.reading() as db:
        rows = db.execute(sa.select(t.menu_imports).order_by(t.menu_imports.c.id))
        return [(MenuChanges.model_validate_json(row.changes), row.needed_review) for row in rows]


def drift(server: ToyServer) -> None:
    """Give the toast a new id; its SKU stays."""
    server.items = [ToyItem(id="i2", sku="S1", name="Toast", price=1000), *server.items[1:]]


def states(outbox: Outbox) -> set[OrderState]:
    return {stored.state for stored in outbox.orders()}


def test_one_import_heals_the_orders_of_two_workers(
    open_outbox: Opening, server: ToyServer
) -> None:
    outboxes = [open_outbox(), open_outbox()]
    drift(server)
    server.on("GET /menu", passing(delay=0.3))
    for number in range(6):
        outboxes[0].add(toy_order(f"ord-{number}"), connection="cafe")
    deadline = time.monotonic() + 120
    with processing(outboxes[0], server) as one, processing(outboxes[1], server) as other:

        def work(processor: Processor) -> None:
            while states(processor.outbox) != {OrderState.RECEIVED} and time.monotonic() < deadline:
                work_off(processor, most=1)
                time.sleep(0.02)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, (one, other, one, other)))
    assert states(outboxes[0]) == {OrderState.RECEIVED}
    assert server.count("GET /menu") == 1
    assert len(stored_imports(outboxes[0])) == 1


def test_order_waits_while_another_worker_imports_the_menu(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox = open_outbox()
    other = open_outbox()
    outbox.add(lost_order(), connection="cafe")
    with processing(outbox, server) as processor, processing(other, server) as importer:
        with outbox.database.writing() as db:
            outbox.connection_rows.lock(db, "cafe")
            outbox.connection_rows.update(db, "cafe", {"importer": importer._heartbeat.worker})  # pyright: ignore[reportPrivateUsage]
        work_off(processor)
        with pytest.raises(MenuImportRunning):
            processor.import_now("cafe")
    stored = outbox.get("ord-1")
    assert stored
    assert (stored.state, stored.waits_for) == (OrderState.DUE, WaitsFor.IMPORT)
    assert server.count("GET /menu") == 0


def test_import_left_by_a_failing_database_is_released(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox = open_outbox()
    other = open_outbox()
    with processing(outbox, server) as processor, processing(other, server) as next_worker:
        # The claim is on disk, and the result isn't.
        with broken(outbox, after=1, committed=False), pytest.raises(DatabaseError):
            processor.import_now("cafe")
        with pytest.raises(MenuImportRunning):
            next_worker.import_now("cafe")
        processor.release_unfinished()
        assert next_worker.import_now("cafe").fresh


def test_other_workers_use_a_recent_import(open_outbox: Opening, server: ToyServer) -> None:
    outbox = open_outbox()
    other = open_outbox()
    with processing(outbox, server) as processor:
        assert processor.import_now("cafe").fresh
    drift(server)
    other.add(toy_order("drifted", item="gone", sku="S1"), connection="cafe")
    server.items = [ToyItem(id="i1", sku="S1", name="Toast", price=1000)]
    with processing(other, server) as processor:
        work_off(processor)
    assert states(other) == {OrderState.RECEIVED}
    assert server.count("GET /menu") == 1


def test_failed_import_is_recorded_and_released(open_outbox: Opening, server: ToyServer) -> None:
    outbox = open_outbox()
    other = open_outbox()
    server.on("GET /menu", *[answer(503)] * 3)
    with processing(outbox, server) as processor, pytest.raises(OutageError):
        processor.import_now("cafe")
    assert server.count("GET /menu") == 3, "it isn't retried for hours"
    row = connection_row(outbox)
    assert (row["importer"], row["menu"]) == (None, None)
    assert row["import_failed_at"] == pytest.approx(time.time(), abs=10)
    assert "OutageError" in row["import_failure"]
    with processing(other, server) as processor:
        assert processor.import_now("cafe").fresh
    assert connection_row(outbox)["menu"]


def test_order_is_released_while_its_import_keeps_failing(
    outbox: Outbox, server: ToyServer
) -> None:
    clock = Clock()
    drift(server)
    server.on("GET /menu", *[answer(503)] * 3)
    outbox.add(toy_order(), connection="cafe")
    with processing(outbox, server, clock=clock) as processor:
        work_off(processor)
        stored = outbox.get("ord-1")
        assert stored
        assert (stored.state, stored.waits_for, server.count("GET /menu")) == (
            OrderState.DUE,
            WaitsFor.RETRY,
            3,
        )
        clock.ahead += 10
        work_off(processor)
    assert states(outbox) == {OrderState.RECEIVED}


def test_held_import_leaves_the_old_menu_in_effect_for_all(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox = open_outbox()
    other = open_outbox()
    heard = Heard()
    server.items += [
        ToyItem(id=f"i{n}", sku=f"S{n}", name=f"Soup {n}", price=900) for n in range(2, 10)
    ]
    with processing(outbox, server, heard=heard) as processor:
        processor.import_now("cafe")
        before = connection_row(outbox)
        server.items = server.items[:1]
        assert processor.import_now("cafe").held
    with processing(other, server) as processor:
        processor.menus.refresh("cafe", processor.connections["cafe"].menu_cache)
        menu_cache = processor.connections["cafe"].menu_cache
        assert menu_cache.menu
        assert menu_cache.held
        assert (len(menu_cache.menu.items), len(menu_cache.held.items)) == (9, 1)
    assert connection_row(outbox)["menu"] == before["menu"]
    assert len(heard.named("menu_import_held")) == 1
    (_, first_held), (changes, held) = stored_imports(outbox)
    assert (first_held, held, len(changes.removed)) == (False, True, 8)


def test_concurrent_imports_of_one_worker_run_in_turn(outbox: Outbox, server: ToyServer) -> None:
    with processing(outbox, server) as processor, ThreadPoolExecutor(2) as pool:
        server.on("GET /menu", passing(delay=0.3))
        first = pool.submit(processor.import_now, "cafe")
        eventually(lambda: server.count("GET /menu") == 1)
        server.items.append(ToyItem(id="i2", sku="S2", name="Soup", price=900))
        second = pool.submit(processor.import_now, "cafe")
        first.result()
        second.result()
        menu_cache = processor.connections["cafe"].menu_cache
        row = connection_row(outbox)
        assert menu_cache.menu
        assert row["menu"] == menu_cache.menu.model_dump_json()
        assert row["menu_at"] == menu_cache.imported_at
        assert row["importer"] is None
    assert len(stored_imports(outbox)) == 2


# ---------------------------------------------------------------------- the daily import


def test_one_of_two_workers_makes_the_daily_import(open_outbox: Opening, server: ToyServer) -> None:
    outboxes = [open_outbox(), open_outbox()]
    clock = Clock()
    zone = "Australia/Sydney"
    soon = datetime.fromtimestamp(clock(), ZoneInfo(zone)) + timedelta(minutes=2)
    cafe = OutboxConnection(
        server.adapter(), outbox=ConnectionOptions(sync_at=f"{soon:%H:%M}", time_zone=zone)
    )
    outboxes[0].prepare()
    with outboxes[0].database.writing() as db:
        outboxes[0].connection_rows.lock(db, "cafe")
    with (
        processing(outboxes[0], server, clock=clock, cafe=cafe) as one,
        processing(outboxes[1], server, clock=clock, cafe=cafe) as other,
    ):
        for hours, imports in ((0, 0), (0.05, 1), (12, 1), (24.1, 2)):
            clock.ahead = hours * 3600
            for processor in (one, other, one, other):
                Maintenance(processor).tend()
            assert server.count("GET /menu") == imports
    assert len(stored_imports(outboxes[0])) == 2


def test_imports_at_the_same_time_of_day_are_spread(outbox: Outbox, server: ToyServer) -> None:
    """Each host has room for some at once. The others follow, those first that waited longest."""
    clock, room_at = Clock(), [0.0]
    soon = datetime.fromtimestamp(clock(), UTC) + timedelta(minutes=2)
    options = ConnectionOptions(sync_at=f"{soon:%H:%M}", time_zone="UTC")
    names = [f"store-{number}" for number in range(6)]
    stores: dict[str, Any] = dict.fromkeys(
        names, OutboxConnection(server.adapter(), outbox=options)
    )
    outbox.prepare()
    with outbox.database.writing() as db:
        outbox.connection_rows.add(db, names)
    with processing(outbox, server, clock=clock, **stores) as processor:
        budget = RequestBudget(25.0, lambda: room_at[0])
        tasks = ConnectionTasks(8, "test-import", processor.connections.host, budget)
        sync = MenuSync(processor, tasks)
        sync.plan_daily()
        sync.import_daily()
        assert server.count("GET /menu") == 0
        clock.ahead = 180
        for imports in (1, 2, 3, 4, 5, 6, 6):
            room_at[0] += 3.0
            sync.plan_daily()
            sync.import_daily()
            eventually(lambda: not tasks.busy)
            assert server.count("GET /menu") == imports
        tasks.close(1.0)


def test_daily_import_that_is_no_longer_wanted_is_dropped(
    outbox: Outbox, server: ToyServer
) -> None:
    clock = Clock()
    outbox.prepare()
    with outbox.database.writing() as db:
        outbox.connection_rows.lock(db, "cafe")
        outbox.connection_rows.update(db, "cafe", {"sync_at": clock() - 1})
    with processing(outbox, server, clock=clock) as processor:
        MenuSync(processor).import_daily()
    assert connection_row(outbox)["sync_at"] is None
    assert server.count("GET /menu") == 0


ZONES = (
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Apia",
)
MINUTES = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
TIMES = st.floats(
    datetime(2026, 1, 1, tzinfo=UTC).timestamp(), datetime(2028, 1, 1, tzinfo=UTC).timestamp()
)


@given(st.sampled_from(ZONES), MINUTES, TIMES)
@example(
    "Australia/Sydney", "02:30", datetime(2026, 4, 4, 15, 29, tzinfo=UTC).timestamp()
)  # 2:30 comes twice
@example("Australia/Sydney", "02:59", datetime(2026, 4, 4, 13, 0, tzinfo=UTC).timestamp())
@example(
    "Australia/Sydney", "02:30", datetime(2026, 10, 3, 15, 0, tzinfo=UTC).timestamp()
)  # there is no 2:30
def test_daily_import_is_due_once_on_every_day_of_the_store(
    zone: str, sync_at: str, now: float
) -> None:
    options = ConnectionOptions(sync_at=sync_at, time_zone=zone)
    days: list[datetime] = []
    at = now
    for _ in range(4):
        upcoming = next_sync(options, at)
        assert upcoming is not None
        assert at < upcoming <= at + 25.5 * 3600
        assert {
            next_sync(options, at + (upcoming - at) * part) for part in (0.02, 0.03, 0.1, 0.5, 0.9)
        } == {upcoming}
        at = upcoming
        days.append(datetime.fromtimestamp(at, ZoneInfo(zone)))
    assert [day.date() for day in days] == [days[0].date() + timedelta(days=n) for n in range(4)]
    asked = datetime.strptime(sync_at, "%H:%M").time()
    for day in days:
        wanted = datetime.combine(day.date(), asked, ZoneInfo(zone))
        exists = wanted.astimezone(UTC).astimezone(ZoneInfo(zone)).time() == asked
        assert day.time() == asked if exists else timedelta(0) < day - wanted <= timedelta(hours=1)


def test_without_time_of_day_no_import_is_due() -> None:
    assert next_sync(ConnectionOptions(), 0.0) is None
