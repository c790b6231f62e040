"""An order as Kounta takes it: the bodies of its POST. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from tillpost.adapter import (
    DineIn,
    Menu,
    NetOrderLine,
    Order,
    discount_text,
    net_order_lines,
    one_line,
    order_note,
    spelled_out_in_parts,
    tax_notices,
    to_major,
)
from tillpost_kounta.settings import KountaSettings

__all__ = ["MOST_NOTES", "Translated", "for_customer", "products_of", "ticket_body", "translate"]

Body: TypeAlias = dict[str, object]

MOST_NOTES = 2000
"""The characters that an attention ticket's notes are kept to."""


_MOST_TICKET_LINES = 20
"""The lines over which an attention ticket's text is spread."""


class Translated(NamedTuple):
    """The content of an order, and notices of what was changed, for people."""

    body: Body
    notices: tuple[str, ...]


def translate(
    order: Order, menu: Menu, remarks: Sequence[str], settings: KountaSettings
) -> Translated:
    """Return the content of an order, but for what all orders share.

    unconfirmed: the words of order_type but "Dine in", and how long notes may be; that modifiers,
    and choices from option sets among them, add their own price and tax to unit_price, and that
    price_variation counts for all of it; how Kounta rounds. Real orders with each of these, at odd
    prices and read back, would show it.
    """
    lines = net_order_lines(order, menu, settings)
    payment_method = int(settings.payment_method_id)
    guests = order.fulfilment.guests if isinstance(order.fulfilment, DineIn) else None
    body: Body = {
        "order_type": order.fulfilment.type.replace("_", " ").capitalize(),
        "guests": guests,
        "notes": order_note(order, (*_shared_discounts(order, settings), *remarks)),
        "lines": [_line(line) for line in lines],
        "payments": [
            {
                "method_id": payment_method,
                "amount": to_major(payment.amount, order.currency),
                "ref": order.id,
            }
            for payment in order.payments
            if payment.amount
        ],
        "complete_when_paid": False,
        "pass_thru_printing": settings.pass_thru_printing,
        "callback_uri": settings.callback_uri,
        "placed_at": order.placed_at.isoformat(timespec="seconds"),
        "fulfil_at": order.due_at.isoformat(timespec="seconds") if order.due_at else None,
    }
    notices = (*_rounding_notices(lines), *tax_notices(order, menu, settings))
    return Translated(body, notices)


def for_customer(translated: Translated, order: Order, customer_id: int | None) -> Translated:
    """Return an order's content with its customer.

    Without a record of the customer, the order's notes are the only place for an e-mail address.

    Args:
        translated: The content of the order.
        order: The order.
        customer_id: The id of the customer's record, None if there is none.
    """
    body, notices = translated
    customer = order.customer
    if customer_id is None and customer and (customer.email or customer.phone):
        notice = "The customer isn't linked in Kounta; name and contacts are in the order's notes"
        notices = (*notices, notice)
        if customer.email:
            email = one_line(f"Email: {customer.email}")
            body = {**body, "notes": f"{body['notes']}\n{email}"}
    return Translated({**body, "customer_id": customer_id}, notices)


def _rounding_notices(lines: Sequence[NetOrderLine]) -> list[str]:
    """Return a notice if lines were shifted so that the order comes to what was paid."""
    if not any(line.is_shifted for line in lines):
        return []
    has_line = any(line.is_rounding for line in lines)
    what = "a line for rounding makes" if has_line else "others make"
    return [
        f"Some prices are a minor unit away from what was paid, and {what} up for it: no price "
        "without tax comes to them"
    ]


def _shared_discounts(order: Order, settings: KountaSettings) -> list[str]:
    """Return the order's discounts by name, if they only lower its lines' prices."""
    if settings.discounts != "multiplier":
        return []
    return [
        f"DISCOUNT: {discount_text(each, order.currency)}"
        for each in order.discounts
        if each.amount
    ]


def products_of(order: Order, settings: KountaSettings) -> set[str]:
    """Return the ids of all products that an order may be sent as, options included.

    The products for charges, discounts, tips and open items are always among them, so that they are
    known when a later order of the same items has a tip.
    """
    needed = {line.item_id for line in order.lines if not line.is_open}
    for line in order.lines:
        # A modifier that is taken off has its product's id, with a minus.
        needed.update(flat.modifier.modifier_id.removeprefix("-") for flat in line.flat_modifiers())
    needed.update(settings.charge_products.values())
    substitutes = (settings.discount_product, settings.tip_product, settings.open_item_product)
    needed.update(product_id for product_id in substitutes if product_id)
    return needed


def ticket_body(order: Order, product_id: str) -> Body:
    """Return the content of an attention ticket.

    It has a line at a price of 0, and the order as notes. What they have no room for is in the
    notes of more such lines.
    """
    notes, *more_notes = spelled_out_in_parts(
        order, platform="Kounta", most=MOST_NOTES, most_parts=_MOST_TICKET_LINES
    )
    line: Body = {"product_id": int(product_id), "quantity": 1, "unit_price": 0}
    return {
        "notes": f"ORDER ATTENTION REQUIRED\n{notes}",
        "lines": [line, *({**line, "notes": each} for each in more_notes)],
    }


def _line(line: NetOrderLine) -> Body:
    return {
        "product_id": int(line.product_id),
        "quantity": line.quantity,
        "unit_price": line.price,
        "price_variation": line.multiplier,
        "modifiers": [int(modifier_id) for modifier_id in line.modifiers] or None,
        "notes": line.note or None,
    }
