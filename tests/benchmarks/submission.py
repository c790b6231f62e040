"""Rows: what submitting costs beside posting the same bytes, one order after the other.

The floor posts the two bodies of a submission with bare httpx over a connection that is kept, and
reads both answers. The vendor's SDK makes the same two calls of ready arguments. What is compared
is the processor time of this process: the server's time would hide a part of ours.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from square.client import Square

from benchmarks.canned import serving
from benchmarks.frame import Bar, NoLessThan, NoMoreThan, in_turn, processor_seconds, row
from benchmarks.orders import LOCATION, TOKEN, answers_to, order_of, params_for, sent_for
from tillpost import AsyncTill, Order, Till

HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
    "Square-Version": "2025-08-20",
}

_names = (f"order-{number:07}" for number in itertools.count())


def new_orders(count: int, lines: int) -> list[Order]:
    """Return orders that nobody has sent yet."""
    return [order_of(lines, next(_names)) for _ in range(count)]


@contextmanager
def square_for(lines: int) -> Generator[dict[str, Any]]:
    """Serve Square's answers to orders of so many lines; yield the settings of a connection."""
    with serving(answers_to(lines)) as url:
        yield {"base_url": url, "access_token": TOKEN, "location_id": LOCATION}


def _block(orders: list[Order], submit: Callable[[Order], object]) -> float:
    """Return the processor time of an order in a block of them, in seconds."""

    def run() -> None:
        for order in orders:
            submit(order)

    return processor_seconds(run) / len(orders)


def submit_against_floor(lines: int, each: int, rounds: int) -> Iterator[float]:
    """Yield `Till.submit` / two bare posts."""
    posts = sent_for(order_of(lines, "floor"))
    with square_for(lines) as settings, httpx.Client() as client:
        targets = [(settings["base_url"] + path, body) for path, body in posts]

        def post_ready_bytes() -> None:
            for _ in range(each):
                for target, body in targets:
                    client.post(target, content=body, headers=HEADERS)

        def reference() -> float:
            return processor_seconds(post_ready_bytes) / each

        with Till.connect("square", **settings) as till:
            yield from in_turn(
                lambda: _block(new_orders(each, lines), till.submit), reference, rounds
            )


def submit_against_async_floor(lines: int, each: int, rounds: int) -> Iterator[float]:
    """Yield `AsyncTill.submit` / two bare posts of `httpx.AsyncClient`, one after the other."""
    posts = sent_for(order_of(lines, "floor"))
    with square_for(lines) as settings, asyncio.Runner() as runner:
        targets = [(settings["base_url"] + path, body) for path, body in posts]
        client = httpx.AsyncClient()
        till = AsyncTill.connect("square", **settings)

        async def post_ready_bytes() -> None:
            for _ in range(each):
                for target, body in targets:
                    await client.post(target, content=body, headers=HEADERS)

        async def submit(orders: list[Order]) -> None:
            for order in orders:
                await till.submit(order)

        def ours() -> float:
            orders = new_orders(each, lines)
            return processor_seconds(lambda: runner.run(submit(orders)))

        yield from in_turn(
            ours, lambda: processor_seconds(lambda: runner.run(post_ready_bytes())), rounds
        )
        runner.run(client.aclose())
        runner.run(till.aclose())


def sdk_against_submit(lines: int, each: int, rounds: int) -> Iterator[float]:
    """Yield the same two calls by the vendor's SDK / `Till.submit`."""
    create, pay = params_for(order_of(lines, "sdk"))
    with square_for(lines) as settings:
        sdk = Square(base_url=settings["base_url"], token=TOKEN)

        def call(_: Order) -> None:
            sdk.orders.create(**create)
            sdk.payments.create(**pay)

        with Till.connect("square", **settings) as till:
            yield from in_turn(
                lambda: _block(new_orders(1, lines), call),
                lambda: _block(new_orders(each, lines), till.submit),
                rounds,
            )


_SUBMIT_BARS: dict[int, Bar] = {1: NoMoreThan(2.0), 20: NoMoreThan(2.0), 100: None}

for _lines, _bar in _SUBMIT_BARS.items():
    _size = "1 line" if _lines == 1 else f"{_lines} lines"

    @row(f"submit-{_lines}", f"Till.submit of {_size} / httpx posting its bytes", _bar)
    def _submit(lines: int = _lines) -> Iterator[float]:
        return submit_against_floor(lines, each=10, rounds=40)

    @row(
        f"submit-{_lines}-async",
        f"AsyncTill.submit of {_size} / httpx.AsyncClient posting its bytes",
        _bar,
    )
    def _submit_async(lines: int = _lines) -> Iterator[float]:
        return submit_against_async_floor(lines, each=10, rounds=40)


@row("submit-20-sdk", "two calls of Square's SDK / Till.submit of 20 lines", NoLessThan(60))
def _sdk() -> Iterator[float]:
    return sdk_against_submit(20, each=10, rounds=21)
