"""A store's menu as its POS has it, at one site: what may be ordered there, at what price, with which taxes.

An adapter's `import_menu` builds a `Menu`; `rebinding`, `precheck` and `menu_changes` read it.
Prices are minor units of `Menu.currency`, and they are the site's own: an override for the location
has been applied already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from tillpost.models.base import Aware, FrozenModel, Id, Text
from tillpost.models.money import Currency, SignedAmount

__all__ = [
    "GroupUse",
    "Index",
    "Item",
    "Menu",
    "ModifierGroup",
    "ModifierOption",
    "SetupFault",
    "Tax",
    "Variation",
    "display_name",
    "limits_in_words",
]

T = TypeVar("T")


class Tax(FrozenModel):
    """A tax of the store. `rate` is a fraction: 0.1 is ten per cent."""

    id: Id
    name: Text
    rate: Decimal
    included: bool
    enabled: bool = True


class ModifierOption(FrozenModel):
    """One choice of a group. `exact_price` is the platform's own unrounded price in major units, where it has one."""

    id: Id
    sku: Text = ""
    name: Text
    price: SignedAmount | None = 0
    exact_price: Decimal | None = None
    sold_out: bool = False


class ModifierGroup(FrozenModel):
    """Choices that belong together: "Milk", "Extras". No `maximum` means no limit; `once`, none of them twice."""

    id: Id
    name: Text
    options: tuple[ModifierOption, ...] = ()
    minimum: Annotated[int, Field(ge=0)] = 0
    maximum: int | None = None
    once: bool = False


class GroupUse(FrozenModel):
    """A group as one item uses it, with the item's own limits."""

    group_id: Id
    minimum: Annotated[int, Field(ge=0)] = 0
    maximum: int | None = None
    once: bool = False


class Variation(FrozenModel):
    """What a line names: one size or kind of an item. A `price` of None is keyed in at the register.

    `exact_price` is the platform's own unrounded decimal, in major units, where it has one.
    `maximum` is how many one order may have of it; None is no limit.
    """

    id: Id
    sku: Text = ""
    name: Text = ""
    price: SignedAmount | None
    exact_price: Decimal | None = None
    sold_out: bool = False
    maximum: Annotated[int, Field(ge=1)] | None = None


class Item(FrozenModel):
    """A thing on the menu, in one or more variations. `online` is the store's wish to sell it there."""

    id: Id
    name: Text
    categories: tuple[Text, ...] = ()
    variations: tuple[Variation, ...]
    groups: tuple[GroupUse, ...] = ()
    tax_ids: tuple[Id, ...] = ()
    online: bool = True


class SetupFault(FrozenModel):
    """Something in the POS's setup that will make orders fail, and that no import can mend."""

    subject: Text
    text: Text


class Index(Generic[T]):
    """Things of a menu, found by id, else by SKU, else by exact name and price.

    A SKU, or a name and price, that several things share finds none of them: nobody could say which
    is meant. `entries` are (id, SKU, name, price in minor units, thing); a thing is never falsy.
    """

    __slots__ = ("_by_name", "_by_sku", "by_id")

    def __init__(self, entries: Iterable[tuple[str, str, str, int | None, T]]) -> None:
        known = list(entries)
        self.by_id: Mapping[str, T] = {id_: thing for id_, _, _, _, thing in known}
        self._by_sku = _unique((sku, id_, thing) for id_, sku, _, _, thing in known if sku)
        self._by_name = _unique(((name, price), id_, thing) for id_, _, name, price, thing in known)

    def find(self, id_: str, sku: str, name: str, price: int | None) -> T | None:
        """Return the thing that goes by these, None when none does."""
        return self.by_id.get(id_) or self._by_sku.get(sku) or self._by_name.get((name, price))


K = TypeVar("K")


def _unique(entries: Iterable[tuple[K, str, T]]) -> Mapping[K, T]:
    """Return the things by key, without the keys under which there are things with different ids."""
    ids: dict[K, set[str]] = {}
    found: dict[K, T] = {}
    for key, id_, thing in entries:
        ids.setdefault(key, set()).add(id_)
        found[key] = thing
    return {key: thing for key, thing in found.items() if len(ids[key]) == 1}


class Menu(FrozenModel):
    """The whole menu of one site. `version` is the platform's own mark of it, where it has one.

    `tables` are those that an order can be brought to, by the names that staff know them by; None
    where the platform doesn't tell. No table at all, and nobody can dine in.
    """

    site: Id
    currency: Currency
    imported_at: Aware
    version: str = ""
    items: tuple[Item, ...] = ()
    groups: tuple[ModifierGroup, ...] = ()
    taxes: tuple[Tax, ...] = ()
    tables: tuple[Text, ...] | None = None
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

    def has_table(self, name: str) -> bool:
        """Whether an order can be brought to the table; capitals and spaces around don't count."""
        return self.tables is None or _plain(name) in map(_plain, self.tables)

    @cached_property
    def sold(self) -> Index[tuple[Item, Variation]]:
        """Every variation with its item, by its id, else its SKU, else its `display_name` and price."""
        return Index(
            (v.id, v.sku, display_name(item, v), v.price, (item, v))
            for item in self.items
            for v in item.variations
        )

    @cached_property
    def _choices(self) -> dict[str, Index[ModifierOption]]:
        return {}

    def choices(self, item: Item) -> Index[ModifierOption]:
        """Every option that may be chosen on the item, by its id, else its SKU, else its name and price."""
        found = self._choices.get(item.id)
        if found is None:
            # Made when an item is asked for: an order names a few of a menu's hundreds.
            used = (self.group_by_id.get(use.group_id) for use in item.groups)
            options = (option for group in used if group for option in group.options)
            found = self._choices[item.id] = Index(
                (o.id, o.sku, o.name, o.price, o) for o in options
            )
        return found

    def taxes_on(self, item: Item) -> tuple[Tax, ...]:
        """The taxes that apply to the item: known to the menu and enabled."""
        known = (self.tax_by_id.get(id_) for id_ in dict.fromkeys(item.tax_ids))
        return tuple(tax for tax in known if tax and tax.enabled)

    def options(self, item: Item) -> Mapping[str, ModifierOption]:
        """Every option that may be chosen on the item, by id."""
        return self.choices(item).by_id


def _plain(name: str) -> str:
    return name.strip().casefold()


def display_name(item: Item, variation: Variation) -> str:
    """What a customer reads on the menu: "BLT toastie", or "Flat white, regular" where there is a choice."""
    return (
        f"{item.name}, {variation.name}"
        if variation.name and len(item.variations) > 1
        else item.name
    )


def limits_in_words(minimum: int, maximum: int | None) -> str:
    """How many choices are allowed: "exactly 1", "1 to 3", "at least 1", "any number"."""
    if maximum is None:
        return f"at least {minimum}" if minimum else "any number"
    return f"exactly {minimum}" if minimum == maximum else f"{minimum} to {maximum}"
