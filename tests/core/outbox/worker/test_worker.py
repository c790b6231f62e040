"""The bundled worker stops in time, whatever the platform does meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import Outbox
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, serve_in_thread
from tillpost_simulators.square import SquareSimulator
from waiting import AGES
from worker_process import WorkerProcess, until

pytestmark = pytest.mark.slow

HANGING = FaultRule(
    fault=Fault(kind=FaultKind.TIMEOUT, hang_seconds=600),
    method="POST",
    path="/v2/orders$",
    times=None,
)


def test_worker_with_hanging_platform_stops_within_ten_seconds(tmp_path: Path) -> None:
    """And its order is due for the next worker."""
    url = f"sqlite:///{tmp_path / 'orders.db'}"
    simulator = SquareSimulator(faults=FaultPlan(rules=(HANGING,)))
    with serve_in_thread(simulator) as square, Outbox(url) as outbox:
        outbox.add(paid("A-1", [TOASTIE]), connection="cafe", is_new=True)
        with WorkerProcess(url, square.settings, engine="embedded") as worker:
            until(lambda: outbox.journal("A-1"), 120, "the order's intent")
            assert worker.stop() < AGES

        stored = outbox.get("A-1")
        assert stored
        assert (stored.worker, stored.state) == (None, "due")
        assert stored.due_at is not None
        assert stored.due_at <= time.time()
