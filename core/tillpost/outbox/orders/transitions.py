"""What becomes of an order in the outbox when its platform says something of it: by a webhook, or when it is asked.

Pure. Where an order is and what the customer is told never go backwards here, so it does no harm
when the same is told again, or late, or in another sequence. What a person has settled (taken over
by hand, cancelled) stays settled; so does a refusal. `received` is the platform's word, `accepted`
needs the register's own sign. `noticing` writes what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tillpost.adapter.exchange import Effect
from tillpost.errors import ErrorRecord, OrderError, Outcome, PosError
from tillpost.models.order import Order, PosOrder, PosState, Progress
from tillpost.outbox.orders.models import OrderState, StoredOrder, WaitsFor, state_of
from tillpost.outbox.orders.problems import problem_columns
from tillpost.outbox.settings import OutboxSettings
from tillpost.submission.history import History, fold
from tillpost.submission.journal import Event, Failed, Submitted

__all__ = [
    "STEPS",
    "Change",
    "Known",
    "arrived",
    "due_of",
    "expected_by",
    "further",
    "lower_than",
    "observed",
    "refusal",
    "refused",
    "told_by",
    "watch_again",
]

FIRST_LOOK, LONGEST_LOOK, LOOK_ACCEPTED = 30.0, 300.0, 120.0
"""How long after an order was received the platform is first asked how it stands, and the longest pause between two
times; one that was accepted isn't asked for more often than that. In seconds."""

WATCH_FOR = 4 * 3600.0
"""So long after it was received, and after it was due, an order is watched."""

# unconfirmed: how early a register shows a scheduled order differs by platform and setting (Square
# has a preparation time); a pickup scheduled for tomorrow at a real register would tell.
NOTICE = 1800.0
"""So long before it is due, the register is expected to show an order that was scheduled."""

STEPS = (
    Progress.NEW,
    Progress.ACCEPTED,
    Progress.PREPARING,
    Progress.READY,
    Progress.ON_BOARD,
    Progress.COMPLETED,
)
"""What the customer of an order that goes well is told, in this sequence; only a delivery goes on board."""

_REFUSED = (PosState.REJECTED, PosState.CANCELLED)
_RANK = {PosState.RECEIVED: 0, PosState.ACCEPTED: 1, PosState.REJECTED: 2, PosState.CANCELLED: 2}
_OPEN = (OrderState.RECEIVED, OrderState.ACCEPTED)
_OVER = (OrderState.REJECTED, OrderState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Known:
    """What the outbox has of an order. Times are epoch seconds; None: that hasn't been."""

    stored: StoredOrder
    received_at: float | None = None
    confirmed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of an order: its row's new values, what its journal gains, and the hooks to be called after that.

    `due`: it goes again, so whoever processes is to be woken.
    """

    values: Mapping[str, object] = field(default_factory=dict[str, object])
    events: tuple[Event, ...] = ()
    told: Sequence[tuple[str, Mapping[str, object]]] = ()
    due: bool = False


def further(known: Progress, said: Progress) -> Progress:
    """Return the one that is further on. Completed and cancelled are the ends.

    >>> further(Progress.READY, Progress.ACCEPTED), further(Progress.NEW, Progress.ACCEPTED)
    (<Progress.READY: 'ready'>, <Progress.ACCEPTED: 'accepted'>)
    """
    return said if known in lower_than(said) else known


def lower_than(said: Progress) -> Sequence[Progress]:
    """Return from which steps an order moves on to this one."""
    return STEPS[:-1] if said is Progress.CANCELLED else STEPS[: STEPS.index(said)]


def observed(
    known: Known,
    seen: PosOrder,
    now: float,
    settings: OutboxSettings,
    error: ErrorRecord | None = None,
) -> Change:
    """Return what becomes of an order that the platform shows so. `error` says how it was refused, where it was."""
    stored = known.stored
    if stored.state is OrderState.MANUAL:
        return _copy_of_manual(stored, seen)
    if stored.state in _OPEN or (stored.state is OrderState.ERROR and stored.pos_order):
        return _moved_on(known, seen, now, settings, error)
    if stored.state is OrderState.ERROR and _settles_doubt(stored, seen):
        return _turned_up(stored, seen, now, settings)
    return Change()  # it is being submitted, and that finds out by itself; or it is over


def _copy_of_manual(stored: StoredOrder, seen: PosOrder) -> Change:
    """Keep the copy that appeared, once, so that people see that there is one."""
    if stored.pos_order or seen.state in _REFUSED:
        return Change()
    return Change({"pos_order": seen.model_dump_json(), "pos_id": seen.id})


def _moved_on(
    known: Known, seen: PosOrder, now: float, settings: OutboxSettings, error: ErrorRecord | None
) -> Change:
    stored, there = known.stored, _merged(known.stored.pos_order, seen)
    gone, due = there.state in _REFUSED, due_of(stored.order)
    state = state_of(there) if gone or stored.state is not OrderState.ERROR else OrderState.ERROR
    state = (
        stored.state
        if stored.state is OrderState.ACCEPTED and state is OrderState.RECEIVED
        else state
    )
    progress = further(stored.progress, told_by(there))
    received_at = known.received_at or now
    values: dict[str, object] = {"poll_at": watch_again(state, progress, received_at, due, now)}
    if known.received_at is None:
        values["received_at"] = now
    if there != stored.pos_order:
        values["pos_order"] = there.model_dump_json()
    if known.confirmed_at is None and there.state in (PosState.ACCEPTED, PosState.REJECTED):
        values |= {"confirmed_at": now, "expected_at": None}
    told: list[tuple[str, Mapping[str, object]]] = []
    if (state, progress) != (stored.state, stored.progress):
        values |= {"state": state.value, "progress": progress.value, "updated_at": now}
        told.append(_status(stored, state, progress))
    if gone and state is not stored.state:
        values |= {"expected_at": None, **_turned_down(there, now, settings, error)}
        told.append(("order_rejected", {"order": stored.order, "pos_order": there}))
    return Change(values, told=told)


def _merged(known: PosOrder | None, seen: PosOrder) -> PosOrder:
    """Return the order at the platform after one more look: what is behind what was seen before changes nothing."""
    if known is None:
        return seen
    if _RANK[seen.state] < _RANK[known.state] or (
        known.state in _REFUSED and seen.state is not known.state
    ):
        return known
    kept = {
        "reference": seen.reference or known.reference,
        "progress": further(known.progress, seen.progress),
        "total": known.total if seen.total is None else seen.total,
        "notices": seen.notices or known.notices,
    }
    return seen.model_copy(update=kept)


def told_by(there: PosOrder) -> Progress:
    """Return what the customer may be told of an order that stands so. The register's sign alone means accepted."""
    if there.state in _REFUSED:
        return Progress.CANCELLED
    if there.progress is Progress.CANCELLED:
        return Progress.NEW  # which contradicts its state, so it says nothing
    return (
        further(Progress.ACCEPTED, there.progress)
        if there.state is PosState.ACCEPTED
        else there.progress
    )


def _turned_down(
    there: PosOrder, now: float, settings: OutboxSettings, error: ErrorRecord | None = None
) -> dict[str, object]:
    """Return what is written of an order that the store said no to, rejected or cancelled: the customer has paid."""
    if error is None:
        how = "cancelled" if there.state is PosState.CANCELLED else "turned down by staff"
        made = OrderError(
            f"the order was {how} at the register", reason="rejected", pos_order=there
        )
        made.operation, made.outcome = "fetch", Outcome.CREATED
        error = made.record()
    problem = problem_columns(OrderState.REJECTED, WaitsFor.NOTHING, now, settings.escalate_after)
    return {"error": error.model_dump_json(), **problem}


def _settles_doubt(stored: StoredOrder, seen: PosOrder) -> bool:
    """Whether an order that was given up in doubt is there after all, as it was paid for."""
    order = stored.order
    if (
        order is None
        or stored.error is None
        or stored.error.outcome is not Outcome.UNKNOWN
        or seen.state in _REFUSED
    ):
        return False
    return seen.total in (None, order.total, order.total - order.tip)


def _turned_up(stored: StoredOrder, seen: PosOrder, now: float, settings: OutboxSettings) -> Change:
    state, progress = state_of(seen), further(stored.progress, told_by(seen))
    values = {
        "state": state.value,
        "progress": progress.value,
        "pos_order": seen.model_dump_json(),
        "error": None,
        "updated_at": now,
        **arrived(seen, stored.order, state, now, settings),
        **problem_columns(state, WaitsFor.NOTHING, now, 0.0),
    }
    submitted = ("order_submitted", {"order": stored.order, "pos_order": seen})
    return Change(values, (Submitted(now, seen),), (submitted, _status(stored, state, progress)))


def refused(
    known: Known, error: ErrorRecord, journal: Sequence[Event], now: float, settings: OutboxSettings
) -> Change:
    """Return what becomes of an order that had arrived and is refused after all. `error` has the outcome of this.

    What staff turned down is over. A misfit with the menu goes to recovery, as if it had come in
    the answer: the order is due again, and its menu is imported first; but only when it is certain
    that it isn't there. The rest is a person's.
    """
    stored = known.stored
    if error.pos_order and error.pos_order.state in _REFUSED:
        return observed(known, error.pos_order, now, settings, error)
    if error.pos_order:
        error = error.model_copy(update={"outcome": Outcome.CREATED})
    if stored.state not in _OPEN:
        return Change()
    history = fold(journal)
    failed = Failed(now, error, sends=0, menu_at=_sent_at(history))
    if stored.order and error.outcome is Outcome.NOT_CREATED and _goes_on(history, failed):
        return _again(stored, failed, now)
    values = {
        "state": OrderState.ERROR.value,
        "error": error.model_dump_json(),
        "updated_at": now,
        **_UNWATCHED,
        **problem_columns(OrderState.ERROR, WaitsFor.NOTHING, now, settings.escalate_after),
    }
    if error.outcome is Outcome.NOT_CREATED:
        values |= _NOT_THERE
    why = (
        [("order_failed", {"order": stored.order, "error": PosError.from_record(error)})]
        if stored.order
        else []
    )
    return Change(values, (failed,), (*why, _status(stored, OrderState.ERROR, stored.progress)))


_UNWATCHED: Mapping[str, object] = {"poll_at": None, "expected_at": None}
_NOT_THERE: Mapping[str, object] = {
    "pos_order": None,
    "pos_id": None,
    "received_at": None,
    "confirmed_at": None,
}


def _goes_on(history: History, failed: Failed) -> bool:
    """Whether an import may mend it: once for each asking, as for a refusal in the answer."""
    return bool(history.digest) and failed.mendable and history.imported is None


def _again(stored: StoredOrder, failed: Failed, now: float) -> Change:
    """Let the order go again, with what it was refused for as its last failure."""
    values = {
        "state": OrderState.DUE.value,
        "waits_for": WaitsFor.NOTHING.value,
        "due_at": now,
        "new_request": False,
        "error": failed.error.model_dump_json(),
        "updated_at": now,
        **_UNWATCHED,
        **_NOT_THERE,
    }
    why = ("menu_error", {"order": stored.order, "error": PosError.from_record(failed.error)})
    return Change(
        values, (failed,), (why, _status(stored, OrderState.DUE, stored.progress)), due=True
    )


def _sent_at(history: History) -> float:
    """Return when the order was last sent: a menu that was imported since is newer than the one it was sent with."""
    return max((sent.at for sent in history.sent if sent.effect is Effect.CREATE), default=0.0)


def _status(
    stored: StoredOrder, state: OrderState, progress: Progress
) -> tuple[str, Mapping[str, object]]:
    return "order_status_changed", {
        "order": stored.order,
        "state": state.value,
        "progress": progress,
    }


# ------------------------------------------------------------------ how long and how often an order
# is watched


def arrived(
    there: PosOrder, order: Order | None, state: OrderState, now: float, settings: OutboxSettings
) -> dict[str, object]:
    """Return what is written beside the state of an order that has just reached the platform."""
    proved = now if state is OrderState.ACCEPTED else None
    return {
        "pos_id": there.id,
        "received_at": now,
        "confirmed_at": proved,
        "unseen_reported_at": None,
        "poll_at": watch_again(state, there.progress, now, due_of(order), now),
        "expected_at": expected_by(now, due_of(order), settings)
        if state is OrderState.RECEIVED
        else None,
        **(_turned_down(there, now, settings) if state in _OVER else {}),
    }


def refusal(
    order: Order, state: OrderState, there: PosOrder | None
) -> Sequence[tuple[str, Mapping[str, object]]]:
    """Return the hook to be called for an order that was turned down by the time that it was known to be there."""
    return (
        (("order_rejected", {"order": order, "pos_order": there}),)
        if there and state in _OVER
        else ()
    )


def watch_again(
    state: OrderState, progress: Progress, received_at: float, due: float | None, now: float
) -> float | None:
    """Return when the platform is next asked how an order stands (epoch seconds); None when it isn't any more.

    Every 30 seconds at first, more and more rarely with the order's age, up to every 5 minutes.

    >>> watch_again(OrderState.RECEIVED, Progress.NEW, received_at=1000.0, due=None, now=1000.0)
    1030.0
    """
    if state not in _OPEN or progress in (Progress.COMPLETED, Progress.CANCELLED):
        return None
    shortest = LOOK_ACCEPTED if state is OrderState.ACCEPTED else FIRST_LOOK
    at = now + min(LONGEST_LOOK, max(shortest, (now - received_at) / 4))
    return at if at <= max(received_at, due or 0.0) + WATCH_FOR else None


def expected_by(received_at: float, due: float | None, settings: OutboxSettings) -> float:
    """Return by when the register should have shown that it has an order (epoch seconds).

    Of a scheduled one that is counted from 30 minutes before it is due, since it may not be shown
    any earlier.
    """
    return max(received_at, (due or 0.0) - NOTICE) + settings.unseen_after


def due_of(order: Order | None) -> float | None:
    """Return when an order is due, in epoch seconds; None for as soon as possible, and once it was erased."""
    return order.due_at.timestamp() if order and order.due_at else None
