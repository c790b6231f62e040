"""Writes what a platform reports about an order, by webhook or when polled.

`OrderUpdates` finds the order and `transitions` decides what changes; both happen in the caller's
transaction. An order that a worker has claimed isn't changed: the report is kept in its row, for
the next claim or for the order's poll, which is due once the worker has released it. The caller
calls the hooks that are returned, once the transaction is on disk.

A connection's settings may have changed since an order was sent. An order that is at another
address isn't meant by the platform's id alone, which another order may have at this one.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, insert, select, update

from tillpost.errors import ErrorRecord
from tillpost.models.order import PosOrder
from tillpost.outbox.db import schema as t
from tillpost.outbox.engine import Engine
from tillpost.outbox.event_log import HookCall, log_event
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.orders.models import (
    UNREADABLE,
    OrderState,
    Report,
    StoredOrder,
    UnreadableEventError,
    event_row,
    stored_order,
)
from tillpost.outbox.orders.queries import next_number, read_events
from tillpost.outbox.orders.transitions import Change, KnownOrder, apply_refusal, apply_status
from tillpost.outbox.orders.unreadable import JOURNAL, set_aside
from tillpost.outbox.rows import Row, parsed
from tillpost.outbox.settings import OutboxSettings
from tillpost.submission.arrival import names_another
from tillpost.submission.history import fold
from tillpost.submission.journal import Event

__all__ = ["OrderUpdates"]

_ORDER, _EVENT = t.orders.c, t.events.c

_NOT_KNOWN_AT_PLATFORM = (
    OrderState.DUE.value,
    OrderState.ERROR.value,
    OrderState.MANUAL.value,
)

MOST_NAMESAKES = 8
"""Orders of one connection with the same id at the platform.

There is one for each of its addresses.
"""

# Statements are built once: SQLAlchemy takes longer to build one than to run it.
_OF_CONNECTION = _ORDER.connection == bindparam("connection_name")
_BY_POS_ID = (
    select(t.orders)
    .where(_OF_CONNECTION, _ORDER.pos_id == bindparam("wanted_id"))
    .limit(MOST_NAMESAKES)
)
_BY_REFERENCE = select(t.orders).where(
    _OF_CONNECTION, _ORDER.pos_id.is_(None), _ORDER.id == bindparam("wanted_id")
)
_LOCK_BY_POS_ID = _BY_POS_ID.with_for_update()
_LOCK_BY_REFERENCE = _BY_REFERENCE.with_for_update()
_ANY_CANDIDATE = (
    select(_ORDER.id)
    .where(
        _OF_CONNECTION,
        _ORDER.pos_id.is_(None),
        _ORDER.state.in_(_NOT_KNOWN_AT_PLATFORM),
    )
    .limit(1)
)


class OrderUpdates:
    """Applies what platforms report to the orders of an outbox."""

    def __init__(self, engine: Engine, settings: OutboxSettings) -> None:
        self._engine = engine
        self._settings = settings

    def may_be_ours(
        self,
        db: Connection,
        connection: str,
        pos_id: str,
        reference: str,
        address: str = "",
    ) -> bool:
        """Return whether an order that the platform shows now may be one of ours.

        It is if it is found, and isn't at another address. Without a reference it may be any order
        that isn't known to exist at the platform.

        Args:
            db: The caller's transaction.
            connection: The connection's name.
            pos_id: The platform's id of the order.
            reference: Our id of the order, as the platform names it; empty if it doesn't.
            address: The address that the connection has now; empty if that is not known.
        """
        row = self._find(db, connection, pos_id, reference, address)
        if row is not None:
            return not _is_elsewhere(db, row, address)
        if reference:
            return False
        return db.execute(_ANY_CANDIDATE, {"connection_name": connection}).first() is not None

    def find(
        self,
        db: Connection,
        connection: str,
        pos_id: str,
        reference: str,
        address: str,
    ) -> StoredOrder | None:
        """Return the order that a report is about; None if it is none of ours."""
        row = self._find(db, connection, pos_id, reference, address)
        if row is None:
            return None
        return stored_order(row)

    def is_elsewhere(
        self,
        db: Connection,
        connection: str,
        pos_id: str,
        reference: str,
        address: str,
    ) -> bool:
        """Return whether an order that a report names is, or may be, at another address."""
        row = self._find(db, connection, pos_id, reference, address)
        return row is not None and _is_elsewhere(db, row, address)

    def record_status(
        self,
        db: Connection,
        connection: str,
        pos_order: PosOrder,
        now: float,
        reference: str = "",
        source: str = "webhook",
        address: str = "",
    ) -> Sequence[HookCall]:
        """Record the status of an order at the platform.

        Args:
            db: The caller's transaction.
            connection: The connection's name.
            pos_order: The order as the platform shows it.
            now: Epoch seconds.
            reference: Our id of the order, if `pos_order` doesn't name it.
            source: For the log: `webhook` or `poll`.
            address: The address that the connection has now.

        Returns:
            The hooks to call.
        """
        our_id = pos_order.reference or reference
        row = self._find(db, connection, pos_order.id, our_id, address, lock=True)
        if row is None:
            return ()
        if row["worker"] is not None:
            _keep_report(db, row, Report(pos_order=pos_order, address=address), now)
            return ()
        known = self._known_order(db, row, now)
        if known is None:
            return ()
        may_be_in_doubt = row["state"] in (OrderState.DUE.value, OrderState.ERROR.value)
        journal = self._read_journal(db, row, known, now) if may_be_in_doubt else ()
        if journal is None:
            return ()
        change = apply_status(
            known, pos_order, now, self._settings, journal=journal, address=address
        )
        return self._write(db, row, change, now, source)

    def record_refusal(
        self,
        db: Connection,
        connection: str,
        pos_id: str,
        reference: str,
        error: ErrorRecord,
        now: float,
        source: str = "webhook",
        address: str = "",
    ) -> Sequence[HookCall]:
        """Record that the platform refused an order that it had received.

        Args:
            db: The caller's transaction.
            connection: The connection's name.
            pos_id: The platform's id of the order.
            reference: Our id of the order.
            error: The refusal.
            now: Epoch seconds.
            source: For the log: `webhook` or `poll`.
            address: The address that the connection has now.

        Returns:
            The hooks to call.

        Raises:
            DatabaseError: a worker has claimed the order, and polling it later wouldn't show the
                refusal. The platform must send the webhook again.
        """
        row = self._find(db, connection, pos_id, reference, address, lock=True)
        if row is None:
            return ()
        if row["worker"] is not None:
            if error.pos_order is None:
                raise DatabaseError(
                    f"order {row['id']} is being processed; send the webhook again", transient=True
                )
            _keep_report(db, row, Report(pos_order=error.pos_order, address=address), now)
            return ()
        known = self._known_order(db, row, now)
        if known is None:
            return ()
        journal = self._read_journal(db, row, known, now)
        if journal is None:
            return ()
        change = apply_refusal(known, error, journal, now, self._settings, address)
        return self._write(db, row, change, now, source)

    def record_kept_report(self, db: Connection, row: Row, now: float) -> Sequence[HookCall]:
        """Record what was reported of an order while a worker had claimed it, if anything.

        Args:
            db: The caller's transaction.
            row: The order's row, locked; no worker has claimed it.
            now: Epoch seconds.

        Returns:
            The hooks to call.
        """
        report = parsed(Report.model_validate_json, row["reported"])
        if row["reported"] is not None:
            order_row = update(t.orders).where(_ORDER.id == row["id"])
            db.execute(order_row.values(reported=None))
        if report is None:
            return ()
        return self.record_status(
            db, row["connection"], report.pos_order, now, row["id"], address=report.address
        )

    def _known_order(self, db: Connection, row: Row, now: float) -> KnownOrder | None:
        """Return what is known of an order.

        Returns None if its row can't be read, and is set aside.
        """
        stored = stored_order(row)
        if not stored.unreadable:
            return KnownOrder(stored, row["received_at"], row["confirmed_at"])
        if stored.state is OrderState.ERROR:
            set_aside(db, row.raw("id"), stored.unreadable, now, self._settings.escalate_after)
        return None

    def _read_journal(
        self,
        db: Connection,
        row: Row,
        known: KnownOrder,
        now: float,
    ) -> Sequence[Event] | None:
        """Return an order's journal; None if it can't be read, and the order is set aside.

        A webhook about it is recorded all the same: sent again, it could be read no better.
        """
        try:
            return read_events(db, row["id"])
        except UnreadableEventError:
            error = known.stored.error
            is_set_aside = error is not None and error.reason == UNREADABLE
            if not is_set_aside:
                set_aside(db, row.raw("id"), (JOURNAL,), now, self._settings.escalate_after)
            return None

    def _find(
        self,
        db: Connection,
        connection: str,
        pos_id: str,
        reference: str,
        address: str,
        *,
        lock: bool = False,
    ) -> Row | None:
        """Return the row of an order, found by the platform's id or else by ours.

        Our id counts only while the platform's isn't known: otherwise the report is of another
        copy. A report that names the platform's id of one order and our id of another is of
        neither. The platform's id alone doesn't count for an order at another address.
        """
        # A database may refuse to even compare with what isn't printable.
        if not (pos_id.isprintable() and reference.isprintable()):
            return None
        by_pos_id = _LOCK_BY_POS_ID if lock else _BY_POS_ID
        by_reference = _LOCK_BY_REFERENCE if lock else _BY_REFERENCE
        wanted = {"connection_name": connection, "wanted_id": pos_id}
        namesakes = [Row(t.orders, found) for found in db.execute(by_pos_id, wanted).mappings()]
        for row in namesakes:
            if row["id"] == reference:
                return None if _is_ticket(row, pos_id) else row
        for row in namesakes:
            if not _is_elsewhere(db, row, address):
                is_other = _is_ticket(row, pos_id) or names_another(row["id"], reference)
                return None if is_other else row
        wanted["wanted_id"] = reference
        found = db.execute(by_reference, wanted).mappings().first()
        if found is None:
            return None
        row = Row(t.orders, found)
        return None if _is_ticket(row, pos_id) else row

    def _write(
        self,
        db: Connection,
        row: Row,
        change: Change,
        now: float,
        source: str,
    ) -> Sequence[HookCall]:
        order_id = row["id"]
        if change.values:
            is_unclaimed = _ORDER.worker.is_(None)
            unclaimed = update(t.orders).where(_ORDER.id == order_id, is_unclaimed)
            db.execute(unclaimed.values(**change.values))
        for event in change.events:
            _append_event(db, order_id, event)
        if change.due:
            self._engine.wake(db, order_id, now)
        if "state" in change.values:
            log_event(
                "order_updated",
                id=order_id,
                connection=row["connection"],
                by=source,
                state=change.values["state"],
                progress=change.values.get("progress"),
            )
        return change.hooks


def _keep_report(db: Connection, row: Row, report: Report, now: float) -> None:
    """Keep a report about a claimed order.

    Has the order polled once it is released.
    """
    values = {
        "poll_at": now,
        "reported": report.model_dump_json(),
    }
    order_row = update(t.orders).where(_ORDER.id == row["id"])
    db.execute(order_row.values(**values))


def _append_event(db: Connection, order_id: str, event: Event) -> None:
    last_number = select(func.max(_EVENT.number)).where(_EVENT.order_id == order_id)
    latest = db.scalar(last_number)
    number = 0 if latest is None else next_number(latest)
    kind, body = event_row(event, number)
    row = {
        "order_id": order_id,
        "number": number,
        "kind": kind,
        "body": body,
    }
    db.execute(insert(t.events).values(**row))


def _is_elsewhere(db: Connection, row: Row, address: str) -> bool:
    """Return whether an order is, or may be, at another address than the connection's."""
    if not address:
        return False
    try:
        history = fold(read_events(db, row["id"]))
    except UnreadableEventError:
        return False  # the code that changes the order sets it aside
    return bool(history.elsewhere(address))


def _is_ticket(row: Row, pos_id: str) -> bool:
    """Return whether a platform's id is that of the order's attention ticket."""
    ticket = parsed(PosOrder.model_validate_json, row["ticket"])
    return ticket is not None and ticket.id == pos_id
