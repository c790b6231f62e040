"""The outbox: hand an order over, and it reaches the register once, or ends where a person sees it, with the reason.

    outbox = Outbox("sqlite:///orders.db")                              # or postgresql+psycopg://...
    outbox.add(order, connection="cafe-42")                             # on disk when it returns
    outbox.add(order, connection="cafe-42", session=their_session)      # on disk when they commit

A worker brings the orders to the register (`tillpost worker`, or a `Processor` in an engine of yours). A new database
is made ready at its first use; nothing else is needed for adding.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from tillpost.journal import Event
from tillpost.order import Order
from tillpost.outbox import schema as t
from tillpost.outbox.adding import add_order
from tillpost.outbox.database import Database, told
from tillpost.outbox.engine import Engine
from tillpost.outbox.engines import engine_named
from tillpost.outbox.migrating import is_ready, prepare
from tillpost.outbox.orders import OrderState, StoredOrder, WaitsFor, stored_order
from tillpost.outbox.settings import OutboxSettings
from tillpost.outbox.store import Store

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

__all__ = ["DB_VARIABLE", "Outbox"]

DB_VARIABLE = "TILLPOST_DB"
"""The environment variable that names the database."""

_ORDER = t.orders.c


class Outbox:
    """Orders that survive a crash, in a database. Safe for threads.

    `url` is the database's: `TILLPOST_DB` when it is left out, else the settings' own. `settings` say how workers go
    about their work; who only adds needs none. `engine` names what wakes the workers.
    """

    def __init__(self, url: str = "", *, settings: OutboxSettings | None = None, engine: str = "") -> None:
        self.settings = settings or OutboxSettings()
        self.database = Database(url or os.environ.get(DB_VARIABLE, "") or self.settings.db)
        self.store = Store(self.database, self.settings)
        self.engine: Engine = engine_named(engine or self.settings.engine)
        self._ready = False
        self._preparing = threading.Lock()

    # ------------------------------------------------------------------ adding

    @overload
    def add(
        self, order: Order, *, connection: str, session: Session | Connection | None = None, is_new: bool = False
    ) -> StoredOrder: ...

    @overload
    def add(
        self, order: Order, *, connection: str, session: AsyncSession | AsyncConnection, is_new: bool = False
    ) -> Awaitable[StoredOrder]: ...

    def add(
        self,
        order: Order,
        *,
        connection: str,
        session: Session | Connection | AsyncSession | AsyncConnection | None = None,
        is_new: bool = False,
    ) -> StoredOrder | Awaitable[StoredOrder]:
        """Hand a paid order over to the connection of that name; return how it stands. It is on disk then.

        With a `session` of your own (a SQLAlchemy Session or Connection, sync or async; with an async one await the
        result) it joins your transaction instead, and is there if and when you commit. The same order added again is
        the same order. `is_new` promises that it was never sent before by anyone, which saves a look on platforms
        without idempotency keys.

        Raises:
            OrderError: another content stands under the order's id.
            StoreError: the database can't be written. The order isn't in the outbox then.
        """
        if session is None:
            self.prepare()
            with self.database.writing() as db:
                return self._add(db, order, connection, is_new)
        if isinstance(session, Session | Connection):
            return self._join(session, order, connection, is_new)
        return session.run_sync(self._join, order, connection, is_new)

    def _join(self, session: Session | Connection, order: Order, connection: str, is_new: bool) -> StoredOrder:
        """Add within somebody else's transaction. A new database is made ready in one of ours, before.

        Not in theirs: on SQLite, drivers leave tables standing that a rolled back transaction made.
        """
        with told():
            db = session.connection() if isinstance(session, Session) else session
            if not self._ready and not is_ready(db, self.engine):
                self.prepare()
            self._ready = True
            return self._add(db, order, connection, is_new)

    def _add(self, db: Connection, order: Order, connection: str, is_new: bool) -> StoredOrder:
        stored, came_in = add_order(db, order, connection, is_new=is_new, lead=self.settings.lead)
        if came_in and stored.due_at is not None:
            self.engine.wake(db, order.id, stored.due_at)
        return stored

    # ------------------------------------------------------------------ looking

    def get(self, order_id: str) -> StoredOrder | None:
        """Return how an order stands; None when it isn't in the outbox."""
        self.prepare()
        with self.database.reading() as db:
            row = db.execute(select(t.orders).where(_ORDER.id == order_id)).mappings().one_or_none()
        return stored_order(row) if row else None

    def orders(
        self, *, states: Sequence[OrderState] = (), connection: str = "", most: int = 100
    ) -> Sequence[StoredOrder]:
        """Return orders, the newest first: all, or those in one of the `states`, or of one connection."""
        self.prepare()
        wanted = select(t.orders).order_by(_ORDER.added_at.desc()).limit(most)
        if states:
            held = _ORDER.worker.is_not(None)
            kept = _ORDER.state.in_([state.value for state in states]) & _ORDER.worker.is_(None)
            wanted = wanted.where(kept | held if OrderState.SENDING in states else kept)
        if connection:
            wanted = wanted.where(_ORDER.connection == connection)
        with self.database.reading() as db:
            return [stored_order(row) for row in db.execute(wanted).mappings()]

    def journal(self, order_id: str) -> Sequence[Event]:
        """Return what happened to an order, oldest first."""
        self.prepare()
        with self.database.reading() as db:
            return self.store.journal(db, order_id)

    # ------------------------------------------------------------------ acting

    def resume(self, connection: str) -> bool:
        """Let a paused connection's orders go on, since it has credentials that work. Return whether it was paused."""
        self.prepare()
        now = time.time()
        with self.database.writing() as db:
            if not self.store.place(db, connection)["paused"]:
                return False
            self.store.set_place(db, connection, {"paused": "", "paused_at": None, "paused_with": ""})
            waiting = (_ORDER.connection == connection, _ORDER.waits_for == WaitsFor.AUTHORISATION.value)
            again = {"waits_for": WaitsFor.NOTHING.value, "to_ask": True, "begin_at": now}
            db.execute(update(t.orders).where(*waiting).values(**again))
            due = select(_ORDER.id).where(_ORDER.connection == connection, _ORDER.due_at <= now)
            for order_id in db.scalars(due):
                self.engine.wake(db, order_id, now)
        return True

    # ------------------------------------------------------------------ the database itself

    def prepare(self) -> None:
        """Make a new database ready, and see that a known one is of this version. Raises `StoreError`.

        Every use does so by itself. Call it when your program starts if the first use may come within a transaction of
        your own on SQLite: once that has written, nobody else can.
        """
        if self._ready:
            return
        with self._preparing, self.database.writing() as db:
            prepare(db, self.engine)
        self._ready = True

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __enter__(self) -> Self:
        """Return the outbox itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database."""
        self.close()
