"""Deletes old data: the customers' data of finished orders, and their journals.

`Maintenance` calls both once an hour where the settings say so; `tillpost outbox erase` and
`prune` call them on demand. Only orders that are over lose anything: not one that may still have to
be sent, polled, confirmed, withdrawn or acted on, and not one that the customer still waits for.

What keeps an order from going twice is never deleted. Its digest stays in its row, so that adding
the same order again is still recognised as a repetition. In place of a journal that is pruned there
is one event that holds what the journal amounted to: what was sent under which keys, and whether it
arrived (`submission.history.pruned`).
"""

from __future__ import annotations

import time

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.models import OrderState, UnreadableEventError, event_row
from tillpost.outbox.orders.queries import read_events
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.rows import is_name
from tillpost.submission.history import fold, pruned
from tillpost.submission.journal import Pruned

__all__ = ["erase", "prune"]

_ORDER, _EVENT = t.orders.c, t.events.c

_DAY = 86_400.0
"""Seconds in a day."""

BATCH = 100
"""How many journals are pruned in one transaction."""

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
    # Nobody has to act on it, and its register has confirmed it or was reported.
    _ORDER.problem_at.is_(None),
    _ORDER.expected_at.is_(None),
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
    """Delete the journals of finished orders older than `days`, but for what they amounted to.

    A journal that can't be read is left as it is.

    Returns:
        The number of journal events that were deleted.
    """
    outbox.prepare()
    after = ""
    deleted = 0
    while True:
        with outbox.database.writing() as db:
            found = _prunable(db, days, after)
            # No query finds the journal of an order whose id is damaged.
            order_ids = [order_id for order_id in found if is_name(order_id)]
            deleted += sum(_prune_one(db, order_id) for order_id in order_ids)
        if len(found) < BATCH or not order_ids:
            return deleted
        after = order_ids[-1]


def _prunable(db: Connection, days: float, after: str) -> list[str]:
    """Return the ids of some orders with a journal to prune, locked, in the sequence of ids."""
    is_unpruned = (_EVENT.order_id == _ORDER.id) & (_EVENT.kind != Pruned.__name__)
    query = (
        select(_ORDER.id)
        .where(*_finished_before(days), _ORDER.id > after)
        .where(select(_EVENT.order_id).where(is_unpruned).exists())
        .order_by(_ORDER.id)
        .limit(BATCH)
        .with_for_update()
    )
    return list(db.scalars(query))


def _prune_one(db: Connection, order_id: str) -> int:
    """Replace the journal of an order by what it amounts to; return how many events went."""
    try:
        events = read_events(db, order_id)
    except UnreadableEventError:
        return 0
    kind, body = event_row(pruned(fold(events), events[-1].at))
    db.execute(delete(t.events).where(_EVENT.order_id == order_id))
    db.execute(insert(t.events).values(order_id=order_id, number=0, kind=kind, body=body))
    return len(events)


def _finished_before(days: float) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on finished orders that are older than so many days.

    Their age counts from when they were added, from when the customer wanted them, and from when
    they should have been polled: a store that was disconnected isn't polled any more.
    """
    cutoff = time.time() - days * _DAY
    was_wanted = or_(_ORDER.wanted_at.is_(None), _ORDER.wanted_at < cutoff)
    isnt_polled = or_(_ORDER.poll_at.is_(None), _ORDER.poll_at < cutoff)
    return (*_FINISHED, _ORDER.added_at < cutoff, was_wanted, isnt_polled)
