"""The fields that an order can do without.

They are its customer's phone number and e-mail address, and its time. A platform may refuse one of
these fields, and a time may have passed. Neither fails a paid order: the order is sent without the
field, staff read it in the note, and a notice says so. What is withheld is recorded with the intent
to create the order, so that in doubt the very same body is sent again, however late it is by then.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple, TypeAlias

from tillpost.models.order import Customer, Order

__all__ = ["OPTIONAL_FIELDS", "PastDuePolicy", "Withheld", "has_field", "is_past_due", "without"]

PastDuePolicy: TypeAlias = Literal["as_soon_as_possible", "refuse"]
"""What happens to an order whose time has passed before it could be sent.

`as_soon_as_possible` sends it as one that is due as soon as possible; `refuse` raises an
`OrderError`.
"""

OPTIONAL_FIELDS = frozenset({"customer", "customer.phone", "customer.email", "due_at"})
"""The fields of an order that an error table may name in `Row.order_field`.

`customer` is both contacts: a platform refuses the customer's record.
"""

DUE_MARGIN = 60.0
"""How near a time is that will have passed at the platform, in seconds."""

_CONTACTS = (("phone", "Phone", "phone number"), ("email", "Email", "email address"))


class Withheld(NamedTuple):
    """An order without some of its fields.

    Attributes:
        order: The order as it is to be sent.
        remarks: What to write on its note.
        notices: What was changed, for people.
    """

    order: Order
    remarks: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def is_past_due(order: Order, now: float) -> bool:
    """Return whether the order's time has passed, or is now.

    `now` is in epoch seconds.
    """
    return order.due_at is not None and order.due_at.timestamp() <= now + DUE_MARGIN


def without(order: Order, fields: Collection[str], platform: str) -> Withheld:
    """Return the order without these of its `OPTIONAL_FIELDS`.

    Args:
        order: The order.
        fields: The fields; those that the order doesn't have are passed over.
        platform: The platform's name for people.
    """
    remarks: list[str] = []
    notices: list[str] = []
    changes: dict[str, object] = {}
    if order.customer:
        customer = order.customer
        withheld = _withheld_contacts(customer, fields)
        if withheld:
            changes["customer"] = customer.model_copy(update=dict.fromkeys(withheld, ""))
        for name, label, what in _CONTACTS:
            if name in withheld:
                remarks.append(f"{label}: {getattr(customer, name)}")
                notices.append(
                    f"The customer's {what} is in the note, since {platform} doesn't take it"
                )
    if "due_at" in fields and order.due_at:
        due = f"{order.due_at:%a %d %b %H:%M}"
        changes["fulfilment"] = order.fulfilment.model_copy(update={"due_at": None})
        remarks.append(f"Ordered for {due}, now as soon as possible")
        notices.append(f"The order's time, {due}, couldn't be kept: it is for as soon as possible")
    if not changes:
        return Withheld(order)
    return Withheld(order.model_copy(update=changes), tuple(remarks), tuple(notices))


def has_field(order: Order, field: str) -> bool:
    """Return whether the order has one of the `OPTIONAL_FIELDS`."""
    if field == "due_at":
        return order.due_at is not None
    return order.customer is not None and bool(_withheld_contacts(order.customer, [field]))


def _withheld_contacts(customer: Customer, fields: Collection[str]) -> list[str]:
    return [
        name
        for name, _, _ in _CONTACTS
        if getattr(customer, name) and ("customer" in fields or f"customer.{name}" in fields)
    ]
