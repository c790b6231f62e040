"""Menus of 10,000 items, imported whole within the usual limits on sizes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from adversary.judging import forget_peak, peak_megabytes
from tillpost import Limits, Till
from tillpost.models.menu import Menu
from tillpost.simulator import Simulator, serve_in_thread
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.generic import WorldSettings as GenericWorld
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator, WorldSettings

ITEMS = 10_000

PATIENT = Limits(read=3_600, answer=3_600, menu_import=36_000)
"""What an answer may take in a test, however busy the machine is."""

KOUNTAS_REQUESTS_A_SECOND = 180 / 60


def large(platform: str) -> tuple[Simulator, Mapping[str, Any]]:
    """Return a simulator with a large menu, and settings of the connection to it."""
    match platform:
        case "square":
            return SquareSimulator(WorldSettings(items=ITEMS)), {}
        case "kounta":
            settings = KountaSettings(items=ITEMS, oauth_limit=1_000_000)
            return KountaSimulator(settings), {"import_pace": 0.0}
        case _:
            return GenericSimulator(GenericWorld(items=ITEMS)), {}


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("platform", ["square", "kounta", "generic"])
def test_menu_of_ten_thousand_items_is_complete(platform: str) -> None:
    simulator, settings = large(platform)
    with (
        serve_in_thread(simulator) as running,
        Till.connect(platform, limits=PATIENT, **running.settings, **settings) as till,
    ):
        forget_peak()
        at_start, began_at = peak_megabytes(), time.monotonic()
        menu = till.import_menu().menu
        took, grew = time.monotonic() - began_at, peak_megabytes() - at_start
        print(f"{platform}: {ITEMS} items in {took:.1f} s, {grew:.0f} MB")
        requests = len(simulator.requests)
        again = till.import_menu()
    assert menu
    assert_complete(menu, sizes=1 if platform == "kounta" else 2)
    assert not again.changes
    assert again.menu
    assert again.menu.items == menu.items
    if platform == "kounta":
        assert requests / KOUNTAS_REQUESTS_A_SECOND < Limits().menu_import


def assert_complete(menu: Menu, *, sizes: int) -> None:
    dishes = {item.name: item for item in menu.items if item.name.startswith("Dish no. ")}
    assert len(dishes) == ITEMS
    for number in range(1, ITEMS + 1):
        dish = dishes[f"Dish no. {number}"]
        prices = [1000 + number % 40 * 50]
        if number % 3 == 0 and sizes == 2:
            prices.append(prices[0] + 400)
        assert [variation.price for variation in dish.variations] == prices
        assert dish.variations[0].sku == f"D{number}"
        options = [
            option.name for use in dish.groups for option in menu.group_by_id[use.group_id].options
        ]
        expected = ["Chips", "Salad"] if number % 2 else []
        assert [name for name in options if not name.startswith("No ")] == expected
