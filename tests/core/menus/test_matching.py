"""Binding an order to the current menu drops no line and changes no price."""

from __future__ import annotations

import timeit
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe import BLT, COFFEE, GONE, MENU, OAT_MILK, TOASTIE, WHITE, menu_with, order_of
from strategies import menus, orders, orders_from, renumbered
from tillpost.menus.matching import PricePolicy, fit, rebind
from tillpost.models.menu import GroupUse, Item, Menu, ModifierGroup, ModifierOption, Variation
from tillpost.models.order import Line, Modifier, Order

POLICIES: tuple[PricePolicy, ...] = ("refuse", "keep_paid")


def bound(line: Line, menu: Menu = MENU) -> Line:
    return rebind(order_of(line), menu, "refuse").order.lines[0]


@pytest.mark.parametrize("prices", POLICIES)
@given(data=st.data())
def test_an_order_that_fits_comes_back_as_the_very_same_order(
    prices: PricePolicy, data: st.DataObject
) -> None:
    menu = data.draw(menus())
    order = data.draw(orders_from(menu))
    binding = rebind(order, menu, prices)
    assert binding.order is order
    assert not binding.keep_paid
    assert binding.remarks == ()


@pytest.mark.parametrize("prices", POLICIES)
def test_without_a_menu_an_order_stays_as_it_is(prices: PricePolicy) -> None:
    order = order_of(COFFEE, GONE)
    assert rebind(order, None, prices).order is order


def test_fitting_line_is_same_object_beside_moved_one() -> None:
    order = order_of(BLT, COFFEE.model_copy(update={"item_id": "old"}))
    lines = rebind(order, MENU, "refuse").order.lines
    assert lines[0] is order.lines[0]
    assert lines[1] == COFFEE


@given(st.data())
def test_an_order_follows_a_menu_whose_ids_have_all_changed(data: st.DataObject) -> None:
    menu = data.draw(menus())
    order = data.draw(orders_from(menu))
    binding = rebind(order, renumbered(menu), "keep_paid")
    for new, old in zip(binding.order.lines, order.lines, strict=True):
        assert new.item_id == ("" if old.is_open else f"new-{old.item_id}")
        new_ids = [flat.modifier.modifier_id for flat in new.flat_modifiers()]
        old_ids = [flat.modifier.modifier_id for flat in old.flat_modifiers()]
        assert new_ids == [f"new-{old_id}" for old_id in old_ids]
    assert not binding.keep_paid


@given(orders(currency="AUD"), menus(currency="AUD"))
def test_rebind_changes_only_ids(order: Order, menu: Menu) -> None:
    again = rebind(order, menu, "keep_paid").order
    assert again.total == order.total
    assert [line.model_dump(exclude={"item_id", "modifiers"}) for line in again.lines] == [
        line.model_dump(exclude={"item_id", "modifiers"}) for line in order.lines
    ]
    assert rebind(again, menu, "keep_paid").order is again


@pytest.mark.parametrize(
    ("changes", "item_id"),
    [
        ({}, "fw-r"),
        ({"item_id": "old"}, "fw-r"),
        ({"item_id": "old", "sku": ""}, "fw-r"),
        ({"item_id": "old", "sku": "gone"}, "fw-r"),
        ({"item_id": "old", "sku": "FW-L"}, "fw-l"),
        ({"item_id": "fw-l"}, "fw-l"),
        ({"item_id": "old", "sku": "", "unit_price": 551}, "old"),
        ({"item_id": "old", "sku": "", "name": "flat white, regular"}, "old"),
        ({"item_id": "old", "sku": "", "name": "Flat white"}, "old"),
        ({"item_id": "old", "sku": "", "name": "BLT toastie", "unit_price": 1450}, "blt"),
    ],
)
def test_line_matches_by_id_then_sku_then_name_and_price(
    changes: dict[str, object], item_id: str
) -> None:
    line = COFFEE.model_copy(update=changes)
    assert bound(line) == line.model_copy(update={"item_id": item_id})


def test_open_item_is_never_bound_to_one_of_the_menu() -> None:
    line = COFFEE.model_copy(update={"item_id": "", "modifiers": ()})
    assert bound(line) is line


def test_nested_modifier_gets_the_new_id_where_it_is() -> None:
    oat = Modifier(modifier_id="old", name="Oat milk", unit_price=80)
    white = Modifier(modifier_id="white", name="White", modifiers=(oat,))
    line = COFFEE.model_copy(update={"modifiers": (white,)})
    (new,) = bound(line).modifiers
    assert [each.modifier_id for each in new.modifiers] == ["oat"]


@pytest.mark.parametrize(
    ("modifier", "modifier_id"),
    [
        (Modifier(modifier_id="oat", sku="M-SOY", name="Oat milk", unit_price=80), "oat"),
        # The id came back on another option: neither SKU nor name are its own.
        (Modifier(modifier_id="oat", sku="M-SOY", name="Soy milk", unit_price=80), "soy"),
        (Modifier(modifier_id="old", sku="M-SOY", name="Oat milk", unit_price=80), "soy"),
        (Modifier(modifier_id="old", name="Oat milk", unit_price=80), "oat"),
        (Modifier(modifier_id="old", name="Oat milk", unit_price=70), "old"),
        # Rye is on the menu, but not among the coffee's options.
        (Modifier(modifier_id="old", sku="RYE", name="Rye", unit_price=50), "old"),
    ],
)
@pytest.mark.parametrize("item_id", ["fw-r", "old"])
def test_a_modifier_is_found_among_its_items_options_only(
    modifier: Modifier, modifier_id: str, item_id: str
) -> None:
    line = bound(COFFEE.model_copy(update={"item_id": item_id, "modifiers": (modifier,)}))
    assert line.item_id == "fw-r"
    assert [m.modifier_id for m in line.modifiers] == [modifier_id]


def test_modifiers_stay_where_their_item_is_not_found() -> None:
    line = GONE.model_copy(
        update={"modifiers": (OAT_MILK.model_copy(update={"modifier_id": "older"}),)}
    )
    assert bound(line) is line


def test_a_blank_sku_matches_nothing() -> None:
    blank = Item(id="b", name="Blank", variations=(Variation(id="b1", sku="", price=1450),))
    unknown = COFFEE.model_copy(update={"item_id": "old", "sku": "", "name": "?"})
    assert bound(unknown, menu_with(blank)).item_id == "old"


def test_a_sku_that_two_items_share_binds_to_neither() -> None:
    twin = TOASTIE.model_copy(
        update={
            "id": "t2",
            "variations": (Variation(id="twin", sku="FW-R", price=1450),),
            "name": "Twin",
        }
    )
    menu = menu_with(WHITE, twin)
    assert bound(COFFEE.model_copy(update={"item_id": "old", "name": "?"}), menu).item_id == "old"


@pytest.mark.parametrize(
    "name",
    [
        "Chef’s crème brûlée & “tea”",
        'Chef\'s cre\u0300me bru\u0302le\u0301e & "tea"',
        'Chef\'s crème\u00a0brûlée\u202f&  "tea"',
        "Chef&#39;s cr&egrave;me brûlée &amp; &quot;tea&quot;",
        "Chef`s crème brûlée & «tea»",
    ],
)
@pytest.mark.parametrize("written", ['Chef\'s crème brûlée & "tea"', None])
def test_names_match_however_they_are_written(name: str, written: str | None) -> None:
    own = Item(id="c", name=written or name, variations=(Variation(id="cb", price=900),))
    menu = menu_with(WHITE, own)
    ordered = 'Chef\'s crème brûlée & "tea"' if written is None else name
    line = Line(item_id="old", name=ordered, quantity=1, unit_price=900)
    assert bound(line, menu).item_id == "cb"


def test_option_matches_in_another_unicode_form() -> None:
    option = ModifierOption(id="new", name="Crème fraîche", price=80)
    menu = menu_with(WHITE, groups=(ModifierGroup(id="milk", name="Milk", options=(option,)),))
    written = unicodedata.normalize("NFD", "Crème fraîche")
    modifier = Modifier(modifier_id="old", name=written, unit_price=80)
    line = bound(COFFEE.model_copy(update={"modifiers": (modifier,)}), menu)
    assert line.modifiers[0].modifier_id == "new"


def test_exact_name_comes_before_one_written_otherwise() -> None:
    plain = Item(id="p", name="Chef's cake", variations=(Variation(id="plain", price=900),))
    curly = Item(id="q", name="Chef’s cake", variations=(Variation(id="curly", price=900),))
    menu = menu_with(plain, curly)
    line = Line(item_id="old", name="Chef’s cake", quantity=1, unit_price=900)
    assert bound(line, menu).item_id == "curly"
    unclear = line.model_copy(update={"name": "Chef&#39;s  cake"})
    assert bound(unclear, menu) is unclear


@pytest.mark.parametrize(
    ("sku", "name", "found"),
    [
        ("V-BURG", "Vegan burger", None),  # neither is this one's
        ("V-BURG", "Beef burger", "x1"),
        ("B-BURG", "Vegan burger", "x1"),
        ("", "Vegan burger", "x1"),
        ("V-BURG", "BURGER, Beef!", "x1"),
        ("V-BURG", "Beef burger, large", "x1"),
        ("FW-R", "Flat white", "fw-r"),  # the SKU leads to the right one
    ],
)
def test_id_of_another_product_is_not_trusted(sku: str, name: str, found: str | None) -> None:
    burger = Item(
        id="x", name="Beef burger", variations=(Variation(id="x1", sku="B-BURG", price=1600),)
    )
    line = Line(item_id="x1", sku=sku, name=name, quantity=1, unit_price=1600)
    (fitted,) = fit(order_of(line), menu_with(WHITE, burger))
    assert (fitted.sold.variation.id if fitted.sold else None) == found


def test_option_id_of_another_product_is_not_trusted() -> None:
    nuts = ModifierOption(id="oat", sku="M-NUT", name="Hazelnut syrup", price=80)
    menu = menu_with(WHITE, groups=(ModifierGroup(id="milk", name="Milk", options=(nuts,)),))
    line = COFFEE.model_copy(update={"modifiers": (OAT_MILK,)})
    (fitted,) = fit(order_of(line), menu)
    assert fitted.options == (None,)


def test_a_rebound_order_has_its_own_fingerprint() -> None:
    order = order_of(COFFEE.model_copy(update={"item_id": "old"}))
    before = order.digest
    assert rebind(order, MENU, "refuse").order.digest != before


def test_kept_price_is_remarked_once() -> None:
    oat = OAT_MILK.model_copy(update={"unit_price": 60})
    coffee = COFFEE.model_copy(update={"modifiers": (oat,)})
    toastie = BLT.model_copy(update={"unit_price": 1400})
    binding = rebind(order_of(toastie, coffee, coffee), MENU, "keep_paid")
    assert binding.keep_paid
    assert binding.remarks == (
        "Price kept as paid: BLT toastie 14.00 AUD (menu 14.50 AUD)",
        "Price kept as paid: Oat milk 0.60 AUD (menu 0.80 AUD)",
    )


def test_a_price_that_is_to_be_refused_is_not_kept() -> None:
    binding = rebind(order_of(COFFEE.model_copy(update={"unit_price": 500})), MENU, "refuse")
    assert not binding.keep_paid
    assert binding.remarks == ()


def test_line_not_on_menu_has_no_price_remark() -> None:
    extra = COFFEE.model_copy(
        update={"modifiers": (Modifier(modifier_id="old", name="Gone", unit_price=5),)}
    )
    assert not rebind(order_of(GONE, extra), MENU, "keep_paid").keep_paid


def test_register_priced_item_is_never_repriced() -> None:
    catch = Item(id="c", name="Catch", variations=(Variation(id="catch", price=None),))
    menu = menu_with(catch)
    line = Line(item_id="catch", name="Catch", quantity=1, unit_price=3900)
    assert not rebind(order_of(line), menu, "keep_paid").keep_paid


def test_a_price_with_tax_is_not_held_against_one_without() -> None:
    order = order_of(COFFEE.model_copy(update={"unit_price": 500}), prices_include_tax=False)
    assert not rebind(order, MENU, "keep_paid").keep_paid


def _fastest(action: Callable[[], object]) -> float:
    return min(timeit.repeat(action, number=10, repeat=200)) / 10


@pytest.mark.parametrize("prices", POLICIES)
def test_binding_twenty_fitting_lines_is_fast(prices: PricePolicy) -> None:
    options = tuple(ModifierOption(id=f"o{i}", name=f"Option {i}", price=50) for i in range(3))
    group = ModifierGroup(id="g", name="Extras", options=options)
    items = tuple(
        Item(
            id=f"i{i}",
            name=f"Item {i}",
            variations=(Variation(id=f"v{i}", price=1000),),
            groups=(GroupUse(group_id="g"),),
        )
        for i in range(20)
    )
    menu = menu_with(*items, groups=(group,))
    chosen = tuple(Modifier(modifier_id=o.id, name=o.name, unit_price=50) for o in options)
    order = order_of(
        *(
            Line(item_id=f"v{i}", name=f"Item {i}", quantity=1, unit_price=1000, modifiers=chosen)
            for i in range(20)
        )
    )
    assert rebind(order, menu, prices).order is order
    # Well under 50 microseconds on a free processor; the bound here leaves room for a busy one.
    assert _fastest(lambda: rebind(order, menu, prices)) < 250e-6
