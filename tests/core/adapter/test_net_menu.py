"""Menus of products at prices without tax: prices, options and faults."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tillpost.adapter.net_menu import (
    Product,
    ProductOption,
    ProductOptionSet,
    menu_of_products,
    taxes_summing_to,
)
from tillpost.models.menu import SetupFault, Tax

GST = Tax(id="gst", name="GST", rate=Decimal("0.1"), included=True)
LEVY = Tax(id="levy", name="Levy", rate=Decimal("0.05"), included=True)


def product(
    product_id: str,
    net: str | None,
    *taxes: Tax,
    sets: tuple[ProductOptionSet, ...] = (),
    deleted: bool = False,
) -> Product:
    price = None if net is None else Decimal(net)
    return Product(
        product_id,
        product_id.title(),
        f"SKU-{product_id}",
        price,
        taxes,
        ["Food"],
        sets,
        deleted,
        online=True,
    )


@pytest.mark.parametrize(
    ("net", "taxes", "price"),
    [
        ("13.1818", (GST,), 1450),
        ("13.1818", (GST.model_copy(update={"included": False}),), 1318),
        ("8", (), 800),
        ("10", (GST, LEVY), 1150),
        ("0.005", (), 1),
        (None, (GST,), None),
    ],
)
def test_price_includes_included_taxes_and_keeps_decimals(
    net: str | None, taxes: tuple[Tax, ...], price: int | None
) -> None:
    menu = menu_of_products([product("blt", net, *taxes)], site="s", currency="AUD")
    (variation,) = menu.items[0].variations
    assert (variation.price, variation.exact_price) == (price, Decimal(net) if net else None)
    assert set(menu.taxes) == set(taxes)


def test_option_is_a_product_with_its_own_price_and_tax() -> None:
    milks = ProductOptionSet(
        "milks", "Milk", [ProductOption("oat"), ProductOption("soy", "Soya", Decimal("0.5"))], 1, 2
    )
    products = [
        product("white", "5", GST, sets=(milks,)),
        product("oat", "0.7273", GST, deleted=True),
        product("soy", "1"),
    ]
    menu = menu_of_products(products, site="s", currency="AUD")
    oat, soy = menu.group_by_id["milks"].options
    assert (oat.name, oat.price, oat.sku, oat.sold_out) == ("Oat", 80, "SKU-oat", True)
    assert (soy.name, soy.price, soy.exact_price) == ("Soya", 50, Decimal("0.5"))
    (use,) = menu.items[0].groups
    assert (use.minimum, use.maximum) == (1, 2)


def test_removable_option_has_an_id_with_a_minus_and_is_free() -> None:
    extras = ProductOptionSet("extras", "Extras", [ProductOption("oat")], removable=True)
    menu = menu_of_products(
        [product("white", "5", sets=(extras,)), product("oat", "1")], site="s", currency="AUD"
    )
    options = menu.options(menu.items[0])
    assert (options["-oat"].name, options["-oat"].price) == ("No Oat", 0)


def test_option_not_sold_here_is_left_out_and_reported_once() -> None:
    sauces = ProductOptionSet("sauces", "Sauces", [ProductOption("chilli", "Chilli sauce")])
    products = [product("burger", "10", sets=(sauces,)), product("wrap", "9", sets=(sauces,))]
    known = SetupFault(subject="Wrap", text="is odd")
    menu = menu_of_products(products, site="s", currency="AUD", faults=[known])
    assert [fault.subject for fault in menu.faults] == ["Wrap", "Chilli sauce"]
    assert menu.groups[0].options == ()


SALES = Tax(id="1", name="GST", rate=Decimal("0.1"), included=False)
CITY = Tax(id="2", name="City", rate=Decimal("0.02"), included=False)
SAME = Tax(id="3", name="VAT", rate=Decimal("0.1"), included=False)


@pytest.mark.parametrize(
    ("tax", "taxes", "found"),
    [
        ("1.00", [SALES, CITY], (SALES,)),
        ("1.20", [SALES, CITY], (SALES, CITY)),
        ("0", [SALES, CITY], ()),
        ("1.50", [SALES, CITY], None),
        ("1.00", [SALES, SAME], None),
    ],
)
def test_taxes_are_found_by_their_sum_if_only_one_set_fits(
    tax: str, taxes: list[Tax], found: tuple[Tax, ...] | None
) -> None:
    assert taxes_summing_to(Decimal(tax), Decimal(10), taxes) == found


def test_tax_below_a_minor_unit_is_not_taken_for_none() -> None:
    """0.00538 is 0.005 KWD; 0.32 is 0 JPY: no tax would come to nearly the same."""
    vat = GST.model_copy(update={"rate": Decimal("0.05")})
    tax, net = Decimal("0.005"), Decimal("0.1076")
    assert taxes_summing_to(tax, net, [vat], "KWD") == (vat,)
    reduced = GST.model_copy(update={"rate": Decimal("0.08")})
    assert taxes_summing_to(Decimal(0), Decimal(4), [reduced], "JPY") is None
