"""A worker whose heartbeat is late sends nothing, and releases the orders it could not process."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from adapters.square.shop_orders import shop_order
from tillpost.client.base import adapter_for
from tillpost.outbox import (
    Outbox,
    OutboxConnection,
    OutboxSettings,
    Processor,
    Worker,
    from_mapping,
)
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator

pytestmark = pytest.mark.slow

LEASE = 0.5
ORDERS = 12


def test_orders_continue_after_a_briefly_lost_lease(tmp_path: Path) -> None:
    file = tmp_path / "orders.db"
    settings = OutboxSettings(
        db=f"sqlite:///{file}", lease=LEASE, threads=ORDERS, concurrency=ORDERS
    )
    with serve_in_thread(SquareSimulator()) as running, Outbox(settings=settings) as outbox:
        known = {"cafe": OutboxConnection(adapter_for("square", running.settings))}
        for number in range(ORDERS):
            outbox.add(shop_order(number), connection="cafe")
        with (
            Processor(outbox, connections=from_mapping(known)) as processor,
            ThreadPoolExecutor(ORDERS) as pool,
        ):
            claims = processor.claim(ORDERS)
            with sqlite3.connect(file, isolation_level=None) as another_program:
                another_program.execute("BEGIN IMMEDIATE")
                results = [pool.submit(processor.handle, claim) for claim in claims]
                time.sleep(LEASE * 1.5)
                another_program.execute("ROLLBACK")
            another_program.close()
            for result in results:
                result.result()
            worker = Worker(processor)
            working = Thread(target=lambda: worker.run(until_idle=True))
            working.start()
            working.join(60)
            is_idle = not working.is_alive()
            worker.stop()
            working.join()
        states = {
            (order.state.value, order.error.detail if order.error else "")
            for order in outbox.orders()
        }
        assert (is_idle, states) == (True, {("received", "")})
        assert running.simulator.ledger().twice == ()
