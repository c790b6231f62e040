"""What an order's state at Square means: where it is, and what the customer may be told.

An order that is paid is with Square, which is all that `received` says. `accepted` needs proof that
the register or its staff has it: a fulfilment that was moved on, or stamped as accepted. Sources:
the spec's descriptions of OrderState, FulfillmentState and FulfillmentPickupDetails.accepted_at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from tillpost.adapter import Draft, PosOrder, PosState, Progress, Response
from tillpost_square.wire import MadeOrder, SquareOrder

__all__ = ["CLOSED", "draft_of", "is_paid", "pos_order"]

CLOSED = frozenset({"COMPLETED", "CANCELED", "FAILED"})
"""States in which a fulfilment can't be cancelled any more."""

_REFUSED = frozenset({"CANCELED", "FAILED"})
_MOVED_ON = {
    "RESERVED": Progress.PREPARING,
    "PREPARED": Progress.READY,
    "COMPLETED": Progress.COMPLETED,
}
_EARLIEST_FIRST = (
    Progress.NEW,
    Progress.ACCEPTED,
    Progress.PREPARING,
    Progress.READY,
    Progress.COMPLETED,
)


def is_paid(order: SquareOrder) -> bool:
    """Whether staff can see the order. Only paid orders show at the register, so one that was moved on is paid.

    An order with a total of 0 that was paid by PayOrder has no tenders and stays OPEN (developer
    forum, thread 11715): it can't be told from an unpaid one here, and paying it again under the
    same key does no harm.
    """
    return bool(order.tenders) or order.state == "COMPLETED" or _shown(order)


FRESH = timedelta(seconds=10)
"""How old a new order may be by the time that its answer is dated."""


def draft_of(order: SquareOrder | MadeOrder) -> Draft:
    """Return an unpaid order as a draft. A total that Square doesn't say can't match any, so it is looked at again."""
    return Draft(
        id=order.id,
        total=order.total_money.amount if order.total_money else -1,
        version=order.version,
    )


def is_replayed(order: MadeOrder, answer: Response) -> bool:
    """Whether a create was answered with an order that is older than the answer itself: the key had been used before.

    Both times are Square's own, so no two clocks have to agree. Without either it counts as new.
    """
    answered = answer.headers.get("date", "")
    if not (answered and order.created_at):
        return False
    try:
        return parsedate_to_datetime(answered) - datetime.fromisoformat(order.created_at) > FRESH
    except (ValueError, TypeError):
        return False


def pos_order(order: SquareOrder, notices: Sequence[str] = ()) -> PosOrder:
    """Return the order as Square has it. Its status is Square's own word, of the fulfilment where there is one."""
    state, progress = _state(order)
    states = {f.state for f in order.fulfillments if f.state}
    return PosOrder(
        id=order.id,
        reference=order.reference_id,
        state=state,
        progress=progress,
        status=next(iter(states))
        if len(states) == 1 and order.state != "CANCELED"
        else order.state,
        total=_total(order),
        notices=tuple(notices),
    )


def _state(order: SquareOrder) -> tuple[PosState, Progress]:
    if order.state == "CANCELED":
        return PosState.CANCELLED, Progress.CANCELLED
    states = [f.state for f in order.fulfillments]
    if states and _REFUSED.issuperset(states):
        return PosState.REJECTED, Progress.CANCELLED
    reached = [
        _progress(f.state, acknowledged=f.acknowledged)
        for f in order.fulfillments
        if f.state not in _REFUSED
    ]
    slowest = min(reached, key=_EARLIEST_FIRST.index, default=Progress.NEW)
    return (PosState.ACCEPTED if _shown(order) else PosState.RECEIVED), slowest


def _progress(state: str, *, acknowledged: bool) -> Progress:
    return _MOVED_ON.get(state) or (Progress.ACCEPTED if acknowledged else Progress.NEW)


def _shown(order: SquareOrder) -> bool:
    return any(f.state in _MOVED_ON or f.acknowledged for f in order.fulfillments)


def _total(order: SquareOrder) -> int | None:
    """What was paid, tips included; before a payment, what Square asks for."""
    tendered = [tender.amount_money.amount for tender in order.tenders if tender.amount_money]
    if tendered:
        return sum(tendered)
    return order.total_money.amount if order.total_money else None
