"""Many orders at once over a platform that fails on one request in four: each arrives once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.storms import SHORT, STORMS, Storm, faults
from tillpost import AsyncTill, Order, PosError, Till
from tillpost.client.base import adapter_for
from tillpost.simulator import serve_in_thread
from tillpost.submission.context import Connection

SUBMISSIONS = 100
"""So often an order is submitted before the test gives up."""

Submitting = Callable[[Connection, Storm, Sequence[Order]], None]


def submit_with_threads(connection: Connection, storm: Storm, orders: Sequence[Order]) -> None:
    """Submit each order until it is acknowledged, through one Till."""
    with Till(connection) as till, ThreadPoolExecutor(storm.at_once) as pool:

        def submit(order: Order) -> None:
            for _ in range(SUBMISSIONS):
                try:
                    till.submit(order)
                except PosError:
                    continue
                return
            raise AssertionError(f"{order.id} wasn't acknowledged in {SUBMISSIONS} submissions")

        list(pool.map(submit, orders))


def submit_with_tasks(connection: Connection, storm: Storm, orders: Sequence[Order]) -> None:
    """Submit each order until it is acknowledged, through one AsyncTill."""

    async def submit_all() -> None:
        turn = asyncio.Semaphore(storm.at_once)
        async with AsyncTill(connection) as till:

            async def submit(order: Order) -> None:
                async with turn:
                    for _ in range(SUBMISSIONS):
                        try:
                            await till.submit(order)
                        except PosError:
                            continue
                        return
                raise AssertionError(f"{order.id} wasn't acknowledged in {SUBMISSIONS} submissions")

            await asyncio.gather(*(submit(order) for order in orders))

    asyncio.run(submit_all())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("submit", [submit_with_threads, submit_with_tasks])
@pytest.mark.parametrize("platform", STORMS)
def test_each_order_of_a_storm_arrives_once_and_whole(
    platform: str, submit: Submitting, orders: int, seed: int
) -> None:
    storm = STORMS[platform]
    sent = [storm.order(number, seed) for number in range(int(orders * storm.share))]
    with serve_in_thread(storm.simulator(faults(seed))) as running:
        adapter = adapter_for(platform, {**running.settings, **storm.settings})
        submit(Connection(adapter, policy=storm.policy, limits=SHORT), storm, sent)
        ledger = running.simulator.ledger()
        struck = len(running.simulator.faults)
    references = Counter(order.id for order in sent)
    kept = [entry.reference for entry in ledger.entries if not entry.cancelled]
    assert Counter(kept) == references
    assert Counter(entry.reference for entry in ledger.shown) == references
    assert ledger.twice == ()
    assert ledger.half_done == ()
    totals = {entry.reference: entry.total for entry in ledger.shown}
    assert totals == {order.id: order.total for order in sent}
    assert struck > len(sent) / 8  # one request in four, and each order takes one at least
