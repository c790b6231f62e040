"""Many orders over a Kounta that fails on one request in four and shows orders late: each is there once, none twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.kounta.bench import STAND_INS, Bench
from adapters.square.shop_orders import FLAT_WHITE, OAT, TOASTIE, paid
from tillpost import Limits, Order, Policy, PosError, Till
from tillpost.models.order import Line
from tillpost.simulator import FaultPlan, serve_in_thread
from tillpost.simulator.faults import every_kind
from tillpost.submission.context import Connection
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.settings import KountaSettings
from tillpost_simulators.kounta import KountaSettings as World
from tillpost_simulators.kounta import KountaSimulator

TRIES = 100


def shop_order(number: int, seed: int) -> Order:
    """An order of the shop, the same each time. Each has a look-alike with the same total."""
    draw = random.Random(f"{seed}/{number // 2}")
    lines: list[Line] = []
    for _ in range(draw.randint(1, 3)):
        line = draw.choice(
            (FLAT_WHITE, TOASTIE, FLAT_WHITE.model_copy(update={"modifiers": (OAT,)}))
        )
        lines.append(line.model_copy(update={"quantity": draw.randint(1, 3)}))
    surcharge, off, tip = draw.choice((0, 271)), draw.choice((0, 200)), draw.choice((0, 150))
    return paid(f"ord_{seed}_{number}", lines, surcharge=surcharge, off=off, tip=tip)


def insist(till: Till, order: Order, *, is_new: bool) -> None:
    for _ in range(TRIES):
        try:
            till.submit(order, is_new=is_new)
        except PosError:
            is_new = False
            continue
        return
    raise AssertionError(f"{order.id} wasn't acknowledged in {TRIES} submissions")


def check(simulator: KountaSimulator, sent: list[Order]) -> None:
    ledger = simulator.ledger()
    assert Counter(entry.reference for entry in ledger.entries) == Counter(
        order.id for order in sent
    )
    assert ledger.twice == ()
    assert ledger.half_done == ()
    assert {entry.reference: entry.total for entry in ledger.shown} == {
        order.id: order.total for order in sent
    }


NOTHING_SAID: tuple[Callable[[], httpx.Response], ...] = (
    lambda: httpx.Response(201, content=b"null"),
    lambda: httpx.Response(200),
    lambda: httpx.Response(200, content=b"<html>"),
    lambda: httpx.Response(500, json={"message": "Internal Server Error"}),
    lambda: httpx.Response(503, content=b"<html>"),
)
REFUSED: tuple[Callable[[], httpx.Response], ...] = (
    lambda: httpx.Response(429, json={"message": "Too Many Requests"}),
    lambda: httpx.Response(400, json={"message": "The access token provided has expired"}),
)


class Weather:
    """Spoils one request in four, before or after its effect, and has orders show up to ten seconds late."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.draw = random.Random(seed)
        self.struck = 0

    def __call__(self, _: httpx.Request, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        lag = self.draw.choice((0.0, 0.0, 2.0, 10.0))
        self.bench.simulator.world.behaviour.order_lag_seconds = lag
        self.bench.simulator.world.behaviour.get_lag_seconds = min(lag, 2.0)
        if self.draw.random() >= 0.25:
            return carry_out()
        self.struck += 1
        fate = self.draw.choice(("never left", "lost", "unsaid", "unsaid, undone", "refused"))
        if fate in ("lost", "unsaid"):
            carry_out()
        if fate == "never left":
            raise httpx.ConnectError("no connection")
        if fate == "lost":
            raise httpx.ReadTimeout("late")
        return self.draw.choice(REFUSED if fate == "refused" else NOTHING_SAID)()


@pytest.mark.timeout(900)
def test_in_a_storm_each_of_300_orders_is_there_once_by_a_clock_that_the_test_moves(
    seed: int,
) -> None:
    policy = Policy(
        retries=3, retry_seconds=60, first_wait=0.001, longest_wait=0.002, import_cooldown=0
    )
    bench = Bench(World(oauth_limit=10**9, token_lasts_seconds=10**9), policy=policy)
    bench.till.import_menu()
    bench.answer = weather = Weather(bench, seed)
    sent = [shop_order(number, seed) for number in range(300)]
    for number, order in enumerate(sent):
        insist(bench.till, order, is_new=bool(number % 2))
    check(bench.simulator, sent)
    assert weather.struck > 300


@pytest.mark.timeout(900)
def test_in_a_storm_each_of_40_orders_is_there_once_in_real_time_over_http(seed: int) -> None:
    world = World(
        order_lag_seconds=0.1, get_lag_seconds=0.02, oauth_limit=10**9, tax_rate=Decimal("0.1")
    )
    faults = FaultPlan(rate=0.25, seed=seed, faults=every_kind(hang_seconds=0.3, drip_seconds=0.05))
    policy = Policy(retries=3, retry_seconds=5, first_wait=0.002, longest_wait=0.02)
    sent = [shop_order(number, seed) for number in range(40)]
    with serve_in_thread(KountaSimulator(world, faults)) as running, httpx.Client() as client:
        known: dict[str, Any] = {
            **running.settings,
            **STAND_INS,
            "import_pace": 0,
            "look_after": (0.1, 0.1, 0.2, 0.5),
        }
        limits = Limits(connect=2, read=0.25, answer=2)
        adapter = Kounta(KountaSettings.model_validate(known))
        till = Till(Connection(adapter, policy=policy, limits=limits), http_client=client)

        def unaware(order: Order) -> None:
            insist(till, order, is_new=False)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(unaware, sent))
        struck = len(running.simulator.faults)
        check(running.simulator, sent)
    assert struck > 10
