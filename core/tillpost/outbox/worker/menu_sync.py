"""Imports of due menus: daily, and after the platform reported a change.

`Maintenance` calls the tasks every few seconds. The time at which a menu's daily import is due is
in its connection's row: `plan_daily` keeps it in step with the connection's options. Before an
import a worker moves that time to the next day, so that one of all the workers imports. Imports
keep to the budget of their host (`request_budget`), so those of thousands of stores with the same
`sync_at` are made one after the other from then on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Column, bindparam, select, text, update

from tillpost.errors import ConfigError, PosError
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import wait_briefly
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.request_budget import MENU_IMPORT
from tillpost.outbox.rows import is_name, unchanged
from tillpost.outbox.settings import ConnectionOptions
from tillpost.outbox.worker.connection_tasks import AtOnce, TaskRunner
from tillpost.outbox.worker.due_rows import DueRows
from tillpost.outbox.worker.passed_over import PassedOver
from tillpost.outbox.worker.processor import Processor

__all__ = ["MenuSync", "next_sync"]

log = safe_logger("tillpost.outbox")

RETRY_IMPORT = 300.0
"""Seconds after which an import is tried again that failed after a change."""

MOST_PLANNED = 100
"""Connections whose daily import is planned in one run."""

_CONNECTION = t.connections.c

_PLANNED = (
    select(_CONNECTION.name, _CONNECTION.sync_at)
    .order_by(_CONNECTION.name)
    .limit(MOST_PLANNED)
    .offset(bindparam("skipped"))
)
_DUE_DAILY = (
    select(_CONNECTION.name, _CONNECTION.sync_at)
    .where(_CONNECTION.sync_at <= bindparam("now"), text("sync_at IS NOT NULL"))
    .order_by(_CONNECTION.sync_at)
)
_CHANGED_MENUS = (
    select(_CONNECTION.name, _CONNECTION.import_at)
    .where(
        _CONNECTION.paused == "",
        _CONNECTION.import_at <= bindparam("now"),
        text("import_at IS NOT NULL"),
    )
    .order_by(_CONNECTION.import_at)
)


class MenuSync:
    """Imports menus that are due, for one worker."""

    def __init__(self, processor: Processor, tasks: TaskRunner | None = None) -> None:
        """Take the worker's processor, and what runs the imports: this thread by default."""
        self._processor = processor
        self._tasks = tasks or AtOnce()
        self._passed_over = PassedOver("menu_import")
        self._database = processor.outbox.database
        self._planned = 0
        self._due_daily = DueRows(_DUE_DAILY)
        self._changed_menus = DueRows(_CHANGED_MENUS)

    def plan_daily(self) -> None:
        """Plan the next daily import of some connections after the other."""
        now = self._processor.clock()
        with self._database.reading() as db:
            rows = db.execute(_PLANNED, {"skipped": self._planned}).all()
        self._planned = self._planned + len(rows) if len(rows) == MOST_PLANNED else 0
        for name, due_at in rows:
            if not _is_due(due_at, now) and is_name(name) and self._passed_over.allows(name):
                with self._passed_over.attempt(name):
                    self._plan(name, due_at, now)

    def _plan(self, name: str, due_at: object, now: float) -> None:
        if not self._processor.connections.is_outlined(name):
            return
        next_due_at = next_sync(self._processor.connections.options(name), now)
        if next_due_at != due_at:
            self._move(_CONNECTION.sync_at, name, due_at, next_due_at)

    def import_daily(self) -> None:
        """Import the menus whose time of day has come, in the store's time zone."""
        now = self._processor.clock()
        with self._database.reading() as db:
            rows = self._due_daily.read(db, now)
        for row in rows:
            name = row["name"]
            if is_name(name) and self._passed_over.allows(name):
                with self._passed_over.attempt(name):
                    self._import_due(name, row["sync_at"], now)

    def _import_due(self, name: str, due_at: object, now: float) -> None:
        if not self._processor.connections.is_outlined(name):
            return
        next_due_at = next_sync(self._processor.connections.options(name), now)
        if next_due_at is None:
            self._move(_CONNECTION.sync_at, name, due_at, None)
            return
        if not self._tasks.may_start(MENU_IMPORT, name):
            return
        if self._move(_CONNECTION.sync_at, name, due_at, next_due_at):
            self._tasks.start(MENU_IMPORT, name, partial(self._import, name))

    def import_changed(self) -> None:
        """Import the menus whose platform reported a change."""
        now = self._processor.clock()
        with self._database.reading() as db:
            rows = self._changed_menus.read(db, now)
        for row in rows:
            name = row["name"]
            if is_name(name) and self._passed_over.allows(name):
                with self._passed_over.attempt(name):
                    self._import_reported(name, row["import_at"], now)

    def _import_reported(self, name: str, due_at: object, now: float) -> None:
        if not self._tasks.may_start(MENU_IMPORT, name):
            return
        # Until it succeeds it stays due, in case that this worker dies.
        retry_at = now + RETRY_IMPORT
        is_first = self._move(_CONNECTION.import_at, name, due_at, retry_at)
        if is_first:
            self._tasks.start(MENU_IMPORT, name, partial(self._import_change, name, retry_at))

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


def _is_due(due_at: object, now: float) -> bool:
    return isinstance(due_at, float | int) and due_at <= now


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
