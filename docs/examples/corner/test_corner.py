"""The adapter's tests. They play from cassettes, without any network; `--record` records those again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tillpost_corner.adapter import Corner
from tillpost_corner.simulator import SHOP, CornerSimulator

from tillpost import Order
from tillpost.adapter import unreachable
from tillpost.simulator import serve_in_thread
from tillpost.testing import Cassettes, Store, plays, simulated

OURS = simulated(lambda: serve_in_thread(CornerSimulator()), origin="our own simulator")
ORDER = Order.model_validate_json(Path("order.json").read_text())


@pytest.fixture(scope="session")
def cassettes() -> Cassettes:
    """Say where the cassettes are, and with which settings they play."""
    return Cassettes("corner", folder=Path("cassettes"), settings={"access_token": "made-up", "shop": SHOP})


@plays("submit", OURS)
def test_an_order_arrives(store: Store) -> None:
    """It is looked for, made, and has its reference."""
    assert store.submit(ORDER).reference == ORDER.id


@plays("menu", OURS)
def test_the_menu_is_imported(store: Store) -> None:
    """Both items are there. Their names are masked in the cassette, as all that isn't declared public."""
    menu = store.import_menu().menu
    assert menu
    assert [(v.id, v.sku, v.price) for _, v in menu.by_variation.values()] == [
        ("7302", "FW-R", 550),
        ("5312", "BLT", 1450),
    ]


def test_every_row_of_the_table_can_be_reached() -> None:
    """No row stands behind another that takes everything."""
    assert unreachable(Corner.errors) == []
