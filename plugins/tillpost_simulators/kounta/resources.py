"""What operations do with resources.

They find one, list them in pages, or answer one that was created.

Kounta has two styles of lists (third-party code). Newer lists carry `X-Next-Page`, the whole URL of
the next page, except on the last page. Older ones take a request header `X-Page`, from 0, and
answer `X-Pages`, the number of pages.

A created resource is answered with 201, a `Location`, and a body that may be empty. The vendor's
page promises status and header. A shop's plugin in production receives the body `null` after orders
that were created.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import bad_request, not_found
from tillpost_simulators.kounta.wire import Json, json_answer
from tillpost_simulators.kounta.world import World

T = TypeVar("T")

CURSOR = "cursor"
"""The query parameter in `X-Next-Page` with the start of the page.

unconfirmed: its name, which no caller needs; any real `X-Next-Page` would show it.
"""


def find_in_path(call: Call, part: str, resources: Mapping[int, T]) -> T:
    """Return the resource whose id is in this part of the path, or raise a 404."""
    resource = resources.get(id_from(call.path_values[part]))
    if resource is None:
        raise not_found()
    return resource


def id_from(text: str) -> int:
    """Return the id in a text, or 0, which no resource has."""
    if not text.isdecimal():
        return 0
    return int(text)


# --- addresses ---


def base_url(call: Call) -> str:
    """Return the scheme and host that the caller used."""
    scheme = call.headers.get("x-forwarded-proto", "http")
    host = call.headers.get("host", "localhost")
    return f"{scheme}://{host}"


def url_of(call: Call, path: str) -> str:
    """Return the URL of a resource, with `.json` if the caller used it.

    Args:
        call: The request that the URL answers.
        path: The resource's path, which starts with a slash.
    """
    suffix = ".json" if call.path.endswith(".json") else ""
    return f"{base_url(call)}{path}{suffix}"


# --- created resources ---


def created(world: World, call: Call, path: str, resource: Json) -> Answer:
    """Return the answer for a new resource at `path`, which starts with a slash."""
    headers: dict[str, str] = {}
    if _sends_location(world):
        headers["Location"] = url_of(call, path)
    behaviour = world.behaviour
    body = behaviour.created_once.pop(0) if behaviour.created_once else behaviour.created_body
    match body:
        case "resource":
            return json_answer(resource, 201, headers)
        case "null":
            return Answer(201, b"null", headers=headers)
        case "empty":
            return Answer(201, headers=headers)


def _sends_location(world: World) -> bool:
    behaviour = world.behaviour
    if behaviour.location_missing_once:
        behaviour.location_missing_once -= 1
        return False
    return behaviour.sends_location


# --- lists ---


def paged(
    world: World,
    call: Call,
    items: Sequence[T],
    key: Callable[[T], int],
    write: Callable[[T], Json],
    *,
    newer: bool = False,
) -> Answer:
    """Return one page of a list.

    Args:
        world: The company.
        call: The request, with the page it asks for.
        items: All items, in their final order.
        key: Returns an item's id.
        write: Returns an item as JSON.
        newer: Whether this list is one of those that have `X-Next-Page`.
    """
    style = world.settings.paging
    size = world.settings.page_size
    if style == "next" or (style == "mixed" and newer):
        start = _start_after_cursor(call, items, key)
        headers: dict[str, str] = {}
        page = items[start : start + size]
        if start + size < len(items):
            query = {**call.query, CURSOR: str(key(page[-1]))}
            headers["X-Next-Page"] = f"{base_url(call)}{call.path}?{urlencode(query)}"
    else:
        number = _page_number(call)
        pages = -(-len(items) // size)
        headers = {"X-Page": str(number), "X-Pages": str(pages)}
        page = items[number * size : (number + 1) * size]
    return json_answer([write(item) for item in page], headers=headers)


def _start_after_cursor(call: Call, items: Sequence[T], key: Callable[[T], int]) -> int:
    """Return the index after the cursor's item.

    So new items don't shift the pages.
    """
    if CURSOR not in call.query:
        return 0
    last_id = id_from(call.query[CURSOR])
    for index, item in enumerate(items):
        if key(item) == last_id:
            return index + 1
    return len(items)


def _page_number(call: Call) -> int:
    text = call.headers.get("x-page", "0")
    if not text.isdecimal():
        raise bad_request("X-Page is not a page number.")
    return int(text)
