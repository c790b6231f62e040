"""Shops of each platform under each tax model, at random prices, and how a site reads their taxes.

shop = money_shop("square", MODELS[0], random.Random(1))
shop.order(number)                              # any order in the whole format
shop.till.submit(order)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from adapters.menu_shops import Shop, shop_of
from tillpost import Policy
from tillpost.models.menu import Menu, Tax
from tillpost.models.money import exponent
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.generic import WorldSettings as GenericWorld
from tillpost_simulators.kounta import KountaSettings as KountaWorld
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square import WorldSettings as SquareWorld
from tillpost_simulators.square import catalogue as square

ONCE = Policy(retries=0, import_cooldown=86_400)
OPEN_ITEM, DELIVERY, UNTAXED, TIP = "6105", "9002", "6103", "9003"
"""Kounta's products for what has no field of its own."""


@dataclass(frozen=True)
class TaxModel:
    """A store's taxes, by per cent: all of them on every item, or one of them, if they are split.

    Their prices include them, or they are added.
    """

    name: str
    currency: str
    percentages: tuple[str, ...]
    included: bool
    split: bool = False


MODELS = (
    TaxModel("10 % included", "AUD", ("10",), included=True),
    TaxModel("GST and PST added", "CAD", ("5", "7"), included=False),
    TaxModel("20 % VAT included", "GBP", ("20",), included=True),
    TaxModel("8.875 % added", "USD", ("8.875",), included=False),
    TaxModel("10 % and 8 % included", "JPY", ("10", "8"), included=True, split=True),
    TaxModel("10 % and 8 % added", "JPY", ("10", "8"), included=False, split=True),
    TaxModel("5 % added", "KWD", ("5",), included=False),
)


@dataclass
class MoneyShop:
    """A shop with its menu, and the taxes that a careful site charges there."""

    platform: str
    model: TaxModel
    shop: Shop
    menu: Menu

    def taxes_of(self, item_id: str) -> Sequence[Tax]:
        """Return the taxes of an item, or of an open item."""
        sold = self.menu.by_variation.get(item_id)
        return self.menu.taxes_on(sold.item) if sold else self.usual_taxes

    @property
    def usual_taxes(self) -> Sequence[Tax]:
        """The taxes on what isn't on the menu: all, or where they are split the first."""
        if self.platform == "kounta":
            return self.taxes_of(OPEN_ITEM)
        return self.menu.taxes[:1] if self.model.split else self.menu.taxes

    def charge_taxes(self, item_ids: Sequence[str]) -> Sequence[Tax]:
        """Return the taxes on a taxed charge of an order of these items."""
        if self.platform == "kounta":
            return self.taxes_of(DELIVERY)
        if self.platform == "generic":
            return self.usual_taxes
        on_lines = [self.taxes_of(item_id) for item_id in item_ids if item_id]
        return next((taxes for taxes in on_lines if taxes), self.usual_taxes)


def money_shop(platform: str, model: TaxModel, random: Random) -> MoneyShop:
    """Return a shop of a platform at random prices."""
    shop = _OPENED[platform](model, random)
    return MoneyShop(platform, model, shop, shop.menu)


def _square(model: TaxModel, random: Random) -> Shop:
    first, *others = model.percentages
    world = SquareWorld(currency=model.currency, tax_percentage=first, tax_inclusive=model.included)
    simulator = SquareSimulator(world)
    catalogue = simulator.world.catalogue
    for percentage in others:
        added = simulator.add_tax(
            f"Tax of {percentage}",
            percentage,
            inclusive=model.included,
            on_every_item=not model.split,
            on_custom_amounts=not model.split,
        )
        if model.split:
            for item in list(catalogue.of(square.Item))[1::2]:
                item.tax_ids = [added]
    for variation in catalogue.of(square.Variation):
        if variation.price:
            variation.price = random.randint(1, 3000)
    for modifier in catalogue.of(square.Modifier):
        modifier.price = random.choice([0, random.randint(0, 300)])
    return shop_of("square", simulator=simulator, policy=ONCE)


def _kounta(model: TaxModel, random: Random) -> Shop:
    first, *others = model.percentages
    world = KountaWorld(
        currency=model.currency,
        tax_rate=Decimal(first) / 100,
        tax_rounding=random.choice(["line", "order"]),
        halves=random.choice(["up", "even"]),
        oauth_limit=10**9,
    )
    simulator = KountaSimulator(world)
    products = list(simulator.world.products.values())
    (usual,) = products[0].tax_ids
    for percentage in others:
        rate = Decimal(percentage) / 100
        added = simulator.add_tax(f"Tax of {percentage}", rate, on_every_product=False)
        taxed = [product for product in products if product.tax_ids == [usual]]
        for product in taxed[::2] if model.split else taxed:
            is_own = str(product.id) in (OPEN_ITEM, DELIVERY)
            if not model.split:
                product.tax_ids.append(added)
            elif not is_own:
                product.tax_ids = [added]
    scale = Decimal(10) ** -exponent(model.currency)
    for product in products:
        product.unit_price = _any_net(random, scale, 3000 if product.unit_price else 0)
    for price_list in simulator.world.price_lists.values():
        for product_id in price_list.prices:
            price_list.prices[product_id] = _any_net(random, scale, 3000)
    return shop_of(
        "kounta",
        simulator=simulator,
        policy=ONCE,
        prices_include_tax=model.included,
        discounts="multiplier",
        charge_products={
            "delivery": DELIVERY,
            "service": UNTAXED,
            "surcharge": UNTAXED,
            "rounding": UNTAXED,
        },
        tip_product=TIP,
        open_item_product=OPEN_ITEM,
    )


def _any_net(random: Random, scale: Decimal, most: int) -> Decimal:
    """Return a price without tax, in major units, with decimals beyond the minor unit."""
    return round(random.randint(0, most * 100) / Decimal(100) * scale, 6)


def _generic(model: TaxModel, random: Random) -> Shop:
    first, *others = model.percentages
    world = GenericWorld(
        currency=model.currency, tax_percentage=first, tax_inclusive=model.included
    )
    simulator = GenericSimulator(world)
    for percentage in others:
        simulator.add_tax(f"Tax of {percentage}", percentage, inclusive=model.included)
    menu = simulator.world.menu
    items = [
        item.model_copy(
            update={
                "tax_ids": (item.tax_ids[number % 2],) if model.split else item.tax_ids,
                "variations": tuple(_any_price(random, each, 3000) for each in item.variations),
            }
        )
        for number, item in enumerate(menu.items)
    ]
    groups = [
        group.model_copy(
            update={"options": tuple(_any_option_price(random, each) for each in group.options)}
        )
        for group in menu.groups
    ]
    update = {"items": tuple(items), "groups": tuple(groups)}
    simulator.world.menu = menu.model_copy(update=update)
    return shop_of("generic", simulator=simulator, policy=ONCE)


def _any_price(random: Random, priced: Any, most: int, least: int = 0) -> Any:
    price = None if priced.price is None else random.randint(least, most)
    return priced.model_copy(update={"price": price})


def _any_option_price(random: Random, option: Any) -> Any:
    """Return an option that costs something, takes something off, or is free."""
    is_free = option.price is not None and random.random() < 0.3
    return _any_price(random, option, 0) if is_free else _any_price(random, option, 300, -40)


_OPENED = {"square": _square, "kounta": _kounta, "generic": _generic}
