"""The view of an order on a register of Kounta.

Prices include tax, as on the register. A line's amount is for all its pieces with their modifiers,
at the prices that a variation has left.

unconfirmed: how the register lays an order out; a look at one would show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

from tillpost.models.money import format_money, nearest_minor
from tillpost.simulator import Section, ViewRow
from tillpost.simulator.register_view import quantified, settlement, texts
from tillpost_simulators.kounta.order_pricing import PricedLine, PricedOrder, priced
from tillpost_simulators.kounta.world import Line, Order, World

__all__ = ["register_rows"]


def register_rows(world: World, order: Order) -> Sequence[Section]:
    """Return the sections of the order's view."""
    amounts = priced(world, order)
    sums = [
        *_sums(world, order, amounts),
        *_settlement(world, order, amounts),
        *_taxes(world, amounts),
    ]
    return [
        _head(world, order),
        _lines(world, order, amounts),
        sums,
        texts(("Note", order.notes)),
    ]


def _head(world: World, order: Order) -> list[ViewRow]:
    guests = str(order.guests) if order.guests else None
    rows = texts(
        ("Order", order.sale_number or order.sale_id),
        ("State", order.status),
        ("Type", order.order_type),
        ("Due", order.fulfil_at),
        ("Guests", guests),
    )
    customer = world.customers.get(order.customer_id or 0)
    if customer is None:
        return rows
    name = f"{customer.first_name} {customer.last_name}"
    rows += texts(
        ("Customer", name.strip()),
        ("Phone", customer.phone),
        ("E-mail", customer.email),
    )
    return rows


def _lines(world: World, order: Order, amounts: PricedOrder) -> list[ViewRow]:
    rows: list[ViewRow] = []
    for line, amount in zip(order.lines, amounts.lines, strict=True):
        rows += _line(world, order, line, amount)
    return rows


def _line(
    world: World,
    order: Order,
    line: Line,
    amount: PricedLine,
) -> Iterator[ViewRow]:
    text = quantified(line.quantity, line.product.name)
    with_tax = _with_tax(amount)
    yield ViewRow(text, _minor(world, with_tax))
    # A negative id takes the product off, so it counts against an added one.
    counts = Counter[int]()
    for modifier in line.modifiers:
        product_id = abs(modifier)
        counts[product_id] += 1 if modifier > 0 else -1
    for product_id, count in counts.items():
        yield _modifier(world, order, line, product_id, count)
    if line.price_variation not in (None, 1):
        yield ViewRow(f"Price x {line.price_variation}", depth=1)
    yield from texts(("Note", line.notes), depth=1)


def _modifier(
    world: World,
    order: Order,
    line: Line,
    product_id: int,
    count: int,
) -> ViewRow:
    """Return the row of a modifier.

    Its price is in the line's, so it is written as text.
    """
    product = world.products[product_id]
    sign = "-" if count < 0 else "+"
    pieces = quantified(abs(count), product.name)
    text = f"{sign} {pieces}"
    site = world.sites[order.site_id]
    price = world.choice_price(line.product, product, site)
    if not price or count <= 0:
        return ViewRow(text, depth=1)
    tax_rate = world.tax_rate_of(product)
    with_tax = price * (1 + tax_rate)
    each = _written(world, with_tax)
    return ViewRow(f"{text} (each {each})", depth=1)


def _sums(
    world: World,
    order: Order,
    amounts: PricedOrder,
) -> Iterator[ViewRow]:
    """Yield what an order has beside its lines.

    That is its variation, and the rounding of the whole.
    """
    if order.price_variation not in (None, 1):
        yield ViewRow(f"All prices x {order.price_variation}")
    by_line = sum(map(_with_tax, amounts.lines), Decimal(0))
    rounding = _minor(world, amounts.total - by_line)
    if rounding:
        yield ViewRow("Rounding of the order", rounding)


def _settlement(
    world: World,
    order: Order,
    amounts: PricedOrder,
) -> list[ViewRow]:
    payments: list[tuple[str, int]] = []
    for payment in order.payments:
        method = world.payment_methods[payment.method_id]
        reference = payment.ref or ""
        name = f"{method} {reference}".strip()
        amount = _minor(world, payment.amount)
        payments.append((name, amount))
    return settlement(
        total=_minor(world, amounts.total),
        paid=_minor(world, order.paid),
        currency=world.settings.currency,
        payments=payments,
    )


def _taxes(world: World, amounts: PricedOrder) -> Iterator[ViewRow]:
    for name, amount in amounts.taxes.items():
        written = _written(world, amount)
        yield ViewRow(f"{name} included: {written}")


def _with_tax(amount: PricedLine) -> Decimal:
    return amount.total_ex_tax + amount.total_tax


def _written(world: World, amount: Decimal) -> str:
    minor = _minor(world, amount)
    return format_money(minor, world.settings.currency)


def _minor(world: World, amount: Decimal) -> int:
    return nearest_minor(amount, world.settings.currency)
