"""How long Square lets each text be, and what happens to a longer one: cut where that is harmless, refused elsewhere.

The figures are the `maxLength`s of the OpenAPI document of release 2025-08-20. Notes and names for
people are cut, and a notice says so; a reference that was cut would point at nothing, so it is
refused before anything is sent.
"""

from __future__ import annotations

from typing import NamedTuple

from tillpost.adapter import OrderError

__all__ = [
    "CHARGE_NAME",
    "DELIVERY_NOTE",
    "DISCOUNT_NAME",
    "DISPLAY_NAME",
    "DROPOFF_NOTE",
    "EMAIL",
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
    """A text's name for people, and how many characters Square takes.

    unconfirmed: that Square counts characters, not bytes. A ticket name of 30 umlauts, sent to a
    sandbox, would tell.
    """

    what: str
    characters: int


REFERENCE = Limit("reference", 40)
TICKET_NAME = Limit("ticket name", 30)
PICKUP_NOTE = Limit("pickup note", 500)
DELIVERY_NOTE = Limit("delivery note", 550)
DROPOFF_NOTE = Limit("delivery instructions", 550)
DISPLAY_NAME = Limit("customer's name", 255)
LINE_NOTE = Limit("note of line {}", 2000)
CHARGE_NAME = Limit("name of a charge", 512)
DISCOUNT_NAME = Limit("name of a discount", 255)
PAYMENT_NOTE = Limit("payment's note", 500)

PHONE = Limit("customer.phone", 17)
EMAIL = Limit("customer.email", 255)
PAYMENT_REFERENCE = Limit("payments[{}].reference", 255)


class Trimming:
    """Cuts texts to their limits and keeps a notice of each cut."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def cut(self, limit: Limit, text: str, number: int = 0) -> str:
        """Return the text, no longer than the limit. `number` fills in which one it is, for people."""
        if len(text) <= limit.characters:
            return text
        self.notices.append(
            f"The {limit.what.format(number)} was cut to {limit.characters} characters"
        )
        return text[: limit.characters - 1].rstrip() + "…"


def intact(limit: Limit, text: str, index: int = 0) -> str:
    """Return the text, or raise an `OrderError` that names the field when Square would refuse it."""
    if len(text) > limit.characters:
        raise OrderError(
            f"{limit.what.format(index)} is longer than Square's {limit.characters} characters"
        )
    return text
