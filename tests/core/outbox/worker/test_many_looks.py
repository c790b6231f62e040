"""Orders that no register confirms are reported in time, also by a budget that is far too small.

2,000 stores at 20 polls a second, as by default, are as 60 stores at 0.6: fewer requests, and the
same share of the polls that the orders' own schedules ask for.
"""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from core.outbox.stores import Clock, processing, work_off
from core.toy import toy_order
from core.toy_server import ToyServer
from tillpost.outbox import Outbox, OutboxConnection, OutboxSettings
from tillpost.outbox.db import schema as t
from tillpost.outbox.request_budget import POLL, SHARES, RequestBudget
from tillpost.outbox.worker.connection_tasks import ConnectionTasks
from tillpost.outbox.worker.order_monitor import LAST_POLL_PATIENCE, OrderMonitor
from waiting import eventually

STORES = 60
PER_STORE = OutboxSettings().background_rate / 2_000
TICK = 0.5
UNSEEN_AFTER = 300.0


@pytest.mark.parametrize(
    ("received_within", "late_by"), [(UNSEEN_AFTER, 5.0), (0.0, LAST_POLL_PATIENCE + 1)]
)
def test_unseen_orders_of_many_stores_are_reported_in_time(
    sqlite_url: str, server: ToyServer, received_within: float, late_by: float
) -> None:
    clock = Clock()
    names = [f"store-{number}" for number in range(STORES)]
    stores: dict[str, Any] = dict.fromkeys(names, OutboxConnection(server.adapter()))
    rate = PER_STORE * STORES
    budget = RequestBudget(rate, lambda: clock.ahead)
    with Outbox(sqlite_url) as outbox, processing(outbox, server, clock=clock, **stores) as worker:
        tasks = ConnectionTasks(16, "test-poll", worker.connections.host, budget)
        monitor = OrderMonitor(worker, tasks)
        for number, name in enumerate(names):
            clock.ahead = 60 + received_within * number / STORES
            outbox.add(toy_order(f"ord-{number}"), connection=name, is_new=True)
            work_off(worker)
        sent = len(server.seen)
        began = clock.ahead
        while clock.ahead < 60 + UNSEEN_AFTER + received_within + late_by:
            clock.ahead += TICK
            monitor.report_unseen()
            monitor.poll()
            eventually(lambda: not tasks.busy)
        tasks.close(1.0)
        with outbox.database.reading() as db:
            rows = db.execute(
                sa.select(t.orders.c.received_at, t.orders.c.unseen_reported_at)
            ).all()
    reported_late = [row.unseen_reported_at - row.received_at - UNSEEN_AFTER for row in rows]
    assert len(rows) == STORES
    assert min(reported_late) >= 0
    assert max(reported_late) <= late_by
    polls = len(server.seen) - sent
    polls_per_second = SHARES[POLL].part * rate
    assert 0 < polls <= polls_per_second * (clock.ahead - began) + STORES
