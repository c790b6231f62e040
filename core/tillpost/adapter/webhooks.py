"""Webhooks: verified, limited in size, and parsed into typed events. No I/O.

An adapter's `parse_webhook` verifies its platform's signature with `verify_hmac` and returns the
events. `Till.parse_webhook` and the outbox's receiver call it through `read_webhook`. Anything but
a genuine webhook is refused with a `WebhookError`.
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

from tillpost.adapter.bounds import refuse_large_json
from tillpost.errors import (
    ErrorRecord,
    OrderError,
    Outcome,
    PosError,
    error_named,
    is_interruption,
)
from tillpost.models.base import Aware, FrozenModel, OutsideId
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
"""The most bytes that a webhook's body may have."""

MOST_EVENTS = 100
"""The most events that one webhook may have."""


class WebhookFault(StrEnum):
    """Why a webhook is refused."""

    UNCONFIGURED = "unconfigured"  # the connection has no secret to verify it with
    TOO_LARGE = "too_large"
    UNSIGNED = "unsigned"
    FORGED = "forged"
    STALE = "stale"
    REPEATED = "repeated"
    UNREADABLE = "unreadable"


class WebhookError(ValueError):
    """A request that isn't a webhook of this connection's platform.

    Answer it with a 4xx.
    """

    def __init__(self, fault: WebhookFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request as it came in.

    Attributes:
        headers: Its headers, with names in lower case.
        body: Its body.
        url: The address that the platform called.
    """

    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def digest(self) -> str:
        """A hash of the body: an event's id where the platform gives none.

        It serves only where bodies differ.
        """
        return hashlib.sha256(self.body).hexdigest()


class _Event(FrozenModel):
    """What every event has.

    Attributes:
        event_id: The platform's id of the event, empty if it gives none.
        at: When it happened, if the platform says.
    """

    event_id: OutsideId = ""
    at: Aware | None = None


class OrderChanged(_Event):
    """An order has another state at the platform.

    Attributes:
        pos_id: The platform's id of the order.
        reference: Our reference, if the platform sends it.
        pos_order: The order's new state, if the webhook proves it.
    """

    kind: Literal["order_changed"] = "order_changed"
    pos_id: OutsideId
    reference: OutsideId = ""
    pos_order: PosOrder | None = None


class OrderRefused(_Event):
    """An accepted order that is refused by the platform or by the store's staff.

    Attributes:
        pos_id: The platform's id of the order.
        reference: Our reference.
        error: The refusal, by the adapter's error table. Its `pos_order` is the order as it is.
    """

    kind: Literal["order_refused"] = "order_refused"
    pos_id: OutsideId
    reference: OutsideId = ""
    error: ErrorRecord


class MenuChanged(_Event):
    """The store's menu has changed and should be imported."""

    kind: Literal["menu_changed"] = "menu_changed"


class AuthorisationRevoked(_Event):
    """The store has revoked our authorisation, as the webhook says.

    It may be about another store of the same application. So have the access checked before acting
    on it, as the outbox does.
    """

    kind: Literal["authorisation_revoked"] = "authorisation_revoked"


class AvailabilityChanged(_Event):
    """The store takes orders again, or no longer.

    Attributes:
        takes_orders: Whether it takes orders; None if the platform doesn't say.
    """

    kind: Literal["availability_changed"] = "availability_changed"
    takes_orders: bool | None = None


WebhookEvent: TypeAlias = (
    OrderChanged | OrderRefused | MenuChanged | AuthorisationRevoked | AvailabilityChanged
)


class SeenEvents(Protocol):
    """A memory of the events that were received."""

    def add(self, event_id: str) -> bool:
        """Remember an event; return False if it was received before."""
        ...


def read_webhook(
    parse: Callable[[Webhook, float], Sequence[WebhookEvent]],
    headers: Mapping[str, str],
    body: bytes,
    url: str,
    now: float,
) -> tuple[WebhookEvent, ...]:
    """Return the events of a request.

    Args:
        parse: The adapter's `parse_webhook`.
        headers: The request's headers.
        body: Its body.
        url: The address that the platform called.
        now: The current time, in epoch seconds.

    Raises:
        WebhookError: It is too large, isn't genuine, or can't be read.
        PosError: The adapter can't read webhooks.
    """
    if len(body) > LARGEST:
        raise WebhookError(WebhookFault.TOO_LARGE, f"the webhook is larger than {LARGEST} bytes")
    lower_case = {name.lower(): value for name, value in headers.items()}
    try:
        refuse_large_json(body)
        events = tuple(parse(Webhook(lower_case, body, url), now))
        if len(events) > MOST_EVENTS:
            raise ValueError(f"the webhook has more than {MOST_EVENTS} events")
        return events
    except (WebhookError, PosError):
        raise
    except BaseException as unreadable:  # whatever a parser raises means: unreadable
        if is_interruption(unreadable):
            raise
        text = f"the webhook can't be read ({type(unreadable).__name__})"
        raise WebhookError(WebhookFault.UNREADABLE, text) from None


def settled(
    events: Sequence[WebhookEvent],
    found: Mapping[str, PosOrder],
    seen: SeenEvents | None,
    stamp: Callable[[PosError], PosError],
) -> tuple[WebhookEvent, ...]:
    """Return the events, completed with the orders that were fetched for them.

    An order that staff rejected becomes an `OrderRefused`. Events are remembered last: if an order
    can't be fetched, its event is accepted when the platform sends it again.

    Args:
        events: The events of one webhook.
        found: The orders that were fetched, by the platform's ids.
        seen: The memory of events, None to accept repeated ones.
        stamp: Fills in an error's platform and operation.

    Raises:
        WebhookError: An event was received before.
    """
    completed = tuple(_completed(event, found, stamp) for event in events)
    for event in completed:
        if seen is not None and event.event_id and not seen.add(event.event_id):
            raise WebhookError(WebhookFault.REPEATED, "the webhook was received before")
    return completed


def _completed(
    event: WebhookEvent, found: Mapping[str, PosOrder], stamp: Callable[[PosError], PosError]
) -> WebhookEvent:
    if isinstance(event, OrderRefused):
        return event.model_copy(update={"error": _stamped(event.error, stamp)})
    if not isinstance(event, OrderChanged):
        return event
    order = found.get(event.pos_id, event.pos_order)
    if order is None:
        return event
    reference = order.reference or event.reference
    if order.state is not PosState.REJECTED:
        return event.model_copy(update={"reference": reference, "pos_order": order})
    error = stamp(
        OrderError("staff rejected the order at the register", reason="rejected", pos_order=order)
    )
    return OrderRefused(
        event_id=event.event_id,
        at=event.at,
        pos_id=event.pos_id,
        reference=reference,
        error=error.record(),
    )


def _stamped(claimed: ErrorRecord, stamp: Callable[[PosError], PosError]) -> ErrorRecord:
    """Return a refusal with what a platform may say of it.

    The rest comes from the connection. The contact and the names in a remedy are ours: staff do
    what a remedy says.
    """
    error = error_named(claimed.kind)(
        claimed.detail,
        code=claimed.code,
        status_code=claimed.status_code,
        lines=claimed.lines,
        subjects=claimed.subjects,
        reason=claimed.reason,
        applied=claimed.applied,
        retry_after=claimed.retry_after,
        refreshable=claimed.refreshable,
        pos_order=claimed.pos_order,
    )
    stamped = stamp(error)
    stamped.request_id = claimed.request_id
    if claimed.pos_order is None and claimed.outcome is not Outcome.NOT_CREATED:
        stamped.outcome = claimed.outcome
    return stamped.record()


def verify_hmac(
    secret: SecretStr | None,
    signature: str | None,
    message: bytes,
    encoding: Literal["hex", "base64"],
) -> None:
    """Verify that a signature is the HMAC-SHA256 of a message, in constant time.

    Args:
        secret: The secret that the platform signs with.
        signature: The signature that came with the webhook.
        message: What the platform signs.
        encoding: How the signature is written.

    Raises:
        WebhookError: It isn't, or there is no secret or no signature.
    """
    if secret is None or not secret.get_secret_value():
        text = "the connection has no secret to verify webhooks with; set webhook_secret"
        raise WebhookError(WebhookFault.UNCONFIGURED, text)
    if not signature:
        raise WebhookError(WebhookFault.UNSIGNED, "the webhook isn't signed")
    expected = hmac.new(secret.get_secret_value().encode(), message, hashlib.sha256).digest()
    if not hmac.compare_digest(_decoded(signature, encoding), expected):
        raise WebhookError(WebhookFault.FORGED, "the webhook's signature is wrong")


def _decoded(signature: str, encoding: Literal["hex", "base64"]) -> bytes:
    """Return a signature's bytes, none if it isn't written as it should be."""
    try:
        if encoding == "hex":
            return bytes.fromhex(signature)
        return base64.b64decode(signature, validate=True)
    except (ValueError, binascii.Error):
        return b""


def check_age(sent_at: float, now: float, *, tolerance: float = 300.0) -> None:
    """Verify that a webhook was signed recently.

    Args:
        sent_at: The time that was signed, in epoch seconds.
        now: The current time, in epoch seconds.
        tolerance: How far the two may differ, in seconds.

    Raises:
        WebhookError: They differ by more.
    """
    # Written so that it holds for no comparison with a NaN.
    if not abs(now - sent_at) <= tolerance:
        text = "the webhook is too old, or its time is in the future"
        raise WebhookError(WebhookFault.STALE, text)
