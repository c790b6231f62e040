"""Checks each store regularly, and reports when one starts or stops taking orders.

A connection is checked every `check_every` seconds from when the outbox first knows it, and at once
when its row's `check_at` is due: because an order was refused since the store is closed, a webhook
was received, or the store was reconnected. Checks run in threads of their own, so a platform that
doesn't answer delays no orders. A connection whose platform asked to be left alone for a while
isn't checked. A paused connection is checked only if it has no due order that could find out
whether the platform grants access again: now and then, and it is resumed if it does.

The result is stored in the connection's row, which `connections/availability` evaluates. It also
has the effects of an order's request:

- If the platform rejects our access, the connection is paused. Otherwise a checkout that sees the
  store as unavailable would never send the order that pauses it.
- If the platform answers, and no order is due that could find that out, the outage is over. A check
  never begins an outage, since orders may succeed where a check fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, exists, or_, select, update

from tillpost.adapter.readiness import Finding, Readiness
from tillpost.errors import ConfigError, UnreadableConfigError
from tillpost.errors.remedies import Actor
from tillpost.models.availability import Availability, Reason
from tillpost.models.safe_text import safe_logger
from tillpost.outbox.circuit_breaker import next_pause_probe
from tillpost.outbox.connections.availability import (
    StoreCheck,
    availability_of,
    read_rows,
    store_check,
)
from tillpost.outbox.connections.resume import resume_connection
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import wait_briefly
from tillpost.outbox.delivery.connection_state import ConnectionEvidence, ConnectionUpdate
from tillpost.outbox.delivery.open_connections import OpenConnection
from tillpost.outbox.delivery.store_queries import CheckResult, StoreQueries
from tillpost.outbox.event_log import HookCall, log_event
from tillpost.outbox.rows import Row, is_name, unchanged
from tillpost.outbox.settings import LONGEST_RETRY_AFTER
from tillpost.outbox.worker.connection_tasks import ConnectionTasks
from tillpost.outbox.worker.hook_thread import CallHooks
from tillpost.outbox.worker.passed_over import PassedOver
from tillpost.outbox.worker.processor import Processor

__all__ = ["StoreMonitor"]

log = safe_logger("tillpost.outbox")

THREADS = 8
"""Checks that one worker runs at the same time."""

RECHECK = 15.0
"""Within how many seconds a platform that fails or can't be reached is rechecked."""

GRACE = 1.0
"""Seconds that a stopping worker waits for running checks.

Their results are lost after that.
"""

_KIND = "store_check"

_CONNECTION = t.connections.c
_ORDER = t.orders.c

_UNAVAILABLE = (Reason.OUTAGE, Reason.UNREACHED)

_is_unscheduled = _CONNECTION.check_at == 0
_is_paused = _CONNECTION.paused != ""

# Statements are built once: SQLAlchemy takes longer to build one than to run it.
_NAMES = select(_CONNECTION.name)
_ANY_UNSCHEDULED = _NAMES.where(_is_unscheduled).limit(1)
_is_check_due = or_(
    _CONNECTION.check_at <= bindparam("now"),
    _CONNECTION.check_at > bindparam("latest"),
)
_DUE_CHECKS = (
    select(_CONNECTION.name, _CONNECTION.check_at)
    .where(
        _is_check_due,
        ~_is_unscheduled,
        ~_is_paused,
        _CONNECTION.not_before <= bindparam("now"),
    )
    .order_by(_CONNECTION.check_at)
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

    def __init__(self, processor: Processor, call_hooks: CallHooks | None = None) -> None:
        """Take the worker's processor, and what calls the hooks of reports."""
        self._processor = processor
        self._call_hooks = call_hooks or processor.call_hooks
        self._database = processor.outbox.database
        self._rows = processor.connection_rows
        self._settings = processor.outbox.settings
        self._engine = processor.outbox.engine
        self._interval = processor.outbox.settings.check_every
        host_of = processor.connections.host
        self._passed_over = PassedOver("check")
        self._tasks = ConnectionTasks(THREADS, "tillpost-check", host_of)

    # ------------------------------------------------------------------ tasks of `Maintenance`

    def add_connections(self) -> None:
        """Create the rows of new connections, and schedule the first check of each."""
        now = self._processor.clock()
        with self._database.reading() as db:
            known = set(db.scalars(_NAMES))
            is_any_unscheduled = db.execute(_ANY_UNSCHEDULED).first() is not None
        new = set(self._processor.connections.names()) - known
        if not new and not is_any_unscheduled:
            return
        with self._database.writing() as db:
            for name in sorted(new):
                self._rows.lock(db, name)
            first_check_at = now + self._interval
            schedule = update(t.connections).where(_is_unscheduled)
            db.execute(schedule.values(check_at=first_check_at))

    def start_due_checks(self) -> None:
        """Start the checks that are due, as many as there are free threads."""
        if self._tasks.idle_threads <= 0:
            return
        for name in self.claim_due(self._tasks.idle_threads):
            self._tasks.start(_KIND, name, partial(self.check, name))

    def probe_paused(self) -> None:
        """Check the paused connections that no order probes.

        Checks as many as there are free threads.
        """
        if self._tasks.idle_threads <= 0:
            return
        for name in self._claim_probes(self._tasks.idle_threads):
            check = partial(self.check, name, probes_pause=True)
            self._tasks.start(_KIND, name, check)

    def report_changes(self) -> None:
        """Report each store that has started or stopped taking orders. One worker does."""
        now = self._processor.clock()
        with self._database.reading() as db:
            rows = read_rows(db)
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
            rows = db.execute(_DUE_CHECKS, {"now": now, "latest": latest}).all()
        claimed: list[str] = []
        for name, check_at in rows:
            if len(claimed) >= most:
                break
            if not is_name(name) or not self._passed_over.allows(name):
                continue
            with self._passed_over.attempt(name):
                if self._tasks.may_start(_KIND, name) and self._claim(name, check_at, now):
                    claimed.append(name)
        return claimed

    def _claim(self, name: str, check_at: float, now: float) -> bool:
        """Schedule the check after this one; return False if another worker did so before."""
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
            rows = db.execute(_DUE_PROBES, {"now": now}).mappings().all()
        claimed: list[str] = []
        for row in rows:
            name = row["name"]
            if len(claimed) >= most:
                break
            if not is_name(name) or not self._passed_over.allows(name):
                continue
            with self._passed_over.attempt(name):
                if self._tasks.may_start(_KIND, name) and self._claim_probe(row, now):
                    claimed.append(name)
        return claimed

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
                _last_reached_elsewhere(db, name),
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

    def _values(self, row: Mapping[str, Any], check: StoreCheck, now: float) -> dict[str, object]:
        """Return the columns that hold a check's result, and when the next one is due."""
        values: dict[str, object] = {"readiness": check.model_dump_json()}
        if _is_unavailable(check):
            latest = now + min(RECHECK, self._interval)
            values["check_at"] = min(row["check_at"] or latest, latest)
        return values

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
