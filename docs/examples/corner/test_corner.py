"""The adapter's tests. They replay cassettes without a network; `--record` records them again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tillpost_corner.adapter import Corner
from tillpost_corner.simulator import SHOP, CornerSimulator

from tillpost import Order
from tillpost.adapter import unreachable
from tillpost.simulator import serve_in_thread
from tillpost.testing import Cassettes, Store, plays, simulated

RECORDED = simulated(lambda: serve_in_thread(CornerSimulator()), origin="our own simulator")
ORDER = Order.model_validate_json(Path("order.json").read_text())


@pytest.fixture(scope="session")
def cassettes() -> Cassettes:
    """Return where the cassettes are, and the settings that they are replayed with."""
    settings = {"access_token": "made-up", "shop": SHOP}
    return Cassettes("corner", folder=Path("cassettes"), settings=settings)


@plays("submit", RECORDED)
def test_submit_creates_the_order(store: Store) -> None:
    """It is looked up first, then created with its reference."""
    assert store.submit(ORDER).reference == ORDER.id


@plays("menu", RECORDED)
def test_import_returns_both_items(store: Store) -> None:
    """Their names are masked in the cassette, like everything that isn't declared public."""
    menu = store.import_menu().menu
    assert menu
    assert [(v.id, v.sku, v.price) for _, v in menu.by_variation.values()] == [
        ("7302", "FW-R", 550),
        ("5312", "BLT", 1450),
    ]


def test_every_row_of_the_error_table_is_reachable() -> None:
    """No row is hidden by an earlier one."""
    assert unreachable(Corner.errors) == []
