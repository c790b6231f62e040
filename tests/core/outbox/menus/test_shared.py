"""Menus in the store: one import at a time over all workers, one menu in force, a daily import at the store's time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from core.outbox.stores import Clock, Heard, Opening, processing, work_off
from core.toy import ToyItem, lost_order, toy_order
from core.toy_server import ToyServer, answer, passing
from tillpost import OutageError
from tillpost.menus.diff import MenuChanges
from tillpost.outbox import Connected, ConnectionOptions, OrderState, Outbox, Processor, WaitsFor
from tillpost.outbox.db import schema as t
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.worker.maintenance import Maintenance, next_sync
from waiting import eventually


def place(outbox: Outbox, connection: str = "cafe") -> sa.RowMapping:
    with outbox.database.reading() as db:
        return (
            db.execute(sa.select(t.connections).where(t.connections.c.name == connection))
            .mappings()
            .one()
        )


def kept_imports(outbox: Outbox) -> list[tuple[MenuChanges, bool]]:
    with outbox.database.reading() as db:
        rows = db.execute(sa.select(t.menu_imports).order_by(t.menu_imports.c.id))
        return [(MenuChanges.model_validate_json(row.changes), row.needed_review) for row in rows]


def drift(server: ToyServer) -> None:
    """The toast gets a new id; its SKU stays."""
    server.items = [ToyItem(id="i2", sku="S1", name="Toast", price=1000), *server.items[1:]]


def states(outbox: Outbox) -> set[OrderState]:
    return {stored.state for stored in outbox.orders()}


def test_orders_of_two_workers_that_met_the_same_drift_are_healed_by_one_import(
    open_outbox: Opening, server: ToyServer
) -> None:
    outboxes = [open_outbox(), open_outbox()]
    drift(server)
    server.on("GET /menu", passing(delay=0.3))
    for number in range(6):
        outboxes[0].add(toy_order(f"ord-{number}"), connection="cafe")
    deadline = time.monotonic() + 30
    with processing(outboxes[0], server) as one, processing(outboxes[1], server) as other:

        def work(processor: Processor) -> None:
            while states(processor.outbox) != {OrderState.RECEIVED} and time.monotonic() < deadline:
                work_off(processor, most=1)
                time.sleep(0.02)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, (one, other, one, other)))
    assert states(outboxes[0]) == {OrderState.RECEIVED}
    assert server.count("GET /menu") == 1
    assert len(kept_imports(outboxes[0])) == 1


def test_a_worker_that_wants_to_import_while_another_does_is_told_so_and_its_order_looks_again(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, other = open_outbox(), open_outbox()
    outbox.add(lost_order(), connection="cafe")
    with processing(outbox, server) as processor, processing(other, server) as importer:
        with outbox.database.writing() as db:
            outbox.connection_rows.lock(db, "cafe")
            outbox.connection_rows.update(db, "cafe", {"importer": importer._life.worker})  # pyright: ignore[reportPrivateUsage]
        work_off(processor)
        with pytest.raises(MenuImportRunning):
            processor.import_now("cafe")
    stored = outbox.get("ord-1")
    assert stored
    assert (stored.state, stored.waits_for) == (OrderState.DUE, WaitsFor.IMPORT)
    assert server.count("GET /menu") == 0


def test_within_the_cooldown_the_last_import_serves_other_workers_too(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, other = open_outbox(), open_outbox()
    with processing(outbox, server) as processor:
        assert processor.import_now("cafe").fresh
    drift(server)
    other.add(toy_order("drifted", item="gone", sku="S1"), connection="cafe")
    server.items = [ToyItem(id="i1", sku="S1", name="Toast", price=1000)]
    with processing(other, server) as processor:
        work_off(processor)
    assert states(other) == {OrderState.RECEIVED}
    assert server.count("GET /menu") == 1


def test_an_import_that_fails_is_noted_and_lets_the_next_one_begin(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, other = open_outbox(), open_outbox()
    server.on("GET /menu", *[answer(503)] * 3)
    with processing(outbox, server) as processor, pytest.raises(OutageError):
        processor.import_now("cafe")
    assert server.count("GET /menu") == 3, "it isn't repeated for hours"
    there = place(outbox)
    assert (there["importer"], there["menu"]) == (None, None)
    assert there["import_failed_at"] == pytest.approx(time.time(), abs=10)
    assert "OutageError" in there["import_failure"]
    with processing(other, server) as processor:
        assert processor.import_now("cafe").fresh
    assert place(outbox)["menu"]


def test_an_order_whose_import_keeps_failing_isnt_kept_in_hand_meanwhile(
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


def test_the_brake_holds_an_import_and_the_old_menu_stays_in_force_for_all(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, other, heard = open_outbox(), open_outbox(), Heard()
    server.items += [
        ToyItem(id=f"i{n}", sku=f"S{n}", name=f"Soup {n}", price=900) for n in range(2, 10)
    ]
    with processing(outbox, server, heard=heard) as processor:
        processor.import_now("cafe")
        before = place(outbox)
        server.items = server.items[:1]
        assert processor.import_now("cafe").held
    with processing(other, server) as processor:
        processor.menus.refresh("cafe", processor.tills["cafe"].menu_cache)
        menu_cache = processor.tills["cafe"].menu_cache
        assert menu_cache.menu
        assert menu_cache.held
        assert (len(menu_cache.menu.items), len(menu_cache.held.items)) == (9, 1)
    assert place(outbox)["menu"] == before["menu"]
    assert len(heard.named("menu_import_held")) == 1
    (_, first_held), (changes, held) = kept_imports(outbox)
    assert (first_held, held, len(changes.removed)) == (False, True, 8)


def test_two_imports_of_one_worker_run_one_after_the_other_and_both_are_kept(
    outbox: Outbox, server: ToyServer
) -> None:
    with processing(outbox, server) as processor, ThreadPoolExecutor(2) as pool:
        server.on("GET /menu", passing(delay=0.3))
        first = pool.submit(processor.import_now, "cafe")
        eventually(lambda: server.count("GET /menu") == 1)
        server.items.append(ToyItem(id="i2", sku="S2", name="Soup", price=900))
        second = pool.submit(processor.import_now, "cafe")
        first.result()
        second.result()
        menu_cache = processor.tills["cafe"].menu_cache
        there = place(outbox)
        assert menu_cache.menu
        assert there["menu"] == menu_cache.menu.model_dump_json()
        assert there["menu_at"] == menu_cache.imported_at
        assert there["importer"] is None
    assert len(kept_imports(outbox)) == 2


# ---------------------------------------------------------------------- the daily import


def test_the_daily_import_is_done_once_by_two_workers(
    open_outbox: Opening, server: ToyServer
) -> None:
    outboxes, clock = [open_outbox(), open_outbox()], Clock()
    zone = "Australia/Sydney"
    soon = datetime.fromtimestamp(clock(), ZoneInfo(zone)) + timedelta(minutes=2)
    cafe = Connected(
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
    assert len(kept_imports(outboxes[0])) == 2


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
def test_the_daily_import_comes_once_on_every_day_of_the_store(
    zone: str, sync_at: str, now: float
) -> None:
    options, days = ConnectionOptions(sync_at=sync_at, time_zone=zone), list[datetime]()
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


def test_without_a_time_of_day_there_is_no_daily_import() -> None:
    assert next_sync(ConnectionOptions(), 0.0) is None
