"""Resumes a paused connection: its orders are sent again.

Called by `Outbox.resume` once the connection has working credentials. A platform may also refuse
access by mistake for a while. So a paused connection is probed now and then, by an order that is
due or, without one, by a check of the store; if that is let in, the connection is resumed too.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.engine import Engine
from tillpost.outbox.orders.models import WaitsFor
from tillpost.outbox.orders.problems import solved_columns

__all__ = ["resume_connection"]

_ORDER = t.orders.c


def resume_connection(
    db: Connection,
    connection_rows: ConnectionRows,
    engine: Engine,
    connection: str,
    now: float,
) -> bool:
    """Resume a connection; return whether it was paused.

    Its waiting orders begin a new submission with a fresh retry budget, the store is checked at
    once, and the engine is woken for every order that is due.
    """
    if not connection_rows.lock(db, connection)["paused"]:
        return False
    unpaused: dict[str, object] = {"paused": "", "paused_at": None, "pause_probe_at": None}
    unpaused |= {"refused_credentials": "", "check_at": now}
    connection_rows.update(db, connection, unpaused)
    _restart_waiting_orders(db, connection, now)
    _wake_due_orders(db, engine, connection, now)
    return True


def _restart_waiting_orders(db: Connection, connection: str, now: float) -> None:
    values = {
        "waits_for": WaitsFor.NOTHING.value,
        "new_request": True,
        "eligible_at": now,
        **solved_columns(),
    }
    waiting = update(t.orders).where(
        _ORDER.connection == connection,
        _ORDER.waits_for == WaitsFor.AUTHORISATION.value,
    )
    db.execute(waiting.values(**values))


def _wake_due_orders(db: Connection, engine: Engine, connection: str, now: float) -> None:
    of_connection = select(_ORDER.id).where(_ORDER.connection == connection)
    due = of_connection.where(_ORDER.due_at <= now)
    for order_id in db.scalars(due):
        engine.wake(db, order_id, now)
