"""The view of an order on the register of Square.

It has everything that staff can read of the order. What only the API returns, such as the order's
metadata, isn't shown.

unconfirmed: how the Point of Sale app lays an order out; a look at a register would show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from tillpost.models.money import format_money
from tillpost.simulator import Section, ViewRow
from tillpost.simulator.register_view import quantified, settlement, texts
from tillpost_simulators.square.wire import (
    Address,
    DeliveryDetails,
    Fulfilment,
    LineItem,
    Modifier,
    Money,
    Order,
    PickupDetails,
    Recipient,
)
from tillpost_simulators.square.world import StoredOrder

__all__ = ["register_rows"]


def register_rows(stored: StoredOrder) -> Sequence[Section]:
    """Return the sections of the order's view."""
    order = stored.order
    lines: list[ViewRow] = []
    for line in order.line_items or ():
        lines += _line(order, line)
    sums = [
        *_sums(order),
        *_settlement(stored),
        *_included_taxes(order),
    ]
    return [
        _head(order),
        lines,
        sums,
        _payment_notes(order),
    ]


def _head(order: Order) -> list[ViewRow]:
    name = order.ticket_name or order.reference_id or order.id
    source = order.source.name if order.source else None
    rows = texts(
        ("Order", name),
        ("State", order.state),
        ("Reference", order.reference_id),
        ("From", source),
    )
    for fulfilment in order.fulfillments or ():
        rows += _fulfilment(fulfilment)
    return rows


def _fulfilment(fulfilment: Fulfilment) -> Iterator[ViewRow]:
    yield ViewRow(f"{fulfilment.type}, {fulfilment.state}")
    pickup = fulfilment.pickup_details
    if pickup is not None:
        yield from _pickup(pickup)
    delivery = fulfilment.delivery_details
    if delivery is not None:
        yield from _delivery(delivery)


def _pickup(details: PickupDetails) -> Iterator[ViewRow]:
    yield from _due(details.schedule_type, details.pickup_at)
    yield from _recipient(details.recipient)
    yield from texts(("Note", details.note))
    if details.is_curbside_pickup:
        curbside = details.curbside_pickup_details
        where = curbside.curbside_details if curbside else None
        yield from texts(("Curbside", where or "yes"))


def _delivery(details: DeliveryDetails) -> Iterator[ViewRow]:
    yield from _due(details.schedule_type, details.deliver_at)
    yield from _recipient(details.recipient)
    yield from texts(
        ("Note", details.note),
        ("Drop-off", details.dropoff_notes),
    )


def _due(schedule: str | None, moment: str | None) -> list[ViewRow]:
    parts: list[str] = []
    if schedule == "ASAP":
        parts.append("as soon as possible")
    if moment:
        parts.append(moment)
    return texts(("Due", ", ".join(parts)))


def _recipient(recipient: Recipient | None) -> list[ViewRow]:
    if recipient is None:
        return []
    return texts(
        ("Customer", recipient.display_name),
        ("Phone", recipient.phone_number),
        ("E-mail", recipient.email_address),
        ("Address", _written(recipient.address)),
    )


def _written(address: Address | None) -> str:
    """Return an address in one line."""
    if address is None:
        return ""
    parts = address.model_dump(exclude_none=True, mode="json")
    return ", ".join(map(str, parts.values()))


def _line(order: Order, line: LineItem) -> Iterator[ViewRow]:
    """Yield the rows of a line. The amount of a choice is that of all its pieces."""
    name = line.name or ""
    if line.variation_name:
        name = f"{name} ({line.variation_name})"
    text = quantified(Decimal(line.quantity), name)
    amount = _amount(line.variation_total_price_money)
    yield ViewRow(text, amount)
    for modifier in line.modifiers or ():
        yield _modifier(modifier)
    yield from _line_discounts(order, line)
    yield from texts(("Note", line.note), depth=1)


def _modifier(modifier: Modifier) -> ViewRow:
    quantity = Decimal(modifier.quantity or 1)
    text = quantified(quantity, modifier.name or "")
    amount = _amount(modifier.total_price_money)
    return ViewRow(f"+ {text}", amount, depth=1)


def _line_discounts(order: Order, line: LineItem) -> Iterator[ViewRow]:
    discounts = {discount.uid: discount for discount in order.discounts or ()}
    for applied in line.applied_discounts or ():
        discount = discounts[applied.discount_uid]
        if discount.scope == "ORDER":
            continue
        name = discount.name or ""
        amount = _amount(applied.applied_money)
        yield ViewRow(name, -amount, depth=1)


def _sums(order: Order) -> Iterator[ViewRow]:
    for discount in order.discounts or ():
        if discount.scope == "ORDER":
            amount = _amount(discount.applied_money)
            yield ViewRow(discount.name or "", -amount)
    for charge in order.service_charges or ():
        amount = _amount(charge.applied_money)
        yield ViewRow(charge.name or "", amount)
    for tax in order.taxes or ():
        if tax.type != "INCLUSIVE":
            amount = _amount(tax.applied_money)
            yield ViewRow(f"{tax.name} {tax.percentage} %", amount)
    tip = _amount(order.total_tip_money)
    if tip:
        yield ViewRow("Tip", tip)


def _settlement(stored: StoredOrder) -> list[ViewRow]:
    order = stored.order
    total = _amount(order.total_money)
    currency = order.total_money.currency if order.total_money else ""
    payments: list[tuple[str, int]] = []
    for tender in order.tenders or ():
        name = tender.type.lower()
        amount = _amount(tender.amount_money)
        payments.append((name, amount))
    return settlement(total, stored.paid, currency, payments)


def _included_taxes(order: Order) -> Iterator[ViewRow]:
    for tax in order.taxes or ():
        money = tax.applied_money
        if tax.type == "INCLUSIVE" and money is not None:
            amount = format_money(money.amount, money.currency)
            yield ViewRow(f"{tax.name} {tax.percentage} % included: {amount}")


def _payment_notes(order: Order) -> list[ViewRow]:
    rows: list[ViewRow] = []
    for tender in order.tenders or ():
        rows += texts(("Payment note", tender.note))
    return rows


def _amount(money: Money | None) -> int:
    return money.amount if money else 0
