"""What happened to an order, as events in the order in which they happened. Everything else is derived from them.

The flow of a submission records an event before it does anything that can't be taken back, so it
can be dropped at any point and begun again over the same journal. `recovery.fold` turns events into
a `History`.
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


@dataclass(frozen=True, slots=True)
class SubmissionRequested:
    """Somebody asked for the order to be submitted. `digest` is its content's; `is_new`: nobody sent it before."""

    at: float
    digest: str
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Intended:
    """A request that can change the order's fate is about to leave."""

    at: float
    effect: Effect
    generation: int
    key: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the request intended last."""

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

    `changed`: the order is bound to it, or fits it, otherwise than before. `held`: the brake held
    the import. `fresh`: it was really imported; else an earlier import was young enough to serve.
    """

    at: float
    changed: bool
    held: bool = False
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed. `sends` counts how often the request that failed was sent.

    After `Submitted` it says that what had arrived was refused after all; `sends` is 0 then.

    `menu_at` says with which menu: when that was imported, 0 for none.
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
        """Whether a menu import may mend it: the platform's menu error, or a misfit with the menu as we know it.

        An import that is itself refused so isn't: it would be tried for ever.
        """
        about_menu = issubclass(error_named(self.error.kind), MenuError)
        return (
            about_menu and self.error.operation != "import_menu"
        ) or self.error.operation == "precheck"


@dataclass(frozen=True, slots=True)
class DoubtResolved:
    """The order was looked for to the end of the schedule and isn't there."""

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
    """The order was withdrawn at the platform, on purpose. It isn't submitted again."""

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
"""What happens to an order."""


@dataclass(frozen=True, slots=True)
class OfTicket:
    """Something happened to the order's attention ticket (see `ticketing`), and nothing to the order itself."""

    event: OrderEvent

    @property
    def at(self) -> float:
        """When it happened."""
        return self.event.at


Event: TypeAlias = OrderEvent | OfTicket


class Journal(Protocol):
    """Keeps the events of orders. An appended event must be kept before `append` returns."""

    def append(self, order_id: str, event: Event) -> None:
        """Keep an event."""
        ...

    def read(self, order_id: str) -> Sequence[Event]:
        """Return the order's events, oldest first."""
        ...


class MemoryJournal:
    """A journal that lives as long as its Till. Threads may share it: an order has one submitter at a time."""

    def __init__(self) -> None:
        self._events: defaultdict[str, list[Event]] = defaultdict(list)

    def append(self, order_id: str, event: Event) -> None:
        """Keep an event. Of an order that has arrived, only what tells so is kept, so that memory grows slowly."""
        events = self._events[order_id]
        if isinstance(event, Submitted):
            events[:] = [e for e in events if isinstance(e, SubmissionRequested)][-1:]
        events.append(event)

    def read(self, order_id: str) -> Sequence[Event]:
        """Return the order's events, oldest first."""
        return tuple(self._events.get(order_id, ()))
