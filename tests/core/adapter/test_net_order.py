"""Orders as products at prices without tax: complete, priced, and verified."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tillpost import MenuError, Order, PosOrder, SetupError, TaxError
from tillpost.adapter.net_order import (
    BilledLine,
    NetOrderLine,
    SubstituteProducts,
    billing_error,
    net_order_lines,
    order_note,
    reference_in_note,
    staff_notes,
    tax_notices,
    verify_total,
)
from tillpost.errors.remedies import Actor
from tillpost.models.menu import GroupUse, Item, Menu, ModifierGroup, ModifierOption, Tax, Variation
from tillpost.models.order import PosState

GST = Tax(id="gst", name="GST", rate=Decimal("0.1"), included=True)
LEVY = Tax(id="levy", name="Levy", rate=Decimal("0.05"), included=True)
SUBSTITUTES = SubstituteProducts(
    charge_products={"surcharge": "sur", "Bag": "bag"}, tip_product="tip", discount_product="off"
)


def product(product_id: str, price: str, *taxes: Tax, groups: tuple[GroupUse, ...] = ()) -> Item:
    exact = Decimal(price)
    variation = Variation(id=product_id, price=round(exact * 110), exact_price=exact)
    tax_ids = tuple(tax.id for tax in taxes)
    return Item(
        id=product_id,
        name=product_id.title(),
        variations=(variation,),
        tax_ids=tax_ids,
        groups=groups,
    )


MILKS = ModifierGroup(
    id="milks",
    name="Milk",
    options=(
        ModifierOption(id="oat", name="Oat milk", price=80, exact_price=Decimal("0.7273")),
        ModifierOption(id="-sugar", name="No sugar"),
    ),
)
MENU = Menu(
    site="s",
    currency="AUD",
    imported_at=datetime(2026, 11, 23, tzinfo=UTC),
    groups=(MILKS,),
    taxes=(GST, LEVY),
    items=(
        product("white", "5", GST, groups=(GroupUse(group_id="milks"),)),
        product("toastie", "13.1818", GST),
        product("oat", "0.7273", GST),
        product("sur", "0", GST),
        product("bag", "0"),
        product("tip", "0"),
        product("off", "0", GST),
        product("loaf", "8"),
    ),
)
FOUND = PosOrder(id="o1", reference="ord_1")
WHITE = {"item_id": "white", "name": "Flat white", "quantity": 2, "unit_price": 550, "note": "hot"}
OAT = {"modifier_id": "oat", "name": "Oat milk", "unit_price": 80}


def an_order(total: int, **parts: Any) -> Order:
    bare: dict[str, Any] = {
        "id": "ord_1",
        "code": "B42",
        "placed_at": "2026-11-23T11:52:07+11:00",
        "currency": "AUD",
        "lines": [WHITE],
        "payments": [{"method": "card", "amount": total, "reference": "pi_1"}],
    }
    return Order.model_validate(bare | parts)


def gross(line: NetOrderLine, rate: str = "0.1") -> Decimal:
    return line.quantity * line.price * (1 + Decimal(rate))


def test_every_part_of_an_order_is_a_line() -> None:
    charges = [
        {"kind": "surcharge", "name": "Weekend", "amount": 100},
        {"kind": "service", "name": "Bag", "amount": 20},
    ]
    order = an_order(1250, charges=charges, discounts=[{"name": "HI", "amount": 20}], tip=50)
    assert net_order_lines(order, MENU, SUBSTITUTES) == [
        NetOrderLine("white", 2, Decimal(5), "hot", (), None),
        NetOrderLine("sur", 1, Decimal("0.9091"), "Weekend", (), None),
        NetOrderLine("bag", 1, Decimal("0.2000"), "Bag", (), None),
        NetOrderLine("off", 1, Decimal("-0.1818"), "HI", (), None),
        NetOrderLine("tip", 1, Decimal("0.5000"), "Tip", (), None),
    ]


def test_a_modifiers_own_price_is_left_out_of_the_lines() -> None:
    twice = OAT | {"quantity": 2}
    (line,) = net_order_lines(
        an_order(1420, lines=[WHITE | {"modifiers": [twice]}]), MENU, SUBSTITUTES
    )
    assert line.modifiers == ("oat", "oat")
    assert round(line.price, 3) == Decimal("5.000")


def test_removal_is_sent_with_a_minus_and_is_free() -> None:
    without = {"modifier_id": "-sugar", "name": "No sugar"}
    (line,) = net_order_lines(
        an_order(1100, lines=[WHITE | {"modifiers": [without]}]), MENU, SUBSTITUTES
    )
    assert (line.modifiers, line.price) == (("-sugar",), Decimal(5))


def test_kept_price_is_sent_instead_of_the_menus() -> None:
    (line,) = net_order_lines(
        an_order(1200, lines=[WHITE | {"unit_price": 600}]), MENU, SUBSTITUTES
    )
    assert gross(line).quantize(Decimal("0.01")) == 12


def test_a_discount_as_a_multiplier_is_shared_by_the_lines() -> None:
    toastie = {"item_id": "toastie", "name": "BLT toastie", "quantity": 1, "unit_price": 1450}
    order = an_order(2295, lines=[WHITE, toastie], discounts=[{"name": "TENTH", "amount": 255}])
    lines = net_order_lines(order, MENU, SubstituteProducts(discounts="multiplier"))
    assert [line.price for line in lines] == [Decimal(5), Decimal("13.1818")]
    assert [line.multiplier and gross(line) * line.multiplier for line in lines] == [
        pytest.approx(Decimal("9.90"), abs=Decimal("0.001")),
        pytest.approx(Decimal("13.05"), abs=Decimal("0.001")),
    ]


def test_an_order_may_be_free_by_its_multiplier() -> None:
    order = an_order(0, discounts=[{"name": "FREE", "amount": 1100}])
    (line,) = net_order_lines(order, MENU, SubstituteProducts(discounts="multiplier"))
    assert (line.price, line.multiplier) == (Decimal(5), Decimal(0))


def test_added_tax_is_what_the_platform_adds() -> None:
    lines = [
        WHITE | {"unit_price": 500},
        {"item_id": "loaf", "name": "Loaf", "quantity": 1, "unit_price": 800},
    ]
    order = an_order(1950, lines=lines, prices_include_tax=False, tax=100, tip=50)
    assert [line.price for line in net_order_lines(order, MENU, SUBSTITUTES)] == [
        5,
        8,
        Decimal("0.5000"),
    ]


def test_unexplained_tax_is_refused_by_name() -> None:
    order = an_order(1150, lines=[WHITE | {"unit_price": 500}], prices_include_tax=False, tax=150)
    with pytest.raises(
        TaxError, match=r"has 1\.50 AUD of tax, but GST comes to 1\.00 AUD"
    ) as caught:
        net_order_lines(order, MENU, SUBSTITUTES)
    assert caught.value.subjects == ("GST",)


@pytest.mark.parametrize(
    ("parts", "setting"),
    [
        ({"charges": [{"kind": "delivery", "name": "Van", "amount": 100}]}, "charge_products"),
        ({"tip": 100}, "tip_product"),
        (
            {"lines": [WHITE, {"name": "Corkage", "quantity": 1, "unit_price": 100}]},
            r"lines\[1\]\.item_id: 'Corkage' isn't on the menu.* open_item_product",
        ),
    ],
)
def test_part_without_a_product_is_refused_naming_the_setting(
    parts: dict[str, Any], setting: str
) -> None:
    with pytest.raises(SetupError, match=setting):
        net_order_lines(an_order(1200, **parts), MENU, SubstituteProducts())


def test_discount_on_a_line_lowers_its_price_and_is_named() -> None:
    half = WHITE | {"discounts": [{"name": "HALF PRICE", "amount": 550}]}
    (line,) = net_order_lines(an_order(550, lines=[half]), MENU, SUBSTITUTES)
    assert line == NetOrderLine(
        "white", 2, Decimal(5), "hot\nHALF PRICE -5.50 AUD", (), Decimal("0.5")
    )


def test_open_item_is_its_product_at_the_orders_price() -> None:
    corkage = {"name": "Corkage", "quantity": 1, "unit_price": 300}
    substitutes = SubstituteProducts(open_item_product="loaf")
    (line,) = net_order_lines(an_order(300, lines=[corkage]), MENU, substitutes)
    assert line == NetOrderLine("loaf", 1, Decimal(3), "Corkage", (), None)


def test_nested_options_are_multiplied_and_named_in_the_note() -> None:
    outer = OAT | {"quantity": 2, "modifiers": [OAT]}
    line = WHITE | {"modifiers": [outer]}
    (sent,) = net_order_lines(an_order(1740, lines=[line]), MENU, SUBSTITUTES)
    assert sent.modifiers == ("oat",) * 4
    assert sent.note == "hot\n2 x Oat milk (Oat milk)"


def test_charge_with_a_discount_is_named_with_both() -> None:
    charge = {
        "kind": "surcharge",
        "name": "Weekend",
        "amount": 100,
        "taxed": True,
        "discounts": [{"name": "REGULAR", "amount": 100}],
    }
    lines = net_order_lines(an_order(1100, charges=[charge]), MENU, SUBSTITUTES)
    assert lines[1].note == "Weekend\nREGULAR -1.00 AUD"
    assert lines[1].multiplier == 0


def test_taxed_charge_needs_a_product_with_tax() -> None:
    bag = {"kind": "service", "name": "Bag", "amount": 20, "taxed": True}
    with pytest.raises(SetupError, match="'Bag' was charged with tax, but its product bag has"):
        net_order_lines(an_order(1120, charges=[bag]), MENU, SUBSTITUTES)


VAN = {"kind": "delivery", "name": "Van", "amount": 500}
OFF = {"name": "C5", "amount": 500}
CORKAGE = {"name": "Corkage", "quantity": 1, "unit_price": 500}


@pytest.mark.parametrize(
    ("parts", "tax", "products", "detail"),
    [
        (
            {"charges": [VAN]},
            100,
            {"charge_products": {"delivery": "sur"}},
            "'Van' was charged without tax, but its product sur has GST; "
            "name another in the setting charge_products",
        ),
        (
            {"discounts": [OFF]},
            50,
            {"discount_product": "bag"},
            "'C5' was taken off with tax, but its product bag has none; "
            "name another in the setting discount_product",
        ),
        (
            {"discounts": [OFF]},
            100,
            {"discount_product": "off"},
            "'C5' was taken off without tax, but its product off has GST; "
            "name another in the setting discount_product",
        ),
        (
            {"lines": [WHITE | {"unit_price": 500}, CORKAGE]},
            100,
            {"open_item_product": "sur"},
            "'Corkage' was charged without tax, but its product sur has GST; "
            "name another in the setting open_item_product",
        ),
        (
            {"lines": [WHITE | {"unit_price": 500}, CORKAGE]},
            150,
            {"open_item_product": "loaf"},
            "'Corkage' was charged with tax, but its product loaf has none; "
            "name another in the setting open_item_product",
        ),
    ],
)
def test_product_of_other_tax_than_its_part_names_its_setting(
    parts: dict[str, Any], tax: int, products: dict[str, Any], detail: str
) -> None:
    """The store's taxes are right, and the setting names a product of another tax."""
    held: dict[str, Any] = {"lines": [WHITE | {"unit_price": 500}]} | parts
    paid = sum(line["quantity"] * line["unit_price"] for line in held["lines"])
    paid += sum(charge["amount"] for charge in held.get("charges", ()))
    paid -= sum(discount["amount"] for discount in held.get("discounts", ()))
    order = an_order(paid + tax, prices_include_tax=False, tax=tax, **held)
    with pytest.raises(SetupError) as caught:
        net_order_lines(order, MENU, SubstituteProducts.model_validate(products))
    assert (caught.value.detail, caught.value.reason) == (detail, "product_tax")
    assert caught.value.remedy.actor is Actor.DEVELOPER


def test_both_settings_are_tried_where_neither_explains_the_tax() -> None:
    held = {"lines": [WHITE | {"unit_price": 500}], "charges": [VAN], "discounts": [OFF]}
    order = an_order(1050, prices_include_tax=False, tax=50, **held)
    products = {"charge_products": {"delivery": "sur"}, "discount_product": "bag"}
    with pytest.raises(SetupError, match="'Van' was charged without tax"):
        net_order_lines(order, MENU, SubstituteProducts.model_validate(products))


def test_charge_does_not_excuse_another_tax() -> None:
    held = {"lines": [WHITE | {"unit_price": 500}], "charges": [VAN]}
    order = an_order(1680, prices_include_tax=False, tax=180, **held)
    products = {"charge_products": {"delivery": "sur"}}
    with pytest.raises(TaxError, match=r"has 1\.80 AUD of tax, but GST comes to 1\.50 AUD"):
        net_order_lines(order, MENU, SubstituteProducts.model_validate(products))


def test_notes_say_what_is_to_be_paid_and_where_to_bring_it() -> None:
    curbside = {"type": "pickup", "curbside": {"details": "bay 4"}}
    notes = staff_notes(an_order(100, amount_due=1000, fulfilment=curbside))
    assert notes == [
        "B42",
        "CURBSIDE PICKUP: bay 4",
        "PAID: card 1.00 AUD pi_1",
        "TO PAY AT THE STORE: 10.00 AUD",
    ]
    dine_in = {"type": "dine_in", "table": "7", "guests": 4}
    assert "TABLE 7, 4 GUESTS" in staff_notes(an_order(1100, fulfilment=dine_in))


def test_charges_of_zero_need_no_product() -> None:
    free = [{"kind": "delivery", "name": "Van", "amount": 0}]
    assert len(net_order_lines(an_order(1100, charges=free), MENU, SubstituteProducts())) == 1


def test_a_product_that_isnt_on_the_menu_is_a_menu_error() -> None:
    with pytest.raises(MenuError) as caught:
        net_order_lines(an_order(1150, tip=50), MENU, SubstituteProducts(tip_product="gone"))
    assert (caught.value.subjects, caught.value.reason) == (("Tip",), "product")


def billed(net: str, tax: str) -> BilledLine:
    return BilledLine("white", Decimal(net), Decimal(tax))


def test_paid_total_is_verified() -> None:
    assert billing_error(an_order(1100), SUBSTITUTES, [billed("10", "1")], MENU) is None
    assert (
        verify_total(an_order(1100), SUBSTITUTES, [billed("10", "1.004")], MENU, FOUND).total
        == 1100
    )


def test_unreported_total_is_not_compared() -> None:
    assert (
        billing_error(an_order(1100), SUBSTITUTES, [BilledLine("white", None, None)], MENU) is None
    )
    pos_order = verify_total(
        an_order(1100), SUBSTITUTES, [BilledLine("white", None, None)], MENU, FOUND
    )
    assert (pos_order.total, len(pos_order.notices)) == (None, 1)


def test_wrong_total_is_raised_with_the_created_order() -> None:
    with pytest.raises(TaxError) as caught:
        verify_total(an_order(1100), SUBSTITUTES, [billed("10", "1.5")], MENU, FOUND)
    assert caught.value.pos_order == FOUND


def test_rejected_order_is_not_compared() -> None:
    refused = FOUND.model_copy(update={"state": PosState.REJECTED})
    assert (
        verify_total(an_order(1100), SUBSTITUTES, [billed("10", "1.5")], MENU, refused).total
        == 1150
    )


@pytest.mark.parametrize(
    ("line", "menu", "kind", "reason"),
    [
        (billed("10", "1.5"), MENU, TaxError, "created"),  # another tax
        (billed("10", "1.5"), None, TaxError, "created"),
        (billed("10", "1.01"), MENU, TaxError, "created"),  # 10 % of 10.00 is never 1.01
        (billed("9.99", "1"), MENU, TaxError, "rounding_created"),
        (billed("10", "1.01"), None, TaxError, "rounding_created"),
        (billed("12", "1.2"), MENU, MenuError, "created"),  # another price
        (billed("12", "1.2"), None, MenuError, "created"),
    ],
)
def test_a_difference_is_one_of_taxes_where_these_explain_it(
    line: BilledLine, menu: Menu | None, kind: type, reason: str
) -> None:
    error = billing_error(an_order(1100), SUBSTITUTES, [line], menu)
    assert type(error) is kind
    assert error
    assert error.reason == reason
    assert "paid 11.00 AUD" in error.detail
    assert error.subjects == (("GST",) if menu and kind is TaxError else ())


def test_tax_error_names_the_taxes_that_the_platform_names() -> None:
    line = BilledLine("white", Decimal(10), Decimal("1.5"), ("GST", "Surcharge"))
    for menu in (MENU, None):
        error = billing_error(an_order(1100), SUBSTITUTES, [line], menu)
        assert isinstance(error, TaxError)
        assert error.subjects == ("GST", "Surcharge")


def test_missing_line_is_a_menu_error() -> None:
    error = billing_error(an_order(1100), SUBSTITUTES, [], MENU)
    assert isinstance(error, MenuError)
    assert error.detail == "the POS has the order with 0 lines instead of 1"


def test_staff_notes_have_customer_destination_and_payments() -> None:
    address = {"line1": "12/8 Wattle St", "city": "Ultimo"}
    delivery = {"type": "delivery", "address": address, "instructions": "Ring twice"}
    assert staff_notes(
        an_order(1100, fulfilment=delivery, customer={"name": "Mia Chen", "phone": "+61400"})
    ) == [
        "B42 Mia Chen +61400",
        "DELIVER TO: 12/8 Wattle St, Ultimo",
        "Ring twice",
        "PAID: card 11.00 AUD pi_1",
    ]
    assert staff_notes(an_order(1100, fulfilment={"type": "dine_in", "table": "7"}))[:2] == [
        "B42",
        "TABLE 7",
    ]


def test_note_begins_with_reference_and_customers_note() -> None:
    order = an_order(1100, note="no cutlery")
    lines = order_note(order, ["NEW ITEM"]).splitlines()
    assert (lines[:2], lines[-1]) == ([f"Ref: {order.id}", "no cutlery"], "NEW ITEM")
    assert reference_in_note(order_note(order)) == order.id
    assert reference_in_note(" Ref: ord_12 \nRef: ord_1") == "ord_12"
    for after in ("\r", " ", "\t", "<br>", "<BR />", " ALLERGY\n"):
        assert reference_in_note(f"Ref: ord_1{after}B42") == "ord_1"
    assert [
        reference_in_note(text)
        for text in ("", "ord_1", "about Ref: ord_1", "x\nRef: ord_1", "Ref: ")
    ] == [""] * 5


# ------------------------------------------------------------------ another tax than the order's


ONE = WHITE | {"quantity": 1}
LOAF = {"item_id": "loaf", "name": "Loaf", "quantity": 1, "unit_price": 1000}
TAKEN_OFF = {"name": "CODE", "amount": 400}


def test_discount_divided_over_two_rates_names_its_settings() -> None:
    """A site divides it among its items, and one product has one tax."""
    lines = [ONE | {"unit_price": 1000}, LOAF]
    order = an_order(1680, lines=lines, discounts=[TAKEN_OFF], prices_include_tax=False, tax=80)
    with pytest.raises(SetupError) as caught:
        net_order_lines(order, MENU, SUBSTITUTES)
    error = caught.value
    assert (error.reason, error.subjects) == ("discounts", ("CODE",))
    assert "the setting discount_product" in error.detail
    assert "discounts='multiplier' divides them" in error.detail
    divided = SUBSTITUTES.model_copy(update={"discounts": "multiplier"})
    assert len(net_order_lines(order, MENU, divided)) == 2


def test_other_rate_of_many_small_products_is_no_rounding() -> None:
    """Ten lines of 0.50 at 9 % are within a cent a line of 10 %, and exact there."""
    lines = [ONE | {"unit_price": 50}] * 10
    taxes = [{"name": "T", "rate": "0.09", "amount": 45}]
    order = an_order(545, lines=lines, prices_include_tax=False, tax=45, taxes=taxes)
    with pytest.raises(TaxError) as caught:
        net_order_lines(order, MENU, SUBSTITUTES)
    text = "the order has 0.45 AUD of tax (T 9 %), but GST 10 % comes to 0.50 AUD"
    assert caught.value.detail == text


def test_tax_on_what_was_charged_without_is_told_in_notices() -> None:
    """The price of its product makes up for it, so only the tax differs."""
    charges = [VAN | {"kind": "surcharge"}, VAN | {"kind": "surcharge", "taxed": True}]
    order = an_order(2150, lines=[ONE, LOAF], charges=charges, discounts=[TAKEN_OFF])
    assert tax_notices(order, MENU, SUBSTITUTES) == [
        "Van has tax at the register, and was charged without: its product Sur (sur) has GST 10 %",
        "CODE takes other tax off at the register than the items have: its product Off (off) has "
        "GST 10 %, items have no tax",
    ]


def test_parts_that_are_taxed_as_charged_have_no_notices() -> None:
    charges = [VAN | {"kind": "surcharge", "taxed": True}]
    order = an_order(1550, lines=[ONE], charges=charges, tip=500)
    assert tax_notices(order, MENU, SUBSTITUTES) == []


@pytest.mark.parametrize(
    ("tax", "notice"),
    [
        ("1.10", ()),
        ("1.104", ()),
        ("1.12", "The register has 1.12 AUD of tax on this order, the ordering site has 1.10 AUD"),
        (
            "1.105",
            "The register has 1.105 AUD of tax on this order before it rounds it, the ordering "
            "site has 1.10 AUD",
        ),
    ],
)
def test_register_of_another_tax_is_told_with_both_amounts(
    tax: str, notice: str | tuple[()]
) -> None:
    taxes = [{"name": "GST", "amount": 110}]
    order = an_order(1210, lines=[ONE | {"unit_price": 1210}], taxes=taxes)
    billed = [BilledLine("white", Decimal("12.1") - Decimal(tax), Decimal(tax))]
    found = PosOrder(id="1", reference="ord_1")
    seen = verify_total(order, SUBSTITUTES, billed, MENU, found)
    assert seen.notices == ((notice,) if notice else ())


def test_all_parts_without_products_are_named_at_once() -> None:
    corkage = {"name": "Corkage", "quantity": 1, "unit_price": 500}
    order = an_order(1450, lines=[corkage], charges=[VAN], discounts=[TAKEN_OFF], tip=850)
    with pytest.raises(SetupError) as caught:
        net_order_lines(order, MENU, SubstituteProducts())
    error = caught.value
    assert error.subjects == ("Corkage (line 1)", "Van", "CODE", "Tip")
    assert error.lines == (0,)
    for setting in ("open_item_product", "charge_products", "discount_product", "tip_product"):
        assert f"the setting {setting} names no product" in error.detail


def test_new_tax_on_many_small_lines_is_no_rounding() -> None:
    """The platform's tax has risen since the menu was imported."""
    order = an_order(660, lines=[ONE | {"unit_price": 22}] * 30)
    billed = [BilledLine("white", Decimal("0.20"), Decimal("0.03"))] * 30
    error = billing_error(order, SUBSTITUTES, billed, MENU)
    assert error
    assert error.reason == "created"
