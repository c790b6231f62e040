"""What a status page may tell the customer while an order has an error.

A row of the remedy table names one of these. Each has a text for an order that isn't on the
register, one for an order that may be there, and one for an order that is: no customer is told
that an order failed which the kitchen may be making. The texts are plain, blame nobody, and name no
platform, id, amount or instruction of the staff's. They promise no more than that the site or the
restaurant gets in touch.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "ARRIVED",
    "CANCELLED",
    "CHECKING",
    "CLOSED",
    "EARLY",
    "LATE",
    "NOT_CANCELLED",
    "REJECTED",
    "STUCK",
    "UNAVAILABLE",
    "WAITING",
    "CustomerText",
]

_CHECKING = (
    "We are checking with the restaurant whether it has your order. Please don't order again: we "
    "will let you know."
)
_ARRIVED = "The restaurant has your order."


class CustomerText(NamedTuple):
    """What the customer is told, by where the order is.

    Attributes:
        not_there: The order isn't on the register.
        may_exist: The order may be on the register.
        there: The order is on the register.
    """

    not_there: str
    may_exist: str = _CHECKING
    there: str = _ARRIVED


WAITING = CustomerText(
    "Your order is taking longer than usual to reach the restaurant. Please don't order again: we "
    "keep trying, and will let you know."
)
"""The error passes by itself, and the order is sent again."""

STUCK = CustomerText(
    "Your order couldn't be passed to the restaurant yet. We are settling that with the restaurant "
    "and will contact you."
)
"""A person has to act first, who may be anybody but the customer."""

UNAVAILABLE = CustomerText(
    "Something that you ordered isn't available at the moment. The restaurant or we will contact "
    "you."
)

CLOSED = CustomerText(
    "The restaurant isn't taking online orders at the moment. We will contact you about your order."
)

LATE = CustomerText(
    "The restaurant can't make your order for the time that you chose. The restaurant or we will "
    "contact you."
)

EARLY = CustomerText(
    "The restaurant doesn't take orders for the time that you chose yet. We will let you know when "
    "it has yours."
)

CHECKING = CustomerText(_CHECKING)
"""Where the order is isn't known, whatever else is."""

ARRIVED = CustomerText(_ARRIVED)
"""The restaurant has the order, though it may have something to correct."""

REJECTED = CustomerText(
    *3
    * (
        "The restaurant couldn't take your order, so it won't be prepared. What you paid online "
        "will be refunded.",
    )
)
"""Staff turned the order down, wherever it was."""

CANCELLED = CustomerText("Your order was cancelled.", there="Your order was cancelled.")

NOT_CANCELLED = CustomerText(
    *3
    * (
        "Your order couldn't be cancelled yet. We are settling that with the restaurant and will "
        "contact you.",
    )
)
