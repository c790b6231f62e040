"""The state of one simulated store, how it is set up, and how it refuses.

Everything that a request can see or change hangs on `World`; a reset makes a new one from the same
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
    """How the store begins. With a `username`, basic authentication is asked for instead of a bearer token.

    `tax_percentage` and `tax_inclusive` are of the one tax that every item is under. `clock` gives
    epoch seconds, by which a request's timestamp is judged; requests further than `tolerance`
    seconds from it are refused.
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


@dataclass
class StoredOrder:
    """An order at the POS. `total` is what the POS computed, `tax` what it adds or holds, in minor units."""

    id: str
    new: NewOrder
    total: int
    tax: int
    state: PosState = PosState.RECEIVED
    progress: Progress = Progress.NEW
    status: str = "new"

    @property
    def order(self) -> Order:
        """The order as it came."""
        return self.new.order

    def answer(self) -> PosStatus:
        """Return the order as the API tells it."""
        return PosStatus(
            id=self.id,
            reference=self.order.id,
            total=self.total,
            state=self.state,
            progress=self.progress,
            status=self.status,
            notices=self.new.remarks,
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """What an idempotency key was used for: the request's digest, and the answer it got."""

    digest: str
    answer: Answer


@dataclass
class World:
    """One store. `refusal` is what every new order is answered with, when set."""

    settings: WorldSettings
    menu: Menu
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
        """Return the order under an id, or the latest that carries a reference; raise LookupError otherwise."""
        if name in self.orders:
            return self.orders[name]
        for stored in reversed(self.orders.values()):
            if stored.order.id == name:
                return stored
        raise LookupError(f"no order {name!r}")


class Refusal(Exception):
    """A request is refused with a problem (RFC 9457), under an HTTP status that suits its kind."""

    def __init__(
        self,
        kind: type[PosError] | str,
        detail: str,
        *,
        status: int = 0,
        lines: Sequence[int] = (),
        item: str = "",
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        name = kind if isinstance(kind, str) else kind.__name__
        told = {
            "kind": name,
            "detail": detail,
            "lines": list(lines),
            "item": item,
            "reason": reason,
        }
        self.status = status or _STATUS.get(name, 422)
        self.problem = told | ({} if retry_after is None else {"retry_after": retry_after})
        ProblemDetails.model_validate(self.problem)

    def answer(self) -> Answer:
        """Return the problem as an answer."""
        about = {"type": "about:blank", "title": self.problem["kind"], "status": self.status}
        return Answer(self.status, to_json(about | self.problem), "application/problem+json")


_STATUS = {
    "PermissionsError": 401,
    "DoubtError": 409,
    "RateLimitError": 429,
    "OutageError": 503,
    "RegisterOfflineError": 503,
    "SetupError": 400,
}


def new_world(settings: WorldSettings) -> World:
    """Return a store at its beginning."""
    return World(settings=settings, menu=stocked_menu(settings), signing_key=settings.signing_key)
