"""An order as the outbox stores it, its states, and its journal's events as JSON.

Pure: rows in, values out. `claims`, `insert` and `queries` read and write the rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, cast, get_args

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from tillpost.errors import ErrorRecord, PosError
from tillpost.errors.remedies import Remedy
from tillpost.models.base import FrozenModel
from tillpost.models.order import Order, PosOrder, PosState, Progress
from tillpost.submission.journal import Event, Failed, OfTicket, OrderEvent

__all__ = [
    "EVENTS_WITH_TRANSCRIPTS",
    "OrderState",
    "StoredOrder",
    "WaitsFor",
    "event_of",
    "event_row",
    "state_of",
    "stored_order",
]


class OrderState(StrEnum):
    """Where an order is at the POS, as far as the outbox knows.

    `RECEIVED` is the platform's claim. `ACCEPTED` means that the register or its staff have shown
    that they have it. `REJECTED` means that staff refused it, so a person must refund it. `ERROR`
    needs a person to act. `MANUAL` was keyed in by hand.
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
        order: The order itself; None once the customer's data was erased.
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

    @property
    def remedy(self) -> Remedy | None:
        """What to do about the error, and who does it."""
        if self.error is None:
            return None
        return PosError.from_record(self.error).remedy


def stored_order(row: RowMapping | Mapping[str, Any], order: Order | None = None) -> StoredOrder:
    """Return the order of a row of the table of orders.

    A claimed order shows as `SENDING`. Validation is skipped, since the row is our own.

    Args:
        row: The row.
        order: The order itself, which then isn't parsed once more.
    """
    state = OrderState.SENDING if row["worker"] else OrderState(row["state"])
    if order is None and row["content"]:
        order = Order.model_validate_json(row["content"])
    error = ErrorRecord.model_validate_json(row["error"]) if row["error"] else None
    return StoredOrder.model_construct(
        id=row["id"],
        connection=row["connection"],
        state=state,
        progress=Progress(row["progress"]),
        code=row["code"],
        customer=row["customer"],
        added_at=row["added_at"],
        eligible_at=row["eligible_at"],
        due_at=row["due_at"],
        waits_for=WaitsFor(row["waits_for"]),
        updated_at=row["updated_at"],
        crash_count=row["crash_count"],
        problem_at=row.get("problem_at"),
        expected_at=row.get("expected_at"),
        worker=row["worker"],
        error=error,
        pos_order=_pos_order(row["pos_order"]),
        ticket=_pos_order(row["ticket"]),
        order=order,
    )


def _pos_order(text: str | None) -> PosOrder | None:
    return PosOrder.model_validate_json(text) if text else None


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
"""The events of an order that keep what was sent and received. An order that fails for days has
hundreds; the latest exchange is in its row's error in any case."""

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


def event_of(kind: str, body: str) -> Event:
    """Return the event of a stored kind and body."""
    name = kind.removeprefix(_TICKET_PREFIX)
    event = _adapters()[name].validate_json(body)
    return OfTicket(event) if kind != name else event
