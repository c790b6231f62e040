"""The polling of received orders, and reports of those that need a person.

Each order is polled on a schedule of its own (`transitions.next_poll_at`), to find out what no
webhook reported, as far as the budget of its host allows (`request_budget`): where it doesn't, the
polls are later, those first that have waited longest. An order that the register shows no sign of
is reported once, after a last poll that comes before all others; one whose host has no room or no
answer for that poll for `LAST_POLL_PATIENCE` seconds is reported without. A problem that nobody
acts on is escalated twice. `Maintenance` calls the tasks several times a second or every few
seconds. Each is claimed in the database, so that one of all the workers does it; hooks are called
once it is on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    bindparam,
    exists,
    select,
    update,
)

from tillpost.adapter.webhooks import OrderChanged, OrderRefused
from tillpost.errors import ConfigError, PosError, RateLimitError
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import is_blocked
from tillpost.outbox.db.database import wait_briefly
from tillpost.outbox.delivery.store_queries import StoreQueries
from tillpost.outbox.event_log import HookCall, log_event
from tillpost.outbox.orders.models import (
    OrderState,
    StoredOrder,
    UnreadableEventError,
    stored_order,
)
from tillpost.outbox.orders.queries import read_events
from tillpost.outbox.orders.transitions import due_time, next_poll_at
from tillpost.outbox.orders.unreadable import JOURNAL, set_aside
from tillpost.outbox.orders.updates import OrderUpdates
from tillpost.outbox.request_budget import POLL
from tillpost.outbox.rows import Row, is_name, named, unchanged
from tillpost.outbox.settings import LONGEST_RETRY_AFTER
from tillpost.outbox.worker.connection_tasks import AtOnce, TaskRunner
from tillpost.outbox.worker.due_rows import DueRows
from tillpost.outbox.worker.hook_thread import CallHooks
from tillpost.outbox.worker.passed_over import PassedOver
from tillpost.outbox.worker.processor import Processor
from tillpost.submission.address import ADDRESS
from tillpost.submission.history import History, fold

__all__ = ["OrderMonitor"]

log = safe_logger("tillpost.outbox")

POLL_SECONDS = 1.0
"""Seconds after which a run polls no further order."""

RETRY_POLL = 60.0
"""Seconds after which an order is polled again whose platform didn't answer."""

LAST_POLL_PATIENCE = 60.0
"""Seconds that an unseen order's report waits for the last poll before it."""

MOST_READ = 200
"""Due orders that are read in one run. At most one of each connection is polled."""

MOST_ESCALATIONS = 2
"""How often a problem is escalated."""

_ORDER = t.orders.c

_POLLED_STATES = (OrderState.RECEIVED, OrderState.ACCEPTED)

_is_unclaimed = _ORDER.worker.is_(None)
_may_send = ~exists().where(t.connections.c.name == _ORDER.connection, is_blocked)

_DUE_POLLS = (
    select(_ORDER.id, _ORDER.connection, _ORDER.poll_at)
    .where(_ORDER.poll_at <= bindparam("now"), _is_unclaimed, _may_send)
    .order_by(_ORDER.poll_at)
)


def _due_by(time_column: Column[Any]) -> Select[*tuple[Any, ...]]:
    """Return the query for the orders whose time in a column has come.

    It returns the earliest first.
    """
    return (
        select(_ORDER.id, _ORDER.connection)
        .where(time_column <= bindparam("now"), _is_unclaimed)
        .order_by(time_column)
    )


_DUE_UNSEEN = _due_by(_ORDER.expected_at).add_columns(_ORDER.expected_at)
_DUE_ESCALATIONS = _due_by(_ORDER.escalate_at)


@dataclass(frozen=True, slots=True)
class _Report:
    """What a report writes to the order's row, and the hooks to call after that."""

    values: Mapping[str, object]
    hook_calls: Sequence[HookCall] = ()


class OrderMonitor:
    """Polls and reports orders, for one worker."""

    def __init__(
        self,
        processor: Processor,
        tasks: TaskRunner | None = None,
        call_hooks: CallHooks | None = None,
    ) -> None:
        """Take the worker's processor.

        Args:
            processor: Handles the worker's orders.
            tasks: Runs the polls; this thread by default.
            call_hooks: Calls the hooks of reports; this thread by default.
        """
        self._processor = processor
        self._call_hooks = call_hooks or processor.call_hooks
        self._tasks = tasks or AtOnce()
        self._passed_over = PassedOver("escalation")
        self._database = processor.outbox.database
        self._rows = processor.connection_rows
        self._settings = processor.outbox.settings
        self._orders = OrderUpdates(processor.outbox.engine, self._settings)
        self._due_polls = DueRows(_DUE_POLLS, MOST_READ)
        self._due_unseen = DueRows(_DUE_UNSEEN, MOST_READ)
        self._due_escalations = DueRows(_DUE_ESCALATIONS, MOST_READ)

    # ------------------------------------------------------------------ poll

    def poll(self) -> None:
        """Poll the orders that are due, the longest overdue first, one of each connection."""
        stop_at = time.monotonic() + POLL_SECONDS
        polled: set[object] = set()
        for row in self._due(self._due_polls):
            connection = row["connection"]
            if connection in polled:
                continue
            polled.add(connection)
            is_same = (named(_ORDER.id, row["id"]), unchanged(_ORDER.poll_at, row["poll_at"]))
            if is_name(connection):
                self._tasks.start(POLL, connection, partial(self._poll_one, *is_same))
            else:
                self._poll_one(*is_same)
            if time.monotonic() >= stop_at:  # not before the first, as the database may be slow
                break

    def _poll_one(self, *conditions: ColumnElement[bool]) -> None:
        """Poll one order, unless another worker does; write what the platform shows."""
        now = self._processor.clock()
        with self._database.writing() as db:
            row = _lock_unclaimed(db, *conditions)
            if row is None:
                return
            stored = stored_order(row)
            if stored.unreadable:
                self._set_aside(db, row, stored, now)
                return
            try:
                history = fold(read_events(db, stored.id))
            except UnreadableEventError:
                set_aside(db, stored.id, (JOURNAL,), now, self._settings.escalate_after)
                return
            hook_calls = self._orders.record_kept_report(db, row, now)
            is_polled = bool(row["pos_id"]) and stored.state in _POLLED_STATES
            poll_at = _next_poll_at(row, stored, now) if is_polled else None
            schedule = update(t.orders).where(_ORDER.id == row["id"])
            db.execute(schedule.values(poll_at=poll_at))
        self._processor.call_hooks(row["connection"], hook_calls)
        if is_polled:
            self._fetch(row["connection"], row["id"], row["pos_id"], history)

    def _set_aside(self, db: Connection, row: Row, stored: StoredOrder, now: float) -> None:
        escalate_after = self._settings.escalate_after
        set_aside(db, row.raw("id"), stored.unreadable, now, escalate_after)

    def _fetch(self, connection: str, order_id: str, pos_id: str, history: History) -> None:
        try:
            opened = self._processor.connections[connection]
            pos_order = StoreQueries(opened).fetch_briefly(pos_id, history)
        except ConfigError as error:
            log.warning("order_poll_failed order=%s error=%s", order_id, log_value(error))
            return
        except PosError as error:
            if error.reason == ADDRESS:
                # It is polled again should the connection be set back within its schedule.
                log_event("order_elsewhere", id=order_id, connection=connection)
                return
            kind = type(error).__name__
            log_event("order_poll_failed", id=order_id, connection=connection, error=kind)
            self._postpone(connection, error)
            return
        change = OrderChanged(
            pos_id=pos_id,
            reference=order_id,
            pos_order=pos_order,
        )
        (event,) = opened.webhooks.settle([change], {})
        now = self._processor.clock()
        with self._database.writing() as db:
            if isinstance(event, OrderRefused):
                hook_calls = self._orders.record_refusal(
                    db,
                    connection,
                    pos_id,
                    order_id,
                    event.error,
                    now,
                    "poll",
                    opened.connection.address,
                )
            else:
                hook_calls = self._orders.record_status(
                    db,
                    connection,
                    pos_order,
                    now,
                    order_id,
                    "poll",
                    opened.connection.address,
                )
        self._processor.call_hooks(connection, hook_calls)

    def _postpone(self, connection: str, error: PosError) -> None:
        """Postpone the polls of a platform that fails, or that asks to be left alone."""
        if not error.transient:
            return
        now = self._processor.clock()
        postpone = (
            update(t.orders)
            .where(_ORDER.connection == connection, _ORDER.poll_at <= now)
            .values(poll_at=now + RETRY_POLL)
        )
        with self._database.writing() as db:
            db.execute(postpone)
            if isinstance(error, RateLimitError) and error.retry_after:
                hold = min(error.retry_after, LONGEST_RETRY_AFTER)
                self._rows.lock(db, connection)
                self._rows.update(db, connection, {"not_before": now + hold})

    # ------------------------------------------------------------------ report to people

    def report_unseen(self) -> None:
        """Report orders that the register should have confirmed by now, after a last poll."""
        by_connection: dict[Any, list[RowMapping]] = {}
        for row in self._due(self._due_unseen):
            by_connection.setdefault(row["connection"], []).append(row)
        for connection, rows in by_connection.items():
            report = partial(self._poll_and_report, [row["id"] for row in rows])
            if not is_name(connection):
                report()
            elif not self._tasks.start(POLL, connection, report, len(rows)):
                self._report_without_poll(connection, rows)

    def _poll_and_report(self, order_ids: Sequence[str]) -> None:
        """Report those orders as unseen that a last poll doesn't show."""
        stop_at = time.monotonic() + POLL_SECONDS
        has_time = True
        for order_id in order_ids:
            poll_at = self._poll_at(order_id)
            if poll_at is not None and has_time:
                self._poll_one(named(_ORDER.id, order_id), unchanged(_ORDER.poll_at, poll_at))
            self._report(order_id, _ORDER.expected_at, self._unseen_report)
            has_time = time.monotonic() < stop_at

    def _report_without_poll(self, connection: str, rows: Sequence[RowMapping]) -> None:
        """Report those orders as unseen whose last poll has had no room for too long."""
        latest = self._processor.clock() - LAST_POLL_PATIENCE
        for row in rows:
            if row["expected_at"] > latest or not self._passed_over.allows(connection):
                continue
            with self._passed_over.attempt(connection):
                self._report(row["id"], _ORDER.expected_at, self._unseen_report)

    def escalate(self) -> None:
        """Escalate problems that nobody has acted on."""
        for row in self._due(self._due_escalations):
            connection = row["connection"]
            if not self._passed_over.allows(connection):
                continue
            with self._passed_over.attempt(connection):
                self._report(row["id"], _ORDER.escalate_at, self._escalation)

    def _due(self, rows: DueRows) -> Sequence[RowMapping]:
        now = self._processor.clock()
        with self._database.reading() as db:
            return rows.read(db, now)

    def _poll_at(self, order_id: str) -> float | None:
        """Return when an order is next polled; None if it isn't, or can't be."""
        now = self._processor.clock()
        query = select(_ORDER.poll_at).where(
            named(_ORDER.id, order_id),
            _may_send,
        )
        with self._database.reading() as db:
            return db.scalar(query, {"now": now})

    def _report(
        self,
        order_id: str,
        time_column: Column[Any],
        make_report: Callable[[Row, StoredOrder, float], _Report],
    ) -> None:
        """Write a report and call its hooks, unless another worker was faster."""
        now = self._processor.clock()
        with self._database.writing() as db:
            wait_briefly(db)
            row = _lock_unclaimed(
                db,
                named(_ORDER.id, order_id),
                time_column <= now,
            )
            if row is None:
                return
            stored = stored_order(row)
            if stored.unreadable and row["problem_at"] is None:
                self._set_aside(db, row, stored, now)
                return
            report = make_report(row, stored, now)
            order_row = update(t.orders).where(named(_ORDER.id, order_id))
            db.execute(order_row.values(**report.values))
        connection = row["connection"]
        for hook, facts in report.hook_calls:
            log_event(
                hook,
                id=order_id,
                connection=connection,
                times=facts.get("times"),
            )
        self._call_hooks(connection, report.hook_calls)

    def _unseen_report(self, row: Row, stored: StoredOrder, now: float) -> _Report:
        is_confirmed = row["confirmed_at"] is not None
        is_received = stored.state is OrderState.RECEIVED and stored.pos_order is not None
        if is_confirmed or not is_received:
            return _Report({"expected_at": None})
        facts = {
            "order": stored.order,
            "pos_order": stored.pos_order,
        }
        values = {
            "expected_at": None,
            "unseen_reported_at": now,
        }
        return _Report(values, [("order_unseen", facts)])

    def _escalation(self, row: Row, stored: StoredOrder, now: float) -> _Report:
        if row["problem_at"] is None:
            return _Report({"escalate_at": None})
        times = min(row["escalations"] + 1, MOST_ESCALATIONS)
        is_last = times >= MOST_ESCALATIONS
        escalate_at = None if is_last else now + self._settings.escalate_after
        error = PosError.from_record(stored.error) if stored.error else None
        facts = {
            "order": stored.order,
            "error": error,
            "times": times,
        }
        values = {
            "escalate_at": escalate_at,
            "escalations": times,
        }
        return _Report(values, [("order_escalated", facts)])


def _next_poll_at(row: Row, stored: StoredOrder, now: float) -> float | None:
    """Return when an order is polled again; None if this poll is the last.

    It is `RETRY_POLL` at the earliest, in case that this worker dies or the platform doesn't
    answer. An answer sets another time.
    """
    received_at = row["received_at"] or row["added_at"]
    scheduled_at = next_poll_at(
        stored.state, stored.progress, received_at, due_time(stored.order), now
    )
    if not scheduled_at:
        return None
    return max(scheduled_at, now + RETRY_POLL)


def _lock_unclaimed(db: Connection, *conditions: ColumnElement[bool]) -> Row | None:
    """Return an order that meets the conditions, unclaimed and locked."""
    query = select(t.orders).where(*conditions, _is_unclaimed).limit(1).with_for_update()
    found = db.execute(query).mappings().one_or_none()
    if not found:
        return None
    return Row(t.orders, found)
