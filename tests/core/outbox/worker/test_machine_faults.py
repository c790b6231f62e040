"""The machine fails: full disk, locked or read-only database, PostgreSQL restart, wrong clock.

Each ends in a one-line error or is waited for, and no order is lost or sent twice.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Collection, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from core.outbox.stores import Clock, in_thread, processing, work_off
from core.toy import toy_order
from core.toy_server import ToyServer, answer, passing
from databases import PostgresServer
from tillpost.client.clock import flow_clock
from tillpost.models.order import Pickup
from tillpost.outbox import (
    DatabaseError,
    OrderState,
    Outbox,
    OutboxSettings,
    Processor,
    WaitsFor,
    Worker,
)
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.claims import Claim
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.submission.journal import SubmissionRequested
from waiting import eventually

pytestmark = pytest.mark.slow

SOON = 60.0


def names(outbox: Outbox) -> set[str]:
    return {stored.id for stored in outbox.orders(most=10_000)}


def states(outbox: Outbox) -> set[OrderState]:
    return {stored.state for stored in outbox.orders(most=10_000)}


@contextmanager
def working(outbox: Outbox, server: ToyServer) -> Generator[Processor]:
    """Run a worker during the block."""
    with processing(outbox, server) as processor, in_thread(Worker(processor)):
        yield processor


def wait_until_all_arrived(outbox: Outbox) -> None:
    deadline = time.monotonic() + SOON
    while True:
        try:
            if states(outbox) == {OrderState.RECEIVED}:
                return
        except DatabaseError:
            pass
        assert time.monotonic() < deadline, outbox.orders()
        time.sleep(0.05)


def wait_for_orders(server: ToyServer, at_least: int) -> None:
    eventually(lambda: len(server.orders) >= at_least)


def assert_each_once(server: ToyServer, orders: set[str]) -> None:
    assert {name: len(server.made(name)) for name in orders} == dict.fromkeys(orders, 1)


# ---------------------------------------------------------------------- a full disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


@pytest.fixture
def on_disk(path: Path) -> Generator[Outbox]:
    with Outbox(f"sqlite:///{path}") as outbox:
        yield outbox


def fill_disk(outbox: Outbox, pages: int) -> None:
    """Let the file grow by at most `pages`, over connections opened from now on; 0: no limit."""
    with outbox.database.reading() as db:
        now: int = db.execute(sa.text("PRAGMA page_count")).scalar_one()
    limit = now + pages if pages else 2**31 - 2

    def bound(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {limit}")

    event.listen(outbox.database.engine, "connect", bound)
    outbox.close()


def test_full_disk_refuses_orders_and_loses_none(on_disk: Outbox, path: Path) -> None:
    on_disk.prepare()
    fill_disk(on_disk, pages=20)
    taken: set[str] = set()
    with pytest.raises(DatabaseError) as refused:  # noqa: PT012  any of them may be the first that doesn't fit
        for number in range(1000):
            on_disk.add(toy_order(f"ord-{number}"), connection="cafe")
            taken.add(f"ord-{number}")
    assert str(refused.value) == "the database failed: database or disk is full"
    assert taken
    with Outbox(f"sqlite:///{path}") as other:
        assert names(other) == taken
    fill_disk(on_disk, pages=0)
    on_disk.add(toy_order("at-last"), connection="cafe")
    assert names(on_disk) == {*taken, "at-last"}


def test_request_is_not_sent_if_its_intent_cannot_be_written(
    on_disk: Outbox, path: Path, server: ToyServer
) -> None:
    on_disk.add(toy_order(), connection="cafe")
    refuse_events = (
        "CREATE TRIGGER full BEFORE INSERT ON tillpost_events "
        "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    )
    with processing(on_disk, server) as processor, closing(sqlite3.connect(path)) as other:
        other.execute(refuse_events)
        assert work_off(processor) == ["ord-1"]
        assert server.seen == []
        other.execute("DROP TRIGGER full")
        make_due(on_disk)
        work_off(processor)
    assert states(on_disk) == {OrderState.RECEIVED}
    assert_each_once(server, {"ord-1"})


def make_due(outbox: Outbox) -> None:
    """Make all waiting orders due."""
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).where(t.orders.c.due_at.is_not(None)).values(due_at=1.0))


# ---------------------------------------------------------------------- a locked database


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Lock the file from another program."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def impatient(path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Outbox]:
    monkeypatch.setattr("tillpost.outbox.db.database.BUSY_SECONDS", 0.2)
    with Outbox(f"sqlite:///{path}", settings=OutboxSettings(first_wait=0.05)) as outbox:
        outbox.prepare()
        yield outbox


def test_locked_database_refuses_orders_and_may_be_retried(impatient: Outbox, path: Path) -> None:
    with locked(path):
        with pytest.raises(DatabaseError) as refused:
            impatient.add(toy_order(), connection="cafe")
        assert impatient.get("ord-1") is None, "reading goes on"
    assert str(refused.value) == "the database failed: database is locked"
    assert refused.value.transient
    impatient.add(toy_order(), connection="cafe")
    assert names(impatient) == {"ord-1"}


def test_threads_waiting_for_a_lock_give_up(impatient: Outbox, path: Path) -> None:
    refused: list[str] = []

    def add(number: int) -> None:
        try:
            impatient.add(toy_order(f"ord-{number}"), connection="cafe")
        except DatabaseError as error:
            refused.append(str(error))

    with locked(path):
        threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)
            assert not thread.is_alive()
    assert refused == ["the database failed: database is locked"] * 4


def test_worker_waits_for_locked_database_and_sends_once(
    impatient: Outbox, path: Path, server: ToyServer
) -> None:
    orders = {f"ord-{number}" for number in range(20)}
    server.on("POST /orders", *[passing(delay=0.1)] * 20)
    for name in sorted(orders):
        impatient.add(toy_order(name), connection="cafe")
    with working(impatient, server):
        for number in range(3):
            wait_for_orders(server, 5 * number + 1)
            with locked(path):
                time.sleep(0.5)
        wait_until_all_arrived(impatient)
    assert_each_once(server, orders)


# ---------------------------------------------------------------------- PostgreSQL restarted


def wait_until_more_are(taken: Collection[str]) -> None:
    """Wait until orders have been added since."""
    before = len(taken)
    eventually(lambda: len(taken) > before + 2)


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_order_added_during_restart_is_stored_or_refused(
    how: Any, postgres: PostgresServer, postgres_url: str
) -> None:
    taken: set[str] = set()
    refused: list[DatabaseError] = []
    stop = threading.Event()
    with Outbox(postgres_url) as outbox:
        outbox.prepare()

        def add_all(thread: int) -> None:
            number = 0
            while not stop.is_set():
                name = f"{thread}-{number}"
                try:
                    outbox.add(toy_order(name), connection="cafe")
                    taken.add(name)
                    number += 1
                except DatabaseError as error:
                    refused.append(error)
                    time.sleep(0.01)

        threads = [threading.Thread(target=add_all, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            wait_until_more_are(taken)
            postgres.restart(how)
        wait_until_more_are(taken)
        stop.set()
        for thread in threads:
            thread.join(SOON)
        assert taken <= names(outbox)
        assert len(names(outbox)) <= len(taken) + 3, (
            "at most one of each thread was stored although it was refused"
        )
    assert all(error.transient and "\n" not in str(error) for error in refused)


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_worker_survives_restart_and_sends_nothing_twice(
    how: Any, postgres: PostgresServer, postgres_url: str, server: ToyServer
) -> None:
    orders = {f"ord-{number}" for number in range(30)}
    server.on("POST /orders", *[passing(delay=0.1)] * 30)
    with Outbox(postgres_url, settings=OutboxSettings(first_wait=0.05)) as outbox:
        for name in sorted(orders):
            outbox.add(toy_order(name), connection="cafe")
        with working(outbox, server):
            for number in range(2):
                wait_for_orders(server, 10 * number + 1)
                postgres.restart(how)
            wait_until_all_arrived(outbox)
    assert_each_once(server, orders)


# ---------------------------------------------------------------------- a wrong clock

HOUR = 3600.0


@pytest.mark.parametrize("set_by", [HOUR, -HOUR], ids=["an hour forward", "an hour back"])
def test_orders_arrive_although_the_clock_is_set(
    set_by: float, outbox: Outbox, server: ToyServer
) -> None:
    clock = Clock()
    server.on("POST /orders", answer(503))
    for number in range(3):
        outbox.add(toy_order(f"ord-{number}"), connection="cafe")
    with processing(outbox, server, clock=clock) as processor:
        work_off(processor)
        clock.ahead += set_by
        outbox.add(toy_order("ord-3"), connection="cafe")
        for _ in range(4):
            Maintenance(processor).tend()
            work_off(processor)
            clock.ahead += 1
    assert states(outbox) == {OrderState.RECEIVED}
    assert_each_once(server, {f"ord-{number}" for number in range(4)})


def test_orders_put_off_by_wrong_clock_are_due_once_it_is_right(
    outbox: Outbox, server: ToyServer
) -> None:
    clock = Clock()
    clock.ahead = HOUR
    server.on("POST /orders", answer(503))
    for name in ("retried", "freed", "added"):
        outbox.add(toy_order(name), connection="cafe")
    with outbox.database.writing() as db:  # as a program whose clock is ahead adds it
        ahead = {"due_at": clock() + 1, "eligible_at": clock() + 1, "added_at": clock() + 1}
        db.execute(sa.update(t.orders).where(t.orders.c.id == "added").values(**ahead))
    with processing(outbox, server, clock=clock) as processor:
        (retried,) = processor.claim(1)
        processor.handle(retried)
        dying = outbox.workers.enlist(clock())
        (freed,) = outbox.claims.claim("cafe", dying, clock(), limit=1, most=1)
        outbox.workers.reap(dying, 0, clock())
        assert (retried.order.id, freed.order.id) == ("retried", "freed")
        clock.ahead = 0.0
        assert work_off(processor) == []
        Maintenance(processor).tend()
        assert sorted(work_off(processor)) == ["added", "freed", "retried"]
    assert states(outbox) == {OrderState.RECEIVED}


def test_scheduled_order_waits_although_the_clock_is_set_back(
    outbox: Outbox, server: ToyServer
) -> None:
    due = datetime.now(UTC) + timedelta(hours=5)
    outbox.add(toy_order().model_copy(update={"fulfilment": Pickup(due_at=due)}), connection="cafe")
    clock = Clock()
    with processing(outbox, server, clock=clock) as processor:
        clock.ahead = -HOUR
        Maintenance(processor).tend()
        assert work_off(processor) == []
    stored = outbox.get("ord-1")
    assert stored
    assert (stored.due_at, stored.waits_for) == (due.timestamp() - 1800, WaitsFor.ITS_TIME)


def claim_with(*times: float, suspended_until: float = 0.0) -> Claim:
    events = tuple(SubmissionRequested(at, "d") for at in times)
    return Claim(
        toy_order(),
        "cafe",
        "w",
        1,
        0.0,
        suspended_until,
        new_request=False,
        is_new=True,
        crash_count=0,
        events=events,
    )


@pytest.mark.parametrize(
    ("claim", "now", "begins"),
    [
        (claim_with(), 1000.0, 1000.0),
        (claim_with(900.0, 950.0), 1000.0, 1000.0),
        # The clock was set back, or another machine's is ahead.
        (claim_with(5000.0), 1000.0, 5000.0),
        # Its wait is over, whatever the clock says.
        (claim_with(900.0, suspended_until=1200.0), 1000.0, 1200.0),
    ],
)
def test_flow_clock_never_goes_back_behind_the_journal(
    claim: Claim, now: float, begins: float
) -> None:
    clock = flow_clock(lambda: now, claim.events, earliest=claim.suspended_until)
    assert begins <= clock() <= clock() <= begins + 5


def test_flow_clock_ignores_changes_of_the_system_clock() -> None:
    times = iter([1000.0, 9999.0, 1.0])
    clock = flow_clock(lambda: next(times), ())
    assert [round(clock()) for _ in range(3)] == [1000] * 3


# ---------------------------------------------------------------------- an unusable database


@contextmanager
def ordinary_user() -> Generator[None]:
    """Run as an ordinary user: root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only() -> Generator[Path]:
    """A directory that everybody can enter and nobody can write."""
    directory = Path(tempfile.mkdtemp(prefix="tillpost-read-only-"))
    directory.chmod(0o555)
    yield directory
    directory.chmod(0o755)
    shutil.rmtree(directory)


def test_new_database_in_read_only_directory_is_refused(read_only: Path) -> None:
    with (
        ordinary_user(),
        Outbox(f"sqlite:///{read_only}/orders.db") as outbox,
        pytest.raises(DatabaseError) as refused,
    ):
        outbox.add(toy_order(), connection="cafe")
    assert str(refused.value) == "the database failed: unable to open database file"
    assert not refused.value.transient


def test_database_that_became_read_only_keeps_its_orders(
    read_only: Path,
) -> None:
    file = read_only / "orders.db"
    read_only.chmod(0o755)
    with Outbox(f"sqlite:///{file}") as outbox:
        outbox.add(toy_order(), connection="cafe")
    file.chmod(0o444)
    read_only.chmod(0o555)
    with (
        ordinary_user(),
        Outbox(f"sqlite:///{file}") as outbox,
        pytest.raises(DatabaseError) as refused,
    ):
        outbox.add(toy_order("ord-2"), connection="cafe")
    assert "readonly" in str(refused.value) or "unable to open" in str(refused.value)
    assert "\n" not in str(refused.value)
    read_only.chmod(0o755)
    file.chmod(0o644)
    with Outbox(f"sqlite:///{file}") as outbox:
        assert names(outbox) == {"ord-1"}
        outbox.add(toy_order("ord-2"), connection="cafe")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("missing/orders.db", "unable to open database file"),
        ("file/orders.db", "unable to open database file"),
    ],
)
def test_impossible_path_is_refused_in_one_line(where: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Outbox(f"sqlite:///{tmp_path / where}") as outbox, pytest.raises(DatabaseError) as refused:
        outbox.orders()
    assert str(refused.value) == f"the database failed: {message}"


def test_file_that_is_no_database_is_refused_and_unchanged(path: Path) -> None:
    path.write_text("my shopping list\n" * 100)
    with Outbox(f"sqlite:///{path}") as outbox, pytest.raises(DatabaseError) as refused:
        outbox.add(toy_order(), connection="cafe")
    assert str(refused.value) == "the database failed: file is not a database"
    assert path.read_text() == "my shopping list\n" * 100


def test_error_shows_neither_password_nor_driver_message() -> None:
    url = "postgresql+psycopg://shop:hunter2hunter2@127.0.0.1:1/orders?connect_timeout=2"
    with Outbox(url) as outbox, pytest.raises(DatabaseError) as refused:
        outbox.add(toy_order(), connection="cafe")
    assert "hunter2" not in str(refused.value) + repr(outbox.database)
    assert refused.value.transient
    assert refused.value.__suppress_context__, "it may quote a row"
