"""The fields that an order can do without.

They are its customer's name and contacts, its time, and how it is handed over: parts of an address,
a table, guests. A platform may refuse one of these fields, and a time may have passed. Neither
fails a paid order: the order is sent without the field, staff read it in the note, and a notice
says so. What is withheld is recorded with the intent to create the order, so that in doubt the very
same body is sent again, however late it is by then.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple, TypeAlias

from tillpost.models.due_time import due_in_words
from tillpost.models.order import Delivery, DineIn, Fulfilment, Order, Pickup

__all__ = [
    "OPTIONAL_FIELDS",
    "PastDuePolicy",
    "Withheld",
    "has_field",
    "is_far_ahead",
    "is_past_due",
    "without",
]

PastDuePolicy: TypeAlias = Literal["as_soon_as_possible", "refuse"]
"""What happens to an order whose time has passed before it could be sent.

`as_soon_as_possible` sends it as one that is due as soon as possible; `refuse` raises an
`OrderError`.
"""


class _Part(NamedTuple):
    """A text that a platform may refuse, with its label and its name for people."""

    name: str
    label: str
    what: str


_NAME = _Part("name", "Name", "customer's name")
_CONTACTS = (
    _Part("phone", "Phone", "customer's phone number"),
    _Part("email", "Email", "customer's email address"),
)
_ADDRESS = (
    _Part("line2", "Address line 2", "second line of the address"),
    _Part("city", "City", "city"),
    _Part("region", "Region", "region of the address"),
    _Part("postcode", "Postcode", "postcode"),
    _Part("country", "Country", "country"),
)

_WHOLE_ADDRESS = _Part("address", "DELIVER TO", "address of the delivery, which goes as a pickup,")
_INSTRUCTIONS = _Part("instructions", "For the courier", "text for the courier")
_TABLE = _Part("table", "TABLE", "table of the order, which goes as a pickup,")
_GUESTS = _Part("guests", "GUESTS", "number of guests")
_CURBSIDE = _Part("curbside", "CURBSIDE", "place of the car")

OPTIONAL_FIELDS = frozenset(
    {
        "customer",
        *(f"customer.{part.name}" for part in (_NAME, *_CONTACTS)),
        "due_at",
        "fulfilment.address",
        *(f"fulfilment.address.{part.name}" for part in _ADDRESS),
        "fulfilment.curbside",
        "fulfilment.guests",
        "fulfilment.instructions",
        "fulfilment.table",
    }
)
"""The fields of an order that an error table may name in `Row.order_field`.

`customer` is both contacts: a platform refuses the customer's record. Without
`fulfilment.address` or `fulfilment.table`, the order goes as a pickup.
"""

DUE_MARGIN = 60.0
"""How near a time is that will have passed at the platform, in seconds."""


CLOSE = 3600.0
"""How near a refused time must be, in seconds.

Then the order goes as soon as possible. A store may need longer than there is. One that takes no
orders so far ahead must not cook now.
"""


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


def is_far_ahead(order: Order, now: float) -> bool:
    """Return whether the order is due too late to prepare it right away.

    `now` is in epoch seconds.
    """
    return order.due_at is not None and order.due_at.timestamp() > now + CLOSE + DUE_MARGIN


def without(order: Order, fields: Collection[str], platform: str) -> Withheld:
    """Return the order without these of its `OPTIONAL_FIELDS`.

    Args:
        order: The order.
        fields: The fields; those that the order doesn't have are passed over.
        platform: The platform's name for people.
    """
    if not fields:
        return Withheld(order)
    texts = _Texts(platform, [], [])
    order = _without_customer(order, fields, texts)
    fulfilment: Fulfilment
    match order.fulfilment:
        case Delivery() as delivery:
            fulfilment = _without_address(delivery, fields, texts)
        case DineIn() as dine_in:
            fulfilment = _without_table(dine_in, fields, texts)
        case Pickup() as pickup:
            fulfilment = _without_curbside(pickup, fields, texts)
    if "due_at" in fields and order.due_at:
        due = due_in_words(order.due_at)
        texts.remarks.append(f"Ordered for {due}, now as soon as possible")
        texts.notices.append(
            f"The order's time, {due}, couldn't be kept: it is for as soon as possible"
        )
        fulfilment = fulfilment.model_copy(update={"due_at": None})
    changed = order.model_copy(update={"fulfilment": fulfilment})
    return Withheld(changed, tuple(texts.remarks), tuple(texts.notices))


def has_field(order: Order, field: str) -> bool:
    """Return whether the order has one of the `OPTIONAL_FIELDS`."""
    return without(order, [field], "").order != order


class _Texts(NamedTuple):
    """What is withheld of an order: for its note, and for people."""

    platform: str
    remarks: list[str]
    notices: list[str]

    def add(self, part: _Part, text: str) -> None:
        """Add what a part of the order said."""
        self.remarks.append(f"{part.label}: {text}")
        self.notices.append(
            f"The {part.what} is in the note, since {self.platform} doesn't take it"
        )


def _without_customer(order: Order, fields: Collection[str], texts: _Texts) -> Order:
    customer = order.customer
    if customer is None:
        return order
    changes: dict[str, str] = {}
    if "customer.name" in fields and customer.name != order.code:
        changes["name"] = order.code  # staff call out that instead
        texts.add(_NAME, customer.name)
    for part in _CONTACTS:
        is_withheld = "customer" in fields or f"customer.{part.name}" in fields
        text: str = getattr(customer, part.name)
        if is_withheld and text:
            changes[part.name] = ""
            texts.add(part, text)
    return order.model_copy(update={"customer": customer.model_copy(update=changes)})


def _without_address(
    delivery: Delivery, fields: Collection[str], texts: _Texts
) -> Pickup | Delivery:
    address = delivery.address
    goes_as_pickup = "fulfilment.address" in fields
    if goes_as_pickup:
        texts.add(_WHOLE_ADDRESS, str(address))
    changes: dict[str, object] = {}
    if delivery.instructions and (goes_as_pickup or "fulfilment.instructions" in fields):
        changes["instructions"] = ""
        texts.add(_INSTRUCTIONS, delivery.instructions)
    if goes_as_pickup:
        return Pickup(due_at=delivery.due_at)
    emptied: dict[str, object] = {}
    for part in _ADDRESS:
        text: str | None = getattr(address, part.name)
        if text and f"fulfilment.address.{part.name}" in fields:
            emptied[part.name] = None if part.name == "country" else ""
            texts.add(part, text)
    changes["address"] = address.model_copy(update=emptied)
    return delivery.model_copy(update=changes)


def _without_table(dine_in: DineIn, fields: Collection[str], texts: _Texts) -> Pickup | DineIn:
    goes_as_pickup = "fulfilment.table" in fields
    if goes_as_pickup:
        texts.add(_TABLE, dine_in.table)
    if dine_in.guests and (goes_as_pickup or "fulfilment.guests" in fields):
        texts.add(_GUESTS, str(dine_in.guests))
        dine_in = dine_in.model_copy(update={"guests": None})
    return Pickup(due_at=dine_in.due_at) if goes_as_pickup else dine_in


def _without_curbside(pickup: Pickup, fields: Collection[str], texts: _Texts) -> Pickup:
    curbside = pickup.curbside
    if curbside is None or "fulfilment.curbside" not in fields:
        return pickup
    texts.add(_CURBSIDE, curbside.details or "the customer waits in a car")
    return pickup.model_copy(update={"curbside": None})
