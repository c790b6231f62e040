"""Lightspeed Kounta for the conformance suite."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
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
from tillpost_kounta.adapter import Kounta
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.kounta.order_json import single_order
from tillpost_simulators.kounta.webhooks import sent
from tillpost_simulators.kounta.wire import to_json

NOWHERE = TOASTIE.model_copy(update={"item_id": "999", "sku": "GONE", "name": "Pavlova"})
SUBSTITUTES = {
    "charge_products": {"surcharge": "9001", "delivery": "9002"},
    "tip_product": "9003",
    "discount_product": "9004",
}


class KountaWorld(World[KountaSimulator]):
    adapter = Kounta
    create_path = "/orders.json$"
    impossible: ClassVar[Mapping[type[PosError], str]] = {
        OrderError: "no refusal of an order's own content is known; an unknown one keeps its words"
    }

    @property
    def settings(self) -> dict[str, object]:
        return {
            **self.running.settings,
            **SUBSTITUTES,
            "attention_product": "9005",
            "import_pace": 0,
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

    token_path = "/v1/token"
    signs_time = False

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
            "redirect_uri": chosen.redirect_uri,
            **client,
        }

    def webhook_settings(self) -> dict[str, object]:
        return {"webhook_secret": self.simulator.settings.webhook_secret}

    def signed(self, body: bytes, at: float) -> Delivery:
        return Delivery(dict(sent(self.simulator.world, "", "", body).headers), body)

    def about(self, pos_order: PosOrder, at: float) -> bytes:
        world = self.simulator.world
        return to_json(single_order(world, world.orders[int(pos_order.id)])).encode()

    def troubles(self) -> Mapping[type[PosError], Trouble]:
        simulator = self.simulator

        def create_answered(fault: Fault) -> None:
            rule = FaultRule(fault=fault, method="POST", path=self.create_path, times=None)
            simulator.set_faults(FaultPlan(rules=(rule,)))

        def surcharge_as_a_tax() -> None:
            simulator.add_tax("Weekend surcharge", Decimal("0.1"))

        return {
            MenuError: Trouble(order=self.off_menu),
            OutageError: Trouble(lambda: simulator.set_outage(), outcome=Outcome.UNKNOWN),
            RateLimitError: Trouble(
                lambda: create_answered(Fault(kind=FaultKind.RATE_LIMITED, retry_after=3600))
            ),
            RegisterOfflineError: Trouble(
                lambda: simulator.switch_register(online=False),
                settings={"pass_thru_printing": True},
            ),
            PermissionsError: Trouble(lambda: simulator.revoke_token(), outcome=Outcome.UNKNOWN),
            TaxError: Trouble(surcharge_as_a_tax, outcome=Outcome.CREATED, after_import=True),
            StoreClosedError: Trouble(lambda: simulator.switch_ordering(online=False)),
            SetupError: Trouble(settings={"tip_product": None}),
            UnknownPosError: Trouble(
                lambda: create_answered(Fault(kind=FaultKind.HTML, status=418)),
                outcome=Outcome.UNKNOWN,
            ),
        }
