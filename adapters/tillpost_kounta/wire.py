"""Kounta's JSON, as far as the adapter reads it.

Its products are here as the menu has them. Field names are those of the vendor's samples and pages.
Ids are read as texts. The products of a site have that site's prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import AliasChoices, AliasPath, Field

from tillpost.adapter import (
    Exact,
    OptionalList,
    OptionalText,
    ProductOption,
    ProductOptionSet,
    ResponseModel,
    Tax,
    taxes_summing_to,
    texts_in,
)
from tillpost.adapter import Product as MenuProduct

__all__ = [
    "PARTS_OF_PRODUCT",
    "Line",
    "ListedProduct",
    "ListedTax",
    "NamedThing",
    "Order",
    "Product",
    "currency_of",
    "menu_product",
    "taxes_in_list",
]

GivenId = Annotated[OptionalText, Field(min_length=1, max_length=192)]
"""An id that may be a number, and that must be there."""

_IDS = AliasChoices("product_id", "id_str", "id")
_ID = Field(validation_alias=_IDS)
_PRICES = AliasChoices("price_ex_tax", "unit_price_ex_tax", "unit_price")


class NamedThing(ResponseModel):
    """Anything with an id or a name.

    That is a tax with its rate, a category, or a payment's `ref`.
    """

    id: OptionalText = Field("", validation_alias=_IDS)
    name: OptionalText = ""
    rate: Exact = Decimal(0)
    ref: OptionalText = ""


class Product(NamedThing):
    """A product, or an option set with options.

    Options and modifiers are products too.

    unconfirmed: that unit_price holds no tax where unit_price_ex_tax isn't sent; what is inside
    "availability"; how a product names the limits of its option sets, which are min_selection and
    max_selection at /optionsets. One product with all of `fields` would show it.
    """

    price: Annotated[Exact | None, Field(validation_alias=_PRICES)] = None
    code: OptionalText = ""
    unit_tax: Exact | None = None
    taxes: OptionalList[NamedThing] | None = None
    categories: OptionalList[NamedThing] = ()
    variants: OptionalList[NamedThing] = ()
    show_online: bool | None = None
    is_available: bool | None = Field(
        None, validation_alias=AliasPath("availability", "is_available")
    )
    option_sets: OptionalList[Product] = ()
    options: OptionalList[Product] = ()
    least: int | None = Field(None, validation_alias=AliasChoices("min_selection", "min"))
    most: int | None = Field(None, validation_alias=AliasChoices("max_selection", "max"))


class ListedTax(NamedThing):
    """A tax, which has an id."""

    id: GivenId = _ID


class ListedProduct(Product):
    """A product of a list, which has an id.

    Its price isn't known if a tax of it isn't.
    """

    id: GivenId = _ID
    taxes: OptionalList[ListedTax] | None = None  # pyright: ignore[reportIncompatibleVariableOverride]


PARTS_OF_PRODUCT = {"option_sets.options": Product}
"""The lists of a product whose objects may be left out on their own.

One that can't be read costs no other.
"""


class Line(ResponseModel):
    """A line as Kounta priced it. Lists of orders leave the totals out."""

    product: OptionalText = Field("", validation_alias=AliasPath("product", "id"))
    name: OptionalText = Field("", validation_alias=AliasPath("product", "name"))
    notes: OptionalText = ""
    line_total_ex_tax: Exact | None = None
    line_total_tax: Exact | None = None
    taxes: OptionalList[NamedThing] = ()


class Payment(NamedThing):
    """A payment with its `ref`, and the id of its method."""

    method: OptionalText = Field("", validation_alias=AliasPath("method", "id"))


class Order(NamedThing):
    """An order. A webhook's body is one as well, or a site.

    Only lists have its `total`, and they may leave out its `lines`.
    """

    site_id: OptionalText = ""
    status: OptionalText = ""
    deleted: bool | None = None
    sale_number: OptionalText = ""
    notes: OptionalText = ""
    placed_at: OptionalText = ""
    total: Exact | None = None
    payments: OptionalList[Payment] = ()
    lines: tuple[Line, ...] | None = None


def currency_of(body: bytes) -> str:
    """Read the currency of a company. Without it the answer is unreadable."""
    return texts_in(body)["currency"]


def taxes_in_list(
    product: Product, taxes: Sequence[NamedThing], currency: str
) -> Sequence[NamedThing] | None:
    """Return the taxes on a product of a list.

    The result is None if only the product's own page has them. A list gives the sum of a product's
    taxes only.
    """
    if product.taxes is not None:
        return product.taxes
    if not product.price or product.unit_tax is None:
        return None
    return taxes_summing_to(product.unit_tax, product.price, taxes, currency)


def menu_product(
    product: Product,
    taxes: Sequence[NamedThing],
    modifiers: Sequence[Product],
    *,
    taxes_included: bool,
) -> MenuProduct:
    """Return a product with its option sets and modifiers, as a menu is made of them.

    Args:
        product: The product.
        taxes: The taxes on it.
        modifiers: Its modifiers, each of which may also be removed.
        taxes_included: Whether the menu's prices include the taxes.
    """
    sets = [
        ProductOptionSet(
            id=f"optionset-{each.id}",
            name=each.name,
            choices=_choices(each.options),
            minimum=max(each.least or 0, 0),
            maximum=each.most if each.most and each.most > 0 else None,
        )
        for each in product.option_sets
    ]
    if modifiers:
        modifiers_id = f"modifiers-{product.id}"
        choices = _choices(modifiers)
        sets.append(ProductOptionSet(modifiers_id, "Modifiers", choices, removable=True))
    return MenuProduct(
        id=product.id,
        name=product.name,
        sku=product.code,
        net=product.price,
        taxes=[
            Tax(id=tax.id, name=tax.name, rate=tax.rate, included=taxes_included) for tax in taxes
        ],
        categories=[category.name for category in product.categories],
        sets=sets,
        sold_out=product.is_available is False,
        online=product.show_online is not False,
    )


def _choices(options: Sequence[Product]) -> list[ProductOption]:
    return [ProductOption(option.id, option.name, option.price) for option in options]
