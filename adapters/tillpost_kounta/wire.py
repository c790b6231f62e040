"""Kounta's JSON, as far as it is read, and its products as the menu has them.

Field names are those of the vendor's samples and pages; ids are texts. A site's products carry its
own prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import AliasChoices, AliasPath, Field

from tillpost.adapter import (
    OptionalList,
    OptionalText,
    ProductOption,
    ProductOptionSet,
    ResponseModel,
    Tax,
    taxes_that_come_to,
    texts_in,
)
from tillpost.adapter import Product as Sold

__all__ = ["Line", "Order", "Product", "Thing", "currency", "sold", "taxes_of"]

_PRICES = AliasChoices("price_ex_tax", "unit_price_ex_tax", "unit_price")


class Thing(ResponseModel):
    """Anything with an id or a name: a tax and its rate, a category, a payment's `ref`."""

    id: OptionalText = Field("", validation_alias=AliasChoices("product_id", "id_str", "id"))
    name: OptionalText = ""
    rate: Decimal = Decimal(0)
    ref: OptionalText = ""


class Product(Thing):
    """A product, which an option and a modifier are, too; or an option set with its options.

    unconfirmed: that unit_price holds no tax where unit_price_ex_tax isn't sent; what is inside
    "availability"; how a product names the limits of its option sets, which are min_selection and
    max_selection at /optionsets. One product with all of `fields` would tell.
    """

    price: Annotated[Decimal | None, Field(validation_alias=_PRICES)] = None
    code: OptionalText = ""
    unit_tax: Decimal | None = None
    taxes: tuple[Thing, ...] | None = None
    categories: OptionalList[Thing] = ()
    variants: OptionalList[Thing] = ()
    show_online: bool | None = None
    is_available: bool | None = Field(
        None, validation_alias=AliasPath("availability", "is_available")
    )
    option_sets: OptionalList[Product] = ()
    options: OptionalList[Product] = ()
    least: int | None = Field(None, validation_alias=AliasChoices("min_selection", "min"))
    most: int | None = Field(None, validation_alias=AliasChoices("max_selection", "max"))


class Line(ResponseModel):
    """A line as Kounta priced it; lists leave the totals out."""

    product: OptionalText = Field("", validation_alias=AliasPath("product", "id"))
    line_total_ex_tax: Decimal | None = None
    line_total_tax: Decimal | None = None
    taxes: OptionalList[Thing] = ()


class Order(Thing):
    """An order."""

    site_id: OptionalText = ""
    status: OptionalText = ""
    deleted: bool | None = None
    sale_number: OptionalText = ""
    notes: OptionalText = ""
    payments: OptionalList[Thing] = ()
    lines: OptionalList[Line] = ()


def currency(body: bytes) -> str:
    """Read the company's currency, which nothing else tells: without it this is no answer."""
    return texts_in(body)["currency"]


def taxes_of(product: Product, taxes: Sequence[Thing]) -> Sequence[Thing] | None:
    """Return the taxes on a product of a list, which tells their sum alone; None when only its own page can tell."""
    if product.taxes is not None or not product.price or product.unit_tax is None:
        return product.taxes
    return taxes_that_come_to(product.unit_tax, product.price, taxes)


def sold(
    product: Product, taxes: Sequence[Thing], modifiers: Sequence[Product], *, included: bool
) -> Sold:
    """Return the product with its option sets and modifiers."""

    def choices(options: Sequence[Product]) -> list[ProductOption]:
        return [ProductOption(option.id, option.name, option.price) for option in options]

    of = product.option_sets
    sets = [
        ProductOptionSet(
            f"optionset-{s.id}", s.name, choices(s.options), s.least or 0, s.most or None
        )
        for s in of
    ]
    if modifiers:
        sets.append(
            ProductOptionSet(
                f"modifiers-{product.id}", "Modifiers", choices(modifiers), removable=True
            )
        )
    own = [Tax(id=tax.id, name=tax.name, rate=tax.rate, included=included) for tax in taxes]
    gone, online = product.is_available is False, product.show_online is not False
    names = [category.name for category in product.categories]
    return Sold(
        product.id,
        product.name,
        product.code,
        product.price,
        own,
        names,
        sets,
        sold_out=gone,
        online=online,
    )
