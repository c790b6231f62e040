"""How the parts of an order that not every platform takes go to Square."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.sample_orders import an_order, plain_order
from adapters.square.bench import Bench, checked_bench
from tillpost import Order, OrderError, SetupError, TaxError
from tillpost.adapter.base import Attempt
from tillpost.adapter.order_features import OrderFeature
from tillpost.testing.order_parts import order_with
from tillpost_simulators.square import WorldSettings
from tillpost_square.adapter import Square
from tillpost_square.settings import SquareSettings
from tillpost_square.translation import translate

SETTINGS = SquareSettings.model_validate({"access_token": "t", "location_id": "L1"})
TOASTIE = plain_order().lines[0].model_dump()
DELIVERY = {"kind": "delivery", "name": "Delivery", "amount": 500}


def paid(total: int, **parts: Any) -> Order:
    return plain_order(payments=[{"method": "card", "amount": total}], **parts)


def sent(order: Order, attempt: Attempt | None = None) -> Any:
    """Return the order as CreateOrder takes it."""
    return translate(order, attempt or Attempt(), SETTINGS).order


CATALOGUED = frozenset({OrderFeature.NESTED_MODIFIER, OrderFeature.CHEAPER_MODIFIER})
"""Features whose sample order has an option that Square's simulator doesn't sell."""


@pytest.mark.parametrize("feature", sorted(Square.carries - CATALOGUED))
def test_each_part_fits_the_spec_and_arrives(feature: OrderFeature) -> None:
    bench = checked_bench()
    order = order_with(plain_order(), feature)
    attempt = Attempt(menu=bench.menu())
    made = bench.run(bench.adapter.submit(order, attempt), order)
    (entry,) = bench.simulator.ledger().shown
    assert entry.total == entry.paid == made.total == order.total


def test_money_due_is_not_carried_since_no_register_shows_it() -> None:
    assert OrderFeature.AMOUNT_DUE not in Square.carries


def test_old_order_is_sent_in_the_same_fields_as_before() -> None:
    body = sent(an_order())
    assert "taxes" not in body
    assert [sorted(line) for line in body["line_items"]] == [
        ["catalog_object_id", "modifiers", "note", "quantity", "uid"],
        ["catalog_object_id", "quantity", "uid"],
    ]
    assert [sorted(each) for each in (*body["discounts"], *body["service_charges"])] == [
        ["amount_money", "name", "scope", "type"],
        ["amount_money", "calculation_phase", "name"],
    ]


def test_discount_of_a_line_is_referred_to_by_that_line_only() -> None:
    off = {"name": "HAPPY HOUR", "amount": 100}
    body = sent(paid(2800, lines=[TOASTIE, TOASTIE | {"discounts": [off]}]))
    (discount,) = body["discounts"]
    assert (discount["scope"], discount["name"]) == ("LINE_ITEM", "HAPPY HOUR")
    assert body["line_items"][1]["applied_discounts"] == [{"discount_uid": discount["uid"]}]
    assert "applied_discounts" not in body["line_items"][0]


def test_nested_choices_go_side_by_side_and_the_note_tells() -> None:
    inner = {"modifier_id": "228", "name": "Oat milk", "quantity": 3}
    outer = {"modifier_id": "231", "name": "Left", "quantity": 2, "modifiers": [inner]}
    (line,) = sent(paid(1450, lines=[TOASTIE | {"modifiers": [outer], "note": "hot"}]))[
        "line_items"
    ]
    assert [each["quantity"] for each in line["modifiers"]] == ["2", "6"]
    assert line["note"] == "hot\n2 x Left (3 x Oat milk)"


def test_taxed_charge_gets_the_lines_taxes_from_the_menu() -> None:
    bench = Bench()
    order = paid(1950, charges=[DELIVERY | {"taxed": True}])
    assert bench.adapter.needs_menu_for(order)
    assert not bench.adapter.needs_menu_for(paid(1950, charges=[DELIVERY]))
    body = sent(order, Attempt(menu=bench.menu()))
    (tax,) = body["taxes"]
    (charge,) = body["service_charges"]
    assert (charge["calculation_phase"], charge["taxable"]) == ("SUBTOTAL_PHASE", True)
    assert charge["applied_taxes"] == [{"tax_uid": tax["uid"]}]
    assert tax["scope"] == "LINE_ITEM"


def test_taxed_charge_is_quoted_only_with_a_menu() -> None:
    bench = Bench()
    order = paid(1950, charges=[DELIVERY | {"taxed": True}])
    with pytest.raises(SetupError, match="import the menu first"):
        bench.run(bench.adapter.quote(order, Attempt()), order)


def test_tax_on_an_added_charge_is_compared_before_payment() -> None:
    bench = Bench(WorldSettings(tax_inclusive=False))
    charge = DELIVERY | {"taxed": True}
    attempt = Attempt(menu=bench.menu())
    right = paid(2145, prices_include_tax=False, tax=195, charges=[charge])
    assert bench.run(bench.adapter.submit(right, attempt), right).total == 2145
    wrong = paid(2095, id="o-2", prices_include_tax=False, tax=145, charges=[charge])
    with pytest.raises(TaxError):
        bench.run(bench.adapter.submit(wrong, attempt), wrong)
    assert len(bench.simulator.ledger().shown) == 1


def test_charges_discount_is_in_the_note_with_its_name() -> None:
    free = DELIVERY | {"discounts": [{"name": "FREE DELIVERY", "amount": 500}]}
    body = sent(paid(1450, charges=[free]))
    note = body["fulfillments"][0]["pickup_details"]["note"]
    assert "Delivery 5.00 AUD, FREE DELIVERY -5.00 AUD" in note
    assert "service_charges" not in body


def test_what_goes_in_another_form_is_named_in_notices() -> None:
    free = DELIVERY | {"discounts": [{"name": "FREE DELIVERY", "amount": 100}]}
    rounding = {"kind": "rounding", "name": "Rounding", "amount": -2}
    order = paid(1848, charges=[free, rounding])
    assert translate(order, Attempt(), SETTINGS).notices == (
        "Rounding went as a discount, since Square takes no negative charge; a tax that the prices "
        "include is lowered by its share",
        "Delivery went at what is left of it after its discounts, which are in the note",
    )
    assert translate(plain_order(), Attempt(), SETTINGS).notices == ()


def test_negative_rounding_is_a_discount_if_prices_include_tax() -> None:
    rounding = {"kind": "rounding", "name": "Rounding", "amount": -2}
    (discount,) = sent(paid(1448, charges=[rounding]))["discounts"]
    assert (discount["name"], discount["amount_money"]["amount"]) == ("Rounding", 2)
    with pytest.raises(OrderError, match=r"charges\[0\]\.amount: .* where prices exclude tax"):
        sent(paid(1448, charges=[rounding], prices_include_tax=False))


def test_rounding_beyond_the_lines_is_refused_before_sending() -> None:
    rounding = {"kind": "rounding", "name": "Rounding", "amount": -2}
    order = paid(98, charges=[rounding], tip=100, discounts=[{"name": "ALL", "amount": 1450}])
    with pytest.raises(OrderError, match=r"charges\[0\]\.amount: .* they come to less"):
        sent(order)


def test_open_item_goes_by_name_and_price() -> None:
    (line,) = sent(paid(300, lines=[{"name": "Corkage", "quantity": 1, "unit_price": 300}]))[
        "line_items"
    ]
    assert line["name"] == "Corkage"
    assert line["base_price_money"]["amount"] == 300
    assert "catalog_object_id" not in line


def test_curbside_pickup_has_its_own_fields() -> None:
    def details(text: str) -> Any:
        way = {"type": "pickup", "curbside": {"details": text}}
        return sent(plain_order(fulfilment=way))["fulfillments"][0]["pickup_details"]

    short = details("bay 4")
    assert short["is_curbside_pickup"]
    assert short["curbside_pickup_details"] == {"curbside_details": "bay 4"}
    long = details("x" * 251)
    assert len(long["curbside_pickup_details"]["curbside_details"]) == 250
    assert "x" * 251 in long["note"]
    assert "curbside_pickup_details" not in details("")


def test_guests_are_beside_the_table_in_the_note() -> None:
    body = sent(plain_order(fulfilment={"type": "dine_in", "table": "7", "guests": 4}))
    assert "TABLE 7, 4 GUESTS" in body["fulfillments"][0]["pickup_details"]["note"]


@pytest.mark.parametrize("keep_paid", [True, False])
def test_option_that_makes_an_item_cheaper_arrives(keep_paid: bool) -> None:
    bench = checked_bench()
    if not keep_paid:
        bench.simulator.change_price("228", -40)
    cheaper = {"modifier_id": "228", "name": "Own cup", "unit_price": -40}
    coffee = {"item_id": "7302", "name": "Flat white", "quantity": 2, "unit_price": 550}
    order = paid(1020, lines=[coffee | {"modifiers": [cheaper]}])
    made = bench.run(bench.adapter.submit(order, Attempt(keep_paid=keep_paid)), order)
    (entry,) = bench.simulator.ledger().shown
    assert entry.total == entry.paid == made.total == 1020
