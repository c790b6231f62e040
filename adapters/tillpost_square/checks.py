"""What `check` finds out about a Square connection, in words: the token, its scopes, the location and its abilities."""

from __future__ import annotations

from datetime import UTC, datetime

from tillpost.adapter import Actor, Finding, PermissionsError, PosError, Reason, StepText
from tillpost_square.wire import Location, TokenStatus

__all__ = ["REGISTER_STEPS", "SCOPES", "location_findings", "token_findings", "unseen_location"]

SCOPES = {
    "ORDERS_WRITE": "create orders",
    "ORDERS_READ": "look orders up",
    "PAYMENTS_WRITE": "record payments",
    "ITEMS_READ": "import the menu",
    "MERCHANT_PROFILE_READ": "read the location",
}
"""The scopes that the adapter's operations need (spec: `security` of each), and what each is for."""

_TO_SUBMIT = frozenset({"ORDERS_WRITE", "PAYMENTS_WRITE"})
"""Without these no order goes in."""


REGISTER_STEPS = (
    # unconfirmed: that a device shows the orders of its own location alone; an order for another
    # location, looked for on a device, would tell.
    StepText(
        Actor.STORE,
        "See in the Square app's settings that this device is signed in to the location that the order is for.",
        "The app names the location that customers order from.",
    ),
    StepText(
        Actor.STORE,
        "Open Orders in the Square app, and clear its filters: an order that is scheduled, or new, may be under "
        "another heading than the one in front.",
        "The order is in the list, under the customer's name.",
    ),
    # unconfirmed: what the switches are called, which differs from app to app (Point of Sale,
    # Restaurants); the app's own settings would tell. That there are such settings is the vendor's
    # (help page: pickup orders on Point of Sale).
    StepText(
        Actor.STORE,
        "See in the Square app's settings for orders that this device tells of new online orders, and prints their "
        "tickets by itself.",
        "The next online order makes a sound, and its ticket comes out.",
    ),
)
"""Beside the common checklist: what is set on the device."""


def token_findings(token: TokenStatus, now: datetime) -> list[Finding]:
    """Return what the token's status says: is it valid at `now`, and does it hold every scope?"""
    missing = [f"{scope} (to {use})" for scope, use in SCOPES.items() if scope not in token.scopes]
    expires = token.expires_at
    ends = expires if expires is None or expires.tzinfo else expires.replace(tzinfo=UTC)
    if ends is not None and ends <= now:
        expired = f"The access token expired at {ends:%Y-%m-%d %H:%M} UTC"
        valid = _wrong("token", expired, Actor.STORE, Reason.UNAUTHORISED)
    else:
        valid = _right(
            "token",
            f"The access token is valid until {ends:%Y-%m-%d}" if ends else "The token is valid",
        )
    if missing:
        stops = Reason.OPEN if set(token.scopes) >= _TO_SUBMIT else Reason.UNAUTHORISED
        return [
            valid,
            _wrong("scopes", f"The store hasn't granted {', '.join(missing)}", Actor.STORE, stops),
        ]
    return [valid, _right("scopes", "The store has granted every scope that is needed")]


def location_findings(location: Location) -> list[Finding]:
    """Return what the location says: is it open for business, in which currency, and may it take payments?"""
    name = location.name or location.id
    found = [_right("location", f"The location is {name}")]
    if location.status == "ACTIVE":
        found.append(_right("status", f"{name} is active"))
    else:
        said = f"{name} is {location.status.lower() or 'of no known status'}"
        found.append(
            _wrong("status", said, Actor.STORE, Reason.CLOSED if location.status else Reason.OPEN)
        )
    if location.currency:
        found.append(_right("currency", f"{name} takes {location.currency}"))
    else:
        found.append(_wrong("currency", f"{name} names no currency", Actor.STORE, Reason.OPEN))
    # unconfirmed: whether an external payment needs it too. Square lists
    # CARD_PROCESSING_NOT_ENABLED for CreatePayment; an external payment at a location without the
    # capability would tell.
    if "CREDIT_CARD_PROCESSING" in location.capabilities:
        found.append(_right("payments", f"{name} may take payments"))
    else:
        said = (
            f"{name} isn't activated for card payments, so Square may refuse to record any payment"
        )
        found.append(_wrong("payments", said, Actor.STORE, Reason.OPEN))
    return found


def unseen_location(error: PosError, *, let_in: bool) -> Finding:
    """Return the finding that the location can't be looked at.

    `let_in` says that the token is good. Then it may lack the scope to read the location, which no
    order needs.
    """
    seen = Finding.unseen("location", error)
    return (
        seen.model_copy(update={"reason": Reason.OPEN})
        if let_in and isinstance(error, PermissionsError)
        else seen
    )


def _right(what: str, text: str) -> Finding:
    return Finding(what=what, ok=True, text=text)


def _wrong(what: str, text: str, actor: Actor, reason: Reason) -> Finding:
    return Finding(what=what, ok=False, text=text, actor=actor, reason=reason)
