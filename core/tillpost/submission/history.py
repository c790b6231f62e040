"""What is known of an order, and what to do next: a fold, and a decision.

The fold is over the order's journal. `fold` turns an order's events into a `History`; `next_step`
decides what to do at a given time. Both are pure: no I/O and no clock. `flow.Submission` calls them
in every round; the outbox and the diagnosis fold a journal to show an order's state.

Two promises are kept here:

* Never twice: a key is reused until the order made under it is proved dead. Without a key, a create
  that may have had an effect isn't repeated before the platform was searched to the end of the
  look-up schedule. `operation.refusal` checks each request once more before it leaves.
* Never half: a draft that a look-up found is finished before anything else is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from enum import StrEnum
from typing import NamedTuple, assert_never

from tillpost.adapter.exchange import Effect, Request
from tillpost.errors import Applied, Outcome
from tillpost.models.order import Draft, PosOrder
from tillpost.submission.erasure import without_notices
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
    Pruned,
    Sent,
    Settled,
    Sighted,
    SubmissionRequested,
    Submitted,
)
from tillpost.submission.policy import Policy
from tillpost.submission.withholding import OPTIONAL_FIELDS

__all__ = [
    "NO_TICKET",
    "Action",
    "History",
    "Policy",
    "Sent",
    "Step",
    "after",
    "fold",
    "next_lookup",
    "next_step",
    "pruned",
    "ticket_after",
]

ZONE_ERROR = 14 * 3600.0
"""By how many seconds `placed_at` may be late where a site has its zone wrong."""

MAX_RETIRED_KEYS = 8
"""How many keys in a row one submission retires before it stops for a person."""

MAX_IMPORTS = 2
"""How many menu imports one submission makes at most."""


class History(NamedTuple):
    """What is known of an order.

    A named tuple, because a fold makes a new one for each event and a tuple is the cheapest. "The
    last request" below is the last time that a caller asked for the order's submission.

    Attributes:
        sent: All that was sent and could change the order, oldest first.
        empty_lookups: The look-ups that found nothing, since the last create was given up.
        found: What the last look-up found; reset by a failure.
        sighted: The platform's id of an order that may be this one; empty for none.
        sighted_made: Whether our own create was answered with that id.
        sighted_at: The stores at which such orders were sighted.
        must_look: Whether the order was sighted and not looked up since.
        is_reported: Whether the platform reported it, and no look-up was tried since.
        seen: Whether the last look-up found something, which a failure doesn't change.
        pos_order: The order at the platform, once it has arrived.
        address: The store that the order was last sent to, or found at.
        cancelled: Whether the order was cancelled on purpose.
        digest: The digest of the content requested last.
        is_new: Whether a caller promised that nobody sent the order before.
        asked_at: When the order was requested last, in epoch seconds.
        generation: Counts the orders that were proved dead; part of the idempotency key.
        key_spoiled: Whether another body was sent under this generation's key.
        failure: The last failure since the last request, unless it was resolved.
        unmended: The menu error before, while the last failure is only of the import for it.
        tries: How often what failed was sent, since the last request.
        imported: The last menu import, since the last request; fresh if any of them was.
        imported_for: The lines whose refusals called for an import, since the last request.
        imports: How many menu imports there were, since the last request.
        healed: Whether that import changed something since the failure.
        stale: Whether the failure is about an order of an earlier request, which was undone. Of a
            ticket: whether it describes an earlier content of the order.
        retired_keys: How many keys were retired since the last request.
        refused: The optional fields of the order that the platform has refused.
        mended: Whether the failure is the refusal of such a field, which is withheld from now on.
        ticket: What is known of the order's attention ticket; its `pos_order` is the ticket at the
            platform.
    """

    sent: tuple[Sent, ...] = ()
    empty_lookups: tuple[LookedUp, ...] = ()
    found: PosOrder | Draft | None = None
    sighted: str = ""
    sighted_made: bool = False
    sighted_at: tuple[str, ...] = ()
    must_look: bool = False
    is_reported: bool = False
    seen: bool = False
    pos_order: PosOrder | None = None
    address: str = ""
    cancelled: bool = False
    digest: str = ""
    is_new: bool = False
    asked_at: float = 0.0
    generation: int = 0
    key_spoiled: bool = False
    failure: Failed | None = None
    unmended: Failed | None = None
    tries: int = 0
    imported: Imported | None = None
    imported_for: tuple[int, ...] = ()
    imports: int = 0
    healed: bool = False
    stale: bool = False
    retired_keys: int = 0
    refused: tuple[str, ...] = ()
    mended: bool = False
    ticket: History | None = None

    @property
    def doubts(self) -> tuple[Sent, ...]:
        """The creates of this generation that may have made the order."""
        return tuple(
            sent
            for sent in self.sent
            if sent.intent.generation == self.generation
            and sent.intent.effect is Effect.CREATE
            and sent.may_have_worked
        )

    @property
    def may_exist(self) -> bool:
        """Whether the order was made, or may have been made by what was sent."""
        return bool(self.pos_order or self.doubts)

    @property
    def since(self) -> float | None:
        """The order's earliest time at the platform, by its clock, in epoch seconds.

        None when it was never sent.
        """
        return min((sent.since for sent in self.sent), default=None)

    @property
    def refused_content(self) -> str:
        """The content of the create sent last.

        It is empty if there was none, or it wasn't recorded.
        """
        creates = [sent.intent for sent in self.sent if sent.intent.effect is Effect.CREATE]
        return creates[-1].content if creates else ""

    @property
    def is_refused_in_doubt(self) -> bool:
        """Whether the create sent last was refused, and an earlier one may have worked."""
        if not (self.sent and self.doubts):
            return False
        last = self.sent[-1]
        return last.intent.effect is Effect.CREATE and last.applied is Applied.NO

    @property
    def is_unsettled(self) -> bool:
        """Whether nobody knows yet how the request sent last has ended."""
        return bool(self.sent) and self.sent[-1].applied is None

    @property
    def menu_error(self) -> Failed | None:
        """The failure that calls for a menu import, None if there is none.

        It stands while imports fail: the platform would refuse the same order again.
        """
        failure = self.failure
        if failure is None or failure.mendable:
            return failure
        return self.unmended if failure.is_of_import else None

    @property
    def may_import(self) -> bool:
        """Whether a menu import may mend the failure, and may still be made.

        One import is made for a refusal. If the platform then refuses other lines, the menu has
        changed once more, and another is made. What our own check refuses, it has judged by the
        new menu.
        """
        if self.menu_error is None:
            return False
        if self.imported is None:
            return True
        error = self.menu_error.error
        other_lines = set(error.lines) - set(self.imported_for)
        return bool(other_lines) and error.operation != "precheck" and self.imports < MAX_IMPORTS

    @property
    def notices(self) -> tuple[str, ...]:
        """What was left out of the order, or changed, in the create that may have made it."""
        doubts = self.doubts
        return doubts[-1].intent.notices if doubts else ()

    def elsewhere(self, address: str) -> str:
        """Return another address than this at which the order is or may be.

        It is empty if there is none.
        """
        addresses = [sent.intent.address for sent in self.sent if self._leaves_something(sent)]
        addresses += self.sighted_at
        if self.seen or self.pos_order:
            addresses.append(self.address)
        return next((other for other in addresses if other not in ("", address)), "")

    def _leaves_something(self, sent: Sent) -> bool:
        """Return whether the order may exist where a request went.

        What is advanced exists already.
        """
        if sent.intent.generation != self.generation:
            return False
        return sent.may_have_worked or sent.intent.effect is Effect.ADVANCE

    def is_key_known(self, now: float, *, placed_at: float, lifetime: float | None) -> bool:
        """Return whether the platform still knows the key of a create.

        It is about any create that may have made the order. Where this journal sent none that may
        have worked, another may have, at any time since the order was placed.

        Args:
            now: The time, in epoch seconds.
            placed_at: When the order was placed, in epoch seconds.
            lifetime: For how many seconds the platform knows a key; None for ever.
        """
        if lifetime is None:
            return True
        earliest = placed_at - ZONE_ERROR
        if self.doubts:
            earliest = min(sent.intent.at for sent in self.doubts)
        return now - earliest < lifetime

    def needs_first_lookup(self, *, keyed: bool, address: str = "") -> bool:
        """Return whether to look the order up although this journal sent no create there.

        Without a key, somebody else may have sent it, unless a caller promised that it is new.

        Args:
            keyed: Whether a create under the order's key makes no second order.
            address: The address that the connection has now.
        """
        if keyed or self.is_new:
            return False
        created = [sent.intent.address for sent in self.sent if sent.intent.effect is Effect.CREATE]
        looked_up = [lookup.address for lookup in self.empty_lookups]
        return address not in (*created, *looked_up)

    def outcome(self, *, keyed: bool, address: str = "") -> Outcome:
        """Return what is known of the order before anything more is sent to this address."""
        needs_lookup = self.needs_first_lookup(keyed=keyed, address=address)
        in_doubt = self.doubts or self.found or self.sighted or needs_lookup
        return Outcome.UNKNOWN if in_doubt else Outcome.NOT_CREATED

    def may_send(self, request: Request[object]) -> bool:
        """Return whether no other body that may have worked was sent under the key."""
        if request.key is None:
            return True
        return not any(
            sent.intent.key == request.key
            and sent.intent.digest != request.digest
            and sent.may_have_worked
            for sent in self.sent
        )


NO_TICKET = History(is_new=True)
"""A ticket that was never made.

It is new, so an adapter without keys needs no first look-up.
"""


# ------------------------------------------------------------------ the fold


def fold(events: Iterable[Event], history: History | None = None) -> History:
    """Return what is known after the events, starting from `history`."""
    known = history or History()
    for event in events:
        known = after(known, event)
    return known


def after(history: History, event: Event) -> History:
    """Return what is known after one more event."""
    # The events of every submission come first. Patterns that only name a class are four times as
    # fast as those that take it apart.
    match event:
        case SubmissionRequested():
            return _after_request(history, event)
        case Intended():
            return _after_intent(history, event)
        case Settled():
            return _after_settlement(history, event)
        case Submitted():
            address = event.address or history.address
            return history._replace(pos_order=event.pos_order, address=address)
        case LookedUp():
            return _after_lookup(history, event)
        case Sighted():
            return _after_sighting(history, event)
        case Imported():
            return _after_import(history, event)
        case Failed():
            return _after_failure(history, event)
        case DoubtResolved():
            return _after_resolution(history)
        case KeyRetired():
            retired_keys = history.retired_keys + 1
            return _next_generation(history)._replace(failure=None, retired_keys=retired_keys)
        case Cancelled():
            return history._replace(pos_order=event.pos_order, cancelled=True)
        case Pruned():
            return _restored(event)
        case OfTicket():
            return history._replace(ticket=ticket_after(history.ticket or NO_TICKET, event.event))
        case _ as never:
            assert_never(never)


_KEPT = tuple(field.name for field in fields(Pruned) if field.name != "at")
"""What a `Pruned` keeps of a history, under the same names."""


def pruned(history: History, at: float) -> Pruned:
    """Return the event that replaces all before it, which are pruned at `at`.

    It keeps what keeps the order from going twice. What only ever concerned the submission that is
    over (its failure, its menu import) is left out.
    """
    kept = {name: getattr(history, name) for name in _KEPT}
    kept["sent"] = tuple(_sent_without_notices(sent) for sent in history.sent)
    if not isinstance(history.found, Draft):
        kept["found"] = None
    if history.pos_order:
        # Notices quote what the customer wrote.
        kept["pos_order"] = without_notices(history.pos_order)
    if history.ticket:
        kept["ticket"] = pruned(history.ticket, at)
    return Pruned(at, **kept)


def _sent_without_notices(sent: Sent) -> Sent:
    return sent._replace(intent=replace(sent.intent, notices=()))


def _restored(event: Pruned) -> History:
    """Return what was known when the events before were pruned."""
    kept = {name: getattr(event, name) for name in _KEPT}
    if event.ticket:
        kept["ticket"] = _restored(event.ticket)
    return History(**kept)


def ticket_after(ticket: History, event: Event) -> History:
    """Return what is known of a ticket after one more event.

    A ticket that was withdrawn makes room for another.
    """
    if isinstance(event, Cancelled):
        return NO_TICKET._replace(sent=ticket.sent, generation=ticket.generation + 1)
    return after(ticket, event)


def _after_request(history: History, event: SubmissionRequested) -> History:
    """Start anew: a new budget, a new chance to import.

    An order that exists keeps its failure.
    """
    failure = history.failure
    if failure and failure.error.outcome is not Outcome.CREATED:
        failure = None
    ticket = history.ticket
    if ticket:
        content_changed = event.digest != history.digest
        ticket = ticket._replace(stale=ticket.stale or content_changed)
    refused = history.refused if event.digest == history.digest else ()
    earlier = [sent._replace(earlier=True) for sent in history.sent]
    return history._replace(
        sent=tuple(earlier),
        digest=event.digest,
        is_new=event.is_new or history.is_new,
        asked_at=event.at,
        failure=failure,
        tries=0,
        imported=None,
        imported_for=(),
        imports=0,
        healed=False,
        stale=False,
        retired_keys=0,
        refused=refused,
        mended=False,
        must_look=bool(history.sighted),
        ticket=ticket,
    )


def _after_intent(history: History, event: Intended) -> History:
    stale = history.stale and event.effect is not Effect.CREATE
    address = event.address or history.address
    return history._replace(sent=(*history.sent, Sent(event)), stale=stale, address=address)


def _after_settlement(history: History, event: Settled) -> History:
    """Settle the request sent last. An undo that worked proves the order dead."""
    *earlier, last = history.sent
    last = last._replace(applied=event.applied, settled_at=event.at)
    settled = history._replace(sent=(*earlier, last))
    if last.intent.effect is Effect.CREATE and last.may_have_worked:
        # Earlier look-ups couldn't find what this request may have made.
        settled = settled._replace(empty_lookups=())
    if last.intent.effect is Effect.UNDO and event.applied is Applied.YES:
        stale = _was_made_earlier(settled)
        return _next_generation(settled, stale=stale)._replace(failure=None)
    return settled


def _after_lookup(history: History, event: LookedUp) -> History:
    looked = history._replace(must_look=False, is_reported=False)
    if event.found:
        address = event.address or history.address
        return looked._replace(found=event.found, seen=True, address=address)
    empty_lookups = (*history.empty_lookups, event)
    return looked._replace(found=None, seen=False, empty_lookups=empty_lookups)


def _after_resolution(history: History) -> History:
    """Return the history of an order that doesn't exist.

    What refused it for good still does.
    """
    failure = history.failure
    if failure is None or failure.transient:
        return _next_generation(history)._replace(failure=None)
    error = failure.error.model_copy(update={"outcome": Outcome.NOT_CREATED})
    return _next_generation(history)._replace(failure=replace(failure, error=error))


def _after_sighting(history: History, event: Sighted) -> History:
    """Have a sighted order looked up.

    One that our own create named isn't replaced by a report.
    """
    sighted_at = history.sighted_at
    if event.address not in sighted_at:
        sighted_at = (*sighted_at, event.address)
    sighted = history._replace(must_look=True, is_reported=not event.made, sighted_at=sighted_at)
    if history.sighted_made and not event.made:
        return sighted
    return sighted._replace(sighted=event.pos_id, sighted_made=event.made)


def _after_import(history: History, event: Imported) -> History:
    menu_error = history.menu_error
    lines = menu_error.error.lines if menu_error else ()
    was_fresh = history.imported is not None and history.imported.fresh
    return history._replace(
        imported=replace(event, fresh=event.fresh or was_fresh),
        imported_for=(*history.imported_for, *lines),
        imports=history.imports + 1,
        healed=event.changed,
        # What became of earlier imports doesn't matter any more.
        failure=menu_error or history.failure,
    )


def _after_failure(history: History, event: Failed) -> History:
    if history.pos_order and not history.cancelled:
        history = _refused_after_arrival(history, event)
    refused_field = _newly_refused(history, event)
    refused = (*history.refused, refused_field) if refused_field else history.refused
    in_doubt = bool(history.doubts)
    is_doubt_error = event.error.kind == "DoubtError"
    return history._replace(
        failure=event,
        unmended=history.menu_error if event.is_of_import else None,
        tries=history.tries + event.sends,
        # In doubt, the order without the field is another body, so the order is looked up first.
        key_spoiled=history.key_spoiled or is_doubt_error or (bool(refused_field) and in_doubt),
        found=None,
        is_reported=False,
        # Only a failure directly after an undo is about what was undone.
        stale=history.stale and history.failure is None,
        healed=False,
        refused=refused,
        mended=bool(refused_field),
    )


def _newly_refused(history: History, failure: Failed) -> str:
    """Return the optional field that was refused for the first time.

    It is empty if there is none.
    """
    field = failure.error.order_field
    is_new = field in OPTIONAL_FIELDS and field not in history.refused
    return field if is_new and failure.error.outcome is not Outcome.CREATED else ""


def _refused_after_arrival(history: History, failure: Failed) -> History:
    """Return the history of an order that had arrived and was refused after all.

    It is tried anew, with a budget of its own, unless it still exists at the platform.
    """
    outcome = failure.error.outcome
    if outcome is Outcome.CREATED:
        return history
    reopened = history._replace(pos_order=None, asked_at=failure.at, tries=0)
    return _next_generation(reopened) if outcome is Outcome.NOT_CREATED else reopened


def _next_generation(history: History, *, stale: bool = False) -> History:
    """Return the history after the current generation's order was proved dead."""
    generation = history.generation + 1
    return history._replace(
        generation=generation,
        key_spoiled=False,
        found=None,
        seen=False,
        sighted="",
        sighted_made=False,
        sighted_at=(),
        must_look=False,
        is_reported=False,
        stale=stale,
    )


def _was_made_earlier(history: History) -> bool:
    """Return whether what was just undone was made before the last request.

    That is also so if it wasn't made from this journal.
    """
    creates = [
        sent
        for sent in history.sent
        if sent.intent.effect is Effect.CREATE and sent.intent.generation == history.generation
    ]
    return not creates or creates[0].earlier


# ------------------------------------------------------------------ the decision


class Action(StrEnum):
    """What to do next with an order."""

    SUBMIT = "submit"
    FINISH = "finish"
    LOOK_UP = "look_up"
    RESOLVE_DOUBT = "resolve_doubt"
    IMPORT_MENU = "import_menu"
    WAIT = "wait"
    STOP = "stop"
    DONE = "done"


class Step(NamedTuple):
    """The next action, and for a wait its end in epoch seconds."""

    action: Action
    until: float = 0.0


def next_step(
    history: History,
    now: float,
    *,
    order_id: str,
    keyed: bool,
    look_after: Sequence[float],
    policy: Policy,
    address: str = "",
) -> Step:
    """Decide what to do with an order.

    The rules are in order of rank: an order that exists ends the matter; one that may exist at
    another address is left alone; one that the platform has just reported is looked up; then
    whether to give up, which waits until look-ups have settled whether a refused order exists; then
    a retry's wait; then what may already exist; and only then sending.

    Args:
        history: What is known of the order.
        now: The time, in epoch seconds.
        order_id: The order's id, which spreads the retries of different orders.
        keyed: Whether a create under the order's key makes no second order: the platform honours
            keys, and still knows this one.
        look_after: The look-up schedule: seconds, each counted from the look-up before.
        policy: The connection's policy.
        address: The address that the connection has now.
    """
    if history.pos_order or isinstance(history.found, PosOrder):
        return Step(Action.DONE)
    if history.elsewhere(address):
        return Step(Action.STOP)

    failure = history.failure
    if history.retired_keys > MAX_RETIRED_KEYS:
        return Step(Action.STOP)
    if history.is_reported:
        return Step(Action.LOOK_UP)
    if failure and _is_final(history, failure, now, policy):
        return _last_step(history, failure, now, look_after)

    if failure and failure.transient:
        retry_at = _retry_at(history, failure, order_id, policy)
        if now < retry_at:
            return Step(Action.WAIT, retry_at)

    if isinstance(history.found, Draft):
        return Step(Action.FINISH)
    if history.must_look:
        return Step(Action.LOOK_UP)
    if history.doubts and (history.key_spoiled or not keyed):
        return next_lookup(history, now, look_after)
    if history.needs_first_lookup(keyed=keyed, address=address):
        return Step(Action.LOOK_UP)

    if failure is None or history.stale or history.mended:
        return Step(Action.SUBMIT)
    if history.may_import:
        return Step(Action.IMPORT_MENU)
    if failure.transient or history.healed:
        return Step(Action.SUBMIT)
    return _last_step(history, failure, now, look_after)


def _last_step(history: History, failure: Failed, now: float, look_after: Sequence[float]) -> Step:
    """Stop, unless look-ups can still settle whether a refused order exists.

    They can't where one was refused itself, or has shown a draft that couldn't be finished.
    """
    is_refused = not failure.transient and failure.error.operation != "find"
    is_created = failure.error.outcome is Outcome.CREATED
    if is_created or not is_refused or not history.is_refused_in_doubt:
        return Step(Action.STOP)
    if isinstance(history.found, Draft):
        return Step(Action.FINISH)
    if history.seen:
        return Step(Action.STOP)
    return next_lookup(history, now, look_after)


def _is_final(history: History, failure: Failed, now: float, policy: Policy) -> bool:
    """Return whether a failure ends the submission.

    Then waiting, importing and sending can't help.
    """
    if failure.error.outcome is Outcome.CREATED:
        return True
    if not failure.transient:
        is_mended = history.mended and not _refuses_past_due(failure, policy)
        return not (history.stale or is_mended or failure.mendable)
    out_of_retries = history.tries > policy.retries
    out_of_time = now >= history.asked_at + policy.retry_seconds
    retry_after = failure.error.retry_after or 0.0
    return out_of_retries or out_of_time or retry_after > policy.longest_retry_after


def _refuses_past_due(failure: Failed, policy: Policy) -> bool:
    """Whether the order's time was refused, and the policy sends no order without it."""
    return failure.error.order_field == "due_at" and policy.past_due == "refuse"


def _retry_at(history: History, failure: Failed, order_id: str, policy: Policy) -> float:
    """Return when a transient failure may be retried, in epoch seconds."""
    retry_after = failure.error.retry_after or 0.0
    back_off = policy.wait_before(history.tries, order_id)
    return failure.at + max(retry_after, back_off)


def next_lookup(history: History, now: float, look_after: Sequence[float]) -> Step:
    """Follow the look-up schedule, from when the request was given up.

    Each pause is counted from the look-up before, however late that was. Only the schedule's last
    look-up, when it finds nothing, resolves the doubt. It doesn't where the platform itself has
    named the order.
    """
    lookups = history.empty_lookups
    if len(lookups) >= len(look_after):
        return Step(Action.STOP if history.sighted else Action.RESOLVE_DOUBT)
    given_up_at = max(sent.settled_at or sent.intent.at for sent in history.doubts)
    last_at = lookups[-1].at if lookups else given_up_at
    due_at = last_at + look_after[len(lookups)]
    if now < due_at:
        return Step(Action.WAIT, due_at)
    return Step(Action.LOOK_UP)
