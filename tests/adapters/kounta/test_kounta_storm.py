"""Many orders over a Kounta that fails on one request in four and shows orders late: none is twice.

The waits move the simulator's clock, so 300 orders and their schedules of look-ups take seconds.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from adapters.kounta.bench import Bench
from adapters.storms import order_with_a_twin
from tillpost import Order, Policy, PosError, Till
from tillpost_simulators.kounta import KountaSettings as World

ORDERS = 300
SUBMISSIONS = 100
"""So often an order is submitted before the test gives up."""

MEANINGLESS: tuple[Callable[[], httpx.Response], ...] = (
    lambda: httpx.Response(201, content=b"null"),
    lambda: httpx.Response(200),
    lambda: httpx.Response(200, content=b"<html>"),
    lambda: httpx.Response(500, json={"message": "Internal Server Error"}),
    lambda: httpx.Response(503, content=b"<html>"),
)
REFUSALS: tuple[Callable[[], httpx.Response], ...] = (
    lambda: httpx.Response(429, json={"message": "Too Many Requests"}),
    lambda: httpx.Response(400, json={"message": "The access token provided has expired"}),
)


class Weather:
    """Spoils one request in four, before or after its effect, and shows orders up to 10 s late."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.draw = random.Random(seed)
        self.struck = 0

    def __call__(self, _: httpx.Request, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        lag = self.draw.choice((0.0, 0.0, 2.0, 10.0))
        behaviour = self.bench.simulator.world.behaviour
        behaviour.order_lag_seconds = lag
        behaviour.get_lag_seconds = min(lag, 2.0)
        if self.draw.random() >= 0.25:
            return carry_out()
        self.struck += 1
        return self._spoilt(carry_out)

    def _spoilt(self, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        fates = ("never left", "lost", "meaningless", "meaningless, not done", "refused")
        fate = self.draw.choice(fates)
        if fate in ("lost", "meaningless"):
            carry_out()
        if fate == "never left":
            raise httpx.ConnectError("no connection")
        if fate == "lost":
            raise httpx.ReadTimeout("late")
        answers = REFUSALS if fate == "refused" else MEANINGLESS
        return self.draw.choice(answers)()


def submit(till: Till, order: Order, *, is_new: bool) -> None:
    """Submit an order until it is acknowledged."""
    for _ in range(SUBMISSIONS):
        try:
            till.submit(order, is_new=is_new)
        except PosError:
            is_new = False
            continue
        return
    raise AssertionError(f"{order.id} wasn't acknowledged in {SUBMISSIONS} submissions")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_order_of_a_storm_arrives_once_by_the_clock(seed: int) -> None:
    policy = Policy(
        retries=3, retry_seconds=60, first_wait=0.001, longest_wait=0.002, import_cooldown=0
    )
    bench = Bench(World(oauth_limit=10**9, token_lasts_seconds=10**9), policy=policy)
    bench.till.import_menu()
    bench.answer = weather = Weather(bench, seed)
    sent = [order_with_a_twin(number, seed) for number in range(ORDERS)]
    for number, order in enumerate(sent):
        submit(bench.till, order, is_new=bool(number % 2))
    ledger = bench.simulator.ledger()
    references = Counter(order.id for order in sent)
    assert Counter(entry.reference for entry in ledger.entries) == references
    assert ledger.twice == ()
    assert ledger.half_done == ()
    totals = {entry.reference: entry.total for entry in ledger.shown}
    assert totals == {order.id: order.total for order in sent}
    assert weather.struck > ORDERS
