"""Square's webhooks: the signature, and the event of each type.

The signature is base64 HMAC-SHA256 over the notification URL and the raw body (developer
documentation: Validate notifications). An event that is delivered again has the same `event_id`,
for up to 24 hours after the first try.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

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
from tillpost_square.settings import SquareSettings
from tillpost_square.wire import Notification

__all__ = ["read_notification"]

SIGNATURE = "x-square-hmacsha256-signature"

OLDEST = timedelta(hours=26).total_seconds()
"""Square retries for 24 hours, so an older notification was recorded by somebody."""


def read_notification(
    webhook: Webhook, settings: SquareSettings, now: float
) -> Sequence[WebhookEvent]:
    """Return the event of a notification, none for another store or an unknown type.

    Args:
        webhook: The request as it came in.
        settings: The connection's settings: the subscription's signature key, the location, and
            the merchant where it is known.
        now: The current time, in epoch seconds.

    Raises:
        WebhookError: Square didn't send it to `webhook.url`, or not in the last 26 hours.
    """
    signed = webhook.url.encode() + webhook.body
    verify_hmac(settings.webhook_secret, webhook.headers.get(SIGNATURE), signed, "base64")
    notification = Notification.model_validate_json(webhook.body)
    check_age(notification.created_at.timestamp(), now, tolerance=OLDEST)
    merchants = {settings.merchant_id, notification.merchant_id} - {""}
    if len(merchants) > 1:
        return ()
    changed = notification.changed_order
    if changed and changed.location_id not in ("", settings.location_id):
        return ()
    event = _event(notification)
    if not event:
        return ()
    return (event,)


def _event(notification: Notification) -> WebhookEvent | None:
    event_id = notification.event_id
    at = notification.created_at
    match notification.type:
        case "order.created" | "order.updated" | "order.fulfillment.updated":
            changed = notification.changed_order
            order_id = changed.order_id if changed else ""
            pos_id = order_id or notification.data.id
            return OrderChanged(event_id=event_id, at=at, pos_id=pos_id)
        case "catalog.version.updated":
            return MenuChanged(event_id=event_id, at=at)
        case "oauth.authorization.revoked":
            return AuthorisationRevoked(event_id=event_id, at=at)
        case "location.updated":
            return AvailabilityChanged(event_id=event_id, at=at)
        case _:
            return None
