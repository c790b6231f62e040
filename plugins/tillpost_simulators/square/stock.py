"""The initial world: a merchant, two locations, a token and a menu.

The menu has special cases. The menu fits the sample orders: a flat white (7302, with oat milk 228)
and a BLT toastie (5312). It also has something that is sold out, free, priced at the till, not sold
at the location, or archived, and a burger that requires a choice. Prices are in minor units.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random

from tillpost_simulators.square import catalogue as c
from tillpost_simulators.square.catalogue import Catalogue
from tillpost_simulators.square.clock import Clock
from tillpost_simulators.square.world import (
    ALL_SCOPES,
    Location,
    Token,
    WebhookState,
    World,
    WorldSettings,
)

TAX_ID = "TAX-GST"
OTHER_LOCATION_ID = "L-KIOSK"

_TOKEN_LASTS = timedelta(days=30)


def new_world(settings: WorldSettings) -> World:
    """Return a world in its initial state.

    Without `stocked` its catalogue has the tax only.
    """
    clock = Clock()
    catalogue = Catalogue(settings.currency, clock)
    locations = {
        settings.location_id: Location(settings.location_id, "Cafe"),
        OTHER_LOCATION_ID: Location(OTHER_LOCATION_ID, "Kiosk"),
    }
    random = Random(settings.webhooks.seed)  # nosec B311  # noqa: S311 - repeatable on purpose
    webhooks = WebhookState(settings.webhooks.url, random, "")
    world = World(settings, clock, catalogue, locations, webhooks)
    expires_at = clock.now() + _TOKEN_LASTS
    world.tokens[settings.access_token] = Token(set(ALL_SCOPES), expires_at, settings.refresh_token)
    catalogue.add(
        c.Tax(
            TAX_ID,
            name="GST",
            percentage=settings.tax_percentage,
            inclusive=settings.tax_inclusive,
            enabled=True,
        )
    )
    if settings.stocked:
        _stock(catalogue, settings.location_id)
    _add_odd_objects(catalogue, settings.odd_objects)
    _add_dishes(catalogue, settings.items)
    webhooks.catalogue_time = catalogue.latest_time
    return world


def add_item(
    catalogue: Catalogue,
    item: c.Item,
    *variations: c.Variation,
) -> c.Item:
    """Add an item with its variations."""
    for ordinal, variation in enumerate(variations):
        variation.item_id, variation.ordinal = item.id, ordinal
        item.variation_ids.append(variation.id)
        catalogue.add(variation)
    return catalogue.add(item)


def add_modifier_list(
    catalogue: Catalogue, modifier_list: c.ModifierList, *modifiers: c.Modifier
) -> c.ModifierList:
    """Add a modifier list with its modifiers."""
    for ordinal, modifier in enumerate(modifiers):
        modifier.modifier_list_id, modifier.ordinal = modifier_list.id, ordinal
        modifier_list.modifier_ids.append(modifier.id)
        catalogue.add(modifier)
    return catalogue.add(modifier_list)


# Fields of a variation that make its object malformed.
_ODD_FIELDS: tuple[dict[str, object], ...] = (
    {"item_variation_data": {"price_money": {"amount": None}}},
    {"item_variation_data": {"price_money": {"amount": "5.20"}}},
    {"item_variation_data": {"location_overrides": [{"sold_out_valid_until": ""}]}},
    {"id": None},
)


def _add_odd_objects(catalogue: Catalogue, count: int) -> None:
    """Add items of which each has a malformed variation."""
    for number in range(count):
        item = c.Item(f"ITEM-ODD-{number}", name=f"Odd item no. {number + 1}")
        variation = c.Variation(f"ODD-{number}", name="Regular", price=520)
        add_item(catalogue, item, variation)
        catalogue.oddities[variation.id] = _ODD_FIELDS[number % len(_ODD_FIELDS)]


def _add_dishes(catalogue: Catalogue, count: int) -> None:
    """Add items for a large menu: one in three in two sizes, one in two with sides."""
    if not count:
        return
    catalogue.add(c.Category("CAT-DISHES", name="Dishes"))
    add_modifier_list(
        catalogue,
        c.ModifierList("ML-SIDES", name="Sides", minimum=0, maximum=2),
        c.Modifier("SIDE-1", name="Chips", price=500),
        c.Modifier("SIDE-2", name="Salad", price=600),
    )
    for number in range(1, count + 1):
        price = 1000 + number % 40 * 50
        sizes = [
            c.Variation(f"DISH-{number}", name="Regular", sku=f"D{number}", price=price),
            c.Variation(f"DISH-{number}-L", name="Large", sku=f"D{number}-L", price=price + 400),
        ]
        _sell(
            catalogue,
            f"ITEM-DISH-{number}",
            f"Dish no. {number}",
            "CAT-DISHES",
            *sizes[: 1 if number % 3 else 2],
            limits=[c.ModifierLimits("ML-SIDES")] if number % 2 else [],
        )


def _stock(catalogue: Catalogue, here: str) -> None:
    for category_id, name in (
        ("CAT-COFFEE", "Coffee"),
        ("CAT-FOOD", "Food"),
        ("CAT-OTHER", "Other"),
    ):
        catalogue.add(c.Category(category_id, name=name))
    _stock_modifiers(catalogue, here)
    milk, extras = c.ModifierLimits("ML-MILK"), c.ModifierLimits("ML-EXTRAS")
    _sell(
        catalogue,
        "ITEM-FLAT-WHITE",
        "Flat white",
        "CAT-COFFEE",
        c.Variation("7302", name="regular", sku="FW-R", price=550),
        c.Variation("7303", name="large", sku="FW-L", price=650),
        limits=[milk, extras],
    )
    _sell(
        catalogue,
        "ITEM-LONG-BLACK",
        "Long black",
        "CAT-COFFEE",
        c.Variation("7310", name="regular", sku="LB-R", price=500),
        limits=[extras],
    )
    _sell(
        catalogue,
        "ITEM-BLT",
        "BLT toastie",
        "CAT-FOOD",
        c.Variation("5312", name="Regular", sku="BLT", price=1450),
    )
    _sell(
        catalogue,
        "ITEM-BURGER",
        "Cheeseburger",
        "CAT-FOOD",
        c.Variation("5320", name="Regular", sku="CB", price=1900),
        limits=[c.ModifierLimits("ML-COOKING", 1, 1), c.ModifierLimits("ML-SAUCES")],
    )
    sold_out = c.Variation(
        "6101",
        name="Regular",
        sku="LAM",
        price=600,
        overrides={here: c.Override(sold_out=True)},
    )
    _sell(catalogue, "ITEM-LAMINGTON", "Lamington", "CAT-FOOD", sold_out)
    _sell(
        catalogue,
        "ITEM-WATER",
        "Tap water",
        "CAT-OTHER",
        c.Variation("6102", name="Glass", sku="WATER", price=0),
    )
    by_weight = c.Variation("6103", name="Whole", sku="CAKE", price=None)
    _sell(catalogue, "ITEM-CAKE", "Cake of the day", "CAT-FOOD", by_weight)
    dearer_here = c.Variation(
        "6105",
        name="Regular",
        sku="MUF",
        price=500,
        overrides={here: c.Override(price=520)},
    )
    _sell(catalogue, "ITEM-MUFFIN", "Blueberry muffin", "CAT-FOOD", dearer_here)
    elsewhere = c.Variation("6104", name="Regular", sku="AVO", price=1600, absent_at={here})
    _sell(catalogue, "ITEM-AVO", "Avocado toast", "CAT-FOOD", elsewhere).absent_at.add(here)
    archived = c.Variation("6106", name="Regular", sku="PUD", price=900)
    _sell(catalogue, "ITEM-PUDDING", "Christmas pudding", "CAT-FOOD", archived).is_archived = True


def _stock_modifiers(catalogue: Catalogue, here: str) -> None:
    add_modifier_list(
        catalogue,
        c.ModifierList("ML-MILK", name="Milk", minimum=0, maximum=1),
        c.Modifier("228", name="Oat milk", price=80),
        c.Modifier("229", name="Soy milk", price=70),
        c.Modifier(
            "230",
            name="Almond milk",
            price=80,
            overrides={here: c.Override(sold_out=True)},
        ),
    )
    add_modifier_list(
        catalogue,
        c.ModifierList("ML-EXTRAS", name="Extras", minimum=0, maximum=3, allow_quantities=True),
        c.Modifier("231", name="Extra shot", price=60),
        c.Modifier("232", name="Vanilla syrup", price=70),
    )
    add_modifier_list(
        catalogue,
        c.ModifierList("ML-COOKING", name="How cooked", minimum=0, maximum=0),
        c.Modifier("240", name="Medium", price=0),
        c.Modifier("241", name="Well done", price=0),
    )
    add_modifier_list(
        catalogue,
        c.ModifierList("ML-SAUCES", name="Sauces", minimum=0, maximum=2),
        c.Modifier("250", name="Tomato sauce", price=0),
        c.Modifier("251", name="Aioli", price=150),
        c.Modifier("252", name="Chilli sauce", price=100),
    )


def _sell(
    catalogue: Catalogue,
    item_id: str,
    name: str,
    category_id: str,
    *variations: c.Variation,
    limits: list[c.ModifierLimits] | None = None,
) -> c.Item:
    item = c.Item(
        item_id,
        name=name,
        tax_ids=[TAX_ID],
        category_ids=[category_id],
        modifier_limits=limits or [],
    )
    return add_item(catalogue, item, *variations)
