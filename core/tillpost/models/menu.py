"""A store's menu as its POS has it, at one site.

It says what can be ordered, at what price and tax. An adapter's `import_menu` builds a `Menu`; the
modules of `tillpost.menus` compare, check and match it. Prices are minor units of `Menu.currency`,
and they are the site's own: any override of the location has been applied.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Generic, NamedTuple, TypeVar

from pydantic import Field

from tillpost.models.base import Aware, FrozenModel, Id, Text
from tillpost.models.money import Currency, Exact, SignedAmount
from tillpost.models.names import are_alike, comparable

__all__ = [
    "GroupUse",
    "Index",
    "IndexEntry",
    "Item",
    "Menu",
    "ModifierGroup",
    "ModifierOption",
    "SetupFault",
    "SoldItem",
    "Tax",
    "Variation",
    "display_name",
    "limits_in_words",
]

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
Thing = TypeVar("Thing", "Item", "ModifierGroup", "Tax")

FailFastTuple = Annotated[tuple[T, ...], Field(fail_fast=True)]
"""Members of a menu.

The first that doesn't fit ends the validation: there may be a million.
"""


class Tax(FrozenModel):
    """A tax of the store.

    Attributes:
        id: The platform's id of the tax.
        name: The name that the store gave it.
        rate: A fraction: 0.1 is ten per cent.
        included: Whether prices include it.
        enabled: Whether the store charges it now.
    """

    id: Id
    name: Text
    rate: Exact
    included: bool
    enabled: bool = True


class ModifierOption(FrozenModel):
    """One option of a modifier group.

    Attributes:
        id: The platform's id of the option.
        sku: The store's own code; empty for none.
        name: The name on the menu.
        price: What it adds to the line, in minor units; None when it is keyed in at the register.
        exact_price: The platform's own unrounded price in major units, where it has one.
        sold_out: Whether it was sold out when the menu was imported.
        sold_out_until: When it is available again; None if the POS doesn't say.
    """

    id: Id
    sku: Text = ""
    name: Text
    price: SignedAmount | None = 0
    exact_price: Exact | None = None
    sold_out: bool = False
    sold_out_until: Aware | None = None

    def is_sold_out(self, now: datetime) -> bool:
        """Return whether it is still sold out at a time after the import."""
        return _is_still(self.sold_out, self.sold_out_until, now)


class ModifierGroup(FrozenModel):
    """Options that belong together: "Milk", "Extras".

    Attributes:
        id: The platform's id of the group.
        name: The name on the menu.
        options: The options to choose from.
        minimum: How many options have to be chosen.
        maximum: How many options may be chosen; None is no limit.
        once: Whether no option may be chosen twice.
    """

    id: Id
    name: Text
    options: FailFastTuple[ModifierOption] = ()
    minimum: Annotated[int, Field(ge=0)] = 0
    maximum: int | None = None
    once: bool = False


class GroupUse(FrozenModel):
    """A modifier group as one item uses it, with the item's own limits.

    They are for the options on the item itself. A choice on one of these never exceeds `maximum`.

    Attributes:
        group_id: The id of the modifier group.
        minimum: How many options have to be chosen on this item.
        maximum: How many options may be chosen on this item; None is no limit.
        once: Whether no option may be chosen twice on this item.
    """

    group_id: Id
    minimum: Annotated[int, Field(ge=0)] = 0
    maximum: int | None = None
    once: bool = False


class Variation(FrozenModel):
    """What an order line names: one size or kind of an item.

    Attributes:
        id: The platform's id of the variation. An order's line names it.
        sku: The store's own code; empty for none.
        name: The name of the size or kind, such as "Large".
        price: In minor units; None when it is keyed in at the register.
        exact_price: The platform's own unrounded price in major units, where it has one.
        sold_out: Whether it was sold out when the menu was imported.
        sold_out_until: When it is available again; None if the POS doesn't say.
        maximum: How many of it one order may have; None is no limit.
    """

    id: Id
    sku: Text = ""
    name: Text = ""
    price: SignedAmount | None
    exact_price: Exact | None = None
    sold_out: bool = False
    sold_out_until: Aware | None = None
    maximum: Annotated[int, Field(ge=1)] | None = None

    def is_sold_out(self, now: datetime) -> bool:
        """Return whether it is still sold out at a time after the import."""
        return _is_still(self.sold_out, self.sold_out_until, now)


def _is_still(marked: bool, until: datetime | None, now: datetime) -> bool:
    return marked and (until is None or now < until)


class Item(FrozenModel):
    """An item of the menu, in one or more variations.

    Attributes:
        id: The platform's id of the item.
        name: The name on the menu.
        categories: The names of the categories that it is in.
        variations: The sizes or kinds in which it is sold.
        groups: The modifier groups that it uses.
        tax_ids: The ids of the taxes that apply to it.
        online: Whether the store wishes to sell it online.
    """

    id: Id
    name: Text
    categories: FailFastTuple[Text] = ()
    variations: FailFastTuple[Variation]
    groups: FailFastTuple[GroupUse] = ()
    tax_ids: FailFastTuple[Id] = ()
    online: bool = True


class SoldItem(NamedTuple):
    """A variation with its item: what an order line sells."""

    item: Item
    variation: Variation


class SetupFault(FrozenModel):
    """A fault in the POS's setup that makes orders fail.

    No menu import can mend it.

    Attributes:
        subject: What has the fault, such as an item's name.
        text: What is wrong with it, for people.
        left_out: Whether it isn't on the menu because of this.
        ids: The ids of what was left out, as far as they are known.
    """

    subject: Text
    text: Text
    left_out: bool = False
    ids: FailFastTuple[Id] = ()


class IndexEntry(NamedTuple, Generic[T]):
    """What identifies a thing of a menu, and the thing. `price` is in minor units.

    `short_name` is a name that the thing shares with others: the item's without its variation's.
    """

    id: str
    sku: str
    name: str
    price: int | None
    thing: T
    short_name: str = ""

    def is_another(self, sku: str, name: str) -> bool:
        """Return whether these describe another product.

        They do if neither SKU nor name are this one's. A SKU that is unknown on either side proves
        nothing.
        """
        if not (sku and self.sku) or sku == self.sku:
            return False
        own_names = (self.name, self.short_name or self.name)
        return not any(are_alike(name, own_name) for own_name in own_names)


class Index(Generic[T]):
    """Things of a menu, found by id, else by SKU, else by name and price.

    A SKU, or a name and price, that things with different ids share finds none of them, since
    nobody could say which is meant. Names are compared as `comparable` writes them; an exact name
    comes first. A thing is never falsy.
    """

    __slots__ = ("_by_name", "_by_sku", "_comparable", "_known", "by_id")

    def __init__(self, entries: Iterable[IndexEntry[T]]) -> None:
        known = list(entries)
        with_sku = [entry for entry in known if entry.sku]
        self._known = {entry.id: entry for entry in known}
        self.by_id: Mapping[str, T] = {entry.id: entry.thing for entry in known}
        by_sku = ((entry.sku, entry) for entry in with_sku)
        by_name = (((entry.name, entry.price), entry) for entry in known)
        self._by_sku = _unambiguous(by_sku)
        self._by_name = _unambiguous(by_name)
        self._comparable: Mapping[tuple[str, int | None], T] | None = None

    def find(self, id_: str, sku: str, name: str, price: int | None) -> T | None:
        """Return the thing that these identify, None when there is none."""
        found = self.by_id.get(id_)
        if found is None:
            found = self._search(sku, name, price)
        return found

    def match(self, id_: str, sku: str, name: str, price: int | None) -> T | None:
        """Return the thing that an order means by these, None when there is none.

        An id that came back on another product doesn't count.
        """
        entry = self._known.get(id_)
        if entry and not entry.is_another(sku, name):
            return entry.thing
        return self._search(sku, name, price)

    def _search(self, sku: str, name: str, price: int | None) -> T | None:
        found = self._by_sku.get(sku)
        if found is None:
            found = self._by_name.get((name, price))
        if found is None:
            found = self._by_comparable_name().get((comparable(name), price))
        return found

    def _by_comparable_name(self) -> Mapping[tuple[str, int | None], T]:
        """Return the things by comparable name and price; most orders never ask for it."""
        if self._comparable is None:
            by_name = (
                ((comparable(entry.name), entry.price), entry) for entry in self._known.values()
            )
            self._comparable = _unambiguous(by_name)
        return self._comparable


def _unambiguous(entries: Iterable[tuple[K, IndexEntry[T]]]) -> Mapping[K, T]:
    """Return things by key, without keys that things with different ids share."""
    ids: dict[K, set[str]] = {}
    found: dict[K, T] = {}
    for key, entry in entries:
        ids.setdefault(key, set()).add(entry.id)
        found[key] = entry.thing
    return {key: thing for key, thing in found.items() if len(ids[key]) == 1}


class Menu(FrozenModel):
    """The whole menu of one site.

    Attributes:
        site: The platform's id of the site or location.
        currency: The currency of all prices, as an ISO 4217 code.
        imported_at: When the menu was imported.
        version: The platform's own version of the menu, where it has one.
        items: The items that the store has.
        groups: The modifier groups that items use.
        taxes: The taxes that items name.
        tables: The tables that an order can be brought to, by the names that staff use. None where
            the platform doesn't list them; empty where nobody can dine in.
        faults: Faults in the POS's setup that the adapter found.
    """

    site: Id
    currency: Currency
    imported_at: Aware
    version: str = ""
    items: FailFastTuple[Item] = ()
    groups: FailFastTuple[ModifierGroup] = ()
    taxes: FailFastTuple[Tax] = ()
    tables: FailFastTuple[Text] | None = None
    faults: FailFastTuple[SetupFault] = ()

    def without_repetitions(self) -> Menu:
        """Return the menu with each thing once: what comes later under an id is newer.

        A list that is read page by page may repeat things, if it changes meanwhile. Returns the
        same object when nothing is repeated.
        """
        kept = {
            "items": _unique(self.items),
            "groups": _unique(self.groups),
            "taxes": _unique(self.taxes),
        }
        changed = {
            name: things for name, things in kept.items() if things is not getattr(self, name)
        }
        return self.model_copy(update=changed) if changed else self

    def completed_by(self, part: Menu) -> Menu:
        """Return the menu with all things of a part of it, which was read later."""
        joined = self.model_copy(
            update={
                "items": (*self.items, *part.items),
                "groups": (*self.groups, *part.groups),
                "taxes": (*self.taxes, *part.taxes),
                "faults": tuple(dict.fromkeys((*self.faults, *part.faults))),
            }
        )
        return joined.without_repetitions()

    def left_out(self, thing_id: str, name: str) -> SetupFault | None:
        """Return why an item or option was left out of the menu, None if it wasn't.

        Args:
            thing_id: The platform's id of it.
            name: Its name, by which one is known whose id can't be read.
        """
        for fault in self.faults:
            is_named = _plain(name) in map(_plain, fault.subject.split(", "))
            if fault.left_out and (thing_id in fault.ids or is_named):
                return fault
        return None

    @cached_property
    def by_variation(self) -> Mapping[str, SoldItem]:
        """Each variation with its item, by the variation's id."""
        return {sold.variation.id: sold for sold in self._sold_items()}

    @cached_property
    def group_by_id(self) -> Mapping[str, ModifierGroup]:
        """The modifier groups by id."""
        return {group.id: group for group in self.groups}

    @cached_property
    def tax_by_id(self) -> Mapping[str, Tax]:
        """The taxes by id."""
        return {tax.id: tax for tax in self.taxes}

    def has_table(self, name: str) -> bool:
        """Return whether an order can be brought to the table.

        Case and surrounding spaces don't count. True where the platform lists no tables.
        """
        if self.tables is None:
            return True
        known = map(_plain, self.tables)
        return _plain(name) in known

    @cached_property
    def sold(self) -> Index[SoldItem]:
        """Each variation with its item, by id, else SKU, else `display_name` and price."""
        entries: list[IndexEntry[SoldItem]] = []
        for sold in self._sold_items():
            variation = sold.variation
            name = display_name(sold.item, variation)
            entry = IndexEntry(
                variation.id,
                variation.sku,
                name,
                variation.price,
                sold,
                short_name=sold.item.name,
            )
            entries.append(entry)
        return Index(entries)

    def _sold_items(self) -> Iterator[SoldItem]:
        for item in self.items:
            for variation in item.variations:
                yield SoldItem(item, variation)

    @cached_property
    def _choices(self) -> dict[str, Index[ModifierOption]]:
        return {}

    def choices(self, item: Item) -> Index[ModifierOption]:
        """Return the options that may be chosen on the item.

        They are found by id, else SKU, else name and price. An item's index is made when it is
        first asked for: an order names a few of a menu's hundreds.
        """
        found = self._choices.get(item.id)
        if found is None:
            found = self._choices[item.id] = Index(self._option_entries(item))
        return found

    def _option_entries(self, item: Item) -> Iterator[IndexEntry[ModifierOption]]:
        for use in item.groups:
            group = self.group_by_id.get(use.group_id)
            if group is None:
                continue
            for option in group.options:
                yield IndexEntry(option.id, option.sku, option.name, option.price, option)

    def taxes_on(self, item: Item) -> tuple[Tax, ...]:
        """Return the taxes that apply to the item: known to the menu and enabled."""
        tax_ids = dict.fromkeys(item.tax_ids)
        taxes = [self.tax_by_id[tax_id] for tax_id in tax_ids if tax_id in self.tax_by_id]
        return tuple(tax for tax in taxes if tax.enabled)

    def options(self, item: Item) -> Mapping[str, ModifierOption]:
        """Return the options that may be chosen on the item, by id."""
        return self.choices(item).by_id


def _unique(things: tuple[Thing, ...]) -> tuple[Thing, ...]:
    by_id = {thing.id: thing for thing in things}
    return things if len(by_id) == len(things) else tuple(by_id.values())


def _plain(name: str) -> str:
    return name.strip().casefold()


def display_name(item: Item, variation: Variation) -> str:
    """Return what a customer reads on the menu.

    That is "BLT toastie", or "Flat white, regular" where the item has several variations.
    """
    if variation.name and len(item.variations) > 1:
        return f"{item.name}, {variation.name}"
    return item.name


def limits_in_words(minimum: int, maximum: int | None) -> str:
    """Return in words how many options are allowed.

    Such words are "exactly 1", "1 to 3", "at least 1", "any number".
    """
    if maximum is None:
        if not minimum:
            return "any number"
        return f"at least {minimum}"
    if minimum == maximum:
        return f"exactly {minimum}"
    return f"{minimum} to {maximum}"
