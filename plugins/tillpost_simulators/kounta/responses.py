"""Lists in pages, in both of Kounta's styles (third-party code).

Newer lists carry `X-Next-Page`, the whole URL of the next page, and the last page has none. Older
ones take a request header `X-Page`, from 0, and answer `X-Pages`, how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import bad_request
from tillpost_simulators.kounta.wire import Json, json_answer
from tillpost_simulators.kounta.world import World

T = TypeVar("T")

CURSOR = "cursor"
"""The query parameter in `X-Next-Page` that says where the page begins.

unconfirmed: its name, which no caller needs; any real `X-Next-Page` would tell.
"""


def paged(
    world: World,
    call: Call,
    items: Sequence[T],
    key: Callable[[T], int],
    write: Callable[[T], Json],
    *,
    newer: bool = False,
) -> Answer:
    """One page of `items`, which are in their final order. `newer` lists are the first to have `X-Next-Page`."""
    style, size = world.settings.paging, world.settings.page_size
    if style == "next" or (style == "mixed" and newer):
        start = _start(call, items, key)
        page = items[start : start + size]
        headers: dict[str, str] = {}
        if start + size < len(items):
            query = {**call.query, CURSOR: str(key(page[-1]))}
            headers["X-Next-Page"] = f"{base_url(call)}{call.path}?{urlencode(query)}"
    else:
        number = _number(call)
        page = items[number * size : (number + 1) * size]
        headers = {"X-Page": str(number), "X-Pages": str(-(-len(items) // size))}
    return json_answer([write(item) for item in page], headers=headers)


def base_url(call: Call) -> str:
    """The address that the caller called, without a path."""
    return (
        f"{call.headers.get('x-forwarded-proto', 'http')}://{call.headers.get('host', 'localhost')}"
    )


def _start(call: Call, items: Sequence[T], key: Callable[[T], int]) -> int:
    """The place after the item that the cursor names, so that newer items shift nothing."""
    if CURSOR not in call.query:
        return 0
    after = call.query[CURSOR]
    return next(
        (place + 1 for place, item in enumerate(items) if str(key(item)) == after), len(items)
    )


def _number(call: Call) -> int:
    asked = call.headers.get("x-page", "0")
    if not asked.isdecimal():
        raise bad_request("X-Page is not a page number.")
    return int(asked)
