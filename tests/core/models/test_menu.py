"""A menu finds its things by id, SKU, or exact name and price, and never guesses."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given

from strategies import menus
from tillpost.models.menu import (
    GroupUse,
    Index,
    IndexEntry,
    Item,
    Menu,
    ModifierGroup,
    ModifierOption,
    Tax,
    Variation,
    display_name,
    limits_in_words,
)

TAXES = tuple(
    Tax(id=name, name=name, rate=Decimal("0.1"), included=True, enabled=enabled)
    for name, enabled in (("GST", True), ("Old", False))
)


def menu_of(*items: Item, groups: tuple[ModifierGroup, ...] = ()) -> Menu:
    imported = datetime(2026, 11, 23, tzinfo=UTC)
    return Menu(
        site="s", currency="AUD", imported_at=imported, items=items, groups=groups, taxes=TAXES
    )


@given(menus())
def test_every_variation_is_found_by_its_id_alone(menu: Menu) -> None:
    for id_, found in menu.by_variation.items():
        assert menu.sold.find(id_, "", "", None) == found
        assert found[1].id == id_


@given(menus())
def test_every_variation_is_found_by_its_exact_name_and_price(menu: Menu) -> None:
    for item, variation in menu.by_variation.values():
        assert menu.sold.find("?", "", display_name(item, variation), variation.price) == (
            item,
            variation,
        )


@given(menus(skus=True))
def test_every_option_is_found_by_its_sku(menu: Menu) -> None:
    for item in menu.items:
        for option in menu.options(item).values():
            assert menu.choices(item).find("?", option.sku, "", None) == option


def test_an_id_outranks_a_sku_and_a_sku_outranks_a_name() -> None:
    index = Index(
        [
            IndexEntry("1", "A", "Tea", 300, "one"),
            IndexEntry("2", "B", "Mate", 400, "two"),
            IndexEntry("3", "C", "Chai", 500, "three"),
        ]
    )
    assert index.find("1", "B", "Chai", 500) == "one"
    assert index.find("?", "B", "Chai", 500) == "two"
    assert index.find("?", "?", "Chai", 500) == "three"
    assert index.find("?", "?", "Chai", 501) is None
    assert index.find("?", "", "chai", 500) is None


def test_shared_sku_or_name_finds_nothing() -> None:
    index = Index(
        [IndexEntry("1", "A", "Tea", 300, "one"), IndexEntry("2", "A", "Tea", 300, "two")]
    )
    assert index.find("?", "A", "", None) is None
    assert index.find("?", "", "Tea", 300) is None


def test_the_same_thing_listed_twice_is_one_thing() -> None:
    index = Index(
        [IndexEntry("1", "A", "Tea", 300, "one"), IndexEntry("1", "A", "Tea", 300, "one")]
    )
    assert index.find("?", "A", "", None) == "one"


def test_options_are_those_of_the_items_own_groups() -> None:
    milk = ModifierGroup(id="milk", name="Milk", options=(ModifierOption(id="oat", name="Oat"),))
    bread = ModifierGroup(id="bread", name="Bread", options=(ModifierOption(id="rye", name="Rye"),))
    tea = Item(
        id="tea",
        name="Tea",
        variations=(Variation(id="tea", price=300),),
        groups=(GroupUse(group_id="milk"), GroupUse(group_id="lost")),
    )
    assert set(menu_of(tea, groups=(milk, bread)).options(tea)) == {"oat"}


def test_only_known_and_enabled_taxes_are_on_an_item() -> None:
    tea = Item(
        id="tea",
        name="Tea",
        variations=(Variation(id="tea", price=300),),
        tax_ids=("GST", "GST", "Old", "Lost"),
    )
    menu = menu_of(tea)
    assert menu.taxes_on(tea) == (TAXES[0],)
    assert set(menu.tax_by_id) == {"GST", "Old"}


def test_a_variation_is_named_only_where_there_is_a_choice() -> None:
    small, large = (
        Variation(id="1", name="small", price=1),
        Variation(id="2", name="large", price=2),
    )
    assert display_name(Item(id="i", name="Tea", variations=(small,)), small) == "Tea"
    assert display_name(Item(id="i", name="Tea", variations=(small, large)), large) == "Tea, large"


@pytest.mark.parametrize(
    ("minimum", "maximum", "text"),
    [
        (0, None, "any number"),
        (2, None, "at least 2"),
        (1, 1, "exactly 1"),
        (1, 3, "1 to 3"),
        (0, 3, "0 to 3"),
    ],
)
def test_limits_read_as_words(minimum: int, maximum: int | None, text: str) -> None:
    assert limits_in_words(minimum, maximum) == text
