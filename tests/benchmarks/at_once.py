"""Rows: orders of two lines, as most have, that are submitted at once by one `AsyncTill`.

They are compared with bare clients that post the same bytes, as many at once: `httpx.AsyncClient`
as it comes, the same over Tillpost's own network, and aiohttp, the fastest client for asyncio that
the project has. What is compared is the processor time of this process, which limits the orders a
second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import aiohttp
import httpx

from benchmarks.frame import Bar, NoLessThan, processor_seconds, row
from benchmarks.orders import order_of, sent_for
from benchmarks.submission import HEADERS, new_orders, square_for
from tillpost import AsyncTill
from tillpost.transport.network import new_async_client

LINES = 2

Post: TypeAlias = Callable[[str, bytes], Awaitable[object]]
"""Posts a body to an address, and reads the whole answer."""

Client: TypeAlias = Callable[[str], AbstractAsyncContextManager[Post]]
"""Opens a bare client for an address."""


@asynccontextmanager
async def bare_httpx(_: str) -> AsyncGenerator[Post]:
    """Open an `httpx.AsyncClient` as it comes, but patient."""
    async with httpx.AsyncClient(timeout=60) as client:
        yield lambda target, body: client.post(target, content=body, headers=HEADERS)


@asynccontextmanager
async def own_network(url: str) -> AsyncGenerator[Post]:
    """Open an `httpx.AsyncClient` over Tillpost's own network."""
    async with new_async_client(url) as client:
        yield lambda target, body: client.post(target, content=body, headers=HEADERS)


@asynccontextmanager
async def bare_aiohttp(_: str) -> AsyncGenerator[Post]:
    """Open a session of aiohttp as it comes."""
    async with aiohttp.ClientSession() as session:

        async def post(target: str, body: bytes) -> object:
            async with session.post(target, data=body, headers=HEADERS) as answer:
                return await answer.read()

        yield post


async def _all(work: Iterator[Awaitable[object]], at_once: int) -> None:
    """Await all of the work, so much of it at once."""

    async def some() -> None:
        for each in work:
            await each

    await asyncio.gather(*(some() for _ in range(at_once)))


def against(client: Client, at_once: int, rounds: int) -> Iterator[float]:
    """Yield our orders / those of a bare client, in the same processor time."""
    posts = sent_for(order_of(LINES, "floor"))
    size = max(64, 2 * at_once)
    with square_for(LINES) as settings, asyncio.Runner() as runner:
        targets = [(settings["base_url"] + path, body) for path, body in posts]
        till = AsyncTill.connect("square", **settings)
        opened = client(settings["base_url"])
        post = runner.run(opened.__aenter__())

        async def post_both() -> None:
            for target, body in targets:
                await post(target, body)

        def reference() -> float:
            work = (post_both() for _ in range(size))
            return processor_seconds(lambda: runner.run(_all(work, at_once)))

        def ours() -> float:
            work = (till.submit(order) for order in new_orders(size, LINES))
            return processor_seconds(lambda: runner.run(_all(work, at_once)))

        ours()
        for _ in range(rounds):
            yield reference() / ours()
        runner.run(till.aclose())
        runner.run(opened.__aexit__(None, None, None))


_BARS: Mapping[int, tuple[Bar, Bar]] = {
    1: (None, None),
    16: (None, None),
    64: (NoLessThan(6), NoLessThan(0.65)),
    256: (None, None),
}

for _at_once, (_bare_bar, _best_bar) in _BARS.items():
    _name, _orders = f"at-once-{_at_once}", f"submitting, {_at_once} at once"

    @row(_name, f"{_orders} / by bare httpx.AsyncClient", _bare_bar)
    def _bare(at_once: int = _at_once) -> Iterator[float]:
        return against(bare_httpx, at_once, rounds=7)

    @row(f"{_name}-network", f"{_orders} / by httpx over our own network", _best_bar)
    def _network(at_once: int = _at_once) -> Iterator[float]:
        return against(own_network, at_once, rounds=15)

    @row(f"{_name}-aiohttp", f"{_orders} / by bare aiohttp", _best_bar)
    def _aiohttp(at_once: int = _at_once) -> Iterator[float]:
        return against(bare_aiohttp, at_once, rounds=15)
