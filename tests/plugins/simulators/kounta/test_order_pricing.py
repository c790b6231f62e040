from __future__ import annotations

from decimal import Decimal

import pytest

from plugins.simulators.kounta.caller import Caller, Start, line
from tillpost_simulators.kounta import KountaSettings


def total(cafe: Caller) -> float:
    value: float = cafe.listed()[0]["total"]
    return value


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
    assert (entry.total, entry.paid, entry.settled) == (2881, 2881, True)


def test_sample_delivery_order_comes_to_the_paid_total(cafe: Caller) -> None:
    cafe.place(line(5312, 3, unit_price=13.181818), line(9002, unit_price=6.363636))
    assert total(cafe) == 50.5


def test_sent_price_overrides_price_list(cafe: Caller) -> None:
    cafe.place(line(6105))
    assert total(cafe) == 5.2
    cafe.place(line(6105, unit_price=10))
    assert total(cafe) == 11


def test_price_comes_from_list_then_parent_then_product(cafe: Caller) -> None:
    cafe.simulator.change_price(5312, Decimal(20), price_list_id=201)
    assert cafe.get("sites/2301/products/5312").json()["unit_price"] == 20
    cafe.simulator.change_price(5312, Decimal(30), price_list_id=236)
    assert cafe.get("sites/2301/products/5312").json()["unit_price"] == 30
    cafe.simulator.change_price(7302, Decimal(6))
    assert cafe.get("sites/2301/products/7302").json()["unit_price"] == 6


def test_modifiers_add_their_price_and_removals_nothing(
    cafe: Caller,
) -> None:
    cafe.place(line(7302, 1, modifiers=[228, 228, -3091]))
    first = cafe.order(93824701)["lines"][0]
    assert (first["unit_price"], first["unit_tax"]) == (5, 0.5)
    assert (first["line_total_ex_tax"], first["line_total_tax"]) == (6.45, 0.65)


def test_choice_costs_the_price_of_its_option_set(cafe: Caller) -> None:
    cafe.place(line(5320, modifiers=[240, 251, 252]))
    assert total(cafe) == 21


def test_sent_price_covers_modifiers_by_setting(start: Start) -> None:
    with start(KountaSettings(unit_price_covers_modifiers=True)) as cafe:
        cafe.place(line(7302, unit_price=10, modifiers=[228]))
        assert total(cafe) == 11
        cafe.place(line(7302, modifiers=[228]))
        assert total(cafe) == 6.3


def test_variations_multiply_line_and_order(cafe: Caller) -> None:
    cafe.place(line(unit_price=10, price_variation=0.9))
    assert total(cafe) == 9.9
    cafe.place(line(unit_price=10), price_variation=1.15)
    assert total(cafe) == 12.65
    cafe.place(line(unit_price=10, price_variation=0.5), price_variation=0.5)
    assert total(cafe) == 2.75
    order = cafe.order(93824703)
    assert (order["lines"][0]["unit_price"], order["lines"][0]["unit_tax"]) == (10, 1)
    assert order["lines"][0]["line_total_ex_tax"] == 2.5
    assert order["total_tax"] == order["lines"][0]["line_total_tax"] == 0.25


@pytest.mark.parametrize(("rounding", "tax"), [("line", 0.15), ("order", 0.14)])
def test_tax_is_rounded_by_line_or_by_order(start: Start, rounding: str, tax: float) -> None:
    settings = KountaSettings(tax_rounding="line" if rounding == "line" else "order")
    with start(settings) as cafe:
        order_id = cafe.place(*(line(unit_price=0.45) for _ in range(3)))
        assert cafe.order(order_id)["total_tax"] == tax
        assert total(cafe) == round(1.35 + tax, 2)


def test_product_bears_each_of_its_taxes(cafe: Caller) -> None:
    untaxed, twice = cafe.order(cafe.place(line(6103))), cafe.order(cafe.place(line(6108)))
    assert (untaxed["total_tax"], untaxed["lines"][0]["taxes"]) == (0, [])
    assert twice["total_tax"] == 19.5
    assert [tax["rate"] for tax in twice["lines"][0]["taxes"]] == [0.1, 0.29]


def test_modifier_bears_its_own_taxes(cafe: Caller) -> None:
    cafe.simulator.set_taxes_of(228, [])
    assert cafe.order(cafe.place(line(7302, modifiers=[228])))["total_tax"] == 0.5


def test_sent_price_is_rounded_to_decimals_of_settings(start: Start) -> None:
    with start(KountaSettings(unit_price_decimals=2)) as cafe:
        cafe.place(line(unit_price=1.3636, quantity=6))
        assert total(cafe) == 8.98
    with start(KountaSettings()) as cafe:
        cafe.place(line(unit_price=1.3636, quantity=6))
        assert total(cafe) == 9


def test_added_tax_changes_the_total(cafe: Caller) -> None:
    cafe.simulator.add_tax("Surcharge", Decimal("0.05"))
    cafe.place(line(unit_price=10))
    assert total(cafe) == 11.5


def test_ledger_shows_order_variation_as_charge_or_discount(cafe: Caller) -> None:
    cafe.place(line(unit_price=10), price_variation=0.9)
    cafe.place(line(unit_price=10), price_variation=1.1)
    less, more = cafe.simulator.ledger().entries
    assert ([one.amount for one in less.discounts], less.charges) == ([110], ())
    assert ([one.amount for one in more.charges], more.discounts) == ([110], ())
    assert [(tax.name, tax.amount) for tax in more.taxes] == [("GST", 110)]
