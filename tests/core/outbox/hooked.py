"""Simulated stores that send webhooks, signed as each platform signs them, for tests of the outbox.

All stores are driven alike: an order is submitted, staff do something, and `told` returns the
webhook that the platform sends about it, as the arguments of `Outbox.receive` after the
connection's name.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, TypeAlias

import sqlalchemy as sa

from adapters.square.shop_orders import FLAT_WHITE, TOASTIE, paid
from core.outbox.corner_shop import lunch
from tillpost import Order, Policy, hookimpl
from tillpost.client.base import adapter_for
from tillpost.outbox import Outbox, OutboxConnection, Processor, StoredOrder, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.webhooks.receiver import Receiver
from tillpost.simulator import serve_in_thread
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.kounta.order_json import single_order
from tillpost_simulators.kounta.webhooks import sent
from tillpost_simulators.kounta.wire import to_json
from tillpost_simulators.square import SquareSimulator

Delivery: TypeAlias = tuple[Mapping[str, str], bytes, str]
"""A webhook: its headers, its body, and the URL that was called."""

HOOK = "https://shop.example/hooks/cafe"


class Heard:
    """A plugin that records each hook call: its name, with its arguments."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Mapping[str, Any]]] = []

    @property
    def names(self) -> list[str]:
        """The names of the hooks called, in sequence."""
        return [name for name, _ in self.all]

    def named(self, hook: str) -> list[Mapping[str, Any]]:
        """Return the arguments of each call of one hook."""
        return [facts for name, facts in self.all if name == hook]

    @hookimpl
    def order_submitted(self, order: Order) -> None:
        self.all.append(("order_submitted", {"order": order}))

    @hookimpl
    def order_status_changed(self, order: Order | None, state: str, progress: str) -> None:
        self.all.append(
            ("order_status_changed", {"order": order, "state": state, "progress": progress})
        )

    @hookimpl
    def order_rejected(self, order: Order | None, pos_order: object) -> None:
        self.all.append(("order_rejected", {"order": order, "pos_order": pos_order}))

    @hookimpl
    def order_failed(self, order: Order, error: object) -> None:
        self.all.append(("order_failed", {"order": order, "error": error}))

    @hookimpl
    def order_unseen(self, order: Order | None, pos_order: object) -> None:
        self.all.append(("order_unseen", {"order": order, "pos_order": pos_order}))

    @hookimpl
    def order_escalated(self, order: Order | None, error: object, times: int) -> None:
        self.all.append(("order_escalated", {"order": order, "error": error, "times": times}))

    @hookimpl
    def menu_error(self, order: Order, error: object) -> None:
        self.all.append(("menu_error", {"order": order, "error": error}))

    @hookimpl
    def menu_imported(self, connection: str) -> None:
        self.all.append(("menu_imported", {"connection": connection}))

    @hookimpl
    def reauthorisation_needed(self, error: object) -> None:
        self.all.append(("reauthorisation_needed", {"error": error}))


class Store(ABC):
    """A simulated store, and its connection "cafe"."""

    simulator: Any
    settings: Mapping[str, Any]

    def __init__(self, simulator: Any, platform: str, **settings: Any) -> None:
        self._open = ExitStack()
        self.simulator = simulator
        self.platform_name = platform
        running = self._open.enter_context(serve_in_thread(simulator))
        self.settings = {**running.settings, **settings}

    def close(self) -> None:
        """Close the store."""
        self._open.close()

    def connected(self, policy: Policy | None = None) -> OutboxConnection:
        """Return the connection to the store."""
        return OutboxConnection(
            adapter_for(self.platform_name, dict(self.settings)), policy=policy or Policy()
        )

    def processing(
        self, outbox: Outbox, heard: Heard | None = None, clock: Callable[[], float] | None = None
    ) -> Processor:
        """Return a worker that knows the store as "cafe"."""
        hooks = (heard,) if heard else ()
        return Processor(
            outbox, connections=from_mapping({"cafe": self.connected()}), hooks=hooks, clock=clock
        )

    def receiver(
        self, outbox: Outbox, heard: Heard | None = None, clock: Callable[[], float] | None = None
    ) -> Receiver:
        """Return a receiver of the store's webhooks."""
        hooks = (heard,) if heard else ()
        connections = from_mapping({"cafe": self.connected()})
        receiver = outbox.receiver(connections=connections, hooks=hooks, clock=clock)
        self._open.callback(receiver.close)
        return receiver

    def bring(self, outbox: Outbox, order_id: str = "ord-1", **changes: Any) -> str:
        """Submit an order, and return the platform's id of it."""
        outbox.add(self.order(order_id, **changes), connection="cafe", is_new=True)
        with self.processing(outbox) as processor:
            for claim in processor.claim(9):
                processor.handle(claim)
        stored = outbox.get(order_id)
        assert stored
        assert stored.state == "received", stored
        assert stored.pos_order
        return stored.pos_order.id

    @abstractmethod
    def order(self, order_id: str, **changes: Any) -> Order:
        """Return a paid order that the store accepts."""

    @abstractmethod
    def told(self, pos_id: str, *, event_id: str = "e1", url: str = HOOK) -> Delivery:
        """Return the webhook that the platform sends about an order now."""

    @abstractmethod
    def signed(self, body: bytes, url: str = HOOK) -> Delivery:
        """Return a webhook with any body, signed as the platform signs."""


class Square(Store):
    """A store at Square."""

    secret = "whsec"

    def __init__(self) -> None:
        super().__init__(SquareSimulator(), "square", webhook_secret=self.secret)

    def order(self, order_id: str, **changes: Any) -> Order:
        return lunch(order_id, **changes)

    def told(
        self, pos_id: str, *, event_id: str = "e1", url: str = HOOK, kind: str = "order.updated"
    ) -> Delivery:
        return self.event(kind, event_id=event_id, url=url, pos_id=pos_id)

    def event(
        self,
        kind: str,
        *,
        event_id: str = "e1",
        url: str = HOOK,
        pos_id: str = "",
        at: float | None = None,
    ) -> Delivery:
        """Return any notification. `at` is when it was created, in epoch seconds."""
        created_at = time.time() if at is None else at
        timestamp = datetime.fromtimestamp(created_at, UTC).isoformat()
        updated = {
            "order_updated": {
                "order_id": pos_id,
                "location_id": self.simulator.settings.location_id,
            }
        }
        data = {"type": "order", "id": pos_id, "object": updated if pos_id else {}}
        body = {
            "merchant_id": "M",
            "type": kind,
            "event_id": event_id,
            "created_at": timestamp,
            "data": data,
        }
        return self.signed(json.dumps(body).encode(), url)

    def signed(self, body: bytes, url: str = HOOK) -> Delivery:
        digest = hmac.new(self.secret.encode(), url.encode() + body, hashlib.sha256).digest()
        headers = {"X-Square-HmacSha256-Signature": base64.b64encode(digest).decode()}
        return headers, body, url


class Kounta(Store):
    """A store at Kounta."""

    def __init__(self) -> None:
        simulator = KountaSimulator(KountaSettings(oauth_limit=100_000))
        substitutes = {
            "charge_products": {"surcharge": 9001, "delivery": 9002},
            "tip_product": 9003,
        }
        secret = simulator.settings.webhook_secret
        super().__init__(
            simulator,
            "kounta",
            import_pace=0,
            webhook_secret=secret,
            look_after=(0.01, 0.02),
            **substitutes,
        )

    def order(self, order_id: str, **changes: Any) -> Order:
        return paid(order_id, [FLAT_WHITE, TOASTIE]).model_copy(update=changes)

    def told(self, pos_id: str, *, event_id: str = "e1", url: str = HOOK) -> Delivery:
        world = self.simulator.world
        order = single_order(world, world.orders[int(pos_id)])
        return self.signed(to_json(order).encode(), url)

    def signed(self, body: bytes, url: str = HOOK) -> Delivery:
        request = sent(self.simulator.world, url, "", body)
        return dict(request.headers), body, url


class Generic(Store):
    """A store whose POS serves the generic format, and may refuse orders late."""

    def __init__(self) -> None:
        super().__init__(GenericSimulator(), "generic", allow_private=True, look_after=(0.01, 0.02))

    def order(self, order_id: str, **changes: Any) -> Order:
        return paid(order_id, [FLAT_WHITE, TOASTIE]).model_copy(update=changes)

    def told(self, pos_id: str, *, event_id: str = "e1", url: str = HOOK) -> Delivery:
        stored = self.simulator.world.named(pos_id)
        pos_order = {
            "id": pos_id,
            "reference": stored.order.id,
            "state": stored.state,
            "progress": stored.progress,
        }
        event = {
            "kind": "order_changed",
            "event_id": event_id,
            "pos_id": pos_id,
            "pos_order": pos_order,
        }
        return self.signed(json.dumps(event).encode(), url)

    def refused(
        self, pos_id: str, kind: str, detail: str = "no longer sold", event_id: str = "e1"
    ) -> Delivery:
        """Return the webhook by which the POS refuses an order that it had received."""
        error = {"kind": kind, "detail": detail}
        event = {"kind": "order_refused", "event_id": event_id, "pos_id": pos_id, "error": error}
        return self.signed(json.dumps(event).encode())

    def signed(self, body: bytes, url: str = HOOK) -> Delivery:
        timestamp = str(int(time.time()))
        path = url.removeprefix("https://shop.example")
        body_digest = hashlib.sha256(body).hexdigest()
        text = "\n".join((timestamp, "POST", path, "", body_digest))
        key = self.simulator.settings.signing_key.encode()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers = {"Tillpost-Timestamp": timestamp, "Tillpost-Signature": signature}
        return headers, body, url


def stored(outbox: Outbox, order_id: str = "ord-1") -> StoredOrder:
    found = outbox.get(order_id)
    assert found
    return found


def count_webhooks(outbox: Outbox) -> int:
    with outbox.database.reading() as db:
        return int(db.scalar(sa.select(sa.func.count()).select_from(t.webhooks)) or 0)


def column(outbox: Outbox, name: str, order_id: str = "ord-1") -> object:
    with outbox.database.reading() as db:
        return db.scalar(sa.select(t.orders.c[name]).where(t.orders.c.id == order_id))


def connection_column(outbox: Outbox, name: str) -> object:
    with outbox.database.reading() as db:
        return db.scalar(sa.select(t.connections.c[name]).where(t.connections.c.name == "cafe"))
