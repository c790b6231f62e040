"""How is everything? All stores, and all that waits for somebody, in one look: `tillpost status`, and a page's first.

    known = overview(outbox)
    if not known.well:
        print(known.problems, [c.name for c in known.to_reconnect])

Reading only; nothing is sent to a provider.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from tillpost.models.base import FrozenModel
from tillpost.outbox.db import schema as t
from tillpost.outbox.menus.held import held_connections
from tillpost.outbox.operations.connections import Connections, ConnectionState
from tillpost.outbox.orders.models import OrderState, WaitsFor
from tillpost.outbox.orders.queries import OPEN_PROBLEM
from tillpost.outbox.outbox import Outbox

__all__ = ["LATE", "Oldest", "Overview", "overview"]

LATE = 60.0
"""An order that is due for so many seconds, and nobody takes in hand, is late: is a worker running?"""

_ORDER, _PLACE = t.orders.c, t.connections.c


class Oldest(FrozenModel):
    """The order that has waited longest of all that aren't scheduled for later. Times in epoch seconds."""

    order: str
    connection: str
    added_at: float
    due_at: float
    waits_for: WaitsFor


class Overview(FrozenModel):
    """How everything stood `at` a time (epoch seconds).

    `problems` counts the orders that a person has to act on, by the kind of their error, "rejected"
    for those that staff turned down. `waiting` orders go by themselves, `scheduled` ones later.
    `late`: orders are due, nothing keeps them back, and nobody takes them in hand. `workers` counts
    those at work, with the dead of the last seconds.
    """

    at: float
    connections: tuple[ConnectionState, ...]
    problems: Mapping[str, int]
    waiting: int
    scheduled: int
    sending: int
    oldest: Oldest | None
    late: int
    held_menus: tuple[str, ...]
    workers: int

    @property
    def outages(self) -> tuple[ConnectionState, ...]:
        """The connections whose platform can't be reached or fails."""
        return tuple(state for state in self.connections if state.outage_since)

    @property
    def to_reconnect(self) -> tuple[ConnectionState, ...]:
        """The connections that somebody has to connect again."""
        return tuple(state for state in self.connections if state.paused or state.expired)

    @property
    def well(self) -> bool:
        """Whether nobody has to do anything."""
        healthy = all(state.healthy for state in self.connections)
        return healthy and not self.problems and not self.held_menus and not self.late


def overview(outbox: Outbox, now: float | None = None) -> Overview:
    """Return how everything stands. Raises `DatabaseError`."""
    connections = Connections(outbox).states()
    at = time.time() if now is None else now
    free = (_ORDER.worker.is_(None), _ORDER.due_at.is_not(None))
    with outbox.database.reading() as db:
        return Overview(
            at=at,
            connections=tuple(connections),
            problems=_problems(db),
            waiting=_count(db, *free, _ORDER.waits_for != WaitsFor.ITS_TIME.value),
            scheduled=_count(db, *free, _ORDER.waits_for == WaitsFor.ITS_TIME.value),
            sending=_count(db, _ORDER.worker.is_not(None)),
            oldest=_oldest(db, at),
            late=_count(
                db, *free, _ORDER.due_at <= at - LATE, _ORDER.connection.not_in(_held_back(at))
            ),
            held_menus=tuple(held_connections(db)),
            workers=db.scalar(select(func.count()).select_from(t.workers)) or 0,
        )


def _count(db: Connection, *which: ColumnElement[bool]) -> int:
    return db.scalar(select(func.count()).select_from(t.orders).where(*which)) or 0


def _problems(db: Connection) -> Mapping[str, int]:
    """Count the open problems by kind, the most frequent first."""
    found = db.execute(select(_ORDER.state, _ORDER.error).where(OPEN_PROBLEM))
    kinds = Counter(
        "rejected"
        if row.state == OrderState.REJECTED.value or not row.error
        else json.loads(row.error)["kind"]
        for row in found
    )
    return dict(kinds.most_common())


def _oldest(db: Connection, now: float) -> Oldest | None:
    waiting = (_ORDER.worker.is_(None), _ORDER.due_at.is_not(None), _ORDER.eligible_at <= now)
    columns = (
        _ORDER.id.label("order"),
        _ORDER.connection,
        _ORDER.added_at,
        _ORDER.due_at,
        _ORDER.waits_for,
    )
    row = (
        db.execute(select(*columns).where(*waiting).order_by(_ORDER.added_at).limit(1))
        .mappings()
        .one_or_none()
    )
    return Oldest(**row) if row else None


def _held_back(now: float) -> Select[tuple[str]]:
    """The connections whose orders wait for good reason."""
    return select(_PLACE.name).where(
        or_(_PLACE.paused != "", _PLACE.opened_at.is_not(None), _PLACE.not_before > now),
    )
