"""Inserts an order into the outbox, in a transaction of ours or of the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from sqlalchemy import Connection, bindparam, func, null, select
from sqlalchemy.dialects import postgresql, sqlite

from tillpost.errors import OrderError, Outcome
from tillpost.models.base import explain
from tillpost.models.order import Order, Progress
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.models import OrderState, StoredOrder, WaitsFor, stored_order

__all__ = ["add_order"]

_ORDER: TypeAdapter[Order] = TypeAdapter(Order)

# SQLAlchemy doesn't count inserted rows unless it is asked to.
_COUNT_ROWS = {"preserve_rowcount": True}

# As expressions, the columns have no declared type for the converters of a caller's sqlite3.
_SAME_ID = select(
    *(func.coalesce(each, null(), type_=each.type).label(each.name) for each in t.orders.columns)
).where(t.orders.c.id == bindparam("order_id"))

_INSERT_ONCE = {
    "sqlite": sqlite.insert(t.orders)
    .on_conflict_do_nothing(index_elements=["id"])
    .execution_options(**_COUNT_ROWS),
    "postgresql": postgresql.insert(t.orders)
    .on_conflict_do_nothing(index_elements=["id"])
    .execution_options(**_COUNT_ROWS),
}


def add_order(
    db: Connection,
    order: Order,
    connection: str,
    now: float,
    *,
    is_new: bool,
    lead: float,
) -> tuple[StoredOrder, bool]:
    """Insert an order, unless it is in the outbox already.

    Args:
        db: The transaction.
        order: The order.
        connection: The name of its connection.
        now: Epoch seconds.
        is_new: Nobody has sent the order before.
        lead: How long before it is due a scheduled order is sent, in seconds.

    Returns:
        The order as it is stored, and whether it was inserted now.

    Raises:
        OrderError: the order isn't valid; or another order, or the same for another connection, has
            its id.
    """
    order = _validated(order)
    row = _row(order, connection, now, is_new=is_new, lead=lead)
    insert = _INSERT_ONCE[db.dialect.name]
    if db.execute(insert, row).rowcount == 1:
        return stored_order(row, order), True
    existing = db.execute(_SAME_ID, {"order_id": order.id}).mappings().one()
    if existing["digest"] != order.digest:
        raise _refusal(
            f"{order.id}: the outbox has an order with this id and other content; use a new id for"
            " a new order"
        )
    if existing["connection"] != connection:
        raise _refusal(
            f"{order.id}: the outbox has this order already, for the connection"
            f" {existing['connection']!r}"
        )
    return stored_order(existing), False


def _validated(order: Order) -> Order:
    """Return the order as it will be read back: `model_copy` checks nothing.

    An order of a subclass is stored as the `Order` that it is. Raises `OrderError`.
    """
    try:
        content = _ORDER.dump_json(order, warnings=False)
        return _ORDER.validate_json(content)
    except ValidationError as error:
        detail = explain(error)
    except (PydanticSerializationError, TypeError, ValueError):
        detail = "it can't be written as JSON"
    # Raised outside of the handler, whose exception quotes the order.
    raise _refusal(f"the order isn't valid: {detail}")


def _row(
    order: Order,
    connection: str,
    now: float,
    *,
    is_new: bool,
    lead: float,
) -> Mapping[str, Any]:
    eligible_at = now
    wanted_at = order.due_at.timestamp() if order.due_at else None
    if wanted_at is not None:
        eligible_at = max(now, wanted_at - lead)
    waits_for = WaitsFor.ITS_TIME if eligible_at > now else WaitsFor.NOTHING
    customer = order.customer.name if order.customer else ""
    return {
        "id": order.id,
        "connection": connection,
        "content": order.canonical_json(),
        "digest": order.digest,
        "code": order.code,
        # PostgreSQL's text can't hold a null character.
        "customer": customer.replace("\0", ""),
        "added_at": now,
        "eligible_at": eligible_at,
        "wanted_at": wanted_at,
        "is_new": is_new,
        "state": OrderState.DUE.value,
        "progress": Progress.NEW.value,
        "due_at": eligible_at,
        "waits_for": waits_for.value,
        "suspended_until": 0.0,
        "new_request": True,
        "worker": None,
        "fencing_token": 0,
        "crash_count": 0,
        "error": None,
        "pos_order": None,
        "ticket": None,
        "reported": None,
        "updated_at": now,
    }


def _refusal(text: str) -> OrderError:
    error = OrderError(text)
    error.operation = "add"
    error.outcome = Outcome.UNKNOWN
    return error
