"""Gives all processes of an outbox one clock, so that they agree on what is due.

Their machines' clocks may be hours apart, and a time that one process writes is compared by others.
So on PostgreSQL the time is the database's. It isn't asked for each time: a process knows by how
much the database's clock is ahead of a clock of its own that nobody sets. On SQLite all processes
are on one machine, whose clock they share.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, text

from tillpost.models.safe_text import safe_logger
from tillpost.submission.platform_clock import TOLERATED_SKEW

__all__ = ["Clock", "DatabaseClock", "MachineClock", "steady"]

log = safe_logger("tillpost.outbox")

OLD_AFTER = 60.0
"""Seconds after which a process asks again, in its next transaction.

Workers ask at each heartbeat. A day makes clocks differ by seconds that nobody sets.
"""

FIRST_ANSWERS = 3
"""How many answers are compared at first: any of them may be slow."""

_QUERY = text("SELECT date_part('epoch', clock_timestamp())")


def steady() -> float:
    """Return the seconds of a clock that nobody sets.

    On Linux it also counts while the machine is suspended. `time.monotonic` doesn't, so a worker
    would wake up believing in a lease that had expired long ago.
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Clock(Protocol):
    """The clock of an outbox. Safe for threads."""

    def __call__(self) -> float:
        """Return the time in epoch seconds."""
        ...

    def adjust(self, db: Connection) -> None:
        """Compare it with the database's clock, within a transaction."""
        ...

    def adjust_if_old(self, db: Connection) -> None:
        """Do so if that was never done, or some time ago."""
        ...


class MachineClock:
    """The clock of this machine, for a database that only this machine uses."""

    def __call__(self) -> float:
        """Return the time in epoch seconds."""
        return time.time()

    def adjust(self, db: Connection) -> None:
        """Do nothing."""

    def adjust_if_old(self, db: Connection) -> None:
        """Do nothing."""


class _Offset(NamedTuple):
    """By how many seconds the database's clock is ahead of ours: at least and at most."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        """The likeliest value."""
        return (self.least + self.most) / 2


class DatabaseClock:
    """PostgreSQL's clock, as far as its answers show it.

    An answer was given at some moment between its query and its arrival. That bounds the offset
    from both sides, and each answer can only narrow the bounds. So an answer that was long on its
    way changes nothing, unless it proves that the offset is another one: then a clock was set, or
    they have drifted apart.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        """Take what opens a transaction; the clock isn't asked before it is needed."""
        self._transaction = transaction
        self._offset: _Offset | None = None
        self._asked_at = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the time in epoch seconds.

        Raises:
            DatabaseError: the time was never asked for, and the database can't be reached.
        """
        offset = self._offset
        if offset is None:
            with self._transaction() as db:
                offset = self._offset or self._ask_first(db)
        return steady() + offset.middle

    def adjust(self, db: Connection) -> None:
        """Compare it with the database's clock, within a transaction."""
        if self._offset is None:
            self._ask_first(db)
        else:
            self._ask(db)

    def adjust_if_old(self, db: Connection) -> None:
        """Do so if that was never done, or `OLD_AFTER` seconds ago."""
        if self._offset is None or steady() - self._asked_at >= OLD_AFTER:
            self.adjust(db)

    def _ask_first(self, db: Connection) -> _Offset:
        offsets = [self._ask(db) for _ in range(FIRST_ANSWERS)]
        offset = offsets[-1]
        skew = time.time() - steady() - offset.middle
        if abs(skew) > TOLERATED_SKEW:
            log.warning("machine_clock_skew seconds=%.0f", skew)
        return offset

    def _ask(self, db: Connection) -> _Offset:
        """Ask for the time, and return what is known of the offset then."""
        asked_at = steady()
        answer: float = db.execute(_QUERY).scalar_one()
        answered_at = steady()
        found = _Offset(answer - answered_at, answer - asked_at)
        with self._lock:
            self._asked_at = answered_at
            self._offset = _narrowed(self._offset, found)
            return self._offset


def _narrowed(known: _Offset | None, found: _Offset) -> _Offset:
    """Return the offset that both allow, or else the one just found."""
    if known is None:
        return found
    least = max(known.least, found.least)
    most = min(known.most, found.most)
    both = _Offset(least, most)
    if both.least <= both.most:
        return both
    change = found.middle - known.middle
    if abs(change) >= 1.0:
        log.warning("database_clock_changed seconds=%.0f", change)
    return found
