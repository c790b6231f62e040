"""A faulty setup is found at the import, each fault once, and a sound one is left in peace."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given

from cafe import BREAD, GST, MENU, MILK, TOASTIE, WHITE, menu_with
from strategies import menus
from tillpost.menus.lint import menu_finding, setup_faults
from tillpost.models.menu import GroupUse, Item, Menu, ModifierGroup, SetupFault, Tax, Variation


def tax(name: str, *, enabled: bool = True, included: bool = True) -> Tax:
    return Tax(id=name, name=name, rate=Decimal("0.1"), included=included, enabled=enabled)


def lines(menu: Menu) -> list[str]:
    return [f"{fault.subject}: {fault.text}" for fault in setup_faults(menu)]


def with_milk(
    minimum: int, maximum: int | None, sold_out: tuple[bool, bool] = (False, False)
) -> Menu:
    options = tuple(
        o.model_copy(update={"sold_out": s}) for o, s in zip(MILK.options, sold_out, strict=True)
    )
    use = GroupUse(group_id="milk", minimum=minimum, maximum=maximum)
    return menu_with(
        WHITE.model_copy(update={"groups": (use,)}),
        groups=(MILK.model_copy(update={"options": options}), BREAD),
    )


@given(menus())
def test_with_a_sound_menu_an_order_can_be_taken(menu: Menu) -> None:
    finding = menu_finding(menu)
    assert (finding.ok, finding.actor) == (True, None)
    assert finding.text == "The menu has something to order"


def test_fault_is_reported_while_something_can_be_ordered() -> None:
    white = WHITE.model_copy(update={"tax_ids": ("gst", "State tax")})
    taxes = (GST, tax("State tax", included=False))
    finding = menu_finding(menu_with(white, TOASTIE, taxes=taxes))
    assert finding.ok
    assert "State tax is added to prices that include GST, of Flat white" in finding.text


@pytest.mark.parametrize(
    "item",
    [
        TOASTIE.model_copy(update={"online": False}),
        TOASTIE.model_copy(update={"tax_ids": ("gst", "vat")}),
        TOASTIE.model_copy(
            update={"variations": (TOASTIE.variations[0].model_copy(update={"sold_out": True}),)}
        ),
    ],
)
def test_menu_with_nothing_to_order_needs_the_store(item: Item) -> None:
    finding = menu_finding(menu_with(item, taxes=(GST, tax("vat", included=False))))
    assert (finding.ok, finding.actor) == (False, "store")
    assert finding.text.startswith("Nothing on the menu can be ordered")


@given(menus())
def test_a_sound_menu_has_no_faults(menu: Menu) -> None:
    assert setup_faults(menu) == ()


def test_faults_found_by_adapter_come_first_once() -> None:
    known = SetupFault(subject="Set 5", text="mixes option sets with products as modifiers")
    unpriced = SetupFault(subject="BLT toastie", text="has no price in the POS")
    toastie = TOASTIE.model_copy(update={"variations": (Variation(id="blt", price=None),)})
    menu = menu_with(WHITE, toastie, faults=(known, unpriced))
    assert setup_faults(menu) == (known, unpriced)


def test_items_under_the_same_taxes_share_a_fault() -> None:
    both = ("gst", "State tax")
    taxes = (GST, tax("State tax", included=False))
    taxed = [i.model_copy(update={"tax_ids": both}) for i in (WHITE, TOASTIE)]
    assert lines(menu_with(*taxed, taxes=taxes)) == [
        "State tax: is added to prices that include GST, of every item; "
        "a surcharge belongs in a service charge"
    ]
    assert lines(menu_with(WHITE, taxed[1], taxes=taxes)) == [
        "State tax: is added to prices that include GST, of BLT toastie; "
        "a surcharge belongs in a service charge"
    ]


def test_many_items_are_counted_and_not_all_named() -> None:
    taxed = [
        TOASTIE.model_copy(update={"name": f"Item {i}", "tax_ids": ("gst", "GST 2")})
        for i in range(7)
    ]
    (line,) = lines(menu_with(WHITE, *taxed, taxes=(GST, tax("GST 2", included=False))))
    assert "of Item 0, Item 1, Item 2, Item 3, Item 4 and 2 more;" in line


@pytest.mark.parametrize("included", [True, False])
def test_two_taxes_that_are_included_alike_are_no_fault(included: bool) -> None:
    taxes = [tax(name, included=included) for name in ("GST 5", "PST 7")]
    items = [item.model_copy(update={"tax_ids": ("GST 5", "PST 7")}) for item in (WHITE, TOASTIE)]
    menu = menu_with(*items, taxes=tuple(taxes))
    assert lines(menu) == []
    assert menu_finding(menu).ok


@pytest.mark.parametrize(
    "name",
    [
        "Weekend surcharge", "Sunday", "Public Holidays", "Service charge", "Services", "Card fee",
        "Credit card processing fee", "Gratuity 18%", "Tip", "Delivery Fee", "SURCHARGE",
    ],
)  # fmt: skip
def test_tax_named_like_a_charge_is_fault(name: str) -> None:
    looks = "is set up as a tax, but looks like a surcharge; make it a service charge"
    assert lines(MENU.model_copy(update={"taxes": (GST, tax(name))})) == [f"{name}: {looks}"]
    assert lines(MENU.model_copy(update={"taxes": (GST, tax(name, enabled=False))})) == []


@pytest.mark.parametrize(
    "name",
    [
        "GST",
        "Goods and Services Tax",
        "Service tax",
        "VAT 20%",
        "Sales tax",
        "Multiple rates",
        "MwSt",
    ],
)
def test_a_tax_that_is_called_like_a_tax_is_none(name: str) -> None:
    assert lines(MENU.model_copy(update={"taxes": (GST, tax(name))})) == []


def test_untaxed_item_is_fault_among_taxed_ones() -> None:
    plain = Item(id="w", name="Water", variations=(Variation(id="w", price=300),))
    assert lines(menu_with(WHITE, TOASTIE, plain)) == [
        "Water: has no tax, where the other items have one"
    ]
    assert lines(menu_with(TOASTIE, plain)) == []
    assert lines(menu_with(plain)) == []


def test_variation_without_price_is_fault() -> None:
    sizes = (WHITE.variations[0], Variation(id="fw-l", name="large", price=None))
    assert lines(menu_with(WHITE.model_copy(update={"variations": sizes}))) == [
        "Flat white, large: has no price in the POS"
    ]


@pytest.mark.parametrize(
    ("menu", "text"),
    [
        (with_milk(1, 1), ""),
        (with_milk(2, None), ""),
        (with_milk(0, None, (True, True)), ""),
        (with_milk(1, None, (True, False)), ""),
        (with_milk(3, None), "asks for 3 of its options, but has 2"),
        (with_milk(2, 1), "asks for at least 2 of its options, but allows 1 at most"),
        (with_milk(1, 1, (True, True)), "asks for one of its options, but all are sold out"),
        (with_milk(2, 2, (True, False)), "asks for 2 of its options, but only 1 can be ordered"),
    ],
)
def test_impossible_choices_are_fault(menu: Menu, text: str) -> None:
    assert lines(menu) == ([f"Milk: {text} (used by Flat white)"] if text else [])


def test_a_group_that_the_menu_lacks_is_a_fault() -> None:
    uses = (GroupUse(group_id="lost"),)
    menu = menu_with(
        WHITE.model_copy(update={"groups": uses}), TOASTIE.model_copy(update={"groups": uses})
    )
    assert lines(menu) == [
        "Modifier group lost: isn't among the POS's modifier groups "
        "(used by Flat white, BLT toastie)"
    ]


def test_empty_group_is_fault_only_where_choice_is_required() -> None:
    empty = ModifierGroup(id="milk", name="Milk")
    free = WHITE.model_copy(update={"groups": (GroupUse(group_id="milk"),)})
    bound = WHITE.model_copy(update={"groups": (GroupUse(group_id="milk", minimum=1),)})
    assert lines(menu_with(free, groups=(empty,))) == []
    assert lines(menu_with(bound, groups=(empty,))) == [
        "Milk: asks for 1 of its options, but has 0 (used by Flat white)"
    ]
