"""The identity of an order at Kounta: whose it is.

Kounta gives its own sales numbers, and `sale_number` is where we put our reference. So a reference
such as "1023" may be the number of a sale at the counter, and a card terminal may number its
payments likewise. What only an order of ours has is compared:

* the reference that its notes begin with, after "Ref: ";
* our reference on a payment by the connection's own payment method, which no counter takes;
* with our reference as its sale number, the very second at which our customer placed it.

Any of them is enough, whatever the notes say: they are free text, which a platform may reshape and
staff may edit. Only where our reference consists of digits, another order's reference in the notes
outweighs the number and the time.

A sale with our number and with none of these is another order if the number consists of digits and
the total or the lines differ. All else that has our whole reference proves nothing: it is neither
taken for the order nor for a proof that the order isn't there, so the doubt stays until a person
has looked.

unconfirmed: that notes, payments' references and `placed_at` come back as they were sent; how the
register numbers its own sales. One order of each, read back, would show it.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from tillpost.adapter import Order, reference_in_note
from tillpost_kounta import wire

__all__ = ["Match", "match", "mentions", "own_reference"]


class Match(Enum):
    """A judgement whether an order at Kounta is the one that was sent."""

    OURS = "ours"
    ANOTHER = "another"
    UNCLEAR = "unclear"  # it has our whole reference, and nothing else shows whose it is
    NUMBERED = "numbered"  # likewise, but a sale at the counter may have that number
    UNNAMED = "unnamed"  # it has no number and no reference at all


def own_reference(seen: wire.Order, payment_method_id: str) -> str:
    """Return the reference that only an order of ours can have.

    It is empty if there is none.
    """
    if _paid_online(seen, seen.sale_number, payment_method_id):
        return seen.sale_number
    return reference_in_note(seen.notes)


def mentions(order: Order, seen: wire.Order) -> bool:
    """Return whether an order of a list may be ours.

    It may be if it has the whole reference anywhere.
    """
    payments = (payment.ref for payment in seen.payments)
    return order.id in (seen.sale_number, reference_in_note(seen.notes), *payments)


def match(order: Order, seen: wire.Order, payment_method_id: str) -> Match:
    """Return whether an order at Kounta is ours, without comparing totals."""
    noted = reference_in_note(seen.notes)
    if noted == order.id or _paid_online(seen, order.id, payment_method_id):
        return Match.OURS
    may_be_at_counter = order.id.isdecimal()
    if noted and may_be_at_counter:
        return Match.ANOTHER
    if seen.sale_number == order.id and _placed_with(order, seen):
        return Match.OURS
    if mentions(order, seen):
        return Match.NUMBERED if may_be_at_counter else Match.UNCLEAR
    return Match.ANOTHER if seen.sale_number or noted else Match.UNNAMED


def _paid_online(seen: wire.Order, reference: str, payment_method_id: str) -> bool:
    """Return whether the payment method for "paid online" names the reference."""
    return any(
        payment.method == payment_method_id and payment.ref == reference != ""
        for payment in seen.payments
    )


def _placed_with(order: Order, seen: wire.Order) -> bool:
    """Return whether an order was placed at the very second at which ours was."""
    try:
        placed_at = datetime.fromisoformat(seen.placed_at)
    except ValueError:
        return False
    if placed_at.tzinfo is None:
        return False
    return placed_at == order.placed_at.replace(microsecond=0)
