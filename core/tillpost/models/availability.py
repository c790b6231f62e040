"""Whether a store takes online orders now.

A checkout asks it before it captures a payment.
"""

from __future__ import annotations

from enum import StrEnum

from tillpost.models.base import FrozenModel

__all__ = ["Availability", "Reason"]


class Reason(StrEnum):
    """Why a store takes no orders now."""

    OPEN = ""
    UNAUTHORISED = "unauthorised"  # the store has to be reconnected
    OUTAGE = "outage"  # the platform fails
    UNREACHED = "unreached"  # the platform can't be reached; our own network may be at fault
    REGISTER_OFFLINE = "register_offline"
    CLOSED = "closed"  # the store is closed, too busy, or has switched online ordering off
    UNCONNECTED = "unconnected"  # there is no such connection, or its setup is wrong


class Availability(FrozenModel):
    """Whether a store takes orders now.

    Attributes:
        since: When that began, in epoch seconds; None when unknown.
        until: When it is checked next, in epoch seconds; None when unknown.
        text: Why it takes none, in a sentence for staff. A store that takes orders has a text only
            while no check has confirmed it.
    """

    connection: str
    takes_orders: bool
    reason: Reason = Reason.OPEN
    text: str = ""
    since: float | None = None
    until: float | None = None
