"""Square's webhooks: the signature, and what each type of event tells.

The signature is base64 HMAC-SHA256 over the notification URL and the raw body (developer
documentation: Validate notifications). An event that is delivered again keeps its `event_id`, for
up to 24 hours after the first try.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from pydantic import SecretStr

from tillpost.adapter import (
    AuthorisationRevoked,
    AvailabilityChanged,
    MenuChanged,
    OrderChanged,
    Webhook,
    WebhookEvent,
    check_age,
    verify_hmac,
)
from tillpost_square.wire import Notification

__all__ = ["read_notification"]

SIGNATURE = "x-square-hmacsha256-signature"
OLDEST = timedelta(hours=26).total_seconds()
"""Square tries for 24 hours; what is older has been kept by somebody."""


def _order(told: Notification) -> WebhookEvent | None:
    changed = told.data.object.changed if told.data.object else None
    pos_id = changed.order_id if changed and changed.order_id else told.data.id
    return OrderChanged(event_id=told.event_id, at=told.created_at, pos_id=pos_id)


def _menu(told: Notification) -> WebhookEvent | None:
    return MenuChanged(event_id=told.event_id, at=told.created_at)


def _revoked(told: Notification) -> WebhookEvent | None:
    return AuthorisationRevoked(event_id=told.event_id, at=told.created_at)


def _location(told: Notification) -> WebhookEvent | None:
    return AvailabilityChanged(event_id=told.event_id, at=told.created_at)


_TYPES: Mapping[str, Callable[[Notification], WebhookEvent | None]] = {
    "order.created": _order,
    "order.updated": _order,
    "order.fulfillment.updated": _order,
    "catalog.version.updated": _menu,
    "oauth.authorization.revoked": _revoked,
    "location.updated": _location,
}


def read_notification(
    webhook: Webhook, secret: SecretStr | None, location_id: str, now: float
) -> Sequence[WebhookEvent]:
    """Return what a notification tells of this location, nothing for other locations and types.

    Raises `WebhookError` for whatever Square didn't send to `webhook.url`.
    """
    verify_hmac(
        secret, webhook.headers.get(SIGNATURE), webhook.url.encode() + webhook.body, "base64"
    )
    told = Notification.model_validate_json(webhook.body)
    check_age(told.created_at.timestamp(), now, tolerance=OLDEST)
    changed = told.data.object.changed if told.data.object else None
    elsewhere = changed is not None and changed.location_id not in ("", location_id)
    tells = _TYPES.get(told.type)
    event = tells(told) if tells and not elsewhere else None
    return (event,) if event else ()
