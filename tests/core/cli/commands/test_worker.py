"""`tillpost worker` in a process of its own: it stops when it is told to, in time, and nothing is lost by that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.cli.conftest import EXAMPLES, write_config
from tillpost import Order, Outbox
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator
from waiting import eventually

Store = Running[SquareSimulator]

HANGING = FaultPlan(
    rules=(
        FaultRule(
            method="POST", fault=Fault(kind=FaultKind.TIMEOUT, when="after", hang_seconds=25)
        ),
    )
)
"""The first request with an effect is carried out, and its answer doesn't come."""


def add(order_id: str = "ord-1") -> None:
    order = Order.model_validate_json((EXAMPLES / "lunch-pickup.json").read_text())
    with Outbox.from_config() as outbox:
        outbox.add(order.model_copy(update={"id": order_id}), connection="cafe")


@contextmanager
def working(*arguments: str) -> Generator[subprocess.Popen[str]]:
    """A worker that has begun."""
    command = [sys.executable, "-c", "from tillpost.cli import main; main()", "worker", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "TILLPOST_DB"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            begun = process.stdout.readline()
            assert "begun" in begun, (begun, process.communicate())
            yield process
        finally:
            process.kill()


def wait_for_a_fault(store: Store) -> None:
    eventually(lambda: store.simulator.faults)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_has_nothing_to_do_ends_at_once(store: Store, number: signal.Signals) -> None:
    with working() as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert out == "The worker has ended, since it was told to stop. Orders that arrived: 0.\n"


@pytest.mark.slow
def test_a_worker_ends_within_ten_seconds_although_a_request_hangs_and_the_next_one_goes_on(
    store: Store,
) -> None:
    store.simulator.set_faults(HANGING)
    write_config(cafe={**store.settings})
    add()
    with working("--json") as process:
        wait_for_a_fault(store)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 10
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["why"] == "it was told to stop"
    assert (
        err
        == "tillpost: a request hung and was left; the next worker finds out what became of its order\n"
    )
    with working("--until-idle") as process:
        out, _ = process.communicate(timeout=60)
    assert "Orders that arrived: 1." in out
    (entry,) = store.simulator.ledger().entries
    assert (entry.reference, entry.paid, entry.shown) == ("ord-1", 2881, True)


def test_a_second_ctrl_c_ends_a_worker_at_once(store: Store) -> None:
    store.simulator.set_faults(HANGING)
    add()
    with working() as process:
        wait_for_a_fault(store)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 7  # the first one alone takes more
    assert process.returncode == 130
    assert err.endswith("tillpost: interrupted\n")


def test_a_worker_takes_orders_that_are_added_while_it_runs(store: Store) -> None:
    with working() as process:
        add()
        eventually(lambda: store.simulator.ledger().shown)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert "Orders that arrived: 1." in out
    assert Path("tillpost.db").exists()
