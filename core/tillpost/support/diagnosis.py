"""The order isn't on the register: which hop failed, and what to do? A pure function over what is known.

An order makes three hops: the site captures it, the platform takes it, the register shows it.
`diagnose` says at which it is stuck, on what evidence, and lists the runbook's steps, each with who
does it and what they should see. Who asks gathers the facts first: the outbox's journal, a live
`fetch`, a `check`, the connection's own state.

The platform's 201 is not the register's: an order that the platform has is at hop 3 until the
register has shown it. Nor is a provider accused of what may be our own network's fault.
`three_hops` is the same answer as three steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from tillpost.adapter.readiness import Readiness, Reason
from tillpost.errors import ErrorRecord, Outcome, PosError
from tillpost.errors.remedies import Actor, StepText
from tillpost.models.base import FrozenModel
from tillpost.models.order import PosOrder, PosState
from tillpost.models.outage import Outage, Whose
from tillpost.support.runbook import (
    BY_HAND,
    FIND_AND_ACCEPT,
    HANDLE_HERE,
    KITCHEN,
    OWN_NETWORK,
    PAID_BACK,
    PROVIDER,
    RECONNECT,
    REFUND,
    REGISTER,
    RESUBMIT,
    SUPPORT,
    UNREACHED,
    WITHDRAWN,
    WORKER,
    Step,
    numbered,
)

__all__ = ["Diagnosis", "Facts", "Hop", "HopState", "HopStatus", "diagnose", "three_hops"]


class Hop(StrEnum):
    """Where an order is stuck: still with us, at the platform, before the register, or nowhere."""

    CAPTURED = "captured"
    PLATFORM = "platform"
    REGISTER = "register"
    NONE = "none"


class Diagnosis(FrozenModel):
    """Which hop failed, with which kind of error (empty for none), on what evidence, and what to do, in order."""

    order: str
    hop: Hop
    error: str
    evidence: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def well(self) -> bool:
        """Whether nobody has to do anything: it is on the register, or on its way there, or was taken back by us."""
        return not self.error and (self.hop is Hop.NONE or not self.steps)


class HopStatus(StrEnum):
    """What is known of one hop. `FAILED`: it is here that the order is stuck."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class HopState(FrozenModel):
    """One of the three hops, in words for people, and what is known of it."""

    hop: Hop
    text: str
    status: HopStatus


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an order and its connection. Times are epoch seconds.

    `state` and `waits_for` are the outbox's words for where the order stands and what it waits for.
    `live` is what the platform says of it now, `live_error` why it couldn't be asked; `readiness`
    likewise of the store. `outage` stops the connection's orders, or this one. `paused`: the
    connection waits for an authorisation. `workers`: how many give signs of life. `settled`: nobody
    has to act on the order any more. `expected_at` is by when its register should show it; None
    when that has passed, or isn't known.
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
    def there(self) -> PosOrder | None:
        """The order as the platform has it: now, else as it was last seen."""
        return self.live or self.pos_order

    @property
    def in_doubt(self) -> bool:
        """Whether nobody knows if the platform has it: a request may have made it."""
        return self.there is None and (
            self.waits_for == "look"
            or (self.error is not None and self.error.outcome is Outcome.UNKNOWN)
        )

    @property
    def is_early(self) -> bool:
        """Whether the register needn't show it yet."""
        return (
            self.expected_at is not None
            and self.now < self.expected_at
            and not self.register_offline
        )

    @property
    def register_offline(self) -> bool:
        """Whether the store's register was seen to be offline."""
        findings = self.readiness.findings if self.readiness else ()
        return any(finding.stops is Reason.REGISTER_OFFLINE for finding in findings)

    def stopped_by(self, whose: Whose) -> bool:
        """Whether an outage that is so-and-so's keeps the order from going."""
        failed = (
            self.state == "error" and self.error is not None and self.error.kind == "OutageError"
        )
        held_up = self.state == "due" and not self.paused
        return (failed or held_up) and self.outage is not None and self.outage.whose is whose


def diagnose(facts: Facts) -> Diagnosis:
    """Say which hop failed, and what to do. The first row of the table that fits is the answer."""
    row = _row(facts)
    return Diagnosis(
        order=facts.order_id,
        hop=row.hop,
        error=row.error(facts),
        evidence=(row.says.format(title=facts.title), *_evidence(facts)),
        steps=numbered(
            row.steps(facts),
            platform=facts.title,
            order=facts.order_id,
            connection=facts.connection,
        ),
    )


def three_hops(facts: Facts) -> tuple[HopState, HopState, HopState]:
    """Return the three hops in their order, each done, failed here, or unknown."""
    stuck, there = _row(facts).hop, facts.there
    shown = facts.state in ("accepted", "rejected") or (there is not None and there.state in _SHOWN)
    failed_there = stuck is Hop.PLATFORM and not facts.in_doubt
    return (
        _hop(
            Hop.CAPTURED,
            "Captured, and sent on",
            failed=stuck is Hop.CAPTURED,
            done=stuck is not Hop.CAPTURED,
        ),
        _hop(
            Hop.PLATFORM,
            f"Taken by {facts.title}",
            failed=failed_there,
            done=there is not None or shown,
        ),
        _hop(
            Hop.REGISTER,
            "Shown on the register",
            failed=stuck is Hop.REGISTER and not facts.is_early,
            done=shown,
        ),
    )


_SHOWN = (PosState.ACCEPTED, PosState.REJECTED)


def _hop(hop: Hop, text: str, *, failed: bool, done: bool) -> HopState:
    status = HopStatus.FAILED if failed else HopStatus.DONE if done else HopStatus.UNKNOWN
    return HopState(hop=hop, text=text, status=status)


def _row(facts: Facts) -> _Row:
    return next(row for row in _ROWS if row.fits(facts))


@dataclass(frozen=True, slots=True)
class _Row:
    fits: Callable[[Facts], bool]
    hop: Hop
    says: str
    steps: Callable[[Facts], Sequence[StepText]]
    error: Callable[[Facts], str] = lambda facts: facts.error.kind if facts.error else ""


def _state(*states: PosState) -> Callable[[Facts], bool]:
    return lambda facts: facts.there is not None and facts.there.state in states


def _is(*states: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.state in states


def _settled(state: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.settled and facts.state == state


def _waits(*reasons: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.state == "due" and facts.waits_for in reasons


def _none(_: Facts) -> Sequence[StepText]:
    return ()


def _refused(facts: Facts) -> Sequence[StepText]:
    """The runbook for a POS error: accept it, mend the cause, send it again, else by hand, else support."""
    mend = (*_found_by_check(facts), *_mend(facts, "The cause is mended."))
    return (FIND_AND_ACCEPT, *mend, RESUBMIT, *BY_HAND, SUPPORT)


def _waiting(facts: Facts) -> Sequence[StepText]:
    """What a person does while an order goes by itself as soon as it can."""
    return (FIND_AND_ACCEPT, *_mend(facts, "The order goes by itself."), *BY_HAND, SUPPORT)


def _locked_out(facts: Facts) -> Sequence[StepText]:
    return (
        FIND_AND_ACCEPT,
        *_mend(facts, "It is clear who connects the store again."),
        RECONNECT,
        *BY_HAND,
        SUPPORT,
    )


def _failing(facts: Facts) -> Sequence[StepText]:
    return (
        FIND_AND_ACCEPT,
        PROVIDER,
        *_mend(facts, "The order goes by itself."),
        *BY_HAND,
        SUPPORT,
    )


def _unreached(_: Facts) -> Sequence[StepText]:
    return (FIND_AND_ACCEPT, *UNREACHED, *BY_HAND, SUPPORT)


def _our_network(_: Facts) -> Sequence[StepText]:
    return (FIND_AND_ACCEPT, *OWN_NETWORK, *BY_HAND)


def _at_the_register(facts: Facts) -> Sequence[StepText]:
    return (*REGISTER, *facts.register_steps, HANDLE_HERE, SUPPORT)


def _register_refused(_: Facts) -> Sequence[StepText]:
    """The platform would hand it on, and refuses it as long as the register is offline."""
    return (FIND_AND_ACCEPT, *REGISTER[:2], RESUBMIT, *BY_HAND, SUPPORT)


def _correct(facts: Facts) -> Sequence[StepText]:
    return (*_mend(facts, "The order is right on the register."), SUPPORT)


def _mend(facts: Facts, seen: str) -> Sequence[StepText]:
    """Return what the order's error asks for, in the words of its remedy."""
    if facts.error is None:
        return ()
    remedy = PosError.from_record(facts.error).remedy
    return (StepText(remedy.actor, _literal(remedy.manager), seen),)


def _found_by_check(facts: Facts) -> Sequence[StepText]:
    """Return what the store has to mend by the look that was taken now: a refusal may say less of its cause."""
    stop = facts.readiness.stop if facts.readiness else None
    if stop is None or stop.actor is not Actor.STORE:
        return ()
    text = f"Mend what a check of the store finds: {stop.text}."
    return (
        StepText(Actor.STORE, _literal(text), "`tillpost check` finds nothing wrong any more."),
    )


def _literal(text: str) -> str:
    """Return a text in which nothing is to be filled in any more."""
    return text.replace("{", "{{").replace("}", "}}")


def _created_wrong(facts: Facts) -> bool:
    return (
        facts.state == "error"
        and facts.error is not None
        and facts.error.outcome is Outcome.CREATED
    )


def _never_left(facts: Facts) -> bool:
    """Whether the order never left us: the connection can't even be made here."""
    return facts.state == "error" and facts.error is not None and facts.error.operation == "connect"


def _unsent(facts: Facts) -> bool:
    """Whether it is high time that a worker did something for the order, and none is there."""
    now_due = facts.due_at is not None and facts.due_at <= facts.now and not facts.paused
    return facts.workers == 0 and (facts.state == "sending" or (facts.state == "due" and now_due))


def _is_kind(kind: str) -> Callable[[Facts], bool]:
    return lambda facts: (
        facts.state in ("due", "error") and facts.error is not None and facts.error.kind == kind
    )


def _either(*fits: Callable[[Facts], bool]) -> Callable[[Facts], bool]:
    return lambda facts: any(fit(facts) for fit in fits)


def _named(kind: str) -> Callable[[Facts], str]:
    return lambda _: kind


_received = _either(_is("received"), _state(PosState.RECEIVED))

_PERMISSIONS = _named("PermissionsError")
_OUTAGE = _named("OutageError")
_REJECTED = _named("OrderError")

_ROWS: tuple[_Row, ...] = (
    _Row(_is("manual"), Hop.NONE, "It was taken over by hand.", _none),
    _Row(_settled("cancelled"), Hop.NONE, "It was withdrawn.", _none, _named("")),
    _Row(
        _settled("rejected"),
        Hop.NONE,
        "Staff turned it down; the customer was told, and paid back.",
        _none,
        _named(""),
    ),
    _Row(
        _either(_is("rejected"), _state(PosState.REJECTED)),
        Hop.NONE,
        "Staff turned it down at the register.",
        lambda facts: (*REFUND, PAID_BACK) if facts.state == "rejected" else REFUND,
        _REJECTED,
    ),
    _Row(
        _either(_is("cancelled"), _state(PosState.CANCELLED)),
        Hop.NONE,
        "It was withdrawn at {title}, and not by us.",
        lambda facts: (*WITHDRAWN, PAID_BACK) if facts.state == "cancelled" else WITHDRAWN,
        _REJECTED,
    ),
    _Row(
        _created_wrong, Hop.NONE, "{title} has it, but not as the customer paid for it.", _correct
    ),
    _Row(
        _either(_is("accepted"), _state(PosState.ACCEPTED)),
        Hop.NONE,
        "The register has shown that it has it.",
        lambda _: KITCHEN,
        _named(""),
    ),
    _Row(
        lambda facts: facts.is_early and _received(facts),
        Hop.REGISTER,
        "{title} has it; the register hasn't shown it yet, which may take some minutes.",
        _at_the_register,
    ),
    _Row(
        _received,
        Hop.REGISTER,
        "{title} has it; the register has shown no sign of it.",
        _at_the_register,
        lambda facts: "RegisterOfflineError" if facts.register_offline else "",
    ),
    _Row(
        _unsent,
        Hop.CAPTURED,
        "It was captured, and nobody is sending it: no worker is at work.",
        lambda _: WORKER,
    ),
    _Row(_is("sending"), Hop.NONE, "It is being sent at this moment.", _none, _named("")),
    _Row(_never_left, Hop.CAPTURED, "It never left: the connection can't be made here.", _refused),
    _Row(_waits("time"), Hop.NONE, "It is scheduled, and goes before it is due.", _none),
    _Row(
        lambda facts: facts.stopped_by(Whose.OURS),
        Hop.CAPTURED,
        "No platform can be reached from here: our own network is at fault.",
        _our_network,
        _OUTAGE,
    ),
    _Row(
        lambda facts: facts.stopped_by(Whose.UNKNOWN),
        Hop.CAPTURED,
        "No connection to {title} comes about; whether that is its fault or our own network's, nothing tells yet.",
        _unreached,
        _OUTAGE,
    ),
    _Row(
        _is_kind("RegisterOfflineError"),
        Hop.REGISTER,
        "{title} says that the store's register is offline, and doesn't take the order until it is back.",
        _register_refused,
    ),
    _Row(_is_kind("PermissionsError"), Hop.PLATFORM, "{title} doesn't let us in.", _locked_out),
    _Row(
        lambda facts: facts.state == "error" and facts.in_doubt,
        Hop.PLATFORM,
        "It isn't certain whether {title} has it.",
        _refused,
    ),
    _Row(
        _is("error"),
        Hop.PLATFORM,
        "{title} hasn't taken it, so it can't be on the register.",
        _refused,
    ),
    _Row(
        lambda facts: facts.paused,
        Hop.PLATFORM,
        "{title} doesn't let us in; all orders of this connection wait.",
        _locked_out,
        _PERMISSIONS,
    ),
    _Row(
        lambda facts: facts.stopped_by(Whose.PLATFORM),
        Hop.PLATFORM,
        "{title} is failing; the orders go when that is over.",
        _failing,
        _OUTAGE,
    ),
    _Row(
        _waits("look"),
        Hop.PLATFORM,
        "It isn't certain whether {title} has it; it is looked for before it is sent again.",
        _waiting,
        lambda facts: facts.error.kind if facts.error else "DoubtError",
    ),
    _Row(
        lambda facts: facts.waits_for == "import" and facts.error is None,
        Hop.CAPTURED,
        "It waits for the menu, which another worker is importing.",
        _none,
    ),
    _Row(
        _waits("retry", "opening", "import"),
        Hop.PLATFORM,
        "{title} didn't take it; it is tried again.",
        _waiting,
    ),
    _Row(lambda _: True, Hop.CAPTURED, "It was captured, and its turn hasn't come yet.", _none),
)


def _evidence(facts: Facts) -> tuple[str, ...]:
    """Return what is known, a sentence each, the most telling first."""
    error, live = facts.error, facts.live
    said = [str(PosError.from_record(error))] if error else []
    if live:
        said.append(f"{facts.title} says of it now: {live.status or live.state}")
    if facts.live_error:
        said.append(f"{facts.title} couldn't be asked about it: {facts.live_error.detail}")
    if facts.readiness:
        said += [finding.text for finding in facts.readiness.findings if not finding.ok]
    if facts.state == "due" and facts.workers == 0:
        said.append("No worker gives a sign of life")
    if facts.outage:
        said.append(
            f"Its orders have failed for want of an answer since {_time(facts.outage.began_at)}"
        )
    if facts.due_at is not None and not facts.paused:
        said.append(f"It goes on by itself at {_time(facts.due_at)}")
    said.append(f"It was captured at {_time(facts.added_at)}")
    return tuple(said)


def _time(at: float) -> str:
    """Say a time as people here have it on their clocks, with its zone: who reads it may be elsewhere."""
    return datetime.fromtimestamp(at, UTC).astimezone().isoformat(sep=" ", timespec="seconds")
