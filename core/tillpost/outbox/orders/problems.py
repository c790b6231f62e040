"""When an order is a person's problem, and when somebody else is told that nobody acts on it. Pure.

Whoever writes where an order stands writes these columns with it; `watching` escalates what they
say is due.
"""

from __future__ import annotations

from tillpost.outbox.orders.models import OrderState, WaitsFor

__all__ = ["handled", "is_problem", "problem_columns", "solved"]


def is_problem(state: OrderState, waits_for: WaitsFor) -> bool:
    """Whether a person has to act: it stands in error, staff turned it down, or somebody has to connect the store.

    >>> is_problem(OrderState.REJECTED, WaitsFor.NOTHING), is_problem(OrderState.DUE, WaitsFor.RETRY)
    (True, False)
    """
    return state in (OrderState.ERROR, OrderState.REJECTED) or waits_for is WaitsFor.AUTHORISATION


def problem_columns(
    state: OrderState, waits_for: WaitsFor, now: float, first: float
) -> dict[str, object]:
    """Return what is written beside an order's state: a problem begins now (epoch seconds), or there is none.

    `first` is in how many seconds it is told to somebody else when nobody acts.
    """
    if is_problem(state, waits_for):
        return {"problem_at": now, "escalate_at": now + first, "escalations": 0}
    return solved()


def solved() -> dict[str, object]:
    """Return what is written when nobody has to act any more: say, the customer has had it without the register."""
    return {"problem_at": None, "escalate_at": None, "escalations": 0}


def handled() -> dict[str, object]:
    """Return what is written when a person has acted on a problem that stands: it is told to nobody else."""
    return {"escalate_at": None}
