"""One order in a worker's hands: the third driver of the flow of `submission`, over the journal in the database.

`OutboxTill.handle` carries out the flow's commands for a claim until the flow ends or wants to
rest, and returns how it stands then: an `RunResult`. What was noted is written before a request
that can change the order's fate leaves, together with the worker's right to send it; the rest is
written with the ending. It doesn't sleep through a rest, and sends each request once: when to go on
is the journal's to say.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tillpost.adapter.base import Verdict
from tillpost.adapter.readiness import Finding, Readiness
from tillpost.adapter.webhooks import WebhookEvent
from tillpost.errors import (
    ErrorRecord,
    OutageError,
    Outcome,
    PermissionsError,
    PosError,
    RateLimitError,
    StoreClosedError,
    Transcript,
    UnknownPosError,
)
from tillpost.models.availability import Reason
from tillpost.models.order import PosOrder
from tillpost.outbox.connections.token_refresh import RenewedTill
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.orders.claims import SET_ASIDE_AFTER, Claim
from tillpost.outbox.orders.models import OrderState, WaitsFor, state_of
from tillpost.submission.attention_ticket import Ticketing
from tillpost.submission.commands import (
    Announce,
    Command,
    ImportMenu,
    Record,
    Sending,
    Suspend,
    Transmit,
)
from tillpost.submission.context import MenuCache
from tillpost.submission.flow import Submission
from tillpost.submission.history import History, fold
from tillpost.submission.journal import Event, Intended, OfTicket
from tillpost.submission.menu_import import MenuImport, importing
from tillpost.submission.operation import OperationContext, drive
from tillpost.submission.policy import Policy
from tillpost.transport.http import HttpTransport, Limits

__all__ = ["Hands", "Look", "MenuImportRunning", "OutboxTill", "RunResult"]

HOLD_OPEN = 300.0
"""A scheduled order that a closed store refuses is tried again so many seconds later, until it is due."""

REPEATS, PATIENCE = 2, 10.0
"""So often, and for so many seconds, a request that isn't the order's own (a menu's page, a refresh) is repeated."""

BRIEFLY = Limits(connect=2.0, read=4.0, answer=5.0)
"""How long the answer to a look at an order may take; who asked goes on to other things then."""

IMPORT_AGAIN = 1.0
"""An order that waits for another worker's import looks again after so many seconds."""


class Hands(Protocol):
    """What a handling needs of the worker: to write, to be sure of its right, and to import."""

    def keep(self, claim: Claim, happened: Sequence[tuple[Event, Transcript | None]]) -> None:
        """Write events; raise `LeaseLostError` when the order isn't the worker's any more."""
        ...

    def check(self, claim: Claim) -> None:
        """Raise `LeaseLostError` unless the worker may act for the order now."""
        ...

    def import_menu(self, claim: Claim) -> MenuImport:
        """Import the connection's menu, once for all workers. Raises `MenuImportRunning`, or the platform's `PosError`."""
        ...


@dataclass(slots=True)
class RunResult:
    """How an order stands when it is laid down.

    `rest` is in how many seconds it is due again, None when nothing is due by itself. `suspended_until`
    is the same on the flow's own clock. `outage` is how the last request failed, if that was the
    platform's failure as a whole, and `answered` says that it was answered; `hold` keeps all of the
    connection's orders back for so many seconds. `pause`: the platform doesn't let us in. `ticket`
    is the attention ticket that stands at the platform. `announced` are the hooks to be called once
    this is on disk.
    """

    state: OrderState
    waits_for: WaitsFor = WaitsFor.NOTHING
    rest: float | None = None
    suspended_until: float = 0.0
    new_request: bool = False
    error: ErrorRecord | None = None
    pos_order: PosOrder | None = None
    outage: ErrorRecord | None = None
    answered: bool = False
    hold: float = 0.0
    pause: bool = False
    ticket: PosOrder | None = None
    happened: Sequence[tuple[Event, Transcript | None]] = ()
    announced: Sequence[tuple[str, Mapping[str, object]]] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a store found. `refused`: the platform doesn't let us in. `hold` is as in `RunResult`."""

    readiness: Readiness
    refused: PosError | None = None
    hold: float = 0.0


class _Resting(Exception):
    """The flow has nothing to do for some seconds."""

    def __init__(self, seconds: float, waits_for: WaitsFor | None = None) -> None:
        super().__init__(seconds)
        self.seconds = max(0.0, seconds)
        self.waits_for = waits_for


@dataclass(slots=True)
class _Handling:
    """What is kept while one order is in hand."""

    claim: Claim
    hands: Hands
    clock: Callable[[], float]
    happened: list[tuple[Event, Transcript | None]] = field(
        default_factory=list[tuple[Event, Transcript | None]]
    )
    announced: list[tuple[str, Mapping[str, object]]] = field(
        default_factory=list[tuple[str, Mapping[str, object]]]
    )
    exchange: Transcript | None = None
    last: Verdict | None = None

    def note(self, event: Event) -> None:
        """Take note of an event; one that announces a request with an effect is written, with all before it."""
        self.happened.append((event, self.exchange))
        self.exchange = None
        if isinstance(event.event if isinstance(event, OfTicket) else event, Intended):
            self.write()

    def write(self) -> None:
        """Write what was noted."""
        self.hands.keep(self.claim, self.happened)
        self.happened = []


def flow_clock(claim: Claim, now: Callable[[], float]) -> Callable[[], float]:
    """Return the clock of an order's flow: it never goes back behind what the journal has, and isn't set meanwhile.

    A store's machines don't agree to the second, and a clock may be set. What an order waits for is
    counted in seconds that really passed.
    """
    latest = max((event.at for event in claim.events), default=0.0)
    begun, start = max(now(), latest, claim.suspended_until), time.monotonic()
    return lambda: begun + time.monotonic() - start


class OutboxTill(RenewedTill):
    """A store's POS whose orders' journals stand in the outbox's database, and its tokens, where there is a key."""

    def handle(self, claim: Claim, hands: Hands, now: Callable[[], float]) -> RunResult:
        """Go on with an order until it has arrived, stands in error, or wants to rest."""
        work = _Handling(claim, hands, flow_clock(claim, now))
        connection = replace(self._connection, clock=work.clock, policy=self._patience(claim))
        submission = Submission(connection, claim.order, claim.events)
        flow = submission.flow(
            is_new=claim.is_new, resumed=not claim.new_request, asked_at=claim.eligible_at
        )
        try:
            if claim.crash_count >= SET_ASIDE_AFTER:
                deadly = OperationContext(
                    connection, "submit", claim.order, submission.history
                ).stamp(_deadly(claim))
                work.announced.append(("order_failed", {"order": claim.order, "error": deadly}))
                raise deadly
            there = self._conduct(flow, lambda command: self._carry_out_for(work, command))
            ending = RunResult(state_of(there), pos_order=there)
        except _Resting as rest:
            ending = _resting(submission.history, rest, work.clock())
        except PosError as error:
            ending = _stopped(claim, error, now())
            if ending.pause or claim.crash_count >= SET_ASIDE_AFTER:
                work.announced.append(("order_parked", {"order": claim.order, "error": error}))
        ending.happened, ending.announced = work.happened, work.announced
        ending.ticket = submission.history.ticket and submission.history.ticket.done
        if work.last:
            _tell_of_platform(ending, work.last.error)
        return ending

    def withdraw(
        self, claim: Claim, hands: Hands, now: Callable[[], float], pos_order: PosOrder
    ) -> Sequence[tuple[Event, Transcript | None]]:
        """Withdraw an order at the platform; return what is still to be kept. Raises the platform's `PosError`."""
        work = _Handling(claim, hands, flow_clock(claim, now))
        self._conduct(
            self._cancelling(pos_order), lambda command: self._carry_out_for(work, command)
        )
        return work.happened

    def withdraw_ticket(self, claim: Claim, hands: Hands, now: Callable[[], float]) -> bool:
        """Withdraw the order's attention ticket; return whether none is left, as far as is known."""
        work = _Handling(claim, hands, flow_clock(claim, now))
        connection = replace(self._connection, clock=work.clock)
        ticketing = Ticketing(connection, claim.order, fold(claim.events).ticket)
        gone = self._conduct(
            ticketing.withdraw(), lambda command: self._carry_out_for(work, command)
        )
        work.write()
        for hook, facts in work.announced:
            self.tell(hook, facts)
        return gone

    @property
    def title(self) -> str:
        """The platform's name for people."""
        return self._connection.adapter.title

    @property
    def proves_webhooks(self) -> bool:
        """Whether a webhook's signature proves what it says of an order."""
        return self._connection.adapter.webhooks_proved

    def claims_of(
        self, headers: Mapping[str, str], body: bytes, url: str
    ) -> tuple[WebhookEvent, ...]:
        """Return what a webhook claims, once it is proved to be the platform's. Raises `WebhookError`."""
        return self._read_webhook(headers, body, url)

    def believed(
        self, claims: Sequence[WebhookEvent], found: Mapping[str, PosOrder]
    ) -> tuple[WebhookEvent, ...]:
        """Return what is told of orders as they were `found`, by the platform's ids: one turned down, as refused."""
        return self._settled(claims, found, None)

    def stamped(self, error: PosError, operation: str) -> PosError:
        """Fill in whose an error is that was made here."""
        return OperationContext(self._connection, operation).stamp(error)

    def fetch_once(self, pos_id: str) -> PosOrder:
        """Return what the platform says of an order now: asked once, and briefly, since others wait meanwhile."""
        return self._conduct(self._fetching(pos_id), self._carry_out_briefly)

    def _carry_out_briefly(self, command: Command) -> object:
        if not isinstance(command, Transmit):
            return self._carry_out(command, "")
        credentials, line = (
            self._credentials,
            HttpTransport(self._client, self._connection.adapter, BRIEFLY),
        )
        return Sending(command.judge(line.send(command.request, credentials)), 1, credentials)

    @property
    def menu_cache(self) -> MenuCache:
        """The menu as this process knows it."""
        return self._connection.menu_cache

    def import_once(self) -> MenuImport:
        """Import the menu onto the shelf, unless the one there is young enough."""
        with self._import_lock:
            return self._run(importing(self._connection))

    def _transmit(self, transmit: Transmit) -> Sending:
        """Send a request that isn't the order's own, and again a few times: nobody sleeps through an outage here."""
        retries, patience = min(transmit.retries, REPEATS), min(transmit.patience, PATIENCE)
        return super()._transmit(Transmit(transmit.request, transmit.judge, retries, patience))

    def tell(self, hook: str, facts: Mapping[str, object]) -> None:
        """Call the plugins' hooks."""
        self._hooks.call(hook, facts)

    def look(self) -> Look:
        """Look whether the store can take orders now. Nothing is raised, and no hook is called, for what is found."""
        context, errors = OperationContext(self._connection, "check"), list[PosError]()

        def carry_out(command: Command) -> object:
            result = self._carry_out(command, "")
            if isinstance(result, Sending) and result.verdict.error:
                errors.append(result.verdict.error)
            return result

        try:
            readiness = self._conduct(drive(context, self._connection.adapter.check), carry_out)
        except PosError as error:
            readiness = Readiness(findings=(Finding.unseen("connection", error),))
        shut_out = readiness.stop is not None and readiness.stop.stops is Reason.UNAUTHORISED
        refused = next(
            (context.stamp(error) for error in errors if isinstance(error, PermissionsError)), None
        )
        hold = max(
            (error.retry_after or 0.0 for error in errors if isinstance(error, RateLimitError)),
            default=0.0,
        )
        return Look(readiness, refused if shut_out else None, hold)

    def fingerprint(self) -> str:
        """Return a mark of the credentials that says nothing of them but whether they are the same."""
        return hashlib.sha256("\n".join(self._credentials.secrets()).encode()).hexdigest()

    def _patience(self, claim: Claim) -> Policy:
        """Return the policy with which the order goes: it is tried at least until it is due."""
        policy, due = self._connection.policy, claim.order.due_at
        ahead = due.timestamp() - claim.eligible_at if due else 0.0
        return policy.model_copy(update={"retry_seconds": max(policy.retry_seconds, ahead)})

    def _carry_out_for(self, work: _Handling, command: Command) -> object:
        match command:
            case Record(event):
                work.note(event)
            case Transmit():
                return self._transmit_for(work, command)
            case Suspend(seconds):
                raise _Resting(seconds)
            case ImportMenu():
                work.write()
                try:
                    return work.hands.import_menu(work.claim)
                except MenuImportRunning:
                    raise _Resting(IMPORT_AGAIN, WaitsFor.IMPORT) from None
            case Announce("reauthorisation_needed"):
                pass  # once for the connection, not once an order: see the ending's `pause`
            case Announce(hook, facts):
                work.announced.append((hook, facts))
            case _:
                return self._carry_out(command, "")
        return None

    def _transmit_for(self, work: _Handling, transmit: Transmit) -> Sending:
        """Send a request once, when the worker surely may, and keep a redacted copy of what it does to the order."""
        request, credentials = transmit.request, self._credentials
        if request.effect.counts:
            work.hands.check(work.claim)
        answer = self._line.send(request, credentials)
        if request.effect.counts:
            work.exchange = self._connection.adapter.transcript(request, answer)
        work.last = transmit.judge(answer)
        return Sending(work.last, 1, credentials)


def _deadly(claim: Claim) -> PosError:
    return UnknownPosError(
        f"{claim.crash_count} workers in a row died while they had this order in hand"
    )


def _resting(history: History, rest: _Resting, at: float) -> RunResult:
    """Return how an order stands that wants to rest: why, and for how long."""
    failure = history.failure
    waits_for = rest.waits_for or (
        WaitsFor.RETRY if failure and failure.transient else WaitsFor.LOOK
    )
    error = failure.error if failure else None
    return RunResult(OrderState.DUE, waits_for, rest.seconds, at + rest.seconds, error=error)


def _tell_of_platform(ending: RunResult, error: PosError | None) -> None:
    """Add what the last request says of the platform as a whole, for the circuit that all its orders share."""
    if type(error) is OutageError:
        ending.outage = error.record()
    else:
        ending.answered = True
    if isinstance(error, RateLimitError):
        ending.hold = error.retry_after or 0.0


def _stopped(claim: Claim, error: PosError, now: float) -> RunResult:
    """Return how an order stands that the flow has given up."""
    record, due = error.record(), claim.order.due_at
    if isinstance(error, PermissionsError):
        return RunResult(
            OrderState.DUE, WaitsFor.AUTHORISATION, 0.0, new_request=True, error=record, pause=True
        )
    if (
        isinstance(error, StoreClosedError)
        and due
        and error.outcome is Outcome.NOT_CREATED
        and now < due.timestamp()
    ):
        wait = min(HOLD_OPEN, due.timestamp() - now)
        return RunResult(OrderState.DUE, WaitsFor.OPENING, wait, new_request=True, error=record)
    return RunResult(OrderState.ERROR, error=record, pos_order=error.pos_order)
