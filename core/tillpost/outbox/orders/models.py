"""What the store says of an order: `StoredOrder`, its states, and how it and its journal stand in the tables as JSON.

Pure: rows in, words out. `store` and `adding` read and write the rows.
"""

from __future__ import annotations

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
from tillpost.submission.journal import Event, OfTicket, OrderEvent

__all__ = [
    "OrderState",
    "StoredOrder",
    "WaitsFor",
    "event_of",
    "event_row",
    "state_of",
    "stored_order",
]


class OrderState(StrEnum):
    """Where an order is at the POS, as the outbox knows it.

    `RECEIVED` is the platform's word; `ACCEPTED` means that the register or its staff has shown
    that they have it; `REJECTED`, that staff said no, so a person refunds. `ERROR` needs a person
    to act. `MANUAL` was keyed in by hand.
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
    """What an order waits for before something is done for it again."""

    NOTHING = ""
    ITS_TIME = "time"  # it is scheduled, and goes before it is due
    RETRY = "retry"  # the platform failed in passing
    LOOK = "look"  # it may be there, and is looked for
    IMPORT = "import"  # another worker is importing the menu
    OPENING = "opening"  # the store takes no orders now
    AUTHORISATION = "authorisation"  # somebody has to connect the store again


class StoredOrder(FrozenModel):
    """An order in the outbox.

    `due_at` (epoch seconds) is when something is to be done for it by itself; None when nothing is.
    `error` is why it isn't on the register, with what to do in `remedy`. `order` is None once the
    customer's data was erased. `crash_count` counts the workers that died in a row with it in hand.
    `problem_at` is since when a person has to act; None when nobody has to. `expected_at` is by
    when its register should have shown it; None once it has, or that was told. `ticket` is its
    attention ticket at the register.
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
        return PosError.from_record(self.error).remedy if self.error else None


def stored_order(row: RowMapping | Mapping[str, Any], order: Order | None = None) -> StoredOrder:
    """Return what a row of the table of orders says. A claim shows as the state `sending`.

    Whoever has the `order` itself in hand saves reading it once more.
    """
    state = OrderState.SENDING if row["worker"] else OrderState(row["state"])
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
        error=ErrorRecord.model_validate_json(row["error"]) if row["error"] else None,
        pos_order=PosOrder.model_validate_json(row["pos_order"]) if row["pos_order"] else None,
        ticket=PosOrder.model_validate_json(row["ticket"]) if row["ticket"] else None,
        order=order or (Order.model_validate_json(row["content"]) if row["content"] else None),
    )


_STATES = {
    PosState.RECEIVED: OrderState.RECEIVED,
    PosState.ACCEPTED: OrderState.ACCEPTED,
    PosState.REJECTED: OrderState.REJECTED,
    PosState.CANCELLED: OrderState.CANCELLED,
}


def state_of(pos_order: PosOrder) -> OrderState:
    """Return where an order is that the platform has."""
    return _STATES[pos_order.state]


_OF_TICKET = "ticket:"
"""What the kind of an event begins with that happened to the order's attention ticket."""


@cache
def _kinds() -> Mapping[str, TypeAdapter[OrderEvent]]:
    return {
        kind.__name__: TypeAdapter(cast(type[OrderEvent], kind)) for kind in get_args(OrderEvent)
    }


def event_row(event: Event) -> tuple[str, str]:
    """Return an event's kind and body, as they are kept."""
    of_order, mark = (event.event, _OF_TICKET) if isinstance(event, OfTicket) else (event, "")
    kind = type(of_order).__name__
    return mark + kind, _kinds()[kind].dump_json(of_order).decode()


def event_of(kind: str, body: str) -> Event:
    """Return the event that was kept."""
    event = _kinds()[kind.removeprefix(_OF_TICKET)].validate_json(body)
    return OfTicket(event) if kind.startswith(_OF_TICKET) else event
