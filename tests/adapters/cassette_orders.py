"""Orders and simulators for recording cassettes.

The customer is a canary: none of their texts may be in any cassette. The simulators' clocks stand
still.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, Self, TypeVar
from unittest.mock import patch

from tillpost.models.order import (
    Address,
    Charge,
    Customer,
    Delivery,
    Discount,
    Line,
    Modifier,
    Order,
    Payment,
)
from tillpost.simulator import FaultPlan, Running, Simulator, serve_in_thread
from tillpost.testing import Origin, simulated

S = TypeVar("S", bound=Simulator)
T = TypeVar("T", bound=Simulator, covariant=True)

CANARY_TOKEN = "canary-token-7f3a9c51e2"
CANARY_KEY = "canary-signing-key-b81d40c6"
CANARY = Customer(name="Canary Wren", phone="+61455009911", email="canary.wren@aviary.example")
CANARY_ADDRESS = Address(
    line1="7 Canary Perch", city="Birdville", region="NSW", postcode="2999", country="AU"
)
CANARY_NOTE = "No onions for the canary"
CANARY_PAYMENT = "pi_canary_5512"
CANARIES = (
    CANARY_TOKEN,
    CANARY_KEY,
    *CANARY.model_dump().values(),
    *(text for text in CANARY_ADDRESS.model_dump().values() if text and len(text) > 3),
    CANARY_NOTE,
    CANARY_PAYMENT,
    "Wren",
)
MOMENT = datetime.fromisoformat("2026-11-23T01:00:00+00:00")


def _standing_at(moment: datetime) -> type[datetime]:
    """A stopped clock, so that recording twice gives the same times."""

    class Standing(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Self:
            return cls.fromtimestamp(moment.timestamp(), tz)

    return Standing


class _Make(Protocol[T]):
    def __call__(self, faults: FaultPlan | None, **world: Any) -> T: ...


@dataclass(frozen=True)
class Simulated(Generic[S]):
    """A simulator to record from; `make` takes its settings, `clocks` are where it reads the time.

    Each clock is a module in which `datetime` is stopped at the `moment`.
    """

    title: str
    make: _Make[S]
    clocks: Sequence[str]
    moment: datetime = MOMENT

    def __call__(
        self,
        prepare: Callable[[S], object] | None = None,
        *,
        note: str,
        faults: FaultPlan | None = None,
        settings: Mapping[str, object] | None = None,
        **world: Any,
    ) -> Origin:
        """Return the origin of its answers after `prepare`, with the settings `world`."""

        @contextmanager
        def serve() -> Generator[Running[S]]:
            with ExitStack() as stack:
                for module in self.clocks:
                    stack.enter_context(patch(f"{module}.datetime", _standing_at(self.moment)))
                running = stack.enter_context(serve_in_thread(self.make(faults, **world)))
                if prepare:
                    prepare(running.simulator)
                yield running

        return simulated(
            serve,
            origin=f"the {self.title} simulator of this repository",
            note=note,
            settings=settings,
        )


TOASTIE = Line(item_id="5312", sku="BLT", name="BLT toastie", quantity=1, unit_price=1450)
FLAT_WHITE = Line(
    item_id="7302",
    sku="FW-R",
    name="Flat white, regular",
    quantity=2,
    unit_price=550,
    modifiers=(Modifier(modifier_id="228", sku="M-OAT", name="Oat milk", unit_price=80),),
    note=CANARY_NOTE,
)
DELIVERED = Delivery(address=CANARY_ADDRESS, instructions=CANARY_NOTE)
WEEKEND = (Charge(kind="surcharge", name="Weekend surcharge", amount=271),)
WELCOME = (Discount(name="WELCOME", amount=200),)


def order(*lines: Line, **content: Any) -> Order:
    """Return a paid order of these lines by the canary; `content` overrides other fields."""
    charges: Sequence[Charge] = content.get("charges", ())
    discounts: Sequence[Discount] = content.get("discounts", ())
    total = (
        sum(line.total for line in lines)
        + sum(c.amount for c in charges)
        - sum(d.amount for d in discounts)
    )
    total += content.get("tip", 0) + content.get("tax", 0)
    return Order.model_validate(
        {
            "id": "ord-1",
            "code": "B42",
            "placed_at": "2026-11-23T11:52:07+11:00",
            "currency": "AUD",
            "customer": CANARY,
            "lines": lines,
            "payments": (Payment(method="card", amount=total, reference=CANARY_PAYMENT),),
            "note": CANARY_NOTE,
            **content,
        }
    )


LUNCH = order(FLAT_WHITE, TOASTIE)
