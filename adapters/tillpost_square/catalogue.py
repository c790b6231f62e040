"""Square's catalogue as a menu.

The menu is what one location sells, with its own prices, limits and taxes.

The rules are those of the spec (CatalogObject, ItemVariationLocationOverrides,
CatalogItemModifierListInfo). An object is at a location by its presence fields. An override of the
location replaces price and availability. A limit of -1 isn't set. What isn't at the location, is
archived, or can't be sold, is left out of the menu.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import NamedTuple

from tillpost.adapter import (
    FrozenModel,
    GroupUse,
    Id,
    Item,
    Menu,
    ModifierGroup,
    ModifierOption,
    SetupFault,
    Tax,
    Variation,
)
from tillpost_square import wire

__all__ = ["TYPES", "CatalogueChanges", "changes_of", "menu_of"]

TYPES = ("ITEM", "MODIFIER_LIST", "CATEGORY", "TAX")
"""The types of objects that a menu is made of."""

MOST_SHARED_USES = 64
"""So many ways of using groups are remembered.

An answer may have 50,000 whose hashes are equal, and each would be compared with all before it.
"""

_UNSET_LIMITS = (None, -1)

_ONCE_BY_ITEM = {"YES": False, "NO": True}
"""Whether an item allows each option only once, by its `allow_quantities`."""


class CatalogueChanges(FrozenModel):
    """The changes to the catalogue since some time.

    Attributes:
        changed: The ids of what was changed or created.
        deleted: The ids of what was deleted.
        until: When the catalogue changed last, as Square writes it.
    """

    changed: tuple[Id, ...] = ()
    deleted: tuple[Id, ...] = ()
    until: str = ""


class _Site(NamedTuple):
    """The location that the menu is for.

    Also the time by which a sold-out mark may have expired.
    """

    id: str
    now: datetime


class _Known(NamedTuple):
    """What items refer to.

    That is the names of categories, the groups, and the taxes of the location. `uses_of` returns
    how an item uses groups; items that use the same groups alike share each `GroupUse`.
    """

    categories: Mapping[str, str]
    uses_of: Callable[[tuple[wire.ModifierListInfo, ...]], tuple[GroupUse, ...]]
    tax_ids: set[str]


def menu_of(
    objects: Iterable[wire.CatalogObject],
    location: wire.Location,
    now: datetime,
    faults: Sequence[SetupFault] = (),
    *,
    taxes_apply: bool = True,
) -> Menu:
    """Return the location's menu.

    Args:
        objects: The whole catalogue.
        location: The location.
        now: When the menu was imported. Its `version` is the latest change to the catalogue.
        faults: Objects that couldn't be read.
        taxes_apply: Whether the taxes are charged on orders.
    """
    site = _Site(location.id, now)
    # A page may repeat an object; what was read last is the newest.
    unique = {each.id: each for each in objects}
    present = [each for each in unique.values() if _is_present(each, site)]
    categories = {each.id: each.category_data.name for each in present if each.category_data}
    groups = {
        each.id: _group(each.id, each.modifier_list_data, site)
        for each in present
        if each.modifier_list_data
    }
    taxes = [_tax(each.id, each.tax_data, applies=taxes_apply) for each in present if each.tax_data]
    uses_of = lru_cache(MOST_SHARED_USES)(partial(_group_uses, groups))
    known = _Known(categories, uses_of, {tax.id for tax in taxes})
    items = [
        _item(each.id, each.item_data, known, site)
        for each in present
        if each.item_data and not each.item_data.is_archived
    ]
    return Menu(
        site=location.id,
        currency=location.currency,
        imported_at=now,
        version=max((each.updated_at for each in present), default=""),
        items=tuple(item for item in items if item.variations),
        groups=tuple(groups.values()),
        taxes=tuple(taxes),
        faults=tuple(faults),
    )


def changes_of(objects: Iterable[wire.CatalogObject], until: str) -> CatalogueChanges:
    """Return the ids of what was changed and of what was deleted."""
    changed: list[str] = []
    deleted: list[str] = []
    for each in objects:
        ids = deleted if each.is_deleted else changed
        ids.append(each.id)
    return CatalogueChanges(
        changed=tuple(changed),
        deleted=tuple(deleted),
        until=until,
    )


def _is_present(each: wire.CatalogObject, site: _Site) -> bool:
    """Return whether an object is at the location.

    If `present_at_all_locations` is left out it counts as true, as in Square's dashboard.

    unconfirmed: that default; an object created without the field and read back from a sandbox
    would show it.
    """
    if each.is_deleted:
        return False
    if site.id in each.present_at_location_ids:
        return True
    if each.present_at_all_locations is False:
        return False
    return site.id not in each.absent_at_location_ids


def _tax(tax_id: str, data: wire.Tax, *, applies: bool) -> Tax:
    percentage = data.percentage or Decimal(0)
    return Tax(
        id=tax_id,
        name=data.name,
        rate=percentage / 100,
        included=data.inclusion_type == "INCLUSIVE",
        enabled=applies and data.enabled is not False,
    )


# Modifier groups
# -------------------------------------------------------------------------------------------------


def _group(group_id: str, data: wire.ModifierList, site: _Site) -> ModifierGroup:
    minimum, maximum = _list_limits(data)
    offered = [
        (each.id, each.modifier_data)
        for each in data.modifiers
        if each.modifier_data and _is_present(each, site)
    ]
    offered.sort(key=lambda option: option[1].ordinal or 0)
    options = [_option(option_id, option, site) for option_id, option in offered]
    return ModifierGroup(
        id=group_id,
        name=data.name,
        options=tuple(options),
        minimum=minimum,
        maximum=maximum,
        once=data.allow_quantities is False,
    )


def _option(option_id: str, data: wire.Modifier, site: _Site) -> ModifierOption:
    override = _override(data.location_overrides, site)
    price = data.price_money
    if override:
        price = override.price_money or price
    return ModifierOption(
        id=option_id,
        name=data.name,
        price=price.amount if price else 0,  # without a price it is free of charge (spec)
        sold_out=_is_sold_out(override, site),
        sold_out_until=_until(override, site),
    )


def _list_limits(data: wire.ModifierList) -> tuple[int, int | None]:
    """Return how few and how many options of a list must be chosen.

    No maximum is None.

    A list of texts has no options, so a required one can't be satisfied; its minimum of 1 makes
    that visible.

    unconfirmed: that CreateOrder has no place for such a text; a sandbox order for an item with one
    would show it.
    """
    if data.modifier_type == "TEXT":
        return int(bool(data.text_required)), None
    minimum = _minimum(data.min_selected_modifiers)
    # Before lists had figures, their type alone limited them.
    if data.selection_type == "SINGLE" and data.max_selected_modifiers in _UNSET_LIMITS:
        return minimum, 1
    return minimum, _maximum(data.max_selected_modifiers)


def _minimum(value: int | None) -> int:
    return max(value or 0, 0)


def _maximum(value: int | None) -> int | None:
    """Return a maximum. 0 means no limit, and so does anything below."""
    return value if value and value > 0 else None


def _use(info: wire.ModifierListInfo, group: ModifierGroup) -> GroupUse:
    """Return how an item uses a group.

    The item's own limits count, or the list's if it sets neither.
    """
    minimum = info.min_selected_modifiers
    maximum = info.max_selected_modifiers
    once = _ONCE_BY_ITEM.get(info.allow_quantities, group.once)
    if minimum in _UNSET_LIMITS and maximum in _UNSET_LIMITS:
        least, most = group.minimum, group.maximum
    else:
        least, most = _minimum(minimum), _maximum(maximum)
    return GroupUse(
        group_id=group.id,
        minimum=least,
        maximum=most,
        once=once,
    )


# Items
# -------------------------------------------------------------------------------------------------


def _item(item_id: str, data: wire.Item, known: _Known, site: _Site) -> Item:
    category_ids = [category.id for category in data.categories] or [data.category_id]
    categories = [known.categories[each] for each in category_ids if each in known.categories]
    tax_ids = () if data.is_taxable is False else data.tax_ids
    tax_ids_here = [each for each in tax_ids if each in known.tax_ids]
    return Item(
        id=item_id,
        name=data.name,
        categories=tuple(categories),
        variations=_variations(data, site),
        groups=known.uses_of(data.modifier_list_info),
        tax_ids=tuple(tax_ids_here),
        online=not data.hidden_online,
    )


def _group_uses(
    groups: Mapping[str, ModifierGroup], infos: Iterable[wire.ModifierListInfo]
) -> tuple[GroupUse, ...]:
    used = [info for info in infos if info.enabled is not False and info.modifier_list_id in groups]
    used.sort(key=lambda info: info.ordinal or 0)
    return tuple(_use(info, groups[info.modifier_list_id]) for info in used)


def _variations(data: wire.Item, site: _Site) -> tuple[Variation, ...]:
    sold: list[tuple[str, wire.Variation]] = []
    for each in data.variations:
        variation = each.item_variation_data
        if variation and variation.sellable is not False and _is_present(each, site):
            sold.append((each.id, variation))
    sold.sort(key=lambda variation: variation[1].ordinal or 0)
    variations = [_variation(variation_id, variation, site) for variation_id, variation in sold]
    return tuple(variations)


def _variation(variation_id: str, data: wire.Variation, site: _Site) -> Variation:
    override = _override(data.location_overrides, site)
    price = _price(data, override)
    if override is None:
        return Variation(id=variation_id, sku=data.sku, name=data.name, price=price)
    return Variation(
        id=variation_id,
        sku=data.sku,
        name=data.name,
        price=price,
        sold_out=_is_sold_out(override, site),
        sold_out_until=_until(override, site),
    )


def _price(data: wire.Variation, override: wire.Override | None) -> int | None:
    """Return the location's price, None if it is keyed in at the register."""
    pricing = data.pricing_type
    price = data.price_money
    if override:
        pricing = override.pricing_type or pricing
        price = override.price_money or price
    if pricing == "VARIABLE_PRICING" or price is None:
        return None
    return price.amount


# Overrides
# -------------------------------------------------------------------------------------------------


def _override(overrides: Iterable[wire.Override], site: _Site) -> wire.Override | None:
    for override in overrides:
        if override.location_id == site.id:
            return override
    return None


def _until(override: wire.Override | None, site: _Site) -> datetime | None:
    """Return when a sold-out mark ends, None if it has no end."""
    until = override.sold_out_valid_until if override else None
    if until is not None and not until.tzinfo:
        return until.replace(tzinfo=site.now.tzinfo)
    return until


def _is_sold_out(override: wire.Override | None, site: _Site) -> bool:
    """Return whether it is sold out here, and not only until a time that has passed."""
    if override is None or not override.sold_out:
        return False
    until = _until(override, site)
    return until is None or until > site.now
