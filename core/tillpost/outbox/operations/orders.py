"""What people do with orders.

They accept, advance, resubmit, take over by hand, cancel and export them.

    operations = OrderOperations(outbox, who="mia")
    operations.resubmit("ord_1")
    print(operations.manual("ord_2").docket)

The command line calls this, and so may a web page. Each act is written to the audit log. An act
that doesn't fit the order's state raises `ActError`, whose text says why and what to do instead.
Two people who do the same at the same time do it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from sqlalchemy import Connection, select, update

from tillpost.adapter.base import Adapter
from tillpost.errors import MenuError, Outcome
from tillpost.models.docket import docket
from tillpost.models.order import Delivery, Order, PosOrder, PosState, Progress
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.db import schema as t
from tillpost.outbox.delivery.connections import ConnectionSource, adapter_in, require_source
from tillpost.outbox.delivery.run_result import RunResult
from tillpost.outbox.delivery.sources import default_source
from tillpost.outbox.operations.audit import Act, read_acts, record_act
from tillpost.outbox.operations.export import export_order
from tillpost.outbox.orders.claims import ISOLATE_AFTER, Claim, LeaseLostError
from tillpost.outbox.orders.models import (
    OrderState,
    StoredOrder,
    UnreadableEventError,
    WaitsFor,
    stored_order,
)
from tillpost.outbox.orders.problems import acknowledged_columns, problem_columns, solved_columns
from tillpost.outbox.orders.transitions import STEPS
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.worker.processor import Processor
from tillpost.plugins.manager import Hooks
from tillpost.submission.address import address_of, error_of_address
from tillpost.submission.history import History, fold
from tillpost.submission.withdrawal import may_exist_unseen

__all__ = ["Act", "ActError", "OrderOperations", "TakenOver", "next_progress"]

_ORDER = t.orders.c

STALE = 1.0
"""A menu imported at this time (epoch seconds) is older than any cooldown."""


class ActError(ValueError):
    """An act that doesn't fit the order's state.

    The text, one line, says why and what to do.
    """


@dataclass(frozen=True, slots=True)
class TakenOver:
    """An order that is entered by hand at the register.

    Attributes:
        order: The order.
        docket: The text to print and to key in.
        copy_may_appear: Whether the platform may still show a copy of it.
    """

    order: StoredOrder
    docket: str
    copy_may_appear: bool


_CLOSED_STATES = {
    OrderState.CANCELLED: "it is cancelled",
    OrderState.REJECTED: (
        "staff turned it down at the register; refund what was paid, then close it with `cancel`"
    ),
}
"""Why an order in one of these states allows no further act."""

_DELIVERED_STATES = {
    OrderState.RECEIVED: "the platform has it",
    OrderState.ACCEPTED: "the register has it",
    OrderState.MANUAL: "it was taken over by hand",
}
"""Why an order in one of these states isn't sent again."""


def next_progress(now: Progress, order: Order | None) -> Progress | None:
    """Return the step that follows; None after the last one.

    Only a delivery goes on board.

    >>> next_progress(Progress.READY, None)
    <Progress.COMPLETED: 'completed'>
    """
    steps = _steps_of(order)
    if now not in steps[:-1]:
        return None
    return steps[steps.index(now) + 1]


def _steps_of(order: Order | None) -> Sequence[Progress]:
    if order is not None and isinstance(order.fulfilment, Delivery):
        return STEPS
    return [step for step in STEPS if step is not Progress.ON_BOARD]


class OrderOperations:
    """The operations of one person on the orders of an outbox.

    Each method raises `ActError` when there is no such order or the act doesn't fit its state, and
    `DatabaseError` when the database fails.

    Args:
        outbox: The outbox.
        who: The person, for the audit log.
        connections: The source of connections; by default those of the TOML file, of the database
            and of the installed plugins. Used to withdraw orders at their platform.
        clock: Returns the time in epoch seconds; by default `Outbox.clock`.
    """

    def __init__(
        self,
        outbox: Outbox,
        who: str,
        *,
        connections: ConnectionSource | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if connections is not None:
            require_source(connections)
        self._outbox = outbox
        self._who = who
        self._connections = connections
        self._clock = clock or outbox.clock

    # ------------------------------------------------------------------ progress

    def accept(self, order_id: str) -> StoredOrder:
        """Accept an order for the customer, whether or not the register has it.

        Accepting it again does nothing.
        """
        stored = self._find(order_id)
        is_accepted = stored.progress is not Progress.NEW
        if is_accepted and stored.state not in _CLOSED_STATES:
            return stored
        return self._set_progress(stored, Progress.ACCEPTED, "accept")

    def advance(self, order_id: str, to: Progress | None = None) -> StoredOrder:
        """Advance an order to a later step, by default to the next one."""
        stored = self._find(order_id)
        now = stored.progress
        steps = _steps_of(stored.order)
        wanted = to or next_progress(now, stored.order)
        if wanted is None:
            raise ActError(f"{order_id} is {now.value}: nothing comes after that")
        if wanted not in steps:
            known_steps = ", ".join(step.value for step in steps)
            raise ActError(f"{wanted.value} isn't a step of this order: use one of {known_steps}")
        if now not in steps or steps.index(wanted) < steps.index(now):
            raise ActError(f"{order_id} is already {now.value}: it can't go back to {wanted.value}")
        return self._set_progress(stored, wanted, "advance")

    def _set_progress(self, stored: StoredOrder, progress: Progress, action: str) -> StoredOrder:
        if stored.state in _CLOSED_STATES:
            raise ActError(f"{stored.id} can't be moved on: {_CLOSED_STATES[stored.state]}")
        problem = solved_columns() if progress is Progress.COMPLETED else acknowledged_columns()
        values: dict[str, object] = {"progress": progress.value, "updated_at": self._clock()}
        with self._outbox.database.writing() as db:
            seen = self._lock(db, stored)
            if seen.state in _CLOSED_STATES:
                raise ActError(f"{stored.id} can't be moved on: {_CLOSED_STATES[seen.state]}")
            if seen.problem_at == stored.problem_at:
                # A problem that has come up meanwhile is one that the person didn't see.
                values |= problem
            if seen.progress is stored.progress:
                order_row = update(t.orders).where(_ORDER.id == stored.id)
                db.execute(order_row.values(**values))
                self._record(db, action, stored, progress.value)
        current = self._find(stored.id)
        facts = {
            "order": current.order,
            "state": current.state,
            "progress": current.progress,
        }
        Hooks(current.connection).call("order_status_changed", facts)
        return current

    # ------------------------------------------------------------------ resubmit

    def resubmit(self, order_id: str) -> StoredOrder:
        """Submit an order in error again, or one that waits at once.

        Repeating it before the order was sent does nothing.
        """
        stored = self._find(order_id)
        if stored.state is OrderState.SENDING or _is_due(stored, self._clock()):
            return stored
        reason = _reason_not_to_resubmit(stored)
        if reason:
            raise ActError(f"{order_id} can't be sent again: {reason}")
        now = self._clock()
        values = {
            "state": OrderState.DUE.value,
            "waits_for": WaitsFor.NOTHING.value,
            "due_at": now,
            "eligible_at": now,
            "new_request": True,
            "crash_count": min(stored.crash_count, ISOLATE_AFTER),
            "updated_at": now,
            **problem_columns(OrderState.DUE, WaitsFor.NOTHING, now, 0.0),
        }
        # If a worker or another person was faster, the order is being sent again already.
        unchanged = (
            _ORDER.id == order_id,
            _ORDER.worker.is_(None),
            _ORDER.updated_at == stored.updated_at,
        )
        change = update(t.orders).where(*unchanged).values(**values)
        with self._outbox.database.writing() as db:
            if stored.error and stored.error.kind == MenuError.__name__:
                # The menu may have been corrected since the last import, however young that is.
                stale = {"menu_at": STALE}
                self._outbox.connection_rows.update(db, stored.connection, stale)
            is_changed = db.execute(change).rowcount == 1
            if is_changed:
                self._record(db, "resubmit", stored)
                self._outbox.engine.wake(db, order_id, now)
        return self._find(order_id)

    # ------------------------------------------------------------------ take over and cancel

    def manual(self, order_id: str, *, even_in_doubt: bool = False) -> TakenOver:
        """Take an order over, to be entered by hand at the register.

        The order isn't sent any more, and its copy at the platform is withdrawn. If that fails, or
        its attention ticket stays, the docket warns that a copy may still appear. An order that
        somebody withdrew at the store is accepted again by this.

        Args:
            order_id: The order's id.
            even_in_doubt: Take it over even if the platform may have it. It is looked up then, and
                withdrawn if it is found; workers go on with that until it is known. An order that
                can't be read is taken over as it is.
        """
        stored = self._find(order_id)
        if stored.state is OrderState.MANUAL:
            return self._taken_over(stored)
        if self._must_close_unread(stored):
            self._close_unread(stored, OrderState.MANUAL, "manual")
            return self._taken_over(self._find(order_id))
        if not _was_withdrawn_at_platform(stored):
            self._refuse_closed(stored, "taken over")
        if self._is_in_doubt(stored) and not even_in_doubt:
            raise ActError(
                f"the platform may already have {order_id}: look at the register first, "
                "or repeat with --even-in-doubt"
            )
        self._end(stored, OrderState.MANUAL, "manual")
        return self._taken_over(self._find(order_id))

    def cancel(self, order_id: str) -> StoredOrder:
        """Cancel an order, and withdraw it and its attention ticket at the platform.

        Refunding the customer is not part of it. An order can't be cancelled while it isn't known
        whether the platform has it, or if the platform can't withdraw it. The hook `ticket_left`
        reports a ticket that can't be withdrawn. An order that the store rejected stays rejected:
        cancelling it means that the customer was informed, and refunded what was paid. One that
        can't be read is closed as it is, and isn't withdrawn.
        """
        stored = self._find(order_id)
        if stored.state in _CLOSED_STATES:
            return self._close(stored)
        self._refuse_closed(stored, "cancelled")
        if self._must_close_unread(stored):
            self._close_unread(stored, OrderState.CANCELLED, "cancel")
            return self._find(order_id)
        is_in_doubt = self._is_in_doubt(stored)
        if is_in_doubt and stored.state is not OrderState.MANUAL:
            raise ActError(
                f"the platform may already have {order_id}: it can be cancelled once that is known"
            )
        is_withdrawn = self._end(stored, OrderState.CANCELLED, "cancel", must_withdraw=True)
        if not is_withdrawn and is_in_doubt:
            raise ActError(
                f"the platform may still have {order_id}: it can be cancelled once it is withdrawn "
                "there, which a worker goes on with"
            )
        if not is_withdrawn:
            reason = self._misdirection(stored)
            raise ActError(
                f"{order_id} can't be withdrawn at the platform{reason}: cancel it at the register"
            )
        return self._find(order_id)

    def _close(self, stored: StoredOrder) -> StoredOrder:
        """Record that nobody has to act on a rejected or cancelled order any more."""
        values = {
            "progress": Progress.CANCELLED.value,
            "updated_at": self._clock(),
            **solved_columns(),
        }
        close = (
            update(t.orders)
            .where(
                _ORDER.id == stored.id,
                _ORDER.worker.is_(None),
                _ORDER.state == stored.state.value,
                _ORDER.problem_at.is_not(None),
            )
            .values(**values)
        )
        with self._outbox.database.writing() as db:
            is_closed_now = db.execute(close).rowcount == 1
            if is_closed_now:
                self._record(db, "cancel", stored)
        current = self._find(stored.id)
        if current.state is not stored.state:
            raise _changed(stored)
        return current

    def _end(
        self,
        stored: StoredOrder,
        state: OrderState,
        action: str,
        *,
        must_withdraw: bool = False,
    ) -> bool:
        """Claim an order, withdraw its copy at the platform, and end it in a state.

        Args:
            stored: The order as it was read; if it has changed since, the act is refused.
            state: The state in which it ends.
            action: The operation, for the audit log.
            must_withdraw: If a copy stays at the platform, leave the order as it was.

        Returns:
            Whether no copy stays at the platform.
        """
        try:
            return self._end_claimed(stored, state, action, must_withdraw=must_withdraw)
        except LeaseLostError:
            text = f"{stored.id} was acted on by somebody else: check its state, then try again"
        raise ActError(text)

    def _end_claimed(
        self,
        stored: StoredOrder,
        state: OrderState,
        action: str,
        *,
        must_withdraw: bool,
    ) -> bool:
        with Processor(self._outbox, connections=self._connections, clock=self._clock) as processor:
            claim = self._claim(processor, stored)
            copy = stored.pos_order
            left: RunResult | None = None
            if _is_unresolved(stored, fold(claim.events)):
                left = processor.withdraw_doubt(claim)
                is_withdrawn = left.due_in is None and not left.gave_up
            else:
                is_withdrawn = not _is_active(copy) or processor.withdraw(claim, copy)
            is_ended = is_withdrawn or not must_withdraw
            if is_ended:
                changes = self._final_values(processor, claim, stored, state)
            else:
                # The platform may have withdrawn it although the answer was lost: poll it at once.
                changes = {"due_at": stored.due_at, "poll_at": self._clock()}
            if left is not None and not is_withdrawn:
                changes |= self._left_values(left)
            note = "" if is_withdrawn else "a copy may still appear"
            events = left.events if left else ()
            recording = self._outbox.claims.recording(
                claim, events, self._clock(), worker=None, **changes
            )
            with recording as db:
                if is_ended:
                    self._record(db, action, stored, note)
                if left is not None and left.due_in is not None:
                    self._outbox.engine.wake(db, stored.id, self._clock() + left.due_in)
        return is_withdrawn

    def _left_values(self, left: RunResult) -> dict[str, object]:
        """Return the columns of an order that may still be at the platform.

        Workers go on with its withdrawal, or a person has to see to it.
        """
        now = self._clock()
        state = OrderState.ERROR if left.gave_up else left.state
        escalate_after = self._outbox.settings.escalate_after
        return {
            "waits_for": left.waits_for.value,
            "due_at": None if left.due_in is None else now + left.due_in,
            "eligible_at": now,
            "suspended_until": left.suspended_until,
            "error": left.error.model_dump_json() if left.error else None,
            "poll_at": None,
            **problem_columns(state, left.waits_for, now, escalate_after),
        }

    def _must_close_unread(self, stored: StoredOrder) -> bool:
        """Return whether an order can only be closed without being read."""
        if stored.state not in (OrderState.ERROR, OrderState.MANUAL):
            return False
        is_unread = bool(stored.unreadable) or stored.order is None
        return is_unread or self._history(stored) is None

    def _close_unread(self, stored: StoredOrder, state: OrderState, action: str) -> None:
        """Close an order without reading it.

        Its row can't be read, or its content was erased. What the platform has of it can't be
        withdrawn from here.
        """
        is_cancelled = state is OrderState.CANCELLED
        progress = Progress.CANCELLED if is_cancelled else Progress.ACCEPTED
        values = {
            "state": state.value,
            "progress": progress.value,
            "waits_for": WaitsFor.NOTHING.value,
            "due_at": None,
            "poll_at": None,
            "expected_at": None,
            "updated_at": self._clock(),
            **solved_columns(),
        }
        close = update(t.orders).where(_ORDER.id == stored.id)
        with self._outbox.database.writing() as db:
            seen = self._lock(db, stored)
            if seen.state is state:
                return
            if seen != stored:
                # It may have been repaired and sent.
                raise _changed(stored)
            db.execute(close.values(**values))
            self._record(db, action, stored, "not looked up or withdrawn at the platform")

    def _claim(self, processor: Processor, stored: StoredOrder) -> Claim:
        claim = processor.claim_order(stored.id, stored.updated_at)
        if claim is None:
            current = self._find(stored.id)
            self._refuse_closed(current, "acted on")
            if current.order is None:
                raise ActError(f"the content of {stored.id} was erased: act at the register")
            raise _changed(stored)
        return claim

    def _final_values(
        self,
        processor: Processor,
        claim: Claim,
        stored: StoredOrder,
        state: OrderState,
    ) -> dict[str, object]:
        """Withdraw the attention ticket.

        Returns the columns of an order that ends in `state`.
        """
        values: dict[str, object] = {
            "state": state.value,
            "waits_for": WaitsFor.NOTHING.value,
            "due_at": None,
            "error": None,
        }
        if processor.withdraw_ticket(claim):
            values["ticket"] = None
        values |= problem_columns(state, WaitsFor.NOTHING, self._clock(), 0.0)
        if state is OrderState.CANCELLED:
            values["progress"] = Progress.CANCELLED.value
        elif _was_withdrawn_at_platform(stored):
            values["progress"] = Progress.ACCEPTED.value
        return values

    def _refuse_closed(self, stored: StoredOrder, participle: str) -> None:
        if stored.state is OrderState.SENDING:
            raise ActError(f"{stored.id} is being sent now: try again in a few seconds")
        if stored.state in _CLOSED_STATES:
            raise ActError(f"{stored.id} can't be {participle}: {_CLOSED_STATES[stored.state]}")

    def _taken_over(self, stored: StoredOrder) -> TakenOver:
        history = self._history(stored)
        copy_may_appear = history is None or _may_appear(stored, history)
        platform = self._platform_title(stored.connection)
        if stored.order is None:
            text = _missing_docket(stored, platform, copy_may_appear=copy_may_appear)
            return TakenOver(stored, text, copy_may_appear)
        text = docket(stored.order, platform=platform, copy_may_appear=copy_may_appear)
        return TakenOver(stored, text, copy_may_appear)

    # ------------------------------------------------------------------ export and audit log

    def export(self, order_id: str) -> Mapping[str, object]:
        """Return an order for the provider's support: redacted, and without the customer."""
        stored = self._find(order_id)
        entries = self._outbox.entries(order_id)
        with self._outbox.database.writing() as db:
            self._record(db, "export", stored)
        return export_order(stored, entries)

    def acts(self, order_id: str) -> Sequence[Act]:
        """Return what people did with an order, the oldest first."""
        with self._outbox.database.reading() as db:
            return read_acts(db, order_id)

    def elsewhere(self, order_id: str) -> str:
        """Return the text that an order is, or may be, at another address, and which.

        That is another address than its connection's. Such an order isn't polled, looked up or
        sent. Empty: it isn't, as far as is known.
        """
        return self._elsewhere(self._find(order_id))

    # ------------------------------------------------------------------ helpers

    def _find(self, order_id: str) -> StoredOrder:
        stored = self._outbox.get(order_id)
        if stored is None:
            raise ActError(f"no order {order_id!r} in the outbox")
        return stored

    def _lock(self, db: Connection, stored: StoredOrder) -> StoredOrder:
        """Return an order as it is now, locked to the end of the transaction."""
        query = select(t.orders).where(_ORDER.id == stored.id).with_for_update()
        row = db.execute(query).mappings().one_or_none()
        if row is None:
            raise _changed(stored)
        return stored_order(row)

    def _history(self, stored: StoredOrder) -> History | None:
        """Return what is known of the order; None if its journal can't be read."""
        try:
            return fold(self._outbox.journal(stored.id))
        except UnreadableEventError:
            return None

    def _is_in_doubt(self, stored: StoredOrder) -> bool:
        history = self._history(stored)
        return history is None or _is_unresolved(stored, history)

    def _record(self, db: Connection, action: str, stored: StoredOrder, note: str = "") -> None:
        act = Act(self._clock(), self._who, action, stored.connection, stored.id, note)
        record_act(db, act)

    def _misdirection(self, stored: StoredOrder) -> str:
        """Return in brackets that an order isn't at its connection's address; "" if it is."""
        text = self._elsewhere(stored)
        if not text:
            return ""
        return f" ({text})"

    def _elsewhere(self, stored: StoredOrder) -> str:
        adapter = self._adapter(stored.connection)
        address = address_of(adapter) if adapter else ""
        history = self._history(stored)
        other_address = history.elsewhere(address) if history else ""
        if not address or not other_address:
            return ""
        return error_of_address(other_address, address).detail

    def _platform_title(self, connection: str) -> str:
        adapter = self._adapter(connection)
        if not adapter:
            return "the POS"
        return adapter.title

    def _adapter(self, connection: str) -> Adapter[Any] | None:
        """Return a connection's adapter, None if the connection is gone or wrong."""
        source = self._connections
        if source is None:
            credentials = CredentialStore(self._outbox.database)
            source = default_source(credentials, self._outbox.config)
        return adapter_in(source, connection)


def _changed(stored: StoredOrder) -> ActError:
    return ActError(f"{stored.id} has changed meanwhile: check its state, then try again")


def _reason_not_to_resubmit(stored: StoredOrder) -> str:
    """Return why an order can't be submitted again; "" if it can."""
    if stored.error and stored.error.outcome is Outcome.CREATED:
        return "the platform has it, but not as it was paid for; correct it at the register"
    if stored.unreadable:
        return "its row can't be read; close it with `manual` or `cancel`"
    if stored.order is None:
        return "its content was erased; add the order again under a new id"
    reasons = {**_CLOSED_STATES, **_DELIVERED_STATES}
    return reasons.get(stored.state, "")


def _is_active(copy: PosOrder | None) -> TypeGuard[PosOrder]:
    """Return whether the platform has an active order, as far as is known.

    An active order can be withdrawn.
    """
    return copy is not None and copy.state in (PosState.RECEIVED, PosState.ACCEPTED)


def _is_unresolved(stored: StoredOrder, history: History) -> bool:
    """Return whether an earlier request may have created the order at the platform."""
    return stored.pos_order is None and may_exist_unseen(history)


def _missing_docket(stored: StoredOrder, platform: str, *, copy_may_appear: bool) -> str:
    """Return what is printed in place of the docket of an order whose content is gone."""
    why = "can't be read" if stored.unreadable else "was erased"
    lines = [
        f"Order {stored.code} ({stored.id}): its content {why}.",
        "Take it from the ordering site. It is PAID ONLINE.",
    ]
    if copy_may_appear:
        lines.append(f"A COPY OF IT MAY STILL APPEAR ON {platform.upper()}. COOK IT ONCE.")
    return "\n".join(lines) + "\n"


def _may_appear(stored: StoredOrder, history: History) -> bool:
    """Return whether an order that was taken over may still appear at the register.

    Its ticket counts as well.
    """
    is_unknown = stored.pos_order is None and may_exist_unseen(history)
    may_be_active = is_unknown or _is_active(stored.pos_order)
    if may_be_active and not history.cancelled:
        return True
    return history.ticket is not None and history.ticket.may_exist


def _was_withdrawn_at_platform(stored: StoredOrder) -> bool:
    """Return whether the order's cancellation at the store hasn't been dealt with yet."""
    return stored.state is OrderState.CANCELLED and stored.problem_at is not None


def _is_due(stored: StoredOrder, now: float) -> bool:
    """Return whether an order will be sent at once anyway."""
    is_due = stored.due_at is not None and stored.due_at <= now
    return stored.state is OrderState.DUE and stored.waits_for is WaitsFor.NOTHING and is_due
