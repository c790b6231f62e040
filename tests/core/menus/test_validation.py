"""Every fault by the menu is reported at once; a fitting order has none."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe import (
    BLT,
    BREAD,
    COFFEE,
    GONE,
    GST,
    MENU,
    MILK,
    OAT_MILK,
    TOASTIE,
    WHITE,
    menu_with,
    order_of,
)
from strategies import menus, orders_from, renumbered
from tillpost.errors import MenuError, PosError, TaxError
from tillpost.menus.matching import rebind
from tillpost.menus.validation import check_order
from tillpost.models.menu import GroupUse, Item, Menu, Tax, Variation
from tillpost.models.order import DineIn, Line, Modifier

SECOND_TAX = Tax(id="wk", name="Weekend surcharge", rate=Decimal("0.15"), included=False)


def check(*lines: Line, menu: Menu = MENU) -> list[PosError]:
    return list(check_order(order_of(*lines), menu, "refuse"))


def sole(*lines: Line, menu: Menu = MENU) -> PosError:
    (error,) = check(*lines, menu=menu)
    return error


def coffee_with(*modifiers: Modifier) -> Line:
    return COFFEE.model_copy(update={"modifiers": modifiers})


@given(st.data())
def test_an_order_from_the_menu_fits_it(data: st.DataObject) -> None:
    menu = data.draw(menus())
    assert check_order(data.draw(orders_from(menu)), menu, "refuse") == ()


@given(st.data())
def test_order_fits_renumbered_menu_before_and_after_rebind(
    data: st.DataObject,
) -> None:
    menu = data.draw(menus())
    order, new = data.draw(orders_from(menu)), renumbered(menu)
    assert check_order(order, new, "refuse") == ()
    assert check_order(rebind(order, new, "refuse").order, new, "refuse") == ()


def test_missing_items_are_reported_by_line() -> None:
    error = sole(
        BLT,
        GONE,
        coffee_with(OAT_MILK.model_copy(update={"modifier_id": "x", "sku": "", "name": "Hemp"})),
    )
    assert isinstance(error, MenuError)
    assert error.reason == "gone"
    assert error.lines == (1, 2)
    assert error.subjects == ("Pumpkin soup (line 2)", "Hemp on Flat white, regular (line 3)")
    assert (
        error.detail
        == "Pumpkin soup isn't on the menu; Hemp on Flat white, regular isn't among its options"
    )


def test_sold_out_items_are_reported_by_line() -> None:
    toastie = TOASTIE.model_copy(
        update={"variations": (Variation(id="blt", price=1450, sold_out=True),)}
    )
    milk = MILK.model_copy(
        update={"options": tuple(o.model_copy(update={"sold_out": True}) for o in MILK.options)}
    )
    menu = menu_with(WHITE, toastie, groups=(milk, BREAD))
    error = sole(coffee_with(OAT_MILK), BLT, menu=menu)
    assert (type(error), error.reason, error.lines) == (MenuError, "sold_out", (0, 1))
    assert error.subjects == ("Oat milk on Flat white, regular (line 1)", "BLT toastie (line 2)")


def test_price_differences_are_reported_by_line() -> None:
    oat = OAT_MILK.model_copy(update={"unit_price": 60})
    error = sole(BLT.model_copy(update={"unit_price": 1400}), coffee_with(oat))
    assert (type(error), error.reason, error.lines) == (MenuError, "price", (0, 1))
    assert error.detail == (
        "BLT toastie was paid at 14.00 AUD, the menu says 14.50 AUD; "
        "Oat milk on Flat white, regular was paid at 0.60 AUD, the menu says 0.80 AUD"
    )


def test_kept_prices_are_not_compared() -> None:
    order = order_of(BLT.model_copy(update={"unit_price": 1400}))
    assert check_order(order, MENU, "keep_paid") == ()


def test_a_price_keyed_in_at_the_register_fits_any() -> None:
    catch = Item(id="c", name="Catch", variations=(Variation(id="blt", price=None),))
    assert check(BLT, menu=menu_with(catch)) == []


@pytest.mark.parametrize(
    ("minimum", "maximum", "quantities", "fault"),
    [
        (0, None, [], ""),
        (0, None, [3, 4], ""),
        (1, 1, [1], ""),
        (1, 1, [], "has 0 of Milk, the menu asks for exactly 1"),
        (1, 1, [2], "has 2 of Milk, the menu asks for exactly 1"),
        (1, 1, [1, 1], "has 2 of Milk, the menu asks for exactly 1"),
        (2, 3, [1, 1], ""),
        (2, None, [1], "has 1 of Milk, the menu asks for at least 2"),
        (0, 3, [2, 2], "has 4 of Milk, the menu asks for 0 to 3"),
    ],
)
def test_choices_are_counted_with_their_quantities(
    minimum: int, maximum: int | None, quantities: list[int], fault: str
) -> None:
    use = GroupUse(group_id="milk", minimum=minimum, maximum=maximum)
    menu = menu_with(WHITE.model_copy(update={"groups": (use, GroupUse(group_id="bread"))}))
    rye = Modifier(modifier_id="rye", name="Rye", unit_price=50)
    milks = [OAT_MILK.model_copy(update={"quantity": quantity}) for quantity in quantities]
    found = check(coffee_with(rye, *milks), menu=menu)
    assert [(e.reason, e.detail) for e in found] == (
        [("choices", f"Flat white, regular {fault}")] if fault else []
    )


RYE = Modifier(modifier_id="rye", name="Rye", unit_price=50)


@pytest.mark.parametrize(
    ("minimum", "on_bread", "beside", "fault"),
    [
        (0, [1, 1], [], ""),
        (0, [2, 2], [1], ""),
        (1, [1], [], ""),
        (0, [1], [1, 1], "has 2 of Milk, the menu asks for 0 to 1"),
        (3, [1], [1], "has 2 of Milk, the menu asks for exactly 3"),
    ],
)
def test_choice_on_a_choice_is_never_too_many(
    minimum: int, on_bread: list[int], beside: list[int], fault: str
) -> None:
    maximum = max(minimum, 1)
    milk = GroupUse(group_id="milk", minimum=minimum, maximum=maximum, once=not minimum)
    menu = menu_with(WHITE.model_copy(update={"groups": (milk, GroupUse(group_id="bread"))}))
    halves = [
        RYE.model_copy(update={"modifiers": (OAT_MILK.model_copy(update={"quantity": quantity}),)})
        for quantity in on_bread
    ]
    milks = [OAT_MILK.model_copy(update={"quantity": quantity}) for quantity in beside]
    found = check(coffee_with(*halves, *milks), menu=menu)
    assert [e.reason for e in found] == (["choices"] if fault else [])
    assert all(fault in e.detail for e in found)


def test_choice_that_no_menu_lists_is_judged_by_no_menu() -> None:
    """A combo's drink has options that the menu doesn't list: only the item's own are known."""
    own_option = Modifier(modifier_id="lemon", name="Slice of lemon", unit_price=20)
    oat = OAT_MILK.model_copy(update={"modifiers": (own_option,)})
    assert check(coffee_with(oat)) == []
    assert sole(coffee_with(own_option)).reason == "gone"


def test_nested_choice_is_compared_with_the_menu() -> None:
    both = (GroupUse(group_id="milk"), GroupUse(group_id="bread"))
    menu = menu_with(WHITE.model_copy(update={"groups": both}))

    def with_nested(nested: Modifier) -> PosError:
        oat = OAT_MILK.model_copy(update={"modifiers": (nested,)})
        return sole(coffee_with(oat), menu=menu)

    dearer = with_nested(Modifier(modifier_id="rye", name="Rye", unit_price=60))
    assert "Rye on Flat white, regular was paid at 0.60 AUD" in str(dearer)


def test_open_item_is_not_missed_on_the_menu() -> None:
    corkage = COFFEE.model_copy(update={"item_id": "", "modifiers": ()})
    assert check(corkage) == []


def test_option_chosen_twice_is_reported_where_once() -> None:
    menu = menu_with(WHITE.model_copy(update={"groups": (GroupUse(group_id="milk", once=True),)}))
    twice = coffee_with(OAT_MILK, OAT_MILK)
    double = coffee_with(OAT_MILK.model_copy(update={"quantity": 2}))
    assert check(coffee_with(OAT_MILK), menu=menu) == []
    for line in (twice, double):
        error = sole(line, menu=menu)
        assert (error.reason, error.lines) == ("choices", (0,))
        assert error.detail == "Flat white, regular has 2 of Oat milk, the menu allows one"


def test_choices_are_not_counted_where_one_of_them_is_gone() -> None:
    use = GroupUse(group_id="milk", minimum=1)
    menu = menu_with(WHITE.model_copy(update={"groups": (use,)}))
    hemp = Modifier(modifier_id="hemp", name="Hemp")
    assert sole(coffee_with(hemp), menu=menu).reason == "gone"


def test_unknown_group_is_not_the_orders_fault() -> None:
    use = GroupUse(group_id="lost", minimum=1)
    assert check(COFFEE, menu=menu_with(WHITE.model_copy(update={"groups": (use,)}))) == []


def limited(most: int) -> Menu:
    """A menu that allows so many flat whites in an order."""
    first = WHITE.variations[0].model_copy(update={"maximum": most})
    return menu_with(
        WHITE.model_copy(update={"variations": (first, *WHITE.variations[1:])}), TOASTIE
    )


def test_as_many_as_the_menu_allows_in_an_order_fit() -> None:
    assert check(COFFEE, BLT, coffee_with(OAT_MILK), menu=limited(4)) == []


def test_quantity_above_limit_names_all_lines() -> None:
    error = sole(COFFEE, BLT, coffee_with(OAT_MILK), menu=limited(3))
    assert (type(error), error.reason, error.lines) == (MenuError, "quantity", (0, 2))
    assert error.detail == "Flat white, regular is ordered 4 times, the menu allows 3 in an order"
    assert "Flat white, regular (line 1) and Flat white, regular (line 3)" in error.remedy.manager


def at_table(table: str, tables: tuple[str, ...] | None) -> tuple[PosError, ...]:
    order = order_of(BLT).model_copy(update={"fulfilment": DineIn(table=table)})
    return check_order(order, MENU.model_copy(update={"tables": tables}), "refuse")


@pytest.mark.parametrize("tables", [None, ("7",), ("12", " Garden 7 ", "GARDEN 8", "7")])
def test_known_table_fits_and_any_fits_without_a_list(
    tables: tuple[str, ...] | None,
) -> None:
    assert at_table("7", tables) == ()


def test_table_name_ignores_case_and_outer_spaces() -> None:
    assert at_table("garden 7", ("12", " Garden 7 ")) == ()


@pytest.mark.parametrize("tables", [(), ("17", "70", "Garden 7")])
def test_missing_table_is_reported_before_sending(tables: tuple[str, ...]) -> None:
    (error,) = at_table("7", tables)
    assert (type(error), error.reason, error.lines, error.subjects) == (
        MenuError,
        "table",
        (),
        ("Table 7",),
    )
    assert error.detail == "there is no table 7"
    assert error.remedy.manager.startswith("The POS doesn't list Table 7.")
    assert error.remedy.actor == "store"


def test_a_tax_that_is_switched_off_does_not_count() -> None:
    taxed = WHITE.model_copy(update={"tax_ids": ("gst", "wk")})
    off = SECOND_TAX.model_copy(update={"enabled": False})
    assert check(COFFEE, menu=menu_with(taxed, taxes=(GST, off))) == []


def test_all_faults_are_reported_menu_faults_first() -> None:
    taxed = WHITE.model_copy(
        update={"tax_ids": ("gst", "wk"), "groups": (GroupUse(group_id="milk", minimum=1),)},
    )
    sold_out = TOASTIE.model_copy(
        update={"variations": (Variation(id="blt", price=1500, sold_out=True),)}
    )
    menu = menu_with(taxed, sold_out, taxes=(GST, SECOND_TAX))
    found = check(COFFEE, BLT, GONE, menu=menu)
    assert [(type(e), e.reason, e.lines) for e in found] == [
        (MenuError, "gone", (2,)),
        (MenuError, "sold_out", (1,)),
        (MenuError, "choices", (0,)),
        (MenuError, "price", (1,)),
        (TaxError, "", (0,)),
    ]


def test_every_problem_reads_as_a_remedy_for_the_manager() -> None:
    error = sole(GONE)
    error.title = "Square"
    assert error.remedy.manager.startswith(
        "Square doesn't have Pumpkin soup (line 1) on its menu at this location."
    )


def test_id_of_another_product_is_refused_and_named() -> None:
    line = GONE.model_copy(update={"item_id": "fw-r", "sku": "SOUP"})
    error = sole(line)
    assert (error.reason, error.lines) == ("gone", (0,))
    assert "its id is now that of Flat white, regular" in error.detail
