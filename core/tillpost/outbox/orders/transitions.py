"""Order state transitions, caused by an arrival, a webhook or a poll.

Each says what changes in an order's row. Pure: `updates` reads the rows, and writes what these
functions return. State and progress never go backwards, so an observation that is repeated, late or
out of sequence does no harm. What a person settled (taken over by hand, cancelled) stays settled,
and so does a rejection. `received` is the platform's claim; `accepted` needs a sign of the register
itself. A report about an order in doubt settles nothing: it has the order looked up, and the
submission's flow concludes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tillpost.adapter.exchange import Effect
from tillpost.errors import ErrorRecord, OrderError, Outcome, PosError
from tillpost.models.order import Order, PosOrder, PosState, Progress
from tillpost.outbox.event_log import HookCall
from tillpost.outbox.orders.models import OrderState, StoredOrder, WaitsFor, state_of
from tillpost.outbox.orders.problems import problem_columns
from tillpost.outbox.settings import OutboxSettings
from tillpost.submission.erasure import without_notices
from tillpost.submission.history import History, fold
from tillpost.submission.journal import Event, Failed, Sighted

__all__ = [
    "STEPS",
    "Change",
    "KnownOrder",
    "apply_refusal",
    "apply_status",
    "arrival_columns",
    "due_time",
    "expected_by",
    "is_in_doubt",
    "later_of",
    "next_poll_at",
    "progress_of",
    "rejection_hooks",
    "steps_before",
]

FIRST_POLL = 30.0
"""How long after an order was received its status is first polled, in seconds."""

LONGEST_POLL_INTERVAL = 300.0
"""The longest time between two polls of an order, in seconds."""

ACCEPTED_POLL_INTERVAL = 120.0
"""The shortest time between two polls of an order that was accepted, in seconds."""

POLL_FOR = 4 * 3600.0
"""How long an order is polled, in seconds.

It counts from when the order was received, and from when it was due.
"""

# unconfirmed: how early a register shows a scheduled order differs by platform and setting (Square
# has a preparation time); a pickup scheduled for tomorrow at a real register would show it.
SHOWN_BEFORE_DUE = 1800.0
"""How long before it is due a register should show a scheduled order, in seconds."""

STEPS = (
    Progress.NEW,
    Progress.ACCEPTED,
    Progress.PREPARING,
    Progress.READY,
    Progress.ON_BOARD,
    Progress.COMPLETED,
)
"""The progress of an order that goes well, in sequence.

Only a delivery goes on board.
"""

_REFUSED = (PosState.REJECTED, PosState.CANCELLED)
_RANK = {PosState.RECEIVED: 0, PosState.ACCEPTED: 1, PosState.REJECTED: 2, PosState.CANCELLED: 2}
_AT_PLATFORM = (OrderState.RECEIVED, OrderState.ACCEPTED)
_OVER = (OrderState.REJECTED, OrderState.CANCELLED)

_NOT_POLLED: Mapping[str, object] = {"poll_at": None, "expected_at": None}
_NOT_AT_PLATFORM: Mapping[str, object] = {
    "pos_order": None,
    "pos_id": None,
    "received_at": None,
    "confirmed_at": None,
}


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order as the outbox has it. Times are epoch seconds; None means not yet."""

    stored: StoredOrder
    received_at: float | None = None
    confirmed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The effect of an observation on an order.

    Attributes:
        values: The row's new values.
        events: What to append to the journal.
        hooks: The hooks to call once the change is on disk.
        due: The order is to be submitted again, so workers must be woken.
    """

    values: Mapping[str, object] = field(default_factory=dict[str, object])
    events: tuple[Event, ...] = ()
    hooks: Sequence[HookCall] = ()
    due: bool = False


# ------------------------------------------------------------------ progress


def later_of(one: Progress, other: Progress) -> Progress:
    """Return the progress that is further on. Completed and cancelled are final.

    >>> later_of(Progress.READY, Progress.ACCEPTED), later_of(Progress.NEW, Progress.ACCEPTED)
    (<Progress.READY: 'ready'>, <Progress.ACCEPTED: 'accepted'>)
    """
    return other if one in steps_before(other) else one


def steps_before(progress: Progress) -> Sequence[Progress]:
    """Return the steps from which an order may advance to this one."""
    if progress is Progress.CANCELLED:
        return STEPS[:-1]
    return STEPS[: STEPS.index(progress)]


def progress_of(pos_order: PosOrder) -> Progress:
    """Return the progress that an order at the platform proves.

    A sign of the register alone proves `ACCEPTED`.
    """
    if pos_order.state in _REFUSED:
        return Progress.CANCELLED
    if pos_order.progress is Progress.CANCELLED:
        return Progress.NEW  # it contradicts the state, so it proves nothing
    if pos_order.state is PosState.ACCEPTED:
        return later_of(Progress.ACCEPTED, pos_order.progress)
    return pos_order.progress


# ------------------------------------------------------------------ the platform shows an order


def apply_status(
    known: KnownOrder,
    seen: PosOrder,
    now: float,
    settings: OutboxSettings,
    error: ErrorRecord | None = None,
    journal: Sequence[Event] = (),
    address: str = "",
) -> Change:
    """Return the change that a status of an order at the platform causes.

    Args:
        known: The order as the outbox has it.
        seen: The order as the platform shows it.
        now: Epoch seconds.
        settings: The outbox's settings.
        error: How the order was refused, if it was.
        journal: The order's events, oldest first.
        address: The store that the report is from; see `submission.address`.
    """
    stored = known.stored
    if stored.order is None:
        seen = without_notices(seen)  # they may quote the customer, whose data was erased
    is_created_with_error = stored.state is OrderState.ERROR and stored.pos_order is not None
    if stored.state is OrderState.MANUAL:
        return _record_copy(stored, Sighted(now, seen.id, address=address), seen)
    if stored.state in _AT_PLATFORM or is_created_with_error:
        return _advance(known, seen, now, settings, error)
    if stored.state in (OrderState.DUE, OrderState.ERROR) and stored.order:
        return _look_up_again(stored, Sighted(now, seen.id, address=address), journal)
    return Change()  # it is being submitted, or it is over


def _record_copy(stored: StoredOrder, sighted: Sighted, seen: PosOrder) -> Change:
    """Record, once, that a copy of an order keyed in by hand appeared, and where."""
    if stored.pos_order or seen.state in _REFUSED:
        return Change()
    values = {"pos_order": seen.model_dump_json(), "pos_id": seen.id}
    return Change(values, events=(sighted,))


def _advance(
    known: KnownOrder,
    seen: PosOrder,
    now: float,
    settings: OutboxSettings,
    error: ErrorRecord | None,
) -> Change:
    stored = known.stored
    pos_order = _merge(stored.pos_order, seen)
    is_refused = pos_order.state in _REFUSED
    state = _advanced_state(stored.state, pos_order)
    progress = later_of(stored.progress, progress_of(pos_order))
    received_at = known.received_at or now
    poll_at = next_poll_at(state, progress, received_at, due_time(stored.order), now)

    values: dict[str, object] = {"poll_at": poll_at}
    hooks: list[HookCall] = []
    if known.received_at is None:
        values["received_at"] = now
    if pos_order != stored.pos_order:
        values["pos_order"] = pos_order.model_dump_json()
    is_confirmed = pos_order.state in (PosState.ACCEPTED, PosState.REJECTED)
    if is_confirmed and known.confirmed_at is None:
        values |= {"confirmed_at": now, "expected_at": None}
    if (state, progress) != (stored.state, stored.progress):
        values |= {"state": state.value, "progress": progress.value, "updated_at": now}
        hooks.append(_status_changed(stored, state, progress))
    if is_refused and state is not stored.state:
        values["expected_at"] = None
        values |= _refusal_columns(pos_order, now, settings, error)
        hooks.append(("order_rejected", {"order": stored.order, "pos_order": pos_order}))
    return Change(values, hooks=hooks)


def _advanced_state(state: OrderState, pos_order: PosOrder) -> OrderState:
    """Return an order's state after a status.

    An error stays, unless the order was refused.
    """
    if state is OrderState.ERROR and pos_order.state not in _REFUSED:
        return OrderState.ERROR
    new_state = state_of(pos_order)
    if state is OrderState.ACCEPTED and new_state is OrderState.RECEIVED:
        return OrderState.ACCEPTED
    return new_state


def _merge(known: PosOrder | None, seen: PosOrder) -> PosOrder:
    """Return the order at the platform after one more status.

    That may be an older one.
    """
    if known is None:
        return seen
    is_older = _RANK[seen.state] < _RANK[known.state]
    contradicts_refusal = known.state in _REFUSED and seen.state is not known.state
    if is_older or contradicts_refusal:
        return known
    merged = {
        "reference": seen.reference or known.reference,
        "progress": later_of(known.progress, seen.progress),
        "total": known.total if seen.total is None else seen.total,
        "notices": seen.notices or known.notices,
    }
    return seen.model_copy(update=merged)


def is_in_doubt(stored: StoredOrder, history: History) -> bool:
    """Return whether an order may exist at the platform, and a look-up may find out."""
    is_unknown = stored.error is not None and stored.error.outcome is Outcome.UNKNOWN
    # Without its journal, the order would be submitted anew.
    return bool(history.digest) and bool(history.doubts or is_unknown)


def _look_up_again(stored: StoredOrder, sighted: Sighted, journal: Sequence[Event]) -> Change:
    """Return the change that has an order in doubt looked up.

    An order that isn't in doubt stays as it is. A report proves less than a look-up, which compares
    the total and the lines as well. So it settles nothing, and nothing is sent because of it. An
    order that may be at another address isn't looked up here: the report is only recorded, so that
    it isn't sent there again.
    """
    history = fold(journal)
    if not is_in_doubt(stored, history):
        return Change()
    is_elsewhere = bool(sighted.address and history.elsewhere(sighted.address))
    if stored.state is OrderState.DUE or is_elsewhere:
        return Change(events=(sighted,))
    now = sighted.at
    values = {
        "state": OrderState.DUE.value,
        "waits_for": WaitsFor.LOOK.value,
        "due_at": now,
        "new_request": False,
        "updated_at": now,
        **problem_columns(OrderState.DUE, WaitsFor.LOOK, now, 0.0),
    }
    hooks = (_status_changed(stored, OrderState.DUE, stored.progress),)
    return Change(values, events=(sighted,), hooks=hooks, due=True)


# ------------------------------------------------------------------ the platform refuses an order


def apply_refusal(
    known: KnownOrder,
    error: ErrorRecord,
    journal: Sequence[Event],
    now: float,
    settings: OutboxSettings,
    address: str = "",
) -> Change:
    """Return the change that a late refusal causes, of an order that had arrived.

    An order that staff rejected is over. One that doesn't fit the menu is submitted again after a
    menu import, as if the refusal had been the answer; but only if it surely doesn't exist. Any
    other becomes a person's.

    Args:
        known: The order as the outbox has it.
        error: The refusal. Its outcome is that of this refusal alone.
        journal: The order's events, oldest first.
        now: Epoch seconds.
        settings: The outbox's settings.
        address: The store that the report is from.
    """
    stored = known.stored
    if error.pos_order and stored.order is None:
        shown = without_notices(error.pos_order)
        error = error.model_copy(update={"pos_order": shown})
    if error.pos_order and error.pos_order.state in _REFUSED:
        return apply_status(known, error.pos_order, now, settings, error, journal, address)
    if error.pos_order:
        error = error.model_copy(update={"outcome": Outcome.CREATED})
    if stored.state not in _AT_PLATFORM:
        return Change()
    history = fold(journal)
    failed = Failed(now, error, sends=0, menu_at=_last_sent_at(history))
    is_not_created = error.outcome is Outcome.NOT_CREATED
    if stored.order and is_not_created and _may_import(history, failed):
        return _submit_again(stored, failed, now)
    values = {
        "state": OrderState.ERROR.value,
        "error": error.model_dump_json(),
        "updated_at": now,
        **_NOT_POLLED,
        **problem_columns(OrderState.ERROR, WaitsFor.NOTHING, now, settings.escalate_after),
    }
    if is_not_created:
        values |= _NOT_AT_PLATFORM
    hooks: list[HookCall] = []
    if stored.order:
        facts = {"order": stored.order, "error": PosError.from_record(error)}
        hooks.append(("order_failed", facts))
    hooks.append(_status_changed(stored, OrderState.ERROR, stored.progress))
    return Change(values, events=(failed,), hooks=hooks)


def _may_import(history: History, failed: Failed) -> bool:
    """Return whether a menu import may help."""
    has_been_requested = bool(history.digest)
    return has_been_requested and failed.mendable and history._replace(failure=failed).may_import


def _submit_again(stored: StoredOrder, failed: Failed, now: float) -> Change:
    """Return the change that makes an order due again.

    The refusal becomes its last failure.
    """
    values = {
        "state": OrderState.DUE.value,
        "waits_for": WaitsFor.NOTHING.value,
        "due_at": now,
        "new_request": False,
        "error": failed.error.model_dump_json(),
        "updated_at": now,
        **_NOT_POLLED,
        **_NOT_AT_PLATFORM,
    }
    facts = {"order": stored.order, "error": PosError.from_record(failed.error)}
    hooks = (("menu_error", facts), _status_changed(stored, OrderState.DUE, stored.progress))
    return Change(values, events=(failed,), hooks=hooks, due=True)


def _last_sent_at(history: History) -> float:
    """Return when the order was last sent.

    A menu imported since is newer than the one it used.
    """
    creates = (sent.intent.at for sent in history.sent if sent.intent.effect is Effect.CREATE)
    return max(creates, default=0.0)


def _refusal_columns(
    pos_order: PosOrder, now: float, settings: OutboxSettings, error: ErrorRecord | None = None
) -> dict[str, object]:
    """Return the columns of an order that the store refused.

    The customer has paid for it.
    """
    error = error or _refusal_error(pos_order)
    problem = problem_columns(OrderState.REJECTED, WaitsFor.NOTHING, now, settings.escalate_after)
    return {"error": error.model_dump_json(), **problem}


def _refusal_error(pos_order: PosOrder) -> ErrorRecord:
    is_cancelled = pos_order.state is PosState.CANCELLED
    verb = "cancelled" if is_cancelled else "turned down by staff"
    error = OrderError(
        f"the order was {verb} at the register", reason="rejected", pos_order=pos_order
    )
    error.operation = "fetch"
    error.outcome = Outcome.CREATED
    return error.record()


def _status_changed(stored: StoredOrder, state: OrderState, progress: Progress) -> HookCall:
    facts = {"order": stored.order, "state": state.value, "progress": progress}
    return "order_status_changed", facts


# ------------------------------------------------------------------ an order arrives


def arrival_columns(
    pos_order: PosOrder,
    order: Order | None,
    state: OrderState,
    now: float,
    settings: OutboxSettings,
) -> dict[str, object]:
    """Return the columns of an order that has just reached the platform.

    Its state isn't among them.
    """
    due = due_time(order)
    is_received_only = state is OrderState.RECEIVED
    columns: dict[str, object] = {
        "pos_id": pos_order.id,
        "received_at": now,
        "confirmed_at": now if state is OrderState.ACCEPTED else None,
        "unseen_reported_at": None,
        "poll_at": next_poll_at(state, pos_order.progress, now, due, now),
        "expected_at": expected_by(now, due, settings) if is_received_only else None,
    }
    if state in _OVER:
        columns |= _refusal_columns(pos_order, now, settings)
    return columns


def rejection_hooks(
    order: Order, state: OrderState, pos_order: PosOrder | None
) -> Sequence[HookCall]:
    """Return the hooks to call for an order already refused when it was first seen."""
    if pos_order is None or state not in _OVER:
        return ()
    return (("order_rejected", {"order": order, "pos_order": pos_order}),)


def next_poll_at(
    state: OrderState,
    progress: Progress,
    received_at: float,
    due: float | None,
    now: float,
) -> float | None:
    """Return when an order's status is next polled, in epoch seconds.

    None if it isn't polled any more. The interval grows with the order's age, from 30 seconds to 5
    minutes.

    >>> next_poll_at(OrderState.RECEIVED, Progress.NEW, received_at=1000.0, due=None, now=1000.0)
    1030.0
    """
    if state not in _AT_PLATFORM or progress in (Progress.COMPLETED, Progress.CANCELLED):
        return None
    is_accepted = state is OrderState.ACCEPTED
    shortest = ACCEPTED_POLL_INTERVAL if is_accepted else FIRST_POLL
    by_age = (now - received_at) / 4
    poll_at = now + min(LONGEST_POLL_INTERVAL, max(shortest, by_age))
    last_poll_at = max(received_at, due or 0.0) + POLL_FOR
    return poll_at if poll_at <= last_poll_at else None


def expected_by(received_at: float, due: float | None, settings: OutboxSettings) -> float:
    """Return by when the register should have shown an order, in epoch seconds.

    For a scheduled order that is counted from 30 minutes before it is due, since a register may not
    show it any earlier.
    """
    shown_from = (due or 0.0) - SHOWN_BEFORE_DUE
    return max(received_at, shown_from) + settings.unseen_after


def due_time(order: Order | None) -> float | None:
    """Return when an order is due, in epoch seconds.

    None: as soon as possible, or erased.
    """
    if order and order.due_at:
        return order.due_at.timestamp()
    return None
