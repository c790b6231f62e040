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
    Discount,
    Fulfilment,
    LineItem,
    Money,
    Order,
    PickupDetails,
    Recipient,
    Tender,
)
from tillpost_simulators.square.world import StoredOrder

__all__ = ["register_rows"]


def register_rows(stored: StoredOrder) -> Sequence[Section]:
    """Return the sections of the order's view."""
    order = stored.order
    lines = [row for line in order.line_items or () for row in _line(order, line)]
    total = _amount(order.total_money)
    currency = order.total_money.currency if order.total_money else ""
    payments = [(_tender_name(tender), _amount(tender.amount_money)) for tender in _tenders(order)]
    settled = settlement(total, stored.paid, currency, payments)
    notes = texts(*(("Payment note", tender.note) for tender in _tenders(order)))
    return [_head(order), lines, [*_sums(order), *settled, *_included_taxes(order)], notes]


def _head(order: Order) -> list[ViewRow]:
    name = order.ticket_name or order.reference_id or order.id
    rows = texts(
        ("Order", name),
        ("State", order.state),
        ("Reference", order.reference_id),
        ("From", order.source.name if order.source else None),
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
        where = details.curbside_pickup_details
        yield from texts(("Curbside", (where.curbside_details if where else None) or "yes"))


def _delivery(details: DeliveryDetails) -> Iterator[ViewRow]:
    yield from _due(details.schedule_type, details.deliver_at)
    yield from _recipient(details.recipient)
    yield from texts(("Note", details.note), ("Drop-off", details.dropoff_notes))


def _due(schedule: str | None, moment: str | None) -> list[ViewRow]:
    soon = "as soon as possible" if schedule == "ASAP" else ""
    return texts(("Due", ", ".join(part for part in (soon, moment) if part)))


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
    parts = address.model_dump(exclude_none=True, mode="json").values()
    return ", ".join(map(str, parts))


def _line(order: Order, line: LineItem) -> Iterator[ViewRow]:
    """Yield the rows of a line. The amount of a choice is that of all its pieces."""
    name = line.name or ""
    if line.variation_name:
        name = f"{name} ({line.variation_name})"
    text = quantified(Decimal(line.quantity), name)
    yield ViewRow(text, _amount(line.variation_total_price_money))
    for modifier in line.modifiers or ():
        text = f"+ {quantified(Decimal(modifier.quantity or 1), modifier.name or '')}"
        yield ViewRow(text, _amount(modifier.total_price_money), 1)
    discounts = {discount.uid: discount for discount in order.discounts or ()}
    for applied in line.applied_discounts or ():
        discount = discounts[applied.discount_uid]
        if discount.scope != "ORDER":
            yield ViewRow(discount.name or "", -_amount(applied.applied_money), 1)
    yield from texts(("Note", line.note), depth=1)


def _sums(order: Order) -> Iterator[ViewRow]:
    for discount in order.discounts or ():
        if _is_of_order(discount):
            yield ViewRow(discount.name or "", -_amount(discount.applied_money))
    for charge in order.service_charges or ():
        yield ViewRow(charge.name or "", _amount(charge.applied_money))
    for tax in order.taxes or ():
        if tax.type != "INCLUSIVE":
            yield ViewRow(f"{tax.name} {tax.percentage} %", _amount(tax.applied_money))
    if _amount(order.total_tip_money):
        yield ViewRow("Tip", _amount(order.total_tip_money))


def _is_of_order(discount: Discount) -> bool:
    return discount.scope == "ORDER"


def _included_taxes(order: Order) -> Iterator[ViewRow]:
    for tax in order.taxes or ():
        money = tax.applied_money
        if tax.type == "INCLUSIVE" and money is not None:
            amount = format_money(money.amount, money.currency)
            yield ViewRow(f"{tax.name} {tax.percentage} % included: {amount}")


def _tenders(order: Order) -> Sequence[Tender]:
    return order.tenders or ()


def _tender_name(tender: Tender) -> str:
    return tender.type.lower()


def _amount(money: Money | None) -> int:
    return money.amount if money else 0
