"""The stores of a scenario: each is a platform's simulator, with its register, and how to reach it.

A store has two addresses, between which its settings may be changed. It gets new credentials after
the old ones were revoked. Simulators are kept over the scenarios
of a run and reset, because making one takes longer than a scenario.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias

from simulation.clocks import Stage
from tillpost.adapter.base import Adapter
from tillpost.simulator import LedgerEntry, Simulator
from tillpost_generic.adapter import Generic
from tillpost_generic.settings import GenericSettings
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.settings import KountaSettings
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.generic import WorldSettings as GenericWorld
from tillpost_simulators.kounta import KountaSettings as KountaWorld
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.kounta.order_json import single_order
from tillpost_simulators.kounta.webhooks import sent
from tillpost_simulators.kounta.wire import to_json
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square import WorldSettings as SquareWorld
from tillpost_square.adapter import Square
from tillpost_square.settings import SquareSettings

Delivery: TypeAlias = tuple[Mapping[str, str], bytes, str]
"""A webhook: its headers, its body, and the URL that was called."""

ENDLESS = 10**8

MENU = {"7302": ("Flat white, regular", "FW-R", 550), "5312": ("BLT toastie", "BLT", 1450)}
"""What the stores of a scenario sell: names, SKUs and prices, with tax, by the items' ids."""

TIP_PRODUCT = 9003


class Store(ABC):
    """A store, by the name of its connection.

    Attributes:
        address: At which of its two addresses orders are sent today.
        token: The number of the credentials that are connected.
        revision: Rises when its settings change.
        calm: Whether its platform and its network never fail.
        ended: The ids of the orders that its staff rejected or deleted.
    """

    kind: str
    keyed = True
    simulators: Sequence[Any]

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = 0
        self.token = 0
        self.revision = 0
        self.calm = False
        self.ended: set[str] = set()
        self.items: dict[str, str] = {}
        for simulator in self.simulators:
            simulator.start_afresh()
            self.stock(simulator)

    @property
    def hosts(self) -> Mapping[str, Simulator]:
        """The simulators, by the names of their hosts."""
        return {f"{self.kind}-{number}": it for number, it in enumerate(self.simulators)}

    @property
    def simulator(self) -> Any:
        """The simulator at today's address."""
        return self.simulators[self.address % len(self.simulators)]

    def adapter(self) -> Adapter[Any]:
        """Return the adapter with today's settings."""
        return _adapter(type(self), self.address, self.token)

    def all_entries(self) -> list[LedgerEntry]:
        """Return what the registers have, at both addresses."""
        return [entry for simulator in self.simulators for entry in simulator.ledger().entries]

    def entries(self, order_id: str) -> list[LedgerEntry]:
        """Return what the registers have of an order, at both addresses."""
        return [entry for entry in self.all_entries() if entry.reference == order_id]

    def live(self, order_id: str) -> list[LedgerEntry]:
        """Return what a kitchen would make of an order."""
        return [entry for entry in self.entries(order_id) if is_live(entry)]

    @classmethod
    @abstractmethod
    def make_adapter(cls, address: int, token: int) -> Adapter[Any]:
        """Return an adapter for one of the addresses, and some credentials."""

    def stock(self, simulator: Any) -> None:
        """Reduce a simulator's world to what a scenario needs."""
        del simulator

    def staff(self, act: str, order_id: str) -> None:
        """Let staff accept, reject, delete or complete an order. Raises `LookupError`.

        Where nothing can be deleted, it is rejected.
        """
        act = {"delete": "reject"}.get(act, act)
        getattr(self.simulator, f"staff_{act}")(order_id)
        if act == "reject":
            self.ended.add(order_id)

    def revoke(self) -> None:
        """Revoke the credentials that are connected."""
        token = f"token-{self.token}" if self.token else None
        self.simulator.revoke_token(token)

    @abstractmethod
    def reconnect(self) -> None:
        """Connect the store with other credentials."""

    @abstractmethod
    def webhook(self, pos_id: str, event_id: str) -> Delivery | None:
        """Return the webhook that the platform sends about an order as it is now, if any."""

    def renew_item(self, item: str) -> None:
        """Delete an item and add it again, under another id."""
        new_id = str(int(self.items.get(item, item)) + 1000)
        self.recreate(self.items.get(item, item), new_id)
        self.items[item] = new_id

    def recreate(self, item: str, new_id: str) -> None:
        """Give an item another id."""
        self.simulators[0].recreate_variation(item, new_id)

    def sell_out(self, item: str, sold_out: bool = True) -> None:
        """Mark an item as sold out, or as available again."""
        self.simulators[0].sell_out(self.items.get(item, item), sold_out)

    def change_price(self, item: str, price: int) -> None:
        """Give an item another price, which includes tax."""
        self.simulators[0].change_price(self.items.get(item, item), price)

    def make_peace(self) -> None:
        """Let everything be as it was, and in order."""
        for item, (_, _, price) in MENU.items():
            self.sell_out(item, sold_out=False)
            self.change_price(item, price)

    def changed(self) -> None:
        """Note that the settings have changed."""
        self.revision += 1


def is_live(entry: LedgerEntry) -> bool:
    """Whether a kitchen makes the order: it is shown, paid for, and nobody has ended it."""
    was_rejected = "FAILED" in entry.fulfilment_state or entry.state == "rejected"
    is_over = entry.cancelled or was_rejected or entry.fulfilment_state == "CANCELED"
    return entry.settled and entry.shown and not is_over


@cache
def _adapter(kind: type[Store], address: int, token: int) -> Adapter[Any]:
    return kind.make_adapter(address, token)


def without_tax(price: int) -> Decimal:
    """Return a price in major units without its tax of 10 %."""
    return round(Decimal(price) / 110, 4)


HOOK = "https://shop.example/hooks/"


class SquareStore(Store):
    """A location at Square: two requests make an order, and keys are honoured."""

    kind = "square"
    simulators = (SquareSimulator(SquareWorld(stocked=False, search_lag_seconds=0.5)),)
    secret = "whsec"

    def stock(self, simulator: SquareSimulator) -> None:
        for item, (name, sku, price) in MENU.items():
            simulator.add_item(item, name, price, sku=sku, variation_name="")

    @classmethod
    def make_adapter(cls, address: int, token: int) -> Square:
        known: dict[str, Any] = {
            **cls.simulators[0].connection_settings("https://square-0"),
            "webhook_secret": cls.secret,
            "location_id": ("L-CAFE", "L-KIOSK")[address],
        }
        if token:
            known["access_token"] = f"token-{token}"
        return Square(SquareSettings.model_validate(known))

    def reconnect(self) -> None:
        world = self.simulator.world
        first = world.tokens[self.simulator.settings.access_token]
        self.token += 1
        world.tokens[f"token-{self.token}"] = replace(first, revoked=False)
        self.changed()

    def webhook(self, pos_id: str, event_id: str) -> Delivery | None:
        stored = self.simulator.world.orders.get(pos_id)
        if stored is None:
            return None
        order = stored.order
        updated = {"order_id": pos_id, "location_id": order.location_id}
        body = {
            "merchant_id": "M",
            "type": "order.updated",
            "event_id": event_id,
            "created_at": datetime.fromtimestamp(Stage.true_time(), UTC).isoformat(),
            "data": {"type": "order", "id": pos_id, "object": {"order_updated": updated}},
        }
        raw, url = json.dumps(body).encode(), HOOK + self.name
        digest = hmac.new(self.secret.encode(), url.encode() + raw, hashlib.sha256).digest()
        return {"x-square-hmacsha256-signature": base64.b64encode(digest).decode()}, raw, url


class KountaStore(Store):
    """A site at Kounta, which honours no keys and checks little."""

    kind = "kounta"
    keyed = False
    simulators = (
        KountaSimulator(
            KountaWorld(
                stocked=False,
                oauth_limit=ENDLESS,
                token_lasts_seconds=ENDLESS,
                taxes_in_lists=True,
                order_lag_seconds=1.0,
            )
        ),
    )

    def stock(self, simulator: KountaSimulator) -> None:
        sites = list(simulator.world.sites)
        for item, (name, sku, price) in MENU.items():
            simulator.add_product(int(item), name, without_tax(price), sku, site_ids=sites)
        simulator.add_product(TIP_PRODUCT, "Tip", Decimal(0), "TIP", tax_ids=[], site_ids=sites)

    @classmethod
    def make_adapter(cls, address: int, token: int) -> Kounta:
        simulator = cls.simulators[0]
        known: dict[str, Any] = {
            **simulator.connection_settings("https://kounta-0"),
            "import_pace": 0,
            "webhook_secret": simulator.settings.webhook_secret,
            "site_id": (2301, 985)[address],
            "tip_product": TIP_PRODUCT,
        }
        if token:
            known["access_token"] = f"token-{token}"
        return Kounta(KountaSettings.model_validate(known))

    def recreate(self, item: str, new_id: str) -> None:
        self.simulators[0].recreate_product(int(item), int(new_id))

    def sell_out(self, item: str, sold_out: bool = True) -> None:
        self.simulators[0].sell_out(int(self.items.get(item, item)), sold_out)

    def change_price(self, item: str, price: int) -> None:
        product = int(self.items.get(item, item))
        self.simulators[0].change_price(product, without_tax(price))

    def staff(self, act: str, order_id: str) -> None:
        getattr(self.simulator, f"staff_{act}")(order_id)
        if act in ("reject", "delete"):
            self.ended.add(order_id)

    def reconnect(self) -> None:
        world = self.simulator.world
        first = world.tokens[self.simulator.settings.access_token]
        self.token += 1
        world.tokens[f"token-{self.token}"] = replace(first, revoked=False)
        self.changed()

    def webhook(self, pos_id: str, event_id: str) -> Delivery | None:
        world = self.simulator.world
        if int(pos_id) not in world.orders:
            return None
        body = to_json(single_order(world, world.orders[int(pos_id)])).encode()
        url = HOOK + self.name
        return {k.lower(): v for k, v in sent(world, url, "", body).headers}, body, url


class GenericStore(Store):
    """A POS that serves our own format, with keys, and may move to another host."""

    kind = "generic"
    simulators = tuple(
        GenericSimulator(GenericWorld(clock=Stage.true_time, tolerance=ENDLESS)) for _ in range(2)
    )

    @classmethod
    def make_adapter(cls, address: int, token: int) -> Generic:
        known = dict(cls.simulators[0].connection_settings(f"https://generic-{address}"))
        if token:
            known["signing_key"] = f"signing-key-{token}"
        return Generic(GenericSettings.model_validate(known))

    def revoke(self) -> None:
        self.simulator.revoke_token()

    def reconnect(self) -> None:
        self.token += 1
        for simulator in self.simulators:
            simulator.revoke_token(revoked=False)
            simulator.change_signing_key(f"signing-key-{self.token}")
        self.changed()

    def webhook(self, pos_id: str, event_id: str) -> Delivery | None:
        stored = self.simulator.world.orders.get(pos_id)
        if stored is None:
            return None
        pos_order = {
            "id": pos_id,
            "reference": stored.order.id,
            "state": stored.state,
            "progress": stored.progress,
        }
        return self.signed(
            {
                "kind": "order_changed",
                "event_id": event_id,
                "pos_id": pos_id,
                "pos_order": pos_order,
            }
        )

    def refuse_late(self, pos_id: str, kind: str, event_id: str) -> Callable[[], Delivery]:
        """Let the POS lose an order that it had received; return the webhook that says so."""
        lost = self.simulator.world.orders.pop(pos_id)
        event = {
            "kind": "order_refused",
            "event_id": event_id,
            "pos_id": pos_id,
            "reference": lost.order.id,
            "error": {"kind": kind, "detail": "it isn't sold any more"},
        }
        return lambda: self.signed(event)

    def signed(self, event: Mapping[str, object]) -> Delivery:
        """Return a webhook, signed by the POS."""
        body, url = json.dumps(event).encode(), HOOK + self.name
        timestamp = str(int(Stage.true_time()))
        path = url.removeprefix("https://shop.example")
        text = "\n".join((timestamp, "POST", path, "", hashlib.sha256(body).hexdigest()))
        key = self.simulator.world.signing_key.encode()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers = {"tillpost-timestamp": timestamp, "tillpost-signature": signature}
        return headers, body, url


KINDS: tuple[type[Store], ...] = (SquareStore, KountaStore, GenericStore)
