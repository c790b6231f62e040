"""The embedded worker ends in time when it is asked to, whatever the platform does meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import Outbox
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, serve_in_thread
from tillpost_simulators.square import SquareSimulator
from worker_process import WorkerProcess, until

pytestmark = pytest.mark.slow

HANGS = FaultRule(
    fault=Fault(kind=FaultKind.TIMEOUT, hang_seconds=60),
    method="POST",
    path="/v2/orders$",
    times=None,
)


def test_a_worker_whose_platform_hangs_ends_within_ten_seconds_and_its_order_is_due(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'orders.db'}"
    with (
        serve_in_thread(SquareSimulator(faults=FaultPlan(rules=(HANGS,)))) as square,
        Outbox(url) as outbox,
    ):
        outbox.add(paid("A-1", [TOASTIE]), connection="cafe", is_new=True)
        with WorkerProcess(url, square.settings, engine="embedded") as worker:
            until(lambda: outbox.journal("A-1"), 20, "the order's intent")

            assert worker.stop() < 10

        left = outbox.get("A-1")
        assert left
        assert (left.worker, left.state) == (None, "due")
        assert left.due_at is not None
        assert left.due_at <= time.time()
