"""Maintenance puts right what a clock that was ahead, or damage, has put off for ever."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from core.outbox.stores import Clock, processing, work_off
from core.toy import toy_order
from core.toy_server import ToyServer
from tillpost.outbox import OrderState, Outbox
from tillpost.outbox.db import schema as t
from tillpost.outbox.worker.maintenance import Maintenance

HOUR = 3600.0
YEAR = 365 * 24 * HOUR


def row_of(outbox: Outbox, table: sa.Table) -> sa.RowMapping:
    with outbox.database.reading() as db:
        return db.execute(sa.select(table)).mappings().one()


def test_times_set_by_wrong_clock_count_from_when_it_is_right(
    outbox: Outbox, server: ToyServer
) -> None:
    clock = Clock()
    clock.ahead = YEAR
    outbox.add(toy_order("ord-1"), connection="cafe")
    with processing(outbox, server, clock=clock) as processor:
        assert work_off(processor) == ["ord-1"]
        with outbox.database.writing() as db:
            ahead = {"escalate_at": clock() + 300, "eligible_at": clock()}
            db.execute(sa.update(t.orders).values(**ahead))
            outbox.connection_rows.update(db, "cafe", {"import_at": clock() + 10})
        clock.ahead = 0.0
        Maintenance(processor).tend()
    order, latest = row_of(outbox, t.orders), clock() + HOUR
    for column in ("poll_at", "expected_at", "escalate_at", "eligible_at"):
        assert order[column] < latest, column
    # The import that was due is done.
    assert row_of(outbox, t.connections)["import_at"] is None


def test_times_of_an_order_for_next_year_stay(outbox: Outbox, server: ToyServer) -> None:
    wanted_at = time.time() + YEAR
    far = {
        "wanted_at": wanted_at,
        "eligible_at": wanted_at - HOUR,
        "due_at": wanted_at - HOUR,
        "expected_at": wanted_at + 60,
        "waits_for": "time",
    }
    outbox.add(toy_order("ord-1"), connection="cafe")
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(**far))
    with processing(outbox, server) as processor:
        Maintenance(processor).tend()
    order = row_of(outbox, t.orders)
    assert {column: order[column] for column in far} == far


ENDLESS = {
    "unknown-wait": {"due_at": float("inf"), "waits_for": "newer"},
    "authorisation": {"due_at": float("inf"), "waits_for": "authorisation"},
    "its-time": {"due_at": float("inf"), "eligible_at": float("inf"), "waits_for": "time"},
}


@pytest.mark.parametrize("case", ENDLESS)
def test_order_put_off_for_ever_is_sent_or_a_problem(
    outbox: Outbox, server: ToyServer, case: str
) -> None:
    outbox.add(toy_order("ord-1"), connection="cafe")
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(**ENDLESS[case]))
    with processing(outbox, server) as processor:
        Maintenance(processor).tend()
        work_off(processor)
    stored = outbox.get("ord-1")
    assert stored
    assert stored.state is OrderState.RECEIVED or stored.problem_at is not None
