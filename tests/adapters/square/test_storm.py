"""Many orders at once over a platform that fails on one request in four: each arrives once, and none is half done."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from adapters.square.shop_orders import shop_order
from tillpost import AsyncTill, Limits, Order, Policy, PosError, Till
from tillpost.simulator import FaultPlan, Running, serve_in_thread
from tillpost.simulator.faults import every_kind
from tillpost_simulators.square import SquareSimulator

AT_ONCE = 16
QUICK = Policy(retries=3, retry_seconds=3, first_wait=0.002, longest_wait=0.02)
SHORT = Limits(connect=2, read=0.25, answer=2)
LOOK_SOON = (0.02, 0.05)


def storm(seed: int) -> SquareSimulator:
    faults = every_kind(hang_seconds=0.3, drip_seconds=0.05)
    return SquareSimulator(faults=FaultPlan(rate=0.25, seed=seed, faults=faults))


def insist_with_threads(running: Running[SquareSimulator], orders: list[Order]) -> None:
    client = httpx.Client(limits=httpx.Limits(max_connections=AT_ONCE))
    till = Till.connect(
        "square",
        policy=QUICK,
        limits=SHORT,
        http_client=client,
        look_after=LOOK_SOON,
        **running.settings,
    )

    def insist(order: Order) -> None:
        for _ in range(100):
            try:
                till.submit(order)
            except PosError:
                continue
            return
        raise AssertionError(f"{order.id} wasn't acknowledged in 100 submissions")

    with client, till, ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(insist, orders))


def insist_with_tasks(running: Running[SquareSimulator], orders: list[Order]) -> None:
    async def main() -> None:
        turn = asyncio.Semaphore(AT_ONCE)
        async with AsyncTill.connect(
            "square", policy=QUICK, limits=SHORT, look_after=LOOK_SOON, **running.settings
        ) as till:

            async def insist(order: Order) -> None:
                for _ in range(100):
                    try:
                        await till.submit(order)
                    except PosError:
                        continue
                    return
                raise AssertionError(f"{order.id} wasn't acknowledged in 100 submissions")

            async def in_turn(order: Order) -> None:
                async with turn:
                    await insist(order)

            await asyncio.gather(*(in_turn(order) for order in orders))

    asyncio.run(main())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("insist", [insist_with_threads, insist_with_tasks])
def test_in_a_storm_each_order_is_on_the_register_once_and_none_is_half_done(
    insist: object, orders: int, seed: int
) -> None:
    assert callable(insist)
    sent = [shop_order(number, seed) for number in range(orders)]
    with serve_in_thread(storm(seed)) as running:
        insist(running, sent)
        ledger = running.simulator.ledger()
        struck = len(running.simulator.faults)
    shown = Counter(entry.reference for entry in ledger.shown)
    assert shown == Counter(order.id for order in sent)
    assert ledger.twice == ()
    assert ledger.half_done == ()
    assert {entry.reference: entry.total for entry in ledger.shown} == {
        order.id: order.total for order in sent
    }
    assert struck > orders / 8  # a fault on one request in four, and each order takes one at least
