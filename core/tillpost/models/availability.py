"""Can this store take online orders now? What a shop's checkout asks before it captures a payment. Words only."""

from __future__ import annotations

from enum import StrEnum

from tillpost.models.base import FrozenModel

__all__ = ["Availability", "Reason"]


class Reason(StrEnum):
    """Why a store takes no orders now."""

    OPEN = ""
    UNAUTHORISED = "unauthorised"  # somebody has to connect the store again
    OUTAGE = "outage"  # the platform is failing
    UNREACHED = "unreached"  # the platform can't be reached, and our own network may be at fault
    REGISTER_OFFLINE = "register_offline"
    CLOSED = "closed"  # the store is closed, too busy, or has switched online ordering off
    UNCONNECTED = "unconnected"  # there is no such connection, or it is set up wrongly


class Availability(FrozenModel):
    """Whether a store takes orders now.

    `since` is when that began, `until` when it is next looked at (both epoch seconds, None where
    nobody knows); `text` says in a sentence, for staff, why it doesn't. A store that takes orders
    has a text only while nobody knows.
    """

    connection: str
    takes_orders: bool
    reason: Reason = Reason.OPEN
    text: str = ""
    since: float | None = None
    until: float | None = None
