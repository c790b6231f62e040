"""Faults that people have reported of orders, tried through a Till at a store of each platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from adapters.kounta.bench import SUBSTITUTES
from adapters.menu_shops import PLATFORMS, URL, Shop, shop_of
from adapters.sample_orders import plain_order
from tillpost import Order, OutageError, Policy, PosOrder
from tillpost.models.menu import ModifierOption
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.settings import KountaSettings
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings as KountaWorld
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square import WorldSettings as SquareWorld
from tillpost_square.adapter import Square
from tillpost_square.settings import SquareSettings

AT_ALL = pytest.mark.parametrize("platform", PLATFORMS)
FLAT_WHITE: Mapping[str, Any] = {"item_id": "7302", "name": "Flat white", "unit_price": 550}
OAT: Mapping[str, Any] = {"modifier_id": "228", "name": "Oat milk", "unit_price": 80}


def shop(platform: str, **settings: Any) -> Shop:
    known: dict[str, Any] = dict(SUBSTITUTES) if platform == "kounta" else {}
    return shop_of(platform, **(known | settings))


def order_of(total: int, *lines: Mapping[str, Any], **parts: Any) -> Order:
    paid = [{"method": "card", "amount": total}] if total else []
    return plain_order("ord_1", lines=list(lines), payments=paid, **parts)


# ---------------------------------------------------------------- what an order names


@pytest.mark.parametrize("platform", ["kounta", "generic"])
def test_half_and_half_with_one_sauce_on_both_arrives(platform: str) -> None:
    opened = shop(platform)
    pizza = opened.menu.sold.by_id["5320"]
    options = {option.name: option for option in opened.menu.options(pizza.item).values()}
    sauces = next(use for use in pizza.item.groups if use.maximum == 2)
    assert opened.menu.group_by_id[sauces.group_id].name == "Sauces"

    def chosen(name: str, *nested: Mapping[str, Any]) -> Mapping[str, Any]:
        option = options[name]
        return {
            "modifier_id": option.id,
            "name": name,
            "unit_price": option.price,
            "modifiers": nested,
        }

    halves = (
        chosen("Medium", chosen("Aioli")),
        chosen("Tomato sauce", chosen("Aioli")),
    )
    line = {
        "item_id": "5320",
        "name": "Half and half",
        "quantity": 1,
        "unit_price": pizza.variation.price,
        "modifiers": halves,
    }
    order = order_of(2200, line)
    made = opened.till.submit(order)
    (entry,) = opened.simulator.ledger().shown
    assert made.total == entry.total == 2200
    modifiers = entry.lines[0].modifiers
    assert sum(each.quantity for each in modifiers if each.name.endswith("Aioli")) == 2


@AT_ALL
def test_order_with_other_metadata_is_the_same_order(platform: str) -> None:
    opened = shop(platform)
    parts: Mapping[str, Any] = {**FLAT_WHITE, "quantity": 1}
    made = opened.till.submit(order_of(550, parts, metadata={"try": "1"}))
    again = opened.till.submit(order_of(550, parts, metadata={"try": "2"}))
    assert again.id == made.id
    assert opened.arrived() == 1


# ---------------------------------------------------------------- what an order comes to


@AT_ALL
def test_tip_on_an_order_that_costs_nothing_arrives(platform: str) -> None:
    opened = shop(platform)
    free = {**FLAT_WHITE, "quantity": 1, "discounts": [{"name": "FREE COFFEE", "amount": 550}]}
    made = opened.till.submit(order_of(200, free, tip=200))
    (entry,) = opened.simulator.ledger().shown
    assert (made.total, entry.total, entry.paid) == (200, 200, 200)


@AT_ALL
def test_order_that_costs_nothing_arrives(platform: str) -> None:
    opened = shop(platform)
    free = {**FLAT_WHITE, "quantity": 1, "discounts": [{"name": "FREE COFFEE", "amount": 550}]}
    made = opened.till.submit(order_of(0, free))
    (entry,) = opened.simulator.ledger().shown
    assert (made.total, entry.total, entry.paid) == (0, 0, 0)


@AT_ALL
def test_quantities_of_line_and_modifier_are_multiplied(platform: str) -> None:
    opened = shop(platform)
    option = option_to_choose_twice(opened)
    assert option.price
    shots = {"modifier_id": option.id, "name": option.name, "quantity": 2}
    each = 550 + 2 * option.price
    line = {**FLAT_WHITE, "quantity": 3, "modifiers": [shots | {"unit_price": option.price}]}
    made = opened.till.submit(order_of(3 * each, line))
    (entry,) = opened.simulator.ledger().shown
    assert made.total == entry.total == 3 * each
    (seen,) = entry.lines
    assert (seen.quantity, [modifier.quantity for modifier in seen.modifiers]) == (3, [2])


def option_to_choose_twice(opened: Shop) -> ModifierOption:
    menu = opened.menu
    for use in menu.by_variation["7302"].item.groups:
        at_most = 2 if use.maximum is None else use.maximum
        for option in menu.group_by_id[use.group_id].options:
            if at_most >= 2 and not use.once and option.price:
                return option
    raise LookupError("no option may be chosen twice")


@AT_ALL
def test_option_that_makes_an_item_cheaper_is_taken_off(platform: str) -> None:
    opened = shop(platform)
    if platform == "kounta":
        opened.simulator.spoil_product(228, {"unit_price": -0.5, "unit_price_ex_tax": -0.4545})
        opened.simulator.world.products[228].unit_price = -opened.simulator.world.products[
            228
        ].unit_price
        price = opened.menu.options(opened.menu.by_variation["7302"].item)["228"].price
    else:
        opened.simulator.change_price("228", -50)
        price = -50
    assert price is not None
    assert price < 0
    line = {**FLAT_WHITE, "quantity": 2, "modifiers": [{**OAT, "unit_price": price}]}
    total = 2 * (550 + price)
    made = opened.till.submit(order_of(total, line))
    (entry,) = opened.simulator.ledger().shown
    assert made.total == entry.total == entry.paid == total


# ---------------------------------------------------------------- texts and times


@AT_ALL
@pytest.mark.parametrize(
    "phone",
    ["0400 111 222 ext. 7", "98765432", "+44 20 7946 0958 #1234", "1" * 18, "call Mia", ""],
)
@pytest.mark.parametrize("fulfilment", ["pickup", "delivery"])
def test_phone_number_of_any_form_is_on_the_register(
    platform: str, phone: str, fulfilment: str
) -> None:
    real = {"delivery_as_pickup": False} if platform == "square" else {}
    partner = SquareSimulator(SquareWorld(delivery_partner=True)) if platform == "square" else None
    opened = shop(platform, simulator=partner, **real)
    way: dict[str, Any] = {"type": fulfilment}
    if fulfilment == "delivery":
        way["address"] = {"line1": "1 Wattle St"}
    customer = {"name": "Mia Chen", "phone": phone}
    opened.till.submit(plain_order("ord_1", customer=customer, fulfilment=way))
    view = opened.simulator.register_view("ord_1")
    assert phone in view
    assert "Mia Chen" in view


@AT_ALL
@pytest.mark.parametrize(
    "text",
    ["🌶️ no chilli 👩‍🍳", "بدون بصل", "ללא בצל (אלרגיה)", "e\u0301 combining", '<b>nuts</b> & "q"'],
)
def test_any_script_is_on_the_register_as_it_was_written(platform: str, text: str) -> None:
    opened = shop(platform)
    opened.till.submit(plain_order("ord_1", note=text))
    view = opened.simulator.register_view("ord_1")
    assert set(text.split()) <= set(view.split())


@AT_ALL
@pytest.mark.parametrize("odd", ["\x00", "\ud800"], ids=["NUL", "half of an emoji"])
def test_character_that_cannot_be_stored_costs_no_other(platform: str, odd: str) -> None:
    opened = shop(platform)
    opened.till.submit(plain_order("ord_1", note=f"no nuts {odd} please"))
    view = opened.simulator.register_view("ord_1")
    assert {"no", "nuts", "please"} <= set(view.split())
    assert odd not in view


@AT_ALL
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2036-04-06T02:30:00+11:00", datetime(2036, 4, 5, 15, 30, tzinfo=UTC)),
        ("2036-04-06T02:30:00+10:00", datetime(2036, 4, 5, 16, 30, tzinfo=UTC)),
    ],
    ids=["before clocks are set back", "after"],
)
def test_both_half_past_twos_are_the_moment_that_was_meant(
    platform: str, written: str, meant: datetime
) -> None:
    opened = shop(platform)
    opened.till.submit(plain_order("ord_1", fulfilment={"type": "pickup", "due_at": written}))
    (entry,) = opened.simulator.ledger().shown
    assert datetime.fromisoformat(entry.due_at) == meant


# ---------------------------------------------------------------- told apart, and once


def at_two_stores(platform: str) -> tuple[Shop, Shop]:
    """Two stores of one account; the generic POS has one store to an address."""
    first = shop(platform)
    if platform == "generic":
        return first, shop(platform, simulator=GenericSimulator())
    adapter: Any
    simulator = first.simulator
    known = {**simulator.connection_settings(URL)}
    if platform == "square":
        own = simulator.world.locations["L-CAFE"]
        other = replace(own, id="L-KIOSK", name="Kiosk")
        simulator.world.locations["L-KIOSK"] = other
        known["location_id"] = "L-KIOSK"
        adapter = Square(SquareSettings.model_validate(known))
    else:
        (other_site,) = {*simulator.world.sites} - {int(known["site_id"])}
        simulator.world.sites[other_site].syncing = True
        known |= {"site_id": str(other_site), "import_pace": 0.0}
        adapter = Kounta(KountaSettings.model_validate(known))
    return first, Shop(adapter, simulator)


@AT_ALL
def test_same_number_at_two_stores_is_two_orders(platform: str) -> None:
    first, second = at_two_stores(platform)
    order = order_of(550, {**FLAT_WHITE, "quantity": 1})
    made = [each.till.submit(order) for each in (first, second)]
    assert made[0].id != made[1].id or platform == "generic"
    for each, expected in zip((first, second), made, strict=True):
        found = each.connect().find(order)
        assert isinstance(found, PosOrder)
        assert found.id == expected.id


@pytest.mark.parametrize(
    ("look_after", "lag", "made"),
    [
        ((5.0, 3.0, 3.0, 5.0), 15.0, 1),
        ((5.0, 3.0, 3.0, 5.0), 40.0, 2),
        ((5.0, 10.0, 30.0), 40.0, 1),
    ],
    ids=["inside the schedule", "beyond it", "a longer schedule"],
)
def test_order_that_is_visible_later_is_made_once_within_the_schedule(
    look_after: tuple[float, ...], lag: float, made: int
) -> None:
    simulator = KountaSimulator(KountaWorld(oauth_limit=10**9))
    opened = shop("kounta", simulator=simulator, look_after=look_after, policy=Policy())
    opened.till.import_menu()
    simulator.set_lag(list_seconds=lag)
    lose_first_create(opened, "/orders.json")
    submit_until_it_is_there(opened)
    simulator.advance_clock(100)
    assert len(simulator.ledger().for_reference("ord_1")) == made


def test_order_under_a_key_is_made_once_however_late_it_is_visible() -> None:
    opened = shop("square", simulator=SquareSimulator())
    lose_first_create(opened, "/v2/orders")
    submit_until_it_is_there(opened)
    assert len(opened.simulator.ledger().for_reference("ord_1")) == 1


def lose_first_create(opened: Shop, path: str) -> None:
    """Let the answer to the first create be lost."""
    creates: list[httpx.Request] = []

    def is_lost(request: httpx.Request) -> bool:
        if request.method == "POST" and request.url.path.endswith(path):
            creates.append(request)
        return creates == [request]

    opened.lose = is_lost


def submit_until_it_is_there(opened: Shop) -> None:
    order = plain_order("ord_1")
    for tries in range(5):
        try:
            opened.till.submit(order, is_new=not tries)
        except OutageError:
            opened.wait(10)
        else:
            return
    raise AssertionError("it never arrived")
