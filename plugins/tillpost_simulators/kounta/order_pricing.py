"""What an order comes to: prices without tax, times quantity and variations, and the tax on top.

unconfirmed: all of this is our reading of samples. They show that prices exclude tax, that a line's
price and tax read back for one, to the cent and without its variation (1.3636 as 1.36), and which
fields there are; not how sums are rounded, nor that modifiers add to a line's total and the order's
variation to every line's. A handful of real orders with odd prices, modifiers and variations would
settle it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from tillpost_simulators.kounta.world import ZERO, Line, Order, Product, Site, Tax, World

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line's amounts: its price and tax for one, without modifiers, and its sums with them, as they read back."""

    unit_price: Decimal
    unit_tax: Decimal
    total_ex_tax: Decimal
    total_tax: Decimal
    taxes: tuple[tuple[Tax, Decimal], ...]


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """An order's amounts. `taxes` are what each tax comes to, by its name."""

    lines: tuple[PricedLine, ...]
    total_tax: Decimal
    total: Decimal
    taxes: dict[str, Decimal]


def cents(amount: Decimal) -> Decimal:
    """An amount rounded to the cent, halves away from zero."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def priced(world: World, order: Order) -> PricedOrder:
    """An order with its amounts. Tax is rounded on each line or on the order (`tax_rounding`)."""
    site = world.sites[order.site_id]
    variation = Decimal(1) if order.price_variation is None else order.price_variation
    exact = [_exact(world, site, line, variation) for line in order.lines]
    lines = tuple(
        PricedLine(
            unit_price=cents(line.unit_price),
            unit_tax=cents(line.unit_price * _rate(world, line.product)),
            total_ex_tax=cents(ex_tax),
            total_tax=cents(sum((amount for _, amount in taxes), ZERO)),
            taxes=taxes,
        )
        for line, (ex_tax, taxes) in zip(order.lines, exact, strict=True)
    )
    by_line = world.settings.tax_rounding == "line"
    by_name: dict[str, Decimal] = {}
    for _, taxes in exact:
        for tax, amount in taxes:
            by_name[tax.name] = by_name.get(tax.name, ZERO) + (cents(amount) if by_line else amount)
    if by_line:
        total_tax = sum((line.total_tax for line in lines), ZERO)
        ex_tax = sum((line.total_ex_tax for line in lines), ZERO)
    else:
        total_tax = cents(sum(by_name.values(), ZERO))
        ex_tax = cents(sum((amount for amount, _ in exact), ZERO))
    return PricedOrder(
        lines, total_tax, ex_tax + total_tax, {name: cents(tax) for name, tax in by_name.items()}
    )


def _exact(
    world: World, site: Site, line: Line, order_variation: Decimal
) -> tuple[Decimal, tuple[tuple[Tax, Decimal], ...]]:
    """A line's sum without tax, and what each tax on it comes to, not rounded. Each product bears its own taxes."""
    variation = Decimal(1) if line.price_variation is None else line.price_variation
    times = line.quantity * variation * order_variation
    parts = [(line.product, line.unit_price)]
    if not (line.price_sent and world.settings.unit_price_covers_modifiers):
        # unconfirmed: that taking something off (a negative id) changes no price; a real order
        # would tell.
        added = [world.products[product_id] for product_id in line.modifiers if product_id > 0]
        parts += [
            (modifier, world.choice_price(line.product, modifier, site)) for modifier in added
        ]
    taxes: dict[int, tuple[Tax, Decimal]] = {}
    for product, price in parts:
        for tax in world.taxes_of(product):
            before = taxes[tax.id][1] if tax.id in taxes else ZERO
            taxes[tax.id] = (tax, before + price * times * tax.rate)
    return sum((price for _, price in parts), ZERO) * times, tuple(taxes.values())


def _rate(world: World, product: Product) -> Decimal:
    # unconfirmed: that two taxes are added up and not compounded; a product with two would tell.
    return sum((tax.rate for tax in world.taxes_of(product)), ZERO)
