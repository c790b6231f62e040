"""Many orders at once over a POS that fails on one request in four: each arrives once, for what was paid."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.generic.store import adapter_for
from adapters.square.shop_orders import shop_order
from tillpost import AsyncTill, Limits, Order, Policy, PosError, Till
from tillpost.simulator import FaultPlan, Running, serve_in_thread
from tillpost.simulator.faults import every_kind
from tillpost.submission.context import Connection
from tillpost_simulators.generic import GenericSimulator

AT_ONCE = 16
POLICY = Policy(retries=3, retry_seconds=3, first_wait=0.002, longest_wait=0.02)
LIMITS = Limits(connect=2, read=0.25, answer=2)


def connection(running: Running[GenericSimulator]) -> Connection:
    adapter = adapter_for(running.simulator, running.url)
    return Connection(adapter, policy=POLICY, limits=LIMITS)


def storm(seed: int) -> GenericSimulator:
    faults = every_kind(hang_seconds=0.3, drip_seconds=0.05)
    return GenericSimulator(faults=FaultPlan(rate=0.25, seed=seed, faults=faults))


def insist_with_threads(running: Running[GenericSimulator], orders: list[Order]) -> None:
    with (
        Till(connection(running)) as till,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):

        def insist(order: Order) -> None:
            for _ in range(100):
                try:
                    till.submit(order)
                except PosError:
                    continue
                return
            raise AssertionError(f"{order.id} wasn't acknowledged in 100 submissions")

        list(pool.map(insist, orders))


def insist_with_tasks(running: Running[GenericSimulator], orders: list[Order]) -> None:
    async def main() -> None:
        turn = asyncio.Semaphore(AT_ONCE)
        async with AsyncTill(connection(running)) as till:

            async def insist(order: Order) -> None:
                async with turn:
                    for _ in range(100):
                        try:
                            await till.submit(order)
                        except PosError:
                            continue
                        return
                raise AssertionError(f"{order.id} wasn't acknowledged in 100 submissions")

            await asyncio.gather(*(insist(order) for order in orders))

    asyncio.run(main())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("insist", [insist_with_threads, insist_with_tasks])
def test_in_a_storm_each_order_is_on_the_register_once_for_what_was_paid(
    insist: object, orders: int, seed: int
) -> None:
    assert callable(insist)
    sent = [shop_order(number, seed) for number in range(orders)]
    with serve_in_thread(storm(seed)) as running:
        insist(running, sent)
        ledger = running.simulator.ledger()
        struck = len(running.simulator.faults)
    assert Counter(entry.reference for entry in ledger.shown) == Counter(order.id for order in sent)
    assert ledger.twice == ()
    assert {entry.reference: entry.total for entry in ledger.shown} == {
        order.id: order.total for order in sent
    }
    assert struck > orders / 8  # a fault on one request in four, and each order takes one at least
