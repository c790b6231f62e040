"""The events of an order, in the order in which they happened. All else is derived from them.

The flow of a submission records an event before it does anything that can't be taken back, so it
can be dropped at any point and started again over the same journal. `history.fold` turns events
into a `History`. The outbox stores events as JSON under the names of their classes and fields.

All times (`at`) are in epoch seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied, ErrorRecord, MenuError, error_named
from tillpost.models.order import Draft, PosOrder

__all__ = [
    "Cancelled",
    "DoubtResolved",
    "Event",
    "Failed",
    "Imported",
    "Intended",
    "Journal",
    "KeyRetired",
    "LookedUp",
    "MemoryJournal",
    "OfTicket",
    "OrderEvent",
    "Settled",
    "SubmissionRequested",
    "Submitted",
]


_READS = ("find", "import_menu")
"""Operations whose errors no menu import can solve."""


@dataclass(frozen=True, slots=True)
class SubmissionRequested:
    """Somebody requested that the order be submitted.

    `digest` is the digest of its content. `is_new` is a promise that nobody sent it before.
    """

    at: float
    digest: str
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Intended:
    """A request that can change the order is about to be sent."""

    at: float
    effect: Effect
    generation: int
    key: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether the request intended last had its effect."""

    at: float
    applied: Applied


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The platform was searched for the order."""

    at: float
    found: PosOrder | Draft | None


@dataclass(frozen=True, slots=True)
class Imported:
    """The menu was imported because of this order.

    Attributes:
        at: When.
        changed: Whether the order is bound to the menu, or fits it, differently than before.
        held: Whether the new menu is held for review.
        fresh: Whether it was really imported; otherwise an earlier import was young enough.
    """

    at: float
    changed: bool
    held: bool = False
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed; after `Submitted`, the platform refused the order after all.

    Attributes:
        at: When.
        error: The error.
        sends: How often the request that failed was sent; 0 after `Submitted`.
        menu_at: When the menu that was used had been imported; 0 for none.
    """

    at: float
    error: ErrorRecord
    sends: int = 1
    menu_at: float = 0.0

    @property
    def transient(self) -> bool:
        """Whether it is worth trying again unchanged."""
        return error_named(self.error.kind).transient

    @property
    def mendable(self) -> bool:
        """Whether a menu import may solve it.

        It may when the order doesn't fit the menu, by the platform's judgement or by ours. A menu
        error of the import itself or of a look-up is excluded: it would be tried for ever.
        """
        operation = self.error.operation
        is_menu_error = issubclass(error_named(self.error.kind), MenuError)
        return operation == "precheck" or (is_menu_error and operation not in _READS)


@dataclass(frozen=True, slots=True)
class DoubtResolved:
    """The order was looked up to the end of the schedule and doesn't exist."""

    at: float


@dataclass(frozen=True, slots=True)
class KeyRetired:
    """The order made under this generation's key was found cancelled for good."""

    at: float


@dataclass(frozen=True, slots=True)
class Submitted:
    """The platform has the order."""

    at: float
    pos_order: PosOrder


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The order was cancelled at the platform on purpose. It isn't submitted again."""

    at: float
    pos_order: PosOrder


OrderEvent: TypeAlias = (
    SubmissionRequested
    | Intended
    | Settled
    | LookedUp
    | Imported
    | Failed
    | DoubtResolved
    | KeyRetired
    | Submitted
    | Cancelled
)
"""An event of the order itself."""


@dataclass(frozen=True, slots=True)
class OfTicket:
    """An event of the order's attention ticket, which changes nothing for the order itself."""

    event: OrderEvent

    @property
    def at(self) -> float:
        """When it happened."""
        return self.event.at


Event: TypeAlias = OrderEvent | OfTicket


class Journal(Protocol):
    """Stores the events of orders. An event must be stored before `append` returns."""

    def append(self, order_id: str, event: Event) -> None:
        """Store an event."""
        ...

    def read(self, order_id: str) -> Sequence[Event]:
        """Return the order's events, oldest first."""
        ...


class MemoryJournal:
    """A journal in memory. Threads may share it: an order has one submitter at a time."""

    def __init__(self) -> None:
        self._events: defaultdict[str, list[Event]] = defaultdict(list)

    def append(self, order_id: str, event: Event) -> None:
        """Store an event.

        Of an order that has arrived only the last request and the arrival stay, so that memory
        grows slowly.
        """
        events = self._events[order_id]
        if isinstance(event, Submitted):
            requests = [e for e in events if isinstance(e, SubmissionRequested)]
            events[:] = requests[-1:]
        events.append(event)

    def read(self, order_id: str) -> Sequence[Event]:
        """Return the order's events, oldest first."""
        return tuple(self._events.get(order_id, ()))
