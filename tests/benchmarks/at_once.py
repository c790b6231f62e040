"""Rows: orders of two lines, as most have, that are submitted at once by one `AsyncTill`.

They are compared with bare clients that post the same bytes, as many at once: `httpx.AsyncClient`
as it comes, and the best of those that this environment has. The best one may be httpx itself over
our own network, which shows what is left to submitting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any

import aiohttp
import httpx

from benchmarks.frame import AtLeast, Bar, row, seconds
from benchmarks.orders import order_of, sent_for
from benchmarks.submission import HEADERS, new_orders, square_for
from tillpost import AsyncTill
from tillpost.transport.network import new_async_client

LINES = 2

Call = Callable[[str, bytes], Awaitable[object]]
"""Posts a body to an address, and reads the whole answer."""


def over_httpx(client: httpx.AsyncClient) -> Call:
    """Return how a client of httpx posts."""
    return lambda target, body: client.post(target, content=body, headers=HEADERS)


def over_aiohttp(session: aiohttp.ClientSession) -> Call:
    """Return how a session of aiohttp posts."""

    async def call(target: str, body: bytes) -> object:
        async with session.post(target, data=body, headers=HEADERS) as answer:
            return await answer.read()

    return call


async def best_clients(stack: AsyncExitStack, url: str) -> list[Call]:
    """Open the bare clients among which the best one is sought."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    ours = await stack.enter_async_context(new_async_client(url))
    calls = [over_aiohttp(session), over_httpx(ours)]
    if find_spec("httpx_aiohttp"):  # not one of the project's dependencies
        from httpx_aiohttp import HttpxAiohttpClient

        client: Any = await stack.enter_async_context(HttpxAiohttpClient())
        calls.append(over_httpx(client))
    return calls


async def _all(work: Iterator[Awaitable[object]], at_once: int) -> None:
    """Await all of the work, so much of it at once."""

    async def some() -> None:
        for each in work:
            await each

    await asyncio.gather(*(some() for _ in range(at_once)))


def against_bare(at_once: int, rounds: int, *, best: bool) -> Iterator[float]:
    """Yield our orders a second / those of a bare client."""
    posts = sent_for(order_of(LINES, "floor"))
    size = max(64, 2 * at_once)
    with square_for(LINES) as settings, asyncio.Runner() as runner:
        targets = [(settings["base_url"] + path, body) for path, body in posts]
        stack = AsyncExitStack()
        till = AsyncTill.connect("square", **settings)

        async def opened() -> list[Call]:
            await stack.enter_async_context(till)
            if best:
                return await best_clients(stack, settings["base_url"])
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
            return [over_httpx(client)]

        async def post_both(call: Call) -> None:
            for target, body in targets:
                await call(target, body)

        def reference(call: Call) -> float:
            work = (post_both(call) for _ in range(size))
            return seconds(lambda: runner.run(_all(work, at_once)))

        def ours() -> float:
            work = (till.submit(order) for order in new_orders(size, LINES))
            return seconds(lambda: runner.run(_all(work, at_once)))

        calls = runner.run(opened())
        for _ in range(rounds):
            least = min(reference(call) for call in calls)
            yield least / ours()
        runner.run(stack.aclose())


_BARS: dict[int, tuple[Bar, Bar]] = {
    1: (None, None),
    16: (None, None),
    64: (AtLeast(6), AtLeast(0.65)),
    256: (None, None),
}

for _at_once, (_bare_bar, _best_bar) in _BARS.items():

    @row(f"at-once-{_at_once}", f"{_at_once} orders at once / by bare httpx.AsyncClient", _bare_bar)
    def _bare(at_once: int = _at_once) -> Iterator[float]:
        return against_bare(at_once, rounds=7, best=False)

    @row(
        f"at-once-{_at_once}-best",
        f"{_at_once} orders at once / by the best bare client",
        _best_bar,
    )
    def _best(at_once: int = _at_once) -> Iterator[float]:
        return against_bare(at_once, rounds=21, best=True)
