"""An order's lines against the catalogue: is each one sold here, at what price, with which modifiers?

A line or modifier that names a catalogue object gets its name and price from there; one that
doesn't is ad hoc and brings its own. A line that can't be sold is refused with the path of the
field at fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from tillpost_simulators.square import catalogue as c
from tillpost_simulators.square.clock import read_time
from tillpost_simulators.square.errors import Refusal, bad_request, missing, not_found
from tillpost_simulators.square.wire import LineItem, Modifier, Order
from tillpost_simulators.square.world import World


def complete_lines(world: World, order: Order, *, settled: Collection[str] = ()) -> None:
    """Checks every line of `order` and fills in what the catalogue knows of it.

    Lines whose uid is in `settled` are left as they are: the catalogue may have moved on since they
    were taken.
    """
    for index, line in enumerate(order.line_items or ()):
        if line.uid in settled:
            continue
        path = f"order.line_items[{index}]"
        line.uid = line.uid or world.new_uid()
        world.check_currency(line.base_price_money, f"{path}.base_price_money")
        if line.base_price_money is not None and line.base_price_money.amount < 0:
            raise bad_request(
                "VALUE_TOO_LOW",
                "The price must not be negative.",
                f"{path}.base_price_money.amount",
            )
        if "." in line.quantity and line.quantity_unit is None:
            raise bad_request(
                "INVALID_VALUE",
                "A quantity with decimals needs a quantity_unit.",
                f"{path}.quantity",
            )
        item = _complete_line(world, line, order.location_id, path)
        for place, modifier in enumerate(line.modifiers or ()):
            _complete_modifier(
                world, modifier, item, order.location_id, f"{path}.modifiers[{place}]"
            )
        if item is not None:
            _check_limits(world, line, item, path)


def _complete_line(world: World, line: LineItem, location_id: str, path: str) -> c.Item | None:
    if line.catalog_object_id is None:
        if not line.name:
            raise missing(f"{path}.name")
        if line.base_price_money is None:
            raise missing(f"{path}.base_price_money")
        line.item_type = line.item_type or "ITEM"
        return None
    variation, item = _sold_here(
        world, line.catalog_object_id, location_id, f"{path}.catalog_object_id"
    )
    _check_version(line.catalog_version, variation, path)
    price = variation.price_at(location_id)
    if line.base_price_money is None:
        if price is None:
            raise missing(f"{path}.base_price_money")
        line.base_price_money = world.money(price)
    # unconfirmed: that a base_price_money beside a catalogue id overrides a line's price, as the
    # spec says for modifiers; a sandbox order would tell. unconfirmed: that the item's name
    # replaces a name sent beside a catalogue id; the same order would tell.
    line.name, line.variation_name = item.name, variation.name
    line.catalog_version, line.item_type = variation.version, "ITEM"
    return item


def _sold_here(
    world: World, variation_id: str, location_id: str, field: str
) -> tuple[c.Variation, c.Item]:
    """The variation and its item, when both can be sold at the location."""
    catalogue = world.catalogue
    variation = catalogue.find(c.Variation, variation_id)
    item = catalogue.find(c.Item, variation.item_id) if variation else None
    if variation is None or item is None:
        raise not_found(f"Item variation with catalog object ID `{variation_id}` not found.", field)
    # unconfirmed: whether the Orders API refuses objects that aren't at the location, are archived,
    # not sellable or sold out there, and with which code; a sandbox order for each would tell.
    # Refusing is the strictest.
    if not variation.is_at(location_id) or not item.is_at(location_id):
        detail = f"Item variation with catalog object ID `{variation_id}` not found at location `{location_id}`."
        raise not_found(detail, field)
    if item.is_archived or not variation.sellable:
        raise bad_request("INVALID_VALUE", f"Item variation `{variation_id}` can't be sold.", field)
    if _sold_out(world, variation.overrides.get(location_id)):
        raise bad_request(
            "INVALID_VALUE",
            f"Item variation `{variation_id}` is sold out at `{location_id}`.",
            field,
        )
    return variation, item


def _sold_out(world: World, override: c.Override | None) -> bool:
    """Sold out, and not only until a time that has passed (spec: ItemVariationLocationOverrides)."""
    if override is None or not override.sold_out:
        return False
    return (
        override.sold_out_until is None
        or read_time(override.sold_out_until, "") > world.clock.now()
    )


def _check_version(version: int | None, entry: c.Entry, path: str) -> None:
    # unconfirmed: what a catalog_version other than the present one does. Square keeps old versions
    # and may price by them; this catalogue doesn't keep them, so it refuses. A sandbox order with
    # an old version would tell.
    if version is not None and version != entry.version:
        detail = f"Catalog object `{entry.id}` is at version {entry.version}, not {version}."
        raise Refusal(409, bad_request("CONFLICT", detail, f"{path}.catalog_version").problems[0])


def _complete_modifier(
    world: World, modifier: Modifier, item: c.Item | None, location_id: str, path: str
) -> None:
    modifier.uid = modifier.uid or world.new_uid()
    modifier.quantity = modifier.quantity or "1"
    world.check_currency(modifier.base_price_money, f"{path}.base_price_money")
    if modifier.catalog_object_id is None:
        if not modifier.name:
            raise missing(f"{path}.name")
        if modifier.base_price_money is None:
            raise missing(f"{path}.base_price_money")
        return
    field = f"{path}.catalog_object_id"
    known = world.catalogue.find(c.Modifier, modifier.catalog_object_id)
    if known is None or not known.is_at(location_id):
        raise not_found(
            f"Modifier with catalog object ID `{modifier.catalog_object_id}` not found.", field
        )
    _check_version(modifier.catalog_version, known, path)
    # unconfirmed: whether a modifier that the item doesn't offer, or that is sold out, is refused;
    # see _sold_here.
    if item is not None and known.modifier_list_id not in {
        limits.modifier_list_id for limits in _offered(item)
    }:
        raise bad_request(
            "INVALID_VALUE", f"Modifier `{known.id}` doesn't apply to item `{item.id}`.", field
        )
    override = known.overrides.get(location_id)
    if _sold_out(world, override):
        raise bad_request(
            "INVALID_VALUE", f"Modifier `{known.id}` is sold out at `{location_id}`.", field
        )
    if modifier.base_price_money is None:
        price = (
            override.price if override is not None and override.price is not None else known.price
        )
        modifier.base_price_money = world.money(price)
    modifier.name, modifier.catalog_version = known.name, known.version


def _offered(item: c.Item) -> list[c.ModifierLimits]:
    return [limits for limits in item.modifier_limits if limits.enabled]


def _check_limits(world: World, line: LineItem, item: c.Item, path: str) -> None:
    """Each modifier list's limits (spec: CatalogItemModifierListInfo, CatalogModifierList).

    unconfirmed: that the Orders API enforces what the catalogue says, and with which codes; an
    order to the sandbox with too few and too many modifiers would tell.
    """
    chosen: Counter[str] = Counter()
    for place, modifier in enumerate(line.modifiers or ()):
        known = world.catalogue.find(c.Modifier, modifier.catalog_object_id or "")
        if known is None:
            continue
        quantity = int(modifier.quantity or "1")
        chosen[known.modifier_list_id] += quantity
        if (
            quantity > 1
            and not world.catalogue.get(c.ModifierList, known.modifier_list_id).allow_quantities
        ):
            detail = f"Modifier `{known.id}` can be selected only once."
            raise bad_request("VALUE_TOO_HIGH", detail, f"{path}.modifiers[{place}].quantity")
    for limits in _offered(item):
        offered = world.catalogue.find(c.ModifierList, limits.modifier_list_id)
        if offered is None:
            continue
        minimum, maximum = effective_limits(limits, offered)
        selected = chosen[offered.id]
        if selected < minimum:
            detail = f"Modifier list `{offered.id}` needs at least {minimum} selected, and {selected} were."
            raise bad_request("ARRAY_LENGTH_TOO_SHORT", detail, f"{path}.modifiers")
        if 0 < maximum < selected:
            detail = f"Modifier list `{offered.id}` allows at most {maximum} selected, and {selected} were."
            raise bad_request("ARRAY_LENGTH_TOO_LONG", detail, f"{path}.modifiers")


def effective_limits(limits: c.ModifierLimits, offered: c.ModifierList) -> tuple[int, int]:
    """How few and how many may be selected; a maximum of 0 is none. The list's own hold when the item's are both -1."""
    own = limits.minimum == -1 and limits.maximum == -1
    minimum, maximum = (
        (offered.minimum, offered.maximum) if own else (limits.minimum, limits.maximum)
    )
    return max(minimum, 0), max(maximum, 0)
