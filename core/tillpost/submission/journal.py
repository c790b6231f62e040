"""The events of an order, in the order in which they happened.

All else is derived from them. The flow of a submission records an event before it does anything
that can't be taken back, so it can be dropped at any point and started again over the same journal.
`history.fold` turns events into a `History`. The outbox stores events as JSON under the names of
their classes and fields.

All times (`at`) are in epoch seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied, ErrorRecord, MenuError, error_named
from tillpost.models.order import Draft, PosOrder

__all__ = [
    "UNKNOWN_LEAD",
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
    "Pruned",
    "Sent",
    "Settled",
    "Sighted",
    "SubmissionRequested",
    "Submitted",
]


_IMPORTS = ("import_menu", "menu_for")
"""Operations that read the menu, or what an order names of it."""

_READS = ("find", *_IMPORTS)
"""Operations whose errors no menu import can solve."""

UNKNOWN_LEAD = 86_400.0
"""By how many seconds our clock may be ahead of a platform's.

It is for a platform that hasn't reported its time yet.
"""


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
    """A request that can change the order is about to be sent.

    Attributes:
        at: When.
        effect: What it does to the order.
        generation: The generation that it belongs to.
        key: Its idempotency key.
        digest: The digest of what is sent.
        address: The store that it goes to; see `address.address_of`.
        ahead: By how many seconds our clock was ahead of the platform's, as far as known; None
            before its first answer.
        notices: What the request leaves out of the order or changes, for people.
        content: The digest of what is sent without the key; empty if it wasn't recorded.
        withheld: The fields of the order that aren't sent; see `withholding`.
    """

    at: float
    effect: Effect
    generation: int
    key: str | None
    digest: str
    address: str = ""
    ahead: float | None = None
    notices: tuple[str, ...] = ()
    content: str = ""
    withheld: tuple[str, ...] = ()


class Sent(NamedTuple):
    """A request that could change the order.

    Attributes:
        intent: What was recorded before it was sent.
        earlier: Whether the order was requested again after this request was sent.
        applied: Whether it had its effect; None while nobody knows.
        settled_at: When its answer came, or when it was given up; None before that.
    """

    intent: Intended
    earlier: bool = False
    applied: Applied | None = None
    settled_at: float | None = None

    @property
    def since(self) -> float:
        """The earliest time at which the platform may have done it, by its own clock."""
        ahead = self.intent.ahead
        return self.intent.at - (UNKNOWN_LEAD if ahead is None else max(0.0, ahead))

    @property
    def may_have_worked(self) -> bool:
        """Whether the request may have had its effect."""
        return self.applied is not Applied.NO


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether the request intended last had its effect.

    `at` is when its answer came, or when it was given up: the schedule of look-ups begins then.
    """

    at: float
    applied: Applied


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The platform was searched for the order, at the store with this address."""

    at: float
    found: PosOrder | Draft | None
    address: str = ""


@dataclass(frozen=True, slots=True)
class Sighted:
    """An order at the platform may be this one.

    It has to be looked up before anything is sent.

    Attributes:
        at: When.
        pos_id: The platform's id of it.
        made: Whether our own create was answered with it. Otherwise the platform reported it.
        address: The store that the connection had then; see `address.address_of`.
    """

    at: float
    pos_id: str
    made: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """The menu was imported because of this order.

    Attributes:
        at: When.
        changed: Whether the order fits the menu differently than before, or would be sent
            differently.
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

    @property
    def is_of_import(self) -> bool:
        """Whether the menu couldn't be read, which says nothing of the order."""
        return self.error.operation in _IMPORTS


@dataclass(frozen=True, slots=True)
class DoubtResolved:
    """The order was looked up to the end of the schedule and doesn't exist."""

    at: float


@dataclass(frozen=True, slots=True)
class KeyRetired:
    """The order made under this generation's key was found cancelled permanently."""

    at: float


@dataclass(frozen=True, slots=True)
class Submitted:
    """The platform has the order, at the store with this address.

    The address is empty if the platform itself reported the order: then it is where it was sent.
    """

    at: float
    pos_order: PosOrder
    address: str = ""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The order was cancelled at the platform on purpose. It isn't submitted again."""

    at: float
    pos_order: PosOrder


@dataclass(frozen=True, slots=True)
class Pruned:
    """What the events before amounted to, which were deleted: see `history.pruned`.

    The attributes are those of `History`. A `Sent` is stored by the position of its fields, so new
    ones go to its end, with a default.
    """

    at: float
    sent: tuple[Sent, ...] = ()
    empty_lookups: tuple[LookedUp, ...] = ()
    found: Draft | None = None
    seen: bool = False
    sighted: str = ""
    sighted_made: bool = False
    sighted_at: tuple[str, ...] = ()
    must_look: bool = False
    is_reported: bool = False
    address: str = ""
    pos_order: PosOrder | None = None
    cancelled: bool = False
    digest: str = ""
    is_new: bool = False
    asked_at: float = 0.0
    generation: int = 0
    key_spoiled: bool = False
    retired_keys: int = 0
    stale: bool = False
    ticket: Pruned | None = None


OrderEvent: TypeAlias = (
    SubmissionRequested
    | Intended
    | Settled
    | LookedUp
    | Sighted
    | Imported
    | Failed
    | DoubtResolved
    | KeyRetired
    | Submitted
    | Cancelled
    | Pruned
)
"""An event of the order itself."""


@dataclass(frozen=True, slots=True)
class OfTicket:
    """An event of the order's attention ticket.

    It changes nothing for the order itself.
    """

    event: OrderEvent

    @property
    def at(self) -> float:
        """When it happened."""
        return self.event.at


Event: TypeAlias = OrderEvent | OfTicket


class Journal(Protocol):
    """A store of orders' events. An event must be stored before `append` returns."""

    def append(self, order_id: str, event: Event) -> None:
        """Store an event."""
        ...

    def read(self, order_id: str) -> Sequence[Event]:
        """Return the order's events, oldest first."""
        ...


class MemoryJournal:
    """A journal in memory. Threads may share it: an order has one submitter at a time."""

    def __init__(self) -> None:
        self._events: dict[str, tuple[Event, ...]] = {}

    def append(self, order_id: str, event: Event) -> None:
        """Store an event.

        Of an order that has arrived only the last request and the arrival stay, so that memory
        grows slowly.
        """
        kept = self._events.get(order_id, ())
        if isinstance(event, Submitted):
            kept = tuple(e for e in kept if isinstance(e, SubmissionRequested))[-1:]
        # One assignment: an interruption before it leaves the events as they were.
        self._events[order_id] = (*kept, event)

    def read(self, order_id: str) -> Sequence[Event]:
        """Return the order's events, oldest first."""
        return self._events.get(order_id, ())
