"""Erases customers' data from orders that are done, and prunes their journals.

The digest stays, so the same order added again is still known.
"""

from __future__ import annotations

import time

from sqlalchemy import delete, select, update

from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.models import OrderState
from tillpost.outbox.outbox import Outbox

__all__ = ["erase", "prune"]

_DONE = tuple(
    state.value
    for state in (
        OrderState.RECEIVED,
        OrderState.ACCEPTED,
        OrderState.REJECTED,
        OrderState.MANUAL,
        OrderState.CANCELLED,
    )
)
_ORDER = t.orders.c
_OVER = (_ORDER.state.in_(_DONE), _ORDER.due_at.is_(None), _ORDER.worker.is_(None))


def erase(outbox: Outbox, days: float) -> int:
    """Erase the content and the customer of orders that are done and came more than `days` ago; return how many."""
    outbox.prepare()
    old = (*_OVER, _ORDER.added_at < time.time() - days * 86_400, _ORDER.content.is_not(None))
    with outbox.database.writing() as db:
        return db.execute(
            update(t.orders).where(*old).values(content=None, customer="", code="")
        ).rowcount


def prune(outbox: Outbox, days: float) -> int:
    """Delete the journals of orders that are done and came more than `days` ago; return how many events went."""
    outbox.prepare()
    old = select(_ORDER.id).where(*_OVER, _ORDER.added_at < time.time() - days * 86_400)
    with outbox.database.writing() as db:
        return db.execute(delete(t.events).where(t.events.c.order_id.in_(old))).rowcount
