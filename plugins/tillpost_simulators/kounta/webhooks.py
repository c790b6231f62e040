"""What Kounta tells by itself: subscriptions, and the sending of signed requests.

`X-Kounta-Signature` is the hex HMAC-SHA256 of the raw body (third-party code that cites the
vendor's page).

unconfirmed: which secret is the key, what a `callback_uri` is sent and whether that is signed. Here
both kinds get the whole order, and webhooks of sites the site, signed with `webhook_secret`. One
callback of a real order would tell.

unconfirmed: that a site is `sites/updated` when online ordering is switched; doing so in a trial
account would tell.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.responses import created
from tillpost_simulators.kounta.errors import bad_request, not_found
from tillpost_simulators.kounta.order_json import single_order
from tillpost_simulators.kounta.responses import paged
from tillpost_simulators.kounta.sites_api import site_json
from tillpost_simulators.kounta.wire import Json, WebhookBody, json_answer, read, to_json
from tillpost_simulators.kounta.world import Webhook, World

log = logging.getLogger("tillpost_simulators.kounta")

SIGNATURE = "X-Kounta-Signature"
TOPICS = ("orders/completed", "sites/created", "sites/updated")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that Kounta would send. `topic` is empty for an order's own `callback_uri`."""

    url: str
    topic: str
    body: bytes
    headers: tuple[tuple[str, str], ...]


def due(world: World) -> Iterator[Sent]:
    """What is to be sent for all that has happened, which is then forgotten."""
    events, world.events = world.events, []
    for event in events:
        order = world.orders[event.order_id] if event.order_id is not None else None
        about = (
            single_order(world, order) if order else site_json(world, world.sites[event.site_id])
        )
        body = to_json(about).encode()
        if order is not None and order.callback_uri is not None:
            yield sent(world, order.callback_uri, "", body)
        for hook in world.webhooks.values():
            sites = hook.filter.get("site_ids")
            if hook.topic == event.topic and (not sites or event.site_id in sites):
                yield sent(world, hook.address, hook.topic, body, hook.headers)


def sent(
    world: World, url: str, topic: str, body: bytes, headers: dict[str, str] | None = None
) -> Sent:
    """A request, signed."""
    signature = hmac.new(world.settings.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    all_headers = {**(headers or {}), "Content-Type": "application/json", SIGNATURE: signature}
    return Sent(url, topic, body, tuple(all_headers.items()))


class Sender:
    """Sends in the background, one after the other, and to the loopback only; the rest is recorded and goes nowhere."""

    def __init__(self) -> None:
        self.recorded: list[Sent] = []
        self._worker: ThreadPoolExecutor | None = None
        self._pending: list[Future[None]] = []

    def take(self, request: Sent) -> None:
        """Records a request, and sends it when its address is on the loopback."""
        self.recorded.append(request)
        if _on_loopback(request.url):
            self._worker = self._worker or ThreadPoolExecutor(1, "webhooks")
            self._pending.append(self._worker.submit(_post, request))

    def wait(self) -> None:
        """Waits until everything taken so far has been sent, well or not."""
        while self._pending:
            self._pending.pop(0).result()

    def forget(self) -> None:
        """Forgets what was recorded."""
        self.recorded.clear()


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _post(request: Sent) -> None:
    try:
        httpx.post(
            request.url,
            content=request.body,
            headers=dict(request.headers),
            timeout=5,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        log.warning("a webhook could not be sent to %s: %s", request.url, type(error).__name__)


def list_webhooks(world: World, call: Call) -> Answer:
    """The subscriptions."""
    return paged(
        world,
        call,
        list(world.webhooks.values()),
        lambda hook: hook.id,
        lambda hook: _written(world, hook),
    )


def get_webhook(world: World, call: Call) -> Answer:
    """One subscription."""
    return json_answer(_written(world, _find(world, call)))


def create_webhook(world: World, call: Call) -> Answer:
    """Subscribes to a topic. Two to one topic are both told."""
    asked = read(WebhookBody, call.body)
    if asked.topic not in TOPICS or not asked.address or asked.format not in ("json", "xml"):
        raise bad_request("topic, address and format are required.")
    _check_headers(asked.headers)
    now = world.clock.now()
    hook = Webhook(
        world.new_id(),
        asked.topic,
        asked.address,
        asked.format,
        now,
        now,
        asked.filter or {},
        asked.headers or {},
    )
    world.webhooks[hook.id] = hook
    path = f"/v1/companies/{world.settings.company_id}/webhooks/{hook.id}"
    return created(world, call, path, _written(world, hook))


def update_webhook(world: World, call: Call) -> Answer:
    """Changes what the body names."""
    hook = _find(world, call)
    asked = read(WebhookBody, call.body)
    _check_headers(asked.headers)
    if asked.topic is not None and asked.topic not in TOPICS:
        raise bad_request(f"{asked.topic} is not a topic.")
    for name, value in asked.model_dump(exclude_none=True).items():
        setattr(hook, name, value)
    hook.updated = world.clock.now()
    return json_answer(_written(world, hook))


def delete_webhook(world: World, call: Call) -> Answer:
    """Ends a subscription."""
    del world.webhooks[_find(world, call).id]
    return Answer(204)


def _check_headers(headers: dict[str, str] | None) -> None:
    """Own headers are `Authorization` or `X-*`, but not `X-Kounta*` (vendor's page)."""
    for name in headers or ():
        low = name.lower()
        if low != "authorization" and (not low.startswith("x-") or low.startswith("x-kounta")):
            raise bad_request(f"The header {name} is not allowed.")


def _find(world: World, call: Call) -> Webhook:
    asked = call.path_values["webhook"]
    hook = world.webhooks.get(int(asked)) if asked.isdecimal() else None
    if hook is None:
        raise not_found()
    return hook


def _written(world: World, hook: Webhook) -> Json:
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
