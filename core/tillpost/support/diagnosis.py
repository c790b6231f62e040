"""Diagnose why an order isn't on the register: which hop failed, and what to do.

An order makes three hops: the ordering site captures it, the platform accepts it, and the register
shows it. `diagnose` is a pure function from `Facts` to a `Diagnosis`: the hop that failed, the
evidence, and the steps to take. `three_hops` gives the same answer as three steps. Callers collect
the facts first; for an order in the outbox, `outbox.operations.diagnosis.gather_facts` does.

Two rules hold throughout. An order that the platform received counts as shown on the register only
once the register or its staff have acted on it. A provider is blamed only when the fault can't be
our own network's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tillpost.adapter.readiness import Readiness, Reason
from tillpost.errors import ErrorRecord, Outcome, PosError
from tillpost.errors.remedies import Actor, StepText
from tillpost.models.base import FrozenModel
from tillpost.models.local_time import local_time
from tillpost.models.order import PosOrder, PosState
from tillpost.models.outage import Outage, Whose
from tillpost.support.runbook import (
    CLOSE_ORDER,
    CONTACT_SUPPORT,
    FIND_AND_ACCEPT,
    FIX_OWN_NETWORK,
    HANDLE_BY_HAND,
    HANDLE_WITHDRAWN,
    LOCATE_OUTAGE,
    PROCEED_WITHOUT_REGISTER,
    RECONNECT,
    REFUND,
    REPORT_OUTAGE,
    RESUBMIT,
    START_WORKER,
    WAKE_REGISTER,
    WHY_NO_DOCKET,
    Step,
    numbered,
)

__all__ = ["Diagnosis", "Facts", "Hop", "HopState", "HopStatus", "diagnose", "three_hops"]


class Hop(StrEnum):
    """The hop at which an order is stuck.

    Attributes:
        CAPTURED: The ordering site has it and hasn't sent it.
        PLATFORM: The platform hasn't accepted it.
        REGISTER: The platform has it and the register hasn't shown it.
        NONE: No hop has failed.
    """

    CAPTURED = "captured"
    PLATFORM = "platform"
    REGISTER = "register"
    NONE = "none"


class Diagnosis(FrozenModel):
    """Why an order isn't on the register, and what to do.

    Attributes:
        order: The order's id.
        hop: The hop that failed.
        error: The class of the error; empty for none.
        evidence: What is known, one sentence each, the conclusion first.
        steps: What to do, in this order.
    """

    order: str
    hop: Hop
    error: str
    evidence: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def well(self) -> bool:
        """Whether nobody has to act: the order is on the register, on its way, or closed."""
        return not self.error and (self.hop is Hop.NONE or not self.steps)


class HopStatus(StrEnum):
    """The status of one hop. `FAILED` marks the hop at which the order is stuck."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class HopState(FrozenModel):
    """One of the three hops: its description for people, and its status."""

    hop: Hop
    text: str
    status: HopStatus


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an order and its connection. Times are epoch seconds.

    Attributes:
        order_id: The order's id.
        title: The platform's name for people.
        state: The order's state in the outbox.
        connection: The connection's name.
        waits_for: What the order waits for in the outbox; empty for nothing.
        added_at: When the order was captured.
        due_at: When the outbox continues with the order; None for never.
        now: The current time.
        error: The last error of the order.
        pos_order: The order at the platform, as last recorded.
        live: The order at the platform, as read just now.
        live_error: Why the platform couldn't be queried just now.
        readiness: The result of a store check just now.
        outage: The outage that holds up the connection or this order.
        paused: Whether the connection waits for authorisation.
        workers: How many workers have a heartbeat.
        settled: Whether nobody has to act on the order any more.
        expected_at: When the register should show it; None when that is past or unknown.
        register_steps: The adapter's own runbook steps for its register.
    """

    order_id: str
    title: str
    state: str
    connection: str = ""
    waits_for: str = ""
    added_at: float = 0.0
    due_at: float | None = None
    now: float = 0.0
    error: ErrorRecord | None = None
    pos_order: PosOrder | None = None
    live: PosOrder | None = None
    live_error: ErrorRecord | None = None
    readiness: Readiness | None = None
    outage: Outage | None = None
    paused: bool = False
    workers: int = 1
    settled: bool = False
    expected_at: float | None = None
    register_steps: Sequence[StepText] = ()

    @property
    def latest(self) -> PosOrder | None:
        """The order at the platform, as read just now or else as last recorded."""
        return self.live or self.pos_order

    @property
    def in_doubt(self) -> bool:
        """Whether a request may have created the order at the platform."""
        if self.latest is not None:
            return False
        if self.waits_for == "look":
            return True
        return self.error is not None and self.error.outcome is Outcome.UNKNOWN

    @property
    def is_early(self) -> bool:
        """Whether the register may still take its time to show the order."""
        if self.expected_at is None or self.register_offline:
            return False
        return self.now < self.expected_at

    @property
    def register_offline(self) -> bool:
        """Whether the store check found the register offline."""
        findings = self.readiness.findings if self.readiness else ()
        return any(finding.stops is Reason.REGISTER_OFFLINE for finding in findings)

    def stopped_by(self, whose: Whose) -> bool:
        """Return whether an outage that is `whose` fault keeps the order from being sent."""
        if self.outage is None or self.outage.whose is not whose:
            return False
        failed_with_outage = (
            self.state == "error" and self.error is not None and self.error.kind == "OutageError"
        )
        waits = self.state == "due" and not self.paused
        return failed_with_outage or waits


def diagnose(facts: Facts) -> Diagnosis:
    """Return which hop failed and what to do.

    The first row of `_ROWS` that matches the facts decides.
    """
    row = _matching_row(facts)
    conclusion = row.conclusion.format(title=facts.title)
    steps = numbered(
        row.steps(facts),
        platform=facts.title,
        order=facts.order_id,
        connection=facts.connection,
    )
    return Diagnosis(
        order=facts.order_id,
        hop=row.hop,
        error=row.error(facts),
        evidence=(conclusion, *_evidence(facts)),
        steps=steps,
    )


def three_hops(facts: Facts) -> tuple[HopState, HopState, HopState]:
    """Return the status of each of the three hops, in order."""
    failed = _matching_row(facts).hop
    latest = facts.latest
    shown_by_platform = latest is not None and latest.state in _SHOWN
    shown = facts.state in ("accepted", "rejected") or shown_by_platform
    captured = _hop_state(
        Hop.CAPTURED,
        "Captured, and sent on",
        failed=failed is Hop.CAPTURED,
        done=failed is not Hop.CAPTURED,
    )
    platform = _hop_state(
        Hop.PLATFORM,
        f"Received by {facts.title}",
        failed=failed is Hop.PLATFORM and not facts.in_doubt,
        done=latest is not None or shown,
    )
    register = _hop_state(
        Hop.REGISTER,
        "Shown on the register",
        failed=failed is Hop.REGISTER and not facts.is_early,
        done=shown,
    )
    return captured, platform, register


_SHOWN = (PosState.ACCEPTED, PosState.REJECTED)


def _hop_state(hop: Hop, text: str, *, failed: bool, done: bool) -> HopState:
    if failed:
        status = HopStatus.FAILED
    elif done:
        status = HopStatus.DONE
    else:
        status = HopStatus.UNKNOWN
    return HopState(hop=hop, text=text, status=status)


# The evidence


def _evidence(facts: Facts) -> tuple[str, ...]:
    """Return what is known, one sentence each, the most relevant first."""
    sentences: list[str] = []
    if facts.error:
        sentences.append(str(PosError.from_record(facts.error)))
    if facts.live:
        status = facts.live.status or facts.live.state
        sentences.append(f"{facts.title} reports it as: {status}")
    if facts.live_error:
        sentences.append(f"{facts.title} couldn't be queried about it: {facts.live_error.detail}")
    if facts.readiness:
        failed = [finding for finding in facts.readiness.findings if not finding.ok]
        sentences.extend(finding.text for finding in failed)
    if facts.state == "due" and facts.workers == 0:
        sentences.append("No worker has a heartbeat")
    if facts.outage:
        since = local_time(facts.outage.began_at, offset=True)
        sentences.append(f"The connection's orders have been failing since {since}")
    if facts.due_at is not None and not facts.paused:
        sentences.append(f"It continues automatically at {local_time(facts.due_at, offset=True)}")
    sentences.append(f"It was captured at {local_time(facts.added_at, offset=True)}")
    return tuple(sentences)


# The steps


def _no_steps(_: Facts) -> Sequence[StepText]:
    return ()


def _after_refusal(facts: Facts) -> Sequence[StepText]:
    """Return the steps after a refusal.

    Accept it, fix the cause, resubmit it; else handle it by hand; else contact support.
    """
    fixes = (*_fix_failed_check(facts), *_apply_remedy(facts, "The cause is fixed."))
    return (FIND_AND_ACCEPT, *fixes, RESUBMIT, *HANDLE_BY_HAND, CONTACT_SUPPORT)


def _while_waiting(facts: Facts) -> Sequence[StepText]:
    fixes = _apply_remedy(facts, "The order is sent automatically.")
    return (FIND_AND_ACCEPT, *fixes, *HANDLE_BY_HAND, CONTACT_SUPPORT)


def _when_locked_out(facts: Facts) -> Sequence[StepText]:
    fixes = _apply_remedy(facts, "It is agreed who reconnects the store.")
    return (FIND_AND_ACCEPT, *fixes, RECONNECT, *HANDLE_BY_HAND, CONTACT_SUPPORT)


def _during_provider_outage(facts: Facts) -> Sequence[StepText]:
    fixes = _apply_remedy(facts, "The order is sent automatically.")
    return (FIND_AND_ACCEPT, REPORT_OUTAGE, *fixes, *HANDLE_BY_HAND, CONTACT_SUPPORT)


def _during_unexplained_outage(_: Facts) -> Sequence[StepText]:
    return (FIND_AND_ACCEPT, *LOCATE_OUTAGE, *HANDLE_BY_HAND, CONTACT_SUPPORT)


def _during_own_outage(_: Facts) -> Sequence[StepText]:
    return (FIND_AND_ACCEPT, *FIX_OWN_NETWORK, *HANDLE_BY_HAND)


def _at_the_register(facts: Facts) -> Sequence[StepText]:
    return (*WAKE_REGISTER, *facts.register_steps, PROCEED_WITHOUT_REGISTER, CONTACT_SUPPORT)


def _when_register_refused(_: Facts) -> Sequence[StepText]:
    # Syncing the app is left out: the platform has no order that the register could fetch.
    switch_on, check_connection, *_rest = WAKE_REGISTER
    return (
        FIND_AND_ACCEPT,
        switch_on,
        check_connection,
        RESUBMIT,
        *HANDLE_BY_HAND,
        CONTACT_SUPPORT,
    )


def _correct_at_register(facts: Facts) -> Sequence[StepText]:
    return (*_apply_remedy(facts, "The order is correct on the register."), CONTACT_SUPPORT)


def _after_rejection(facts: Facts) -> Sequence[StepText]:
    # The outbox can close the order only once it knows of the rejection itself.
    if facts.state == "rejected":
        return (REFUND, CLOSE_ORDER)
    return (REFUND,)


def _after_withdrawal(facts: Facts) -> Sequence[StepText]:
    known = facts.state == "cancelled"
    if known:
        return (HANDLE_WITHDRAWN, CLOSE_ORDER)
    return (HANDLE_WITHDRAWN,)


def _worker_steps(_: Facts) -> Sequence[StepText]:
    return START_WORKER


def _kitchen_steps(_: Facts) -> Sequence[StepText]:
    return WHY_NO_DOCKET


def _apply_remedy(facts: Facts, expected: str) -> Sequence[StepText]:
    """Return the remedy of the order's error as a step, or nothing without an error."""
    if facts.error is None:
        return ()
    remedy = PosError.from_record(facts.error).remedy
    return (StepText(remedy.actor, _escape(remedy.manager), expected),)


def _fix_failed_check(facts: Facts) -> Sequence[StepText]:
    """Return what the store has to fix according to the store check.

    A platform's refusal may say less about its cause than the check does.
    """
    finding = facts.readiness.stop if facts.readiness else None
    if finding is None or finding.actor is not Actor.STORE:
        return ()
    text = f"Fix the problem that a check of the store found: {finding.text}."
    return (StepText(Actor.STORE, _escape(text), "`tillpost check` finds no problem any more."),)


def _escape(text: str) -> str:
    """Return a text that `str.format_map` leaves unchanged."""
    return text.replace("{", "{{").replace("}", "}}")


# The conditions

Condition = Callable[[Facts], bool]


def _state_is(*states: str) -> Condition:
    return lambda facts: facts.state in states


def _latest_is(*states: PosState) -> Condition:
    return lambda facts: facts.latest is not None and facts.latest.state in states


def _settled_as(state: str) -> Condition:
    return lambda facts: facts.settled and facts.state == state


def _waits_for(*reasons: str) -> Condition:
    return lambda facts: facts.state == "due" and facts.waits_for in reasons


def _stopped_by(whose: Whose) -> Condition:
    return lambda facts: facts.stopped_by(whose)


def _failed_with(kind: str) -> Condition:
    def matches(facts: Facts) -> bool:
        waits_or_stopped = facts.state in ("due", "error")
        return waits_or_stopped and facts.error is not None and facts.error.kind == kind

    return matches


def _any_of(*conditions: Condition) -> Condition:
    return lambda facts: any(matches(facts) for matches in conditions)


def _always(_: Facts) -> bool:
    return True


def _is_paused(facts: Facts) -> bool:
    return facts.paused


def _created_wrong(facts: Facts) -> bool:
    if facts.state != "error" or facts.error is None:
        return False
    return facts.error.outcome is Outcome.CREATED


def _never_sent(facts: Facts) -> bool:
    """Return whether the connection's own settings prevented every request."""
    return facts.state == "error" and facts.error is not None and facts.error.operation == "connect"


def _needs_worker(facts: Facts) -> bool:
    """Return whether the order is due or being sent while no worker has a heartbeat."""
    is_due = facts.due_at is not None and facts.due_at <= facts.now and not facts.paused
    needs_worker = facts.state == "sending" or (facts.state == "due" and is_due)
    return needs_worker and facts.workers == 0


def _stopped_in_doubt(facts: Facts) -> bool:
    return facts.state == "error" and facts.in_doubt


def _waits_for_menu(facts: Facts) -> bool:
    return facts.waits_for == "import" and facts.error is None


_received = _any_of(_state_is("received"), _latest_is(PosState.RECEIVED))


def _received_early(facts: Facts) -> bool:
    return facts.is_early and _received(facts)


# The classes of errors


def _error_kind(facts: Facts) -> str:
    if not facts.error:
        return ""
    return facts.error.kind


def _error_kind_or_doubt(facts: Facts) -> str:
    if not facts.error:
        return "DoubtError"
    return facts.error.kind


def _offline_or_none(facts: Facts) -> str:
    return "RegisterOfflineError" if facts.register_offline else ""


def _always_kind(kind: str) -> Callable[[Facts], str]:
    return lambda _: kind


_NO_ERROR = _always_kind("")
_PERMISSIONS = _always_kind("PermissionsError")
_OUTAGE = _always_kind("OutageError")
_ORDER_ERROR = _always_kind("OrderError")


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table: its condition, and the diagnosis when it matches.

    Attributes:
        matches: Whether the row applies to the facts.
        hop: The hop that failed.
        conclusion: The first sentence of the evidence; `{title}` is the platform's name.
        steps: Returns the steps to take.
        error: Returns the class of the error; empty for none.
    """

    matches: Condition
    hop: Hop
    conclusion: str
    steps: Callable[[Facts], Sequence[StepText]]
    error: Callable[[Facts], str] = _error_kind


def _matching_row(facts: Facts) -> _Row:
    return next(row for row in _ROWS if row.matches(facts))


_ROWS: tuple[_Row, ...] = (
    _Row(_state_is("manual"), Hop.NONE, "It is handled by hand.", _no_steps),
    _Row(_settled_as("cancelled"), Hop.NONE, "It was cancelled.", _no_steps, _NO_ERROR),
    _Row(
        _settled_as("rejected"),
        Hop.NONE,
        "Staff rejected it, and the order is closed.",
        _no_steps,
        _NO_ERROR,
    ),
    _Row(
        _any_of(_state_is("rejected"), _latest_is(PosState.REJECTED)),
        Hop.NONE,
        "Staff rejected it at the register.",
        _after_rejection,
        _ORDER_ERROR,
    ),
    _Row(
        _any_of(_state_is("cancelled"), _latest_is(PosState.CANCELLED)),
        Hop.NONE,
        "It was cancelled in {title}, not by the ordering site.",
        _after_withdrawal,
        _ORDER_ERROR,
    ),
    _Row(
        _created_wrong,
        Hop.NONE,
        "{title} has it, but it differs from what the customer paid for.",
        _correct_at_register,
    ),
    _Row(
        _any_of(_state_is("accepted"), _latest_is(PosState.ACCEPTED)),
        Hop.NONE,
        "The register has confirmed it.",
        _kitchen_steps,
        _NO_ERROR,
    ),
    _Row(
        _received_early,
        Hop.REGISTER,
        "{title} has it. The register hasn't confirmed it yet, which can take some minutes.",
        _at_the_register,
    ),
    _Row(
        _received,
        Hop.REGISTER,
        "{title} has it. The register hasn't confirmed it.",
        _at_the_register,
        _offline_or_none,
    ),
    _Row(
        _needs_worker,
        Hop.CAPTURED,
        "It was captured but isn't being sent: no worker is running.",
        _worker_steps,
    ),
    _Row(_state_is("sending"), Hop.NONE, "It is being sent right now.", _no_steps, _NO_ERROR),
    _Row(
        _never_sent,
        Hop.CAPTURED,
        "It was never sent: the connection can't be opened.",
        _after_refusal,
    ),
    _Row(
        _waits_for("time"),
        Hop.NONE,
        "It is scheduled, and will be sent before it is due.",
        _no_steps,
    ),
    _Row(
        _stopped_by(Whose.OURS),
        Hop.CAPTURED,
        "No platform can be reached from this machine: our own network is at fault.",
        _during_own_outage,
        _OUTAGE,
    ),
    _Row(
        _stopped_by(Whose.UNKNOWN),
        Hop.CAPTURED,
        "Cannot connect to {title}. The cause isn't known yet.",
        _during_unexplained_outage,
        _OUTAGE,
    ),
    _Row(
        _failed_with("RegisterOfflineError"),
        Hop.REGISTER,
        "{title} reports the store's register as offline, and refuses the order until it is back.",
        _when_register_refused,
    ),
    _Row(
        _failed_with("PermissionsError"),
        Hop.PLATFORM,
        "{title} rejects the connection's access.",
        _when_locked_out,
    ),
    _Row(
        _stopped_in_doubt,
        Hop.PLATFORM,
        "It isn't certain whether {title} has it.",
        _after_refusal,
    ),
    _Row(
        _state_is("error"),
        Hop.PLATFORM,
        "{title} hasn't accepted it, so it can't be on the register.",
        _after_refusal,
    ),
    _Row(
        _is_paused,
        Hop.PLATFORM,
        "{title} rejects the connection's access. All of its orders wait.",
        _when_locked_out,
        _PERMISSIONS,
    ),
    _Row(
        _stopped_by(Whose.PLATFORM),
        Hop.PLATFORM,
        "{title} is failing. The orders are sent once it has recovered.",
        _during_provider_outage,
        _OUTAGE,
    ),
    _Row(
        _waits_for("look"),
        Hop.PLATFORM,
        "It isn't certain whether {title} has it. It is looked up before it is sent again.",
        _while_waiting,
        _error_kind_or_doubt,
    ),
    _Row(
        _waits_for_menu,
        Hop.CAPTURED,
        "It waits for the menu, which another worker is importing.",
        _no_steps,
    ),
    _Row(
        _waits_for("retry", "opening", "import"),
        Hop.PLATFORM,
        "{title} didn't accept it. It will be retried.",
        _while_waiting,
    ),
    _Row(_always, Hop.CAPTURED, "It was captured and waits for its turn.", _no_steps),
)
"""The diagnoses, in order of precedence."""
