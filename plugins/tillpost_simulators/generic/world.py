"""The state of one simulated store, its settings, and refusals.

Everything that a request can see or change is in `World`. A reset creates a new one from the same
`WorldSettings`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic_core import to_json

from tillpost.errors import PosError
from tillpost.models.menu import Menu
from tillpost.models.order import Order, PosState, Progress
from tillpost.simulator import Answer
from tillpost_generic.wire import NewOrder, PosStatus, ProblemDetails
from tillpost_simulators.generic.stock import stocked_menu

__all__ = ["Refusal", "Replay", "StoredOrder", "World", "WorldSettings", "new_world"]


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """The initial state of the store.

    With a `username`, the store requires basic authentication instead of a bearer token.
    `tax_percentage` and `tax_inclusive` describe the one tax of every item. `clock` returns epoch
    seconds; a request whose timestamp differs by more than `tolerance` seconds is refused. `items`
    is how many ordinary items the menu begins with beside its usual ones.
    """

    currency: str = "AUD"
    tax_inclusive: bool = True
    tax_percentage: str = "10"
    access_token: str = "not-a-real-generic-token"  # noqa: S105 - fake on purpose
    username: str = ""
    signing_key: str = "not-a-real-signing-key"
    site: str = "cafe"
    clock: Callable[[], float] = time.time
    tolerance: float = 300.0
    items: int = 0


@dataclass
class StoredOrder:
    """An order at the POS.

    `total` is what the POS computed, `tax` the tax that it includes, both in minor units.
    """

    id: str
    new: NewOrder
    total: int
    tax: int
    state: PosState = PosState.RECEIVED
    progress: Progress = Progress.NEW
    status: str = "new"

    @property
    def order(self) -> Order:
        """The order as it was sent."""
        return self.new.order

    def answer(self) -> PosStatus:
        """Return the order as the API returns it."""
        return PosStatus(
            id=self.id,
            reference=self.order.id,
            total=self.total,
            tax=self.tax,
            state=self.state,
            progress=self.progress,
            status=self.status,
            notices=self.new.remarks,
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """The first use of an idempotency key: the digest of its request, and the answer."""

    digest: str
    answer: Answer


@dataclass
class World:
    """The state of one store.

    When `refusal` is set, every new order is answered with it. `oddities` are fields with which
    objects of the menu are answered instead of their own, by their ids.
    """

    settings: WorldSettings
    menu: Menu
    oddities: dict[str, dict[str, object]] = field(default_factory=dict[str, dict[str, object]])
    orders: dict[str, StoredOrder] = field(default_factory=dict[str, StoredOrder])
    replays: dict[str, Replay] = field(default_factory=dict[str, Replay])
    store_open: bool = True
    register_online: bool = True
    outage: bool = False
    revoked: bool = False
    signing_key: str = ""
    refusal: Refusal | None = None
    made: int = 0

    def named(self, name: str) -> StoredOrder:
        """Return the order with this id, or the latest one with this reference.

        Raises:
            LookupError: There is no such order.
        """
        if name in self.orders:
            return self.orders[name]
        for stored in reversed(self.orders.values()):
            if stored.order.id == name:
                return stored
        raise LookupError(f"no order {name!r}")


class Refusal(Exception):
    """Raised to refuse a request with a problem (RFC 9457).

    Args:
        kind: The kind of error, a class of `tillpost.errors` or its name.
        detail: What is wrong.
        status: The HTTP status; 0 chooses one that suits the kind.
        lines: The numbers of the lines at fault, from 0.
        item: The id at fault.
        reason: A code such as `sold_out`.
        order_field: The optional field of the order at fault, such as `customer.phone`.
        retry_after: Seconds until a retry may succeed.
    """

    def __init__(
        self,
        kind: type[PosError] | str,
        detail: str,
        *,
        status: int = 0,
        lines: Sequence[int] = (),
        item: str = "",
        reason: str = "",
        order_field: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        name = kind if isinstance(kind, str) else kind.__name__
        self.status = status or _STATUS_BY_KIND.get(name, 422)
        self.order_field = order_field
        self.problem: dict[str, object] = {
            "kind": name,
            "detail": detail,
            "lines": list(lines),
            "item": item,
            "reason": reason,
            "order_field": order_field,
        }
        if retry_after is not None:
            self.problem["retry_after"] = retry_after
        ProblemDetails.model_validate(self.problem)

    def answer(self) -> Answer:
        """Return the problem as an answer."""
        body = {
            "type": "about:blank",
            "title": self.problem["kind"],
            "status": self.status,
            **self.problem,
        }
        return Answer(self.status, to_json(body), "application/problem+json")


_STATUS_BY_KIND = {
    "PermissionsError": 401,
    "DoubtError": 409,
    "RateLimitError": 429,
    "OutageError": 503,
    "RegisterOfflineError": 503,
    "SetupError": 400,
}


def new_world(settings: WorldSettings) -> World:
    """Return a store in its initial state."""
    return World(
        settings=settings,
        menu=stocked_menu(settings),
        signing_key=settings.signing_key,
    )
