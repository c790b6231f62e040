"""Operations on webhook subscriptions, and the sending of webhooks and callbacks.

`X-Kounta-Signature` is the hex HMAC-SHA256 of the raw body (third-party code that cites the
vendor's page).

unconfirmed: which secret is the key, what a `callback_uri` is sent and whether that is signed. Here
both kinds get the whole order, and webhooks of sites the site, signed with `webhook_secret`. One
callback of a real order would show it.

unconfirmed: that a site is `sites/updated` when online ordering is switched; doing so in a trial
account would show it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

from tillpost.simulator import Answer, Call
from tillpost.simulator.sender import Sent
from tillpost_simulators.kounta.errors import bad_request
from tillpost_simulators.kounta.order_json import single_order
from tillpost_simulators.kounta.resources import created, find_in_path, paged
from tillpost_simulators.kounta.sites_api import site_json
from tillpost_simulators.kounta.wire import Json, WebhookBody, json_answer, parse_body, to_json
from tillpost_simulators.kounta.world import Event, Webhook, World

SIGNATURE = "X-Kounta-Signature"
TOPICS = ("orders/completed", "sites/created", "sites/updated")


# --- sending ---


def requests_for_events(world: World) -> Iterator[Sent]:
    """Yield the requests for all events since the last call."""
    events = world.events
    world.events = []
    for event in events:
        yield from _requests_for(world, event)


def _requests_for(world: World, event: Event) -> Iterator[Sent]:
    order = world.orders[event.order_id] if event.order_id is not None else None
    if order is not None:
        body = to_json(single_order(world, order)).encode()
    else:
        body = to_json(site_json(world, world.sites[event.site_id])).encode()
    if order is not None and order.callback_uri is not None:
        yield sent(world, order.callback_uri, "", body)
    for hook in world.webhooks.values():
        site_ids = hook.filter.get("site_ids")
        if hook.topic == event.topic and (not site_ids or event.site_id in site_ids):
            yield sent(world, hook.address, hook.topic, body, hook.headers)


def sent(
    world: World,
    url: str,
    topic: str,
    body: bytes,
    headers: dict[str, str] | None = None,
) -> Sent:
    """Return a signed request."""
    secret = world.settings.webhook_secret.encode()
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    all_headers = {
        **(headers or {}),
        "Content-Type": "application/json",
        SIGNATURE: signature,
    }
    return Sent(url, topic, body, tuple(all_headers.items()))


# --- subscriptions ---


def list_webhooks(world: World, call: Call) -> Answer:
    """List the subscriptions."""
    hooks = list(world.webhooks.values())
    return paged(
        world,
        call,
        hooks,
        key=lambda hook: hook.id,
        write=lambda hook: _webhook(world, hook),
    )


def get_webhook(world: World, call: Call) -> Answer:
    """Return one subscription."""
    hook = find_in_path(call, "webhook", world.webhooks)
    return json_answer(_webhook(world, hook))


def create_webhook(world: World, call: Call) -> Answer:
    """Subscribe to a topic. Several subscriptions to one topic each get its requests."""
    body = parse_body(WebhookBody, call.body)
    if body.topic not in TOPICS or not body.address or body.format not in ("json", "xml"):
        raise bad_request("topic, address and format are required.")
    _check_headers(body.headers)
    now = world.clock.now()
    hook = Webhook(
        id=world.new_id(),
        topic=body.topic,
        address=body.address,
        format=body.format,
        created=now,
        updated=now,
        filter=body.filter or {},
        headers=body.headers or {},
    )
    world.webhooks[hook.id] = hook
    path = f"/v1/companies/{world.settings.company_id}/webhooks/{hook.id}"
    return created(world, call, path, _webhook(world, hook))


def update_webhook(world: World, call: Call) -> Answer:
    """Change the fields that the body names."""
    hook = find_in_path(call, "webhook", world.webhooks)
    body = parse_body(WebhookBody, call.body)
    _check_headers(body.headers)
    if body.topic is not None and body.topic not in TOPICS:
        raise bad_request(f"{body.topic} is not a topic.")
    for name, value in body.model_dump(exclude_none=True).items():
        setattr(hook, name, value)
    hook.updated = world.clock.now()
    return json_answer(_webhook(world, hook))


def delete_webhook(world: World, call: Call) -> Answer:
    """Delete a subscription."""
    hook = find_in_path(call, "webhook", world.webhooks)
    del world.webhooks[hook.id]
    return Answer(204)


def _check_headers(headers: dict[str, str] | None) -> None:
    """Allow `Authorization` and `X-*` except `X-Kounta*`; refuse others.

    Source: vendor's page.
    """
    for name in headers or ():
        lower = name.lower()
        is_own_x = lower.startswith("x-") and not lower.startswith("x-kounta")
        if lower != "authorization" and not is_own_x:
            raise bad_request(f"The header {name} is not allowed.")


def _webhook(world: World, hook: Webhook) -> Json:
    return {
        "id": hook.id,
        "topic": hook.topic,
        "address": hook.address,
        "format": hook.format,
        "created_at": world.clock.written(hook.created),
        "updated_at": world.clock.written(hook.updated),
        "filter": hook.filter,
        "headers": hook.headers,
    }
