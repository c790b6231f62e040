"""The columns that say that a person has to act on an order.

Pure. They also say when that is escalated. Everything that writes an order's state writes these
columns with it; the order monitor escalates what they say is due.
"""

from __future__ import annotations

from tillpost.outbox.orders.models import OrderState, WaitsFor

__all__ = ["acknowledged_columns", "is_problem", "problem_columns", "solved_columns"]


def is_problem(state: OrderState, waits_for: WaitsFor) -> bool:
    """Return whether a person has to act on an order.

    That is so if it is in error, staff rejected it, or its store must be connected again.

    >>> is_problem(OrderState.REJECTED, WaitsFor.NOTHING)
    True
    >>> is_problem(OrderState.DUE, WaitsFor.RETRY)
    False
    """
    needs_person = (OrderState.ERROR, OrderState.REJECTED)
    return state in needs_person or waits_for is WaitsFor.AUTHORISATION


def problem_columns(
    state: OrderState, waits_for: WaitsFor, now: float, escalate_after: float
) -> dict[str, object]:
    """Return the columns to write with an order's state.

    Args:
        state: The order's new state.
        waits_for: What it waits for.
        now: When its problem begins, if it has one, in epoch seconds.
        escalate_after: Seconds until the problem is escalated if nobody acts.
    """
    if is_problem(state, waits_for):
        return {"problem_at": now, "escalate_at": now + escalate_after, "escalations": 0}
    return solved_columns()


def solved_columns() -> dict[str, object]:
    """Return the columns of an order on which nobody has to act any more."""
    return {"problem_at": None, "escalate_at": None, "escalations": 0}


def acknowledged_columns() -> dict[str, object]:
    """Return the columns of a problem on which a person has acted: it isn't escalated."""
    return {"escalate_at": None}
