"""Queries of orders and journals, for people.

They search by state, connection, problem, or a customer's name. `Outbox.orders` and
`Outbox.entries` are these functions in a transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, not_, or_, select

from tillpost.errors import Transcript
from tillpost.models.known_names import listed, quoted
from tillpost.models.order import Progress
from tillpost.models.safe_text import storable
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.models import (
    OrderState,
    StoredOrder,
    UnreadableEventError,
    event_of,
    stored_order,
)
from tillpost.outbox.rows import LARGEST_COUNT, parsed
from tillpost.submission.history import fold
from tillpost.submission.journal import Event, OfTicket, OrderEvent

__all__ = [
    "HAS_PROBLEM",
    "JournalEntry",
    "OrderFilter",
    "UnreadableEvent",
    "find_orders",
    "next_number",
    "read_events",
    "read_events_to_extend",
    "read_journal",
    "states_named",
]

_ORDER, _EVENT = t.orders.c, t.events.c

HAS_PROBLEM = _ORDER.problem_at.is_not(None)
"""A person has to act on the order: see `problems`."""

END_OF_CALENDAR = 253_402_300_799.0
"""The last second of the year 9999, in epoch seconds.

No time of a journal is later.
"""

_IS_NEW = and_(
    _ORDER.progress == Progress.NEW.value,
    _ORDER.state.not_in([OrderState.MANUAL.value, OrderState.CANCELLED.value]),
    not_(HAS_PROBLEM),
)
"""The store hasn't begun the order."""

# Built once, since it is run for every claim.
_EVENTS = (
    select(_EVENT.number, _EVENT.kind, _EVENT.body)
    .where(_EVENT.order_id == bindparam("journal_of"))
    .order_by(_EVENT.number)
)


@dataclass(frozen=True, slots=True)
class UnreadableEvent:
    """Replaces an event that can't be read: damaged, or of a newer version."""

    kind: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One event of an order's journal.

    `exchange` is what was sent and received before the event, redacted; None if nothing was.
    """

    number: int
    event: Event | UnreadableEvent
    exchange: Transcript | None = None

    @property
    def of_ticket(self) -> bool:
        """Whether the event is about the order's attention ticket."""
        return isinstance(self.event, OfTicket)

    @property
    def happened(self) -> OrderEvent | UnreadableEvent:
        """The event itself, of the order or of its attention ticket."""
        if isinstance(self.event, OfTicket):
            return self.event.event
        return self.event


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Selects orders that meet all the conditions given.

    Attributes:
        states: The order is in one of these states.
        connection: The order is of this connection.
        search: The order's id, or part of its code or of the customer's name.
        problem: A person has to act on the order.
        new: The store hasn't begun the order.
    """

    states: Sequence[OrderState] = ()
    connection: str = ""
    search: str = ""
    problem: bool = False
    new: bool = False

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield the SQL conditions."""
        if self.states:
            yield _is_in_states(self.states)
        if self.connection:
            yield _ORDER.connection == self.connection
        search = storable(self.search.strip())
        if search:
            yield _matches(search)
        if self.problem:
            yield HAS_PROBLEM
        if self.new:
            yield _IS_NEW


def states_named(given: Sequence[str]) -> Sequence[OrderState]:
    """Return states that are given by name, or one that is.

    Raises:
        ValueError: there is no such state; the text lists those that there are.

    >>> states_named("due")
    [<OrderState.DUE: 'due'>]
    """
    names = [given] if isinstance(given, str) else given
    known = set(OrderState)
    for name in names:
        if name not in known:
            raise ValueError(f"no state {quoted(str(name))}; there are: {listed(OrderState)}")
    return [OrderState(name) for name in names]


def _is_in_states(states: Sequence[OrderState]) -> ColumnElement[bool]:
    """Return the condition for states, where a claimed order counts as `SENDING`."""
    values = [state.value for state in states]
    is_unclaimed = _ORDER.state.in_(values) & _ORDER.worker.is_(None)
    if OrderState.SENDING in states:
        return is_unclaimed | _ORDER.worker.is_not(None)
    return is_unclaimed


def _matches(search: str) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [_ORDER.id == search]
    for column in (_ORDER.code, _ORDER.customer):
        lower = func.lower(column)
        conditions.append(column.contains(search, autoescape=True))
        conditions.append(lower.contains(search.lower(), autoescape=True))
    return or_(*conditions)


def find_orders(db: Connection, wanted: OrderFilter, most: int) -> Sequence[StoredOrder]:
    """Return up to `most` orders, the newest first."""
    matching = select(t.orders).where(*wanted.conditions())
    newest = matching.order_by(_ORDER.added_at.desc()).limit(most)
    return [stored_order(row) for row in db.execute(newest).mappings()]


def read_events(db: Connection, order_id: str) -> list[Event]:
    """Return the events of an order's journal, oldest first.

    Raises `UnreadableEventError`.
    """
    events, _ = read_events_to_extend(db, order_id)
    return events


def read_events_to_extend(db: Connection, order_id: str) -> tuple[list[Event], int]:
    """Return the events of an order's journal, and the number of the next one.

    Raises:
        UnreadableEventError: one of them can't be read, so nothing may be concluded from the rest;
            or together they are no journal of an order.
    """
    rows = db.execute(_EVENTS, {"journal_of": order_id}).all()
    events = [event_of(row.kind, row.body) for row in rows]
    if not _is_possible(events):
        raise UnreadableEventError("the events of the journal don't follow from each other")
    return events, next_number(rows[-1].number) if rows else 0


def _is_possible(events: Sequence[Event]) -> bool:
    """Return whether events that can be read one by one lead to a conclusion.

    After damage there may be an answer without its request, or a time that no clock shows.
    """
    try:
        history = fold(events)
        times = [event.at for event in events] + [sent.since for sent in history.sent]
    except Exception:  # noqa: BLE001  whatever is wrong with one journal, the other orders go on
        return False
    return all(abs(at) <= END_OF_CALENDAR for at in times)


def next_number(latest: object) -> int:
    """Return the number that follows that of a journal's latest event.

    Raises:
        UnreadableEventError: there is none, since the number is damaged.
    """
    if isinstance(latest, int) and latest < LARGEST_COUNT:
        return latest + 1
    raise UnreadableEventError("the number of an event of the journal can't be read")


def read_journal(db: Connection, order_id: str) -> Sequence[JournalEntry]:
    """Return an order's journal, oldest first, with what was sent and received.

    An event that can't be read is an `UnreadableEvent`; an exchange that can't be read is None.
    """
    columns = select(_EVENT.number, _EVENT.kind, _EVENT.body, _EVENT.exchange)
    of_order = columns.where(_EVENT.order_id == order_id).order_by(_EVENT.number)
    entries: list[JournalEntry] = []
    for number, kind, body, exchange in db.execute(of_order):
        transcript = parsed(Transcript.model_validate_json, exchange)
        entries.append(JournalEntry(number, _event_or_gap(kind, body), transcript))
    return entries


def _event_or_gap(kind: str, body: str) -> Event | UnreadableEvent:
    try:
        return event_of(kind, body)
    except UnreadableEventError:
        return UnreadableEvent(str(kind))
