"""Deletes old data: the customers' data of finished orders, and their journals.

`Maintenance` calls both once an hour where the settings say so; `tillpost outbox erase` and
`prune` call them on demand. An order's digest is never deleted, so that adding the same order
again is still recognised as a repetition.
"""

from __future__ import annotations

import time

from sqlalchemy import ColumnElement, delete, select, update

from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.models import OrderState
from tillpost.outbox.outbox import Outbox

__all__ = ["erase", "prune"]

_ORDER = t.orders.c

_DAY = 86_400.0
"""Seconds in a day."""

_FINAL_STATES = (
    OrderState.RECEIVED,
    OrderState.ACCEPTED,
    OrderState.REJECTED,
    OrderState.MANUAL,
    OrderState.CANCELLED,
)
_FINISHED = (
    _ORDER.state.in_([state.value for state in _FINAL_STATES]),
    _ORDER.due_at.is_(None),
    _ORDER.worker.is_(None),
)


def erase(outbox: Outbox, days: float) -> int:
    """Erase content and customer of finished orders older than `days`.

    Returns:
        The number of orders that were erased.
    """
    outbox.prepare()
    erasable = update(t.orders).where(*_finished_before(days), _ORDER.content.is_not(None))
    with outbox.database.writing() as db:
        return db.execute(erasable.values(content=None, customer="", code="")).rowcount


def prune(outbox: Outbox, days: float) -> int:
    """Delete the journals of finished orders older than `days`.

    Returns:
        The number of journal events that were deleted.
    """
    outbox.prepare()
    finished = select(_ORDER.id).where(*_finished_before(days))
    with outbox.database.writing() as db:
        return db.execute(delete(t.events).where(t.events.c.order_id.in_(finished))).rowcount


def _finished_before(days: float) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on finished orders that were added more than `days` ago."""
    return (*_FINISHED, _ORDER.added_at < time.time() - days * _DAY)
