"""The catalogue: items and their variations, modifier lists, taxes and categories.

Each change raises the version of the changed objects, as Square does, so that a search by time
finds them. A deleted object is kept and marked, since a search may include those too. Prices are in
the currency's minor unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

from tillpost_simulators.square.clock import Clock, written


@dataclass
class Entry:
    """What all catalogue objects have (spec: CatalogObject).

    They have an id, a version, and the locations where they are present. `place` is an object's
    number in the catalogue, in whose order objects are listed.
    """

    type: ClassVar[str] = ""

    id: str
    place: int = 0
    version: int = 0
    updated_at: str = ""
    is_deleted: bool = False
    present_at_all_locations: bool = True
    present_at: set[str] = field(default_factory=set[str])
    absent_at: set[str] = field(default_factory=set[str])

    def is_at(self, location_id: str) -> bool:
        """Return whether the object is at a location.

        It is everywhere with exceptions, or nowhere with exceptions.
        """
        if self.is_deleted:
            return False
        if self.present_at_all_locations:
            return location_id not in self.absent_at
        return location_id in self.present_at


@dataclass
class Override:
    """What differs at one location. A `price` of None is the usual one."""

    price: int | None = None
    sold_out: bool = False
    sold_out_until: str | None = None


@dataclass
class ModifierLimits:
    """A modifier list as an item offers it (spec: CatalogItemModifierListInfo).

    When both limits are -1, the list's own count.
    """

    modifier_list_id: str
    minimum: int = -1
    maximum: int = -1
    enabled: bool = True


@dataclass
class Category(Entry):
    """A category."""

    type: ClassVar[str] = "CATEGORY"
    name: str = ""


@dataclass
class Tax(Entry):
    """A tax. `percentage` is a decimal in a string: "10" is ten per cent."""

    type: ClassVar[str] = "TAX"
    name: str = ""
    percentage: str = "0"
    inclusive: bool = True
    enabled: bool = True
    on_custom_amounts: bool = True

    @property
    def wire_type(self) -> Literal["INCLUSIVE", "ADDITIVE"]:
        """Its type as an order has it."""
        return "INCLUSIVE" if self.inclusive else "ADDITIVE"


@dataclass
class Modifier(Entry):
    """A modifier. Square gives modifiers no SKU."""

    type: ClassVar[str] = "MODIFIER"
    name: str = ""
    price: int = 0
    modifier_list_id: str = ""
    ordinal: int = 0
    on_by_default: bool = False
    hidden_online: bool = False
    overrides: dict[str, Override] = field(default_factory=dict[str, Override])

    def price_at(self, location_id: str) -> int:
        """Return the price at a location."""
        override = self.overrides.get(location_id)
        if override is None or override.price is None:
            return self.price
        return override.price


@dataclass
class ModifierList(Entry):
    """A modifier list with its limits: 0 or -1 is no limit."""

    type: ClassVar[str] = "MODIFIER_LIST"
    name: str = ""
    modifier_ids: list[str] = field(default_factory=list[str])
    minimum: int = 0
    maximum: int = 0
    allow_quantities: bool = False


@dataclass
class Variation(Entry):
    """A variation of an item, which a line of an order names.

    A `price` of None is entered at the time of sale.
    """

    type: ClassVar[str] = "ITEM_VARIATION"
    item_id: str = ""
    name: str = ""
    sku: str = ""
    price: int | None = 0
    sellable: bool = True
    ordinal: int = 0
    overrides: dict[str, Override] = field(default_factory=dict[str, Override])

    def price_at(self, location_id: str) -> int | None:
        """Return the price at a location, or None when it is entered at the time of sale."""
        override = self.overrides.get(location_id)
        if override is None or override.price is None:
            return self.price
        return override.price


@dataclass
class Item(Entry):
    """An item with its variations.

    Its taxes, categories and modifier lists are those of them all.
    """

    type: ClassVar[str] = "ITEM"
    name: str = ""
    description: str = ""
    variation_ids: list[str] = field(default_factory=list[str])
    tax_ids: list[str] = field(default_factory=list[str])
    category_ids: list[str] = field(default_factory=list[str])
    modifier_limits: list[ModifierLimits] = field(default_factory=list[ModifierLimits])
    is_taxable: bool = True
    is_archived: bool = False

    def drop_reference(self, object_id: str) -> bool:
        """Remove a tax or a modifier list from the item, and return whether it had it."""
        tax_ids = [tax_id for tax_id in self.tax_ids if tax_id != object_id]
        limits = [each for each in self.modifier_limits if each.modifier_list_id != object_id]
        had_tax = len(tax_ids) != len(self.tax_ids)
        had_list = len(limits) != len(self.modifier_limits)
        self.tax_ids = tax_ids
        self.modifier_limits = limits
        return had_tax or had_list


E = TypeVar("E", bound=Entry)


class Catalogue:
    """All objects by id, also deleted ones.

    `oddities` are changes to the JSON with which objects are answered, by their ids.
    """

    def __init__(self, currency: str, clock: Clock) -> None:
        self.currency = currency
        self.objects: dict[str, Entry] = {}
        self.oddities: dict[str, dict[str, object]] = {}
        self._clock = clock
        self.latest_time = written(clock.tick())

    def add(self, entry: E) -> E:
        """Add an object, whose id must be new, and give it a version."""
        if entry.id in self.objects:
            raise ValueError(f"there is an object {entry.id!r} already")
        entry.place = len(self.objects)
        self.objects[entry.id] = entry
        self.touch(entry)
        return entry

    def touch(self, *entries: Entry) -> None:
        """Record that objects have changed.

        They and the objects that contain them get one new version and time.
        """
        now = self._clock.tick()
        version = int(now.timestamp() * 1000)
        self.latest_time = written(now)
        for entry in entries:
            parent = self._parent_of(entry)
            for changed in (entry, parent) if parent else (entry,):
                changed.version = version
                changed.updated_at = self.latest_time

    def delete(self, entry: Entry) -> None:
        """Mark an object as deleted, and remove it from what refers to it.

        An item's variations are deleted with it.
        """
        entry.is_deleted = True
        if isinstance(entry, Item):
            for variation in self.variations_of(entry):
                variation.is_deleted = True
                self.touch(variation)
        for item in self.of(Item):
            if item.drop_reference(entry.id):
                self.touch(item)
        self.touch(entry)

    def find(self, kind: type[E], object_id: str) -> E | None:
        """Return the object of this kind with this id.

        Return None if there is none, or if it is deleted.
        """
        entry = self.objects.get(object_id)
        return entry if isinstance(entry, kind) and not entry.is_deleted else None

    def get(self, kind: type[E], object_id: str) -> E:
        """Return the object of this kind with this id.

        It is for people who change the catalogue, not for requests.

        Raises:
            LookupError: There is none.
        """
        entry = self.find(kind, object_id)
        if entry is None:
            raise LookupError(f"no {kind.__name__.lower()} {object_id!r} in the catalogue")
        return entry

    def of(self, kind: type[E]) -> Iterator[E]:
        """Yield the objects of a kind that aren't deleted, oldest first."""
        return (
            entry
            for entry in self.objects.values()
            if isinstance(entry, kind) and not entry.is_deleted
        )

    def variations_of(self, item: Item) -> list[Variation]:
        """Return an item's variations, in their order."""
        found = (self.find(Variation, variation_id) for variation_id in item.variation_ids)
        return [variation for variation in found if variation is not None]

    def modifiers_of(self, modifier_list: ModifierList) -> list[Modifier]:
        """Return a list's modifiers, in their order."""
        found = (self.find(Modifier, modifier_id) for modifier_id in modifier_list.modifier_ids)
        return [modifier for modifier in found if modifier is not None]

    def _parent_of(self, entry: Entry) -> Entry | None:
        """Return the object that contains this one, and is read with it."""
        if isinstance(entry, Variation):
            return self.objects.get(entry.item_id)
        if isinstance(entry, Modifier):
            return self.objects.get(entry.modifier_list_id)
        return None
