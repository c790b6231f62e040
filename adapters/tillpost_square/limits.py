"""The lengths that Square allows for texts, and what becomes of a longer one.

The figures are the `maxLength`s of the OpenAPI document of release 2025-08-20. Names for people are
cut, with a notice; notes are spread over several places (see `notes`). A reference that was cut
would point at nothing, so a longer one is refused before anything is sent.
"""

from __future__ import annotations

from typing import NamedTuple

from tillpost.adapter import OrderError

__all__ = [
    "CHARGE_NAME",
    "CURBSIDE",
    "DELIVERY_NOTE",
    "DISCOUNT_NAME",
    "DISPLAY_NAME",
    "DROPOFF_NOTE",
    "EMAIL",
    "ITEM_NAME",
    "LINE_NOTE",
    "PAYMENT_NOTE",
    "PAYMENT_REFERENCE",
    "PHONE",
    "PICKUP_NOTE",
    "REFERENCE",
    "TICKET_NAME",
    "Limit",
    "Trimming",
    "intact",
]


class Limit(NamedTuple):
    """How long a text may be at Square.

    unconfirmed: that Square counts characters, not bytes. A ticket name of 30 umlauts, sent to a
    sandbox, would show it.

    Attributes:
        name: The text's name for people.
        characters: How many characters Square allows.
        field: The path of the order's field, of a text that must not be cut.
    """

    name: str
    characters: int
    field: str = ""


REFERENCE = Limit("reference", 40)
TICKET_NAME = Limit("ticket name", 30)
PICKUP_NOTE = Limit("pickup note", 500)
DELIVERY_NOTE = Limit("delivery note", 550)
DROPOFF_NOTE = Limit("delivery instructions", 550)
DISPLAY_NAME = Limit("customer's name", 255)
LINE_NOTE = Limit("note of line {}", 2000)
ITEM_NAME = Limit("name of line {}", 512)
CURBSIDE = Limit("curbside details", 250)
CHARGE_NAME = Limit("name of a charge", 512)
DISCOUNT_NAME = Limit("name of a discount", 255)
PAYMENT_NOTE = Limit("payment's note", 500)

PHONE = Limit("phone number", 17)
EMAIL = Limit("email address", 255)
PAYMENT_REFERENCE = Limit("payment reference", 255, "payments[{}].reference")


class Trimming:
    """A cutter of texts to their limits, which collects a notice of each cut."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def cut(self, limit: Limit, text: str, number: int = 0) -> str:
        """Return a text, cut to its limit.

        Args:
            limit: The limit.
            text: The text.
            number: Which one it is, for people, if there are several.
        """
        if len(text) <= limit.characters:
            return text
        name = limit.name.format(number)
        self.notices.append(f"The {name} was cut to {limit.characters} characters")
        return text[: limit.characters - 1].rstrip() + "…"


def intact(limit: Limit, text: str, index: int = 0) -> str:
    """Return a text that must not be cut.

    Raises:
        OrderError: It is longer than Square allows.
    """
    if len(text) > limit.characters:
        field = limit.field.format(index)
        raise OrderError(
            f"{field}: it is longer than Square's {limit.characters} characters",
            subjects=(f"a {limit.name} of this length",),
            reason="unsupported",
        )
    return text
