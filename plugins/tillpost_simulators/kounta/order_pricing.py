"""The computation of what an order comes to.

It is made of prices without tax, quantities, variations, and the tax on top.

unconfirmed: all of this is our reading of samples. They show that prices exclude tax, that a line's
price and tax are returned for one unit, to the cent and without its variation (1.3636 as 1.36), and
which fields there are; not how sums are rounded, nor that modifiers add to a line's total and the
order's variation to every line's. A handful of real orders with odd prices, modifiers and
variations would settle it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

from tillpost.models.money import exponent
from tillpost_simulators.kounta.world import ZERO, Line, Order, Product, Site, Tax, World

_ONE = Decimal(1)
_ROUNDING = {"up": ROUND_HALF_UP, "even": ROUND_HALF_EVEN}


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """What a tax comes to, not rounded."""

    tax: Tax
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PricedLine:
    """The amounts of a line.

    `unit_price` and `unit_tax` are for one unit without modifiers, the totals for the whole line
    with them. Amounts are rounded to the minor unit, those of `taxes` aren't.
    """

    unit_price: Decimal
    unit_tax: Decimal
    total_ex_tax: Decimal
    total_tax: Decimal
    taxes: tuple[TaxAmount, ...]


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """The amounts of an order. `taxes` holds what each tax comes to, by its name."""

    lines: tuple[PricedLine, ...]
    total_tax: Decimal
    total: Decimal
    taxes: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class _ExactLine:
    """A line's total without tax, and its taxes, not rounded."""

    ex_tax: Decimal
    taxes: tuple[TaxAmount, ...]


def rounded(world: World, amount: Decimal) -> Decimal:
    """Round an amount to the currency's minor unit, and halves as the settings say."""
    settings = world.settings
    unit = Decimal(1).scaleb(-exponent(settings.currency))
    return amount.quantize(unit, _ROUNDING[settings.halves])


def priced(world: World, order: Order) -> PricedOrder:
    """Return the amounts of an order.

    `tax_rounding` decides whether tax is rounded on each line or on the order.
    """
    exact_lines = _exact_lines(world, order)
    lines = tuple(
        _rounded_line(world, line, exact)
        for line, exact in zip(order.lines, exact_lines, strict=True)
    )
    by_line = world.settings.tax_rounding == "line"
    tax_by_name = _tax_by_name(world, exact_lines, by_line=by_line)
    if by_line:
        total_tax = _sum(line.total_tax for line in lines)
        ex_tax = _sum(line.total_ex_tax for line in lines)
    else:
        total_tax = rounded(world, _sum(tax_by_name.values()))
        ex_tax = rounded(world, _sum(exact.ex_tax for exact in exact_lines))
    return PricedOrder(
        lines=lines,
        total_tax=total_tax,
        total=ex_tax + total_tax,
        taxes={name: rounded(world, amount) for name, amount in tax_by_name.items()},
    )


def _rounded_line(world: World, line: Line, exact: _ExactLine) -> PricedLine:
    unit_tax = line.unit_price * world.tax_rate_of(line.product)
    line_tax = _sum(tax.amount for tax in exact.taxes)
    return PricedLine(
        unit_price=rounded(world, line.unit_price),
        unit_tax=rounded(world, unit_tax),
        total_ex_tax=rounded(world, exact.ex_tax),
        total_tax=rounded(world, line_tax),
        taxes=exact.taxes,
    )


def _tax_by_name(world: World, lines: Sequence[_ExactLine], *, by_line: bool) -> dict[str, Decimal]:
    by_name: dict[str, Decimal] = {}
    for line in lines:
        for tax in line.taxes:
            amount = rounded(world, tax.amount) if by_line else tax.amount
            name = tax.tax.name
            by_name[name] = by_name.get(name, ZERO) + amount
    return by_name


def _exact_lines(world: World, order: Order) -> list[_ExactLine]:
    site = world.sites[order.site_id]
    order_variation = _or_one(order.price_variation)
    return [_exact_line(world, site, line, order_variation) for line in order.lines]


def _exact_line(
    world: World,
    site: Site,
    line: Line,
    order_variation: Decimal,
) -> _ExactLine:
    """Price a line and its modifiers; each product has its own taxes."""
    factor = line.quantity * _or_one(line.price_variation) * order_variation
    unit_price = ZERO
    tax_by_id: dict[int, TaxAmount] = {}
    for product, price in _parts(world, site, line):
        unit_price += price
        for tax in world.taxes_of(product):
            amount = price * factor * tax.rate
            if tax.id in tax_by_id:
                amount += tax_by_id[tax.id].amount
            tax_by_id[tax.id] = TaxAmount(tax, amount)
    return _ExactLine(unit_price * factor, tuple(tax_by_id.values()))


def _parts(world: World, site: Site, line: Line) -> Iterator[tuple[Product, Decimal]]:
    """Yield the line's product and its added modifiers, each with its price for one."""
    yield line.product, line.unit_price
    if line.price_sent and world.settings.unit_price_covers_modifiers:
        return
    for product_id in line.modifiers:
        # unconfirmed: that taking something off (a negative id) changes no price; a real order
        # would show it.
        if product_id > 0:
            modifier = world.products[product_id]
            yield modifier, world.choice_price(line.product, modifier, site)


def _or_one(variation: Decimal | None) -> Decimal:
    return _ONE if variation is None else variation


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)
