"""The status of an outbox: all stores, and everything that waits for a person.

    status = overview(outbox)
    if not status.well:
        print(status.problems, [state.name for state in status.to_reconnect])

`tillpost status` shows it, and so may the first page of a web interface. It only reads the
database; nothing is sent to a provider.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from tillpost.errors import ErrorRecord
from tillpost.models.base import FrozenModel
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.connections import Connections, ConnectionState
from tillpost.outbox.orders.models import OrderState, WaitsFor
from tillpost.outbox.orders.queries import HAS_PROBLEM
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.rows import Row, parsed

__all__ = ["LATE", "OldestOrder", "Overview", "overview"]

LATE = 60.0
"""Seconds after which an order that is due, and that no worker claims, is late."""

UNREADABLE = "unreadable"
"""The kind of a problem whose error can't be read."""

_ORDER = t.orders.c
_CONNECTION = t.connections.c

_is_claimed = _ORDER.worker.is_not(None)
_is_pending = and_(_ORDER.worker.is_(None), _ORDER.due_at.is_not(None))
_is_scheduled = _ORDER.waits_for == WaitsFor.ITS_TIME.value


class OldestOrder(FrozenModel):
    """The order that has waited longest, scheduled ones aside.

    Times are in epoch seconds.
    """

    order: str
    connection: str
    added_at: float
    due_at: float
    waits_for: WaitsFor


class Overview(FrozenModel):
    """The status of an outbox.

    Attributes:
        at: The time that it describes, in epoch seconds.
        connections: The state of each connection.
        problems: How many orders a person has to act on, by the kind of their error; "rejected" for
            those that staff rejected.
        waiting: How many orders will be sent automatically as soon as they can be.
        scheduled: How many orders will be sent later, at their time.
        sending: How many orders are claimed by a worker now.
        oldest: The order that has waited longest; None when none waits.
        late: How many orders are due and held back by nothing, but not claimed by any worker.
        held_menus: The connections whose menu is held for review.
        workers: How many workers are running, including those that died within the last seconds.
    """

    at: float
    connections: tuple[ConnectionState, ...]
    problems: Mapping[str, int]
    waiting: int
    scheduled: int
    sending: int
    oldest: OldestOrder | None
    late: int
    held_menus: tuple[str, ...]
    workers: int

    @property
    def outages(self) -> tuple[ConnectionState, ...]:
        """The connections whose platform fails or can't be reached."""
        return tuple(state for state in self.connections if state.outage_since)

    @property
    def to_reconnect(self) -> tuple[ConnectionState, ...]:
        """The connections that a person has to reconnect."""
        return tuple(state for state in self.connections if state.paused or state.expired)

    @property
    def well(self) -> bool:
        """Whether nobody has to do anything."""
        stores_healthy = all(state.healthy for state in self.connections)
        return stores_healthy and not (self.problems or self.held_menus or self.late)


def overview(outbox: Outbox, now: float | None = None) -> Overview:
    """Return the status of an outbox.

    Args:
        outbox: The outbox.
        now: The time that decides what is late, in epoch seconds; the current time by default.

    Raises:
        DatabaseError: the database can't be read.
    """
    connections = Connections(outbox).states()
    held_menus = outbox.held_connections()
    at = outbox.clock() if now is None else now
    with outbox.database.reading() as db:
        return Overview(
            at=at,
            connections=tuple(connections),
            problems=_count_problems(db),
            waiting=_count(db, _is_pending, ~_is_scheduled),
            scheduled=_count(db, _is_pending, _is_scheduled),
            sending=_count(db, _is_claimed),
            oldest=_oldest(db, at),
            late=_count_late(db, at),
            held_menus=tuple(held_menus),
            workers=_count_workers(db),
        )


def _count(db: Connection, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(t.orders).where(*conditions)
    return db.scalar(query) or 0


def _count_workers(db: Connection) -> int:
    query = select(func.count()).select_from(t.workers)
    return db.scalar(query) or 0


def _count_late(db: Connection, now: float) -> int:
    overdue = _ORDER.due_at <= now - LATE
    may_go = _ORDER.connection.not_in(_held_back_connections(now))
    return _count(db, _is_pending, overdue, may_go)


def _held_back_connections(now: float) -> Select[tuple[str]]:
    """Select the connections whose orders have a reason to wait."""
    held_back = or_(
        _CONNECTION.paused != "",
        _CONNECTION.opened_at.is_not(None),
        _CONNECTION.not_before > now,
    )
    return select(_CONNECTION.name).where(held_back)


def _count_problems(db: Connection) -> Mapping[str, int]:
    """Count the open problems by kind, the most frequent first."""
    rows = db.execute(select(_ORDER.state, _ORDER.error).where(HAS_PROBLEM))
    kinds = Counter(_problem_kind(row.state, row.error) for row in rows)
    return dict(kinds.most_common())


def _problem_kind(state: str, error: str | None) -> str:
    if state == OrderState.REJECTED.value or not error:
        return "rejected"
    record = parsed(ErrorRecord.model_validate_json, error)
    if not record:
        return UNREADABLE
    return record.kind


def _oldest(db: Connection, now: float) -> OldestOrder | None:
    columns = (
        _ORDER.id.label("order"),
        _ORDER.connection,
        _ORDER.added_at,
        _ORDER.due_at,
        _ORDER.waits_for,
    )
    query = (
        select(*columns)
        .where(_is_pending, _ORDER.eligible_at <= now)
        .order_by(_ORDER.added_at)
        .limit(1)
    )
    row = db.execute(query).mappings().one_or_none()
    if row is None:
        return None
    read = Row(t.orders, row)
    return OldestOrder(
        order=row["order"],
        connection=read["connection"],
        added_at=read["added_at"],
        due_at=read["due_at"] or 0.0,
        waits_for=read.one_of("waits_for", WaitsFor, WaitsFor.NOTHING),
    )
