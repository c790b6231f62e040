"""The meaning of an order's state at Square.

It shows where the order is, and what the customer may be told. A paid order is with Square, which
is all that `received` means. `accepted` needs proof that the register or its staff has it: a
fulfilment that was advanced, or stamped as accepted. Sources: the spec's descriptions of
OrderState, FulfillmentState and FulfillmentPickupDetails.accepted_at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tillpost.adapter import Draft, PosOrder, PosState, Progress, Response, parse_http_date
from tillpost_square.wire import CreatedOrder, Fulfillment, SquareOrder

__all__ = ["CLOSED", "draft_of", "is_paid", "is_replayed", "pos_order"]

CLOSED = frozenset({"COMPLETED", "CANCELED", "FAILED"})
"""States in which a fulfilment can no longer be cancelled."""

_REJECTED = frozenset({"CANCELED", "FAILED"})

_ADVANCED = {
    "RESERVED": Progress.PREPARING,
    "PREPARED": Progress.READY,
    "COMPLETED": Progress.COMPLETED,
}
"""States that only the register or its staff gives to a fulfilment."""

_EARLIEST_FIRST = (
    Progress.NEW,
    Progress.ACCEPTED,
    Progress.PREPARING,
    Progress.READY,
    Progress.COMPLETED,
)

_UNKNOWN_TOTAL = -1
"""The total of a draft whose total Square leaves out. It matches no order's."""

FRESH = timedelta(seconds=10)
"""How old a new order may be at the time of its answer."""


def is_paid(order: SquareOrder) -> bool:
    """Return whether staff can see the order. Only paid orders show on the register.

    An order at a total of 0 that was paid by PayOrder has no tenders and stays OPEN (developer
    forum, thread 11715). Here it looks like an unpaid one; paying it again under the same key does
    no harm.
    """
    return bool(order.tenders) or order.state == "COMPLETED" or _shown_at_register(order)


def draft_of(order: SquareOrder | CreatedOrder) -> Draft:
    """Return an unpaid order as a draft.

    One without a total is read again before payment.
    """
    total = order.total_money.amount if order.total_money else _UNKNOWN_TOTAL
    return Draft(id=order.id, total=total, version=order.version)


def is_replayed(order: CreatedOrder, answer: Response) -> bool:
    """Return whether a create was answered with an older order.

    That happens when its key was used before. Both times are Square's own, so no two clocks have to
    agree. Without either it counts as new.
    """
    answered_at = parse_http_date(answer.headers.get("date", ""))
    if answered_at is None:
        return False
    try:
        age = answered_at - datetime.fromisoformat(order.created_at)
    except (ValueError, TypeError):
        return False
    return age > FRESH


def pos_order(order: SquareOrder, notices: Sequence[str] = ()) -> PosOrder:
    """Return the order as Square has it.

    Its status is the fulfilment's if there is one.
    """
    state, progress = _state(order)
    return PosOrder(
        id=order.id,
        reference=order.reference_id,
        state=state,
        progress=progress,
        status=_status(order),
        total=_total(order),
        notices=tuple(notices),
    )


def _status(order: SquareOrder) -> str:
    states = {fulfilment.state for fulfilment in order.fulfillments if fulfilment.state}
    if order.state == "CANCELED" or len(states) != 1:
        return order.state
    return states.pop()


def _state(order: SquareOrder) -> tuple[PosState, Progress]:
    if order.state == "CANCELED":
        return PosState.CANCELLED, Progress.CANCELLED
    states = [fulfilment.state for fulfilment in order.fulfillments]
    if states and _REJECTED.issuperset(states):
        return PosState.REJECTED, Progress.CANCELLED
    reached = [_progress(each) for each in order.fulfillments if each.state not in _REJECTED]
    slowest = min(reached, key=_EARLIEST_FIRST.index, default=Progress.NEW)
    state = PosState.ACCEPTED if _shown_at_register(order) else PosState.RECEIVED
    return state, slowest


def _progress(fulfilment: Fulfillment) -> Progress:
    if fulfilment.state in _ADVANCED:
        return _ADVANCED[fulfilment.state]
    return Progress.ACCEPTED if fulfilment.acknowledged else Progress.NEW


def _shown_at_register(order: SquareOrder) -> bool:
    return any(each.state in _ADVANCED or each.acknowledged for each in order.fulfillments)


def _total(order: SquareOrder) -> int | None:
    """Return what was paid with tips; before a payment, what Square asks for."""
    tendered = [tender.amount_money.amount for tender in order.tenders if tender.amount_money]
    if tendered:
        return sum(tendered)
    if not order.total_money:
        return None
    return order.total_money.amount
