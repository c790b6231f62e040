"""Square for the conformance suite."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, OAT, TOASTIE, paid
from tillpost import (
    MenuError,
    OrderError,
    OutageError,
    Outcome,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)
from tillpost.models.order import Order, PosOrder
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule
from tillpost.testing.world import Delivery, Trouble, World
from tillpost_simulators.square import SquareSimulator
from tillpost_square.adapter import Square

NOWHERE = TOASTIE.model_copy(update={"item_id": "GONE", "sku": "GONE", "name": "Pavlova"})


class SquareWorld(World[SquareSimulator]):
    adapter = Square
    create_path = "/v2/orders$"
    advance_path = "/v2/payments$"
    impossible: ClassVar[Mapping[type[PosError], str]] = {
        RegisterOfflineError: "Square doesn't report whether a register is online",
        StoreClosedError: "Square's Orders API takes orders at any hour; no code says closed",
    }

    def order(self, order_id: str) -> Order:
        white = FLAT_WHITE.model_copy(
            update={"quantity": 2, "modifiers": (OAT,), "note": "extra hot"}
        )
        return paid(order_id, [white, TOASTIE], surcharge=271, off=200, tip=100)

    def drifted(self, order_id: str) -> Order:
        return paid(order_id, [FLAT_WHITE, DRIFTED])

    def off_menu(self, order_id: str) -> Order:
        return paid(order_id, [FLAT_WHITE, NOWHERE])

    def accept(self, pos_order: PosOrder) -> None:
        self.simulator.staff_accept(pos_order.id)

    token_path = "/oauth2/token"
    webhook_secret = "not-a-real-webhook-secret"

    def renewal(self) -> dict[str, object]:
        chosen = self.simulator.settings
        client = {"client_id": chosen.client_id, "client_secret": chosen.client_secret}
        return {"refresh_token": chosen.refresh_token, **client}

    def expire_token(self) -> None:
        self.simulator.expire_token()

    def withdraw(self) -> None:
        self.simulator.revoke_authorisation()

    def granted(self) -> dict[str, str]:
        chosen = self.simulator.settings
        client = {"client_id": chosen.client_id, "client_secret": chosen.client_secret}
        return {
            "code": self.simulator.new_authorisation_code(),
            "redirect_uri": chosen.redirect_url,
            **client,
        }

    def webhook_settings(self) -> dict[str, object]:
        return {"webhook_secret": self.webhook_secret}

    def signed(self, body: bytes, at: float) -> Delivery:
        sent = Delivery({}, body)
        digest = hmac.new(
            self.webhook_secret.encode(), sent.url.encode() + body, hashlib.sha256
        ).digest()
        return sent._replace(headers={"X-Square-HmacSha256-Signature": b64encode(digest).decode()})

    def about(self, pos_order: PosOrder, at: float) -> bytes:
        changed = {
            "order_id": pos_order.id,
            "location_id": self.settings["location_id"],
            "state": "OPEN",
            "version": 2,
        }
        event = {
            "type": "order.updated",
            "event_id": "e1",
            "created_at": datetime.fromtimestamp(at, UTC).isoformat(),
            "data": {"type": "order", "id": pos_order.id, "object": {"order_updated": changed}},
        }
        return json.dumps(event).encode()

    def troubles(self) -> Mapping[type[PosError], Trouble]:
        simulator = self.simulator

        def always(fault: Fault) -> None:
            simulator.set_faults(
                FaultPlan(rules=(FaultRule(fault=fault, path="/v2/", times=None),))
            )

        def refuse_in_new_words() -> None:
            always(Fault(kind=FaultKind.HTML, status=418))

        return {
            MenuError: Trouble(order=self.off_menu),
            OutageError: Trouble(lambda: simulator.set_outage(), outcome=Outcome.UNKNOWN),
            RateLimitError: Trouble(lambda: always(Fault(kind=FaultKind.RATE_LIMITED))),
            PermissionsError: Trouble(lambda: simulator.revoke_token()),
            TaxError: Trouble(lambda: simulator.add_tax("Weekend surcharge", "10")),
            OrderError: Trouble(order=self.wordy),
            SetupError: Trouble(settings={"location_id": "L-NOWHERE"}),
            UnknownPosError: Trouble(refuse_in_new_words, outcome=Outcome.UNKNOWN),
        }

    def wordy(self, order_id: str) -> Order:
        """An order whose note has more words than Square has room for."""
        return paid(order_id, [TOASTIE]).model_copy(update={"note": "no nuts " * 1000})
