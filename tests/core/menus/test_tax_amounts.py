"""Prices and taxes are compared by what they come to: several taxes are normal."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cafe import COFFEE, GST, MENU, OAT_MILK, TOASTIE, WHITE, menu_with, order_of
from tillpost.errors import MenuError, OrderError, PosError, TaxError
from tillpost.errors.remedies import Actor
from tillpost.menus.matching import rebind
from tillpost.menus.validation import check_order
from tillpost.models.menu import Menu, Tax
from tillpost.models.order import Charge, Line, Order, Payment

FEDERAL = Tax(id="f", name="GST 5", rate=Decimal("0.05"), included=False)
PROVINCIAL = Tax(id="p", name="PST 7", rate=Decimal("0.07"), included=False)
SURCHARGE = Tax(id="wk", name="Weekend surcharge", rate=Decimal("0.15"), included=False)


def taxed_by(*taxes: Tax, price: int = 550) -> Menu:
    """The café with these taxes on a flat white, at this price of its own."""
    regular = WHITE.variations[0].model_copy(update={"price": price})
    tax_ids = tuple(tax.id for tax in taxes)
    white = WHITE.model_copy(update={"tax_ids": tax_ids, "variations": (regular,)})
    return menu_with(white, taxes=taxes)


def net_order(line: Line, tax: int, charge: int = 0) -> Order:
    """An order whose prices exclude tax."""
    charges = [Charge(kind="delivery", name="Delivery", amount=charge)] if charge else []
    return Order.model_validate(
        {
            **order_of(line).model_dump(),
            "prices_include_tax": False,
            "tax": tax,
            "charges": charges,
            "payments": [Payment(method="card", amount=line.total + tax + charge)],
        }
    )


def faults(order: Order, menu: Menu) -> list[PosError]:
    return list(check_order(order, menu, "refuse"))


def sold_at(price: int, quantity: int = 2) -> Line:
    return COFFEE.model_copy(update={"unit_price": price, "quantity": quantity})


# ---------------------------------------------------------------- prices with and without tax


def test_menu_price_taken_without_its_tax_is_refused() -> None:
    (error,) = faults(net_order(COFFEE, tax=110), MENU)
    assert (type(error), error.reason, error.lines) == (MenuError, "net_price", (0,))
    assert error.detail == (
        "Flat white, regular was sold at 5.50 AUD plus tax, and the menu's 5.50 AUD includes it"
    )
    assert error.remedy.actor is Actor.DEVELOPER
    assert "nothing to correct in the POS" in error.remedy.manager


def test_menu_price_without_its_included_tax_fits() -> None:
    assert faults(net_order(sold_at(500), tax=100), MENU) == []


@pytest.mark.parametrize("price", [495, 496])
def test_price_without_tax_may_be_rounded_either_way(price: int) -> None:
    assert faults(net_order(sold_at(price, 1), tax=50), taxed_by(GST, price=545)) == []


def test_other_price_without_tax_is_refused() -> None:
    (error,) = faults(net_order(sold_at(480), tax=96), MENU)
    assert (type(error), error.reason) == (MenuError, "price")
    assert error.detail == (
        "Flat white, regular was paid at 4.80 AUD without tax, the menu says 5.00 AUD"
    )


def test_modifiers_price_without_tax_is_compared() -> None:
    oat = OAT_MILK.model_copy(update={"unit_price": 73})
    fitting = sold_at(500).model_copy(update={"modifiers": (oat,)})
    assert faults(net_order(fitting, tax=115), MENU) == []
    dear = fitting.model_copy(update={"modifiers": (OAT_MILK,)})
    (error,) = faults(net_order(dear, tax=116), MENU)
    assert error.reason == "net_price"
    assert "Oat milk on Flat white, regular" in error.detail


def test_price_with_tax_fits_a_menu_that_adds_it() -> None:
    assert faults(order_of(sold_at(616)), taxed_by(FEDERAL, PROVINCIAL)) == []


def test_kept_price_without_tax_is_remarked_in_its_own_terms() -> None:
    binding = rebind(net_order(sold_at(480), tax=96), MENU, "keep_paid")
    assert binding.remarks == (
        "Price kept as paid: Flat white, regular 4.80 AUD without tax (menu 5.00 AUD)",
    )


# ---------------------------------------------------------------- taxes by amounts


def test_two_lawful_taxes_fit_by_their_amount() -> None:
    assert faults(net_order(COFFEE, tax=132), taxed_by(FEDERAL, PROVINCIAL)) == []


def test_two_included_taxes_fit() -> None:
    included = [tax.model_copy(update={"included": True}) for tax in (FEDERAL, PROVINCIAL)]
    assert faults(order_of(COFFEE), taxed_by(*included)) == []


def test_tax_left_out_of_the_order_is_refused_by_amount() -> None:
    (error,) = faults(net_order(COFFEE, tax=55), taxed_by(FEDERAL, PROVINCIAL))
    assert type(error) is TaxError
    assert error.subjects == ("GST 5", "PST 7")
    assert error.detail == (
        "the order has 0.55 AUD of tax, the menu's (GST 5, PST 7) come to 1.32 AUD on its lines"
    )
    assert "If all taxes are right" in error.remedy.manager


def test_rounded_tax_of_each_line_and_tax_fits() -> None:
    for tax in (130, 134):
        assert faults(net_order(COFFEE, tax=tax), taxed_by(FEDERAL, PROVINCIAL)) == []
    assert faults(net_order(COFFEE, tax=129), taxed_by(FEDERAL, PROVINCIAL)) != []


def test_tax_of_a_charge_is_not_held_against_the_order() -> None:
    assert faults(net_order(COFFEE, tax=192, charge=500), taxed_by(FEDERAL, PROVINCIAL)) == []


def test_surcharge_made_as_a_tax_is_named_alone() -> None:
    (error,) = faults(order_of(COFFEE), taxed_by(GST, SURCHARGE))
    assert (type(error), error.lines) == (TaxError, (0,))
    assert error.subjects == ("Weekend surcharge",)
    assert error.detail == (
        "Flat white, regular was paid at 5.50 AUD with tax, "
        "the store adds Weekend surcharge to that"
    )


def test_surcharge_inside_the_menus_price_is_named() -> None:
    """As at Kounta, whose menu prices include all taxes: 5.00 with 10 % and 15 % is 6.25."""
    included = SURCHARGE.model_copy(update={"included": True})
    (error,) = faults(order_of(COFFEE), taxed_by(GST, included, price=625))
    assert type(error) is TaxError
    assert error.subjects == ("Weekend surcharge",)


def test_added_tax_below_a_minor_unit_fits() -> None:
    assert faults(order_of(sold_at(5)), taxed_by(SURCHARGE, price=5)) == []


def test_other_currency_is_the_only_fault() -> None:
    order = order_of(COFFEE.model_copy(update={"item_id": "gone", "sku": "", "unit_price": 5}))
    yen = order.model_copy(update={"currency": "JPY"})
    (error,) = faults(yen, menu_with(TOASTIE))
    assert (type(error), error.reason) == (OrderError, "currency")
