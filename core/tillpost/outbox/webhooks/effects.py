"""The effects of webhook events on orders and connections.

`Receiver` calls this within the transaction that records the event.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from tillpost.adapter.echoes import hider
from tillpost.adapter.redaction import MASK
from tillpost.adapter.webhooks import (
    AuthorisationRevoked,
    AvailabilityChanged,
    MenuChanged,
    OrderChanged,
    OrderRefused,
    WebhookEvent,
)
from tillpost.errors import PermissionsError
from tillpost.models.order import PosOrder
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.delivery.connection_state import ConnectionUpdate
from tillpost.outbox.delivery.open_connections import OpenConnection
from tillpost.outbox.event_log import HookCall
from tillpost.outbox.orders.updates import OrderUpdates
from tillpost.outbox.settings import OutboxSettings

__all__ = ["EventEffects"]

MENU_SETTLES_IN = 10.0
"""Seconds after a change until the menu is imported.

People make many changes in a row.
"""

LEAST_BETWEEN_IMPORTS = 60.0
"""Seconds that pass at least between two imports of a menu."""


class EventEffects:
    """Writes the effects of webhook events. Thread-safe."""

    def __init__(
        self, rows: ConnectionRows, orders: OrderUpdates, settings: OutboxSettings
    ) -> None:
        self._rows = rows
        self._orders = orders
        self._settings = settings

    def without_customer(
        self, db: Connection, opened: OpenConnection, event: WebhookEvent
    ) -> WebhookEvent:
        """Return an event whose texts don't show the customer, as far as is known.

        That is the order's customer. Of an order whose customer's data was erased, no text of the
        platform is kept: nothing is left by which the customer's could be found in it.
        """
        if not isinstance(event, OrderRefused):
            return event
        connection = opened.connection
        stored = self._orders.find(
            db, connection.name, event.pos_id, event.reference, connection.address
        )
        if stored is None:
            return event
        hide = hider(stored.order, opened.adapter.config) if stored.order else _hide_all
        error = event.error
        hidden = {
            "detail": hide(error.detail),
            "code": hide(error.code),
            "subjects": tuple(hide(subject) for subject in error.subjects),
            "request_id": hide(error.request_id),
        }
        return event.model_copy(update={"error": error.model_copy(update=hidden)})

    def apply(
        self,
        db: Connection,
        opened: OpenConnection,
        event: WebhookEvent,
        now: float,
    ) -> Sequence[HookCall]:
        """Write the effect of an event.

        Args:
            db: The transaction that records the event.
            opened: The connection that received it.
            event: The event, as confirmed by the platform.
            now: The time in epoch seconds.

        Returns:
            The hooks to call once the transaction is committed.
        """
        connection = opened.connection.name
        address = opened.connection.address
        match event:
            case OrderChanged(pos_order=PosOrder() as pos_order):
                return self._orders.record_status(
                    db, connection, pos_order, now, event.reference, address=address
                )
            case OrderRefused():
                return self._orders.record_refusal(
                    db,
                    connection,
                    event.pos_id,
                    event.reference,
                    event.error,
                    now,
                    address=address,
                )
            case MenuChanged():
                self._schedule_import(db, connection, now)
            case AvailabilityChanged():
                self._rows.lock(db, connection)
                self._rows.update(db, connection, {"check_at": now})
            case AuthorisationRevoked() if not _is_outdated(db, connection, event):
                return self._pause(db, opened, now)
            case _:
                pass
        return ()

    def _schedule_import(self, db: Connection, connection: str, now: float) -> None:
        """Schedule an import, unless one is scheduled that will include this change."""
        row = self._rows.lock(db, connection)
        if row["import_at"] is None or row["importer"]:
            at = max(now + MENU_SETTLES_IN, row["menu_at"] + LEAST_BETWEEN_IMPORTS)
            self._rows.update(db, connection, {"import_at": at})

    def _pause(self, db: Connection, opened: OpenConnection, now: float) -> Sequence[HookCall]:
        error = PermissionsError("the store has revoked its authorisation", reason="withdrawn")
        update = ConnectionUpdate(self._rows, db, opened, self._settings, now)
        return update.pause(opened.stamp(error, "parse_webhook"))


def _hide_all(text: str) -> str:
    return MASK if text else text


def _is_outdated(db: Connection, connection: str, event: AuthorisationRevoked) -> bool:
    """Return whether the store was connected again after the revocation."""
    row = t.credentials.c
    connected_at: object = db.scalar(
        select(row.connected_at).where(row.connection == connection, row.encrypted_secrets != "")
    )
    if event.at is None or not isinstance(connected_at, int | float):
        return False
    return event.at.timestamp() < connected_at
