"""The view of an order on the store's register: the order as it was sent, whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from tillpost.models.money import format_money
from tillpost.models.order import (
    Customer,
    Delivery,
    DineIn,
    Discount,
    Line,
    Modifier,
    Order,
    Pickup,
)
from tillpost.simulator import Section, ViewRow
from tillpost.simulator.register_view import quantified, settlement, texts
from tillpost_simulators.generic.world import StoredOrder

__all__ = ["register_rows"]


def register_rows(stored: StoredOrder) -> Sequence[Section]:
    """Return the sections of the order's view."""
    order = stored.order
    lines: list[ViewRow] = []
    for line in order.lines:
        lines += _line(line)
    sums = [
        *_sums(order),
        *_settlement(stored),
        *_included_tax(stored),
    ]
    return [
        _head(stored),
        lines,
        sums,
        _notes(stored),
    ]


def _head(stored: StoredOrder) -> list[ViewRow]:
    order = stored.order
    rows = texts(
        ("Order", order.code),
        ("State", stored.status),
        ("Reference", order.id),
        ("Placed", order.placed_at.isoformat()),
    )
    rows += _fulfilment(order)
    if order.customer is not None:
        rows += _customer(order.customer)
    return rows


def _fulfilment(order: Order) -> list[ViewRow]:
    due = "as soon as possible"
    if order.due_at:
        due = order.due_at.isoformat()
    match order.fulfilment:
        case Delivery(address=address, instructions=instructions):
            return texts(
                ("Delivery", due),
                ("Address", str(address)),
                ("Instructions", instructions),
            )
        case DineIn(table=table, guests=guests):
            count = str(guests) if guests else ""
            return texts(
                ("Dine in", due),
                ("Table", table),
                ("Guests", count),
            )
        case Pickup(curbside=curbside):
            where = ""
            if curbside:
                where = curbside.details or "yes"
            return texts(("Pickup", due), ("Curbside", where))


def _customer(customer: Customer) -> list[ViewRow]:
    return texts(
        ("Customer", customer.name),
        ("Phone", customer.phone),
        ("E-mail", customer.email),
    )


def _line(line: Line) -> Iterator[ViewRow]:
    text = quantified(line.quantity, line.name)
    amount = line.quantity * line.unit_price
    yield ViewRow(text, amount)
    yield from _modifiers(line.modifiers, line.quantity, 1)
    yield from _discounts(line.discounts, 1)
    yield from texts(("Note", line.note), depth=1)


def _modifiers(modifiers: Sequence[Modifier], pieces: int, depth: int) -> Iterator[ViewRow]:
    """Yield the choices on so many pieces; those on a choice are indented below it."""
    for modifier in modifiers:
        count = pieces * modifier.quantity
        text = quantified(modifier.quantity, modifier.name)
        amount = count * modifier.unit_price
        yield ViewRow(f"+ {text}", amount, depth)
        yield from _modifiers(modifier.modifiers, count, depth + 1)


def _discounts(discounts: Sequence[Discount], depth: int) -> Iterator[ViewRow]:
    for discount in discounts:
        yield ViewRow(discount.name, -discount.amount, depth)


def _sums(order: Order) -> Iterator[ViewRow]:
    for charge in order.charges:
        yield ViewRow(charge.name, charge.amount)
        yield from _discounts(charge.discounts, 1)
    yield from _discounts(order.discounts, 0)
    if order.tip:
        yield ViewRow("Tip", order.tip)
    if not order.prices_include_tax:
        yield ViewRow("Tax", order.tax)
        yield from _named_taxes(order)


def _settlement(stored: StoredOrder) -> list[ViewRow]:
    order = stored.order
    payments: list[tuple[str, int]] = []
    for payment in order.payments:
        name = _joined(payment.method, payment.reference)
        payments.append((name, payment.amount))
    return settlement(stored.total, order.paid, order.currency, payments)


def _included_tax(stored: StoredOrder) -> Iterator[ViewRow]:
    order = stored.order
    if order.prices_include_tax:
        amount = format_money(stored.tax, order.currency)
        yield ViewRow(f"Tax included: {amount}")
        yield from _named_taxes(order)


def _named_taxes(order: Order) -> Iterator[ViewRow]:
    """Yield the taxes by the names that the ordering site gave them."""
    for tax in order.taxes:
        rate = ""
        if tax.rate is not None:
            percentage = Decimal(tax.rate * 100).normalize()
            rate = f"{percentage:f} %"
        name = _joined(tax.name, rate)
        amount = format_money(tax.amount, order.currency)
        yield ViewRow(f"{name}: {amount}", depth=1)


def _notes(stored: StoredOrder) -> list[ViewRow]:
    rows: list[ViewRow] = []
    for remark in stored.new.remarks:
        rows += texts(("Docket", remark))
    rows += texts(("Note", stored.order.note))
    return rows


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
