"""What has happened to this order, and what next? A fold over its journal, and a decision. Pure: no I/O, no clock.

`fold` makes a `History` of an order's events; `next_step` says what is to be done at a given time.
Both are called by `submission`, and by whoever shows an order's state to a person. The promises
"never twice" and "never half" are kept here: a key is reused until its order is proved dead, and
without a key nothing is sent again before a look.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple, assert_never

from tillpost.adapter.exchange import Effect, Request
from tillpost.errors import Applied, Outcome
from tillpost.models.order import Draft, PosOrder
from tillpost.submission.journal import (
    Cancelled,
    DoubtResolved,
    Event,
    Failed,
    Imported,
    Intended,
    KeyRetired,
    LookedUp,
    OfTicket,
    Settled,
    SubmissionRequested,
    Submitted,
)
from tillpost.submission.policy import Policy

__all__ = [
    "NO_TICKET",
    "Do",
    "History",
    "Policy",
    "Sent",
    "Step",
    "fold",
    "next_step",
    "ticket_after",
]


MOST_RETIRED_KEYS = 8
"""How many cancelled orders in a row one submission steps over before it asks a person."""


class Sent(NamedTuple):
    """A request that could change the order's fate. `applied` is None as long as nobody knows."""

    at: float
    effect: Effect
    generation: int
    key: str | None
    digest: str
    earlier: bool = False
    applied: Applied | None = None


class History(NamedTuple):
    """What is known of an order. A tuple, since a fold makes a new one for each event, and it costs the least.

    `sent` and `looks` (the times of those that found nothing) are of all time; `asked_at`,
    `failure`, `tries`, `imported` (None before an import) and `retired_keys` count since the order
    was last asked for. `healed`: an import changed something since the failure. `key_spoiled`:
    another body went out under this generation's key. `stale`: what the failure was about had been
    made before the last asking, and has been undone. `ticket` is what is known of the order's
    attention ticket, whose `done` is the ticket that stands at the platform; it is `stale` when it
    spells out what the order was before.
    """

    sent: tuple[Sent, ...] = ()
    looks: tuple[float, ...] = ()
    found: PosOrder | Draft | None = None
    done: PosOrder | None = None
    cancelled: bool = False
    digest: str = ""
    is_new: bool = False
    asked_at: float = 0.0
    generation: int = 0
    key_spoiled: bool = False
    failure: Failed | None = None
    tries: int = 0
    imported: Imported | None = None
    healed: bool = False
    stale: bool = False
    retired_keys: int = 0
    ticket: History | None = None

    @property
    def doubts(self) -> tuple[Sent, ...]:
        """The creates of this generation that may have made the order."""
        return tuple(
            s
            for s in self.sent
            if s.generation == self.generation
            and s.effect is Effect.CREATE
            and s.applied is not Applied.NO
        )

    @property
    def may_be_there(self) -> bool:
        """Whether it was made, or may have been, as far as is known from what was sent."""
        return bool(self.done or self.doubts)

    @property
    def since(self) -> float | None:
        """When the order was first sent, in epoch seconds; None when never."""
        return min((s.at for s in self.sent), default=None)

    def unlooked(self, *, keyed: bool) -> bool:
        """Whether it has to be looked for although nothing was sent from here: without a key nothing else is safe."""
        created = any(s.effect is Effect.CREATE for s in self.sent)
        return not keyed and not self.is_new and not created and not self.looks

    def outcome(self, *, keyed: bool) -> Outcome:
        """What is known of the order before anything more is sent for it."""
        in_doubt = self.doubts or self.found or self.unlooked(keyed=keyed)
        return Outcome.UNKNOWN if in_doubt else Outcome.NOT_CREATED

    def may_send(self, request: Request[object]) -> bool:
        """Whether the request's key has carried no other body that may have worked."""
        return request.key is None or not any(
            s.key == request.key and s.digest != request.digest and s.applied is not Applied.NO
            for s in self.sent
        )


def fold(events: Iterable[Event], history: History | None = None) -> History:
    """Return what is known after the events, beginning from `history`."""
    h = history or History()
    for event in events:
        h = _after(h, event)
    return h


def _after(h: History, event: Event) -> History:
    """Return what is known after one event more. What each submission brings comes first, and is taken by name: a
    pattern that takes a class apart costs four times as much as one that only tells it.
    """
    match event:
        case SubmissionRequested():
            kept = h.failure if h.failure and h.failure.error.outcome is Outcome.CREATED else None
            earlier = tuple(s if s.earlier else s._replace(earlier=True) for s in h.sent)
            return h._replace(
                sent=earlier,
                digest=event.digest,
                is_new=event.is_new or h.is_new,
                asked_at=event.at,
                failure=kept,
                tries=0,
                imported=None,
                healed=False,
                stale=False,
                retired_keys=0,
                ticket=h.ticket
                and h.ticket._replace(stale=h.ticket.stale or event.digest != h.digest),
            )
        case Intended():
            sent = Sent(event.at, event.effect, event.generation, event.key, event.digest)
            return h._replace(
                sent=(*h.sent, sent), stale=h.stale and event.effect is not Effect.CREATE
            )
        case Settled():
            last = h.sent[-1]._replace(applied=event.applied)
            settled = h._replace(sent=(*h.sent[:-1], last))
            if last.effect is Effect.UNDO and last.applied is Applied.YES:
                return _next_generation(settled, stale=_made_earlier(settled))._replace(
                    failure=None
                )
            return settled
        case Submitted():
            return h._replace(done=event.pos_order)
        case LookedUp(at, found):
            return h._replace(looks=h.looks if found else (*h.looks, at), found=found)
        case Imported(_, changed):
            return h._replace(imported=event, healed=changed)
        case Failed(at, error, sends):
            h = _taken_back(h, at, error.outcome) if h.done and not h.cancelled else h
            spoiled = h.key_spoiled or error.kind == "DoubtError"
            # Only the failure that follows an undo at once is about what was undone.
            stale = h.stale and h.failure is None
            tries = h.tries + sends
            return h._replace(
                failure=event,
                tries=tries,
                key_spoiled=spoiled,
                found=None,
                stale=stale,
                healed=False,
            )
        case DoubtResolved():
            return _next_generation(h)._replace(failure=None)
        case KeyRetired():
            return _next_generation(h)._replace(failure=None, retired_keys=h.retired_keys + 1)
        case Cancelled(_, pos_order):
            return h._replace(done=pos_order, cancelled=True)
        case OfTicket():
            return h._replace(ticket=ticket_after(h.ticket or NO_TICKET, event.event))
        case _ as never:
            assert_never(never)


NO_TICKET = History(is_new=True)
"""What is known of a ticket before anything was done for it. It is new: an adapter that takes no key looks first."""


def ticket_after(ticket: History, event: Event) -> History:
    """Return what is known of a ticket after one event more. One that was withdrawn makes room for another."""
    if isinstance(event, Cancelled):
        return NO_TICKET._replace(sent=ticket.sent, generation=ticket.generation + 1)
    return _after(ticket, event)


def _taken_back(h: History, at: float, outcome: Outcome) -> History:
    """Return what is known of an order that had arrived and is refused after all, before that failure counts.

    It is tried anew, with a budget of its own, but for one that is there all the same.
    """
    if outcome is Outcome.CREATED:
        return h
    back = h._replace(done=None, asked_at=at, tries=0)
    return _next_generation(back) if outcome is Outcome.NOT_CREATED else back


def _next_generation(h: History, *, stale: bool = False) -> History:
    return h._replace(generation=h.generation + 1, key_spoiled=False, found=None, stale=stale)


def _made_earlier(h: History) -> bool:
    """Whether what was undone just now had been made before the last asking (or by nobody here)."""
    creates = [s for s in h.sent if s.effect is Effect.CREATE and s.generation == h.generation]
    return not creates or creates[0].earlier


class Do(StrEnum):
    """What can be next."""

    SUBMIT = "submit"
    FINISH = "finish"
    LOOK = "look"
    CLEAR = "clear"
    IMPORT = "import"
    WAIT = "wait"
    STOP = "stop"
    DONE = "done"


class Step(NamedTuple):
    """What is next, and for a wait until when, in epoch seconds."""

    do: Do
    until: float = 0.0


def next_step(
    h: History,
    now: float,
    *,
    order_id: str,
    keyed: bool,
    look_after: Sequence[float],
    policy: Policy,
) -> Step:
    """Say what is to be done with an order at the time `now` (epoch seconds).

    The order of the rules is the order of their rank: an order that is there ends the matter; then
    whether giving up is due; then a pause that is due; then what may be there already; and only
    then sending.
    """
    failure = h.failure
    if h.done or isinstance(h.found, PosOrder):
        return Step(Do.DONE)
    if h.retired_keys > MOST_RETIRED_KEYS or (failure and _final(h, failure, now, policy)):
        return Step(Do.STOP)
    if failure and failure.transient:
        asked_to_wait = failure.error.retry_after or 0.0
        due = failure.at + max(asked_to_wait, policy.wait_before(h.tries, order_id))
        if now < due:
            return Step(Do.WAIT, due)
    if isinstance(h.found, Draft):
        return Step(Do.FINISH)
    if h.doubts and (h.key_spoiled or not keyed):
        return _look_or_clear(h, now, look_after)
    if h.unlooked(keyed=keyed):
        return Step(Do.LOOK)
    if failure is None or failure.transient or h.stale:
        return Step(Do.SUBMIT)
    if h.imported is None:
        return Step(Do.IMPORT)
    return Step(Do.SUBMIT if h.healed else Do.STOP)


def _final(h: History, failure: Failed, now: float, policy: Policy) -> bool:
    """Whether a failure ends the attempt: nothing more to gain by waiting, importing or sending."""
    if failure.error.outcome is Outcome.CREATED:
        return True
    if failure.transient:
        spent = h.tries > policy.retries or now >= h.asked_at + policy.retry_seconds
        return spent or (failure.error.retry_after or 0.0) > policy.longest_retry_after
    return not (h.stale or failure.mendable)


def _look_or_clear(h: History, now: float, look_after: Sequence[float]) -> Step:
    """Look on the schedule, counted from the recorded time of sending; only its last look, empty, clears the doubt."""
    sent = max(s.at for s in h.doubts)
    schedule = [sent + seconds for seconds in itertools.accumulate(look_after)]
    last = max((at for at in h.looks if at >= sent), default=None)
    due = next((at for at in schedule if last is None or at > last), None)
    if due is None:
        return Step(Do.CLEAR)
    return Step(Do.LOOK) if now >= due else Step(Do.WAIT, due)
