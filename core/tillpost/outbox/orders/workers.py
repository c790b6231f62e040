"""The registry of workers: who may claim orders, and whether they are alive.

Each worker has a row with a heartbeat counter and the length of its lease. Another worker that sees
the counter unchanged for that whole lease reaps it: the row is deleted and the worker's claims are
released. No time of day is compared; the observer measures how long a counter is unchanged (see
`heartbeat`). An observer's own lease doesn't matter: programs with different settings share a
database.

Each method is one transaction unless it takes one.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    case,
    delete,
    insert,
    select,
    update,
)

from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import Database, wait_briefly
from tillpost.outbox.rows import LARGEST_COUNT, Row, named

__all__ = ["DEFAULT_LEASE", "Pulse", "WorkerRegistry", "counted", "due_after_release"]

DEFAULT_LEASE = 10.0
"""How long a worker may be silent before it is dead, in seconds.

The settings may say otherwise.
"""

_ORDER = t.orders.c
_WORKER = t.workers.c

# Statements are built once: SQLAlchemy takes longer to build one than to run it.
_ENLIST = insert(t.workers)
_PULSES = select(
    _WORKER.id,
    _WORKER.beat,
    _WORKER.lease,
)
_IS_GIVEN_WORKER = _WORKER.id == bindparam("worker_id")
_NEXT_BEAT = _WORKER.beat + 1
_BEAT = update(t.workers).where(_IS_GIVEN_WORKER).values(beat=_NEXT_BEAT)
_GIVEN_WORKER = select(_WORKER.id).where(_IS_GIVEN_WORKER)
_IS_ENLISTED = _GIVEN_WORKER.with_for_update(read=True, key_share=True)
_is_importer = t.connections.c.importer == bindparam("holder")
_is_refresher = t.credentials.c.refresher == bindparam("holder")
_RELEASE_IMPORTS = update(t.connections).where(_is_importer).values(importer=None)
_RELEASE_REFRESHES = update(t.credentials).where(_is_refresher).values(refresher=None)

_HOLDERS = (
    _ORDER.worker,
    t.connections.c.importer,
    t.credentials.c.refresher,
)
"""The columns that name the worker that holds an order, an import or a refresh."""


def _vanished_workers(holder: Column[Any]) -> Select[Any]:
    """Return the query of the workers in a column that have no row."""
    enlisted = select(_WORKER.id)
    is_orphan = holder.is_not(None) & holder.not_in(enlisted)
    return select(holder).distinct().where(is_orphan)


_VANISHED = tuple(_vanished_workers(holder) for holder in _HOLDERS)


class Pulse(NamedTuple):
    """A worker's heartbeat counter, and the length of its lease in seconds."""

    beat: int
    lease: float


def due_after_release(now: float) -> ColumnElement[float | None]:
    """Return when an order is due whose claim was released without a result: now.

    An order for which nothing was due, claimed because a person acted on it, stays so.
    """
    was_due = _ORDER.due_at.is_not(None)
    return case((was_due, now), else_=None)


def counted(column: ColumnElement[int], more: int) -> ColumnElement[int]:
    """Return a count with `more` added; 0 after the largest that a column stores.

    A damaged count would otherwise fail the update of all other rows with its own.
    """
    fits = column <= LARGEST_COUNT - more
    return case((fits, column + more), else_=0)


def _release_by(holder: Column[Any], worker: Any, now: float) -> Update:
    """Return the statement that releases what a worker holds by a column."""
    values: dict[str, object] = {holder.name: None}
    if holder is _ORDER.worker:
        values["due_at"] = due_after_release(now)
        values["updated_at"] = now
    held = update(holder.table).where(named(holder, worker))
    return held.values(**values)


class WorkerRegistry:
    """The rows of the table `tillpost_workers`. Safe for threads."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def enlist(self, now: float, lease: float = DEFAULT_LEASE) -> str:
        """Add a worker, and return its id, which is never used twice.

        Args:
            now: Epoch seconds.
            lease: How long it may be silent before another worker reaps it, in seconds.
        """
        worker = str(uuid.uuid4())
        host = socket.gethostname()
        process = os.getpid()
        row = {
            "id": worker,
            "beat": 0,
            "lease": lease,
            "description": f"{host} process {process}",
            "started_at": now,
        }
        with self.database.writing() as db:
            db.execute(_ENLIST, row)
        return worker

    def beat(self, worker: str) -> bool:
        """Raise a worker's heartbeat counter, and adjust the clock.

        Return False if the worker was reaped meanwhile.
        """
        with self.database.writing() as db:
            result = db.execute(_BEAT, {"worker_id": worker})
            self.database.clock.adjust(db)
            return result.rowcount == 1

    def pulses(self) -> Mapping[str, Pulse]:
        """Return the heartbeat counter and the lease of every worker."""
        with self.database.reading() as db:
            found = db.execute(_PULSES).mappings().all()
        pulses: dict[str, Pulse] = {}
        for values in found:
            row = Row(t.workers, values)
            worker = row.raw("id")
            lease = row["lease"] or DEFAULT_LEASE
            pulses[worker] = Pulse(row["beat"], lease)
        return pulses

    def beats(self) -> Mapping[str, int]:
        """Return the heartbeat counter of every worker."""
        pulses = self.pulses()
        return {worker: pulse.beat for worker, pulse in pulses.items()}

    def is_enlisted(self, db: Connection, worker: str) -> bool:
        """Return whether a worker is enlisted.

        It stays so to the end of the transaction.
        """
        found = db.execute(_IS_ENLISTED, {"worker_id": worker})
        return found.first() is not None

    def reap(self, worker: str, beat: int, now: float) -> int:
        """Remove a dead worker and release its claims; return how many there were.

        Does nothing if its counter has left `beat`. Each order released counts one more crash.

        Raises:
            DatabaseError: the worker is paused within a transaction, which keeps its rows locked
                for a while.
        """
        is_same_worker = named(_WORKER.id, worker)
        is_silent = _WORKER.beat == beat
        dead_worker = delete(t.workers).where(is_same_worker, is_silent)
        with self.database.writing() as db:
            # A worker that reaps another must not miss its own heartbeats over a lock.
            wait_briefly(db)
            removed = db.execute(dead_worker)
            if removed.rowcount == 0:
                return 0
            return self._release_all(db, worker, now, crashes=1)

    def retire(self, worker: str, now: float) -> None:
        """Remove a worker that ends properly, and release what it still has claimed."""
        own_row = delete(t.workers).where(_WORKER.id == worker)
        with self.database.writing() as db:
            db.execute(own_row)
            self._release_all(db, worker, now, crashes=0)

    def release_orphans(self, db: Connection, now: float) -> None:
        """Release what is held by workers that have no row.

        Nobody would ever reap such a worker. What it holds are orders, imports of menus and
        refreshes of tokens. An id is never enlisted again.
        """
        for holder, query in zip(_HOLDERS, _VANISHED, strict=True):
            vanished = db.scalars(query).all()
            for worker in vanished:
                release = _release_by(holder, worker, now)
                db.execute(release)

    def _release_all(
        self,
        db: Connection,
        worker: str,
        now: float,
        crashes: int,
    ) -> int:
        db.execute(_RELEASE_IMPORTS, {"holder": worker})
        db.execute(_RELEASE_REFRESHES, {"holder": worker})
        values = {
            "worker": None,
            "due_at": due_after_release(now),
            "updated_at": now,
            "crash_count": counted(_ORDER.crash_count, crashes),
        }
        claimed = update(t.orders).where(_ORDER.worker == worker)
        release = claimed.values(**values)
        result = db.execute(release)
        return result.rowcount
