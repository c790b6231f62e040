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
    lines = [
        row
        for line, amount in zip(order.lines, amounts.lines, strict=True)
        for row in _line(world, order, line, amount)
    ]
    payments = [
        (_payment_name(world.payment_methods[each.method_id], each.ref), _minor(world, each.amount))
        for each in order.payments
    ]
    total = _minor(world, amounts.total)
    paid = _minor(world, order.paid)
    settled = settlement(total, paid, world.settings.currency, payments)
    sums = [*_sums(world, order, amounts), *settled, *_taxes(world, amounts)]
    return [_head(world, order), lines, sums, texts(("Note", order.notes))]


def _head(world: World, order: Order) -> list[ViewRow]:
    rows = texts(
        ("Order", order.sale_number or order.sale_id),
        ("State", order.status),
        ("Type", order.order_type),
        ("Due", order.fulfil_at),
        ("Guests", str(order.guests) if order.guests else None),
    )
    customer = world.customers.get(order.customer_id or 0)
    if customer is not None:
        rows += texts(
            ("Customer", f"{customer.first_name} {customer.last_name}".strip()),
            ("Phone", customer.phone),
            ("E-mail", customer.email),
        )
    return rows


def _line(world: World, order: Order, line: Line, amount: PricedLine) -> Iterator[ViewRow]:
    text = quantified(line.quantity, line.product.name)
    yield ViewRow(text, _minor(world, amount.total_ex_tax + amount.total_tax))
    # A negative id takes the product off, so it counts against an added one.
    counts = Counter[int]()
    for modifier in line.modifiers:
        counts[abs(modifier)] += 1 if modifier > 0 else -1
    for product_id, count in counts.items():
        yield _modifier(world, order, line, product_id, count)
    if line.price_variation not in (None, 1):
        yield ViewRow(f"Price x {line.price_variation}", depth=1)
    yield from texts(("Note", line.notes), depth=1)


def _modifier(world: World, order: Order, line: Line, product_id: int, count: int) -> ViewRow:
    """Return the row of a modifier.

    Its price is in the line's, so it is written as text.
    """
    product = world.products[product_id]
    sign = "-" if count < 0 else "+"
    text = f"{sign} {quantified(abs(count), product.name)}"
    price = world.choice_price(line.product, product, world.sites[order.site_id])
    if not price or count <= 0:
        return ViewRow(text, depth=1)
    with_tax = price * (1 + world.tax_rate_of(product))
    each = format_money(_minor(world, with_tax), world.settings.currency)
    return ViewRow(f"{text} (each {each})", depth=1)


def _sums(world: World, order: Order, amounts: PricedOrder) -> Iterator[ViewRow]:
    """Yield what an order has beside its lines.

    That is its variation, and the rounding of the whole.
    """
    if order.price_variation not in (None, 1):
        yield ViewRow(f"All prices x {order.price_variation}")
    by_line = sum((line.total_ex_tax + line.total_tax for line in amounts.lines), Decimal(0))
    rounding = _minor(world, amounts.total - by_line)
    if rounding:
        yield ViewRow("Rounding of the order", rounding)


def _taxes(world: World, amounts: PricedOrder) -> Iterator[ViewRow]:
    for name, amount in amounts.taxes.items():
        written = format_money(_minor(world, amount), world.settings.currency)
        yield ViewRow(f"{name} included: {written}")


def _payment_name(method: str, reference: str | None) -> str:
    return f"{method} {reference or ''}".strip()


def _minor(world: World, amount: Decimal) -> int:
    return nearest_minor(amount, world.settings.currency)
