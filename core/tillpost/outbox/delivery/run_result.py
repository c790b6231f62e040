"""`RunResult`: how a run of a claimed order ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tillpost.errors import (
    ErrorRecord,
    Outcome,
    PermissionsError,
    PosError,
    StoreClosedError,
    Transcript,
)
from tillpost.models.order import Order, PosOrder
from tillpost.outbox.delivery.connection_state import ConnectionEvidence
from tillpost.outbox.event_log import HookCall
from tillpost.outbox.orders.models import OrderState, WaitsFor
from tillpost.submission.history import History
from tillpost.submission.journal import Event

__all__ = [
    "JournalWrite",
    "RunResult",
    "failed_result",
    "failed_withdrawal",
    "suspended_result",
]

WITHDRAWAL_RETRY = 30.0
"""In how many seconds a withdrawal is tried again that failed transiently."""

CLOSED_RETRY = 300.0
"""In how many seconds a scheduled order that a closed store refused is retried."""

JournalWrite: TypeAlias = tuple[Event, Transcript | None]
"""An event to write, with the redacted exchange that led to it."""


@dataclass(slots=True)
class RunResult:
    """The state of an order when its claim is released.

    Attributes:
        state: The order's state.
        waits_for: What it waits for.
        due_in: In how many seconds it is due again; None when nothing is due automatically.
        suspended_until: The same as a time on the flow's own clock.
        new_request: Whether the next run requests the submission anew.
        error: The error to show.
        pos_order: The order at the platform.
        ticket: The attention ticket at the platform.
        evidence: What the run showed of the connection as a whole.
        gave_up: Whether a person has to see to what may be left at the platform.
        events: Events that aren't written yet.
        hook_calls: Hooks to call once the result is written.
    """

    state: OrderState
    waits_for: WaitsFor = WaitsFor.NOTHING
    due_in: float | None = None
    suspended_until: float = 0.0
    new_request: bool = False
    error: ErrorRecord | None = None
    pos_order: PosOrder | None = None
    ticket: PosOrder | None = None
    evidence: ConnectionEvidence = field(default_factory=ConnectionEvidence)
    gave_up: bool = False
    events: Sequence[JournalWrite] = ()
    hook_calls: Sequence[HookCall] = ()

    @property
    def needs_authorisation(self) -> bool:
        """Whether the order waits for the store to be reconnected."""
        return self.waits_for is WaitsFor.AUTHORISATION


def suspended_result(
    history: History, seconds: float, now: float, waits_for: WaitsFor | None
) -> RunResult:
    """Return the result of a flow that has nothing to do for some seconds.

    `now` is the time of the flow's clock. Without `waits_for`, the history shows what it waits for.
    """
    failure = history.failure
    if waits_for is None:
        waits_for = WaitsFor.RETRY if failure and failure.transient else WaitsFor.LOOK
    return RunResult(
        OrderState.DUE,
        waits_for,
        due_in=seconds,
        suspended_until=now + seconds,
        error=failure.error if failure else None,
    )


def failed_result(order: Order, error: PosError, now: float) -> RunResult:
    """Return the result of a flow that has given its order up."""
    record = error.record()
    if isinstance(error, PermissionsError):
        return RunResult(
            OrderState.DUE,
            WaitsFor.AUTHORISATION,
            due_in=0.0,
            new_request=True,
            error=record,
        )
    if isinstance(error, StoreClosedError) and error.outcome is Outcome.NOT_CREATED:
        seconds_left = order.due_at.timestamp() - now if order.due_at else 0.0
        if seconds_left > 0:
            wait = min(CLOSED_RETRY, seconds_left)
            return RunResult(
                OrderState.DUE,
                WaitsFor.OPENING,
                due_in=wait,
                new_request=True,
                error=record,
            )
    return RunResult(OrderState.ERROR, error=record, pos_order=error.pos_order)


def failed_withdrawal(error: PosError, *, is_in_time: bool) -> RunResult:
    """Return the result of a withdrawal that failed.

    The order may still be at the platform. The withdrawal is tried again once the store is
    reconnected, or while the error is transient and it `is_in_time` to try again. Otherwise it is
    left to a person.
    """
    record = error.record()
    if isinstance(error, PermissionsError):
        return RunResult(
            OrderState.MANUAL,
            WaitsFor.AUTHORISATION,
            due_in=0.0,
            new_request=True,
            error=record,
        )
    if error.transient and is_in_time:
        return RunResult(OrderState.MANUAL, WaitsFor.RETRY, due_in=WITHDRAWAL_RETRY, error=record)
    return RunResult(OrderState.MANUAL, error=record, gave_up=True)
