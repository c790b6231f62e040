"""What people do with an order: accept it, move it on, send it again, take it over by hand, cancel it, export it.

    desk = Desk(outbox, who="mia")
    desk.resubmit("ord_1")
    print(desk.manual("ord_2").docket)

Each act is kept, with who did it and when. An act that doesn't fit where the order stands is
refused with `ActError`, whose one line says why and what helps. Two people who do the same at once
do it once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from tillpost.errors import ConfigError, ErrorRecord, MenuError, Outcome, PosError
from tillpost.models.docket import docket
from tillpost.models.order import Delivery, Order, PosOrder, PosState, Progress
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.db import schema as t
from tillpost.outbox.delivery.sources import FromFileAndDatabase
from tillpost.outbox.delivery.tills import Source
from tillpost.outbox.event_log import decided
from tillpost.outbox.orders.claims import ISOLATE_AFTER
from tillpost.outbox.orders.models import OrderState, StoredOrder, WaitsFor
from tillpost.outbox.orders.problems import handled, problem_columns, solved
from tillpost.outbox.orders.transitions import STEPS
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.worker.processor import Processor
from tillpost.plugins.manager import Hooks
from tillpost.submission.history import History, fold

__all__ = ["Act", "ActError", "OrderOperations", "TakenOver", "next_progress"]

_ORDER = t.orders.c

STALE = 1.0
"""An import of that time (epoch seconds) is too old to serve."""


class ActError(ValueError):
    """The act doesn't fit where the order stands. The text is one line that says why, and what helps."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person did. `at` is in epoch seconds."""

    at: float
    who: str
    what: str
    connection: str
    order_id: str | None
    note: str


@dataclass(frozen=True, slots=True)
class TakenOver:
    """An order that was taken over by hand: its docket, and whether a copy may still appear at the register."""

    order: StoredOrder
    docket: str
    copy_may_appear: bool


_OVER = {
    OrderState.CANCELLED: "it is cancelled",
    OrderState.REJECTED: "staff turned it down at the register; pay the customer back, and close it with `cancel`",
}
_THERE = {
    OrderState.RECEIVED: "the platform has it",
    OrderState.ACCEPTED: "the register has it",
    OrderState.MANUAL: "it was taken over by hand",
}


def _steps_of(order: Order | None) -> Sequence[Progress]:
    delivered = order is not None and isinstance(order.fulfilment, Delivery)
    return [step for step in STEPS if delivered or step is not Progress.ON_BOARD]


def next_progress(now: Progress, order: Order | None) -> Progress | None:
    """Return what comes next for an order; only a delivery goes on board. None when nothing does.

    >>> next_progress(Progress.READY, None)
    <Progress.COMPLETED: 'completed'>
    """
    steps = _steps_of(order)
    return steps[steps.index(now) + 1] if now in steps[:-1] else None


class OrderOperations:
    """Where people act on the outbox's orders. `who` is kept with each act.

    `connections` gives a connection by its name, for what has to be withdrawn at a platform; by
    default those of the TOML file and the database. Every method raises `ActError` when there is no
    such order, or the act doesn't fit; `DatabaseError` as the outbox does.
    """

    def __init__(
        self,
        outbox: Outbox,
        who: str,
        *,
        connections: Source | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._who = who
        self._connections = connections
        self._clock = clock

    # ------------------------------------------------------------------ what the customer is told

    def accept(self, order_id: str) -> StoredOrder:
        """Accept an order, so that the customer knows, also while it isn't on the register. Doing it again is fine."""
        stored = self._find(order_id)
        if stored.progress is not Progress.NEW and stored.state not in _OVER:
            return stored
        return self._progress(stored, Progress.ACCEPTED, "accept")

    def advance(self, order_id: str, to: Progress | None = None) -> StoredOrder:
        """Move an order on: to what comes next, or to a later step. Never backwards."""
        stored = self._find(order_id)
        steps = _steps_of(stored.order)
        wanted = to or next_progress(stored.progress, stored.order)
        if wanted is None:
            raise ActError(f"{order_id} is {stored.progress.value}: nothing comes after that")
        if wanted not in steps:
            raise ActError(
                f"{wanted.value} isn't a step of this order; there are: {', '.join(s.value for s in steps)}"
            )
        if stored.progress not in steps or steps.index(wanted) < steps.index(stored.progress):
            raise ActError(
                f"{order_id} is {stored.progress.value} already; it doesn't go back to {wanted.value}"
            )
        return self._progress(stored, wanted, "advance")

    def _progress(self, stored: StoredOrder, wanted: Progress, what: str) -> StoredOrder:
        if stored.state in _OVER:
            raise ActError(f"{stored.id} can't be moved on: {_OVER[stored.state]}")
        with self._outbox.database.writing() as db:
            moved = update(t.orders).where(
                _ORDER.id == stored.id, _ORDER.progress == stored.progress.value
            )
            acted = solved() if wanted is Progress.COMPLETED else handled()
            values = {"progress": wanted.value, "updated_at": self._clock(), **acted}
            if db.execute(moved.values(**values)).rowcount:
                self._note(db, what, stored.connection, stored.id, wanted.value)
        now = self._find(stored.id)
        self._tell(
            now,
            "order_status_changed",
            {"order": now.order, "state": now.state, "progress": now.progress},
        )
        return now

    # ------------------------------------------------------------------ sending again

    def resubmit(self, order_id: str) -> StoredOrder:
        """Send an order again that stands in error, or at once one that waits. Pressed twice, it goes once."""
        stored = self._find(order_id)
        if stored.state is OrderState.SENDING or _goes_now(stored, self._clock()):
            return stored
        why = {**_OVER, **_THERE}.get(stored.state, "")
        if stored.error and stored.error.outcome is Outcome.CREATED:
            why = "the platform has it, though not as it was paid for: correct it at the register"
        if why:
            raise ActError(f"{order_id} can't be sent again: {why}")
        now = self._clock()
        again = {
            "state": OrderState.DUE.value,
            "waits_for": WaitsFor.NOTHING.value,
            "due_at": now,
            "eligible_at": now,
            "new_request": True,
            "crash_count": min(stored.crash_count, ISOLATE_AFTER),
            "updated_at": now,
            **problem_columns(OrderState.DUE, WaitsFor.NOTHING, now, 0.0),
        }
        with self._outbox.database.writing() as db:
            if stored.error and stored.error.kind == MenuError.__name__:
                # Somebody may have mended the menu since the last import, however young that is.
                self._outbox.connection_rows.update(db, stored.connection, {"menu_at": STALE})
            # One who was faster, a worker or a person, has moved the order on: that it is sent
            # again is done then.
            as_seen = (
                _ORDER.id == order_id,
                _ORDER.worker.is_(None),
                _ORDER.updated_at == stored.updated_at,
            )
            if db.execute(update(t.orders).where(*as_seen).values(**again)).rowcount:
                self._note(db, "resubmit", stored.connection, order_id, "")
                self._outbox.engine.wake(db, order_id, now)
        return self._find(order_id)

    # ------------------------------------------------------------------ taking over, and taking
    # back

    def manual(self, order_id: str, *, even_in_doubt: bool = False) -> TakenOver:
        """Take an order over by hand: it is sent no more, a copy at the platform is withdrawn, and it gets a docket.

        While it isn't certain whether the platform has it, it is refused unless `even_in_doubt`;
        then it is looked for, and withdrawn if it is found. Where a copy, or the attention ticket,
        can't be, the docket says that one may still appear. One that somebody at the store withdrew
        can be made all the same so: it is accepted again.
        """
        stored = self._find(order_id)
        if stored.state is OrderState.MANUAL:
            return self._taken_over(stored)
        if not _was_withdrawn_there(stored):
            self._refuse_over(stored, "taken over")
        if _in_doubt(stored, self._history(stored)) and not even_in_doubt:
            why = f"it isn't certain whether the platform has {order_id}"
            raise ActError(f"{why}: look at the register first, or say --even-in-doubt")
        self._withdraw(stored, OrderState.MANUAL, "manual")
        return self._taken_over(self._find(order_id))

    def cancel(self, order_id: str) -> StoredOrder:
        """Cancel an order: it isn't sent any more, and withdrawn at the platform. The money is paid back elsewhere.

        Its attention ticket is withdrawn too; the hook `ticket_left` tells of one that can't be.
        Refused where the platform has it and can't withdraw it, and while it isn't certain whether
        it has it. An order that the store said no to stays so; cancelling it says that the customer
        was told, and paid back.
        """
        stored = self._find(order_id)
        if stored.state in _OVER:
            return self._closed(stored)
        self._refuse_over(stored, "cancelled")
        if _in_doubt(stored, self._history(stored)):
            raise ActError(
                f"it isn't certain whether the platform has {order_id}: it can be cancelled once that is known"
            )
        if not self._withdraw(stored, OrderState.CANCELLED, "cancel", must=True):
            raise ActError(
                f"{order_id} can't be withdrawn through the connection: cancel it at the register"
            )
        return self._find(order_id)

    def _closed(self, stored: StoredOrder) -> StoredOrder:
        """Note that nobody has to do anything more about an order that the store said no to."""
        with self._outbox.database.writing() as db:
            open_yet = (_ORDER.id == stored.id, _ORDER.problem_at.is_not(None))
            over = {"progress": Progress.CANCELLED.value, "updated_at": self._clock(), **solved()}
            if db.execute(update(t.orders).where(*open_yet).values(**over)).rowcount:
                self._note(db, "cancel", stored.connection, stored.id, "")
        return self._find(stored.id)

    def _refuse_over(self, stored: StoredOrder, what: str) -> None:
        if stored.state is OrderState.SENDING:
            raise ActError(f"{stored.id} is being sent at this moment: try again in some seconds")
        if stored.state in _OVER:
            raise ActError(f"{stored.id} can't be {what}: {_OVER[stored.state]}")

    def _history(self, stored: StoredOrder) -> History:
        return fold(self._outbox.journal(stored.id))

    def _withdraw(
        self, stored: StoredOrder, ends: OrderState, what: str, *, must: bool = False
    ) -> bool:
        """Take the order in hand, withdraw a copy at the platform, lay it down as ended; return whether none is left.

        `must`: without that it is laid down as it was.
        """
        with Processor(self._outbox, connections=self._connections, clock=self._clock) as processor:
            claim = processor.take(stored.id, stored.updated_at)
            if claim is None:
                self._refuse_over(self._find(stored.id), "acted on")
                raise ActError(
                    f"{stored.id} has gone on meanwhile: see where it stands now, and try again"
                )
            there = (
                processor.seek(claim) if _in_doubt(stored, fold(claim.events)) else stored.pos_order
            )
            gone = processor.withdraw(claim, there) if there and _is_there(there) else True
            if gone or not must:
                kept = {"state": ends.value, "waits_for": "", "due_at": None, "error": None}
                kept |= {"ticket": None} if processor.withdraw_ticket(claim) else {}
                end = {**kept, **problem_columns(ends, WaitsFor.NOTHING, self._clock(), 0.0)}
                if ends is OrderState.CANCELLED:
                    end["progress"] = Progress.CANCELLED.value
                elif _was_withdrawn_there(stored):
                    end["progress"] = Progress.ACCEPTED.value
            else:
                # It may have been withdrawn without our hearing of it: the next look at the
                # platform tells.
                end = {"due_at": stored.due_at, "poll_at": self._clock()}
            with self._outbox.claims.recording(claim, (), self._clock(), worker=None, **end) as db:
                if gone or not must:
                    self._note(
                        db,
                        what,
                        stored.connection,
                        stored.id,
                        "" if gone else "a copy may still appear",
                    )
        return gone

    def _taken_over(self, stored: StoredOrder) -> TakenOver:
        if stored.order is None:
            raise ActError(f"the content of {stored.id} was erased")
        copy_may_appear = _may_appear(stored, self._history(stored))
        title = self._title(stored.connection)
        text = docket(stored.order, platform=title, copy_may_appear=copy_may_appear)
        return TakenOver(stored, text, copy_may_appear)

    # ------------------------------------------------------------------ handing over

    def export(self, order_id: str) -> Mapping[str, object]:
        """Return what the provider's support needs, without the customer: ids, error and journal, redacted."""
        stored = self._find(order_id)
        entries = self._outbox.entries(order_id)
        with self._outbox.database.writing() as db:
            self._note(db, "export", stored.connection, order_id, "")
        return {
            "order": stored.id,
            "connection": stored.connection,
            "state": stored.state.value,
            "added_at": stored.added_at,
            "pos_order": stored.pos_order.model_dump(mode="json", exclude={"notices"})
            if stored.pos_order
            else None,
            "ticket": stored.ticket.model_dump(mode="json", exclude={"notices"})
            if stored.ticket
            else None,
            "error": _told(stored.error),
            "journal": [
                {
                    "number": entry.number,
                    "event": type(entry.happened).__name__,
                    "of_ticket": entry.of_ticket,
                    "at": entry.event.at,
                    "exchange": entry.exchange.model_dump(mode="json") if entry.exchange else None,
                }
                for entry in entries
            ],
        }

    def acts(self, order_id: str) -> list[Act]:
        """Return what people did with an order, oldest first."""
        log = t.audit_log.c
        of_order = select(t.audit_log).where(log.order_id == order_id).order_by(log.id)
        with self._outbox.database.reading() as db:
            rows = db.execute(of_order).all()
        return [
            Act(row.done_at, row.actor, row.action, row.connection, row.order_id, row.note)
            for row in rows
        ]

    # ------------------------------------------------------------------ parts

    def _find(self, order_id: str) -> StoredOrder:
        stored = self._outbox.get(order_id)
        if stored is None:
            raise ActError(f"no order {order_id!r} in the outbox")
        return stored

    def _note(self, db: Connection, what: str, connection: str, order_id: str, note: str) -> None:
        act = {
            "done_at": self._clock(),
            "actor": self._who,
            "action": what,
            "connection": connection,
            "order_id": order_id,
        }
        db.execute(insert(t.audit_log).values(note=note, **act))
        decided("act", what=what, id=order_id, connection=connection, note=note)

    def _title(self, connection: str) -> str:
        try:
            known = self._connections or FromFileAndDatabase(
                CredentialStore(self._outbox.database), self._outbox.config, lambda: ""
            )
            return known(connection).adapter.title
        except ConfigError:
            return "the POS"

    def _tell(self, stored: StoredOrder, hook: str, facts: Mapping[str, object]) -> None:
        Hooks(stored.connection).call(hook, facts)


def _is_there(known: PosOrder | None) -> bool:
    """Whether the platform has the order, as far as is known, so that there is something to withdraw."""
    return known is not None and known.state in (PosState.RECEIVED, PosState.ACCEPTED)


def _in_doubt(stored: StoredOrder, history: History) -> bool:
    """Whether an earlier request may have made the order at the platform, and nobody knows."""
    known = stored.pos_order is not None or stored.state is OrderState.MANUAL
    return not known and bool(history.doubts or history.found)


def _may_appear(stored: StoredOrder, history: History) -> bool:
    """Whether the platform has, or may have, an order that was taken over, or its attention ticket."""
    unknown = stored.pos_order is None and bool(history.doubts or history.found)
    copy = (_is_there(stored.pos_order) or unknown) and not history.cancelled
    return copy or (history.ticket is not None and history.ticket.may_be_there)


def _was_withdrawn_there(stored: StoredOrder) -> bool:
    """Whether somebody withdrew the order at the store or the platform, and nobody here has settled that."""
    return stored.state is OrderState.CANCELLED and stored.problem_at is not None


def _goes_now(stored: StoredOrder, now: float) -> bool:
    """Whether an order is on its way by itself: nothing more comes of sending it again."""
    due = stored.due_at is not None and stored.due_at <= now
    return stored.state is OrderState.DUE and stored.waits_for is WaitsFor.NOTHING and due


def _told(error: ErrorRecord | None) -> dict[str, Any] | None:
    if error is None:
        return None
    told = error.model_dump(mode="json", exclude={"pos_order", "subjects"})
    return {**told, "remedy": PosError.from_record(error).remedy.developer}
