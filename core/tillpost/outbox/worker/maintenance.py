"""What has to be done beside the orders, now and then, by whichever worker comes first.

Connections with new credentials go on, stores are checked, menus are imported at the store's time
of day, waits that a clock set back has made endless are ended, customers' data is erased in time,
and orders are watched (`watching`). Each is claimed in the store, so that one worker does it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, update

from tillpost.errors import PosError
from tillpost.outbox.db import schema as t
from tillpost.outbox.event_log import decided
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.orders.models import WaitsFor
from tillpost.outbox.settings import LONGEST_RETRY_AFTER, ConnectionOptions
from tillpost.outbox.worker.order_monitor import OrderMonitor
from tillpost.outbox.worker.processor import Processor
from tillpost.outbox.worker.retention import erase, prune
from tillpost.outbox.worker.store_monitor import Checks

__all__ = ["Maintenance", "next_sync"]

log = logging.getLogger("tillpost.outbox")

_ORDER, _PLACE = t.orders.c, t.connections.c
_SHORT = tuple(w.value for w in (WaitsFor.RETRY, WaitsFor.LOOK, WaitsFor.IMPORT, WaitsFor.OPENING))
_BY_ITSELF = ("", *(w.value for w in (WaitsFor.RETRY, WaitsFor.LOOK, WaitsFor.IMPORT)))
LONGEST_WAIT = LONGEST_RETRY_AFTER + 60.0
"""No order waits longer for a retry or a look, and no connection for a platform; what seems to has met a clock that was
set back."""

LAID_DOWN = 60.0
"""Nor does an order that waits for nothing: it was laid down for some seconds, or a clock that was ahead put it off."""


class Maintenance:
    """The chores of one worker. `tend` is called in its loop, and does each chore when its time has come."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._checks = Checks(processor)
        self._chores: Sequence[tuple[float, Callable[[], None]]] = (
            (1.0, processor.release_unfinished),
            (2.0, self._resume),
            (10.0, self._checks.meet),
            (1.0, self._checks.begin),
            (1.0, self._checks.tell),
            (5.0, self._sync_menus),
            (30.0, self._end_endless_waits),
            (3600.0, self._erase),
            *OrderMonitor(processor).chores,
        )
        self._next = [0.0] * len(self._chores)

    def tend(self) -> None:
        """Do the chores that are due. Raises `DatabaseError`."""
        now = time.monotonic()
        for number, (every, chore) in enumerate(self._chores):
            if now >= self._next[number]:
                self._next[number] = now + every
                chore()

    def close(self) -> None:
        """End what is done in threads of its own: the checks."""
        self._checks.close()

    def idle(self) -> bool:
        """Whether nothing is in hand anywhere, due, or waiting for a retry, a look, an import or a circuit.

        Scheduled orders whose time hasn't come, and what waits for a person, don't count.
        """
        paused = select(_PLACE.name).where(_PLACE.paused != "")
        soon = (
            _ORDER.due_at.is_not(None)
            & _ORDER.waits_for.in_(_BY_ITSELF)
            & _ORDER.connection.not_in(paused)
        )
        now = self._processor.clock()
        begun = (
            _ORDER.due_at.is_not(None) & (_ORDER.due_at <= now) & _ORDER.connection.not_in(paused)
        )
        left = select(_ORDER.id).where(or_(_ORDER.worker.is_not(None), soon, begun)).limit(1)
        with self._processor.outbox.database.reading() as db:
            return db.execute(left).first() is None

    def _resume(self) -> None:
        """Let connections go on that have other credentials than those that were refused."""
        with self._processor.outbox.database.reading() as db:
            paused = list(
                db.execute(
                    select(_PLACE.name, _PLACE.refused_credentials).where(_PLACE.paused != "")
                )
            )
        for name, refused in paused:
            known = self._processor.tills.fingerprint(name)
            if known and known != refused and self._processor.outbox.resume(name):
                decided("connection_restored", connection=name)
                self._processor.tills[name].tell("connection_restored", {})

    def _sync_menus(self) -> None:
        """Import the menus whose time of day has come."""
        now = self._processor.clock()
        with self._processor.outbox.database.reading() as db:
            known = list(db.execute(select(_PLACE.name, _PLACE.sync_at)))
        for name, sync_at in known:
            options = self._processor.tills.options(name)
            upcoming = next_sync(options, now)
            if sync_at == upcoming or upcoming is None:
                continue
            if self._take_turn(name, sync_at, upcoming) and sync_at is not None and sync_at <= now:
                self._import(name)

    def _take_turn(self, name: str, seen: float | None, upcoming: float) -> bool:
        """Set when the next import is due; return whether it was this worker that did."""
        was = _PLACE.sync_at.is_(None) if seen is None else _PLACE.sync_at == seen
        with self._processor.outbox.database.writing() as db:
            moved = update(t.connections).where(_PLACE.name == name, was).values(sync_at=upcoming)
            return db.execute(moved).rowcount == 1

    def _import(self, name: str) -> None:
        try:
            self._processor.import_now(name)
        except (PosError, MenuImportRunning) as trouble:
            log.warning(
                "the daily menu import of %s failed: %s",
                name,
                str(trouble) or "another is under way",
            )

    def _end_endless_waits(self) -> None:
        now = self._processor.clock()
        too_long = (_ORDER.due_at > now + LONGEST_WAIT) & _ORDER.waits_for.in_(_SHORT)
        for_nothing = (_ORDER.due_at > now + LAID_DOWN) & (
            _ORDER.waits_for == WaitsFor.NOTHING.value
        )
        endless = (_ORDER.worker.is_(None), too_long | for_nothing)
        with self._processor.outbox.database.writing() as db:
            db.execute(update(t.orders).where(*endless).values(due_at=now))
            for until in (_PLACE.not_before, _PLACE.probe_at):
                db.execute(
                    update(t.connections).where(until > now + LONGEST_WAIT).values({until: now})
                )

    def _erase(self) -> None:
        settings, outbox = self._processor.outbox.settings, self._processor.outbox
        if settings.erase_after_days is not None:
            erase(outbox, settings.erase_after_days)
        if settings.prune_after_days is not None:
            prune(outbox, settings.prune_after_days)


def next_sync(options: ConnectionOptions, now: float) -> float | None:
    """Return when a connection's menu is next imported at its time of day, in epoch seconds; None for never.

    >>> options = ConnectionOptions(sync_at="10:30", time_zone="Australia/Sydney")
    >>> datetime.fromtimestamp(next_sync(options, 0.0), UTC).isoformat()
    '1970-01-01T00:30:00+00:00'
    """
    if options.sync_at is None:
        return None
    zone = ZoneInfo(options.time_zone)
    hour, minute = map(int, options.sync_at.split(":"))
    today = (
        datetime.fromtimestamp(now, UTC)
        .astimezone(zone)
        .replace(hour=hour, minute=minute, second=0, microsecond=0)
    )
    for days in range(3):
        at = (today + timedelta(days=days)).timestamp()
        if at > now:
            return at
    return None
