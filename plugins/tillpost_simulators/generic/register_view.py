"""The view of an order on the store's register: the order as it was sent, whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from tillpost.models.money import format_money
from tillpost.models.order import Charge, Delivery, DineIn, Discount, Line, Modifier, Order, Pickup
from tillpost.simulator import Section, ViewRow
from tillpost.simulator.register_view import quantified, settlement, texts
from tillpost_simulators.generic.world import StoredOrder

__all__ = ["register_rows"]


def register_rows(stored: StoredOrder) -> Sequence[Section]:
    """Return the sections of the order's view."""
    order = stored.order
    lines = [row for line in order.lines for row in _line(line)]
    payments = [(_joined(each.method, each.reference), each.amount) for each in order.payments]
    settled = settlement(stored.total, order.paid, order.currency, payments)
    notes = texts(*(("Docket", remark) for remark in stored.new.remarks), ("Note", order.note))
    return [_head(stored), lines, [*_sums(stored), *settled, *_included_tax(stored)], notes]


def _head(stored: StoredOrder) -> list[ViewRow]:
    order = stored.order
    rows = texts(
        ("Order", order.code),
        ("State", stored.status),
        ("Reference", order.id),
        ("Placed", order.placed_at.isoformat()),
    )
    rows += _fulfilment(order)
    customer = order.customer
    if customer is not None:
        rows += texts(
            ("Customer", customer.name), ("Phone", customer.phone), ("E-mail", customer.email)
        )
    return rows


def _fulfilment(order: Order) -> list[ViewRow]:
    due = order.due_at.isoformat() if order.due_at else "as soon as possible"
    match order.fulfilment:
        case Delivery(address=address, instructions=instructions):
            return texts(
                ("Delivery", due), ("Address", str(address)), ("Instructions", instructions)
            )
        case DineIn(table=table, guests=guests):
            count = str(guests) if guests else ""
            return texts(("Dine in", due), ("Table", table), ("Guests", count))
        case Pickup(curbside=curbside):
            where = (curbside.details or "yes") if curbside else ""
            return texts(("Pickup", due), ("Curbside", where))


def _line(line: Line) -> Iterator[ViewRow]:
    yield ViewRow(quantified(line.quantity, line.name), line.quantity * line.unit_price)
    yield from _modifiers(line.modifiers, line.quantity, 1)
    yield from _discounts(line.discounts, 1)
    yield from texts(("Note", line.note), depth=1)


def _modifiers(modifiers: Sequence[Modifier], pieces: int, depth: int) -> Iterator[ViewRow]:
    """Yield the choices on so many pieces; those on a choice are indented below it."""
    for modifier in modifiers:
        count = pieces * modifier.quantity
        text = f"+ {quantified(modifier.quantity, modifier.name)}"
        yield ViewRow(text, count * modifier.unit_price, depth)
        yield from _modifiers(modifier.modifiers, count, depth + 1)


def _discounts(discounts: Sequence[Discount], depth: int) -> Iterator[ViewRow]:
    for discount in discounts:
        yield ViewRow(discount.name, -discount.amount, depth)


def _sums(stored: StoredOrder) -> Iterator[ViewRow]:
    order = stored.order
    for charge in order.charges:
        yield from _charge(charge)
    yield from _discounts(order.discounts, 0)
    if order.tip:
        yield ViewRow("Tip", order.tip)
    if not order.prices_include_tax:
        yield ViewRow("Tax", order.tax)
        yield from _named_taxes(order)


def _charge(charge: Charge) -> Iterator[ViewRow]:
    yield ViewRow(charge.name, charge.amount)
    yield from _discounts(charge.discounts, 1)


def _included_tax(stored: StoredOrder) -> Iterator[ViewRow]:
    order = stored.order
    if order.prices_include_tax:
        yield ViewRow(f"Tax included: {format_money(stored.tax, order.currency)}")
        yield from _named_taxes(order)


def _named_taxes(order: Order) -> Iterator[ViewRow]:
    """Yield the taxes by the names that the ordering site gave them."""
    for tax in order.taxes:
        rate = "" if tax.rate is None else f"{Decimal(tax.rate * 100).normalize():f} %"
        amount = format_money(tax.amount, order.currency)
        yield ViewRow(f"{_joined(tax.name, rate)}: {amount}", depth=1)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
