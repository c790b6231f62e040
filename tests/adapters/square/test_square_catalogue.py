"""Square's catalogue as a menu: presence, overrides, limits, taxes and changes."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest
from pydantic import TypeAdapter

from adapters.square.bench import (
    Bench,
    checked_bench,
    drive,
    json_response,
    plain_order,
    scripted,
)
from adapters.square.spec import square_spec
from tillpost.adapter.base import Attempt
from tillpost.menus.validation import check_order
from tillpost.models.menu import Menu
from tillpost_simulators.square import WorldSettings
from tillpost_square.catalogue import MOST_SHARED_USES, menu_of
from tillpost_square.wire import CatalogObject, Location

NOW = datetime(2026, 11, 23, tzinfo=UTC)
OBJECT = TypeAdapter(CatalogObject)


def menu(*objects: dict[str, Any]) -> Menu:
    here = Location(id="L1", currency="AUD")
    return menu_of((OBJECT.validate_python(each) for each in objects), here, NOW)


def item(
    item_id: str = "I", variation: dict[str, Any] | None = None, **data: Any
) -> dict[str, Any]:
    sold = {
        "type": "ITEM_VARIATION",
        "id": f"V-{item_id}",
        "item_variation_data": priced() | (variation or {}),
    }
    return {
        "type": "ITEM",
        "id": item_id,
        "item_data": {"name": "Toast", "variations": [sold]} | data,
    }


def priced(amount: int = 500) -> dict[str, Any]:
    return {
        "name": "Regular",
        "pricing_type": "FIXED_PRICING",
        "price_money": {"amount": amount, "currency": "AUD"},
    }


def modifier_list(**data: Any) -> dict[str, Any]:
    options = [{"type": "MODIFIER", "id": "M", "modifier_data": {"name": "Oat"}}]
    return {
        "type": "MODIFIER_LIST",
        "id": "ML",
        "modifier_list_data": {"name": "Milk", "modifiers": options} | data,
    }


def test_menu_has_the_locations_items_at_its_own_prices() -> None:
    bench = checked_bench()

    known = bench.run(bench.adapter.import_menu())

    assert (known.site, known.currency) == ("L-CAFE", "AUD")
    assert {"7302", "7303", "5312"} <= set(known.by_variation)
    assert "6104" not in known.by_variation  # sold at the other location only
    assert "6106" not in known.by_variation  # archived
    assert known.by_variation["6105"][1].price == 520  # dearer here
    assert known.by_variation["6103"][1].price is None  # keyed in at the register
    assert known.by_variation["6101"][1].sold_out
    assert known.by_variation["7302"][0].categories == ("Coffee",)
    (gst,) = known.taxes
    assert (gst.name, gst.rate, gst.included) == ("GST", Decimal("0.1"), True)
    assert known.version


def test_catalogue_is_read_page_by_page() -> None:
    bench = Bench(WorldSettings(page_size=3), spec=square_spec())

    paged = bench.run(bench.adapter.import_menu())
    whole = Bench()

    assert bench.paths().count("GET /v2/catalog/list") > 3
    assert set(paged.by_variation) == set(whole.run(whole.adapter.import_menu()).by_variation)


@pytest.mark.parametrize(
    ("presence", "here"),
    [
        ({}, True),
        ({"present_at_all_locations": True}, True),
        ({"present_at_all_locations": True, "absent_at_location_ids": ["L1"]}, False),
        ({"present_at_all_locations": False}, False),
        ({"present_at_all_locations": False, "present_at_location_ids": ["L1"]}, True),
        ({"present_at_all_locations": False, "present_at_location_ids": ["L2"]}, False),
        ({"is_deleted": True}, False),
    ],
)
def test_an_object_is_on_the_menu_only_where_it_is_present(
    presence: dict[str, Any], here: bool
) -> None:
    assert bool(menu(item() | presence).items) is here


def test_what_is_archived_or_not_sellable_is_not_on_the_menu() -> None:
    assert menu(item(is_archived=True), item("J", {"sellable": False})).items == ()


def test_item_hidden_online_is_on_menu_but_not_sold_online() -> None:
    assert [i.online for i in menu(item(), item("J", hidden_online=True)).items] == [True, False]


@pytest.mark.parametrize(
    ("override", "price"),
    [
        ({"location_id": "L1", "price_money": {"amount": 700}}, 700),
        ({"location_id": "L1", "price_money": {"amount": 0}}, 0),
        ({"location_id": "L2", "price_money": {"amount": 700}}, 500),
        ({"location_id": "L1", "pricing_type": "VARIABLE_PRICING"}, None),
        ({"location_id": "L1", "sold_out": True}, 500),
    ],
)
def test_a_price_of_the_location_replaces_the_general_one(
    override: dict[str, Any], price: int | None
) -> None:
    (sold,) = menu(item(variation={"location_overrides": [override]})).items

    assert sold.variations[0].price == price


@pytest.mark.parametrize(
    ("until", "sold_out"),
    [
        (None, True),
        ((NOW + timedelta(hours=1)).isoformat(), True),
        ((NOW - timedelta(hours=1)).isoformat(), False),
        ("2026-11-23T01:00:00", True),
    ],
)
def test_what_is_sold_out_until_a_time_that_has_passed_is_back(
    until: str | None, sold_out: bool
) -> None:
    mark = {"location_id": "L1", "sold_out": True, "sold_out_valid_until": until}

    (sold,) = menu(item(variation={"location_overrides": [mark]})).items

    assert sold.variations[0].sold_out is sold_out


@pytest.mark.parametrize(
    ("own", "on_item", "limits"),
    [
        ({}, {}, (0, None)),
        ({"min_selected_modifiers": 1, "max_selected_modifiers": 2}, {}, (1, 2)),
        (
            {"min_selected_modifiers": 1, "max_selected_modifiers": 2},
            {"min_selected_modifiers": -1, "max_selected_modifiers": -1},
            (1, 2),
        ),
        (
            {"min_selected_modifiers": 1, "max_selected_modifiers": 2},
            {"min_selected_modifiers": 0, "max_selected_modifiers": 0},
            (0, None),
        ),
        (
            {"max_selected_modifiers": 2},
            {"min_selected_modifiers": 2, "max_selected_modifiers": -1},
            (2, None),
        ),
        ({"selection_type": "SINGLE"}, {}, (0, 1)),
        ({"selection_type": "SINGLE", "max_selected_modifiers": 3}, {}, (0, 3)),
        ({"modifier_type": "TEXT", "text_required": True}, {}, (1, None)),
        ({"modifier_type": "TEXT"}, {}, (0, None)),
    ],
)
def test_an_items_limits_are_its_own_or_else_the_lists(
    own: dict[str, Any], on_item: dict[str, Any], limits: tuple[int, int | None]
) -> None:
    use = {"modifier_list_id": "ML"} | on_item

    (sold,) = menu(modifier_list(**own), item(modifier_list_info=[use])).items

    assert [(g.minimum, g.maximum) for g in sold.groups] == [limits]


@pytest.mark.parametrize(
    ("own", "on_item", "once"),
    [
        ({}, {}, False),  # not reported, so nothing is refused for it
        ({"allow_quantities": True}, {"allow_quantities": "NOT_SET"}, False),
        ({"allow_quantities": False}, {}, True),
        ({"allow_quantities": False}, {"allow_quantities": "NOT_SET"}, True),
        ({"allow_quantities": False}, {"allow_quantities": "YES"}, False),
        ({"allow_quantities": True}, {"allow_quantities": "NO"}, True),
    ],
)
def test_item_or_else_list_decides_if_option_is_allowed_twice(
    own: dict[str, Any], on_item: dict[str, Any], once: bool
) -> None:
    use = {"modifier_list_id": "ML"} | on_item

    (sold,) = menu(modifier_list(**own), item(modifier_list_info=[use])).items

    assert [g.once for g in sold.groups] == [once]


def test_a_list_that_is_switched_off_or_elsewhere_is_not_offered() -> None:
    uses = [{"modifier_list_id": "ML", "enabled": False}, {"modifier_list_id": "GONE"}]

    assert menu(modifier_list(), item(modifier_list_info=uses)).items[0].groups == ()


def test_option_without_price_is_free_or_has_location_price() -> None:
    overrides = [{"location_id": "L1", "price_money": {"amount": 90}, "sold_out": True}]
    dear = {
        "name": "Soy",
        "ordinal": 1,
        "price_money": {"amount": 70},
        "location_overrides": overrides,
    }
    options = [
        {"type": "MODIFIER", "id": "M2", "modifier_data": dear},
        {"type": "MODIFIER", "id": "M1", "modifier_data": {"name": "Oat", "ordinal": 0}},
        {"type": "MODIFIER", "id": "M3", "is_deleted": True, "modifier_data": {"name": "Gone"}},
    ]

    (milk,) = menu(modifier_list(modifiers=options)).groups

    assert [(o.id, o.price, o.sold_out) for o in milk.options] == [
        ("M1", 0, False),
        ("M2", 90, True),
    ]


def test_an_item_carries_the_taxes_that_are_at_the_location() -> None:
    gst = {
        "type": "TAX",
        "id": "T1",
        "tax_data": {"name": "GST", "percentage": "10", "inclusion_type": "INCLUSIVE"},
    }
    off = {"type": "TAX", "id": "T2", "tax_data": {"name": "Old", "enabled": False}}
    elsewhere = {
        "type": "TAX",
        "id": "T3",
        "present_at_all_locations": False,
        "tax_data": {"name": "VAT"},
    }

    known = menu(
        gst,
        off,
        elsewhere,
        item(tax_ids=["T1", "T2", "T3"]),
        item("J", tax_ids=["T1"], is_taxable=False),
    )

    assert [i.tax_ids for i in known.items] == [("T1", "T2"), ()]
    assert [(t.rate, t.included, t.enabled) for t in known.taxes] == [
        (Decimal("0.1"), True, True),
        (Decimal(0), False, False),
    ]


def test_a_category_of_the_old_kind_is_read_too() -> None:
    food = {"type": "CATEGORY", "id": "C1", "category_data": {"name": "Food"}}

    assert menu(food, item(category_id="C1")).items[0].categories == ("Food",)


def test_changes_since_returns_changed_and_deleted_ids() -> None:
    bench = checked_bench()
    before = datetime.now(UTC)
    bench.simulator.change_price("5312", 1500)
    bench.simulator.remove_variation("7310")

    changes = bench.run(bench.adapter.changed_since(before - timedelta(seconds=1)))

    assert "ITEM-BLT" in changes.changed
    assert "ITEM-LONG-BLACK" in changes.deleted
    assert changes.until


def test_object_with_absurd_amount_is_left_out_and_named() -> None:
    bench = Bench()
    location = json_response({"location": {"id": "L-CAFE", "currency": "AUD"}})
    page = json_response({"objects": [item(variation={"price_money": {"amount": 10**18}})]})

    menu = drive(bench.adapter, bench.adapter.import_menu(), scripted(location, page), None)

    assert menu.items == ()
    (fault,) = menu.faults
    assert fault.subject == "Toast, Regular"
    assert "price_money.amount" in fault.text


def test_part_that_is_no_object_is_left_out_in_words() -> None:
    bench = Bench()
    location = json_response({"location": {"id": "L-CAFE", "currency": "AUD"}})
    page = json_response({"objects": [item(variation={"price_money": 500})]})

    menu = drive(bench.adapter, bench.adapter.import_menu(), scripted(location, page), None)

    (fault,) = menu.faults
    assert "price_money: must be an object" in fault.text


def test_items_that_use_a_list_alike_share_the_use_and_others_do_not() -> None:
    use = {"modifier_list_id": "ML", "max_selected_modifiers": 2}
    other_use = use | {"max_selected_modifiers": 3}
    found = menu(
        modifier_list(),
        item("A", modifier_list_info=[use]),
        item("B", modifier_list_info=[dict(use)]),
        item("C", modifier_list_info=[other_use]),
    )
    alike, as_well, otherwise = found.items
    assert alike.groups[0] is as_well.groups[0]
    assert [use.maximum for use in alike.groups] == [2]
    assert [use.maximum for use in otherwise.groups] == [3]


def test_uses_with_equal_hashes_are_compared_with_few_others() -> None:
    """A hostile answer may choose its numbers: Python's hash of each of these is 0."""
    count = 800
    collisions = [
        item(
            f"I{number}",
            modifier_list_info=[
                {"modifier_list_id": "ML", "ordinal": number * sys.hash_info.modulus}
            ],
        )
        for number in range(count)
    ]
    comparisons = 0

    def count_comparisons(frame: FrameType, event: str, _: object) -> None:
        nonlocal comparisons
        comparisons += event == "call" and frame.f_code.co_name == "__eq__"

    sys.setprofile(count_comparisons)
    try:
        menu(modifier_list(), *collisions)
    finally:
        sys.setprofile(None)

    # The cache looks a key up several times: to find it, to add it, and to drop the oldest.
    assert 0 < comparisons <= 4 * MOST_SHARED_USES * count


def test_taxes_that_are_not_applied_are_switched_off_in_the_menu() -> None:
    bench = Bench(WorldSettings(tax_inclusive=False), auto_apply_taxes=False)
    menu = bench.menu()
    assert [tax.enabled for tax in menu.taxes] == [False]
    order = plain_order()
    assert check_order(order, menu, "refuse") == ()
    bench.run(bench.adapter.submit(order, Attempt(menu=menu)), order)
    assert bench.simulator.ledger().shown[0].total == order.total
