"""What was ordered under another name than the register's is on the register by both names.

A name may say what matters most: "no bacon", "lactose free". Staff read it in the line's note, and
a notice says so.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from adapters.menu_shops import PLATFORMS, Shop, shop_of
from adapters.sample_orders import an_order, plain_order
from tillpost import Order, OrderError, PosOrder
from tillpost.errors import Outcome

VEGAN = "Vegan salad (no bacon)"
LACTOSE_FREE = "Cow's milk, lactose free"
FROM_MENU = ("square", "kounta")
"""Platforms whose register shows the menu's names."""


def toastie_named(name: str, **changes: Any) -> Order:
    line = {"item_id": "5312", "name": name, "quantity": 1, "unit_price": 1450, **changes}
    return plain_order("ord_1", lines=[line])


def coffee_with(milk: str) -> Order:
    line = {
        "item_id": "7302",
        "name": "Flat white, regular",
        "quantity": 1,
        "unit_price": 550,
        "modifiers": [{"modifier_id": "228", "name": milk, "unit_price": 80}],
    }
    return plain_order("ord_1", 630, lines=[line])


def submitted(shop: Shop, order: Order, *, knows_menu: bool) -> PosOrder:
    if knows_menu:
        shop.till.import_menu()
    return shop.till.submit(order, is_new=True)


def line_note(shop: Shop) -> str:
    (entry,) = shop.simulator.ledger().shown
    (line,) = entry.lines
    return str(line.note)


@pytest.mark.parametrize("knows_menu", [True, False], ids=["menu", "no menu"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_item_of_another_name_is_on_the_register_by_both(platform: str, knows_menu: bool) -> None:
    shop = shop_of(platform)
    made = submitted(shop, toastie_named(VEGAN, note="cut in half"), knows_menu=knows_menu)
    assert VEGAN in shop.simulator.register_view("ord_1")
    assert line_note(shop).startswith("cut in half")
    assert [VEGAN in notice for notice in made.notices] == [True] * (platform in FROM_MENU)


@pytest.mark.parametrize("knows_menu", [True, False], ids=["menu", "no menu"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_option_of_another_name_is_on_the_register_by_both(platform: str, knows_menu: bool) -> None:
    shop = shop_of(platform)
    made = submitted(shop, coffee_with(LACTOSE_FREE), knows_menu=knows_menu)
    assert LACTOSE_FREE in shop.simulator.register_view("ord_1")
    assert [LACTOSE_FREE in notice for notice in made.notices] == [True] * (platform in FROM_MENU)


@pytest.mark.parametrize("knows_menu", [True, False], ids=["menu", "no menu"])
@pytest.mark.parametrize("platform", FROM_MENU)
@pytest.mark.parametrize("name", ["BLT toastie", "blt  TOASTIE", "Toastie: BLT", "toastie"])
def test_name_that_the_menu_says_all_of_bothers_nobody(
    platform: str, knows_menu: bool, name: str
) -> None:
    shop = shop_of(platform)
    made = submitted(shop, toastie_named(name), knows_menu=knows_menu)
    assert made.notices == ()
    assert line_note(shop) == ""


@pytest.mark.parametrize("platform", FROM_MENU)
@pytest.mark.parametrize("name", ["BLT Toastie (V)", "BLT toastie 🌱", "BLT toastie, no bacon"])
def test_name_that_says_more_than_the_menu_is_noted(platform: str, name: str) -> None:
    shop = shop_of(platform)
    made = submitted(shop, toastie_named(name), knows_menu=True)
    assert f"ORDERED AS: {name} (here:" in line_note(shop)
    assert len(made.notices) == 1


@pytest.mark.parametrize("platform", FROM_MENU)
def test_name_that_changed_since_the_import_has_a_notice(platform: str) -> None:
    """Square takes a note of an unpaid order; Kounta's order is at the register by then."""
    shop = shop_of(platform)
    shop.till.import_menu()
    if platform == "square":
        shop.simulator.rename_item("5312", "Peanut toastie")
    else:
        shop.simulator.rename_product(5312, "Peanut toastie")
    made = shop.till.submit(toastie_named("BLT toastie"), is_new=True)
    (notice,) = made.notices
    assert '"BLT toastie", which the register calls "Peanut toastie' in notice
    assert ("a note says so" in notice) == ("ORDERED AS: BLT toastie" in line_note(shop))
    assert (platform == "square") == ("a note says so" in notice)


def test_name_is_noted_on_an_order_that_another_process_finishes() -> None:
    shop = shop_of("square")
    shop.lose = lambda request: request.method == "POST" and request.url.path == "/v2/orders"
    order = toastie_named(VEGAN)
    shop.refused(order)
    shop.lose = lambda _: False
    made = shop.connect().submit(order)
    assert VEGAN in line_note(shop)
    assert [VEGAN in notice for notice in made.notices] == [True]
    (entry,) = shop.simulator.ledger().for_reference("ord_1")
    assert entry.paid == 1450


def test_name_on_a_line_without_room_is_in_the_note_of_another() -> None:
    shop = shop_of("square")
    toastie = {"item_id": "5312", "quantity": 1, "unit_price": 1450}
    full = {**toastie, "name": VEGAN, "note": "x" * 2000}
    order = plain_order("ord_1", 2900, lines=[full, {**toastie, "name": "BLT toastie"}])
    (notice,) = shop.till.submit(order, is_new=True).notices
    assert "a note says so" in notice
    (entry,) = shop.simulator.ledger().shown
    assert entry.lines[1].note == f"LINE 1: ORDERED AS: {VEGAN} (here: BLT toastie, Regular)"


@pytest.mark.parametrize(
    ("line_note", "note", "field"),
    [("x" * 2000, "", "lines[0].note"), ("y" * 1000, "z" * 1400, "note")],
)
def test_name_for_which_no_note_has_room_is_refused(line_note: str, note: str, field: str) -> None:
    shop = shop_of("square")
    error = shop.refused(toastie_named(VEGAN, note=line_note).model_copy(update={"note": note}))
    assert isinstance(error, OrderError)
    assert error.outcome is Outcome.NOT_CREATED
    assert error.detail == f"{field}: Square's notes have no room for it and all names"
    ledger = shop.simulator.ledger()
    assert not ledger.shown
    assert not ledger.half_done


def test_name_that_square_takes_no_note_of_arrives_with_a_notice() -> None:
    shop = shop_of("square")
    refusal = {"errors": [{"category": "INVALID_REQUEST_ERROR", "code": "BAD_REQUEST"}]}
    shop.refuse = lambda sent: httpx.Response(400, json=refusal) if sent.method == "PUT" else None
    made = shop.till.submit(toastie_named(VEGAN), is_new=True)
    (notice,) = made.notices
    assert "staff can't see that" in notice
    assert shop.arrived() == 1


@pytest.mark.parametrize("platform", FROM_MENU)
def test_name_beside_a_long_note_is_on_the_register(platform: str) -> None:
    shop = shop_of(platform)
    order = toastie_named(VEGAN, note=" ".join(f"word{number}" for number in range(220)))
    submitted(shop, order, knows_menu=True)
    view = shop.simulator.register_view("ord_1")
    assert {"word219", "bacon)"} <= set(view.split())


@pytest.mark.parametrize("platform", FROM_MENU)
def test_sample_order_has_the_menus_names(platform: str) -> None:
    settings: dict[str, Any] = {}
    if platform == "kounta":
        products = {"charge_products": {"surcharge": "6103"}, "tip_product": "9003"}
        settings = {**products, "discounts": "multiplier"}
    shop = shop_of(platform, **settings)
    assert not any("ORDERED AS" in each for each in shop.till.submit(an_order()).notices)
