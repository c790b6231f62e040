"""Menus of products at prices without tax, for platforms that know nothing else.

On such a platform an option is a product as well, and a product may be sold at one site and not at
another. An option that isn't sold at the site is left out and reported as a setup fault.
`exact_price` keeps the platform's decimals, without tax. `net_order` is the counterpart for orders.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations
from typing import NamedTuple, Protocol, TypeVar

from pydantic import ValidationError

from tillpost.adapter.odd_objects import odd_fault
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
from tillpost.models.money import exponent, nearest_minor

__all__ = [
    "Product",
    "ProductOption",
    "ProductOptionSet",
    "menu_of_products",
    "mixed_option_faults",
    "taxes_summing_to",
    "with_options",
]

_NOT_SOLD_HERE = (
    "is offered as an option, but isn't sold at this site, so an order with it would be refused"
)
_MIXED_OPTIONS = (
    "has both option sets and modifiers, which can't be ordered online together; "
    "keep only one of the two"
)

MOST_TAXES = 2
"""So many taxes on one product are looked for at most."""


class HasRate(Protocol):
    """Anything with the rate of a tax: 0.1 is ten per cent."""

    @property
    def rate(self) -> Decimal:
        """The rate."""
        ...


R = TypeVar("R", bound=HasRate)


class ProductOption(NamedTuple):
    """A product as an option. If `net` is None, it costs the product's own price."""

    product_id: str
    name: str = ""
    net: Decimal | None = None


class ProductOptionSet(NamedTuple):
    """Options that are chosen from together.

    Attributes:
        id: The set's id.
        name: Its name for people.
        choices: Its options.
        minimum: How many must be chosen.
        maximum: How many may be chosen, None for any number.
        removable: Whether each option may also be removed. Its id then begins with a minus.
    """

    id: str
    name: str
    choices: Sequence[ProductOption]
    minimum: int = 0
    maximum: int | None = None
    removable: bool = False


class Product(NamedTuple):
    """A product of the site.

    Attributes:
        id: The platform's id.
        name: Its name for people.
        sku: Its SKU, empty if it has none.
        net: Its price without tax, in major units; None if it is keyed in at the register.
        taxes: The taxes on it.
        categories: The names of its categories.
        sets: Its options.
        sold_out: Whether it is sold out.
        online: Whether it may be ordered online.
    """

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
    """Return the site's menu, imported now.

    A price on it contains those of the product's taxes that are `included`.

    Args:
        products: All products that the site sells.
        site: The site's id.
        currency: The currency of all prices.
        faults: Faults of the setup that are known already.
    """
    by_id = {product.id: product for product in products}
    option_sets = [option_set for product in products for option_set in product.sets]
    all_faults = [*faults, *_missing_options(option_sets, by_id)]
    items: list[Item] = []
    groups: dict[str, ModifierGroup] = {}
    for product in products:
        try:
            item = _item(product, currency)
            own_groups = [_group(each, by_id, currency) for each in product.sets]
        except ValidationError as error:
            all_faults.append(odd_fault(product.name, error, [product.id]))
        else:
            items.append(item)
            groups |= {group.id: group for group in own_groups}
    taxes = {tax.id: tax for product in products for tax in product.taxes}
    return Menu(
        site=site,
        currency=currency,
        imported_at=datetime.now(UTC),
        items=tuple(items),
        groups=tuple(groups.values()),
        taxes=tuple(taxes.values()),
        faults=tuple(dict.fromkeys(all_faults)),
    )


def with_options(product: Product, known: Collection[str]) -> Product:
    """Return a product with only those of its options that are known products.

    It is for a menu of only what an order names.
    """
    sets = [
        each._replace(choices=[choice for choice in each.choices if choice.product_id in known])
        for each in product.sets
    ]
    return product._replace(sets=sets)


def mixed_option_faults(products: Sequence[Product]) -> list[SetupFault]:
    """Return a fault for each product that has option sets and modifiers.

    It is for platforms that refuse an order with such a product.
    """
    faults: list[SetupFault] = []
    for product in products:
        kinds = {option_set.removable for option_set in product.sets}
        if len(kinds) > 1:
            faults.append(SetupFault(subject=product.name, text=_MIXED_OPTIONS))
    return faults


def taxes_summing_to(
    tax: Decimal, net: Decimal, taxes: Sequence[R], currency: str = "AUD"
) -> Sequence[R] | None:
    """Return the taxes, at most two, that come to `tax` on a price.

    It is for a platform whose lists give only the sum of a product's taxes.

    Args:
        tax: The sum of the taxes, in major units, rounded to the minor unit in any way.
        net: The price without tax, in major units.
        taxes: All taxes that there are.
        currency: The currency, which says what its minor unit is.

    Returns:
        The taxes; None if no set of them fits, or several do.
    """
    half_a_unit = Decimal(10) ** -exponent(currency) / 2
    fitting: list[Sequence[R]] = []
    for count in range(MOST_TAXES + 1):
        for candidate in combinations(taxes, count):
            amount = net * sum(each.rate for each in candidate)
            if abs(amount - tax) <= half_a_unit:
                fitting.append(candidate)
    if len(fitting) != 1:
        return None
    return fitting[0]


def _missing_options(
    option_sets: Sequence[ProductOptionSet], by_id: Mapping[str, Product]
) -> Iterator[SetupFault]:
    for option_set in option_sets:
        for choice in option_set.choices:
            if choice.product_id not in by_id:
                name = choice.name or choice.product_id
                yield SetupFault(subject=name, text=_NOT_SOLD_HERE)


def _group(
    option_set: ProductOptionSet, by_id: Mapping[str, Product], currency: str
) -> ModifierGroup:
    sold_here = [choice for choice in option_set.choices if choice.product_id in by_id]
    options = [_option(choice, by_id[choice.product_id], currency) for choice in sold_here]
    if option_set.removable:
        options += [_removal(option) for option in options]
    return ModifierGroup(id=option_set.id, name=option_set.name, options=tuple(options))


def _option(choice: ProductOption, product: Product, currency: str) -> ModifierOption:
    net = product.net if choice.net is None else choice.net
    return ModifierOption(
        id=product.id,
        sku=product.sku,
        name=choice.name or product.name,
        price=_price(product, net, currency),
        exact_price=net,
        sold_out=product.sold_out,
    )


def _removal(option: ModifierOption) -> ModifierOption:
    return ModifierOption(id=f"-{option.id}", name=f"No {option.name}")


def _item(product: Product, currency: str) -> Item:
    variation = Variation(
        id=product.id,
        sku=product.sku,
        price=_price(product, product.net, currency),
        exact_price=product.net,
        sold_out=product.sold_out,
    )
    groups = [
        GroupUse(group_id=each.id, minimum=each.minimum, maximum=each.maximum)
        for each in product.sets
    ]
    return Item(
        id=product.id,
        name=product.name,
        categories=tuple(product.categories),
        variations=(variation,),
        groups=tuple(groups),
        tax_ids=tuple(tax.id for tax in product.taxes),
        online=product.online,
    )


def _price(product: Product, net: Decimal | None, currency: str) -> int | None:
    """Return a price in minor units with the taxes that it includes."""
    if net is None:
        return None
    included_rate = sum(tax.rate for tax in product.taxes if tax.included)
    return nearest_minor(net * (1 + included_rate), currency)
