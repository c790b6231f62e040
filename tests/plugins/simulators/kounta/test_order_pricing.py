from __future__ import annotations

from decimal import Decimal
from typing import Literal

import pytest

from plugins.simulators.kounta.caller import Caller, Json, Start, line
from tillpost_simulators.kounta import KountaSettings


def total(cafe: Caller) -> float:
    value: float = cafe.listed()[0]["total"]
    return value


def placed(cafe: Caller, *lines: Json) -> Json:
    """Place an order and return it as the platform shows it."""
    order_id = cafe.place(*lines)
    return cafe.order(order_id)


def price_of(cafe: Caller, product_id: int) -> float:
    """Return the product's price at the site."""
    product = cafe.get(f"sites/2301/products/{product_id}").json()
    price: float = product["unit_price"]
    return price


def test_sample_lunch_order_comes_to_the_paid_total(cafe: Caller) -> None:
    cafe.place(
        line(7302, 2, modifiers=[228], notes="extra hot"),
        line(5312),
        line(9001, unit_price=2.463636),
        line(9004, unit_price=-1.818182),
        line(9003, unit_price=1),
        payments=[{"method_id": 12, "amount": 28.81}],
    )
    assert total(cafe) == 28.81
    (entry,) = cafe.simulator.ledger().shown
    assert entry.total == 2881
    assert entry.paid == 2881
    assert entry.settled


def test_sample_delivery_order_comes_to_the_paid_total(cafe: Caller) -> None:
    cafe.place(
        line(5312, 3, unit_price=13.181818),
        line(9002, unit_price=6.363636),
    )
    assert total(cafe) == 50.5


def test_sent_price_overrides_price_list(cafe: Caller) -> None:
    cafe.place(line(6105))
    assert total(cafe) == 5.2
    cafe.place(line(6105, unit_price=10))
    assert total(cafe) == 11


def test_price_comes_from_list_then_parent_then_product(cafe: Caller) -> None:
    act = cafe.simulator
    act.change_price(5312, Decimal(20), price_list_id=201)
    assert price_of(cafe, 5312) == 20
    act.change_price(5312, Decimal(30), price_list_id=236)
    assert price_of(cafe, 5312) == 30
    act.change_price(7302, Decimal(6))
    assert price_of(cafe, 7302) == 6


def test_modifiers_add_their_price_and_removals_nothing(cafe: Caller) -> None:
    coffee = line(7302, 1, modifiers=[228, 228, -3091])
    (first,) = placed(cafe, coffee)["lines"]
    assert first["unit_price"] == 5
    assert first["unit_tax"] == 0.5
    assert first["line_total_ex_tax"] == 6.45
    assert first["line_total_tax"] == 0.65


def test_choice_costs_the_price_of_its_option_set(cafe: Caller) -> None:
    cafe.place(line(5320, modifiers=[240, 251, 252]))
    assert total(cafe) == 21


def test_sent_price_covers_modifiers_by_setting(start: Start) -> None:
    settings = KountaSettings(unit_price_covers_modifiers=True)
    with start(settings) as cafe:
        cafe.place(line(7302, unit_price=10, modifiers=[228]))
        assert total(cafe) == 11
        cafe.place(line(7302, modifiers=[228]))
        assert total(cafe) == 6.3


def test_variations_multiply_line_and_order(cafe: Caller) -> None:
    full_line = line(unit_price=10)
    cafe.place(line(unit_price=10, price_variation=0.9))
    assert total(cafe) == 9.9
    cafe.place(full_line, price_variation=1.15)
    assert total(cafe) == 12.65
    half_line = line(unit_price=10, price_variation=0.5)
    order_id = cafe.place(half_line, price_variation=0.5)
    assert total(cafe) == 2.75
    order = cafe.order(order_id)
    (only,) = order["lines"]
    assert only["unit_price"] == 10
    assert only["unit_tax"] == 1
    assert only["line_total_ex_tax"] == 2.5
    assert only["line_total_tax"] == 0.25
    assert order["total_tax"] == 0.25


@pytest.mark.parametrize(("rounding", "tax"), [("line", 0.15), ("order", 0.14)])
def test_tax_is_rounded_by_line_or_by_order(
    start: Start, rounding: Literal["line", "order"], tax: float
) -> None:
    settings = KountaSettings(tax_rounding=rounding)
    three_lines = [line(unit_price=0.45)] * 3
    with start(settings) as cafe:
        order = placed(cafe, *three_lines)
        assert order["total_tax"] == tax
        assert total(cafe) == round(1.35 + tax, 2)


@pytest.mark.parametrize(("halves", "tax"), [("up", 0.05), ("even", 0.04)])
def test_half_a_cent_goes_up_or_to_the_even_one(
    start: Start, halves: Literal["up", "even"], tax: float
) -> None:
    with start(KountaSettings(halves=halves)) as cafe:
        assert placed(cafe, line(unit_price=0.45))["total_tax"] == tax


@pytest.mark.parametrize(
    ("currency", "amount", "minor"), [("AUD", 14.5, 1450), ("JPY", 1450, 1450), ("KWD", 1.45, 1450)]
)
def test_stock_is_priced_in_the_currencys_minor_units(
    start: Start, currency: str, amount: float, minor: int
) -> None:
    with start(KountaSettings(currency=currency)) as cafe:
        cafe.place(line(5312), payments=[{"method_id": 12, "amount": amount}])
        assert total(cafe) == amount
        (entry,) = cafe.simulator.ledger().shown
        assert (entry.total, entry.paid) == (minor, minor)


def test_other_minor_units_are_rounded_to_their_own(start: Start) -> None:
    price = line(unit_price=1.2345)
    with start(KountaSettings(currency="KWD")) as cafe:
        (only,) = placed(cafe, price)["lines"]
        assert (only["line_total_ex_tax"], only["line_total_tax"]) == (1.235, 0.123)
    with start(KountaSettings(currency="JPY")) as cafe:
        (only,) = placed(cafe, price)["lines"]
        assert (only["line_total_ex_tax"], only["line_total_tax"]) == (1, 0)


def test_product_bears_each_of_its_taxes(cafe: Caller) -> None:
    untaxed = placed(cafe, line(6103))
    assert untaxed["total_tax"] == 0
    assert untaxed["lines"][0]["taxes"] == []
    taxed_twice = placed(cafe, line(6108))
    assert taxed_twice["total_tax"] == 19.5
    rates = [tax["rate"] for tax in taxed_twice["lines"][0]["taxes"]]
    assert rates == [0.1, 0.29]


def test_modifier_bears_its_own_taxes(cafe: Caller) -> None:
    cafe.simulator.set_taxes_of(228, [])
    order = placed(cafe, line(7302, modifiers=[228]))
    assert order["total_tax"] == 0.5


def test_sent_price_is_rounded_to_decimals_of_settings(start: Start) -> None:
    six = line(unit_price=1.3636, quantity=6)
    with start(KountaSettings(unit_price_decimals=2)) as cafe:
        cafe.place(six)
        assert total(cafe) == 8.98
    with start(KountaSettings()) as cafe:
        cafe.place(six)
        assert total(cafe) == 9


def test_added_tax_changes_the_total(cafe: Caller) -> None:
    cafe.simulator.add_tax("Surcharge", Decimal("0.05"))
    cafe.place(line(unit_price=10))
    assert total(cafe) == 11.5


def test_ledger_shows_order_variation_as_charge_or_discount(cafe: Caller) -> None:
    full_line = line(unit_price=10)
    cafe.place(full_line, price_variation=0.9)
    cafe.place(full_line, price_variation=1.1)
    less, more = cafe.simulator.ledger().entries
    assert [discount.amount for discount in less.discounts] == [110]
    assert less.charges == ()
    assert [charge.amount for charge in more.charges] == [110]
    assert more.discounts == ()
    assert [(tax.name, tax.amount) for tax in more.taxes] == [("GST", 110)]
