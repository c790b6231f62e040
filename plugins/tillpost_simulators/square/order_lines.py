"""The check of an order's lines against the catalogue.

They are also completed from it. A line or modifier that names a catalogue object gets its name and
price from there. One that doesn't is ad hoc, and has its own. A line that can't be sold is refused
with the path of the field at fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from tillpost_simulators.square import catalogue as c
from tillpost_simulators.square.clock import read_time
from tillpost_simulators.square.errors import Problem, Refusal, bad_request, missing, not_found
from tillpost_simulators.square.wire import LineItem, Modifier, Order
from tillpost_simulators.square.world import World


def complete_lines(world: World, order: Order, *, unchanged: Collection[str] = ()) -> None:
    """Check every line of `order` and complete it from the catalogue.

    Args:
        world: The merchant.
        order: The order.
        unchanged: The uids of lines to skip, since the catalogue may have changed since they were
            checked.

    Raises:
        Refusal: A line can't be sold.
    """
    location_id = order.location_id
    for index, line in enumerate(order.line_items or ()):
        if line.uid in unchanged:
            continue
        path = f"order.line_items[{index}]"
        line.uid = line.uid or world.new_uid()
        _check_price_and_quantity(world, line, path)
        item = _complete_line(world, line, location_id, path)
        for place, modifier in enumerate(line.modifiers or ()):
            modifier_path = f"{path}.modifiers[{place}]"
            _complete_modifier(world, modifier, item, location_id, modifier_path)
        if item is not None:
            _check_limits(world, line, item, path)


def effective_limits(limits: c.ModifierLimits, modifier_list: c.ModifierList) -> tuple[int, int]:
    """Return the minimum and the maximum of a modifier list for an item.

    The list's own limits count when both of the item's are -1. A maximum of 0 is no limit.
    """
    minimum = limits.minimum
    maximum = limits.maximum
    if minimum == -1 and maximum == -1:
        minimum = modifier_list.minimum
        maximum = modifier_list.maximum
    minimum = max(minimum, 0)
    maximum = max(maximum, 0)
    return minimum, maximum


# --- lines ---


def _check_price_and_quantity(world: World, line: LineItem, path: str) -> None:
    price = line.base_price_money
    price_field = f"{path}.base_price_money"
    world.check_currency(price, price_field)
    if price is not None and price.amount < 0:
        detail = "The price must not be negative."
        raise bad_request("VALUE_TOO_LOW", detail, f"{price_field}.amount")
    if "." in line.quantity and line.quantity_unit is None:
        detail = "A quantity with decimals needs a quantity_unit."
        raise bad_request("INVALID_VALUE", detail, f"{path}.quantity")


def _complete_line(
    world: World,
    line: LineItem,
    location_id: str,
    path: str,
) -> c.Item | None:
    """Complete a line, and return its item, or None for an ad hoc line."""
    if line.catalog_object_id is None:
        _check_ad_hoc(line, path)
        line.item_type = line.item_type or "ITEM"
        return None
    field = f"{path}.catalog_object_id"
    variation, item = _sold_here(world, line.catalog_object_id, location_id, field)
    _check_version(line.catalog_version, variation, path)
    if line.base_price_money is None:
        price = variation.price_at(location_id)
        if price is None:
            raise missing(f"{path}.base_price_money")
        line.base_price_money = world.money(price)
    # unconfirmed: that a base_price_money beside a catalogue id overrides a line's price, as the
    # spec says for modifiers; a sandbox order would show it. unconfirmed: that the item's name
    # replaces a name sent beside a catalogue id; the same order would show it.
    line.name = item.name
    line.variation_name = variation.name
    line.catalog_version = variation.version
    line.item_type = "ITEM"
    return item


def _sold_here(
    world: World,
    variation_id: str,
    location_id: str,
    field: str,
) -> tuple[c.Variation, c.Item]:
    """Return a variation and its item, or refuse them if the location can't sell them."""
    catalogue = world.catalogue
    variation = catalogue.find(c.Variation, variation_id)
    item = catalogue.find(c.Item, variation.item_id) if variation else None
    if variation is None or item is None:
        detail = f"Item variation with catalog object ID `{variation_id}` not found."
        raise not_found(detail, field)
    # unconfirmed: whether the Orders API refuses objects that aren't at the location, are archived,
    # not sellable or sold out there, and with which code; a sandbox order for each would show it.
    # Refusing is the strictest.
    if not variation.is_at(location_id) or not item.is_at(location_id):
        detail = (
            f"Item variation with catalog object ID `{variation_id}` "
            f"not found at location `{location_id}`."
        )
        raise not_found(detail, field)
    if item.is_archived or not variation.sellable:
        detail = f"Item variation `{variation_id}` can't be sold."
        raise bad_request("INVALID_VALUE", detail, field)
    override = variation.overrides.get(location_id)
    if _is_sold_out(world, override):
        detail = f"Item variation `{variation_id}` is sold out at `{location_id}`."
        raise bad_request("INVALID_VALUE", detail, field)
    return variation, item


def _is_sold_out(world: World, override: c.Override | None) -> bool:
    """Return whether an object is sold out now (spec: ItemVariationLocationOverrides)."""
    if override is None or not override.sold_out:
        return False
    if override.sold_out_until is None:
        return True
    until = read_time(override.sold_out_until, "")
    return until > world.clock.now()


def _check_ad_hoc(part: LineItem | Modifier, path: str) -> None:
    """Check that a line or modifier without a catalogue object has a name and a price."""
    if not part.name:
        raise missing(f"{path}.name")
    if part.base_price_money is None:
        raise missing(f"{path}.base_price_money")


def _check_version(
    version: int | None,
    entry: c.Entry,
    path: str,
) -> None:
    # unconfirmed: what a catalog_version other than the present one does. Square keeps old versions
    # and may price by them; this catalogue doesn't keep them, so it refuses. A sandbox order with
    # an old version would show it.
    if version is None or version == entry.version:
        return
    detail = f"Catalog object `{entry.id}` is at version {entry.version}, not {version}."
    problem = Problem("CONFLICT", detail, f"{path}.catalog_version")
    raise Refusal(409, problem)


# --- modifiers ---


def _complete_modifier(
    world: World,
    modifier: Modifier,
    item: c.Item | None,
    location_id: str,
    path: str,
) -> None:
    modifier.uid = modifier.uid or world.new_uid()
    modifier.quantity = modifier.quantity or "1"
    world.check_currency(modifier.base_price_money, f"{path}.base_price_money")
    modifier_id = modifier.catalog_object_id
    if modifier_id is None:
        _check_ad_hoc(modifier, path)
        return
    field = f"{path}.catalog_object_id"
    entry = world.catalogue.find(c.Modifier, modifier_id)
    if entry is None or not entry.is_at(location_id):
        detail = f"Modifier with catalog object ID `{modifier_id}` not found."
        raise not_found(detail, field)
    _check_version(modifier.catalog_version, entry, path)
    # unconfirmed: whether a modifier that the item doesn't offer, or that is sold out, is refused;
    # see _sold_here.
    if item is not None and not _offers(item, entry):
        detail = f"Modifier `{entry.id}` doesn't apply to item `{item.id}`."
        raise bad_request("INVALID_VALUE", detail, field)
    override = entry.overrides.get(location_id)
    if _is_sold_out(world, override):
        detail = f"Modifier `{entry.id}` is sold out at `{location_id}`."
        raise bad_request("INVALID_VALUE", detail, field)
    if modifier.base_price_money is None:
        price = entry.price_at(location_id)
        modifier.base_price_money = world.money(price)
    modifier.name = entry.name
    modifier.catalog_version = entry.version


def _offers(item: c.Item, modifier: c.Modifier) -> bool:
    list_ids = {limits.modifier_list_id for limits in _enabled_limits(item)}
    return modifier.modifier_list_id in list_ids


def _enabled_limits(item: c.Item) -> list[c.ModifierLimits]:
    return [limits for limits in item.modifier_limits if limits.enabled]


def _check_limits(
    world: World,
    line: LineItem,
    item: c.Item,
    path: str,
) -> None:
    """Check each modifier list's limits.

    Source: CatalogItemModifierListInfo and CatalogModifierList in the spec.

    unconfirmed: that the Orders API enforces what the catalogue says, and with which codes; an
    order to the sandbox with too few and too many modifiers would show it.
    """
    catalogue = world.catalogue
    selected = _selected_by_list(world, line, path)
    for limits in _enabled_limits(item):
        modifier_list = catalogue.find(c.ModifierList, limits.modifier_list_id)
        if modifier_list is None:
            continue
        minimum, maximum = effective_limits(limits, modifier_list)
        count = selected[modifier_list.id]
        name = f"Modifier list `{modifier_list.id}`"
        if count < minimum:
            detail = f"{name} needs at least {minimum} selected, and {count} were."
            raise bad_request("ARRAY_LENGTH_TOO_SHORT", detail, f"{path}.modifiers")
        if 0 < maximum < count:
            detail = f"{name} allows at most {maximum} selected, and {count} were."
            raise bad_request("ARRAY_LENGTH_TOO_LONG", detail, f"{path}.modifiers")


def _selected_by_list(world: World, line: LineItem, path: str) -> Counter[str]:
    """Count the selected modifiers by modifier list."""
    catalogue = world.catalogue
    selected: Counter[str] = Counter()
    for place, modifier in enumerate(line.modifiers or ()):
        modifier_id = modifier.catalog_object_id or ""
        entry = catalogue.find(c.Modifier, modifier_id)
        if entry is None:
            continue
        quantity = int(modifier.quantity or "1")
        selected[entry.modifier_list_id] += quantity
        if quantity <= 1:
            continue
        modifier_list = catalogue.get(c.ModifierList, entry.modifier_list_id)
        if not modifier_list.allow_quantities:
            field = f"{path}.modifiers[{place}].quantity"
            detail = f"Modifier `{entry.id}` can be selected only once."
            raise bad_request("VALUE_TOO_HIGH", detail, field)
    return selected
