"""How an order gets into the outbox: one insert, in a transaction of ours or in the caller's own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from tillpost.errors import OrderError, Outcome
from tillpost.models.order import Order, Progress
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.models import OrderState, StoredOrder, WaitsFor, stored_order

__all__ = ["add_order"]

_COUNTED = {
    "preserve_rowcount": True
}  # SQLAlchemy doesn't count inserted rows unless it is asked to

_ADD_ONCE = {
    "sqlite": sqlite.insert(t.orders)
    .on_conflict_do_nothing(index_elements=["id"])
    .execution_options(**_COUNTED),
    "postgresql": postgresql.insert(t.orders)
    .on_conflict_do_nothing(index_elements=["id"])
    .execution_options(**_COUNTED),
}


def add_order(
    db: Connection, order: Order, connection: str, *, is_new: bool, lead: float
) -> tuple[StoredOrder, bool]:
    """Put an order into the outbox; return it as it stands there, and whether it came in now.

    The same order added again is the one that is there. Raises `OrderError` when another content,
    or another connection, stands under its id.
    """
    row = _row(order, connection, is_new=is_new, lead=lead)
    if db.execute(_ADD_ONCE[db.dialect.name], row).rowcount == 1:
        return stored_order(row, order), True
    there = db.execute(select(t.orders).where(t.orders.c.id == order.id)).mappings().one()
    if there["digest"] != order.digest:
        raise _refused(
            "another content stands in the outbox under this order's id; a new order needs a new id"
        )
    if there["connection"] != connection:
        raise _refused(
            f"the order stands in the outbox already, for the connection {there['connection']!r}"
        )
    return stored_order(there), False


def _row(order: Order, connection: str, *, is_new: bool, lead: float) -> Mapping[str, Any]:
    now = time.time()
    eligible_at = max(now, order.due_at.timestamp() - lead) if order.due_at else now
    return {
        "id": order.id,
        "connection": connection,
        "content": order.model_dump_json(),
        "digest": order.digest,
        "code": order.code,
        "customer": order.customer.name.replace("\0", "")
        if order.customer
        else "",  # PostgreSQL's text can't hold it
        "added_at": now,
        "eligible_at": eligible_at,
        "is_new": is_new,
        "state": OrderState.DUE.value,
        "progress": Progress.NEW.value,
        "due_at": eligible_at,
        "waits_for": (WaitsFor.ITS_TIME if eligible_at > now else WaitsFor.NOTHING).value,
        "suspended_until": 0.0,
        "new_request": True,
        "worker": None,
        "fencing_token": 0,
        "crash_count": 0,
        "error": None,
        "pos_order": None,
        "ticket": None,
        "updated_at": now,
    }


def _refused(text: str) -> OrderError:
    error = OrderError(text)
    error.operation, error.outcome = "add", Outcome.UNKNOWN
    return error
