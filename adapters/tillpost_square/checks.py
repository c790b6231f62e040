"""The findings of Square's `check`, and what staff check at a Square register.

A finding is about the token, its scopes, the location or its capabilities.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tillpost.adapter import (
    Actor,
    Finding,
    PermissionsError,
    PosError,
    Reason,
    StepText,
    currency_findings,
)
from tillpost_square.oauth import SCOPES
from tillpost_square.wire import Location, TokenStatus

__all__ = ["REGISTER_STEPS", "location_findings", "token_findings", "unseen_location"]

_NEEDED_TO_SUBMIT = frozenset({"ORDERS_WRITE", "PAYMENTS_WRITE"})
"""Without these scopes no order can be submitted."""

REGISTER_STEPS = (
    # unconfirmed: that a device shows the orders of its own location alone; an order for another
    # location, looked for on a device, would show it.
    StepText(
        Actor.STORE,
        "In the Square app's settings, check that this device is signed in to the location that "
        "the order is for.",
        "The app names the location that customers order from.",
    ),
    StepText(
        Actor.STORE,
        "Open Orders in the Square app and clear its filters: a scheduled or new order may be "
        "under another heading.",
        "The order is in the list, under the customer's name.",
    ),
    # unconfirmed: what the switches are called, which differs from app to app (Point of Sale,
    # Restaurants); the app's own settings would show. That there are such settings is the vendor's
    # (help page: pickup orders on Point of Sale).
    StepText(
        Actor.STORE,
        "In the Square app's settings for orders, check that this device announces new online "
        "orders and prints their tickets automatically.",
        "The next online order makes a sound, and its ticket is printed.",
    ),
)
"""Steps that are added to the common checklist: the settings of the device."""


def token_findings(token: TokenStatus, now: datetime) -> list[Finding]:
    """Return whether the token is valid at `now`, and whether it has every scope."""
    return [_validity(token, now), _scopes(token)]


def location_findings(location: Location, currency: str | None = None) -> list[Finding]:
    """Return whether the location is active, has a currency, and can take payments.

    `currency` is the connection's setting.
    """
    name = location.name or location.id
    return [
        _ok("location", f"The location is {name}"),
        _location_status(location, name),
        _currency(location, name),
        *currency_findings(location.currency, currency),
        _payments(location, name),
    ]


def unseen_location(error: PosError, *, token_is_valid: bool) -> Finding:
    """Return the finding that the location can't be read.

    A valid token may lack the scope to read the location, which no order needs.
    """
    finding = Finding.unseen("location", error)
    if token_is_valid and isinstance(error, PermissionsError):
        return finding.model_copy(update={"reason": Reason.OPEN})
    return finding


def _validity(token: TokenStatus, now: datetime) -> Finding:
    if token.expires_at is None:
        return _ok("token", "The token is valid")
    expires_at = token.expires_at
    if not expires_at.tzinfo:
        expires_at = expires_at.replace(tzinfo=UTC)
    if expires_at <= now:
        text = f"The access token expired at {expires_at:%Y-%m-%d %H:%M} UTC"
        return _wrong("token", text, Reason.UNAUTHORISED)
    return _ok("token", f"The access token is valid until {expires_at:%Y-%m-%d}")


def _scopes(token: TokenStatus) -> Finding:
    missing: list[str] = []
    for scope, use in SCOPES.items():
        if scope in token.scopes:
            continue
        text = f"{scope} (to {use})"
        missing.append(text)
    if not missing:
        return _ok("scopes", "The store has granted every scope that is needed")
    can_submit = _NEEDED_TO_SUBMIT.issubset(token.scopes)
    reason = Reason.OPEN if can_submit else Reason.UNAUTHORISED
    return _wrong("scopes", f"The store hasn't granted {', '.join(missing)}", reason)


def _location_status(location: Location, name: str) -> Finding:
    if location.status == "ACTIVE":
        return _ok("status", f"{name} is active")
    if not location.status:
        return _wrong("status", f"{name} has no known status", Reason.OPEN)
    return _wrong("status", f"{name} is {location.status.lower()}", Reason.CLOSED)


def _currency(location: Location, name: str) -> Finding:
    if location.currency:
        return _ok("currency", f"{name} takes {location.currency}")
    return _wrong("currency", f"{name} has no currency", Reason.OPEN)


def _payments(location: Location, name: str) -> Finding:
    # unconfirmed: whether an external payment needs it too. Square lists
    # CARD_PROCESSING_NOT_ENABLED for CreatePayment; an external payment at a location without the
    # capability would show it.
    if "CREDIT_CARD_PROCESSING" in location.capabilities:
        return _ok("payments", f"{name} can take payments")
    text = f"{name} isn't activated for card payments, so Square may refuse to record any payment"
    return _wrong("payments", text, Reason.OPEN)


def _ok(what: str, text: str) -> Finding:
    return Finding(what=what, ok=True, text=text)


def _wrong(what: str, text: str, reason: Reason) -> Finding:
    return Finding(what=what, ok=False, text=text, actor=Actor.STORE, reason=reason)
