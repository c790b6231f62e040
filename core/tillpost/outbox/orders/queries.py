"""How orders are found in the store, for people: by state, by connection, by what needs a person, by a customer's name.

Reading only. `Outbox.orders` and `Outbox.entries` are these, in a transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, not_, or_, select

from tillpost.errors import Transcript
from tillpost.models.order import Progress
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.models import OrderState, StoredOrder, event_of, stored_order
from tillpost.submission.journal import Event, OfTicket, OrderEvent

__all__ = [
    "OPEN_PROBLEM",
    "JournalEntry",
    "Wanted",
    "find_orders",
    "read_entries",
    "read_events",
]

_ORDER = t.orders.c

OPEN_PROBLEM = _ORDER.problem_at.is_not(None)
"""Orders that a person has to act on: see `problems`."""

_NEW = and_(
    _ORDER.progress == Progress.NEW.value,
    _ORDER.state.not_in([OrderState.MANUAL.value, OrderState.CANCELLED.value]),
    not_(OPEN_PROBLEM),
)
"""Orders that nobody in the store has begun."""

_EVENT = t.events.c

# Built once, since it is run for every claim.
_EVENTS = (
    select(_EVENT.kind, _EVENT.body)
    .where(_EVENT.order_id == bindparam("journal_of"))
    .order_by(_EVENT.number)
)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One event of an order's journal, and what was sent and came back before it: redacted, None where nothing was."""

    number: int
    event: Event
    exchange: Transcript | None = None

    @property
    def of_ticket(self) -> bool:
        """Whether it happened to the order's attention ticket, and not to the order."""
        return isinstance(self.event, OfTicket)

    @property
    def happened(self) -> OrderEvent:
        """What happened, to whichever of the two."""
        return self.event.event if isinstance(self.event, OfTicket) else self.event


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orders somebody wants to see: those that fit all that is asked for."""

    states: Sequence[OrderState] = ()
    connection: str = ""
    search: str = ""
    problem: bool = False
    new: bool = False

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield what an order's row must fulfil."""
        if self.states:
            kept = _ORDER.state.in_([state.value for state in self.states]) & _ORDER.worker.is_(
                None
            )
            yield kept | _ORDER.worker.is_not(None) if OrderState.SENDING in self.states else kept
        if self.connection:
            yield _ORDER.connection == self.connection
        if typed := self.search.strip():
            yield _named(typed)
        if self.problem:
            yield OPEN_PROBLEM
        if self.new:
            yield _NEW


def find_orders(db: Connection, wanted: Wanted, most: int) -> Sequence[StoredOrder]:
    """Return orders, the newest first."""
    found = (
        select(t.orders).where(*wanted.conditions()).order_by(_ORDER.added_at.desc()).limit(most)
    )
    return [stored_order(row) for row in db.execute(found).mappings()]


def _named(typed: str) -> ColumnElement[bool]:
    """Whether an order's id, code or customer is what somebody typed: the id whole, of the others a part."""
    texts = (_ORDER.code, _ORDER.customer)
    as_typed = [text.contains(typed, autoescape=True) for text in texts]
    in_small = [func.lower(text).contains(typed.lower(), autoescape=True) for text in texts]
    return or_(_ORDER.id == typed, *as_typed, *in_small)


def read_events(db: Connection, order_id: str) -> list[Event]:
    """Return the events of an order's journal, oldest first."""
    rows = db.execute(_EVENTS, {"journal_of": order_id})
    return [event_of(row.kind, row.body) for row in rows]


def read_entries(db: Connection, order_id: str) -> Sequence[JournalEntry]:
    """Return an order's journal, oldest first, with what went out and came back."""
    rows = db.execute(
        select(_EVENT.number, _EVENT.kind, _EVENT.body, _EVENT.exchange)
        .where(_EVENT.order_id == order_id)
        .order_by(_EVENT.number)
    )
    return [
        JournalEntry(
            row.number,
            event_of(row.kind, row.body),
            Transcript.model_validate_json(row.exchange) if row.exchange else None,
        )
        for row in rows
    ]
