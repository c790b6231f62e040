"""Looks at each store now and then, by whichever worker comes first, and tells when it begins or ceases to take orders.

Every connection is checked every `check_every` seconds from the time when it is first known here,
and at once when its row's `check_at` says so: an order was refused since the store is closed, a
webhook came, the store was connected again. Checks run in threads of their own, so that a platform
which doesn't answer holds up nobody's orders. A paused connection isn't checked (nobody is let in),
nor one whose platform has asked for patience.

What a check finds stands in the connection's row, where `opening` reads it. If the platform doesn't
let us in, the connection is paused, as an order would have paused it: a checkout that is told so
sends no order that could. For the same reason a check that is answered ends an outage for which no
order is left to try; it never begins one, since orders may pass where a check fails.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Exists, RowMapping, exists, or_, select, update

from tillpost.adapter.readiness import Finding, Readiness
from tillpost.errors import ConfigError
from tillpost.errors.remedies import Actor
from tillpost.models.availability import Availability, Reason
from tillpost.outbox.connections.availability import COLUMNS, Seen, availability_of, seen_now
from tillpost.outbox.db import schema as t
from tillpost.outbox.delivery.connection_state import tell_place
from tillpost.outbox.delivery.runner import Look, RunResult
from tillpost.outbox.event_log import HookCall, decided
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.orders.models import OrderState
from tillpost.outbox.settings import LONGEST_RETRY_AFTER
from tillpost.outbox.thread_pool import DaemonThreadPool
from tillpost.outbox.worker.processor import Processor

__all__ = ["Checks"]

log = logging.getLogger("tillpost.outbox")

AT_ONCE = 8
"""So many checks of one worker run at once."""

SOONER = 15.0
"""A platform that fails, or can't be reached, is looked at again in so many seconds, if not sooner."""

LAST_WAIT = 1.0
"""A worker that ends waits so long for the checks that are under way; what they find is lost then."""

_PLACE, _ORDER = t.connections.c, t.orders.c
_AWAY = (Reason.OUTAGE, Reason.UNREACHED)


class Checks:
    """The checks of one worker. All but `look` return at once."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._database = processor.outbox.database
        self._connection_rows = processor.connection_rows
        self._every = processor.outbox.settings.check_every
        self._crew = DaemonThreadPool(AT_ONCE, "tillpost-check")

    # ------------------------------------------------------------------ chores

    def meet(self) -> None:
        """Take up the connections that no order was added for yet, and say when each new one is first checked."""
        now = self._processor.clock()
        with self._database.reading() as db:
            known = set(db.scalars(select(_PLACE.name)))
            unplanned = db.execute(select(_PLACE.name).where(_PLACE.check_at == 0).limit(1)).first()
        strangers = set(self._processor.tills.names()) - known
        if not strangers and unplanned is None:
            return
        with self._database.writing() as db:
            for name in sorted(strangers):
                self._connection_rows.lock(db, name)
            db.execute(
                update(t.connections).where(_PLACE.check_at == 0).values(check_at=now + self._every)
            )

    def begin(self) -> None:
        """Begin the checks that are due, as far as there are threads for them."""
        if self._crew.spare <= 0:
            return
        for name in self.due(self._crew.spare):
            self._crew.submit(partial(self._look, name))

    def tell(self) -> None:
        """Tell of each store that has begun, or ceased, to take orders; one of all the workers does."""
        now = self._processor.clock()
        with self._database.reading() as db:
            rows = list(db.execute(select(*COLUMNS)).mappings())
        for row in rows:
            if _changed(row, now) is not None:
                self._tell(row["name"], now)

    def close(self) -> None:
        """Begin no more checks, and wait a moment for those under way."""
        self._crew.wait(LAST_WAIT)
        self._crew.dismiss()

    # ------------------------------------------------------------------ one store

    def look(self, name: str) -> None:
        """Check a store now, and keep what was seen. Raises `DatabaseError`."""
        till, looked = None, Look(Readiness(findings=()))
        try:
            till = self._processor.tills[name]
            looked = till.look()
        except ConfigError as wrong:
            unmade = Finding.of(
                "connection", False, str(wrong), Actor.DEVELOPER, Reason.UNCONNECTED
            )
            looked = Look(Readiness(findings=(unmade,)))
        now, told = self._processor.clock(), list[HookCall]()
        with self._database.writing() as db:
            place = self._connection_rows.lock(db, name)
            reached = (
                select(_PLACE.reached_at)
                .where(_PLACE.name != name)
                .order_by(_PLACE.reached_at.desc())
                .limit(1)
            )
            seen = seen_now(looked.readiness, Seen.of(place), now, db.scalar(reached) or 0.0)
            away = seen.stop is not None and seen.stop.stops in _AWAY
            values: dict[str, object] = {"readiness": seen.model_dump_json()}
            if away:
                soon = now + min(SOONER, self._every)
                values["check_at"] = min(place["check_at"] or soon, soon)
            if till:
                values["reached_at" if seen.unreached_since is None else "unreachable_at"] = now
                nobody_tries = place["opened_at"] is not None and not db.scalar(
                    select(_to_try(name, now))
                )
                refused = looked.refused.record() if looked.refused else None
                ending = RunResult(
                    OrderState.DUE,
                    answered=nobody_tries and not away,
                    hold=looked.hold,
                    pause=refused is not None,
                    error=refused,
                )
                told += tell_place(
                    self._connection_rows,
                    db,
                    name,
                    till,
                    ending,
                    now,
                    self._processor.outbox.settings,
                )
            self._connection_rows.update(db, name, values)
        self._announce(name, told)

    def _look(self, name: str) -> None:
        try:
            self.look(name)
        except DatabaseError as trouble:
            log.warning("the check of %s: %s", name, trouble)
        except Exception:
            log.exception("the check of %s broke down", name)

    def due(self, most: int) -> Sequence[str]:
        """Return the connections whose check is due, none of which another worker begins too."""
        now, mine = self._processor.clock(), list[str]()
        clock_set_back = _PLACE.check_at > now + self._every + LONGEST_RETRY_AFTER
        due = (
            _PLACE.check_at > 0,
            (_PLACE.check_at <= now) | clock_set_back,
            _PLACE.paused == "",
            _PLACE.not_before <= now,
        )
        wanted = (
            select(_PLACE.name, _PLACE.check_at).where(*due).order_by(_PLACE.check_at).limit(most)
        )
        with self._database.reading() as db:
            found = list(db.execute(wanted))
        for name, check_at in found:
            with self._database.writing() as db:
                taken = update(t.connections).where(
                    _PLACE.name == name, _PLACE.check_at == check_at
                )
                if db.execute(taken.values(check_at=now + self._every)).rowcount == 1:
                    mine.append(name)
        return mine

    def _tell(self, name: str, now: float) -> None:
        with self._database.writing() as db:
            place = self._connection_rows.lock(
                db, name
            )  # locked: another worker may have told it since
            changed = _changed(place, now)
            if changed is None:
                return
            self._connection_rows.update(
                db,
                name,
                {"takes_orders": changed.takes_orders, "takes_orders_since": changed.since or now},
            )
        if place["takes_orders"] is None and changed.takes_orders:
            return  # as everybody took it to be
        facts = {"takes_orders": changed.takes_orders, "why": changed.reason.value}
        self._announce(name, [("store_availability_changed", {"availability": changed})], facts)

    def _announce(
        self, name: str, told: Sequence[HookCall], facts: Mapping[str, object] | None = None
    ) -> None:
        for hook, _ in told:
            decided(hook, connection=name, **(facts or {}))
        self._processor.tell(name, told)


def _changed(row: RowMapping, now: float) -> Availability | None:
    """Return whether the store takes orders, if that isn't as it was last told; None too while nobody knows."""
    known = availability_of(row["name"], row, now)
    nobody_knows = known.takes_orders and row["readiness"] is None and row["takes_orders"] is None
    return None if nobody_knows or known.takes_orders == row["takes_orders"] else known


def _to_try(name: str, now: float) -> Exists:
    """Whether an order of the connection is in hand, or will soon be sent and so try whether an outage is over."""
    soon = or_(_ORDER.worker.is_not(None), _ORDER.due_at <= now + LONGEST_RETRY_AFTER)
    return exists().where(_ORDER.connection == name, soon)
