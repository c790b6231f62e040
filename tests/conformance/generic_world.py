"""A POS that serves our own format, for the conformance suite."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, OAT, TOASTIE, paid
from tillpost import OutageError, Outcome, PermissionsError, PosError, UnknownPosError
from tillpost.adapter.webhooks import OrderChanged
from tillpost.models.order import Order, PosOrder
from tillpost.testing.world import KINDS, Delivery, Trouble, World
from tillpost_generic.adapter import Generic
from tillpost_generic.signature import signed_text
from tillpost_simulators.generic import GenericSimulator

NOWHERE = TOASTIE.model_copy(update={"item_id": "GONE", "sku": "GONE", "name": "Pavlova"})


class GenericWorld(World[GenericSimulator]):
    adapter = Generic
    create_path = "/orders$"

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

    def signed(self, body: bytes, at: float) -> Delivery:
        stamp, target = str(int(at)), "/hooks/pos"
        text = signed_text(stamp, "POST", target, "", body)
        signature = hmac.new(
            self.simulator.settings.signing_key.encode(), text, hashlib.sha256
        ).hexdigest()
        headers = {"Tillpost-Timestamp": stamp, "Tillpost-Signature": signature}
        return Delivery(headers, body, f"https://shop.example{target}")

    def about(self, pos_order: PosOrder, at: float) -> bytes:
        now = PosOrder.model_validate(
            self.simulator.world.named(pos_order.id).answer().model_dump(exclude={"tax"})
        )
        event = OrderChanged(
            event_id="e1", pos_id=pos_order.id, reference=pos_order.reference, pos_order=now
        )
        return event.model_dump_json().encode()

    def troubles(self) -> Mapping[type[PosError], Trouble]:
        simulator = self.simulator

        def named(kind: type[PosError]) -> Trouble:
            # The POS names our classes itself; each is refused as the page says.
            return Trouble(
                lambda: simulator.refuse_orders(kind.__name__), outcome=Outcome.NOT_CREATED
            )

        return {
            **{kind: named(kind) for kind in KINDS},
            OutageError: Trouble(lambda: simulator.set_outage(), outcome=Outcome.UNKNOWN),
            PermissionsError: Trouble(
                lambda: simulator.change_signing_key("another-key-of-16-characters")
            ),
            UnknownPosError: Trouble(
                lambda: simulator.refuse_orders("TeapotError", status=418), outcome=Outcome.UNKNOWN
            ),
        }
