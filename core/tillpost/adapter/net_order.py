"""An order as nothing but products at prices without tax, for platforms that know nothing else.

Such a platform has no field for a charge, a discount or a tip: each goes in as a product that a
setting names (`SubstituteProducts`). `itemise` returns all lines, with prices from which the
platform computes what the customer paid; `misbilled` compares what it did compute. Nothing is
dropped: what no product is named for is a `SetupError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field

from tillpost.adapter.net_prices import NetLine, net_values, shares
from tillpost.errors import MenuError, PosError, SetupError, TaxError
from tillpost.models.menu import Menu, Tax
from tillpost.models.money import exponent, format_money, nearest_minor
from tillpost.models.order import Delivery, DineIn, Modifier, Order, PosOrder, PosState

__all__ = [
    "Billed",
    "Itemised",
    "ProductId",
    "SubstituteProducts",
    "as_note",
    "in_words",
    "itemise",
    "misbilled",
    "proved",
    "reference_in",
]

ProductId = Annotated[str, Field(min_length=1, max_length=192, coerce_numbers_to_str=True)]


class SubstituteProducts(BaseModel):
    """Settings that name the products which stand for what a platform has no field for.

    Attributes: charge_products: the product that a charge goes in as, by the charge's name or, for
        all others, by its kind. tip_product: the product that a tip goes in as. discount_product:
        the product that a discount goes in as, at a negative price. discounts: `product` as above;
        `multiplier` lowers the lines by a factor instead.
    """

    charge_products: dict[str, ProductId] = {}
    tip_product: ProductId | None = None
    discount_product: ProductId | None = None
    discounts: Literal["product", "multiplier"] = "product"


class Itemised(NamedTuple):
    """A line of one product. `price` is for one, in major units, without tax and without the modifiers' own prices.

    `modifiers` are their ids, repeated by quantity; `multiplier` is what the line is lowered by,
    None for nothing.
    """

    product_id: str
    quantity: int
    price: Decimal
    note: str
    modifiers: tuple[str, ...]
    multiplier: Decimal | None


class Billed(NamedTuple):
    """What the platform computed for a line, in major units, None where it doesn't say; `taxes` by their names."""

    product_id: str
    net: Decimal | None
    tax: Decimal | None
    taxes: Sequence[str] = ()


class _Item(NamedTuple):
    """What was paid for a line, in minor units, less what is `off`, and the product and taxes that it goes in with."""

    product_id: str
    quantity: int
    paid: int
    name: str
    note: str = ""
    modifiers: Sequence[Modifier] = ()
    off: int = 0
    is_tip: bool = False


def itemise(order: Order, menu: Menu, stand_ins: SubstituteProducts) -> list[Itemised]:
    """Return every line of the order: its own lines first, then charges, discounts and the tip.

    Raises `SetupError` for what no product is named for, `MenuError` for a product that isn't on
    the menu, and `TaxError` when the tax that was added to the prices isn't what the menu's taxes
    come to.
    """
    items, scale = _items(order, stand_ins), Decimal(10) ** exponent(order.currency)
    taxes = [_taxes(menu, item.product_id, item.name) for item in items]
    made: list[Itemised] = []
    equations: list[NetLine] = []
    for item, rate, due in zip(items, map(_rate, taxes), _dues(order, items, taxes), strict=True):
        sold, variation = menu.by_variation[item.product_id]
        options = menu.options(sold)
        chosen = [options[m.modifier_id] for m in item.modifiers for _ in range(m.quantity)]
        times = item.quantity * scale
        added = [(times * (o.exact_price or 0), _option_rate(menu, o.id, rate)) for o in chosen]
        net, tax = (
            sum((p for p, _ in added), Decimal(0)),
            sum((p * r for p, r in added), Decimal(0)),
        )
        equation, price = (
            NetLine(due, (net, times), (tax, times * rate), variation.exact_price),
            Decimal(0),
        )
        if item.off:  # the price as it was, and a factor that takes the discount off
            before = due + round(item.off * (1 if order.prices_include_tax else 1 + rate))
            (price,) = net_values([equation._replace(due=before)])
            net, tax = equation.at(price)
            equation = NetLine(due, (Decimal(0), net), (Decimal(0), tax))
        ids = tuple(o.id for o in chosen)
        made.append(Itemised(item.product_id, item.quantity, price, item.note, ids, None))
        equations.append(equation)
    return [
        line._replace(multiplier=value) if item.off else line._replace(price=value)
        for line, item, value in zip(made, items, net_values(equations), strict=True)
    ]


def proved(
    order: Order,
    stand_ins: SubstituteProducts,
    billed: Sequence[Billed],
    menu: Menu | None,
    found: PosOrder,
) -> PosOrder:
    """Return the order as it was found, with the total that the platform computed; raise what is wrong with it.

    What staff have refused or deleted is no longer compared.
    """
    total = _total(billed, order.currency)
    wrong = misbilled(order, stand_ins, billed, menu)
    if wrong and found.state in (PosState.RECEIVED, PosState.ACCEPTED):
        wrong.pos_order = found
        raise wrong
    untold = (
        ()
        if total is not None
        else ("The POS doesn't say what the order comes to, so its total isn't proved",)
    )
    return found.model_copy(update={"total": total, "notices": (*found.notices, *untold)})


def _total(billed: Sequence[Billed], currency: str) -> int | None:
    """Return what the platform's lines come to, in minor units; None when it doesn't say of each."""
    sums = [line.net + line.tax for line in billed if line.net is not None and line.tax is not None]
    return nearest_minor(sum(sums, Decimal(0)), currency) if len(sums) == len(billed) else None


def misbilled(
    order: Order, stand_ins: SubstituteProducts, billed: Sequence[Billed], menu: Menu | None
) -> PosError | None:
    """Return what is wrong with an order as the platform computed it; None when it comes to what was paid.

    The error says that the order was created. It is one of taxes, and names them, when the menu's
    taxes on the platform's own prices come to what was paid, when the platform puts more than one
    on a line, or when only a rounding is left. A total that the platform doesn't say isn't
    compared.
    """
    expected, scale = len(_items(order, stand_ins)), Decimal(10) ** exponent(order.currency)
    if len(billed) != expected:
        return MenuError(f"it has {len(billed)} lines there, not {expected}", reason="created")
    total = _total(billed, order.currency)
    if total is None or total == order.total:
        return None
    sums = [
        (x.product_id, x.net * scale, x.tax * scale)
        for x in billed
        if x.net is not None and x.tax is not None
    ]
    said = f"it comes to {format_money(total, order.currency)} there, paid {format_money(order.total, order.currency)}"
    taxes = [
        menu.taxes_on(menu.by_variation[p][0]) if menu and p in menu.by_variation else ()
        for p, _, _ in sums
    ]
    right = sum(
        (net * (1 + _rate(of)) for (_, net, _), of in zip(sums, taxes, strict=True)), Decimal(0)
    )
    tax = format_money(round(sum(tax for _, _, tax in sums)), order.currency)
    several = any(len(line.taxes) > 1 for line in billed)
    if several or abs(total - order.total) <= expected or abs(right - order.total) <= expected:
        names = tuple(dict.fromkeys(name for line in billed for name in line.taxes)) or _names(
            taxes
        )
        return TaxError(
            f"{said}, {tax} of it tax ({', '.join(names)})", subjects=names, reason="created"
        )
    return MenuError(f"{said}, {tax} of it tax", reason="created")


def in_words(order: Order) -> list[str]:
    """Return what staff need and such a platform has no field for, a line each: whom it is for, where to, what is paid.

    A payment's own reference is said, since it finds the payment at its provider.
    """
    who, how = order.customer, order.fulfilment
    said = [
        " ".join(part for part in (order.code, who.name, who.phone) if part) if who else order.code
    ]
    if isinstance(how, Delivery):
        said += [f"DELIVER TO: {how.address}", how.instructions]
    if isinstance(how, DineIn):
        said.append(f"TABLE {how.table}")
    said += [
        f"PAID: {p.method} {format_money(p.amount, order.currency)} {p.reference}"
        for p in order.payments
    ]
    return [line.strip() for line in said if line]


def as_note(order: Order, remarks: Sequence[str] = ()) -> str:
    """Return all that goes into an order's free text, a line each, the reference first; `reference_in` reads it."""
    return "\n".join(filter(None, (f"Ref: {order.id}", *in_words(order), *remarks, order.note)))


def reference_in(note: str) -> str:
    """Return the whole reference that a note begins with, empty when it begins otherwise."""
    first = note.partition("\n")[0].strip()
    return first.removeprefix("Ref: ") if first.startswith("Ref: ") else ""


def _items(order: Order, stand_ins: SubstituteProducts) -> list[_Item]:
    off = sum(d.amount for d in order.discounts) if stand_ins.discounts == "multiplier" else 0
    items = [
        _Item(
            line.item_id,
            line.quantity,
            line.total - share,
            line.name,
            line.note,
            line.modifiers,
            share,
        )
        for line, share in zip(
            order.lines, shares(off, [line.total for line in order.lines]), strict=True
        )
    ]
    products = stand_ins.charge_products
    extras = [
        (products.get(c.name) or products.get(c.kind), "charge_products", c.name, c.amount)
        for c in order.charges
    ]
    if stand_ins.discounts == "product":
        extras += [
            (stand_ins.discount_product, "discount_product", d.name, -d.amount)
            for d in order.discounts
        ]
    extras.append((stand_ins.tip_product, "tip_product", "Tip", order.tip))
    for product_id, setting, name, amount in extras:
        if amount and product_id is None:
            raise SetupError(
                f"the order has {name!r}, but the setting {setting} names no product that it could go in as"
            )
        if amount and product_id is not None:
            items.append(_Item(product_id, 1, amount, name, name, is_tip=setting == "tip_product"))
    return items


def _taxes(menu: Menu, product_id: str, name: str) -> Sequence[Tax]:
    sold = menu.by_variation.get(product_id)
    if sold is None:
        said = f"the product {product_id}, which {name} goes in as, isn't on the menu"
        raise MenuError(said, subjects=(name,), reason="gone")
    return menu.taxes_on(sold[0])


def _option_rate(menu: Menu, option_id: str, otherwise: Decimal) -> Decimal:
    """An option is taxed as the product that it is, where it is one."""
    sold = menu.by_variation.get(option_id)
    return _rate(menu.taxes_on(sold[0])) if sold else otherwise


def _rate(taxes: Sequence[Tax]) -> Decimal:
    return sum((tax.rate for tax in taxes), Decimal(0))


def _names(taxes: Sequence[Sequence[Tax]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tax.name for of in taxes for tax in of))


def _dues(order: Order, items: Sequence[_Item], taxes: Sequence[Sequence[Tax]]) -> list[int]:
    """What each line comes to with its tax. A tip stays as it is; on the others the tax of the order is spread."""
    if order.prices_include_tax:
        return [item.paid for item in items]
    exact = [
        item.paid * (Decimal(0) if item.is_tip else _rate(of))
        for item, of in zip(items, taxes, strict=True)
    ]
    asked = sum(exact, Decimal(0))
    if abs(order.tax - asked) > Decimal(len(items) + 1) / 2:
        names = _names(taxes)
        charged = format_money(round(asked), order.currency)
        said = f"the order holds {format_money(order.tax, order.currency)} of tax, {', '.join(names) or 'the menu'} asks"
        raise TaxError(f"{said} for {charged}", subjects=names)
    return [item.paid + share for item, share in zip(items, shares(order.tax, exact), strict=True)]
