"""The setting aside of an order that can't be read, so that all others go on.

Its row or its journal can't be read. The order is in error: a person sees it, and closes it with
`manual` or `cancel`. What can't be read stays in the row until a person repairs it. All that come
upon such a row call `set_aside`: claims, webhooks, polls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, update

from tillpost.outbox.db import schema as t
from tillpost.outbox.event_log import log_event
from tillpost.outbox.orders.models import OrderState, WaitsFor, unreadable_error
from tillpost.outbox.orders.problems import problem_columns
from tillpost.outbox.rows import named

__all__ = ["JOURNAL", "set_aside"]

JOURNAL = "journal"
"""Represents the journal among the names of the columns that can't be read."""


def set_aside(
    db: Connection,
    order_id: Any,
    columns: Sequence[str],
    now: float,
    escalate_after: float,
) -> None:
    """Put an order in error, whose row can't be read, and release it.

    Args:
        db: The transaction, in which the order is locked or claimed.
        order_id: The order's id as it was read, damaged or not.
        columns: What can't be read.
        now: Epoch seconds.
        escalate_after: Seconds until the problem is escalated if nobody acts.
    """
    values = {
        "state": OrderState.ERROR.value,
        "waits_for": WaitsFor.NOTHING.value,
        "due_at": None,
        "worker": None,
        "crash_count": 0,
        "suspended_until": 0.0,
        "poll_at": None,
        "expected_at": None,
        "error": unreadable_error(columns).model_dump_json(),
        "updated_at": now,
        **problem_columns(OrderState.ERROR, WaitsFor.NOTHING, now, escalate_after),
    }
    order_row = update(t.orders).where(named(t.orders.c.id, order_id))
    db.execute(order_row.values(**values))
    log_event("order_unreadable", id=order_id, columns=",".join(columns))
