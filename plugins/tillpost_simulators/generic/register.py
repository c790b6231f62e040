"""The ledger of the store: its orders as staff see them on the register."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tillpost.models.money import exponent, format_money
from tillpost.models.order import (
    DineIn,
    Discount,
    FlatModifier,
    Line,
    Order,
    Pickup,
    PosState,
)
from tillpost.simulator import Ledger, LedgerAmount, LedgerEntry, LedgerLine, LedgerModifier
from tillpost_simulators.generic.world import StoredOrder, World

__all__ = ["ledger"]


def ledger(world: World) -> Ledger:
    """Return all orders.

    An order is paid when it arrives, so the register shows it at once.
    """
    return Ledger(entries=tuple(_entry(stored) for stored in world.orders.values()))


def _entry(stored: StoredOrder) -> LedgerEntry:
    order = stored.order
    cancelled = stored.state is PosState.CANCELLED
    taxes = [LedgerAmount(name="GST", amount=stored.tax)] if stored.tax else []
    return LedgerEntry(
        reference=order.id,
        order_id=stored.id,
        shown=not cancelled,
        settled=True,
        cancelled=cancelled,
        state=stored.state,
        total=stored.total,
        paid=order.paid,
        currency=order.currency,
        exponent=exponent(order.currency),
        lines=tuple(_line(line) for line in order.lines),
        charges=tuple(LedgerAmount(name=c.name, amount=c.amount) for c in order.charges),
        discounts=tuple(LedgerAmount(name=d.name, amount=d.amount) for d in _discounts(order)),
        taxes=tuple(taxes),
        tip=order.tip,
        ticket_name=_ticket_name(order),
        note="\n".join(_notes(stored)),
        fulfilment=order.fulfilment.type,
        fulfilment_state=stored.progress,
        due_at=order.due_at.isoformat() if order.due_at else "",
    )


def _ticket_name(order: Order) -> str:
    customer_name = order.customer.name if order.customer else ""
    return f"{order.code} {customer_name}".strip()


def _notes(stored: StoredOrder) -> Iterator[str]:
    """Yield what staff read beside the lines."""
    order = stored.order
    fulfilment = order.fulfilment
    if isinstance(fulfilment, DineIn):
        yield f"TABLE {fulfilment.table}"
        if fulfilment.guests:
            yield f"GUESTS {fulfilment.guests}"
    elif isinstance(fulfilment, Pickup):
        if fulfilment.curbside:
            yield f"CURBSIDE: {fulfilment.curbside.details}"
    elif fulfilment.type == "delivery":
        yield f"DELIVER TO: {fulfilment.address}"
        if fulfilment.instructions:
            yield fulfilment.instructions
    if order.amount_due:
        yield f"TO PAY: {format_money(order.amount_due, order.currency)}"
    yield from stored.new.remarks
    if order.note:
        yield order.note


def _line(line: Line) -> LedgerLine:
    return LedgerLine(
        name=line.name,
        quantity=Decimal(line.quantity),
        unit_price=line.unit_price,
        modifiers=tuple(_modifier(flat) for flat in line.flat_modifiers()),
        note=line.note,
        item_id=line.item_id,
    )


def _modifier(flat: FlatModifier) -> LedgerModifier:
    names = [each.name for each in (*flat.parents, flat.modifier)]
    return LedgerModifier(
        name=" > ".join(names),
        quantity=Decimal(flat.quantity),
        unit_price=flat.modifier.unit_price,
        modifier_id=flat.modifier.modifier_id,
    )


def _discounts(order: Order) -> Iterator[Discount]:
    """Yield all discounts: those of the lines, of the charges, and of the order."""
    for line in order.lines:
        yield from line.discounts
    for charge in order.charges:
        yield from charge.discounts
    yield from order.discounts
