"""What a platform tells by itself: webhooks, verified, bounded, and read into typed events. No I/O.

`Till.parse_webhook` is what embedders call; an adapter's `parse_webhook` checks its platform's
signature with `verify_hmac` and says what the body means. Whatever isn't a proper webhook is
refused with a `WebhookError`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias

from pydantic import SecretStr

from tillpost.errors import ErrorRecord, OrderError, PosError
from tillpost.models.base import Aware, FrozenModel
from tillpost.models.order import PosOrder, PosState

__all__ = [
    "AuthorisationRevoked",
    "AvailabilityChanged",
    "MenuChanged",
    "OrderChanged",
    "OrderRefused",
    "SeenEvents",
    "Webhook",
    "WebhookError",
    "WebhookEvent",
    "WebhookFault",
    "check_age",
    "read_webhook",
    "settled",
    "verify_hmac",
]

LARGEST = 1024 * 1024
"""A webhook's body in bytes; a larger one isn't even read."""


class WebhookFault(StrEnum):
    """Why a webhook is refused."""

    UNCONFIGURED = "unconfigured"  # the connection has no secret to check it by
    TOO_LARGE = "too_large"
    UNSIGNED = "unsigned"
    FORGED = "forged"
    STALE = "stale"
    REPEATED = "repeated"
    UNREADABLE = "unreadable"


class WebhookError(ValueError):
    """What came isn't a webhook of the platform's for this connection. Answer it with a 4xx and do nothing."""

    def __init__(self, fault: WebhookFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request as it came in. Header names are in lower case; `url` is the address that the platform called."""

    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def digest(self) -> str:
        """A fingerprint of the body: an event's id where the platform gives none and no two bodies are alike."""
        return hashlib.sha256(self.body).hexdigest()


class _Event(FrozenModel):
    """What every event has: the platform's own id of it, empty where it gives none, and when it happened."""

    event_id: str = ""
    at: Aware | None = None


class OrderChanged(_Event):
    """The order has another state at the platform. `pos_order` is what is known of it for certain, if anything."""

    kind: Literal["order_changed"] = "order_changed"
    pos_id: str
    reference: str = ""
    pos_order: PosOrder | None = None


class OrderRefused(_Event):
    """An order that had been taken is refused after all, by the platform or by the store's staff.

    A platform's own words went through the adapter's table as any other; `error.pos_order` is the
    order as it is there.
    """

    kind: Literal["order_refused"] = "order_refused"
    pos_id: str
    reference: str = ""
    error: ErrorRecord


class MenuChanged(_Event):
    """The store's menu was changed: time to import it."""

    kind: Literal["menu_changed"] = "menu_changed"


class AuthorisationRevoked(_Event):
    """The store has taken our authorisation back."""

    kind: Literal["authorisation_revoked"] = "authorisation_revoked"


class AvailabilityChanged(_Event):
    """The store takes orders, or doesn't; None when the platform says only that something changed."""

    kind: Literal["availability_changed"] = "availability_changed"
    takes_orders: bool | None = None


WebhookEvent: TypeAlias = (
    OrderChanged | OrderRefused | MenuChanged | AuthorisationRevoked | AvailabilityChanged
)


class SeenEvents(Protocol):
    """Remembers which events have come in."""

    def add(self, event_id: str) -> bool:
        """Take note of an event; return False when it was known."""
        ...


def read_webhook(
    parse: Callable[[Webhook, float], Sequence[WebhookEvent]],
    headers: Mapping[str, str],
    body: bytes,
    url: str,
    now: float,
) -> tuple[WebhookEvent, ...]:
    """Bound a request, and have the adapter's `parse` check and read it."""
    if len(body) > LARGEST:
        raise WebhookError(WebhookFault.TOO_LARGE, f"the webhook is larger than {LARGEST} bytes")
    try:
        return tuple(
            parse(Webhook({name.lower(): value for name, value in headers.items()}, body, url), now)
        )
    except (WebhookError, PosError):
        raise
    except Exception as unreadable:  # noqa: BLE001  whatever a parser raises, the webhook can't be read
        text = f"the webhook can't be read ({type(unreadable).__name__})"
        raise WebhookError(WebhookFault.UNREADABLE, text) from None


def settled(
    events: Sequence[WebhookEvent],
    found: Mapping[str, PosOrder],
    seen: SeenEvents | None,
    stamp: Callable[[PosError], PosError],
) -> tuple[WebhookEvent, ...]:
    """Return the events with the orders that were `found` under their ids, and refuse what has come before.

    An order that staff have turned down is told as refused; `stamp` fills its error in. Events are
    remembered last, so that one whose order couldn't be fetched comes through when the platform
    sends it again.
    """
    believed = tuple(_settled(event, found, stamp) for event in events)
    for event in believed:
        if seen is not None and event.event_id and not seen.add(event.event_id):
            raise WebhookError(WebhookFault.REPEATED, "the webhook has come before")
    return believed


def _settled(
    event: WebhookEvent, found: Mapping[str, PosOrder], stamp: Callable[[PosError], PosError]
) -> WebhookEvent:
    order = found.get(event.pos_id, event.pos_order) if isinstance(event, OrderChanged) else None
    if order is None or not isinstance(event, OrderChanged):
        return event
    reference = order.reference or event.reference
    if order.state is not PosState.REJECTED:
        return event.model_copy(update={"reference": reference, "pos_order": order})
    error = stamp(
        OrderError(
            "staff turned the order down at the register", reason="rejected", pos_order=order
        )
    )
    same = {
        "event_id": event.event_id,
        "at": event.at,
        "pos_id": event.pos_id,
        "reference": reference,
    }
    return OrderRefused.model_validate(same | {"error": error.record()})


def verify_hmac(
    secret: SecretStr | None,
    signature: str | None,
    message: bytes,
    encoding: Literal["hex", "base64"],
) -> None:
    """Raise `WebhookError` unless `signature` is the HMAC-SHA256 of the message. Compares in constant time."""
    if secret is None or not secret.get_secret_value():
        raise WebhookError(
            WebhookFault.UNCONFIGURED, "the connection has no secret to check webhooks by"
        )
    if not signature:
        raise WebhookError(WebhookFault.UNSIGNED, "the webhook isn't signed")
    expected = hmac.new(secret.get_secret_value().encode(), message, hashlib.sha256).digest()
    try:
        given = (
            bytes.fromhex(signature)
            if encoding == "hex"
            else base64.b64decode(signature, validate=True)
        )
    except (ValueError, binascii.Error):
        given = b""
    if not hmac.compare_digest(given, expected):
        raise WebhookError(WebhookFault.FORGED, "the webhook's signature is wrong")


def check_age(sent_at: float, now: float, *, tolerance: float = 300.0) -> None:
    """Raise `WebhookError` when a signed time (epoch seconds) is further from now than `tolerance` seconds."""
    if abs(now - sent_at) > tolerance:
        raise WebhookError(WebhookFault.STALE, "the webhook is too old, or from the future")
