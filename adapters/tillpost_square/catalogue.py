"""Square's catalogue as a menu: what one location sells, at its own prices, with its own limits and taxes.

The rules are those of the spec (CatalogObject, ItemVariationLocationOverrides,
CatalogItemModifierListInfo): an object is at a location by its presence fields, an override of the
location replaces price and availability, and a limit of -1 isn't set. What isn't at the location,
is archived, or isn't sellable isn't on the menu.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from tillpost.adapter import (
    FrozenModel,
    GroupUse,
    Id,
    Item,
    Menu,
    ModifierGroup,
    ModifierOption,
    Tax,
    Variation,
)
from tillpost_square import wire

__all__ = ["TYPES", "CatalogueChanges", "changes_of", "menu_of"]

TYPES = ("ITEM", "MODIFIER_LIST", "CATEGORY", "TAX")
"""The types of objects that a menu is made of."""


class CatalogueChanges(FrozenModel):
    """What of the catalogue changed since a time. `until` is when Square's catalogue changed last, as it says it."""

    changed: tuple[Id, ...] = ()
    deleted: tuple[Id, ...] = ()
    until: str = ""


class _Site(NamedTuple):
    """The location that the menu is for, and the time at which a sold-out mark may have lapsed."""

    id: str
    now: datetime


def menu_of(objects: Iterable[wire.CatalogObject], location: wire.Location, now: datetime) -> Menu:
    """Return the location's menu. `now` is when it was imported; its `version` is the latest change in it."""
    site = _Site(location.id, now)
    here = [o for o in objects if _present(o, site)]
    taxes = tuple(_tax(o) for o in here if o.tax_data)
    groups = {o.id: _group(o, o.modifier_list_data, site) for o in here if o.modifier_list_data}
    known = _Known(
        {o.id: o.category_data.name for o in here if o.category_data},
        groups,
        {tax.id for tax in taxes},
    )
    items = (
        _item(o, o.item_data, known, site)
        for o in here
        if o.item_data and not o.item_data.is_archived
    )
    return Menu(
        site=location.id,
        currency=location.currency,
        imported_at=now,
        version=max((o.updated_at for o in here), default=""),
        items=tuple(item for item in items if item.variations),
        groups=tuple(groups.values()),
        taxes=taxes,
    )


def changes_of(objects: Iterable[wire.CatalogObject], until: str) -> CatalogueChanges:
    """Return the ids of what changed and of what was deleted."""
    changed, deleted = list[str](), list[str]()
    for o in objects:
        (deleted if o.is_deleted else changed).append(o.id)
    return CatalogueChanges(changed=tuple(changed), deleted=tuple(deleted), until=until)


class _Known(NamedTuple):
    """What items refer to: the categories' names, the groups and the taxes of the location."""

    categories: Mapping[str, str]
    groups: Mapping[str, ModifierGroup]
    tax_ids: set[str]


def _present(o: wire.CatalogObject, site: _Site) -> bool:
    """Whether the object is at the location. Left out, `present_at_all_locations` counts as true, as in Square's UI.

    unconfirmed: that default; an object created without the field and read back from a sandbox
    would tell.
    """
    if o.is_deleted:
        return False
    everywhere = o.present_at_all_locations is not False and site.id not in o.absent_at_location_ids
    return everywhere or site.id in o.present_at_location_ids


def _tax(o: wire.CatalogObject) -> Tax:
    assert o.tax_data
    return Tax(
        id=o.id,
        name=o.tax_data.name,
        rate=(o.tax_data.percentage or Decimal(0)) / 100,
        included=o.tax_data.inclusion_type == "INCLUSIVE",
        enabled=o.tax_data.enabled is not False,
    )


def _group(o: wire.CatalogObject, data: wire.ModifierList, site: _Site) -> ModifierGroup:
    minimum, maximum = _own_limits(data)
    offered = (
        option for option in data.modifiers if option.modifier_data and _present(option, site)
    )
    ordered = sorted(
        offered, key=lambda option: (option.modifier_data and option.modifier_data.ordinal) or 0
    )
    options = tuple(_option(option, site) for option in ordered)
    once = data.allow_quantities is False
    return ModifierGroup(
        id=o.id, name=data.name, options=options, minimum=minimum, maximum=maximum, once=once
    )


def _option(o: wire.CatalogObject, site: _Site) -> ModifierOption:
    assert o.modifier_data
    override = _override(o.modifier_data.location_overrides, site)
    price = (override and override.price_money) or o.modifier_data.price_money
    return ModifierOption(
        id=o.id,
        name=o.modifier_data.name,
        price=price.amount
        if price
        else 0,  # the spec: a modifier without a price is free of charge
        sold_out=_sold_out(override, site),
    )


def _own_limits(data: wire.ModifierList) -> tuple[int, int | None]:
    """How few and how many options of a list must be chosen. No maximum is None.

    A list of texts has no options, so a required one can't be satisfied; its minimum of 1 lets that
    be seen. unconfirmed: that CreateOrder has no place for such a text; a sandbox order for an item
    with one would tell.
    """
    if data.modifier_type == "TEXT":
        return int(bool(data.text_required)), None
    unset = data.max_selected_modifiers in (None, -1)
    if data.selection_type == "SINGLE" and unset:
        return _minimum(
            data.min_selected_modifiers
        ), 1  # how lists were limited before they had figures
    return _minimum(data.min_selected_modifiers), _maximum(data.max_selected_modifiers)


def _minimum(value: int | None) -> int:
    return max(value or 0, 0)


def _maximum(value: int | None) -> int | None:
    """0 means no limit, and anything below that too."""
    return value if value and value > 0 else None


def _use(info: wire.ModifierListInfo, group: ModifierGroup) -> GroupUse:
    """The item's own limits; the list's hold where the item sets neither."""
    unset, once = {None, -1}, {"YES": False, "NO": True}.get(info.allow_quantities, group.once)
    if info.min_selected_modifiers in unset and info.max_selected_modifiers in unset:
        return GroupUse(group_id=group.id, minimum=group.minimum, maximum=group.maximum, once=once)
    minimum, maximum = _minimum(info.min_selected_modifiers), _maximum(info.max_selected_modifiers)
    return GroupUse(group_id=group.id, minimum=minimum, maximum=maximum, once=once)


def _item(o: wire.CatalogObject, data: wire.Item, known: _Known, site: _Site) -> Item:
    category_ids = [category.id for category in data.categories] or [data.category_id]
    used = [info for info in data.modifier_list_info if info.enabled is not False]
    used.sort(key=lambda info: info.ordinal or 0)
    variations = [v for v in data.variations if v.item_variation_data and _present(v, site)]
    variations.sort(key=lambda v: (v.item_variation_data and v.item_variation_data.ordinal) or 0)
    return Item(
        id=o.id,
        name=data.name,
        categories=tuple(known.categories[i] for i in category_ids if i in known.categories),
        variations=tuple(
            _variation(v.id, v.item_variation_data, site)
            for v in variations
            if v.item_variation_data and v.item_variation_data.sellable is not False
        ),
        groups=tuple(
            _use(info, known.groups[info.modifier_list_id])
            for info in used
            if info.modifier_list_id in known.groups
        ),
        tax_ids=()
        if data.is_taxable is False
        else tuple(i for i in data.tax_ids if i in known.tax_ids),
        online=not data.hidden_online,
    )


def _variation(variation_id: str, data: wire.Variation, site: _Site) -> Variation:
    override = _override(data.location_overrides, site)
    return Variation(
        id=variation_id,
        sku=data.sku,
        name=data.name,
        price=_price(data, override),
        sold_out=_sold_out(override, site),
    )


def _price(data: wire.Variation, override: wire.Override | None) -> int | None:
    """The location's price; None where it is keyed in at the register."""
    pricing = (override and override.pricing_type) or data.pricing_type
    price = (override and override.price_money) or data.price_money
    return None if pricing == "VARIABLE_PRICING" or price is None else price.amount


def _override(overrides: Iterable[wire.Override], site: _Site) -> wire.Override | None:
    return next((override for override in overrides if override.location_id == site.id), None)


def _sold_out(override: wire.Override | None, site: _Site) -> bool:
    """Sold out here, and not only until a time that has passed."""
    if override is None or not override.sold_out:
        return False
    until = override.sold_out_valid_until
    return until is None or _aware(until, site) > site.now


def _aware(moment: datetime, site: _Site) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=site.now.tzinfo)
