"""The webhook events that were received, so that each takes effect once.

An event is recorded in the transaction that writes its effect: a crash loses neither, and of two
processes that receive the same event, one writes its effect.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from tillpost.adapter.webhooks import WebhookEvent
from tillpost.outbox.db import schema as t

__all__ = ["RETENTION", "delete_old_events", "record_event", "unreceived"]

RETENTION = 3 * 86_400.0
"""Seconds for which an event is stored.

Square repeats one for 24 hours; older ones are stale.
"""

LONGEST_ID = 200
"""Characters of an event's id that the table can hold."""

_RECEIVED = t.webhooks.c

# Statements are built once: SQLAlchemy takes longer to build one than to run it.
_KNOWN = select(_RECEIVED.event_id).where(
    _RECEIVED.connection == bindparam("connection_name"),
    _RECEIVED.event_id.in_(bindparam("event_ids", expanding=True)),
)
_DELETE_OLD = delete(t.webhooks).where(_RECEIVED.received_at < bindparam("before"))

# SQLAlchemy doesn't count inserted rows unless it is asked to.
_COUNTED = {"preserve_rowcount": True}
_INSERT_ONCE = {
    "sqlite": (sqlite.insert(t.webhooks).on_conflict_do_nothing().execution_options(**_COUNTED)),
    "postgresql": (
        postgresql.insert(t.webhooks).on_conflict_do_nothing().execution_options(**_COUNTED)
    ),
}


def unreceived(
    db: Connection, connection: str, events: Sequence[WebhookEvent]
) -> Sequence[WebhookEvent]:
    """Return the events that weren't received before, and those that have no id."""
    keys = [_key(event) for event in events if event.event_id]
    if not keys:
        return events
    known = set(db.scalars(_KNOWN, {"connection_name": connection, "event_ids": keys}))
    return [event for event in events if not event.event_id or _key(event) not in known]


def record_event(db: Connection, connection: str, event: WebhookEvent, now: float) -> bool:
    """Record an event; return whether it is new.

    If another process is recording the same event, this waits for its transaction to end.
    """
    if not event.event_id:
        return True
    row = {"connection": connection, "event_id": _key(event), "received_at": now}
    return db.execute(_INSERT_ONCE[db.dialect.name], row).rowcount == 1


def delete_old_events(db: Connection, now: float) -> int:
    """Delete the events that no platform repeats any more; return how many there were."""
    return db.execute(_DELETE_OLD, {"before": now - RETENTION}).rowcount


def _key(event: WebhookEvent) -> str:
    """Return the event's id, or a hash of it if the table can't hold it."""
    event_id = event.event_id
    if len(event_id) <= LONGEST_ID and event_id.isprintable():
        return event_id
    return hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()
