"""`tillpost worker` in a process of its own: it stops in time, and no order is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.cli.conftest import EXAMPLES, write_config
from tillpost import Order, Outbox
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator
from waiting import AGES

Store = Running[SquareSimulator]

HANGING = FaultPlan(
    rules=(
        FaultRule(
            method="POST", fault=Fault(kind=FaultKind.TIMEOUT, when="after", hang_seconds=600)
        ),
    )
)
"""The first request with an effect is carried out, but its answer doesn't arrive."""


def add(order_id: str = "ord-1") -> None:
    order = Order.model_validate_json((EXAMPLES / "lunch-pickup.json").read_text())
    with Outbox.from_config() as outbox:
        outbox.add(order.model_copy(update={"id": order_id}), connection="cafe")


@contextmanager
def working(*arguments: str) -> Generator[subprocess.Popen[str]]:
    """Run a worker in a process of its own, and wait until it has started."""
    command = [
        sys.executable,
        "-c",
        "from tillpost_command import main; main()",
        "worker",
        *arguments,
    ]
    environment = {name: value for name, value in os.environ.items() if name != "TILLPOST_DB"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            first_line = process.stdout.readline()
            assert "started" in first_line or "begun" in first_line, process.communicate()
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until the condition holds, as long as the process runs."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_idle_worker_stops_on_a_signal(store: Store, number: signal.Signals) -> None:
    with working() as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=AGES)
    assert (process.returncode, err) == (0, "")
    assert out == "Worker stopped: a stop was requested. Orders that arrived: 0.\n"


@pytest.mark.slow
def test_worker_with_hanging_request_stops_in_ten_seconds(
    store: Store,
) -> None:
    store.simulator.set_faults(HANGING)
    write_config(cafe={**store.settings})
    add()
    with working("--json") as process:
        wait_for(lambda: store.simulator.faults, process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=AGES)
        assert time.monotonic() - began < AGES
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["why"] == "a stop was requested"
    assert err == (
        "tillpost: a hanging request was abandoned; the next worker finds out what became of it\n"
    )
    with working("--until-idle") as process:
        out, _ = process.communicate(timeout=AGES)
    assert "Orders that arrived: 1." in out
    (entry,) = store.simulator.ledger().entries
    assert (entry.reference, entry.paid, entry.shown) == ("ord-1", 2881, True)


def test_second_ctrl_c_ends_the_process(store: Store) -> None:
    store.simulator.set_faults(HANGING)
    add()
    with working() as process:
        wait_for(lambda: store.simulator.faults, process)
        process.send_signal(signal.SIGINT)
        # One that is sent before the first is handled counts as the same signal.
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        _, err = process.communicate(timeout=AGES)
    assert process.returncode == 130  # the first alone ends with 0 or 1
    assert err.endswith("tillpost: interrupted\n")


def test_running_worker_takes_orders_that_are_added(store: Store) -> None:
    with working() as process:
        add()
        wait_for(lambda: store.simulator.ledger().shown, process)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=AGES)
    assert "Orders that arrived: 1." in out
    assert Path("tillpost.db").exists()
