"""Catalogue objects as Square writes them.

spec: CatalogObject and the data of each type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

from tillpost_simulators.square import catalogue as c

Json: TypeAlias = dict[str, object]


def written(catalogue: c.Catalogue, entry: c.Entry) -> Json:
    """Return an object as JSON, with the objects that it contains.

    An item contains its variations, a modifier list its modifiers.
    """
    body: Json = {
        "type": entry.type,
        "id": entry.id,
        "version": entry.version,
        "updated_at": entry.updated_at,
        "is_deleted": entry.is_deleted,
        "present_at_all_locations": entry.present_at_all_locations,
    }
    if entry.present_at:
        body["present_at_location_ids"] = sorted(entry.present_at)
    if entry.absent_at:
        body["absent_at_location_ids"] = sorted(entry.absent_at)
    match entry:
        case c.Item():
            body["item_data"] = _item(catalogue, entry)
        case c.Variation():
            body["item_variation_data"] = _variation(catalogue, entry)
        case c.ModifierList():
            body["modifier_list_data"] = _modifier_list(catalogue, entry)
        case c.Modifier():
            body["modifier_data"] = _modifier(catalogue, entry)
        case c.Tax():
            body["tax_data"] = _tax(entry)
        case c.Category():
            body["category_data"] = {"name": entry.name, "category_type": "REGULAR_CATEGORY"}
        case _:
            raise TypeError(entry)
    return merged(body, catalogue.oddities.get(entry.id, {}))


def merged(body: Json, changes: Mapping[str, object]) -> Json:
    """Return an object with changes to its fields, at any depth. None removes a field."""
    result = dict(body)
    for name, value in changes.items():
        inner = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(inner, dict) and isinstance(value, dict):
            result[name] = merged(cast(Json, inner), cast(Json, value))
        else:
            result[name] = value
    return result


def _money(catalogue: c.Catalogue, amount: int) -> Json:
    return {"amount": amount, "currency": catalogue.currency}


def _item(catalogue: c.Catalogue, item: c.Item) -> Json:
    data: Json = {
        "name": item.name,
        "is_taxable": item.is_taxable,
        "is_archived": item.is_archived,
        "product_type": "FOOD_AND_BEV",
        "variations": [
            written(catalogue, variation) for variation in catalogue.variations_of(item)
        ],
    }
    if item.description:
        data["description"] = item.description
    if item.tax_ids:
        data["tax_ids"] = list(item.tax_ids)
    if item.category_ids:
        data["categories"] = [
            {"id": category_id, "ordinal": 0} for category_id in item.category_ids
        ]
        data["reporting_category"] = {"id": item.category_ids[0], "ordinal": 0}
    if item.modifier_limits:
        data["modifier_list_info"] = [
            {
                "modifier_list_id": limits.modifier_list_id,
                "min_selected_modifiers": limits.minimum,
                "max_selected_modifiers": limits.maximum,
                "enabled": limits.enabled,
                "ordinal": ordinal,
            }
            for ordinal, limits in enumerate(item.modifier_limits)
        ]
    return data


def _variation(catalogue: c.Catalogue, variation: c.Variation) -> Json:
    data: Json = {
        "item_id": variation.item_id,
        "name": variation.name,
        "ordinal": variation.ordinal,
        "pricing_type": "VARIABLE_PRICING" if variation.price is None else "FIXED_PRICING",
        "sellable": variation.sellable,
        "stockable": True,
    }
    if variation.sku:
        data["sku"] = variation.sku
    if variation.price is not None:
        data["price_money"] = _money(catalogue, variation.price)
    if overrides := _overrides(catalogue, variation.overrides, fixed=True):
        data["location_overrides"] = overrides
    return data


def _overrides(
    catalogue: c.Catalogue, overrides: Mapping[str, c.Override], *, fixed: bool
) -> list[Json]:
    listed: list[Json] = []
    for location_id, override in sorted(overrides.items()):
        entry: Json = {"location_id": location_id}
        if override.price is not None:
            entry["price_money"] = _money(catalogue, override.price)
            if fixed:
                entry["pricing_type"] = "FIXED_PRICING"
        if override.sold_out:
            entry["sold_out"] = True
            if override.sold_out_until and fixed:
                entry["sold_out_valid_until"] = override.sold_out_until
        listed.append(entry)
    return listed


def _modifier_list(catalogue: c.Catalogue, modifier_list: c.ModifierList) -> Json:
    return {
        "name": modifier_list.name,
        "selection_type": "SINGLE" if modifier_list.maximum == 1 else "MULTIPLE",
        "modifier_type": "LIST",
        "allow_quantities": modifier_list.allow_quantities,
        "min_selected_modifiers": modifier_list.minimum,
        "max_selected_modifiers": modifier_list.maximum,
        "modifiers": [
            written(catalogue, modifier) for modifier in catalogue.modifiers_of(modifier_list)
        ],
    }


def _modifier(catalogue: c.Catalogue, modifier: c.Modifier) -> Json:
    data: Json = {
        "name": modifier.name,
        "price_money": _money(catalogue, modifier.price),
        "modifier_list_id": modifier.modifier_list_id,
        "ordinal": modifier.ordinal,
        "on_by_default": modifier.on_by_default,
        "hidden_online": modifier.hidden_online,
    }
    if overrides := _overrides(catalogue, modifier.overrides, fixed=False):
        data["location_overrides"] = overrides
    return data


def _tax(tax: c.Tax) -> Json:
    return {
        "name": tax.name,
        "calculation_phase": "TAX_SUBTOTAL_PHASE",
        "inclusion_type": "INCLUSIVE" if tax.inclusive else "ADDITIVE",
        "percentage": tax.percentage,
        "applies_to_custom_amounts": tax.on_custom_amounts,
        "enabled": tax.enabled,
    }
