"""The journal of one order while a flow works on it.

It is the one owner of what is known of the order. `OrderJournal` folds each event as it is
recorded, so that all parts of a flow share one history. `TicketJournal` is the part of it that is
about the order's attention ticket. Both are an `EventJournal`, which is what an operation records
its events in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from tillpost.submission.commands import Record
from tillpost.submission.history import NO_TICKET, History, after, fold
from tillpost.submission.journal import Event, OfTicket, OrderEvent

__all__ = ["EventJournal", "OrderJournal", "TicketJournal"]


class EventJournal(Protocol):
    """The history of what an operation is about: an order, or its ticket."""

    @property
    def history(self) -> History:
        """What is known now."""
        ...

    def record(self, event: OrderEvent) -> Record:
        """Fold an event into the history; return the command that persists it."""
        ...


class OrderJournal:
    """The history of one order, shared by everything that works on the order."""

    __slots__ = ("history",)

    def __init__(self, history: History | None = None) -> None:
        self.history = history or History()

    @classmethod
    def of(cls, events: Iterable[Event]) -> OrderJournal:
        """Return the journal of an order with these events, oldest first."""
        return cls(fold(events))

    def record(self, event: Event) -> Record:
        """Fold an event, and return the command that persists it.

        The event is the order's or its ticket's.
        """
        self.history = after(self.history, event)
        return Record(event)


class TicketJournal:
    """The history of an order's attention ticket, which is part of the order's own."""

    __slots__ = ("_order",)

    def __init__(self, order: OrderJournal) -> None:
        self._order = order

    @property
    def history(self) -> History:
        """What is known of the ticket now."""
        return self._order.history.ticket or NO_TICKET

    def record(self, event: OrderEvent) -> Record:
        """Fold a ticket's event into the order's history; return what persists it."""
        return self._order.record(OfTicket(event))
