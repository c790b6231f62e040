"""Rows: what a menu takes, beside decoding the same bytes of JSON.

The catalogue comes in pages of 100 objects, as Square's does. What is compared is the processor
time of this process.
"""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.canned import serving
from benchmarks.frame import NoMoreThan, in_turn, processor_seconds, row
from benchmarks.orders import LOCATION, TOKEN
from recent import PLACED_AT
from tillpost import Menu, Order, Till
from tillpost.menus.diff import compare
from tillpost.menus.lint import setup_faults
from tillpost.menus.matching import fit

PAGE = 100
"""Objects in a page."""

_LIST = "/v2/catalog/list?types=ITEM,MODIFIER_LIST,CATEGORY,TAX"
_STAMP = {"updated_at": "2026-11-01T00:00:00.000Z", "version": 1, "is_deleted": False}
_AT_ALL = {**_STAMP, "present_at_all_locations": True}


def _money(amount: int) -> dict[str, object]:
    return {"amount": amount, "currency": "AUD"}


def _others() -> list[dict[str, Any]]:
    """Return what the items refer to: a tax, a category, and a list of modifiers."""
    modifiers = [
        {
            "type": "MODIFIER",
            "id": f"MOD-{number}",
            **_AT_ALL,
            "modifier_data": {"name": f"Choice {number}", "price_money": _money(50)},
        }
        for number in range(5)
    ]
    tax = {"name": "GST", "percentage": "10", "inclusion_type": "INCLUSIVE", "enabled": True}
    choices = {"name": "Choices", "selection_type": "MULTIPLE", "modifiers": modifiers}
    return [
        {"type": "TAX", "id": "TAX", **_AT_ALL, "tax_data": tax},
        {"type": "CATEGORY", "id": "CAT", **_AT_ALL, "category_data": {"name": "Food"}},
        {"type": "MODIFIER_LIST", "id": "LIST", **_AT_ALL, "modifier_list_data": choices},
    ]


def _item(number: int) -> dict[str, Any]:
    variation = {
        "item_id": f"ITEM-{number}",
        "name": "Regular",
        "sku": f"SKU-{number}",
        "ordinal": 0,
        "pricing_type": "FIXED_PRICING",
        "price_money": _money(1000 + number % 900),
        "sellable": True,
        "stockable": True,
    }
    data = {
        "name": f"Dish {number}",
        "description": "Made to order, with whatever the season has.",
        "categories": [{"id": "CAT"}],
        "tax_ids": ["TAX"],
        "modifier_list_info": [{"modifier_list_id": "LIST", "enabled": True}],
        "variations": [
            {
                "type": "ITEM_VARIATION",
                "id": f"VAR-{number}",
                **_AT_ALL,
                "item_variation_data": variation,
            }
        ],
        "product_type": "REGULAR",
        "is_archived": False,
    }
    return {"type": "ITEM", "id": f"ITEM-{number}", **_AT_ALL, "item_data": data}


def pages_of(objects: int, page: int = PAGE) -> Mapping[str, str]:
    """Return the answers that list so many objects, by path, in pages of this size."""
    others = _others()
    whole = [*others, *(_item(number) for number in range(objects - len(others)))]
    answers: dict[str, str] = {}
    for start in range(0, objects, page):
        onward = f"&cursor={start}" if start else ""
        body: dict[str, object] = {"objects": whole[start : start + page]}
        if start + page < objects:
            body["cursor"] = str(start + page)
        answers[_LIST + onward] = json.dumps(body)
    return answers


@contextmanager
def till_with(pages: Mapping[str, str]) -> Generator[Till]:
    """Open a till at a store with this catalogue."""
    location = {
        "id": LOCATION,
        "name": "Cafe",
        "currency": "AUD",
        "country": "AU",
        "status": "ACTIVE",
        "timezone": "Australia/Sydney",
    }
    found = json.dumps({"location": location})
    with (
        serving({f"/v2/locations/{LOCATION}": found, **pages}) as url,
        Till.connect("square", base_url=url, access_token=TOKEN, location_id=LOCATION) as till,
    ):
        yield till


def decoding(pages: Mapping[str, str]) -> float:
    """Return the processor time of decoding all pages, in seconds."""
    bodies = [page.encode() for page in pages.values()]
    return processor_seconds(lambda: [json.loads(body) for body in bodies])


_ROUNDS = {100: 31, 1_000: 15, 10_000: 5, 50_000: 3}

for _objects, _rounds in _ROUNDS.items():

    @row(
        f"menu-{_objects}", f"import of {_objects:,} items / decoding the same bytes", NoMoreThan(4)
    )
    def _import(objects: int = _objects, rounds: int = _rounds) -> Iterator[float]:
        pages = pages_of(objects)
        with till_with(pages) as till:
            yield from in_turn(
                lambda: processor_seconds(till.import_menu), lambda: decoding(pages), rounds
            )


@row("menu-growth", "exponent of the import's time from 1,000 to 50,000 items", NoMoreThan(1.1))
def _growth() -> Iterator[float]:
    few, many = 1_000, 50_000
    with till_with(pages_of(few)) as small, till_with(pages_of(many)) as large:
        small.import_menu()
        for _ in range(3):
            times = (
                processor_seconds(large.import_menu),
                min(processor_seconds(small.import_menu) for _ in range(3)),
            )
            yield math.log(times[0] / times[1]) / math.log(many / few)


def _peak(till: Till) -> int:
    """Return the most memory that an import takes at once, in bytes."""
    tracemalloc.start()
    try:
        till.import_menu()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@row("menu-memory-pages", "peak memory of 5,000 items in 100 pages / in 10 pages", NoMoreThan(1.1))
def _memory_in_pages() -> Iterator[float]:
    with till_with(pages_of(5_000, 50)) as small, till_with(pages_of(5_000, 500)) as large:
        for till in (small, large):
            till.import_menu()
        for _ in range(3):
            yield _peak(small) / _peak(large)


@row("menu-memory", "peak memory of an import of 5,000 items / bytes of its JSON")
def _memory() -> Iterator[float]:
    pages = pages_of(5_000)
    size = sum(len(page) for page in pages.values())
    with till_with(pages) as till:
        for _ in range(3):
            yield _peak(till) / size


# ------------------------------------------------------------------ with a menu in memory

MANY = 10_000


def _menu(pages: Mapping[str, str]) -> Menu:
    with till_with(pages) as till:
        menu = till.import_menu().menu
    assert menu
    return menu


def _order() -> Order:
    """Return an order of 20 lines of different items."""
    lines = [
        {
            "item_id": f"VAR-{number * 400}",
            "name": f"Dish {number * 400}",
            "quantity": 1,
            "unit_price": 1000 + number * 400 % 900,
        }
        for number in range(20)
    ]
    total = sum(1000 + number * 400 % 900 for number in range(20))
    return Order.model_validate(
        {
            "id": "matched",
            "code": "B1",
            "placed_at": PLACED_AT,
            "currency": "AUD",
            "lines": lines,
            "payments": [{"method": "card", "amount": total}],
        }
    )


@row("menu-check", "setup check of 10,000 items / decoding the same bytes")
def _check() -> Iterator[float]:
    pages = pages_of(MANY)
    menu = _menu(pages)
    yield from in_turn(
        lambda: processor_seconds(lambda: setup_faults(menu)), lambda: decoding(pages), rounds=7
    )


@row("menu-match", "fitting 20 lines to 10,000 items / decoding the same bytes")
def _match() -> Iterator[float]:
    pages = pages_of(MANY)
    menu = _menu(pages)
    order = _order()
    yield from in_turn(
        lambda: processor_seconds(lambda: fit(order, menu)), lambda: decoding(pages), rounds=7
    )


@row("menu-diff", "comparing two menus of 10,000 items / decoding the same bytes")
def _diff() -> Iterator[float]:
    pages = pages_of(MANY)
    before, after = _menu(pages), _menu(pages)
    yield from in_turn(
        lambda: processor_seconds(lambda: compare(before, after)),
        lambda: decoding(pages),
        rounds=7,
    )
