"""A row that can't be read is an order in error; everything else goes on.

Each column is damaged in turn, before the order is sent and after it has arrived. Then the worker,
the monitors, a webhook and what people do are run, beside an order that is well.
"""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from core.outbox.poison import damage, poisons_of, typed_columns
from core.outbox.stores import Clock, processing, work_off
from core.toy import toy_order
from core.toy_server import ToyServer, answer
from tillpost.errors import ErrorRecord, MenuError
from tillpost.models.order import PosOrder, PosState
from tillpost.outbox import OrderState, Outbox, OutboxConnection, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.connections import Connections
from tillpost.outbox.operations.diagnosis import gather_facts
from tillpost.outbox.operations.orders import ActError, OrderOperations
from tillpost.outbox.operations.status import overview
from tillpost.outbox.orders.models import UnreadableEventError
from tillpost.outbox.orders.updates import OrderUpdates
from tillpost.outbox.worker import retention
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.order_monitor import OrderMonitor
from tillpost.outbox.worker.retention import prune
from tillpost.submission.journal import Pruned
from tillpost.support.diagnosis import diagnose

ENDS = (OrderState.RECEIVED, OrderState.ACCEPTED, OrderState.ERROR)


def run_all(outbox: Outbox, server: ToyServer, *, webhook: bool = True) -> None:
    """Run a worker with its tasks, and the monitors, well after everything has become due."""
    clock = Clock()
    with processing(outbox, server, clock=clock) as processor:
        maintenance = Maintenance(processor)
        monitor = OrderMonitor(processor)
        for _ in range(3):
            maintenance.tend()
            work_off(processor)
            clock.ahead += 400.0
            monitor.poll()
            monitor.report_unseen()
            monitor.escalate()
        maintenance.close()
        if not webhook:
            return
        with outbox.database.writing() as db:
            seen = PosOrder(id="none", reference="bad", state=PosState.ACCEPTED)
            OrderUpdates(outbox.engine, outbox.settings).record_status(db, "cafe", seen, clock())


def look_at_all(outbox: Outbox, server: ToyServer) -> None:
    """Call what shows orders to people: none of it may raise."""
    connections = from_mapping({"cafe": OutboxConnection(server.adapter())})
    assert {order.id for order in outbox.orders()} == {"bad", "good"}
    assert overview(outbox).connections is not None
    Connections(outbox).states()
    outbox.availability("cafe")
    outbox.imports()
    for name in ("bad", "good"):
        outbox.entries(name)
        for live in (False, True):
            diagnose(gather_facts(outbox, name, connections=connections, live=live))
        OrderOperations(outbox, "mia").acts(name)
        json.dumps(OrderOperations(outbox, "mia").export(name))


def close(outbox: Outbox, server: ToyServer, action: str) -> None:
    """Close the poisoned order as a person does, after it is known to be one."""
    connections = from_mapping({"cafe": OutboxConnection(server.adapter())})
    operations = OrderOperations(outbox, "mia", connections=connections)
    if action == "manual":
        assert "PAID" in operations.manual("bad", even_in_doubt=True).docket
    else:
        operations.cancel("bad")
    closed = outbox.get("bad")
    assert closed
    assert closed.state.value == {"manual": "manual", "cancel": "cancelled"}[action]
    assert (closed.due_at, closed.problem_at) == (None, None)


def check_damaged(
    outbox: Outbox, server: ToyServer, column: str, value: object, *, arrived: bool, action: str
) -> None:
    """Damage one column of an order beside another, run everything, and close it."""
    what = f"{column} = {value!r}"
    with outbox.database.writing() as db:
        db.execute(sa.delete(t.orders))
    server.orders.clear()
    server.keys.clear()
    outbox.add(toy_order("bad"), connection="cafe")
    if arrived:
        with processing(outbox, server) as processor:
            work_off(processor)
    outbox.add(toy_order("good"), connection="cafe")
    damage(outbox, t.orders, column, value)

    run_all(outbox, server)
    look_at_all(outbox, server)

    good, bad = outbox.get("good"), outbox.get("bad")
    assert good, what
    assert good.state in (OrderState.RECEIVED, OrderState.ACCEPTED), what
    assert bad, what
    assert bad.state in ENDS, what
    made = [order for order in server.orders.values() if order.ref == "bad"]
    assert len(made) <= 1, what
    if not bad.unreadable:
        return
    assert bad.state is OrderState.ERROR, what
    assert bad.error, what
    assert bad.error.reason == "unreadable", what
    assert bad.problem_at is not None, what
    with pytest.raises(ActError, match="can't be read"):
        OrderOperations(outbox, "mia").resubmit("bad")
    close(outbox, server, action)


SOME = {
    "content": '{"id": ',
    "state": "teleported",
    "error": "[]",
    "pos_order": "garbage",
    "waits_for": "godot",
}
"""A damage to each column that every run tries."""


@pytest.mark.parametrize("arrived", [False, True], ids=["due", "received"])
def test_damaged_order_stops_only_itself(
    outbox: Outbox, server: ToyServer, *, arrived: bool
) -> None:
    for column, value in SOME.items():
        check_damaged(outbox, server, column, value, arrived=arrived, action="manual")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("action", ["manual", "cancel"])
@pytest.mark.parametrize("arrived", [False, True], ids=["due", "received"])
def test_any_damaged_column_of_an_order_stops_only_itself(
    outbox: Outbox, server: ToyServer, action: str, *, arrived: bool
) -> None:
    for column in typed_columns(t.orders):
        for value in poisons_of(column, sqlite=outbox.database.is_sqlite):
            if column.name != "connection":  # another name only sends it elsewhere
                check_damaged(outbox, server, column.name, value, arrived=arrived, action=action)


# ---------------------------------------------------------------------- journals


def break_journal(outbox: Outbox, order_id: str, **values: str) -> None:
    with outbox.database.writing() as db:
        of_order = sa.update(t.events).where(t.events.c.order_id == order_id)
        assert db.execute(of_order.values(**values)).rowcount


@pytest.mark.parametrize("broken", [{"body": "garbage"}, {"kind": "Teleported"}], ids=str)
def test_unreadable_journal_stops_only_its_order(
    outbox: Outbox, server: ToyServer, broken: dict[str, str]
) -> None:
    """What was sent isn't known any more, so nothing is sent."""
    server.on("POST /orders", answer(503))
    outbox.add(toy_order("bad"), connection="cafe")
    with processing(outbox, server) as processor:
        (claim,) = processor.claim(1)
        processor.handle(claim)
    outbox.add(toy_order("good"), connection="cafe")
    break_journal(outbox, "bad", **broken)

    error = error_of_bad(outbox, server)
    assert "journal" in error.detail
    close(outbox, server, "manual")


def error_of_bad(outbox: Outbox, server: ToyServer) -> ErrorRecord:
    """Run everything; only the order "good" may arrive. Return the error of the order "bad"."""
    run_all(outbox, server, webhook=False)
    look_at_all(outbox, server)
    good, bad = outbox.get("good"), outbox.get("bad")
    assert good
    assert good.state is OrderState.RECEIVED
    assert [made.ref for made in server.orders.values()] == ["good"]
    assert bad
    assert bad.state is OrderState.ERROR
    assert bad.error
    return bad.error


IMPOSSIBLE = {
    "settled-first": ("Settled", '{"at": 1.0, "applied": "maybe"}'),
    "no-time": ("Settled", '{"at": NaN, "applied": "maybe"}'),
    "beyond-the-calendar": ("DoubtResolved", '{"at": 1e300}'),
    "ahead-of-all": (
        "Intended",
        '{"at": 1, "effect": "create", "generation": 0, "key": "k", "digest": "d", "ahead": 1e300}',
    ),
}
"""Events that can be read one by one, and that no flow has recorded in this sequence."""


def replace_journal(outbox: Outbox, order_id: str, kind: str, body: str) -> None:
    with outbox.database.writing() as db:
        db.execute(sa.delete(t.events).where(t.events.c.order_id == order_id))
        event = {"order_id": order_id, "number": 0, "kind": kind, "body": body}
        db.execute(sa.insert(t.events).values(**event))


@pytest.mark.parametrize(
    ("case", "action"), list(zip(IMPOSSIBLE, ("manual", "cancel") * 2, strict=True))
)
def test_impossible_journal_stops_only_its_order(
    outbox: Outbox, server: ToyServer, case: str, action: str
) -> None:
    outbox.add(toy_order("bad"), connection="cafe")
    outbox.add(toy_order("good"), connection="cafe")
    replace_journal(outbox, "bad", *IMPOSSIBLE[case])
    error = error_of_bad(outbox, server)
    assert error.reason == "unreadable"
    close(outbox, server, action)


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_impossible_journal_leaves_others_to_be_pruned(
    outbox: Outbox, server: ToyServer, case: str
) -> None:
    for order_id in ("bad", "good"):
        outbox.add(toy_order(order_id), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    replace_journal(outbox, "bad", *IMPOSSIBLE[case])
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(added_at=1.0, expected_at=None, poll_at=None))

    assert prune(outbox, 1.0) > 0

    assert [type(event) for event in outbox.journal("good")] == [Pruned]
    with pytest.raises(UnreadableEventError):
        outbox.journal("bad")


def test_damaged_ids_leave_other_journals_to_be_pruned(
    sqlite_url: str, server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    with Outbox(sqlite_url) as outbox:
        for order_id in ("bad", "good", "other"):
            outbox.add(toy_order(order_id), connection="cafe")
        with processing(outbox, server) as processor:
            work_off(processor)
        with outbox.database.writing() as db:
            db.execute(sa.update(t.orders).values(added_at=1.0, expected_at=None, poll_at=None))
            db.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            for table, column in (("tillpost_orders", "id"), ("tillpost_events", "order_id")):
                db.exec_driver_sql(
                    f"UPDATE {table} SET {column} = CAST(x'62ff' AS TEXT) WHERE {column} = 'bad'"
                )
        prune(outbox, 1.0)
        for order_id in ("good", "other"):
            assert [type(event) for event in outbox.journal(order_id)] == [Pruned]


def test_webhook_about_unreadable_journal_sets_order_aside(
    outbox: Outbox, server: ToyServer
) -> None:
    outbox.add(toy_order("bad"), connection="cafe")
    with processing(outbox, server) as processor:
        work_off(processor)
    break_journal(outbox, "bad", body="garbage")
    (made,) = server.orders.values()
    refusal = MenuError("sold out").record()

    with outbox.database.writing() as db:
        updates = OrderUpdates(outbox.engine, outbox.settings)
        assert updates.record_refusal(db, "cafe", made.id, "bad", refusal, 1.0) == ()

    bad = outbox.get("bad")
    assert bad
    assert (bad.state, bad.due_at) == (OrderState.ERROR, None)


# ---------------------------------------------------------------------- other tables


QUICK = ("menu", "not_before")
"""The columns of a connection that every run tries."""


def connection_columns() -> list[object]:
    names = [column.name for column in typed_columns(t.connections)]
    slow = (pytest.mark.slow,)
    return [pytest.param(name, marks=() if name in QUICK else slow) for name in names]


@pytest.mark.parametrize("column", connection_columns())
def test_damaged_connection_row_stops_no_order(
    outbox: Outbox, server: ToyServer, column: str
) -> None:
    """Only a row that says that the connection is paused holds its orders back."""
    outbox.add(toy_order("first"), connection="cafe")
    with processing(outbox, server) as processor:
        Maintenance(processor).tend()
        work_off(processor)
    for value in poisons_of(t.connections.c[column], sqlite=outbox.database.is_sqlite):
        if column == "paused":
            continue
        with outbox.database.writing() as db:
            db.execute(sa.delete(t.orders))
        damage(outbox, t.connections, column, value, "name", "cafe")
        outbox.add(toy_order("bad"), connection="cafe")
        outbox.add(toy_order("good"), connection="cafe")

        run_all(outbox, server)
        look_at_all(outbox, server)

        good = outbox.get("good")
        assert good, value
        assert good.state is OrderState.RECEIVED, value


def test_order_of_a_vanished_worker_is_released(outbox: Outbox, server: ToyServer) -> None:
    outbox.add(toy_order("bad"), connection="cafe")
    outbox.add(toy_order("good"), connection="cafe")
    damage(outbox, t.orders, "worker", "nobody")

    run_all(outbox, server)

    assert {order.state for order in outbox.orders()} == {OrderState.RECEIVED}
