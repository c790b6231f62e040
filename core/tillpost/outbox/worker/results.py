"""The writing of a run's result.

That is the order's state, its events, and what the run says of the connection. All of it is one
transaction, which also releases the claim and notifies the engine of when the order is due again.
Hooks are called after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pydantic import BaseModel
from sqlalchemy import Connection

from tillpost.errors import (
    ConfigError,
    Outcome,
    PosError,
    SetupError,
    UnknownPosError,
    UnreadableConfigError,
)
from tillpost.models.order import Progress
from tillpost.outbox.connections.resume import resume_connection
from tillpost.outbox.delivery.connection_state import ConnectionUpdate
from tillpost.outbox.delivery.foreign_source import UnreadableSourceError
from tillpost.outbox.delivery.open_connections import OpenConnection
from tillpost.outbox.delivery.run_result import RunResult, failed_withdrawal
from tillpost.outbox.event_log import HookCall, error_fields, log_event
from tillpost.outbox.orders.claims import Claim
from tillpost.outbox.orders.models import OrderState, WaitsFor
from tillpost.outbox.orders.problems import problem_columns
from tillpost.outbox.orders.transitions import (
    arrival_columns,
    progress_of,
    rejection_hooks,
    steps_before,
)
from tillpost.outbox.outbox import Outbox

__all__ = ["ResultWriter", "broken_result", "unconnected_result"]


UNREADABLE_RETRY = 5.0
"""Seconds until an order is retried whose connection can't be read now."""


def unconnected_result(claim: Claim, error: ConfigError, *, may_pass: bool = False) -> RunResult:
    """Return the result of an order whose connection can't be opened.

    Args:
        claim: The order.
        error: Why the connection can't be opened.
        may_pass: Whether an order whose file or source can't be read waits for it; else a person
            has to see to it.
    """
    is_unreadable = isinstance(error, UnreadableConfigError)
    is_of_file = is_unreadable and not isinstance(error, UnreadableSourceError)
    text = f"the file can't be read now: {error}" if is_of_file else str(error)
    setup_error = SetupError(text)
    setup_error.operation = "connect"
    result = _error_result(claim, setup_error)
    if not (is_unreadable and may_pass):
        return result
    return replace(
        result,
        state=OrderState.MANUAL if claim.taken_over else OrderState.DUE,
        waits_for=WaitsFor.RETRY,
        due_in=UNREADABLE_RETRY,
        suspended_until=claim.suspended_until,
        new_request=claim.new_request,
        gave_up=False,
        hook_calls=(),
    )


def broken_result(claim: Claim, failure: BaseException) -> RunResult:
    """Return the result of an order whose processing breaks down each time."""
    error = UnknownPosError(f"the order can't be processed: {type(failure).__name__}")
    error.operation = "submit"
    return _error_result(claim, error)


def _error_result(claim: Claim, error: PosError) -> RunResult:
    error.title = claim.connection
    error.outcome = Outcome.UNKNOWN if claim.events else Outcome.NOT_CREATED
    if claim.taken_over:
        return failed_withdrawal(error, is_in_time=False)
    facts = {"order": claim.order, "error": error}
    return RunResult(
        OrderState.ERROR,
        error=error.record(),
        hook_calls=[("order_failed", facts)],
    )


class ResultWriter:
    """Writes the results of one processor's runs. Safe for threads."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Callable[[], float],
        call_hooks: Callable[[str, Iterable[HookCall], OpenConnection | None], None],
    ) -> None:
        """Take the outbox, and what calls a connection's hooks."""
        self._claims = outbox.claims
        self._connection_rows = outbox.connection_rows
        self._engine = outbox.engine
        self._settings = outbox.settings
        self._clock = clock
        self._call_hooks = call_hooks

    def write(self, claim: Claim, result: RunResult, opened: OpenConnection | None) -> None:
        """Write a result and release its claim; `opened` is None if it couldn't be opened.

        Raises:
            LeaseLostError: The claim is lost; nothing was written.
            DatabaseError: The database fails.
        """
        now = self._clock()
        columns = self._columns(claim, result, now)
        due_at = _due_at(claim, result, now)
        of_connection: Sequence[HookCall] = ()
        with self._claims.recording(claim, result.events, now, **columns) as db:
            self._advance_progress(db, claim, result)
            if opened:
                update = ConnectionUpdate(
                    self._connection_rows,
                    db,
                    opened,
                    self._settings,
                    now,
                )
                of_connection = update.apply(result.evidence)
                if _is_let_in(claim, result) and self._resume(db, claim.connection, now):
                    of_connection = [*of_connection, ("connection_restored", {})]
            if due_at is not None and not self._is_paused(db, claim, result):
                self._engine.wake(db, claim.order.id, due_at)

        _log(claim, result, of_connection)
        of_refusal = rejection_hooks(claim.order, result.state, result.pos_order)
        # That the platform still refuses access was announced before.
        of_order = () if _is_kept_out(claim, result) else result.hook_calls
        hook_calls = [*of_order, *of_refusal, *of_connection]
        self._call_hooks(claim.connection, hook_calls, opened)

    def _columns(self, claim: Claim, result: RunResult, now: float) -> dict[str, object]:
        """Return what the result changes in the order's row."""
        due_at = _due_at(claim, result, now)
        columns: dict[str, object] = {
            "state": result.state.value,
            "waits_for": result.waits_for.value,
            "suspended_until": result.suspended_until,
            "new_request": result.new_request,
            "error": _json(result.error),
            "ticket": _json(result.ticket),
            "worker": None,
            "crash_count": 0,
        }
        columns |= problem_columns(
            OrderState.ERROR if result.gave_up else result.state,
            result.waits_for,
            now,
            self._settings.escalate_after,
        )
        if not result.needs_authorisation:
            # An order that waits for the store to be reconnected keeps its turn.
            columns["due_at"] = due_at
        if result.pos_order:
            columns["pos_order"] = _json(result.pos_order)
            columns |= arrival_columns(
                result.pos_order,
                claim.order,
                result.state,
                now,
                self._settings,
            )
        if result.new_request and due_at:
            columns["eligible_at"] = due_at
        return columns

    def _advance_progress(self, db: Connection, claim: Claim, result: RunResult) -> None:
        if not result.pos_order:
            return
        progress = progress_of(result.pos_order)
        if progress is Progress.NEW:
            return
        lower = steps_before(progress)
        self._claims.advance_progress(db, claim.order.id, lower, progress)

    def _resume(self, db: Connection, connection: str, now: float) -> bool:
        return resume_connection(db, self._connection_rows, self._engine, connection, now)

    def _is_paused(self, db: Connection, claim: Claim, result: RunResult) -> bool:
        if not result.needs_authorisation:
            return False
        row = self._connection_rows.lock(db, claim.connection)
        return bool(row["paused"])


def _is_let_in(claim: Claim, result: RunResult) -> bool:
    """Return whether a paused connection's probe shows that access is granted again."""
    evidence = result.evidence
    return claim.probes_pause and evidence.answered and not evidence.access_refused


def _is_kept_out(claim: Claim, result: RunResult) -> bool:
    return claim.probes_pause and result.needs_authorisation


def _due_at(claim: Claim, result: RunResult, now: float) -> float | None:
    """Return when the order is due again, in epoch seconds; None when nothing is due."""
    if result.needs_authorisation:
        # Once the store is reconnected, it comes before those that fell due after it.
        return claim.eligible_at
    if result.due_in is None:
        return None
    return now + result.due_in


def _json(model: BaseModel | None) -> str | None:
    if not model:
        return None
    return model.model_dump_json()


def _log(claim: Claim, result: RunResult, hook_calls: Sequence[HookCall]) -> None:
    for hook, _ in hook_calls:
        log_event(hook, connection=claim.connection)
    due_in = None if result.due_in is None else round(result.due_in, 1)
    log_event(
        "order_processed",
        id=claim.order.id,
        connection=claim.connection,
        state=result.state.value,
        waits_for=result.waits_for.value,
        due_in=due_in,
        pos_order=result.pos_order.id if result.pos_order else "",
        ticket=result.ticket.id if result.ticket else "",
        **error_fields(result.error),
    )
