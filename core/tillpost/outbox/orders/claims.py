"""Claims of orders: which worker processes which order, and what it may write.

An order has one holder at a time. Each claim raises the order's fencing token, and each write names
holder and token, so a worker that lost its claim (paused, reaped) writes nothing and gets
`LeaseLostError`. `workers` decides which worker is dead.

Each method is one transaction: it is on disk when the method returns.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, select, text, update

from tillpost.errors import Transcript
from tillpost.models.order import Order, Progress
from tillpost.outbox.circuit_breaker import Circuit, next_pause_probe
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import BLOCKED_CONNECTIONS, ConnectionRows
from tillpost.outbox.db.database import Database, wait_briefly
from tillpost.outbox.orders.models import (
    EVENTS_WITH_TRANSCRIPTS,
    OrderState,
    Report,
    StoredOrder,
    UnreadableEventError,
    event_row,
    stored_order,
)
from tillpost.outbox.orders.queries import read_events_to_extend
from tillpost.outbox.orders.transitions import is_in_doubt
from tillpost.outbox.orders.unreadable import JOURNAL, set_aside
from tillpost.outbox.orders.workers import WorkerRegistry, counted, due_after_release
from tillpost.outbox.rows import Row, is_name, named, parsed
from tillpost.outbox.settings import OutboxSettings
from tillpost.submission.history import fold
from tillpost.submission.journal import Event, Sighted

__all__ = [
    "ISOLATE_AFTER",
    "SET_ASIDE_AFTER",
    "Claim",
    "ClaimStatus",
    "LeaseLostError",
    "OrderClaims",
]

ISOLATE_AFTER = 2
"""An order during which this many workers in a row died runs alone.

No other order dies with it then.
"""

SET_ASIDE_AFTER = 5
"""An order during which this many workers in a row died is left to a person."""


class LeaseLostError(Exception):
    """A worker may write or send nothing more for an order.

    Its lease is over, another worker has the claim, or a person acted on the order.
    """


@dataclass(slots=True)
class Claim:
    """An order claimed by a worker.

    Attributes:
        fencing_token: Names this claim among all claims of the order.
        eligible_at: When the order first became due, in epoch seconds.
        suspended_until: When its flow wanted to continue, on the flow's own clock.
        new_request: The next attempt begins a new submission, with a fresh retry budget.
        is_new: Nobody had sent the order before it was added.
        crash_count: How many workers in a row died with it claimed.
        menu_at: When the menu in force was imported, in epoch seconds; 0.0 for none.
        credentials_version: That of the connection's stored credentials; 0 if none are stored.
        probes_pause: It finds out whether the platform grants its paused connection access again.
        events: The order's journal, oldest first, as it was when the order was claimed.
        next_number: The number of the journal's next event.
        taken_over: A person has taken the order over. It isn't sent: what may exist of it at the
            platform is withdrawn.
    """

    order: Order
    connection: str
    worker: str
    fencing_token: int
    eligible_at: float
    suspended_until: float
    new_request: bool
    is_new: bool
    crash_count: int
    menu_at: float = 0.0
    credentials_version: int = 0
    probes_pause: bool = False
    events: Sequence[Event] = ()
    next_number: int = 0
    taken_over: bool = False


class _Due(NamedTuple):
    """The orders to be claimed: at most so many of a connection, due by that time."""

    connection: str
    due_by: float
    most: int
    isolated: bool


class ClaimStatus(NamedTuple):
    """Which worker holds an order, if any, and when it is due (epoch seconds)."""

    connection: str
    worker: str | None
    due_at: float | None


# A recursive query finds each connection with an unclaimed order by one step in the index, however
# many orders there are.
_NEXT_DUE_BY_CONNECTION = text("""
    WITH RECURSIVE names(name) AS (
        SELECT min(connection) FROM tillpost_orders WHERE worker IS NULL AND due_at IS NOT NULL
        UNION ALL
        SELECT (SELECT min(o.connection) FROM tillpost_orders o
                WHERE o.worker IS NULL AND o.due_at IS NOT NULL AND o.connection > names.name)
        FROM names WHERE names.name IS NOT NULL
    )
    SELECT name, (SELECT min(o.due_at) FROM tillpost_orders o
                  WHERE o.worker IS NULL AND o.due_at IS NOT NULL
                  AND o.connection = names.name) AS due_at
    FROM names WHERE name IS NOT NULL
""")

_ORDER = t.orders.c

# Statements are built once: SQLAlchemy takes longer to build one than to run it.
_UNCLAIMED = (_ORDER.worker.is_(None), _ORDER.due_at.is_not(None))

# The number is a literal, so that the planner sees that the index of isolated orders fits.
_IS_ISOLATED = text(f"crash_count >= {ISOLATE_AFTER}")

_ANY_ISOLATED_DUE = (
    select(_ORDER.id)
    .where(
        *_UNCLAIMED,
        _IS_ISOLATED,
        _ORDER.due_at <= bindparam("now"),
        _ORDER.connection.not_in(BLOCKED_CONNECTIONS),
    )
    .limit(1)
)
_COUNT_CLAIMED = select(func.count()).where(
    _ORDER.connection == bindparam("connection_name"), _ORDER.worker.is_not(None)
)

# The conditions of a claim. Its update repeats them: without that, an order that a person cancelled
# after it was found would be claimed as it is, and sent.
_IS_DUE = (
    _ORDER.connection == bindparam("connection_name"),
    *_UNCLAIMED,
    _ORDER.due_at <= bindparam("due_by"),
)
_IS_NORMAL = _ORDER.crash_count < ISOLATE_AFTER

# On PostgreSQL what another transaction has locked is passed over, and what is found stays as it is
# until it is claimed. No key is locked, as that would block appending to a journal.
_DUE = (
    select(_ORDER.id)
    .where(*_IS_DUE)
    .order_by(_ORDER.due_at, _ORDER.added_at)
    .limit(bindparam("most"))
    .with_for_update(key_share=True, skip_locked=True)
)
_DUE_ISOLATED = _DUE.where(_IS_ISOLATED)
_DUE_NORMAL = _DUE.where(_IS_NORMAL)
_CLAIM = (
    update(t.orders)
    .where(_ORDER.id.in_(bindparam("order_ids", expanding=True)), *_IS_DUE)
    .values(
        worker=bindparam("holder"),
        fencing_token=counted(_ORDER.fencing_token, 1),
        updated_at=bindparam("now"),
    )
    .returning(*t.orders.c)
)
_CLAIM_ISOLATED = _CLAIM.where(_IS_ISOLATED)
_CLAIM_NORMAL = _CLAIM.where(_IS_NORMAL)
_IS_HELD = (
    _ORDER.id == bindparam("held_id"),
    _ORDER.worker == bindparam("holder"),
    _ORDER.fencing_token == bindparam("held_token"),
)
_UPDATE_HELD = update(t.orders).where(*_IS_HELD)
_INSERT_EVENT = insert(t.events)
_TAKE_REPORT = update(t.orders).where(_ORDER.id == bindparam("order_id")).values(reported=None)


class OrderClaims:
    """The claims on orders.

    Claims orders, writes what their holders report, and releases them. Safe for threads.
    """

    def __init__(
        self,
        database: Database,
        workers: WorkerRegistry,
        connection_rows: ConnectionRows,
        settings: OutboxSettings,
    ) -> None:
        self.database = database
        self._workers = workers
        self._connection_rows = connection_rows
        self._settings = settings

    # ------------------------------------------------------------------ what is due

    def next_due_by_connection(self) -> Mapping[str, float]:
        """Return when each connection's first unclaimed order is due, in epoch seconds."""
        with self.database.reading() as db:
            rows = db.execute(_NEXT_DUE_BY_CONNECTION)
            # A time or a name that can't be read is seen to by `Maintenance`.
            return {
                row.name: row.due_at
                for row in rows
                if isinstance(row.due_at, float | int) and is_name(row.name)
            }

    def status(self, order_id: str) -> ClaimStatus | None:
        """Return an order's holder and when it is due; None if there is no such order."""
        columns = select(_ORDER.connection, _ORDER.worker, _ORDER.due_at)
        with self.database.reading() as db:
            row = db.execute(columns.where(_ORDER.id == order_id)).one_or_none()
        if not row:
            return None
        return ClaimStatus(*row)

    def is_isolated_due(self, now: float) -> bool:
        """Return whether an order that must run alone is due, and its connection may send."""
        with self.database.reading() as db:
            return db.execute(_ANY_ISOLATED_DUE, {"now": now}).first() is not None

    # ------------------------------------------------------------------ claiming

    def claim(
        self,
        connection: str,
        worker: str,
        now: float,
        *,
        limit: int,
        most: int,
        isolated: bool = False,
    ) -> list[Claim]:
        """Claim due orders of a connection, those first that fell due first.

        An order that can't be read is set aside, and isn't among them. A worker that was reaped
        claims none: nobody would release them. While the connection's
        circuit is open, one order is claimed as a probe, or those that have waited so long that
        a person must see them. While the connection is paused, one is claimed now and then.

        Args:
            connection: The connection's name.
            worker: The id of the worker that claims.
            now: Epoch seconds.
            limit: How many orders of the connection may be claimed at once, by all workers.
            most: How many to claim at most.
            isolated: Claim only orders that must run alone; by default, only others.
        """
        with self.database.writing() as db:
            wait_briefly(db)
            if not self._workers.is_enlisted(db, worker):
                return []
            connection_row = self._connection_rows.lock(db, connection)
            probes_pause = bool(connection_row["paused"])
            if probes_pause and not self._may_probe_pause(db, connection_row, now):
                return []
            if now < connection_row["not_before"]:
                return []
            circuit = Circuit.from_row(connection_row)
            room = min(most, circuit.room(limit, now) - _count_claimed(db, connection))
            due_by = now
            is_probe = circuit.is_open
            if room > 0 and probes_pause:
                room = 1
            elif room <= 0 and circuit.is_open and not probes_pause:
                # No probe is due; but orders that have waited too long are left to a person.
                room = most
                due_by = now - self._settings.give_up_after
                is_probe = False
            if room <= 0:
                return []
            due = _Due(connection, due_by, room, isolated)
            order_ids = self._without_damaged(db, _find_due(db, due), now)
            rows = _claim_rows(db, due, order_ids, worker, now)
            if not rows:
                return []
            if is_probe:
                self._note_probe(db, connection, circuit, now)
            if probes_pause:
                self._note_pause_probe(db, connection_row, now)
            menu_at = connection_row["menu_at"]
            version = self._connection_rows.credentials_version(db, connection)
            found = [self._claim_of(db, row, worker, menu_at, version, now) for row in rows]
            claims = [claim for claim in found if claim is not None]
            for claim in claims if probes_pause else ():
                claim.probes_pause = True
                # What it waited for the store to be reconnected doesn't count as an outage.
                claim.eligible_at = now
            return claims

    def set_aside_unnamed(self, now: float) -> None:
        """Set aside the due orders of connections whose names can't be read.

        No worker claims those. Only on SQLite can a name be damaged.
        """
        if not self.database.is_sqlite:
            return
        with self.database.reading() as db:
            names = [row.name for row in db.execute(_NEXT_DUE_BY_CONNECTION)]
        for name in names:
            if is_name(name):
                continue
            unnamed = select(_ORDER.id).where(named(_ORDER.connection, name), *_UNCLAIMED)
            with self.database.writing() as db:
                for order_id in db.scalars(unnamed).all():
                    self._set_aside(db, order_id, ("connection",), now)

    def _without_damaged(self, db: Connection, order_ids: Sequence[Any], now: float) -> list[str]:
        """Set aside the orders whose ids can't be read; return the other ids."""
        for order_id in order_ids:
            if not is_name(order_id):
                self._set_aside(db, order_id, ("id",), now)
        return [order_id for order_id in order_ids if is_name(order_id)]

    def _set_aside(self, db: Connection, order_id: Any, columns: Sequence[str], now: float) -> None:
        set_aside(db, order_id, columns, now, self._settings.escalate_after)

    def claim_order(
        self,
        order_id: str,
        worker: str,
        now: float,
        unchanged_since: float | None = None,
    ) -> Claim | None:
        """Claim one order, due or not, for an action of a person.

        Args:
            order_id: The order's id.
            worker: The id of the worker that claims.
            now: Epoch seconds.
            unchanged_since: Claim it only if this is its `updated_at`.

        Returns:
            The claim; None if the order is claimed, gone, erased, changed or can't be read.
        """
        conditions = [
            _ORDER.id == order_id,
            _ORDER.worker.is_(None),
            _ORDER.content.is_not(None),
        ]
        if unchanged_since is not None:
            conditions.append(_ORDER.updated_at == unchanged_since)
        values = {"worker": worker, "fencing_token": counted(_ORDER.fencing_token, 1)}
        claimable = update(t.orders).where(*conditions)
        claim = claimable.values(**values).returning(*t.orders.c)
        with self.database.writing() as db:
            if not self._workers.is_enlisted(db, worker):
                return None
            row = db.execute(claim).mappings().one_or_none()
            if row is None:
                return None
            version = self._connection_rows.credentials_version(db, row["connection"])
            return self._claim_of(db, row, worker, 0.0, version, now)

    def _note_probe(self, db: Connection, connection: str, circuit: Circuit, now: float) -> None:
        probing = circuit.probing(now, self._settings.first_wait, self._settings.longest_wait)
        self._connection_rows.update(db, connection, probing.columns())

    def _may_probe_pause(self, db: Connection, row: Mapping[str, Any], now: float) -> bool:
        probe_at = row["pause_probe_at"]
        is_due = probe_at is not None and probe_at <= now
        return is_due and not _count_claimed(db, row["name"])

    def _note_pause_probe(self, db: Connection, row: Mapping[str, Any], now: float) -> None:
        probe_at = next_pause_probe(row["paused_at"] or now, now)
        values = {"pause_probe_at": probe_at}
        self._connection_rows.update(db, row["name"], values)

    def _claim_of(
        self,
        db: Connection,
        row: RowMapping,
        worker: str,
        menu_at: float,
        version: int,
        now: float,
    ) -> Claim | None:
        """Return the claim of a claimed row; None if it can't be read, and is set aside."""
        read = Row(t.orders, row)
        stored = stored_order(read)
        order = stored.order
        unreadable = _sendable_faults(stored)
        try:
            events, next_number = read_events_to_extend(db, read["id"])
        except UnreadableEventError:
            events, next_number = [], 0
            unreadable = (*unreadable, JOURNAL)
        if unreadable or order is None:
            self._set_aside(db, read["id"], unreadable, now)
            return None
        sighted = _kept_sighting(read, stored, events, now)
        if sighted:
            db.execute(_TAKE_REPORT, {"order_id": order.id})
            db.execute(_INSERT_EVENT, _event_values(order.id, next_number, sighted))
            events.append(sighted)
            next_number += 1
        return Claim(
            order=order,
            connection=read["connection"],
            worker=worker,
            fencing_token=read["fencing_token"],
            eligible_at=read["eligible_at"],
            suspended_until=read["suspended_until"],
            new_request=read["new_request"],
            is_new=read["is_new"],
            crash_count=read["crash_count"],
            menu_at=menu_at,
            credentials_version=version,
            events=events,
            next_number=next_number,
            taken_over=read["state"] == OrderState.MANUAL.value,
        )

    # ------------------------------------------------------------------ writing under a claim

    @contextmanager
    def recording(
        self,
        claim: Claim,
        events: Sequence[tuple[Event, Transcript | None]],
        now: float,
        **changes: object,
    ) -> Generator[Connection]:
        """Append events to a claimed order's journal and change its row.

        That is one transaction. What the block writes belongs to the same transaction.

        Args:
            claim: The order's claim.
            events: The events, each with the exchange that led to it, if any.
            now: Epoch seconds.
            changes: The row's new values.

        Raises:
            LeaseLostError: the claim was lost. Nothing is written.
        """
        values = {"updated_at": now, **changes, **_held_by(claim)}
        with self.database.writing() as db:
            if db.execute(_UPDATE_HELD, values).rowcount == 0:
                raise LeaseLostError(claim.order.id)
            # Not as one batch: PostgreSQL wouldn't end the transaction of a worker that pauses
            # while its driver is sending many rows.
            for offset, (event, exchange) in enumerate(events):
                number = claim.next_number + offset
                db.execute(_INSERT_EVENT, _event_values(claim.order.id, number, event, exchange))
            yield db
        claim.next_number += len(events)

    def advance_progress(
        self,
        db: Connection,
        order_id: str,
        below: Sequence[Progress],
        to: Progress,
    ) -> None:
        """Set an order's progress, if it is one of the steps `below`.

        A person may have moved the order on further meanwhile, and then it stays there.
        """
        earlier_steps = [step.value for step in below]
        is_behind = _ORDER.progress.in_(earlier_steps)
        advance = update(t.orders).where(_ORDER.id == order_id, is_behind)
        db.execute(advance.values(progress=to.value))

    # ------------------------------------------------------------------ releasing

    def release(self, claim: Claim, now: float, *, due_in: float, crashes: int) -> None:
        """Release an order whose processing failed.

        Args:
            claim: The order's claim. If it was lost, nothing is written.
            now: Epoch seconds.
            due_in: Seconds until the order is due again.
            crashes: What to add to its crash count.
        """
        values = {
            "worker": None,
            "due_at": now + due_in,
            "updated_at": now,
            "crash_count": counted(_ORDER.crash_count, crashes),
        }
        release = update(t.orders).where(*_IS_HELD).values(**values)
        with self.database.writing() as db:
            db.execute(release, _held_by(claim))

    def release_except(self, worker: str, known: Collection[str], now: float) -> None:
        """Release the orders that a worker holds without knowing of them.

        `known` holds the ids of those that it knows of.
        """
        is_unknown = _ORDER.id.not_in(known)
        release = update(t.orders).where(_ORDER.worker == worker, is_unknown)
        values = {"worker": None, "due_at": due_after_release(now), "updated_at": now}
        with self.database.writing() as db:
            db.execute(release.values(**values))


def _kept_sighting(
    row: Row, stored: StoredOrder, events: Sequence[Event], now: float
) -> Sighted | None:
    """Return what was reported of an order in doubt while it was claimed, if anything.

    The order is looked up before anything is sent. A report of any other order is left for its
    poll.
    """
    report = parsed(Report.model_validate_json, row["reported"])
    is_arrived = stored.pos_order is not None
    if report is None or is_arrived or not is_in_doubt(stored, fold(events)):
        return None
    return Sighted(now, report.pos_order.id, address=report.address)


def _sendable_faults(stored: StoredOrder) -> tuple[str, ...]:
    """Return what of a claimed order can't be read.

    The order can't be sent without its content.
    """
    if stored.order is None and "content" not in stored.unreadable:
        return (*stored.unreadable, "content")
    return stored.unreadable


def _count_claimed(db: Connection, connection: str) -> int:
    count: int = db.execute(_COUNT_CLAIMED, {"connection_name": connection}).scalar_one()
    return count


def _find_due(db: Connection, due: _Due) -> Sequence[str]:
    """Return the ids of due orders, those first that fell due first."""
    query = _DUE_ISOLATED if due.isolated else _DUE_NORMAL
    wanted = {"connection_name": due.connection, "due_by": due.due_by, "most": due.most}
    return list(db.scalars(query, wanted))


def _claim_rows(
    db: Connection,
    due: _Due,
    order_ids: Sequence[str],
    worker: str,
    now: float,
) -> Sequence[RowMapping]:
    """Claim those of the orders that are still due.

    Returns their rows, in the ids' sequence.
    """
    if not order_ids:
        return []
    claim = _CLAIM_ISOLATED if due.isolated else _CLAIM_NORMAL
    values = {
        "order_ids": order_ids,
        "connection_name": due.connection,
        "due_by": due.due_by,
        "holder": worker,
        "now": now,
    }
    claimed = db.execute(claim, values).mappings()
    by_id = {row["id"]: row for row in claimed}
    return [by_id[order_id] for order_id in order_ids if order_id in by_id]


def _held_by(claim: Claim) -> Mapping[str, object]:
    """Return the values by which `_IS_HELD` recognises a claim."""
    return {
        "held_id": claim.order.id,
        "holder": claim.worker,
        "held_token": claim.fencing_token,
    }


def _event_values(
    order_id: str, number: int, event: Event, exchange: Transcript | None = None
) -> Mapping[str, object]:
    kind, body = event_row(event, number)
    kept = exchange if number < EVENTS_WITH_TRANSCRIPTS else None
    return {
        "order_id": order_id,
        "number": number,
        "kind": kind,
        "body": body,
        "exchange": kept.model_dump_json() if kept else None,
    }
