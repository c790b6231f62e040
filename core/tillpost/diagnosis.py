"""The order isn't on the register: which hop failed, and what to do? A pure function over what is known.

An order makes three hops: the site captures it, the platform takes it, the register shows it. `diagnose` says at which
it is stuck, on what evidence, and lists the runbook's steps, each with who does it and what they should see. Who asks
gathers the facts first: the outbox's journal, a live `fetch`, a `check`, the connection's own state.

The platform's 201 is not the register's: an order that the platform has is at hop 3 until the register has shown it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from tillpost.errors import ErrorRecord, Outcome, PosError
from tillpost.order import PosOrder, PosState
from tillpost.outages import Outage, Whose
from tillpost.readiness import Readiness
from tillpost.remedies import Actor
from tillpost.runbook import (
    BY_HAND,
    FIND_AND_ACCEPT,
    HANDLE_HERE,
    KITCHEN,
    OWN_NETWORK,
    REFUND,
    REGISTER,
    RESUBMIT,
    SUPPORT,
    WORKER,
    Step,
    StepText,
    numbered,
)
from tillpost.words import Word

__all__ = ["Diagnosis", "Facts", "Hop", "diagnose"]


class Hop(StrEnum):
    """Where an order is stuck: still with us, at the platform, before the register, or nowhere."""

    CAPTURED = "captured"
    PLATFORM = "platform"
    REGISTER = "register"
    NONE = "none"


class Diagnosis(Word):
    """Which hop failed, with which kind of error (empty for none), on what evidence, and what to do, in order."""

    order: str
    hop: Hop
    error: str
    evidence: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an order and its connection. Times are epoch seconds.

    `state` and `waits_for` are the outbox's words for where the order stands and what it waits for. `live` is what the
    platform says of it now, `live_error` why it couldn't be asked; `readiness` likewise of the store. `outage`: the
    connection's circuit is open. `paused`: it waits for an authorisation. `workers`: how many are at work.
    """

    order_id: str
    title: str
    state: str
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
    register_steps: Sequence[StepText] = ()

    @property
    def there(self) -> PosOrder | None:
        """The order as the platform has it: now, else as it was last seen."""
        return self.live or self.pos_order

    @property
    def is_ours(self) -> bool:
        """Whether our own network is at fault."""
        return self.outage is not None and self.outage.whose is Whose.OURS

    @property
    def register_offline(self) -> bool:
        """Whether the store's register was seen to be offline."""
        findings = self.readiness.findings if self.readiness else ()
        return any(not finding.ok and finding.actor is Actor.STORE for finding in findings)


def diagnose(facts: Facts) -> Diagnosis:
    """Say which hop failed, and what to do. The first row of the table that fits is the answer."""
    for row in _ROWS:
        if row.fits(facts):
            steps = row.steps(facts)
            return Diagnosis(
                order=facts.order_id,
                hop=row.hop,
                error=row.error(facts),
                evidence=(row.says.format(title=facts.title), *_evidence(facts)),
                steps=numbered(steps, platform=facts.title, order=facts.order_id),
            )
    raise AssertionError("the table's last row fits everything")


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


def _waits(*reasons: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.state == "due" and facts.waits_for in reasons


def _none(_: Facts) -> Sequence[StepText]:
    return ()


def _refused(facts: Facts) -> Sequence[StepText]:
    """The runbook for a POS error: accept it, mend the cause, send it again, else by hand, else support."""
    remedy = PosError.from_record(facts.error).remedy if facts.error else None
    mend = [StepText(remedy.actor, _literal(remedy.manager), "The cause is mended.")] if remedy else []
    return (FIND_AND_ACCEPT, *mend, RESUBMIT, *BY_HAND, SUPPORT)


def _waiting(facts: Facts) -> Sequence[StepText]:
    """What a person does while an order goes by itself as soon as it can."""
    return (FIND_AND_ACCEPT, *_remedied(facts), *BY_HAND, SUPPORT)


def _remedied(facts: Facts) -> Sequence[StepText]:
    if facts.error is None:
        return ()
    remedy = PosError.from_record(facts.error).remedy
    return (StepText(remedy.actor, _literal(remedy.manager), "The order goes by itself."),)


def _at_the_register(facts: Facts) -> Sequence[StepText]:
    return (*REGISTER, *facts.register_steps, HANDLE_HERE, SUPPORT)


def _correct(facts: Facts) -> Sequence[StepText]:
    return (*_remedied_once(facts), SUPPORT)


def _remedied_once(facts: Facts) -> Sequence[StepText]:
    remedy = PosError.from_record(facts.error).remedy if facts.error else None
    return [StepText(remedy.actor, _literal(remedy.manager), "The order is right on the register.")] if remedy else []


def _literal(text: str) -> str:
    """Return a text in which nothing is to be filled in any more."""
    return text.replace("{", "{{").replace("}", "}}")


def _created_wrong(facts: Facts) -> bool:
    return facts.state == "error" and facts.error is not None and facts.error.outcome is Outcome.CREATED


def _never_left(facts: Facts) -> bool:
    """Whether the order never left us: the connection can't even be made here."""
    return facts.state == "error" and facts.error is not None and facts.error.operation == "connect"


_KIND = "PermissionsError"

_ROWS: tuple[_Row, ...] = (
    _Row(_is("manual"), Hop.NONE, "It was taken over by hand.", _none),
    _Row(_is("sending"), Hop.NONE, "It is being sent at this moment.", _none),
    _Row(_state(PosState.REJECTED), Hop.NONE, "Staff rejected it at the register.", lambda _: REFUND),
    _Row(_is("rejected"), Hop.NONE, "Staff rejected it at the register.", lambda _: REFUND),
    _Row(_state(PosState.CANCELLED), Hop.NONE, "It was withdrawn at {title}.", _none),
    _Row(_is("cancelled"), Hop.NONE, "It was withdrawn.", _none),
    _Row(_created_wrong, Hop.NONE, "{title} has it, but not as the customer paid for it.", _correct),
    _Row(_state(PosState.ACCEPTED), Hop.NONE, "The register has shown that it has it.", lambda _: KITCHEN),
    _Row(_is("accepted"), Hop.NONE, "The register has shown that it has it.", lambda _: KITCHEN),
    _Row(
        _is("received"),
        Hop.REGISTER,
        "{title} has it; the register has shown no sign of it.",
        _at_the_register,
        lambda facts: "RegisterOfflineError" if facts.register_offline else "",
    ),
    _Row(_never_left, Hop.CAPTURED, "It never left: the connection can't be made here.", _refused),
    _Row(
        lambda facts: facts.is_ours and facts.state in ("due", "error"),
        Hop.CAPTURED,
        "No platform can be reached from here: our own network is at fault.",
        lambda _: OWN_NETWORK,
        lambda _: "OutageError",
    ),
    _Row(_is("error"), Hop.PLATFORM, "{title} doesn't have it, or not for certain.", _refused),
    _Row(_waits("time"), Hop.NONE, "It is scheduled, and goes before it is due.", _none),
    _Row(
        lambda facts: facts.state == "due" and facts.paused,
        Hop.PLATFORM,
        "{title} doesn't let us in; all orders of this connection wait.",
        _waiting,
        lambda _: _KIND,
    ),
    _Row(
        lambda facts: facts.state == "due" and facts.outage is not None,
        Hop.PLATFORM,
        "{title} is failing; the orders go when that is over.",
        _waiting,
        lambda _: "OutageError",
    ),
    _Row(_waits("authorisation"), Hop.PLATFORM, "{title} doesn't let us in.", _waiting, lambda _: _KIND),
    _Row(_waits("retry", "opening", "import"), Hop.PLATFORM, "{title} didn't take it; it is tried again.", _waiting),
    _Row(
        _waits("look"),
        Hop.PLATFORM,
        "It isn't certain whether {title} has it; it is looked for before it is sent again.",
        _waiting,
        lambda facts: facts.error.kind if facts.error else "DoubtError",
    ),
    _Row(
        lambda facts: facts.workers == 0, Hop.CAPTURED, "It was captured, and nobody is sending it.", lambda _: WORKER
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
    if facts.outage:
        said.append(f"An outage has lasted since {_time(facts.outage.began_at)}")
    if facts.due_at is not None:
        said.append(f"Something is due for it by itself at {_time(facts.due_at)}")
    said.append(f"It was captured at {_time(facts.added_at)}")
    return tuple(said)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
