"""A menu of products at prices without tax, for platforms that sell nothing else: the counterpart of `itemising`.

There an option is a product, too, and a product may be sold at one site and not at another: an
option that isn't sold at the site is left out, and told as a fault. `exact_price` keeps the
platform's decimals, without tax.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations
from typing import NamedTuple, Protocol, TypeVar

from tillpost.models.menu import (
    GroupUse,
    Item,
    Menu,
    ModifierGroup,
    ModifierOption,
    SetupFault,
    Tax,
    Variation,
)
from tillpost.models.money import nearest_minor

__all__ = [
    "Product",
    "ProductOption",
    "ProductOptionSet",
    "menu_of_products",
    "mixed",
    "taxes_that_come_to",
]

_NOT_HERE = (
    "is offered as an option, but isn't sold at this site, so an order with it would be refused"
)


class Rated(Protocol):
    """Anything with the rate of a tax: 0.1 is ten per cent."""

    @property
    def rate(self) -> Decimal:
        """The rate."""
        ...


R = TypeVar("R", bound=Rated)


class ProductOption(NamedTuple):
    """A product as an option. A `net` of None is the product's own price."""

    product_id: str
    name: str = ""
    net: Decimal | None = None


class ProductOptionSet(NamedTuple):
    """Options that belong together. What is `removable` may be taken off, too: its id then has a minus before it."""

    id: str
    name: str
    choices: Sequence[ProductOption]
    minimum: int = 0
    maximum: int | None = None
    removable: bool = False


class Product(NamedTuple):
    """What the site sells. `net` is its price without tax, in major units; None where it is keyed in."""

    id: str
    name: str
    sku: str
    net: Decimal | None
    taxes: Sequence[Tax]
    categories: Sequence[str]
    sets: Sequence[ProductOptionSet]
    sold_out: bool
    online: bool


def menu_of_products(
    products: Sequence[Product], *, site: str, currency: str, faults: Sequence[SetupFault] = ()
) -> Menu:
    """Return the menu, imported now. A price holds the tax where the product's taxes are `included`."""
    by_id = {product.id: product for product in products}
    found = dict.fromkeys(faults)
    groups: dict[str, ModifierGroup] = {}
    for given in (each for product in products for each in product.sets):
        here = [choice for choice in given.choices if choice.product_id in by_id]
        away = [choice for choice in given.choices if choice.product_id not in by_id]
        found |= {
            SetupFault(subject=choice.name or choice.product_id, text=_NOT_HERE): None
            for choice in away
        }
        options = [_option(choice, by_id, currency) for choice in here]
        if given.removable:
            options += [
                ModifierOption(id=f"-{option.id}", name=f"No {option.name}") for option in options
            ]
        groups[given.id] = ModifierGroup(id=given.id, name=given.name, options=tuple(options))
    return Menu(
        site=site,
        currency=currency,
        imported_at=datetime.now(UTC),
        items=tuple(_item(product, currency) for product in products),
        groups=tuple(groups.values()),
        taxes=tuple({tax.id: tax for product in products for tax in product.taxes}.values()),
        faults=tuple(found),
    )


def taxes_that_come_to(tax: Decimal, net: Decimal, taxes: Sequence[R]) -> Sequence[R] | None:
    """Return those taxes (at most two) that come to `tax` on a price; None when no set of them does, or several do.

    For a platform whose lists tell the taxes on a product as a sum.
    """
    few = (some for count in range(3) for some in combinations(taxes, count))
    fits = [some for some in few if round(net * sum(one.rate for one in some), 2) == round(tax, 2)]
    return fits[0] if len(fits) == 1 else None


def _item(product: Product, currency: str) -> Item:
    sold = Variation(
        id=product.id,
        sku=product.sku,
        price=_price(product, product.net, currency),
        exact_price=product.net,
        sold_out=product.sold_out,
    )
    return Item(
        id=product.id,
        name=product.name,
        categories=tuple(product.categories),
        variations=(sold,),
        groups=tuple(
            GroupUse(group_id=s.id, minimum=s.minimum, maximum=s.maximum) for s in product.sets
        ),
        tax_ids=tuple(tax.id for tax in product.taxes),
        online=product.online,
    )


def _option(choice: ProductOption, by_id: Mapping[str, Product], currency: str) -> ModifierOption:
    product = by_id[choice.product_id]
    net = product.net if choice.net is None else choice.net
    return ModifierOption(
        id=product.id,
        sku=product.sku,
        name=choice.name or product.name,
        price=_price(product, net, currency),
        exact_price=net,
        sold_out=product.sold_out,
    )


def _price(product: Product, net: Decimal | None, currency: str) -> int | None:
    if net is None:
        return None
    return nearest_minor(
        net * (1 + sum(tax.rate for tax in product.taxes if tax.included)), currency
    )


def mixed(products: Sequence[Product]) -> list[SetupFault]:
    """Return the products that no order can go in with where the two ways of choosing don't go together."""
    text = "has option sets and modifiers at once, a setup that can't be ordered online; keep one of the two"
    return [
        SetupFault(subject=p.name, text=text)
        for p in products
        if len({s.removable for s in p.sets}) > 1
    ]
