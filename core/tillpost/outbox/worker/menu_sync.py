"""Imports of due menus: daily, and after the platform reported a change.

`Maintenance` calls `import_daily` and `import_changed` every few seconds. Before an import a worker
moves the time at which the next one is due, so that one of all the workers imports.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Column, bindparam, select, update

from tillpost.errors import ConfigError, PosError
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import wait_briefly
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.rows import is_name, unchanged
from tillpost.outbox.settings import ConnectionOptions
from tillpost.outbox.worker.connection_tasks import AtOnce, TaskRunner
from tillpost.outbox.worker.passed_over import PassedOver
from tillpost.outbox.worker.processor import Processor

__all__ = ["MenuSync", "next_sync"]

log = safe_logger("tillpost.outbox")

RETRY_IMPORT = 300.0
"""Seconds after which an import is tried again that failed after a change."""

_KIND = "menu_import"

_CONNECTION = t.connections.c

_DAILY_IMPORTS = select(_CONNECTION.name, _CONNECTION.sync_at)

_CHANGED_MENUS = select(_CONNECTION.name, _CONNECTION.import_at).where(
    _CONNECTION.paused == "", _CONNECTION.import_at <= bindparam("now")
)


class MenuSync:
    """Imports menus that are due, for one worker."""

    def __init__(self, processor: Processor, tasks: TaskRunner | None = None) -> None:
        """Take the worker's processor, and what runs the imports: this thread by default."""
        self._processor = processor
        self._tasks = tasks or AtOnce()
        self._passed_over = PassedOver("menu_import")
        self._database = processor.outbox.database

    def import_daily(self) -> None:
        """Import the menus whose time of day has come, in the store's time zone."""
        now = self._processor.clock()
        with self._database.reading() as db:
            rows = db.execute(_DAILY_IMPORTS).all()
        for name, due_at in rows:
            if is_name(name) and self._passed_over.allows(name):
                with self._passed_over.attempt(name):
                    self._import_if_due(name, due_at, now)

    def _import_if_due(self, name: str, due_at: object, now: float) -> None:
        options = self._processor.connections.options(name)
        next_due_at = next_sync(options, now)
        if next_due_at is None or next_due_at == due_at:
            return
        if not self._tasks.may_start(_KIND, name):
            return
        is_first = self._move(_CONNECTION.sync_at, name, due_at, next_due_at)
        is_due = isinstance(due_at, float | int) and due_at <= now
        if is_first and is_due:
            self._tasks.start(_KIND, name, partial(self._import, name))

    def import_changed(self) -> None:
        """Import the menus whose platform reported a change."""
        now = self._processor.clock()
        with self._database.reading() as db:
            rows = db.execute(_CHANGED_MENUS, {"now": now}).all()
        for name, due_at in rows:
            if is_name(name) and self._passed_over.allows(name):
                with self._passed_over.attempt(name):
                    self._import_reported(name, due_at, now)

    def _import_reported(self, name: str, due_at: object, now: float) -> None:
        if not self._tasks.may_start(_KIND, name):
            return
        # Until it succeeds it stays due, in case that this worker dies.
        retry_at = now + RETRY_IMPORT
        is_first = self._move(_CONNECTION.import_at, name, due_at, retry_at)
        if is_first:
            self._tasks.start(_KIND, name, partial(self._import_change, name, retry_at))

    def _import_change(self, name: str, retry_at: float) -> None:
        if self._import(name):
            # Unless another change was reported meanwhile.
            self._move(_CONNECTION.import_at, name, retry_at, None)

    def _move(
        self,
        due_column: Column[float],
        name: str,
        expected: object,
        to: float | None,
    ) -> bool:
        """Change when an import is due; return False if another worker changed it before."""
        move = (
            update(t.connections)
            .where(_CONNECTION.name == name, unchanged(due_column, expected))
            .values({due_column: to})
        )
        with self._database.writing() as db:
            wait_briefly(db)
            return db.execute(move).rowcount == 1

    def _import(self, name: str) -> bool:
        """Import a menu; return whether it succeeded."""
        try:
            self._processor.import_now(name)
        except MenuImportRunning:
            log.info("menu_import_skipped connection=%s reason=already_running", name)
            return False
        except (ConfigError, PosError) as error:
            log.warning("menu_import_failed connection=%s error=%s", name, log_value(error))
            return False
        return True


def next_sync(options: ConnectionOptions, now: float) -> float | None:
    """Return when a menu's daily import is next due, in epoch seconds; None for never.

    >>> options = ConnectionOptions(sync_at="10:30", time_zone="Australia/Sydney")
    >>> datetime.fromtimestamp(next_sync(options, 0.0), UTC).isoformat()
    '1970-01-01T00:30:00+00:00'
    """
    if options.sync_at is None:
        return None
    hour, minute = map(int, options.sync_at.split(":"))
    local_now = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(options.time_zone))
    today = local_now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    for days in range(3):
        at = (today + timedelta(days=days)).timestamp()
        if at > now:
            return at
    return None
