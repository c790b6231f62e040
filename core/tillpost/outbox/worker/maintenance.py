"""The recurring tasks of a worker, besides submitting orders.

A worker's loop calls `Maintenance.tend`, which runs each task when it is due: it checks stores
(`store_monitor`), polls and escalates orders (`order_monitor`), imports menus (`menu_sync`),
deletes old data (`retention`), resumes reconnected connections, releases orders of dead workers
and orders whose handling is stuck, and repairs times that a wrong clock has set. What has an effect
outside of the database is claimed in it first, so that one of all the workers does it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    Update,
    bindparam,
    or_,
    select,
    text,
    update,
)

from tillpost.models.arguments import require_type
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import wait_briefly
from tillpost.outbox.event_log import log_event
from tillpost.outbox.orders.models import WaitsFor
from tillpost.outbox.request_budget import RequestBudget
from tillpost.outbox.settings import LONGEST_RETRY_AFTER
from tillpost.outbox.webhooks.received_events import delete_old_events
from tillpost.outbox.worker.connection_tasks import AtOnce, ConnectionTasks
from tillpost.outbox.worker.hook_thread import HookThread
from tillpost.outbox.worker.menu_sync import MenuSync
from tillpost.outbox.worker.order_monitor import OrderMonitor
from tillpost.outbox.worker.passed_over import PassedOver
from tillpost.outbox.worker.processor import Processor
from tillpost.outbox.worker.retention import erase, prune
from tillpost.outbox.worker.store_monitor import StoreMonitor

__all__ = ["Maintenance"]

THREADS = 16
"""Polls and menu imports that one worker runs at the same time."""

POLLS_EVERY = 0.25
"""Seconds between two runs of polls.

Each begins as many polls as there are free threads.
"""

GRACE = 1.0
"""Seconds that a stopping worker waits for running polls and imports."""

GRACE_OF_HOOKS = 3.0
"""Seconds that a stopping worker waits for hooks that were announced."""

HOUR = 3600.0
"""Seconds in an hour."""

LONGEST_WAIT = LONGEST_RETRY_AFTER + 60.0
"""Seconds that an order or a connection waits at most.

The order waits for a retry or a look-up, the connection for its platform. A time further ahead was
set by a clock that has been set back since.
"""

LONGEST_RELEASE = 60.0
"""The same for an order that waits for nothing.

It was released to be due within seconds.
"""

_ORDER = t.orders.c
_CONNECTION = t.connections.c

_OTHER_WAITS = (WaitsFor.NOTHING, WaitsFor.ITS_TIME)
"""The waits of an order that aren't at most `LONGEST_WAIT`."""

_SHORT_HOLDS = (
    _CONNECTION.not_before,
    _CONNECTION.probe_at,
    _CONNECTION.pause_probe_at,
    _CONNECTION.import_at,
)
"""The times of a connection that are at most `LONGEST_WAIT` ahead."""

_AUTOMATIC_WAITS = (WaitsFor.NOTHING, WaitsFor.RETRY, WaitsFor.LOOK, WaitsFor.IMPORT)

# Statements are built once: SQLAlchemy takes longer to build one than to run it.
_PAUSED = select(_CONNECTION.name, _CONNECTION.refused_credentials).where(text("paused <> ''"))


def _end_endless_orders() -> Update:
    """Return the change that makes due what waits longer than anything does."""
    longest_wait: BindParameter[float] = bindparam("longest_wait")
    longest_release: BindParameter[float] = bindparam("longest_release")
    # A wait that only a newer version knows is as short.
    is_short_wait = _ORDER.waits_for.not_in([wait.value for wait in _OTHER_WAITS])
    is_released = _ORDER.waits_for == WaitsFor.NOTHING.value
    waits_too_long = (_ORDER.due_at > longest_wait) & is_short_wait
    is_put_off = (_ORDER.due_at > longest_release) & is_released
    # Text is larger than any number on SQLite: a time that can't be read counts as put off.
    is_scheduled = _ORDER.waits_for == WaitsFor.ITS_TIME.value
    is_off_schedule = (_ORDER.due_at > _ORDER.eligible_at + LONGEST_WAIT) & is_scheduled
    is_too_far = waits_too_long | is_put_off | is_off_schedule
    endless = update(t.orders).where(_ORDER.worker.is_(None), is_too_far)
    return endless.values(due_at=bindparam("now"))


def _end_endless_connections(until: Column[float]) -> Update:
    """Return the change that ends what a connection's column puts off too far."""
    too_far = update(t.connections).where(until > bindparam("longest_wait"))
    return too_far.values({until: bindparam("now")})


def _bring_back_orders(column: Column[float], *, follows_wanted_at: bool = False) -> Update:
    """Return the change that brings back a time of orders that is too far ahead."""
    is_too_far = [column > bindparam("latest")]
    if follows_wanted_at:
        latest_for_customer = _ORDER.wanted_at + bindparam("longest")
        is_too_far.append(_ORDER.wanted_at.is_(None) | (column > latest_for_customer))
    too_far = update(t.orders).where(_ORDER.worker.is_(None), *is_too_far)
    return too_far.values({column: bindparam("back_to")})


_END_ENDLESS_ORDERS = _end_endless_orders()
_END_ENDLESS_CONNECTIONS = [_end_endless_connections(until) for until in _SHORT_HOLDS]
_BRING_BACK = {
    # What hangs on the time that the customer wants may be as far ahead as that.
    "eligible_at": _bring_back_orders(_ORDER.eligible_at, follows_wanted_at=True),
    "expected_at": _bring_back_orders(_ORDER.expected_at, follows_wanted_at=True),
    "escalate_at": _bring_back_orders(_ORDER.escalate_at),
    "poll_at": _bring_back_orders(_ORDER.poll_at),
}
"""The changes to the times of orders, which are at most a wait ahead of now."""


@dataclass(slots=True)
class _Task:
    """A task that runs every `interval` seconds.

    It is next due at `due_at` of the monotonic clock.
    """

    interval: float
    run: Callable[[], None]
    due_at: float = 0.0

    @property
    def name(self) -> str:
        return self.run.__name__.strip("_")


class Maintenance:
    """The recurring tasks of one worker."""

    def __init__(self, processor: Processor, *, in_threads: bool = False) -> None:
        """Take the worker's processor.

        Args:
            processor: Handles the worker's orders.
            in_threads: Run polls, menu imports and the hooks of reports in threads, so that `tend`
                waits for no platform and no plugin.
        """
        require_type("processor", processor, Processor)
        self._processor = processor
        self._outbox = processor.outbox
        self._database = processor.outbox.database
        self._hooks = HookThread(processor.call_hooks)
        call_hooks = self._hooks.call if in_threads else processor.call_hooks
        self._budget = RequestBudget(processor.outbox.settings.background_rate)
        self._store_monitor = StoreMonitor(processor, call_hooks, self._budget)
        host_of = processor.connections.host
        self._requests = ConnectionTasks(THREADS, "tillpost-poll", host_of, self._budget)
        runner = self._requests if in_threads else AtOnce()
        order_monitor = OrderMonitor(processor, runner, call_hooks)
        menu_sync = MenuSync(processor, runner)
        self._passed_over = PassedOver("task")
        self._tasks = [
            _Task(1.0, processor.release_unfinished),
            _Task(1.0, processor.release_stuck),
            _Task(2.0, self._resume_reconnected),
            _Task(10.0, self._store_monitor.add_connections),
            _Task(1.0, self._store_monitor.start_due_checks),
            _Task(10.0, self._store_monitor.probe_paused),
            _Task(1.0, self._store_monitor.report_changes),
            _Task(10.0, self._share_budget),
            _Task(5.0, menu_sync.plan_daily),
            _Task(5.0, menu_sync.import_daily),
            _Task(30.0, self._end_endless_waits),
            _Task(HOUR, self._delete_old_data),
            # The reports come first: they have the next room for their last polls.
            _Task(POLLS_EVERY, order_monitor.report_unseen),
            _Task(POLLS_EVERY, order_monitor.poll),
            _Task(2.0, order_monitor.escalate),
            _Task(5.0, menu_sync.import_changed),
        ]

    def tend(self) -> None:
        """Run the tasks that are due.

        A task that fails by itself is logged, and tried again.

        Raises:
            DatabaseError: the database as a whole fails, or may.
        """
        now = time.monotonic()
        for task in self._tasks:
            if now < task.due_at or not self._passed_over.allows(task.name):
                continue
            task.due_at = now + task.interval
            with self._passed_over.attempt(task.name):
                task.run()

    def close(self) -> None:
        """Stop the checks, polls, imports and hooks, which run in threads of their own."""
        self._hooks.close(GRACE_OF_HOOKS)
        self._store_monitor.close()
        self._requests.close(GRACE)

    def idle(self) -> bool:
        """Whether no order is claimed, due, or waiting for something that ends by itself.

        Orders that wait for their time or for a person don't count. Polls and menu imports
        that run now do.
        """
        if self._requests.busy:
            return False
        now = self._processor.clock()
        paused = select(_CONNECTION.name).where(_CONNECTION.paused != "")
        may_go = _ORDER.connection.not_in(paused)
        waits_automatically = _ORDER.waits_for.in_([wait.value for wait in _AUTOMATIC_WAITS])
        is_claimed = _ORDER.worker.is_not(None)
        is_soon_due = _ORDER.due_at.is_not(None) & waits_automatically & may_go
        is_due = (_ORDER.due_at <= now) & may_go
        left = select(_ORDER.id).where(or_(is_claimed, is_soon_due, is_due)).limit(1)
        with self._database.reading() as db:
            return db.execute(left).first() is None

    def _resume_reconnected(self) -> None:
        """Resume paused connections whose credentials differ from those that were refused."""
        with self._database.reading() as db:
            paused = db.execute(_PAUSED).all()
        for name, refused in paused:
            opened = self._processor.connections.at_once(name)
            if opened is None or opened.fingerprint() == refused:
                continue
            if self._outbox.resume(name):
                log_event("connection_restored", connection=name)
                self._processor.call_hooks(name, [("connection_restored", {})], opened)

    def _share_budget(self) -> None:
        """Share the budget of requests among the workers that there are."""
        self._budget.workers = len(self._processor.workers.pulses())

    def _end_endless_waits(self) -> None:
        """Make due what a clock that was ahead has put off too far."""
        now = self._processor.clock()
        times = {
            "now": now,
            "longest_wait": now + LONGEST_WAIT,
            "longest_release": now + LONGEST_RELEASE,
        }
        self._outbox.claims.set_aside_unnamed(now)
        with self._database.writing() as db:
            wait_briefly(db)
            self._bring_back(db, now)
            db.execute(_END_ENDLESS_ORDERS, times)
            self._outbox.workers.release_orphans(db, now)
            for end in _END_ENDLESS_CONNECTIONS:
                db.execute(end, times)

    def _bring_back(self, db: Connection, now: float) -> None:
        """Count from now what a clock that was ahead has put off for an order."""
        settings = self._outbox.settings
        waits = {"expected_at": settings.unseen_after, "escalate_at": settings.escalate_after}
        for name, bring_back in _BRING_BACK.items():
            wait = waits.get(name, 0.0)
            longest = wait + LONGEST_WAIT
            times = {"back_to": now + wait, "latest": now + longest, "longest": longest}
            db.execute(bring_back, times)

    def _delete_old_data(self) -> None:
        """Delete what the settings say isn't stored any longer."""
        settings = self._outbox.settings
        if settings.erase_after_days is not None:
            erase(self._outbox, settings.erase_after_days)
        if settings.prune_after_days is not None:
            prune(self._outbox, settings.prune_after_days)
        with self._database.writing() as db:
            delete_old_events(db, self._processor.clock())
