"""A connection or a row whose claim fails by itself is passed over; all others go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from core.outbox.poison import damage
from core.outbox.stores import processing, work_off
from core.toy import toy_order
from core.toy_server import ToyServer
from tillpost.outbox import DatabaseError, OrderState, Outbox, OutboxConnection
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.claims import ISOLATE_AFTER
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.passed_over import PassedOver
from waiting import eventually

LARGEST = 2**31 - 1


def states(outbox: Outbox) -> dict[str, OrderState]:
    return {order.id: order.state for order in outbox.orders()}


@pytest.fixture
def on_postgresql(postgres_url: str) -> Iterator[Outbox]:
    with Outbox(postgres_url) as opened:
        opened.add(toy_order("held"), connection="cafe")
        opened.add(toy_order("free"), connection="bar")
        with opened.database.writing() as db:
            for name in ("cafe", "bar"):
                opened.connection_rows.lock(db, name)
        yield opened


def at_bar(server: ToyServer) -> OutboxConnection:
    return OutboxConnection(server.adapter())


@contextmanager
def holding(outbox: Outbox, rows: sa.Select[Any]) -> Generator[None]:
    """Hold locks on rows, however slow the machine is."""
    with outbox.database.writing() as db:
        db.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        db.execute(rows.with_for_update())
        yield


def test_locked_connection_holds_up_no_other(on_postgresql: Outbox, server: ToyServer) -> None:
    locked = sa.select(t.connections.c.name).where(t.connections.c.name == "cafe")
    with processing(on_postgresql, server, bar=at_bar(server)) as processor:
        with holding(on_postgresql, locked):
            assert work_off(processor) == ["free"]
        eventually(lambda: work_off(processor) == ["held"])


def test_locked_order_holds_up_no_other(on_postgresql: Outbox, server: ToyServer) -> None:
    on_postgresql.add(toy_order("beside"), connection="cafe")
    locked = sa.select(t.orders.c.id).where(t.orders.c.id == "held")
    with processing(on_postgresql, server, bar=at_bar(server)) as processor:
        with holding(on_postgresql, locked):
            assert sorted(work_off(processor)) == ["beside", "free"]
        assert work_off(processor) == ["held"]


def test_task_held_up_by_a_lock_stops_no_other_task(
    on_postgresql: Outbox, server: ToyServer
) -> None:
    """The check of a locked connection is due; the other tasks run, and the loop goes on."""
    with on_postgresql.database.writing() as db:
        db.execute(sa.update(t.connections).values(check_at=1.0))
    locked = sa.select(t.connections.c.name).where(t.connections.c.name == "cafe")
    with processing(on_postgresql, server, bar=at_bar(server)) as processor:
        maintenance = Maintenance(processor)
        with holding(on_postgresql, locked):
            maintenance.tend()
        maintenance.close()
    with on_postgresql.database.reading() as reading:
        rows = dict(
            reading.execute(sa.select(t.connections.c.name, t.connections.c.check_at)).all()
        )
    assert rows["bar"] > 1.0
    assert rows["cafe"] == 1.0


def test_claim_that_raises_anything_holds_up_no_other(
    outbox: Outbox, server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.add(toy_order("bad"), connection="cafe")
    outbox.add(toy_order("good"), connection="bar")
    real = outbox.claims.claim

    def claim(connection: str, *arguments: object, **options: object) -> object:
        if connection == "cafe":
            raise OverflowError("a number in the row")
        return real(connection, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(outbox.claims, "claim", claim)
    with processing(outbox, server, bar=at_bar(server)) as processor:
        assert work_off(processor) == ["good"]


@pytest.mark.parametrize("column", ["fencing_token", "crash_count"])
def test_largest_count_in_a_row_stops_nothing(
    outbox: Outbox, server: ToyServer, column: str
) -> None:
    outbox.add(toy_order("bad"), connection="cafe")
    outbox.add(toy_order("good"), connection="cafe")
    damage(outbox, t.orders, column, LARGEST)
    with processing(outbox, server) as processor:
        work_off(processor)
    assert states(outbox)["good"] is OrderState.RECEIVED
    assert states(outbox)["bad"] in (OrderState.RECEIVED, OrderState.ERROR)


def test_dead_worker_with_largest_crash_count_is_reaped(outbox: Outbox) -> None:
    outbox.add(toy_order("bad"), connection="cafe")
    outbox.add(toy_order("good"), connection="cafe")
    worker = outbox.workers.enlist(0.0)
    claims = outbox.claims.claim("cafe", worker, time.time() + 1, limit=4, most=4)
    assert len(claims) == 2
    damage(outbox, t.orders, "crash_count", LARGEST)

    assert outbox.workers.reap(worker, 0, time.time()) == 2

    assert {order.worker for order in outbox.orders()} == {None}


@pytest.mark.parametrize(
    "damaged",
    [
        {"opened_at": 1.0, "probes": 1_000_000, "failures": 3},
        {"recovery_limit": -5},
        {"opened_at": 1.0, "probes": -1_000_000, "failures": LARGEST},
    ],
    ids=["probes", "recovery_limit", "failures"],
)
def test_damaged_counts_of_a_circuit_hold_nothing_back(
    outbox: Outbox, server: ToyServer, damaged: dict[str, object]
) -> None:
    outbox.add(toy_order("good"), connection="cafe")
    with outbox.database.writing() as db:
        outbox.connection_rows.lock(db, "cafe")
        outbox.connection_rows.update(db, "cafe", damaged)
    with processing(outbox, server) as processor:
        work_off(processor)
    assert states(outbox) == {"good": OrderState.RECEIVED}


NAMES = {
    "not-utf8": "CAST(x'6fff31' AS TEXT)",
    "blob": "x'626164'",
    "nul": "CAST(x'610062' AS TEXT)",
}


def add_damaged(url: str, column: str, name: str, count: int = 1) -> Outbox:
    """Return an outbox with a good order, and others with a damaged name, due before it."""
    outbox = Outbox(url)
    for number in range(count):
        outbox.add(toy_order(f"bad-{number}"), connection="cafe")
    with outbox.database.writing() as db:
        value = NAMES[name] if count == 1 else "CAST(id AS BLOB)"
        db.exec_driver_sql(f"UPDATE tillpost_orders SET {column} = {value}")
    outbox.add(toy_order("good"), connection="cafe")
    return outbox


def raw_states(outbox: Outbox) -> dict[object, str]:
    columns = sa.text("SELECT id, state FROM tillpost_orders WHERE problem_at IS NOT NULL")
    with outbox.database.reading() as db:
        return {row.id: row.state for row in db.execute(columns)}


@pytest.mark.parametrize("crash_count", [0, ISOLATE_AFTER])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("column", ["id", "connection"])
def test_order_with_a_damaged_name_is_set_aside(
    sqlite_url: str, server: ToyServer, column: str, name: str, crash_count: int
) -> None:
    outbox = add_damaged(sqlite_url, column, name)
    with outbox.database.writing() as db:
        db.exec_driver_sql(
            f"UPDATE tillpost_orders SET crash_count = {crash_count} WHERE id != 'good'"
        )
    with processing(outbox, server) as processor, closing(Maintenance(processor)) as maintenance:
        maintenance.tend()
        work_off(processor)

    good = outbox.get("good")
    assert good
    assert good.state is OrderState.RECEIVED
    assert list(raw_states(outbox).values()) == ["error"]
    outbox.close()


def test_damaged_ids_do_not_use_up_a_connections_limit(sqlite_url: str, server: ToyServer) -> None:
    outbox = add_damaged(sqlite_url, "id", "blob", count=8)
    with processing(outbox, server) as processor:
        for _ in range(5):
            work_off(processor, most=2)
    good = outbox.get("good")
    assert good
    assert good.state is OrderState.RECEIVED
    assert list(raw_states(outbox).values()) == ["error"] * 8
    outbox.close()


def test_name_of_same_bytes_is_another_one(sqlite_url: str, server: ToyServer) -> None:
    """A connection whose name is a BLOB isn't the one with that text."""
    outbox = Outbox(sqlite_url)
    for order_id in ("bad", "good"):
        outbox.add(toy_order(order_id), connection="cafe")
    with outbox.database.writing() as db:
        db.exec_driver_sql(
            "UPDATE tillpost_orders SET connection = CAST(connection AS BLOB) WHERE id = 'bad'"
        )
    outbox.claims.set_aside_unnamed(time.time())
    assert states(outbox) == {"bad": OrderState.ERROR, "good": OrderState.DUE}
    outbox.close()


@pytest.mark.parametrize("column", ["poll_at", "expected_at", "escalate_at"])
@pytest.mark.parametrize("name", NAMES)
def test_damaged_id_in_the_monitors_is_set_aside(
    sqlite_url: str, server: ToyServer, name: str, column: str
) -> None:
    outbox = add_damaged(sqlite_url, "id", name)
    with outbox.database.writing() as db:
        db.exec_driver_sql(
            f"UPDATE tillpost_orders SET due_at = NULL, state = 'received', {column} = 1.0"
        )
    with processing(outbox, server) as processor, closing(Maintenance(processor)) as maintenance:
        maintenance.tend()
    assert "error" in raw_states(outbox).values()
    outbox.close()


def test_number_of_a_journal_event_out_of_range(outbox: Outbox, server: ToyServer) -> None:
    outbox.add(toy_order("bad"), connection="cafe")
    event = {"order_id": "bad", "number": LARGEST, "kind": "Cancelled", "body": '{"at": 1.0}'}
    with outbox.database.writing() as db:
        db.execute(sa.insert(t.events).values(**event))
    outbox.add(toy_order("good"), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    assert states(outbox) == {"bad": OrderState.ERROR, "good": OrderState.RECEIVED}


def test_wait_doubles_and_ends_with_success(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    passing = PassedOver("claim")

    def fail() -> None:
        with passing.attempt("cafe"):
            raise OverflowError

    waits: list[float] = []
    for _ in range(8):
        fail()
        before = now[0]
        while not passing.allows("cafe"):
            now[0] += 1.0
        waits.append(now[0] - before)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    with passing.attempt("cafe"):
        pass
    fail()
    assert not passing.allows("cafe")
    assert passing.allows("bar")
    now[0] += 1.0
    assert passing.allows("cafe")


@pytest.mark.parametrize("failure", [DatabaseError("full"), KeyboardInterrupt()])
def test_failure_of_everything_is_raised(failure: BaseException) -> None:
    passing = PassedOver("claim")

    def fail() -> None:
        with passing.attempt("cafe"):
            raise failure

    calls: Callable[[], None] = fail
    with pytest.raises(type(failure)):
        calls()
    assert passing.allows("cafe")
