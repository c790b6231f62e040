"""An order as the outbox stores it, its states, and its journal's events as JSON.

Pure: rows in, values out. `claims`, `insert` and `queries` read and write the rows. A row that
can't be read is an order in error: nothing here raises for what a row holds, but `event_of`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any, cast, get_args

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from tillpost.errors import ErrorRecord, OrderError, Outcome, PosError
from tillpost.errors.remedies import Remedy
from tillpost.models.base import FrozenModel
from tillpost.models.order import Order, PosOrder, PosState, Progress
from tillpost.outbox.db import schema as t
from tillpost.outbox.rows import Row
from tillpost.submission.journal import Event, Failed, OfTicket, OrderEvent

__all__ = [
    "EVENTS_WITH_TRANSCRIPTS",
    "UNREADABLE",
    "OrderState",
    "Report",
    "StoredOrder",
    "UnreadableEventError",
    "WaitsFor",
    "event_of",
    "event_row",
    "state_of",
    "stored_order",
    "unreadable_error",
]


UNREADABLE = "unreadable"
"""The `reason` of the error of an order whose row or journal can't be read."""


class OrderState(StrEnum):
    """Where an order is at the POS, as far as the outbox knows.

    `RECEIVED` is the platform's claim. `ACCEPTED` means that the register or its staff have shown
    that they have it. `REJECTED` means that staff refused it, so a person must refund what was
    paid. `ERROR` needs a person to act. `MANUAL` was keyed in by hand.
    """

    DUE = "due"
    SENDING = "sending"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ERROR = "error"
    MANUAL = "manual"
    CANCELLED = "cancelled"


class WaitsFor(StrEnum):
    """What an order waits for before it is processed again.

    `ITS_TIME`: it is scheduled. `RETRY`: the platform failed transiently. `LOOK`: it may exist, and
    is looked up. `IMPORT`: another worker is importing the menu. `OPENING`: the store takes no
    orders now. `AUTHORISATION`: a person must connect the store again.
    """

    NOTHING = ""
    ITS_TIME = "time"
    RETRY = "retry"
    LOOK = "look"
    IMPORT = "import"
    OPENING = "opening"
    AUTHORISATION = "authorisation"


class StoredOrder(FrozenModel):
    """An order in the outbox. Times are epoch seconds.

    Attributes:
        eligible_at: When it may first be processed.
        due_at: When it is next processed; None if it isn't, unless a person acts.
        crash_count: How many workers in a row died while processing it.
        problem_at: Since when a person has to act; None if nobody has to.
        expected_at: By when its register should have shown it; None once it has, or once that was
            reported.
        worker: The worker that is processing it.
        error: Why it isn't on the register. `remedy` says what to do.
        ticket: Its attention ticket at the register.
        order: The order itself; None once the customer's data was erased, or if it can't be read.
        unreadable: The columns of its row that can't be read: damaged, or of a newer version. It is
            in error then, unless a person has closed it.
    """

    id: str
    connection: str
    state: OrderState
    progress: Progress
    code: str
    customer: str
    added_at: float
    eligible_at: float
    due_at: float | None
    waits_for: WaitsFor
    updated_at: float
    crash_count: int = 0
    problem_at: float | None = None
    expected_at: float | None = None
    worker: str | None = None
    error: ErrorRecord | None = None
    pos_order: PosOrder | None = None
    ticket: PosOrder | None = None
    order: Order | None = None
    unreadable: tuple[str, ...] = ()

    @property
    def remedy(self) -> Remedy | None:
        """What to do about the error, and who does it."""
        if self.error is None:
            return None
        return PosError.from_record(self.error).remedy


class Report(FrozenModel):
    """What a platform reported of an order while a worker had claimed it.

    Attributes:
        pos_order: The order as the platform showed it.
        address: The address that the connection had then.
    """

    pos_order: PosOrder
    address: str = ""


def stored_order(
    row: Row | RowMapping | Mapping[str, Any], order: Order | None = None
) -> StoredOrder:
    """Return the order of a row of the table of orders. Never raises.

    A claimed order shows as `SENDING`, and one whose row can't be read as `ERROR`. Validation is
    skipped for what `Row` has checked.

    Args:
        row: The row.
        order: The order itself, which then isn't parsed once more.
    """
    read = row if isinstance(row, Row) else Row(t.orders, row)
    state = read.one_of("state", OrderState, OrderState.ERROR)
    progress = read.one_of("progress", Progress, Progress.NEW)
    waits_for = read.one_of("waits_for", WaitsFor, WaitsFor.NOTHING)
    if order is None:
        order = read.parse("content", Order.model_validate_json)
    error = read.parse("error", ErrorRecord.model_validate_json)
    pos_order = read.parse("pos_order", PosOrder.model_validate_json)
    ticket = read.parse("ticket", PosOrder.model_validate_json)
    unreadable = _unreadable(read, state, order)
    problem_at = read.get("problem_at")
    is_closed = state in _CLOSED and problem_at is None
    if unreadable and not is_closed:
        state = OrderState.ERROR
        error = unreadable_error(unreadable)
        problem_at = problem_at or read["updated_at"]
    return StoredOrder.model_construct(
        id=read["id"],
        connection=read["connection"],
        state=OrderState.SENDING if read["worker"] else state,
        progress=progress,
        code=read["code"],
        customer=read["customer"],
        added_at=read["added_at"],
        eligible_at=read["eligible_at"],
        due_at=read["due_at"],
        waits_for=waits_for,
        updated_at=read["updated_at"],
        crash_count=read["crash_count"],
        problem_at=problem_at,
        expected_at=read.get("expected_at"),
        worker=read["worker"],
        error=error,
        pos_order=pos_order,
        ticket=ticket,
        order=order,
        unreadable=unreadable,
    )


_CLOSED = (OrderState.MANUAL, OrderState.CANCELLED)
"""What a person has closed stays so, whether or not its row can be read."""


def _unreadable(read: Row, state: OrderState, order: Order | None) -> tuple[str, ...]:
    """Return the columns that can't be read.

    An order can't be sent without its content.
    """
    faults = tuple(read.faults)
    if state is OrderState.DUE and order is None and "content" not in faults:
        return (*faults, "content")
    return faults


def unreadable_error(columns: Sequence[str]) -> ErrorRecord:
    """Return the error of an order whose row can't be read."""
    error = OrderError(
        f"its row in the outbox can't be read: {', '.join(columns)}", reason=UNREADABLE
    )
    error.operation = "read"
    error.outcome = Outcome.UNKNOWN
    return error.record()


_STATES = {
    PosState.RECEIVED: OrderState.RECEIVED,
    PosState.ACCEPTED: OrderState.ACCEPTED,
    PosState.REJECTED: OrderState.REJECTED,
    PosState.CANCELLED: OrderState.CANCELLED,
}


def state_of(pos_order: PosOrder) -> OrderState:
    """Return the state of an order that the platform has."""
    return _STATES[pos_order.state]


EVENTS_WITH_TRANSCRIPTS = 40
"""The events of an order that keep what was sent and received.

An order that fails for days has hundreds; the latest exchange is in its row's error in any case.
"""

_TICKET_PREFIX = "ticket:"
"""Precedes the kind of an event of the order's attention ticket."""


@cache
def _adapters() -> Mapping[str, TypeAdapter[OrderEvent]]:
    """Return the adapter of each kind of event, by the name of its class."""
    kinds = cast("tuple[type[OrderEvent], ...]", get_args(OrderEvent))
    return {kind.__name__: TypeAdapter(kind) for kind in kinds}


def event_row(event: Event, number: int = 0) -> tuple[str, str]:
    """Return an event's kind and body, as they are stored.

    `number` is the event's place in the journal: later ones are stored without their transcript.
    """
    prefix = ""
    if isinstance(event, OfTicket):
        prefix = _TICKET_PREFIX
        event = event.event
    if number >= EVENTS_WITH_TRANSCRIPTS and isinstance(event, Failed) and event.error.exchange:
        error = event.error.model_copy(update={"exchange": None})
        event = dataclasses.replace(event, error=error)
    name = type(event).__name__
    body = _adapters()[name].dump_json(event).decode()
    return prefix + name, body


class UnreadableEventError(ValueError):
    """An event of a journal can't be read: damaged, or of a newer version."""


def event_of(kind: str, body: str) -> Event:
    """Return the event of a stored kind and body. Raises `UnreadableEventError`."""
    name = str(kind).removeprefix(_TICKET_PREFIX)
    try:
        event = _adapters()[name].validate_json(body)
    except Exception:  # noqa: BLE001  whatever a parser raises, the other orders go on
        event = None
    # Raised outside of the handler, whose exception quotes the row.
    if event is None:
        raise UnreadableEventError(f"an event {kind!r} of the journal can't be read")
    if kind == name:
        return event
    return OfTicket(event)
