"""Runs the flow of one claimed order, over the journal in the outbox's database.

`OrderRunner` has an open connection (with its adapter, transport and credentials), the claim with
the order's journal, and the worker's claims and heartbeat. The processor makes one for each claim.

Events are written before a request that can change the order is sent, and only then is the
worker's lease checked; the remaining events are written with the result. A runner doesn't sleep
through a wait of the order, only through an adapter's own short pauses. It doesn't repeat a request
that failed: the journal says when to go on. Only a read is repeated after another was answered: a
search of many pages would hardly ever get through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from tillpost.adapter.echoes import Hide, hider
from tillpost.adapter.exchange import Effect
from tillpost.adapter.verdicts import Verdict, transcript
from tillpost.client.clock import flow_clock
from tillpost.errors import OutageError, PosError, RateLimitError, Transcript, UnknownPosError
from tillpost.models.order import PosOrder
from tillpost.outbox.delivery.connection_state import ConnectionEvidence, is_about_opening
from tillpost.outbox.delivery.menu_import import import_shared_menu
from tillpost.outbox.delivery.open_connections import SHORT_RETRIES, OpenConnection
from tillpost.outbox.delivery.run_result import (
    JournalWrite,
    RunResult,
    failed_result,
    failed_withdrawal,
    suspended_result,
)
from tillpost.outbox.event_log import HookCall
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.menus.shared import Menus
from tillpost.outbox.orders.claims import SET_ASIDE_AFTER, Claim, OrderClaims
from tillpost.outbox.orders.heartbeat import Heartbeat
from tillpost.outbox.orders.models import OrderState, WaitsFor, state_of
from tillpost.submission.attention_ticket import AttentionTicket
from tillpost.submission.commands import (
    Announce,
    Command,
    Flow,
    ImportMenu,
    Record,
    Suspend,
    Transmission,
    Transmit,
)
from tillpost.submission.context import Connection
from tillpost.submission.flow import Submission
from tillpost.submission.history import History, fold
from tillpost.submission.journal import Event, Intended, OfTicket
from tillpost.submission.menu_import import MenuImport
from tillpost.submission.operation import OperationContext
from tillpost.submission.order_journal import OrderJournal
from tillpost.submission.policy import Policy
from tillpost.submission.withdrawal import Withdrawal

__all__ = ["OrderRunner"]

IMPORT_RETRY = 1.0
"""Seconds until an order that waits for another worker's menu import is retried."""


class _Suspended(Exception):
    """The flow has nothing to do for some seconds."""

    def __init__(self, seconds: float, waits_for: WaitsFor | None = None) -> None:
        super().__init__(seconds)
        self.seconds = max(0.0, seconds)
        self.waits_for = waits_for


class OrderRunner:
    """Runs flows for one claimed order. One of its methods is to be called, once."""

    def __init__(
        self,
        opened: OpenConnection,
        claim: Claim,
        *,
        claims: OrderClaims,
        heartbeat: Heartbeat,
        menus: Menus,
        clock: Callable[[], float],
        begin_step: Callable[[float], object],
    ) -> None:
        """Take the order's connection and claim, and the worker's parts.

        `begin_step` is called before each step, with the step's time limit in seconds.
        """
        self._opened = opened
        self._claim = claim
        self._claims = claims
        self._heartbeat = heartbeat
        self._menus = menus
        self._clock = clock
        self._begin_step = begin_step
        # The request is recorded as of when the order was due. No event may seem older than that.
        earliest = max(claim.suspended_until, claim.eligible_at)
        self._flow_clock = flow_clock(clock, claim.events, earliest=earliest)
        self._unwritten: list[JournalWrite] = []
        self._hook_calls: list[HookCall] = []
        self._exchange: Transcript | None = None
        self._last_verdict: Verdict | None = None

    # ------------------------------------------------------------------ what it runs

    def run(self) -> RunResult:
        """Continue the order's submission until it has arrived, failed, or has to wait."""
        connection = self._flow_connection(self._policy())
        submission = Submission(connection, self._claim.order, self._claim.events)
        return self._completed(self._submit(submission), submission.history)

    def withdraw(self, *, at_once: bool = False) -> RunResult:
        """Continue to withdraw an order that a person took over while it was in doubt.

        With `at_once`, it is looked up first, whatever the schedule says.
        """
        policy = self._policy()
        connection = self._flow_connection(policy)
        withdrawal = Withdrawal(connection, self._claim.order, self._claim.events)
        flow = withdrawal.flow(at_once=at_once)
        result = self._withdraw(flow, policy.retry_seconds)
        return self._completed(result, withdrawal.history)

    def cancel(self, pos_order: PosOrder) -> None:
        """Cancel the order at the platform. Raises the platform's `PosError`."""
        history = fold(self._claim.events)
        self._opened.run(self._opened.flows.cancel(pos_order, history), self._execute)
        self._write()

    def withdraw_ticket(self) -> bool:
        """Withdraw the attention ticket; return whether none is left, as far as is known."""
        connection = self._flow_connection(self._opened.connection.policy)
        journal = OrderJournal.of(self._claim.events)
        ticket = AttentionTicket(connection, self._claim.order, journal)
        withdrawn = self._opened.run(ticket.withdraw(), self._execute)
        self._write()
        for hook, facts in self._hook_calls:
            self._opened.call_hook(hook, facts)
        return withdrawn

    def _completed(self, result: RunResult, history: History) -> RunResult:
        """Add to a result what the run left to be written."""
        result.ticket = history.ticket.pos_order if history.ticket else None
        result.evidence = self._evidence(result)
        result.events = self._unwritten
        result.hook_calls = self._hook_calls
        return result

    def _withdraw(self, flow: Flow[None], retry_seconds: float) -> RunResult:
        claim = self._claim
        if claim.crash_count >= SET_ASIDE_AFTER:
            error = self._opened.stamp(UnknownPosError(_crashed(claim)), "cancel")
            return failed_withdrawal(error, is_in_time=False)
        try:
            self._opened.run(flow, self._execute)
        except _Suspended as suspended:
            until = self._flow_clock() + suspended.seconds
            return RunResult(
                OrderState.MANUAL,
                WaitsFor.LOOK,
                due_in=suspended.seconds,
                suspended_until=until,
            )
        except PosError as error:
            give_up_at = claim.eligible_at + retry_seconds
            return failed_withdrawal(error, is_in_time=self._clock() < give_up_at)
        return RunResult(OrderState.MANUAL)

    # ------------------------------------------------------------------ the submission

    def _submit(self, submission: Submission) -> RunResult:
        claim = self._claim
        flow = submission.flow(
            is_new=claim.is_new,
            resumed=not claim.new_request,
            asked_at=claim.eligible_at,
        )
        try:
            if claim.crash_count >= SET_ASIDE_AFTER:
                raise self._set_aside(submission)
            pos_order = self._opened.run(flow, self._execute)
        except _Suspended as suspended:
            now = self._flow_clock()
            return suspended_result(submission.history, suspended.seconds, now, suspended.waits_for)
        except PosError as error:
            return self._failed(error)
        return RunResult(state_of(pos_order), pos_order=pos_order)

    def _set_aside(self, submission: Submission) -> PosError:
        """Return the error of an order with which too many workers died."""
        order = self._claim.order
        context = OperationContext(submission.connection, "submit", order, submission.journal)
        error = context.stamp(UnknownPosError(_crashed(self._claim)))
        self._hook_calls.append(("order_failed", {"order": order, "error": error}))
        return error

    def _failed(self, error: PosError) -> RunResult:
        result = failed_result(self._claim.order, error, self._clock())
        if result.needs_authorisation or self._claim.crash_count >= SET_ASIDE_AFTER:
            facts = {"order": self._claim.order, "error": error}
            self._hook_calls.append(("order_parked", facts))
        return result

    def _policy(self) -> Policy:
        """Return the order's policy: it is tried at least until it is due."""
        policy = self._opened.connection.policy
        due_at = self._claim.order.due_at
        seconds_to_due = due_at.timestamp() - self._claim.eligible_at if due_at else 0.0
        retry_seconds = max(policy.retry_seconds, seconds_to_due)
        return policy.model_copy(update={"retry_seconds": retry_seconds})

    def _flow_connection(self, policy: Policy) -> Connection:
        return replace(self._opened.connection, clock=self._flow_clock, policy=policy)

    def _evidence(self, result: RunResult) -> ConnectionEvidence:
        """Return what the last request showed of the platform, and the error of the store."""
        error = result.error
        evidence = ConnectionEvidence(
            access_refused=error if result.needs_authorisation else None,
            may_be_closed=error is not None and is_about_opening(error),
        )
        if self._last_verdict is None:
            return evidence
        last_error = self._last_verdict.error
        if type(last_error) is OutageError:
            evidence.outage = last_error.record()
        else:
            evidence.answered = True
        if isinstance(last_error, RateLimitError):
            evidence.hold = last_error.retry_after or 0.0
        return evidence

    # ------------------------------------------------------------------ the flow's commands

    def _execute(self, command: Command) -> object:
        limits = self._opened.connection.limits
        is_import = isinstance(command, ImportMenu)
        self._begin_step(limits.menu_import if is_import else limits.answer)
        match command:
            case Record(event):
                self._record(event)
            case Transmit():
                return self._transmit(command)
            case Suspend(seconds):
                raise _Suspended(seconds)
            case ImportMenu():
                return self._import_menu()
            case Announce("reauthorisation_needed"):
                # Announced once for the connection, not for each order: see `connection_state`.
                pass
            case Announce(hook, facts):
                self._hook_calls.append((hook, facts))
            case _:
                return self._opened.executor.execute(command)
        return None

    def _record(self, event: Event) -> None:
        """Keep an event.

        It is written, with all before it, if it precedes a request with an effect.
        """
        self._unwritten.append((event, self._exchange))
        self._exchange = None
        order_event = event.event if isinstance(event, OfTicket) else event
        if isinstance(order_event, Intended):
            self._write()

    def _write(self) -> None:
        """Write the events kept so far. Raises `LeaseLostError` if the claim is lost."""
        if self._unwritten:
            with self._claims.recording(
                self._claim, self._unwritten, self._clock(), new_request=False
            ):
                pass
        self._unwritten = []

    @cached_property
    def _hide(self) -> Hide:
        """What masks the order's customer in the transcripts of its requests."""
        return hider(self._claim.order, self._opened.adapter.config)

    def _transmit(self, transmit: Transmit) -> Transmission:
        """Send a request.

        One that can change the order is sent only while the lease is certain, and a redacted copy
        of the exchange goes into the journal.
        """
        request = transmit.request
        if request.effect is Effect.NONE and self._has_just_answered:
            return self._read(transmit)
        credentials = self._opened.credentials.current
        if request.effect.counts:
            self._heartbeat.check(self._claim.worker)
        answer = self._opened.transport.send(request, credentials)
        if request.effect.counts:
            self._exchange = transcript(self._opened.adapter, request, answer, self._hide)
        self._last_verdict = transmit.judge(answer)
        return Transmission(self._last_verdict, 1, credentials)

    @property
    def _has_just_answered(self) -> bool:
        return self._last_verdict is not None and self._last_verdict.reply is not None

    def _read(self, transmit: Transmit) -> Transmission:
        """Send a read, and again if it fails."""
        sends = SHORT_RETRIES.retries + 1
        self._begin_step(sends * self._opened.connection.limits.answer + SHORT_RETRIES.seconds)
        transmission = self._opened.executor.transmit(transmit)
        self._last_verdict = transmission.verdict
        return transmission

    def _import_menu(self) -> MenuImport:
        """Import the menu, once for all workers; wait while another worker imports it."""
        self._write()
        try:
            return import_shared_menu(self._opened, self._menus, self._claim.worker)
        except MenuImportRunning:
            raise _Suspended(IMPORT_RETRY, WaitsFor.IMPORT) from None


def _crashed(claim: Claim) -> str:
    return f"{claim.crash_count} workers in a row died while they processed this order"
