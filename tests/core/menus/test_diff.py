"""Two imports are compared thing by thing; an id that changed isn't a removal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from cafe import BREAD, GST, MENU, MILK, OAT, SOY, TOASTIE, WHITE, menu_with
from strategies import menus, renumbered
from tillpost.menus.diff import MenuChanges, compare
from tillpost.models.menu import GroupUse, Menu, Variation

BLT = TOASTIE.variations[0]


def toastie(**changes: object) -> Menu:
    """The café's menu with another variation for the toastie."""
    return menu_with(
        WHITE, TOASTIE.model_copy(update={"variations": (BLT.model_copy(update=changes),)})
    )


def toastie_item(**changes: object) -> Menu:
    """The café's menu with the toastie itself changed."""
    return menu_with(WHITE, TOASTIE.model_copy(update=changes))


@given(menus())
def test_a_menu_does_not_differ_from_itself(menu: Menu) -> None:
    changes = compare(menu, menu)
    assert not changes
    assert changes.in_words() == ()
    assert changes.removed_share == 0


def test_renamed_group_shows_in_items_that_are_as_before() -> None:
    renamed = MENU.model_copy(update={"groups": (MILK.model_copy(update={"name": "Dairy"}), BREAD)})
    limits = compare(MENU, renamed).limits
    assert {change.id for change in limits} == {each.id for each in WHITE.variations}
    assert all("Dairy" in change.after for change in limits)


@given(menus())
def test_a_renumbered_menu_has_lost_nothing(menu: Menu) -> None:
    changes = compare(menu, renumbered(menu))
    assert changes
    assert changes.removed == changes.added == ()
    assert changes.removed_share == 0
    assert {c.after for c in changes.renumbered} >= {f"new-{id_}" for id_ in menu.by_variation}
    assert not compare(renumbered(menu), menu).removed


@given(menus())
def test_what_an_emptied_menu_had_is_all_gone(menu: Menu) -> None:
    empty = menu.model_copy(
        update={"items": (), "groups": (), "taxes": (), "tables": menu.tables and ()}
    )
    changes = compare(menu, empty)
    assert changes.removed_share == 1
    assert len(changes.in_words()) == len(changes.removed)
    assert compare(empty, menu).added == compare(None, menu).added
    assert compare(empty, menu).removed_share == 0


def test_change_shows_in_variation_that_two_items_have() -> None:
    """A variation counts for the last item that has it, changed or not."""
    twin = TOASTIE.model_copy(update={"id": "twin", "name": "Twin"})
    renamed = twin.model_copy(update={"name": "Double"})
    changes = compare(menu_with(TOASTIE, twin), menu_with(TOASTIE, renamed))
    assert [change.after for change in changes.renamed] == ["Double"]


def test_table_changes_are_described_in_words() -> None:
    old, new = (
        MENU.model_copy(update={"tables": tables}) for tables in (("7", "8"), ("8", "Garden"))
    )
    assert compare(old, new).in_words() == ("Gone: Table 7", "New: Table Garden")


@pytest.mark.parametrize("tables", [((), None), (None, ("7",)), (("7",), None)])
def test_tables_listed_by_one_import_only_are_no_change(
    tables: tuple[tuple[str, ...] | None, tuple[str, ...] | None],
) -> None:
    old, new = (MENU.model_copy(update={"tables": names}) for names in tables)
    assert not compare(old, new)


def test_once_limit_is_described_in_words() -> None:
    white = WHITE.model_copy(update={"groups": (GroupUse(group_id="milk", maximum=1, once=True),)})
    sentences = compare(MENU, menu_with(white, TOASTIE)).in_words()
    assert (
        sentences[0]
        == "Flat white, regular takes 0 to 1 of Milk, none of them twice, before 0 to 1 of Milk"
    )


def test_limit_on_an_order_is_described_in_words() -> None:
    assert compare(MENU, toastie(maximum=5)).in_words() == (
        "BLT toastie takes at most 5 in an order, before no choices",
    )


@given(menus())
def test_changes_survive_the_way_to_json_and_back(menu: Menu) -> None:
    changes = compare(None, menu)
    assert MenuChanges.model_validate_json(changes.model_dump_json()) == changes


def test_first_import_is_described_in_one_line() -> None:
    changes = compare(None, MENU)
    assert changes
    assert changes.first
    assert changes.in_words() == ("First import: 9 items, options, groups, taxes and tables",)


@pytest.mark.parametrize(
    ("new", "line"),
    [
        (menu_with(WHITE), "Gone: BLT toastie 14.50 AUD"),
        (toastie(price=1500), "BLT toastie costs 15.00 AUD, before 14.50 AUD"),
        (
            toastie(price=None),
            "BLT toastie costs a price keyed in at the register, before 14.50 AUD",
        ),
        (
            toastie(exact_price=Decimal("13.1818")),
            "BLT toastie costs 14.50 AUD (13.1818 in the POS), before 14.50 AUD",
        ),
        (toastie(sold_out=True), "BLT toastie is sold out"),
        (toastie(sku="BLT"), "BLT toastie has the SKU BLT, before none"),
        (toastie(id="b2"), "BLT toastie has the id b2, before blt"),
        (toastie_item(name="BLT"), "BLT toastie is now called BLT"),
        (toastie_item(online=False), "BLT toastie is no longer sold online"),
        (toastie_item(categories=("Hot",)), "BLT toastie is now under Hot, before no category"),
        (
            toastie_item(
                groups=(GroupUse(group_id="bread", minimum=1, maximum=1), GroupUse(group_id="lost"))
            ),
            "BLT toastie takes exactly 1 of Bread, any number of lost, before no choices",
        ),
        (toastie_item(tax_ids=()), "BLT toastie: tax none, before GST"),
        (toastie_item(tax_ids=("lost",)), "BLT toastie: tax lost, before GST"),
    ],
)
def test_a_change_of_an_item_is_a_line_that_people_can_read(new: Menu, line: str) -> None:
    assert compare(MENU, new).in_words() == (line,)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {"groups": (MILK.model_copy(update={"options": (OAT,)}), BREAD)},
            ("Gone: Soy milk (Milk) 0.80 AUD",),
        ),
        (
            {
                "groups": (
                    MILK.model_copy(
                        update={"options": (OAT.model_copy(update={"price": 100}), SOY)}
                    ),
                    BREAD,
                )
            },
            ("Oat milk (Milk) costs 1.00 AUD, before 0.80 AUD",),
        ),
        (
            {
                "groups": (
                    MILK.model_copy(
                        update={"options": (OAT.model_copy(update={"sold_out": True}), SOY)}
                    ),
                    BREAD,
                )
            },
            ("Oat milk (Milk) is sold out",),
        ),
        (
            {
                "groups": (
                    MILK.model_copy(update={"options": (OAT.model_copy(update={"id": "o2"}), SOY)}),
                    BREAD,
                )
            },
            ("Oat milk (Milk) has the id milk/o2, before milk/oat",),
        ),
        (
            {"groups": (MILK.model_copy(update={"maximum": 2}), BREAD)},
            ("Milk takes 0 to 2, before any number",),
        ),
        ({"groups": (MILK,)}, ("Gone: Bread", "Gone: Rye (Bread) 0.50 AUD")),
        (
            {"taxes": (GST.model_copy(update={"rate": Decimal("0.125")}),)},
            ("GST: tax 12.5 % included, before 10 % included",),
        ),
        (
            {"taxes": (GST.model_copy(update={"included": False}),)},
            ("GST: tax 10 % on top, before 10 % included",),
        ),
        (
            {"taxes": (GST.model_copy(update={"enabled": False}),)},
            ("GST: tax switched off, before 10 % included",),
        ),
    ],
)
def test_options_groups_and_taxes_are_compared_likewise(
    changes: dict[str, Any], lines: tuple[str, ...]
) -> None:
    assert sorted(compare(MENU, MENU.model_copy(update=changes)).in_words()) == sorted(lines)


@pytest.mark.parametrize(
    ("old", "line"),
    [
        (toastie(sold_out=True), "BLT toastie is available again"),
        (toastie_item(online=False), "BLT toastie is sold online again"),
        (menu_with(WHITE), "New: BLT toastie 14.50 AUD"),
    ],
)
def test_what_is_sold_again_is_listed_too(old: Menu, line: str) -> None:
    assert compare(old, MENU).in_words() == (line,)


def test_the_share_that_vanishes_is_counted_in_variations() -> None:
    assert compare(MENU, menu_with(WHITE)).removed_share == pytest.approx(1 / 3)
    assert compare(MENU, menu_with(TOASTIE, groups=())).removed_share == pytest.approx(2 / 3)


def test_one_of_two_that_were_alike_is_really_gone() -> None:
    twin = TOASTIE.model_copy(
        update={"id": "t2", "variations": (BLT.model_copy(update={"id": "twin"}),)}
    )
    changes = compare(menu_with(TOASTIE, twin), menu_with(TOASTIE))
    assert [c.id for c in changes.removed] == ["twin"]
    assert changes.removed_share == 0.5


def test_an_item_under_a_new_id_and_another_price_is_a_new_one() -> None:
    changes = compare(MENU, toastie(id="b2", price=1500))
    assert changes.in_words() == ("Gone: BLT toastie 14.50 AUD", "New: BLT toastie 15.00 AUD")


def test_renumbered_item_with_same_sku_may_differ_otherwise() -> None:
    labelled = Variation(id="blt", sku="BLT", price=1450)
    old = menu_with(WHITE, TOASTIE.model_copy(update={"variations": (labelled,)}))
    moved = labelled.model_copy(update={"id": "b2", "price": 1500})
    changes = compare(old, menu_with(WHITE, TOASTIE.model_copy(update={"variations": (moved,)})))
    assert changes.removed_share == 0
    assert changes.in_words() == (
        "BLT toastie has the id b2, before blt",
        "BLT toastie costs 15.00 AUD, before 14.50 AUD",
    )
