"""The stores and orders of the crash test: each platform fails on one request in five.

Each order's end is known beforehand: it arrives, or it is refused, since it names an item that
isn't sold. Halfway, the flat white gets another id at every store, so orders with the old one need
an import of the menu.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from adapters.kounta.bench import SUBSTITUTES
from adapters.square.shop_orders import FLAT_WHITE, OAT, TOASTIE, paid
from tillpost.models.order import Line, Order, Pickup
from tillpost.outbox import OutboxSettings
from tillpost.simulator import Fault, FaultKind, FaultPlan, Ledger, Simulator, serve_in_thread
from tillpost.simulator.faults import every_kind
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator, WorldSettings

FAULT_RATE = 0.2
LEAD = 1800.0
ORDERS_A_STORE = 200
"""More orders get more stores: a look-up reads all orders of a store's last hour."""

DRIFTED = TOASTIE.model_copy(update={"item_id": "995312"})
"""A toastie sold from an older menu, in which it had another id."""
GONE = Line(item_id="999999", sku="SOUP", name="Pumpkin soup", quantity=1, unit_price=1200)
SOLD_OUT = Line(item_id="6101", sku="LAM", name="Lamington", quantity=1, unit_price=600)

POLICY: Mapping[str, Any] = {"import_cooldown": 0}
LIMITS: Mapping[str, float] = {"connect": 2, "read": 0.4, "answer": 2}

FAULTS = every_kind(hang_seconds=0.5, drip_seconds=0.05)


class End(StrEnum):
    """How an order must end."""

    ARRIVES = "arrives"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Placed:
    """An order, its store, and how it must end. `is_new` as in `Outbox.add`."""

    order: Order
    store: str
    end: End
    is_new: bool


@dataclass(frozen=True, slots=True)
class Store:
    """A store: its simulator, the settings to connect, and how its menu changes."""

    simulator: Simulator
    platform: str
    settings: Mapping[str, Any]
    drift: Callable[[], object]
    limits: Mapping[str, float] = field(default_factory=lambda: LIMITS)

    def ledger(self) -> Ledger:
        """Return what its staff see now."""
        return self.simulator.ledger()


@dataclass(frozen=True, slots=True)
class World:
    """All stores, by the names of their connections."""

    stores: Mapping[str, Store]

    def write(self, path: Path, outbox: OutboxSettings) -> None:
        """Write the file that a worker reads."""
        connections = {
            name: {
                "platform": store.platform,
                "settings": store.settings,
                "policy": POLICY,
                "limits": store.limits,
            }
            for name, store in self.stores.items()
        }
        content = {"outbox": outbox.model_dump(mode="json"), "connections": connections}
        path.write_text(json.dumps(content))

    def drift(self) -> None:
        """Give the flat white another id everywhere."""
        for store in self.stores.values():
            store.drift()

    @property
    def struck(self) -> int:
        """How many requests failed."""
        return sum(len(store.simulator.faults) for store in self.stores.values())

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return sum(len(store.simulator.requests) for store in self.stores.values())


@contextmanager
def serving(seed: int, orders: int) -> Generator[World]:
    """Serve at least two stores on each platform, for so many orders, until the block ends."""
    stores: dict[str, Store] = {}
    with ExitStack() as stack:
        for number in range(max(2, orders // (len(_STORES) * ORDERS_A_STORE))):
            for platform, open_store in _STORES.items():
                stores[f"{platform}-{number}"] = open_store(stack, seed + number)
        yield World(stores)


def _failing(seed: int, unfair: Callable[[Fault], bool] = lambda _: False) -> FaultPlan:
    faults = tuple(fault for fault in FAULTS if not unfair(fault))
    return FaultPlan(rate=FAULT_RATE, seed=seed, faults=faults)


def _square(stack: ExitStack, seed: int) -> Store:
    # Square answers a search without results with an empty object. A false one can't be
    # distinguished from a true one.
    faults = _failing(
        seed, lambda fault: fault.kind is FaultKind.SLOW_DRIP and fault.moment == "before"
    )
    simulator = SquareSimulator(WorldSettings(search_lag_seconds=0.05), faults)
    settings = {
        **stack.enter_context(serve_in_thread(simulator)).settings,
        "look_after": (0.1, 0.2),
    }
    return Store(simulator, "square", settings, lambda: simulator.recreate_variation("7302"))


def _kounta(stack: ExitStack, seed: int) -> Store:
    # Kounta says when its minute ends, so nothing would be sent for that long.
    faults = _failing(
        seed, lambda fault: fault.kind is FaultKind.RATE_LIMITED and fault.retry_after is None
    )
    lag = KountaSettings(
        order_lag_seconds=0.1, get_lag_seconds=0.02, oauth_limit=10**9, token_lasts_seconds=10**8
    )
    simulator = KountaSimulator(lag, faults)
    for number in range(7401, 7421):  # an import requests each product
        simulator.remove_product(number)
    known = {**SUBSTITUTES, "import_pace": 0, "look_after": (0.1, 0.1, 0.2, 0.5)}
    settings = {**stack.enter_context(serve_in_thread(simulator)).settings, **known}
    return Store(simulator, "kounta", settings, lambda: simulator.recreate_product(7302))


def _generic(stack: ExitStack, seed: int) -> Store:
    simulator = GenericSimulator(faults=_failing(seed))
    settings = {
        **stack.enter_context(serve_in_thread(simulator)).settings,
        "look_after": (0.05, 0.1),
    }
    return Store(simulator, "generic", settings, lambda: simulator.recreate_variation("7302"))


_STORES: Mapping[str, Callable[[ExitStack, int], Store]] = {
    "square": _square,
    "kounta": _kounta,
    "generic": _generic,
}


def place(number: int, seed: int, stores: Sequence[str]) -> Placed:
    """Return an order for one of the stores, the same for a seed except for its due time."""
    draw = random.Random(f"{seed}/{number}")
    with_oat = FLAT_WHITE.model_copy(update={"modifiers": (OAT,)})
    lines = [
        draw.choice((FLAT_WHITE, with_oat, TOASTIE, DRIFTED)).model_copy(
            update={"quantity": draw.randint(1, 3)}
        )
        for _ in range(draw.randint(1, 3))
    ]
    end = End.ARRIVES
    if draw.random() < 0.05:
        lines.append(draw.choice((GONE, SOLD_OUT)))
        end = End.REFUSED
    later = Pickup(due_at=datetime.fromtimestamp(time.time() + LEAD + draw.uniform(1, 8), UTC))
    order = paid(
        f"ord_{seed}_{number:05}",
        lines,
        fulfilment=later if draw.random() < 0.05 else Pickup(),
        surcharge=draw.choice((0, 271)),
        off=draw.choice((0, 200)),
        tip=draw.choice((0, 150)),
    )
    return Placed(order, stores[number % len(stores)], end, is_new=draw.random() < 0.5)
