"""A worker whose sign of life comes late sends nothing, and doesn't keep the orders either that it laid aside."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from adapters.square.shop_orders import shop_order
from tillpost.client.base import adapter_for
from tillpost.outbox import Connected, Outbox, OutboxSettings, Processor, Worker, from_mapping
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator

pytestmark = pytest.mark.slow

LEASE = 0.5
ORDERS = 12


def test_orders_that_a_worker_lost_for_a_moment_go_on_though_it_never_died(tmp_path: Path) -> None:
    file = tmp_path / "orders.db"
    settings = OutboxSettings(
        db=f"sqlite:///{file}", lease=LEASE, threads=ORDERS, concurrency=ORDERS
    )
    with serve_in_thread(SquareSimulator()) as running, Outbox(settings=settings) as outbox:
        known = {"cafe": Connected(adapter_for("square", running.settings))}
        for number in range(ORDERS):
            outbox.add(shop_order(number), connection="cafe")
        with (
            Processor(outbox, connections=from_mapping(known)) as processor,
            ThreadPoolExecutor(ORDERS) as pool,
        ):
            claims = processor.claim(ORDERS)
            with sqlite3.connect(file, isolation_level=None) as another_program:
                another_program.execute("BEGIN IMMEDIATE")
                handled = [pool.submit(processor.handle, claim) for claim in claims]
                time.sleep(LEASE * 1.5)
                another_program.execute("ROLLBACK")
            another_program.close()
            for each in handled:
                each.result()
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
