"""A store's menu as its POS has it, at one site: what may be ordered there, at what price, with which taxes.

An adapter's `import_menu` builds a `Menu`; `rebinding`, `precheck` and `menu_changes` read it. Prices are minor units
of `Menu.currency`, and they are the site's own: an override for the location has been applied already.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated

from pydantic import Field

from tillpost.money import Currency, SignedAmount
from tillpost.words import Aware, Id, Text, Word

__all__ = [
    "GroupUse",
    "Item",
    "Menu",
    "ModifierGroup",
    "ModifierOption",
    "SetupFault",
    "Tax",
    "Variation",
    "display_name",
]


class Tax(Word):
    """A tax of the store. `rate` is a fraction: 0.1 is ten per cent."""

    id: Id
    name: Text
    rate: Decimal
    included: bool
    enabled: bool = True


class ModifierOption(Word):
    """One choice of a group. `exact_price` is the platform's own unrounded price in major units, where it has one."""

    id: Id
    sku: Text = ""
    name: Text
    price: SignedAmount | None = 0
    exact_price: Decimal | None = None
    sold_out: bool = False


class ModifierGroup(Word):
    """Choices that belong together: "Milk", "Extras". No `maximum` means no limit."""

    id: Id
    name: Text
    options: tuple[ModifierOption, ...] = ()
    minimum: Annotated[int, Field(ge=0)] = 0
    maximum: int | None = None


class GroupUse(Word):
    """A group as one item uses it, with the item's own limits."""

    group_id: Id
    minimum: Annotated[int, Field(ge=0)] = 0
    maximum: int | None = None


class Variation(Word):
    """What a line names: one size or kind of an item. A `price` of None is keyed in at the register.

    `exact_price` is the platform's own unrounded decimal, in major units, where it has one.
    """

    id: Id
    sku: Text = ""
    name: Text = ""
    price: SignedAmount | None
    exact_price: Decimal | None = None
    sold_out: bool = False


class Item(Word):
    """A thing on the menu, in one or more variations. `online` is the store's wish to sell it there."""

    id: Id
    name: Text
    categories: tuple[Text, ...] = ()
    variations: tuple[Variation, ...]
    groups: tuple[GroupUse, ...] = ()
    tax_ids: tuple[Id, ...] = ()
    online: bool = True


class SetupFault(Word):
    """Something in the POS's setup that will make orders fail, and that no import can mend."""

    subject: Text
    text: Text


class Menu(Word):
    """The whole menu of one site. `version` is the platform's own mark of it, where it has one."""

    site: Id
    currency: Currency
    imported_at: Aware
    version: str = ""
    items: tuple[Item, ...] = ()
    groups: tuple[ModifierGroup, ...] = ()
    taxes: tuple[Tax, ...] = ()
    faults: tuple[SetupFault, ...] = ()

    @cached_property
    def by_variation(self) -> Mapping[str, tuple[Item, Variation]]:
        """Each variation with its item, by the variation's id."""
        return {v.id: (item, v) for item in self.items for v in item.variations}

    @cached_property
    def group_by_id(self) -> Mapping[str, ModifierGroup]:
        """The modifier groups by id."""
        return {group.id: group for group in self.groups}

    @cached_property
    def tax_by_id(self) -> Mapping[str, Tax]:
        """The taxes by id."""
        return {tax.id: tax for tax in self.taxes}

    def options(self, item: Item) -> Mapping[str, ModifierOption]:
        """Every option that may be chosen on the item, by id."""
        used = (self.group_by_id.get(use.group_id) for use in item.groups)
        return {option.id: option for group in used if group for option in group.options}


def display_name(item: Item, variation: Variation) -> str:
    """What a customer reads on the menu: "BLT toastie", or "Flat white, regular" where there is a choice."""
    return f"{item.name}, {variation.name}" if variation.name and len(item.variations) > 1 else item.name
