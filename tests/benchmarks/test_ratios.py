"""What Tillpost costs beside its dependencies, as ratios of two things timed in turn in one run.

The machine's speed cancels out in a ratio of many interleaved rounds. Two ratios are printed: of
the least times, which is what the code itself takes, and of the medians, which includes what other
programs on the machine took. The latter is larger for the longer of two runs, since other programs
empty its caches: medians of one code were seen from 2.4 to 2.8.

The figures are printed beside their limits and fail no run, because these machines are shared. Run
`pytest tests/benchmarks`; the suite leaves them out.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from adapters.in_process import InProcess
from recent import PLACED_AT
from tillpost import Order, Till
from tillpost_simulators.square import SquareSimulator

T = TypeVar("T")

SUBMIT_AT_MOST = 2.5
IMPORT_AT_MOST = 1.3


def big_order(number: int) -> Order:
    """An order of 20 lines with 3 modifiers each, of the simulator's own shop."""
    chosen = (("228", "Oat milk", 80), ("231", "Shot", 60), ("232", "Syrup", 70))
    modifiers = [{"modifier_id": i, "name": name, "unit_price": price} for i, name, price in chosen]
    line = {
        "item_id": "7302",
        "sku": "FW-R",
        "name": "Flat white, regular",
        "quantity": 1,
        "unit_price": 550,
    }
    lines = [{**line, "modifiers": modifiers}] * 20
    return Order.model_validate(
        {
            "id": f"big_{number:06}",
            "code": "B1",
            "placed_at": PLACED_AT,
            "currency": "AUD",
            "customer": {"name": "Mia Chen"},
            "lines": lines,
            "payments": [{"method": "card", "amount": 20 * 760, "reference": "pi_1"}],
        }
    )


class Canned(httpx.BaseTransport):
    """Gives the same two answers in turn, from memory, and keeps what was sent."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.sent: list[bytes] = []
        self.calls = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if len(self.sent) < 2:
            self.sent.append(request.read())
        self.calls += 1
        body = self.answers[(self.calls - 1) % len(self.answers)]
        return httpx.Response(200, headers={"Content-Type": "application/json"}, content=body)


def real_answers(order: Order) -> list[bytes]:
    """What the simulator answers to the two calls of a submission."""
    simulator, answers = SquareSimulator(), list[bytes]()

    def keep(
        _request: httpx.Request, _number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        answer = carry_out()
        answers.append(answer.content)
        return answer

    with httpx.Client(transport=InProcess(simulator, keep)) as client:
        settings: dict[str, Any] = dict(simulator.connection_settings("http://127.0.0.1"))
        Till.connect("square", http_client=client, **settings).submit(order)
    return answers


def childrens_time() -> float:
    """Return the processor time of child processes, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ratio(
    ours: Callable[[T], object],
    floor: Callable[[T], object],
    prepare: Callable[[int], T],
    rounds: int,
    clock: Callable[[], float],
) -> str:
    """Return our time divided by the floor's: least and median. `prepare` isn't timed."""
    spent: dict[bool, list[float]] = {True: [], False: []}
    gc.collect()
    gc.freeze()
    for number in range(2 * rounds):
        is_ours = bool(number % 2)
        run, ready = (ours if is_ours else floor), prepare(number)
        began = clock()
        run(ready)
        spent[is_ours].append(clock() - began)
    gc.unfreeze()
    least, middle = (
        statistic(spent[True]) / statistic(spent[False]) for statistic in (min, statistics.median)
    )
    return f"{least:.2f} at their least, {middle:.2f} in the middle"


def test_submit_of_big_order_against_posting_its_bytes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = real_answers(big_order(0))
    assert json.loads(answers[0])["order"]["total_money"]["amount"] == 20 * 760
    transport = Canned(answers)
    with httpx.Client(transport=transport) as client:
        till = Till.connect(
            "square",
            http_client=client,
            base_url="http://127.0.0.1",
            access_token="t" * 20,
            location_id="L-CAFE",
        )
        till.submit(big_order(-1))
        headers = {
            "Authorization": "Bearer x",
            "Content-Type": "application/json",
            "Square-Version": "2025-08-20",
        }
        create, pay = transport.sent

        def post_ready_bytes(_: Order) -> None:
            client.post("http://127.0.0.1/v2/orders", content=create, headers=headers).read()
            client.post("http://127.0.0.1/v2/payments", content=pay, headers=headers).read()

        measured = ratio(
            till.submit, post_ready_bytes, big_order, rounds=400, clock=time.thread_time
        )
    with capsys.disabled():
        print(f"\nsubmit / two bare posts of its bytes: {measured} (the bar is {SUBMIT_AT_MOST})")


def test_import_of_tillpost_against_its_dependencies(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # pip compiles what it installs, and nobody has compiled what runs from its source: the warm-up
    # does so for both.
    compiled = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}

    def importing(modules: str) -> Callable[[None], object]:
        command = [sys.executable, "-c", f"import {modules}"]
        return lambda _: subprocess.run(command, check=True, env=compiled)

    own = "('tillpost', '_', 'encodings')"
    others = f"(module for module in sys.modules if not module.startswith({own}))"
    listing = f"import sys, tillpost; print(*{others})"
    loaded = subprocess.run(
        [sys.executable, "-c", listing], check=True, capture_output=True, text=True
    ).stdout.split()
    floor = importing(", ".join(loaded))
    ours = importing("tillpost")
    for warm_up in (floor, ours):
        warm_up(None)
    measured = ratio(ours, floor, lambda _: None, rounds=21, clock=childrens_time)
    with capsys.disabled():
        print(
            f"\nimport tillpost / import its dependencies: {measured} (the bar is {IMPORT_AT_MOST})"
        )
