"""Watches the orders that the platform has, and those that are a person's problem, by whichever worker comes first.

What webhooks don't tell, or tell too late, is asked for: each order on a schedule of its own
(`observing.watch_again`). An order that the register shows no sign of is told once, a problem that
nobody acts on twice. A menu that the platform said was changed is imported. Each of these is
claimed in the store, so one worker does it; hooks are called once it is on disk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, func, select, update

from tillpost.adapter.webhooks import OrderChanged, OrderRefused
from tillpost.errors import ConfigError, PosError, RateLimitError
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import BLOCKED_CONNECTIONS
from tillpost.outbox.event_log import HookCall, decided
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.orders.models import OrderState, StoredOrder, stored_order
from tillpost.outbox.orders.transitions import due_of, watch_again
from tillpost.outbox.orders.updates import OrderUpdates
from tillpost.outbox.settings import LONGEST_RETRY_AFTER
from tillpost.outbox.webhooks.receiver import forget_old
from tillpost.outbox.worker.processor import Processor

__all__ = ["OrderMonitor"]

log = logging.getLogger("tillpost.outbox")

LOOKS, SECONDS = 8, 1.0
"""So many orders are asked for in one turn, one of each connection; and after so many seconds no further one is: who
watches brings orders to the register too, and their requests come out of the same budget."""

PUT_OFF = 60.0
"""An order is asked for again so many seconds after the platform didn't answer."""

MOST = 100
"""So many orders are told of in one turn."""

ESCALATIONS = 2
"""A problem is told to somebody else so often."""

IMPORT_AGAIN = 300.0
"""A menu whose import failed is imported again after so many seconds."""

_ORDER, _PLACE = t.orders.c, t.connections.c

_Outcome: TypeAlias = tuple[Mapping[str, object], Sequence[HookCall]]
"""A row's new values, and the hooks to be called."""


class OrderMonitor:
    """The watch of one worker. `chores` are for its `Maintenance`: how often, in seconds, and what."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._database = processor.outbox.database
        self._settings = processor.outbox.settings
        self._orders = OrderUpdates(processor.outbox.engine, self._settings)
        self.chores: Sequence[tuple[float, Callable[[], None]]] = (
            (2.0, self.look),
            (2.0, self.tell_unseen),
            (2.0, self.escalate),
            (5.0, self.import_changed),
            (3600.0, self.forget),
        )

    # ------------------------------------------------------------------ asking the platform

    def look(self) -> None:
        """Ask the platforms for the orders whose time has come."""
        now, give_over_at = self._processor.clock(), time.monotonic() + SECONDS
        free = (
            _ORDER.poll_at <= now,
            _ORDER.worker.is_(None),
            _ORDER.connection.not_in(BLOCKED_CONNECTIONS),
        )
        first = select(_ORDER.connection, func.min(_ORDER.poll_at).label("at")).where(*free)
        with self._database.reading() as db:
            waiting = db.execute(
                first.group_by(_ORDER.connection).order_by("at").limit(LOOKS), {"now": now}
            ).all()
        for connection, at in waiting:
            if time.monotonic() < give_over_at:
                self._look_at(_ORDER.connection == connection, _ORDER.poll_at == at)

    def _look_at(self, *which: ColumnElement[bool]) -> None:
        """Ask for one order, unless another worker does, and write what comes of it."""
        now = self._processor.clock()
        with self._database.writing() as db:
            row = _locked(db, *which)
            if row is None:
                return
            stored, since = stored_order(row), row["received_at"] or row["added_at"]
            again = watch_again(stored.state, stored.progress, since, due_of(stored.order), now)
            is_open = row["pos_id"] and stored.state in (OrderState.RECEIVED, OrderState.ACCEPTED)
            # Should this worker die, or the platform not answer.
            at = max(again, now + PUT_OFF) if is_open and again else None
            db.execute(update(t.orders).where(_ORDER.id == row["id"]).values(poll_at=at))
        if is_open:
            self._ask(row["connection"], row["id"], row["pos_id"])

    def _ask(self, connection: str, order_id: str, pos_id: str) -> None:
        try:
            till = self._processor.tills[connection]
            there = till.fetch_once(pos_id)
        except ConfigError as wrong:
            log.warning("order %s can't be looked at: %s", order_id, wrong)
            return
        except PosError as error:
            decided("look_failed", id=order_id, connection=connection, error=type(error).__name__)
            self._put_off(connection, error)
            return
        (event,) = till.believed(
            [OrderChanged(pos_id=pos_id, reference=order_id, pos_order=there)], {}
        )
        now = self._processor.clock()
        with self._database.writing() as db:
            if isinstance(event, OrderRefused):
                told = self._orders.refused(
                    db, connection, pos_id, order_id, event.error, now, "look"
                )
            else:
                told = self._orders.seen(db, connection, there, now, order_id, "look")
        self._processor.tell(connection, told)

    def _put_off(self, connection: str, error: PosError) -> None:
        """Leave a platform alone for a while that fails, or that asks to be."""
        now = self._processor.clock()
        if not error.transient:
            return
        waiting = (_ORDER.connection == connection, _ORDER.poll_at <= now)
        with self._database.writing() as db:
            db.execute(update(t.orders).where(*waiting).values(poll_at=now + PUT_OFF))
            if isinstance(error, RateLimitError) and error.retry_after:
                self._processor.connection_rows.lock(db, connection)
                until = now + min(error.retry_after, LONGEST_RETRY_AFTER)
                self._processor.connection_rows.update(db, connection, {"not_before": until})

    # ------------------------------------------------------------------ telling people

    def tell_unseen(self) -> None:
        """Tell of orders that the register should have shown by now, after one more look."""
        give_over_at = time.monotonic() + SECONDS
        for order_id in self._come(_ORDER.expected_at):
            if (
                poll_at := self._may_look(order_id)
            ) is not None and time.monotonic() < give_over_at:
                self._look_at(_ORDER.id == order_id, _ORDER.poll_at == poll_at)
            self._tell(order_id, _ORDER.expected_at, self._unseen)

    def _may_look(self, order_id: str) -> float | None:
        """Return when the order is to be looked at next; None when it isn't, or its connection is held back."""
        wanted = select(_ORDER.poll_at).where(
            _ORDER.id == order_id, _ORDER.connection.not_in(BLOCKED_CONNECTIONS)
        )
        with self._database.reading() as db:
            return db.scalar(wanted, {"now": self._processor.clock()})

    def _unseen(self, row: RowMapping, stored: StoredOrder, now: float) -> _Outcome:
        if (
            stored.state is not OrderState.RECEIVED
            or row["confirmed_at"] is not None
            or stored.pos_order is None
        ):
            return {"expected_at": None}, ()
        facts = {"order": stored.order, "pos_order": stored.pos_order}
        return {"expected_at": None, "unseen_reported_at": now}, (("order_unseen", facts),)

    def escalate(self) -> None:
        """Tell of problems that nobody has acted on."""
        for order_id in self._come(_ORDER.escalate_at):
            self._tell(order_id, _ORDER.escalate_at, self._escalated)

    def _escalated(self, row: RowMapping, stored: StoredOrder, now: float) -> _Outcome:
        if row["problem_at"] is None:
            return {"escalate_at": None}, ()
        times = row["escalations"] + 1
        again = now + self._settings.escalate_after if times < ESCALATIONS else None
        error = PosError.from_record(stored.error) if stored.error else None
        facts = {"order": stored.order, "error": error, "times": times}
        return {"escalate_at": again, "escalations": times}, (("order_escalated", facts),)

    def _come(self, when: Column[Any]) -> Sequence[str]:
        """Return the orders for which a time has come."""
        wanted = select(_ORDER.id).where(when <= self._processor.clock(), _ORDER.worker.is_(None))
        with self._database.reading() as db:
            return list(db.scalars(wanted.order_by(when).limit(MOST)))

    def _tell(
        self,
        order_id: str,
        when: Column[Any],
        decide: Callable[[RowMapping, StoredOrder, float], _Outcome],
    ) -> None:
        """Write what is decided of an order, unless another worker was faster, and tell it."""
        now = self._processor.clock()
        with self._database.writing() as db:
            row = _locked(db, _ORDER.id == order_id, when <= now)
            if row is None:
                return
            values, told = decide(row, stored_order(row), now)
            db.execute(update(t.orders).where(_ORDER.id == order_id).values(**values))
        for hook, facts in told:
            decided(hook, id=order_id, connection=row["connection"], times=facts.get("times"))
        self._processor.tell(row["connection"], told)

    # ------------------------------------------------------------------ what else platforms told

    def import_changed(self) -> None:
        """Import the menus that their platforms said were changed."""
        now = self._processor.clock()
        due = select(_PLACE.name, _PLACE.import_at).where(
            _PLACE.import_at <= now, _PLACE.paused == ""
        )
        with self._database.reading() as db:
            rows = db.execute(due).all()
        for name, import_at in rows:
            mine = now + IMPORT_AGAIN  # should this worker die
            if not self._moved(name, import_at, mine):
                continue
            try:
                self._processor.import_now(name)
            except (ConfigError, PosError, MenuImportRunning) as trouble:
                log.warning(
                    "the changed menu of %s isn't imported yet: %s",
                    name,
                    str(trouble) or "another is at it",
                )
            else:
                self._moved(name, mine, None)  # unless it was changed again meanwhile

    def _moved(self, name: str, seen: float, to: float | None) -> bool:
        """Set when a menu is next due to be imported; return whether that was as it was seen."""
        moved = (
            update(t.connections)
            .where(_PLACE.name == name, _PLACE.import_at == seen)
            .values(import_at=to)
        )
        with self._database.writing() as db:
            return db.execute(moved).rowcount == 1

    def forget(self) -> None:
        """Forget webhooks that nobody sends any more."""
        with self._database.writing() as db:
            forget_old(db, self._processor.clock())


def _locked(db: Connection, *which: ColumnElement[bool]) -> RowMapping | None:
    """Return an order of which that is so, and that nobody has in hand, locked."""
    mine = select(t.orders).where(*which, _ORDER.worker.is_(None)).limit(1).with_for_update()
    return db.execute(mine).mappings().one_or_none()
