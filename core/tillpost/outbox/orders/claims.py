"""Who has which order in hand, and what is written of it: claims, fenced writes, and the burial of dead workers.

An order has one holder at a time. A claim raises the order's fence, and each write for it names
holder and fence: one who lost the order (paused, buried) writes nothing, and is told so by
`LeaseLostError`. No clock decides who is dead: a worker's beat that stands still for as long as its
observer's own steady clock says decides it.

Each method is one transaction: on disk when it returns.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tillpost.errors import Transcript
from tillpost.models.order import Order, Progress
from tillpost.outbox.circuit_breaker import Circuit
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import Database
from tillpost.outbox.orders.models import event_of, event_row
from tillpost.outbox.settings import OutboxSettings
from tillpost.submission.journal import Event

__all__ = [
    "ALONE_AFTER",
    "HELD_BACK",
    "SET_ASIDE_AFTER",
    "Claim",
    "LeaseLostError",
    "Standing",
    "Store",
]

ALONE_AFTER = 2
"""An order with which so many workers in a row died runs alone, so that it can't take others with it."""

SET_ASIDE_AFTER = 5
"""And after so many (three of them alone) it is set aside for a person."""


class LeaseLostError(Exception):
    """The order is somebody else's by now, or was acted on by a person. Nothing was written."""


@dataclass(slots=True)
class Claim:
    """An order in a worker's hands. `number` is that of its journal's next event; `menu_at`, of the menu in force.

    `credentials` is the version of the connection's row in the database, 0 where it has none.
    """

    order: Order
    connection: str
    worker: str
    fence: int
    begin_at: float
    resume_at: float
    to_ask: bool
    is_new: bool
    crash_count: int
    menu_at: float = 0.0
    credentials: int = 0
    events: Sequence[Event] = ()
    number: int = 0


class Standing(NamedTuple):
    """Whose an order is, and when something is to be done for it."""

    connection: str
    worker: str | None
    due_at: float | None


# The connections that have an order waiting, each found by one step in the index, however many
# orders there are.
_WAITING = text("""
    WITH RECURSIVE names(name) AS (
        SELECT min(connection) FROM tillpost_orders WHERE worker IS NULL AND due_at IS NOT NULL
        UNION ALL
        SELECT (SELECT min(o.connection) FROM tillpost_orders o
                WHERE o.worker IS NULL AND o.due_at IS NOT NULL AND o.connection > names.name)
        FROM names WHERE names.name IS NOT NULL
    )
    SELECT name, (SELECT min(o.due_at) FROM tillpost_orders o
                  WHERE o.worker IS NULL AND o.due_at IS NOT NULL AND o.connection = names.name) AS due_at
    FROM names WHERE name IS NOT NULL
""")

_ORDER, _PLACE = t.orders.c, t.connections.c

# What is run for every order is written once, here: SQLAlchemy takes longer to put a statement
# together than to run it.
_FREE = (_ORDER.worker.is_(None), _ORDER.due_at.is_not(None))
_ALONE = text(
    f"crash_count >= {ALONE_AFTER}"
)  # as a literal, so that the index for these orders is found to fit
HELD_BACK = select(_PLACE.name).where(
    or_(
        _PLACE.paused != "",
        _PLACE.not_before > bindparam("now"),
        _PLACE.opened_at.is_not(None) & (_PLACE.probe_at > bindparam("now")),
    )
)
_DEADLY = (
    select(_ORDER.id)
    .where(*_FREE, _ALONE, _ORDER.due_at <= bindparam("now"), _ORDER.connection.not_in(HELD_BACK))
    .limit(1)
)
_HELD = select(func.count()).where(_ORDER.connection == bindparam("of"), _ORDER.worker.is_not(None))
_DUE = (
    select(_ORDER.id)
    .where(_ORDER.connection == bindparam("of"), *_FREE, _ORDER.due_at <= bindparam("since"))
    .order_by(_ORDER.due_at, _ORDER.added_at)
    .limit(bindparam("room"))
)
_DUE_ALONE, _DUE_AMONG_OTHERS = _DUE.where(_ALONE), _DUE.where(_ORDER.crash_count < ALONE_AFTER)
_TAKE = (
    update(t.orders)
    .where(_ORDER.id.in_(bindparam("names", expanding=True)))
    .values(worker=bindparam("holder"), fence=_ORDER.fence + 1, updated_at=bindparam("now"))
    .returning(*t.orders.c)
)
_MINE = (
    _ORDER.id == bindparam("of"),
    _ORDER.worker == bindparam("holder"),
    _ORDER.fence == bindparam("at_fence"),
)
_CHANGE = update(t.orders).where(*_MINE)
_KEEP = insert(t.events)
_WAIT_BRIEFLY = text("SET LOCAL lock_timeout = '500ms'")
_JOURNAL = (
    select(t.events.c.kind, t.events.c.body)
    .where(t.events.c.order_id == bindparam("of"))
    .order_by(t.events.c.number)
)
_LOCKED = (
    select(*(column for column in _PLACE if column.name not in ("menu", "held")))  # menus are long
    .where(_PLACE.name == bindparam("of"))
    .with_for_update()
)
_SET = update(t.connections).where(_PLACE.name == bindparam("of"))


def _due_at_once(now: float) -> ColumnElement[float | None]:
    """When an order is due that its holder lost: now, unless a person had it in hand for whom nothing was due."""
    return case((_ORDER.due_at.is_not(None), now), else_=None)


class Store:
    """The tables, in the transactions that the promises need."""

    def __init__(self, database: Database, settings: OutboxSettings) -> None:
        self.database = database
        self._settings = settings
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    # ------------------------------------------------------------------ workers

    def enlist(self, now: float) -> str:
        """Take up work under a new name, and return it."""
        name = str(uuid.uuid4())
        about = f"{socket.gethostname()} process {os.getpid()}"
        with self.database.writing() as db:
            db.execute(insert(t.workers).values(id=name, beat=0, about=about, started_at=now))
        return name

    def beat(self, worker: str) -> bool:
        """Give a sign of life; return False when the worker was taken for dead meanwhile."""
        with self.database.writing() as db:
            raised = (
                update(t.workers).where(t.workers.c.id == worker).values(beat=t.workers.c.beat + 1)
            )
            return db.execute(raised).rowcount == 1

    def beats(self) -> Mapping[str, int]:
        """Return all workers with their beats."""
        with self.database.reading() as db:
            return {
                row.id: row.beat for row in db.execute(select(t.workers.c.id, t.workers.c.beat))
            }

    def bury(self, worker: str, beat: int, now: float) -> int:
        """Free the orders of a dead worker, unless it has given a sign of life; return how many there were.

        Raises `DatabaseError` when it is paused within a transaction, which keeps its rows locked
        for a while yet.
        """
        with self.database.writing() as db:
            if not self.database.is_sqlite:
                db.execute(_WAIT_BRIEFLY)  # whoever buries has to give signs of life itself
            dead = delete(t.workers).where(t.workers.c.id == worker, t.workers.c.beat == beat)
            if db.execute(dead).rowcount == 0:
                return 0
            return self._free(db, worker, now, crash_count=1)

    def retire(self, worker: str, now: float) -> None:
        """End a worker's work properly; what it still has in hand is free for others."""
        with self.database.writing() as db:
            db.execute(delete(t.workers).where(t.workers.c.id == worker))
            self._free(db, worker, now, crash_count=0)

    def _free(self, db: Connection, worker: str, now: float, crash_count: int) -> int:
        db.execute(
            update(t.connections).where(t.connections.c.importer == worker).values(importer=None)
        )
        mine = t.credentials.c.refresher == worker
        db.execute(update(t.credentials).where(mine).values(refresher=None))
        freed = update(t.orders).where(_ORDER.worker == worker)
        again = {"worker": None, "due_at": _due_at_once(now), "updated_at": now}
        return db.execute(
            freed.values(**again, crash_count=_ORDER.crash_count + crash_count)
        ).rowcount

    # ------------------------------------------------------------------ claims

    def waiting(self) -> Mapping[str, float]:
        """Return the connections that have orders waiting, with the time at which the first of each is due."""
        with self.database.reading() as db:
            return {row.name: row.due_at for row in db.execute(_WAITING)}

    def standing(self, order_id: str) -> Standing | None:
        """Return how an order stands; None when it isn't there."""
        wanted = select(_ORDER.connection, _ORDER.worker, _ORDER.due_at).where(
            _ORDER.id == order_id
        )
        with self.database.reading() as db:
            row = db.execute(wanted).one_or_none()
        return Standing(*row) if row else None

    def deadly_due(self, now: float) -> bool:
        """Whether an order is due that has to run alone, and may go: one that can't go now holds up no others."""
        with self.database.reading() as db:
            return db.execute(_DEADLY, {"now": now}).first() is not None

    def claim(
        self,
        connection: str,
        worker: str,
        now: float,
        *,
        limit: int,
        most: int,
        alone: bool = False,
    ) -> list[Claim]:
        """Take up to `most` orders of a connection in hand, those first that are due first, as far as it has room.

        `limit` bounds how many of its orders are in hand at once, over all workers. `alone` takes
        only such as have to run alone, else only others. A worker that was taken for dead takes
        none: nobody would free them again.
        """
        with self.database.writing() as db:
            if not self.is_enlisted(db, worker):
                return []
            place = self.place(db, connection)
            if place["paused"] or now < place["not_before"]:
                return []
            circuit, since = Circuit.of(place), now
            held: int = db.execute(_HELD, {"of": connection}).scalar_one()
            room = min(most, circuit.room(limit, now) - held)
            if room <= 0 and circuit.opened_at is not None:
                room, since = (
                    most,
                    now - self._settings.give_up_after,
                )  # those that have waited too long go to a person
            if room <= 0:
                return []
            due = _DUE_ALONE if alone else _DUE_AMONG_OTHERS
            names = list(db.scalars(due, {"of": connection, "since": since, "room": room}))
            if not names:
                return []
            if circuit.opened_at is not None and since == now:
                probing = circuit.probing(
                    now, self._settings.first_wait, self._settings.longest_wait
                )
                self.set_place(db, connection, probing.values())
            taken = db.execute(_TAKE, {"names": names, "holder": worker, "now": now})
            rows = {row["id"]: row for row in taken.mappings()}
            version = self.credentials_version(db, connection)
            return [
                self._claimed(db, rows[name], worker, place["menu_at"], version) for name in names
            ]

    def take(self, order_id: str, worker: str, seen: float | None = None) -> Claim | None:
        """Take an order in hand that nobody has, due or not, for what a person does with it; None when one has.

        None too when it has changed since it was `seen`: that is its `updated_at` then.
        """
        with self.database.writing() as db:
            if not self.is_enlisted(db, worker):
                return None
            free = (_ORDER.id == order_id, _ORDER.worker.is_(None), _ORDER.content.is_not(None))
            as_seen = (_ORDER.updated_at == seen,) if seen is not None else ()
            taken = (
                update(t.orders)
                .where(*free, *as_seen)
                .values(worker=worker, fence=_ORDER.fence + 1)
            )
            row = db.execute(taken.returning(*t.orders.c)).mappings().one_or_none()
            if row is None:
                return None
            return self._claimed(
                db, row, worker, 0.0, self.credentials_version(db, row["connection"])
            )

    def is_enlisted(self, db: Connection, worker: str) -> bool:
        """Whether nobody has buried the worker, and nobody can to the end of the transaction."""
        alive = (
            select(t.workers.c.id)
            .where(t.workers.c.id == worker)
            .with_for_update(read=True, key_share=True)
        )
        return db.execute(alive).first() is not None

    def _claimed(
        self, db: Connection, row: RowMapping, worker: str, menu_at: float, version: int
    ) -> Claim:
        kept = self.journal(db, row["id"])
        return Claim(
            order=Order.model_validate_json(row["content"]),
            connection=row["connection"],
            worker=worker,
            fence=row["fence"],
            begin_at=row["begin_at"],
            resume_at=row["resume_at"],
            to_ask=row["to_ask"],
            is_new=row["is_new"],
            crash_count=row["crash_count"],
            menu_at=menu_at,
            credentials=version,
            events=kept,
            number=len(kept),
        )

    def journal(self, db: Connection, order_id: str) -> list[Event]:
        """Return the order's events, oldest first."""
        return [event_of(row.kind, row.body) for row in db.execute(_JOURNAL, {"of": order_id})]

    # ------------------------------------------------------------------ what is written of an order
    # in hand

    @contextmanager
    def keeping(
        self,
        claim: Claim,
        happened: Sequence[tuple[Event, Transcript | None]],
        now: float,
        **changes: object,
    ) -> Generator[Connection]:
        """Keep events of an order in hand and change its row, in one transaction with whatever the block does.

        Raises `LeaseLostError`, and nothing is written, when the order isn't in hand any more.
        """
        with self.database.writing() as db:
            own = {"of": claim.order.id, "holder": claim.worker, "at_fence": claim.fence}
            if db.execute(_CHANGE, {"updated_at": now, **changes, **own}).rowcount == 0:
                raise LeaseLostError(claim.order.id)
            rows = [self._event(claim, claim.number + i, *each) for i, each in enumerate(happened)]
            for row in (
                rows
            ):  # one by one: PostgreSQL ends no transaction amid what a driver sends for many rows
                db.execute(_KEEP, row)
            yield db
        claim.number += len(rows)

    def move_on(
        self, db: Connection, order_id: str, below: Sequence[Progress], to: Progress
    ) -> None:
        """Let the customer be told a further step, unless a person has moved the order on at least as far."""
        behind = (_ORDER.id == order_id, _ORDER.progress.in_([step.value for step in below]))
        db.execute(update(t.orders).where(*behind).values(progress=to.value))

    def _event(
        self, claim: Claim, number: int, event: Event, exchange: Transcript | None
    ) -> dict[str, object]:
        kind, body = event_row(event)
        told = exchange.model_dump_json() if exchange else None
        return {
            "order_id": claim.order.id,
            "number": number,
            "kind": kind,
            "body": body,
            "exchange": told,
        }

    def free(self, claim: Claim, now: float, *, rest: float, crash_count: int) -> None:
        """Lay an order down that couldn't be handled to an end; it is due again in `rest` seconds."""
        with self.database.writing() as db:
            own = {"of": claim.order.id, "holder": claim.worker, "at_fence": claim.fence}
            again = {
                "worker": None,
                "due_at": now + rest,
                "updated_at": now,
                "crash_count": _ORDER.crash_count + crash_count,
            }
            db.execute(update(t.orders).where(*_MINE).values(**again), own)

    def free_others(self, worker: str, known: Collection[str], now: float) -> None:
        """Free the orders in a worker's hands but for those that it knows of."""
        with self.database.writing() as db:
            unheard = update(t.orders).where(_ORDER.worker == worker, _ORDER.id.not_in(known))
            db.execute(unheard.values(worker=None, due_at=_due_at_once(now), updated_at=now))

    # ------------------------------------------------------------------ connections

    def place(self, db: Connection, connection: str) -> RowMapping:
        """Return the connection's row but for its menus, locked to the end of the transaction.

        It is made when it isn't there yet.
        """
        found = db.execute(_LOCKED, {"of": connection}).mappings().one_or_none()
        if found is None:
            new = (
                self._insert(t.connections)
                .values(name=connection, **_NEW_PLACE)
                .on_conflict_do_nothing()
            )
            db.execute(new)
            found = db.execute(_LOCKED, {"of": connection}).mappings().one()
        return found

    def credentials_version(self, db: Connection, connection: str) -> int:
        """Return the version of the connection's credentials in the database, 0 where it has none there."""
        row = t.credentials.c
        return (
            db.scalar(select(row.version).where(row.connection == connection, row.sealed != ""))
            or 0
        )

    def set_place(self, db: Connection, connection: str, values: Mapping[str, object]) -> None:
        """Change the connection's row."""
        db.execute(_SET, {"of": connection, **values})


_NEW_PLACE: Mapping[str, object] = {
    **dict.fromkeys(("platform", "paused", "paused_with", "whose"), ""),
    **dict.fromkeys(
        ("not_before", "unreached_at", "reached_at", "menu_at", "import_failed_at"), 0.0
    ),
    **Circuit().values(),
}
