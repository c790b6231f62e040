"""Webhooks of orders, their fulfilments and the catalogue.

Their types are `order.created`, `order.updated`, `order.fulfillment.updated` and
`catalog.version.updated`.

The signature is base64 HMAC-SHA256 over the notification URL and the raw body, and a notification
that is delivered again has the same `event_id` (developer documentation). What is announced is
found by comparison: each order whose version is another than at the last time, its fulfilments,
and the catalogue.

Deliveries can be made as bad as they may be: several times, late and together, out of their order,
and among those of sales at the counter, each of which brings six `order.updated` (developer forum
9277). See `WebhookSettings`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator, Mapping

from tillpost.simulator import Call
from tillpost.simulator.sender import Sent
from tillpost_simulators.square.clock import written
from tillpost_simulators.square.orders import create_order, mark_changed
from tillpost_simulators.square.payments import create_payment
from tillpost_simulators.square.wire import Order
from tillpost_simulators.square.world import AnnouncedOrder, World

__all__ = ["SIGNATURE", "announce", "note_announced", "sell_at_counter", "take_waiting"]

SIGNATURE = "x-square-hmacsha256-signature"

_UPDATES_OF_A_COUNTER_SALE = 6


def announce(world: World) -> None:
    """Let the notifications of all changes since the last call wait to be sent."""
    state = world.webhooks
    if not state.url:
        return
    online: list[Order] = []
    for stored in list(world.orders.values()):
        order = stored.order
        known = state.orders.get(stored.id)
        if known is not None and known.version == order.version:
            continue
        _announce_order(world, order, "order_updated" if known else "order_created")
        if not known and stored.id not in state.counter_sales:
            online.append(order)
    for _ in range(len(online) * world.settings.webhooks.counter_sales):
        sell_at_counter(world)
    if state.catalogue_time != world.catalogue.latest_time:
        state.catalogue_time = world.catalogue.latest_time
        version = {"updated_at": state.catalogue_time}
        _wait(world, "catalog.version.updated", "catalog_version", "", version)


def take_waiting(world: World, *, whole: bool = False) -> Iterator[Sent]:
    """Yield the requests to send now, once enough of them wait for a burst.

    Args:
        world: The merchant.
        whole: Whether to yield what waits, however little that is.
    """
    settings = world.settings.webhooks
    state = world.webhooks
    if not whole and len(state.waiting) < settings.burst:
        return
    burst = state.waiting * settings.deliveries
    state.waiting = []
    if settings.shuffled:
        state.random.shuffle(burst)
    yield from burst


def sell_at_counter(world: World) -> str:
    """Sell something at the counter for cash, and return the order's id."""
    state = world.webhooks
    price = {"amount": 500, "currency": world.settings.currency}
    line = {"name": "Counter sale", "quantity": "1", "base_price_money": price}
    order = {"location_id": world.settings.location_id, "line_items": [line]}
    made = json.loads(create_order(world, _call({"order": order})).body)["order"]
    order_id: str = made["id"]
    state.counter_sales.add(order_id)
    payment = {
        "idempotency_key": f"counter-{order_id}"[:45],
        "source_id": "CASH",
        "order_id": order_id,
        "amount_money": made["total_money"],
        "cash_details": {"buyer_supplied_money": made["total_money"]},
    }
    create_payment(world, _call(payment))
    sold = world.orders[order_id].order
    for _ in range(_UPDATES_OF_A_COUNTER_SALE):
        mark_changed(world, sold)
        if state.url:
            _announce_order(world, sold, "order_updated")
    return order_id


def _call(body: object) -> Call:
    return Call("POST", "", json.dumps(body).encode())


def note_announced(world: World, order: Order) -> None:
    """Note that an order was announced as it is now."""
    assert order.id is not None
    fulfilments = {
        fulfilment.uid: fulfilment.model_copy(deep=True)
        for fulfilment in order.fulfillments or ()
        if fulfilment.uid is not None
    }
    world.webhooks.orders[order.id] = AnnouncedOrder(order.version or 0, fulfilments)


def _announce_order(world: World, order: Order, change: str) -> None:
    assert order.id is not None
    before = world.webhooks.orders.get(order.id)
    note_announced(world, order)
    facts = _facts(order)
    _wait(world, change.replace("_", "."), change, order.id, facts)
    changes = _fulfilment_changes(before, world.webhooks.orders[order.id]) if before else []
    if changes:
        # unconfirmed: that a move by staff sends order.fulfillment.updated. The SDK's text says
        # that only UpdateOrder does; a subscription and a register would show it.
        updated = {**facts, "fulfillment_update": changes}
        kind, name = "order.fulfillment.updated", "order_fulfillment_updated"
        _wait(world, kind, name, order.id, updated)


def _fulfilment_changes(before: AnnouncedOrder, after: AnnouncedOrder) -> list[dict[str, object]]:
    """Return the fulfilments that changed, with their states.

    A new one has no old state (SDK: OrderFulfillmentUpdatedUpdate). A removed one isn't named.
    """
    changes: list[dict[str, object]] = []
    for uid, fulfilment in after.fulfilments.items():
        known = before.fulfilments.get(uid)
        if known == fulfilment:
            continue
        change: dict[str, object] = {"fulfillment_uid": uid, "new_state": fulfilment.state}
        if known is not None:
            change["old_state"] = known.state
        changes.append(change)
    return changes


def _facts(order: Order) -> Mapping[str, object]:
    return {
        "order_id": order.id,
        "location_id": order.location_id,
        "state": order.state,
        "version": order.version,
        "created_at": order.created_at,
        "updated_at": order.updated_at,
    }


def _wait(world: World, kind: str, name: str, object_id: str, facts: Mapping[str, object]) -> None:
    """Let a notification wait to be sent."""
    state = world.webhooks
    body = {
        "merchant_id": world.settings.merchant_id,
        "type": kind,
        "event_id": str(uuid.UUID(int=state.random.getrandbits(128), version=4)),
        "created_at": written(world.clock.now()),
        "data": {"type": name, "id": object_id, "object": {name: facts}},
    }
    raw = json.dumps(body).encode()
    secret = world.settings.webhooks.secret.encode()
    digest = hmac.new(secret, state.url.encode() + raw, hashlib.sha256).digest()
    headers = (
        ("Content-Type", "application/json"),
        (SIGNATURE, base64.b64encode(digest).decode()),
    )
    state.waiting.append(Sent(state.url, kind, raw, headers))
