"""Stores that fail on one request in four, for a test that submits many orders to them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from adapters.kounta.bench import SUBSTITUTES
from adapters.square.shop_orders import FLAT_WHITE, FLAT_WHITE_WITH_OAT, TOASTIE, shop_order
from tillpost import Limits, Order, Policy
from tillpost.simulator import FaultPlan, Simulator
from tillpost.simulator.faults import every_kind
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator

QUICK = Policy(retries=3, retry_seconds=3, first_wait=0.002, longest_wait=0.02)
SHORT = Limits(connect=2, read=0.25, answer=2)


@dataclass(frozen=True)
class Storm:
    """A platform that fails, and how orders are submitted to it.

    Attributes:
        simulator: Returns the platform with its faults.
        order: Returns the order with a number, the same for the same seed.
        settings: Settings of the adapter beside the simulator's own.
        share: The part of the run's orders that is sent: 1 or less.
        at_once: How many orders are submitted at the same time.
        policy: How each is submitted.
    """

    simulator: Callable[[FaultPlan], Simulator]
    order: Callable[[int, int], Order] = shop_order
    settings: Mapping[str, Any] = field(default_factory=lambda: {"look_after": (0.02, 0.05)})
    share: float = 1.0
    at_once: int = 16
    policy: Policy = QUICK


def faults(seed: int) -> FaultPlan:
    """Return a fault of each kind in turn, on one request in four."""
    kinds = every_kind(hang_seconds=0.3, drip_seconds=0.05)
    return FaultPlan(rate=0.25, seed=seed, faults=kinds)


def order_with_a_twin(number: int, seed: int) -> Order:
    """Return an order of which another in the storm is a twin: the same lines and total.

    Kounta has no key by which orders are distinguished, so a twin must not be taken for the order.
    """
    twin = shop_order(number // 2, seed, lines=(FLAT_WHITE, TOASTIE, FLAT_WHITE_WITH_OAT))
    return twin.model_copy(update={"id": f"ord_{seed}_{number}"})


KOUNTA = KountaSettings(
    order_lag_seconds=0.1, get_lag_seconds=0.02, oauth_limit=10**9, tax_rate=Decimal("0.1")
)

STORMS: Mapping[str, Storm] = {
    "generic": Storm(lambda plan: GenericSimulator(faults=plan)),
    "square": Storm(lambda plan: SquareSimulator(faults=plan)),
    "kounta": Storm(
        lambda plan: KountaSimulator(KOUNTA, plan),
        order=order_with_a_twin,
        settings={**SUBSTITUTES, "import_pace": 0, "look_after": (0.1, 0.1, 0.2, 0.5)},
        share=0.2,
        at_once=8,
        policy=QUICK.model_copy(update={"retry_seconds": 5}),
    ),
}
