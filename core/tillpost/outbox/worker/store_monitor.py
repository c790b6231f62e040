"""Checks each store regularly, and reports when one starts or stops taking orders.

A connection is checked every `check_every` seconds from when the outbox first knows it, or less
often with so many connections that the budget doesn't allow it (`request_budget.check_interval`).
It is checked at once when its row's `check_at` is due: because an order was refused since the store
is closed, a webhook was received, or the store was reconnected. Checks run in threads of their own,
so a platform that doesn't answer delays no orders. A connection whose platform asked to be left
alone for a while isn't checked. A paused connection is checked only if it has no due order that
could find out whether the platform grants access again: now and then, and it is resumed if it does.

The result is stored in the connection's row, which `connections/availability` evaluates. It also
has the effects of an order's request:

- If the platform rejects our access, the connection is paused. Otherwise a checkout that sees the
  store as unavailable would never send the order that pauses it.
- If the platform answers, and no order is due that could find that out, the outage is over. A check
  never begins an outage, since orders may succeed where a check fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, exists, or_, select, text, update

from tillpost.adapter.readiness import Finding, Readiness
from tillpost.errors import ConfigError, UnreadableConfigError
from tillpost.errors.remedies import Actor
from tillpost.models.availability import Availability, Reason
from tillpost.models.safe_text import safe_logger
from tillpost.outbox.circuit_breaker import next_pause_probe
from tillpost.outbox.connections.availability import (
    StoreCheck,
    availability_of,
    read_page,
    read_row,
    store_check,
)
from tillpost.outbox.connections.resume import resume_connection
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import wait_briefly
from tillpost.outbox.delivery.connection_state import ConnectionEvidence, ConnectionUpdate
from tillpost.outbox.delivery.open_connections import OpenConnection
from tillpost.outbox.delivery.store_queries import CheckResult, StoreQueries
from tillpost.outbox.event_log import HookCall, log_event
from tillpost.outbox.request_budget import CHECK, RECHECK, RequestBudget, check_gap, check_interval
from tillpost.outbox.rows import Row, is_name, unchanged
from tillpost.outbox.settings import LONGEST_RETRY_AFTER
from tillpost.outbox.worker.connection_tasks import ConnectionTasks
from tillpost.outbox.worker.due_rows import PAGE, DueRows
from tillpost.outbox.worker.hook_thread import CallHooks
from tillpost.outbox.worker.passed_over import PassedOver
from tillpost.outbox.worker.processor import Processor

__all__ = ["StoreMonitor"]

log = safe_logger("tillpost.outbox")

THREADS = 8
"""Checks that one worker runs at the same time."""

RECHECK_IN = 15.0
"""Within how many seconds a platform that fails or can't be reached is rechecked.

If too many fail at once, the rest are checked as regularly as ever.
"""

GRACE = 1.0
"""Seconds that a stopping worker waits for running checks.

Their results are lost after that.
"""

MOST_ADDED = 500
"""Rows of new connections that are created in one transaction."""

MOST_EVALUATED = 50
"""Rows that are evaluated each time, besides those that this worker has changed."""

_CONNECTION = t.connections.c
_ORDER = t.orders.c

_UNAVAILABLE = (Reason.OUTAGE, Reason.UNREACHED)

_is_unscheduled = _CONNECTION.check_at == 0

# Literals, so that the planner sees that the indexes of such connections fit.
_is_unpaused = text("paused = ''")
_is_paused = text("paused <> ''")

# Statements are built once: SQLAlchemy takes longer to build one than to run it.
_NAMES = select(_CONNECTION.name)
_UNSCHEDULED = _NAMES.where(_is_unscheduled, _is_unpaused).order_by(_CONNECTION.name)
_SCHEDULE = (
    update(t.connections)
    .where(_CONNECTION.name == bindparam("connection_name"), _is_unscheduled)
    .values(check_at=bindparam("first_check_at"))
)
_DUE_CHECKS = (
    select(_CONNECTION.name, _CONNECTION.check_at)
    .where(
        _CONNECTION.check_at <= bindparam("now"),
        ~_is_unscheduled,
        _is_unpaused,
        _CONNECTION.not_before <= bindparam("now"),
    )
    .order_by(_CONNECTION.check_at)
)
_PUT_OFF_CHECKS = (
    select(_CONNECTION.name, _CONNECTION.check_at)
    .where(
        _CONNECTION.check_at > bindparam("now"),
        _is_unpaused,
        _CONNECTION.not_before <= bindparam("now"),
    )
    .order_by(_CONNECTION.check_at)
    .limit(THREADS)
)
_has_due_order = exists().where(
    _ORDER.connection == _CONNECTION.name, _ORDER.due_at <= bindparam("now")
)
_DUE_PROBES = (
    select(_CONNECTION.name, _CONNECTION.paused_at, _CONNECTION.pause_probe_at)
    .where(_is_paused, _CONNECTION.pause_probe_at <= bindparam("now"), ~_has_due_order)
    .order_by(_CONNECTION.pause_probe_at)
)


class StoreMonitor:
    """The checks of one worker. Only `check` and `close` wait for platforms."""

    def __init__(
        self,
        processor: Processor,
        call_hooks: CallHooks | None = None,
        budget: RequestBudget | None = None,
    ) -> None:
        """Take the worker's processor.

        Args:
            processor: Handles the worker's orders.
            call_hooks: Calls the hooks of reports; this thread by default.
            budget: What checks may send; one of its own by default.
        """
        self._processor = processor
        self._call_hooks = call_hooks or processor.call_hooks
        self._database = processor.outbox.database
        self._rows = processor.connection_rows
        self._settings = processor.outbox.settings
        self._engine = processor.outbox.engine
        self._interval = self._settings.check_every
        self._passed_over = PassedOver("check")
        self._budget = budget or RequestBudget(self._settings.background_rate)
        self._tasks = ConnectionTasks(
            THREADS, "tillpost-check", processor.connections.host, self._budget
        )
        self._due_checks = DueRows(_DUE_CHECKS, PAGE)
        self._due_probes = DueRows(_DUE_PROBES, PAGE)
        self._evaluated = 0

    # ------------------------------------------------------------------ tasks of `Maintenance`

    def add_connections(self) -> None:
        """Create the rows of new connections, and schedule the first check of each."""
        with self._database.reading() as db:
            known = set(db.scalars(_NAMES))
        new = sorted(set(self._processor.connections.names(at_once=True)) - known)
        self._interval = check_interval(self._settings, len(known) + len(new))
        for begin in range(0, len(new), MOST_ADDED):
            with self._database.writing() as db:
                self._rows.add(db, new[begin : begin + MOST_ADDED])
        self._schedule_first_checks()

    def _schedule_first_checks(self) -> None:
        """Schedule the first checks of new connections, one after the other."""
        with self._database.reading() as db:
            names = [name for name in db.scalars(_UNSCHEDULED) if is_name(name)]
        begin_at = self._processor.clock() + self._settings.check_every
        gap = check_gap(self._settings)
        schedules = [
            {"connection_name": name, "first_check_at": begin_at + number * gap}
            for number, name in enumerate(names)
        ]
        for begin in range(0, len(schedules), MOST_ADDED):
            with self._database.writing() as db:
                db.execute(_SCHEDULE, schedules[begin : begin + MOST_ADDED])

    def start_due_checks(self) -> None:
        """Start the checks that are due, as many as there are free threads."""
        if self._tasks.idle_threads <= 0:
            return
        for name in self.claim_due(self._tasks.idle_threads):
            self._tasks.start(CHECK, name, partial(self.check, name))

    def probe_paused(self) -> None:
        """Check the paused connections that no order probes.

        Checks as many as there are free threads.
        """
        if self._tasks.idle_threads <= 0:
            return
        for name in self._claim_probes(self._tasks.idle_threads):
            check = partial(self.check, name, probes_pause=True)
            self._tasks.start(CHECK, name, check)

    def report_changes(self) -> None:
        """Report stores that have started or stopped taking orders. One worker does.

        A store that this worker has news of is evaluated at once, and the others in turn: another
        process may have changed their rows, and the result of a check expires.
        """
        with self._database.reading() as db:
            rows = dict(read_page(db, self._evaluated, MOST_EVALUATED))
            self._evaluated = self._evaluated + len(rows) if len(rows) == MOST_EVALUATED else 0
            for name in self._processor.noted_stores.take() - rows.keys():
                row = read_row(db, name)
                if row is not None:
                    rows[name] = row
        self._report(rows, self._processor.clock())

    def _report(self, rows: Mapping[str, Mapping[str, Any]], now: float) -> None:
        for name, row in rows.items():
            if not is_name(name) or not self._passed_over.allows(name):
                continue
            with self._passed_over.attempt(name):
                if _changed_availability(name, row, now) is not None:
                    self._report_change(name, now)

    def close(self) -> None:
        """Start no more checks, and wait a moment for the running ones."""
        self._tasks.close(GRACE)

    def claim_due(self, most: int) -> Sequence[str]:
        """Claim up to `most` due checks for this worker; return the connections' names."""
        now = self._processor.clock()
        # A time further ahead than any that is set was set by a clock that was ahead.
        latest = now + self._interval + LONGEST_RETRY_AFTER
        with self._database.reading() as db:
            due = self._due_checks.read(db, now)
            put_off = db.execute(_PUT_OFF_CHECKS, {"now": latest}).mappings().all()
        return self._claim_all([*due, *put_off], self._claim_check, most, now)

    def _claim_all(
        self,
        rows: Iterable[RowMapping],
        claim: Callable[[RowMapping, float], bool],
        most: int,
        now: float,
    ) -> Sequence[str]:
        """Claim up to `most` of the rows whose checks may start; return the names."""
        claimed: list[str] = []
        for row in rows:
            name = row["name"]
            if len(claimed) >= most:
                break
            if not is_name(name) or not self._passed_over.allows(name):
                continue
            with self._passed_over.attempt(name):
                if self._tasks.may_start(CHECK, name) and claim(row, now):
                    claimed.append(name)
        return claimed

    def _claim_check(self, row: RowMapping, now: float) -> bool:
        """Schedule the check after this one; return False if another worker did so before."""
        name, check_at = row["name"], row["check_at"]
        claim = (
            update(t.connections)
            .where(_CONNECTION.name == name, unchanged(_CONNECTION.check_at, check_at))
            .values(check_at=now + self._interval)
        )
        with self._database.writing() as db:
            wait_briefly(db)
            return db.execute(claim).rowcount == 1

    def _claim_probes(self, most: int) -> Sequence[str]:
        now = self._processor.clock()
        with self._database.reading() as db:
            rows = self._due_probes.read(db, now)
        return self._claim_all(rows, self._claim_probe, most, now)

    def _claim_probe(self, row: RowMapping, now: float) -> bool:
        """Schedule the probe after this one; return False if another worker did so before."""
        is_unchanged = _CONNECTION.pause_probe_at == row["pause_probe_at"]
        claim = update(t.connections).where(_CONNECTION.name == row["name"], is_unchanged)
        paused_at = Row(t.connections, row)["paused_at"]
        probe_at = next_pause_probe(paused_at or now, now)
        with self._database.writing() as db:
            wait_briefly(db)
            return db.execute(claim.values(pause_probe_at=probe_at)).rowcount == 1

    # ------------------------------------------------------------------ one check

    def check(self, name: str, *, probes_pause: bool = False) -> None:
        """Check a store now, and store the result. Raises `DatabaseError`.

        Args:
            name: The connection's name.
            probes_pause: Resume the connection if the platform grants access again.
        """
        opened: OpenConnection | None = None
        try:
            opened = self._processor.connections[name]
            result = StoreQueries(opened).probe()
        except UnreadableConfigError:
            return  # says nothing of the store; it was logged
        except ConfigError as error:
            result = _misconfigured(error)
        now = self._processor.clock()
        hook_calls: Sequence[HookCall] = ()
        with self._database.writing() as db:
            row = self._rows.lock(db, name)
            check = store_check(
                result.readiness,
                StoreCheck.of(row),
                now,
                lambda: _last_reached_elsewhere(db, name),
            )
            values = self._values(row, check, now)
            if opened:
                is_reached = check.unreached_since is None
                values["reached_at" if is_reached else "unreachable_at"] = now
                evidence = _evidence(db, row, result, check, now)
                row_update = ConnectionUpdate(self._rows, db, opened, self._settings, now)
                hook_calls = row_update.apply(evidence)
            self._rows.update(db, name, values)
            is_let_in = probes_pause and _is_let_in(result, check)
            if is_let_in and resume_connection(db, self._rows, self._engine, name, now):
                hook_calls = [*hook_calls, ("connection_restored", {})]
        for hook, _ in hook_calls:
            log_event(hook, connection=name)
        self._processor.call_hooks(name, hook_calls)
        self._processor.noted_stores.note(name)

    def _values(self, row: Mapping[str, Any], check: StoreCheck, now: float) -> dict[str, object]:
        """Return the columns that hold a check's result, and when the next one is due."""
        values: dict[str, object] = {"readiness": check.model_dump_json()}
        if _is_unavailable(check) and self._may_recheck(row["name"]):
            latest = now + min(RECHECK_IN, self._interval)
            values["check_at"] = min(row["check_at"] or latest, latest)
        return values

    def _may_recheck(self, name: str) -> bool:
        """Count one more check soon, if the budget has room; return whether it has."""
        host = self._processor.connections.host(name)
        if not self._budget.allows(RECHECK, host):
            return False
        self._budget.spend(RECHECK, host)
        return True

    # ------------------------------------------------------------------ report a change

    def _report_change(self, name: str, now: float) -> None:
        with self._database.writing() as db:
            # Locked, and evaluated again, since another worker may have reported it meanwhile.
            row = self._rows.lock(db, name)
            availability = _changed_availability(name, row, now)
            if availability is None:
                return
            values = {
                "takes_orders": availability.takes_orders,
                "takes_orders_since": availability.since or now,
            }
            self._rows.update(db, name, values)
        if row["takes_orders"] is None and availability.takes_orders:
            return  # a store is assumed to be open until it is reported closed
        log_event(
            "store_availability_changed",
            connection=name,
            takes_orders=availability.takes_orders,
            reason=availability.reason.value,
        )
        hook_call = ("store_availability_changed", {"availability": availability})
        self._call_hooks(name, [hook_call])


def _misconfigured(error: ConfigError) -> CheckResult:
    """Return the result for a connection that can't be opened."""
    finding = Finding.of("connection", False, str(error), Actor.DEVELOPER, Reason.UNCONNECTED)
    return CheckResult(Readiness(findings=(finding,)))


def _evidence(
    db: Connection,
    row: Mapping[str, Any],
    result: CheckResult,
    check: StoreCheck,
    now: float,
) -> ConnectionEvidence:
    """Return what a check shows of the connection.

    It counts as an answer only during an outage whose end no order would find out.
    """
    is_outage = row["opened_at"] is not None
    is_probe = is_outage and not _has_order_to_try(db, row["name"], now)
    refused = result.access_refused
    return ConnectionEvidence(
        answered=is_probe and not _is_unavailable(check),
        hold=result.hold,
        access_refused=refused.record() if refused else None,
    )


def _is_let_in(result: CheckResult, check: StoreCheck) -> bool:
    """Return whether the platform answered, and didn't refuse access."""
    reason = check.stop.stops if check.stop else None
    is_shut_out = reason in (*_UNAVAILABLE, Reason.UNAUTHORISED, Reason.UNCONNECTED)
    return result.access_refused is None and not is_shut_out


def _is_unavailable(check: StoreCheck) -> bool:
    """Return whether the platform fails or can't be reached."""
    return check.stop is not None and check.stop.stops in _UNAVAILABLE


def _last_reached_elsewhere(db: Connection, name: str) -> float:
    """Return when any other connection was last answered, in epoch seconds."""
    query = (
        select(_CONNECTION.reached_at)
        .where(_CONNECTION.name != name)
        .order_by(_CONNECTION.reached_at.desc())
        .limit(1)
    )
    row = db.execute(query).mappings().first()
    latest: float = Row(t.connections, row)["reached_at"] if row else 0.0
    return latest


def _has_order_to_try(db: Connection, name: str, now: float) -> bool:
    """Return whether an order will find out whether an outage is over.

    It is being sent, or will soon be.
    """
    soon = now + LONGEST_RETRY_AFTER
    is_soon_sent = or_(
        _ORDER.worker.is_not(None),
        _ORDER.due_at <= soon,
    )
    is_any = exists().where(_ORDER.connection == name, is_soon_sent)
    return bool(db.scalar(select(is_any)))


def _changed_availability(name: str, row: Mapping[str, Any], now: float) -> Availability | None:
    """Return the availability if it isn't the one last reported.

    Returns None if it is, or is unknown.
    """
    availability = availability_of(name, row, now)
    was_checked = row["readiness"] is not None or row["takes_orders"] is not None
    if availability.takes_orders and not was_checked:
        return None
    is_reported = availability.takes_orders == row["takes_orders"]
    return None if is_reported else availability
