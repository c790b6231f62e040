"""Writes what becomes of an order when its platform says something of it: the order is found, `observing` decides.

In one transaction with whatever else the caller writes. An order that somebody has in hand isn't
changed: it is looked at again right after that. The hooks that come of it are for the caller to
call, once it is on disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from tillpost.errors import ErrorRecord
from tillpost.models.order import PosOrder
from tillpost.outbox.db import schema as t
from tillpost.outbox.engine import Engine
from tillpost.outbox.event_log import HookCall, decided
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.orders.models import OrderState, event_row, stored_order
from tillpost.outbox.orders.queries import read_events
from tillpost.outbox.orders.transitions import Change, Known, observed, refused
from tillpost.outbox.settings import OutboxSettings

__all__ = ["OrderUpdates"]

_ORDER = t.orders.c
_UNPLACED = (OrderState.DUE.value, OrderState.ERROR.value, OrderState.MANUAL.value)


class OrderUpdates:
    """The orders of an outbox, as their platforms speak of them."""

    def __init__(self, engine: Engine, settings: OutboxSettings) -> None:
        self._engine = engine
        self._settings = settings

    def may_have(self, db: Connection, connection: str, pos_id: str, reference: str) -> bool:
        """Whether what the platform calls so may be an order of ours: it is, or one isn't known to be there."""
        if self._find(db, connection, pos_id, reference) is not None:
            return True
        unplaced = (
            _ORDER.connection == connection,
            _ORDER.pos_id.is_(None),
            _ORDER.state.in_(_UNPLACED),
        )
        return (
            not reference
            and db.execute(select(_ORDER.id).where(*unplaced).limit(1)).first() is not None
        )

    def seen(
        self,
        db: Connection,
        connection: str,
        there: PosOrder,
        now: float,
        reference: str = "",
        how: str = "webhook",
    ) -> Sequence[HookCall]:
        """Write that the platform shows an order so; return the hooks to be called."""
        row = self._find(db, connection, there.id, there.reference or reference, lock=True)
        if row is None or self._in_flight(db, row, now):
            return ()
        return self._write(db, row, observed(_known(row), there, now, self._settings), now, how)

    def refused(
        self,
        db: Connection,
        connection: str,
        pos_id: str,
        reference: str,
        error: ErrorRecord,
        now: float,
        how: str = "webhook",
    ) -> Sequence[HookCall]:
        """Write that an order was refused after all; return the hooks to be called.

        Raises `DatabaseError` when somebody has the order in hand, and the platform wouldn't say so
        again when asked.
        """
        row = self._find(db, connection, pos_id, reference, lock=True)
        if row is None:
            return ()
        if self._in_flight(db, row, now):
            if error.pos_order is None:
                raise DatabaseError(
                    f"order {row['id']} is in hand at this moment: send it again", passing=True
                )
            return ()
        journal = read_events(db, row["id"])
        return self._write(
            db, row, refused(_known(row), error, journal, now, self._settings), now, how
        )

    def _find(
        self, db: Connection, connection: str, pos_id: str, reference: str, *, lock: bool = False
    ) -> RowMapping | None:
        """Return the order that is meant, by our id or by the platform's; what is said of an older copy means none."""
        if not (
            pos_id.isprintable() and reference.isprintable()
        ):  # a database may not even take it
            return None
        by_pos_id = (_ORDER.connection == connection, _ORDER.pos_id == pos_id)
        by_reference = (
            _ORDER.connection == connection,
            _ORDER.pos_id.is_(None),
            _ORDER.id == reference,
        )
        for ours in (by_pos_id, by_reference):
            found = select(t.orders).where(*ours).limit(1)
            if row := db.execute(found.with_for_update() if lock else found).mappings().first():
                return None if _is_ticket(row, pos_id) else row
        return None

    def _in_flight(self, db: Connection, row: RowMapping, now: float) -> bool:
        """Whether somebody has the order in hand. If so, the platform is asked once it is laid down."""
        if row["worker"] is None:
            return False
        db.execute(update(t.orders).where(_ORDER.id == row["id"]).values(poll_at=now))
        return True

    def _write(
        self, db: Connection, row: RowMapping, change: Change, now: float, how: str
    ) -> Sequence[HookCall]:
        order_id = row["id"]
        if change.values:
            db.execute(
                update(t.orders)
                .where(_ORDER.id == order_id, _ORDER.worker.is_(None))
                .values(**change.values)
            )
        for event in change.events:
            latest = db.scalar(
                select(func.max(t.events.c.number)).where(t.events.c.order_id == order_id)
            )
            kind, body = event_row(event)
            number = 0 if latest is None else latest + 1
            db.execute(
                insert(t.events).values(order_id=order_id, number=number, kind=kind, body=body)
            )
        if change.due:
            self._engine.wake(db, order_id, now)
        if "state" in change.values:
            told = {
                name: change.values[name] for name in ("state", "progress") if name in change.values
            }
            decided("order_seen", id=order_id, connection=row["connection"], by=how, **told)
        return change.told


def _is_ticket(row: RowMapping, pos_id: str) -> bool:
    """Whether this is the attention ticket that stands at the platform in the order's place."""
    return bool(row["ticket"]) and PosOrder.model_validate_json(row["ticket"]).id == pos_id


def _known(row: RowMapping) -> Known:
    return Known(stored_order(row), row["received_at"], row["confirmed_at"])
