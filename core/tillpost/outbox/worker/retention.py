"""Deletes old data: the customers' data of finished orders, and their journals.

`Maintenance` calls both once an hour where the settings say so; `tillpost outbox erase` and
`prune` call them on demand. Only orders that are over lose anything: not one that may still have to
be sent, polled, confirmed, withdrawn or acted on, and not one that the customer still waits for.

With a customer's data goes what may quote it: the texts of the order's errors, the notices of what
was changed in it, and what was sent and received. Kinds, outcomes, codes and ids stay.

What keeps an order from going twice is never deleted. Its digest stays in its row, so that adding
the same order again is still recognised as a repetition. In place of a journal that is pruned there
is one event that holds what the journal amounted to: what was sent under which keys, and whether it
arrived (`submission.history.pruned`).
"""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from tillpost.errors import ConfigError, ErrorRecord
from tillpost.models.order import PosOrder
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.models import OrderState, UnreadableEventError, event_row
from tillpost.outbox.orders.queries import UnreadableEvent, read_events, read_journal
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.rows import Row, is_name, parsed
from tillpost.outbox.settings import MOST_DAYS
from tillpost.submission.erasure import (
    error_without_texts,
    event_without_texts,
    exchange_without_texts,
    without_notices,
)
from tillpost.submission.history import fold, pruned
from tillpost.submission.journal import Pruned

__all__ = ["erase", "prune"]

_ORDER, _EVENT = t.orders.c, t.events.c

_DAY = 86_400.0
"""Seconds in a day."""

BATCH = 100
"""How many orders are erased, or journals pruned, in one transaction."""

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

    Raises:
        ConfigError: `days` is no number from 0 to `MOST_DAYS`.
    """
    cutoff = _cutoff(outbox, days)
    erased = 0
    while True:
        with outbox.database.writing() as db:
            rows = _erasable(db, cutoff)
            for row in rows:
                _erase_one(db, row)
        erased += len(rows)
        if len(rows) < BATCH:
            return erased


def _erasable(db: Connection, cutoff: float) -> list[Row]:
    """Return some orders whose customer's data is to be erased, locked."""
    query = (
        select(t.orders)
        .where(*_finished_before(cutoff))
        .where(_ORDER.content.is_not(None))
        .limit(BATCH)
        .with_for_update()
    )
    return [Row(t.orders, row) for row in db.execute(query).mappings()]


def _erase_one(db: Connection, row: Row) -> None:
    """Erase an order's content and customer.

    Erases also what may quote them in its row and journal. A column that can't be read is emptied.
    An event that can't be read stays as it is: without it, the journal could be read, and would
    lack it.
    """
    error = parsed(ErrorRecord.model_validate_json, row["error"])
    pos_order = parsed(PosOrder.model_validate_json, row["pos_order"])
    ticket = parsed(PosOrder.model_validate_json, row["ticket"])
    values = {
        "content": None,
        "customer": "",
        "code": "",
        "error": _json(error and error_without_texts(error)),
        "pos_order": _json(pos_order and without_notices(pos_order)),
        "ticket": _json(ticket and without_notices(ticket)),
        "reported": None,
    }
    order_row = update(t.orders).where(_ORDER.id == row["id"])
    db.execute(order_row.values(**values))
    _erase_texts_of_journal(db, row["id"])


def _erase_texts_of_journal(db: Connection, order_id: str) -> None:
    for entry in read_journal(db, order_id):
        values: dict[str, object] = {}
        exchange = entry.exchange and exchange_without_texts(entry.exchange)
        values["exchange"] = _json(exchange)
        if not isinstance(entry.event, UnreadableEvent):
            kind, body = event_row(event_without_texts(entry.event), entry.number)
            values |= {"kind": kind, "body": body}
        same_order = _EVENT.order_id == order_id
        same_number = _EVENT.number == entry.number
        stored_entry = update(t.events).where(same_order, same_number)
        db.execute(stored_entry.values(**values))


def _json(model: BaseModel | None) -> str | None:
    if not model:
        return None
    return model.model_dump_json()


def prune(outbox: Outbox, days: float) -> int:
    """Delete the journals of finished orders older than `days`.

    What they amounted to stays. A journal that can't be read is left as it is.

    Returns:
        The number of journal events that were deleted.

    Raises:
        ConfigError: `days` is no number from 0 to `MOST_DAYS`.
    """
    cutoff = _cutoff(outbox, days)
    after = ""
    deleted = 0
    while True:
        with outbox.database.writing() as db:
            found = _prunable(db, cutoff, after)
            # No query finds the journal of an order whose id is damaged.
            order_ids = [order_id for order_id in found if is_name(order_id)]
            deleted += sum(_prune_one(db, order_id) for order_id in order_ids)
        if len(found) < BATCH or not order_ids:
            return deleted
        after = order_ids[-1]


def _cutoff(outbox: Outbox, days: float) -> float:
    """Return before when an order must be finished, in epoch seconds.

    Prepares the database, too. On PostgreSQL every order is older than NaN.
    """
    if not 0 <= days <= MOST_DAYS:
        raise ConfigError(f"days must be a number from 0 to {MOST_DAYS}, not {days!r}")
    outbox.prepare()
    return outbox.clock() - days * _DAY


def _prunable(db: Connection, cutoff: float, after: str) -> list[str]:
    """Return the ids of some orders with a journal to prune, locked, in sequence."""
    is_of_order = _EVENT.order_id == _ORDER.id
    is_unpruned = _EVENT.kind != Pruned.__name__
    unpruned_events = select(_EVENT.order_id).where(is_of_order, is_unpruned)
    query = (
        select(_ORDER.id)
        .where(*_finished_before(cutoff))
        .where(_ORDER.id > after)
        .where(unpruned_events.exists())
        .order_by(_ORDER.id)
        .limit(BATCH)
        .with_for_update()
    )
    return list(db.scalars(query))


def _prune_one(db: Connection, order_id: str) -> int:
    """Replace an order's journal by what it amounts to; return how many events went."""
    try:
        events = read_events(db, order_id)
    except UnreadableEventError:
        return 0
    history = fold(events)
    last_at = events[-1].at
    kind, body = event_row(pruned(history, last_at))
    row = {
        "order_id": order_id,
        "number": 0,
        "kind": kind,
        "body": body,
    }
    db.execute(delete(t.events).where(_EVENT.order_id == order_id))
    db.execute(insert(t.events).values(**row))
    return len(events)


def _finished_before(cutoff: float) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on finished orders older than that, in epoch seconds.

    Their age counts from when they were added, from when the customer wanted them, and from when
    they should have been polled: a store that was disconnected isn't polled any more.
    """
    was_wanted = or_(_ORDER.wanted_at.is_(None), _ORDER.wanted_at < cutoff)
    isnt_polled = or_(_ORDER.poll_at.is_(None), _ORDER.poll_at < cutoff)
    return (*_FINISHED, _ORDER.added_at < cutoff, was_wanted, isnt_polled)
