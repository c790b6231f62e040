"""The outbox: hand an order over, and it reaches the register once, or ends where a person sees it, with the reason.

    outbox = Outbox("sqlite:///orders.db")                              # or
    postgresql+psycopg://... outbox.add(order, connection="cafe-42")                             #
    on disk when it returns outbox.add(order, connection="cafe-42", session=their_session)      # on
    disk when they commit

A worker brings the orders to the register (`tillpost worker`, or a `Processor` in an engine of
yours). A new database is made ready at its first use; nothing else is needed for adding.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from tillpost.adapter.webhooks import WebhookEvent
from tillpost.config import load_connections
from tillpost.errors import ConfigError
from tillpost.models.availability import Availability
from tillpost.models.menu import Menu
from tillpost.models.order import Order
from tillpost.outbox.connections.availability import COLUMNS, availability_of, unconnected
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.db.database import Database, told
from tillpost.outbox.db.migrate import is_ready, migrate, prepare
from tillpost.outbox.delivery.sources import Known
from tillpost.outbox.delivery.tills import Source, options_of
from tillpost.outbox.engine import Engine, engine_named
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.menus import held
from tillpost.outbox.menus.held import StoredImport
from tillpost.outbox.orders.claims import OrderClaims
from tillpost.outbox.orders.insert import add_order
from tillpost.outbox.orders.models import OrderState, StoredOrder, WaitsFor, stored_order
from tillpost.outbox.orders.problems import solved
from tillpost.outbox.orders.queries import (
    JournalEntry,
    Wanted,
    find_orders,
    read_entries,
    read_events,
)
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.outbox.settings import ConnectionOptions, OutboxSettings, load_settings
from tillpost.outbox.webhooks.receiver import Receiver
from tillpost.plugins.manager import Hooks
from tillpost.submission.journal import Event

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

__all__ = ["DB_VARIABLE", "Outbox"]

DB_VARIABLE = "TILLPOST_DB"
"""The environment variable that names the database."""

_ORDER = t.orders.c


class Outbox:
    """Orders that survive a crash, in a database. Safe for threads.

    `url` is the database's: `TILLPOST_DB` when it is left out, else the settings' own. `settings`
    say how workers go about their work, and `connections` what differs for some; who only adds
    needs neither. `engine` names what wakes the workers. `from_config` takes all of it from the
    TOML file.
    """

    def __init__(
        self,
        url: str = "",
        *,
        settings: OutboxSettings | None = None,
        connections: Mapping[str, ConnectionOptions] | None = None,
        engine: str = "",
    ) -> None:
        self.settings = settings or OutboxSettings()
        self.config: str | Path | None = None
        self._knows_file = False
        self._connections = connections or {}
        self.database = _database(url, self.settings)
        self.workers = WorkerRegistry(self.database)
        self.connection_rows = ConnectionRows(self.database)
        self.claims = OrderClaims(self.database, self.workers, self.connection_rows, self.settings)
        self.engine: Engine = engine_named(engine or self.settings.engine)
        self._ready = False
        self._preparing = threading.Lock()
        self._hearing = threading.Lock()
        self._receiver: Receiver | None = None

    @classmethod
    def from_config(
        cls, path: str | Path | None = None, *, url: str = "", engine: str = ""
    ) -> Self:
        """Return the outbox that the TOML file describes, in `[outbox]` and the connections' own `outbox` tables.

        `path` is as in `config.config_path`; a file that isn't there by default isn't needed. `url`
        comes before `TILLPOST_DB`, and that before `[outbox] db`. A `Processor` of it has the
        file's connections.

        Raises:
            ConfigError: a setting is wrong; its one line names it.
            StoreError: the database's URL can't be one; its one line says where that stands.
        """
        settings = load_settings(path)
        outbox = cls(url, settings=settings, connections=_options(path), engine=engine)
        outbox.config, outbox._knows_file = path, True
        return outbox

    # ------------------------------------------------------------------ adding

    @overload
    def add(
        self,
        order: Order,
        *,
        connection: str,
        session: Session | Connection | None = None,
        is_new: bool = False,
    ) -> StoredOrder: ...

    @overload
    def add(
        self,
        order: Order,
        *,
        connection: str,
        session: AsyncSession | AsyncConnection,
        is_new: bool = False,
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

        With a `session` of your own (a SQLAlchemy Session or Connection, sync or async; with an
        async one await the result) it joins your transaction instead, and is there if and when you
        commit. The same order added again is the same order. `is_new` promises that it was never
        sent before by anyone, which saves a look on platforms without idempotency keys.

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

    def _join(
        self, session: Session | Connection, order: Order, connection: str, is_new: bool
    ) -> StoredOrder:
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
        lead = self.settings.of(self._connections.get(connection)).lead
        stored, came_in = add_order(db, order, connection, is_new=is_new, lead=lead)
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
        self,
        *,
        states: Sequence[OrderState] = (),
        connection: str = "",
        search: str = "",
        problem: bool = False,
        new: bool = False,
        most: int = 100,
    ) -> Sequence[StoredOrder]:
        """Return orders, the newest first: all, or such as fit everything that is asked for.

        Those in one of the `states`; of one `connection`; whose code or customer holds what
        somebody typed (`search`; an id is typed whole); with a `problem` that a person has to act
        on; `new`, which nobody in the store has begun.
        """
        self.prepare()
        wanted = Wanted(states, connection, search, problem, new)
        with self.database.reading() as db:
            return find_orders(db, wanted, most)

    def journal(self, order_id: str) -> Sequence[Event]:
        """Return what happened to an order, oldest first."""
        self.prepare()
        with self.database.reading() as db:
            return read_events(db, order_id)

    def entries(self, order_id: str) -> Sequence[JournalEntry]:
        """Return an order's journal, oldest first, with what went out and came back (redacted)."""
        self.prepare()
        with self.database.reading() as db:
            return read_entries(db, order_id)

    def availability(self, connection: str) -> Availability:
        """Return whether a store takes orders now, as workers know it: what a checkout asks before it takes money.

        One row is read, and nothing is sent to anybody, so that each page may ask. A store that no
        worker has looked at (lately) is taken to be open; the text says so. A name that nobody
        knows is `Reason.UNCONNECTED`; only an outbox that was made `from_config` can tell.
        """
        self.prepare()
        with self.database.reading() as db:
            row = (
                db.execute(select(*COLUMNS).where(t.connections.c.name == connection))
                .mappings()
                .one_or_none()
            )
        if row is None and self._knows_file and not self._is_known(connection):
            return unconnected(connection)
        return availability_of(connection, row, time.time())

    def _is_known(self, connection: str) -> bool:
        """Whether the file or the database has the connection, or the file can't be read here."""
        try:
            known = Known(CredentialStore(self.database), self.config).all()
        except ConfigError:
            return True
        return not known or connection in known  # where there are none, they are made in code

    def imports(self, connection: str = "", *, most: int = 20) -> Sequence[StoredImport]:
        """Return what the menu imports of a connection, or of all, have changed, the latest first."""
        self.prepare()
        with self.database.reading() as db:
            return held.read_imports(db, connection, most)

    def held_menu(self, connection: str) -> Menu | None:
        """Return the menu that waits for a person to accept or discard it; None when none does."""
        self.prepare()
        with self.database.reading() as db:
            return held.held_menu(db, connection)

    def held_connections(self) -> Sequence[str]:
        """Return the names of the connections whose menu waits for a person."""
        self.prepare()
        with self.database.reading() as db:
            return held.held_connections(db)

    # ------------------------------------------------------------------ acting

    def resume(self, connection: str) -> bool:
        """Let a paused connection's orders go on, since it has credentials that work. Return whether it was paused."""
        self.prepare()
        now = time.time()
        with self.database.writing() as db:
            if not self.connection_rows.lock(db, connection)["paused"]:
                return False
            unpaused = {"paused": "", "paused_at": None, "refused_credentials": "", "check_at": now}
            self.connection_rows.update(db, connection, unpaused)
            waiting = (
                _ORDER.connection == connection,
                _ORDER.waits_for == WaitsFor.AUTHORISATION.value,
            )
            again = {
                "waits_for": WaitsFor.NOTHING.value,
                "new_request": True,
                "eligible_at": now,
                **solved(),
            }
            db.execute(update(t.orders).where(*waiting).values(**again))
            due = select(_ORDER.id).where(_ORDER.connection == connection, _ORDER.due_at <= now)
            for order_id in db.scalars(due):
                self.engine.wake(db, order_id, now)
        return True

    def accept_menu(self, connection: str) -> StoredImport | None:
        """Put the connection's held menu in force for all workers; return its import, None when no menu is held.

        Raises `DatabaseError` while the menu is being imported.
        """
        menu, settled = self._settle(connection, accept=True)
        if settled:
            Hooks(connection).call("menu_imported", {"menu": menu, "changes": settled.changes})
        return settled

    def discard_menu(self, connection: str) -> StoredImport | None:
        """Let the connection's held menu go: the one before stays in force. Return and raise as `accept_menu`."""
        _, settled = self._settle(connection, accept=False)
        return settled

    def _settle(self, connection: str, *, accept: bool) -> tuple[Menu | None, StoredImport | None]:
        self.prepare()
        with self.database.writing() as db:
            return held.held_menu(db, connection), held.settle(
                self.connection_rows, db, connection, accept=accept
            )

    # ------------------------------------------------------------------ hearing from platforms

    def receive(
        self, connection: str, headers: Mapping[str, str], body: bytes, url: str
    ) -> Sequence[WebhookEvent]:
        """Take a webhook of a connection, and do what it asks for; return what it told. Each event counts once.

        `body` is as it came, and `url` the address that the platform called, as it knows it.
        `asgi.webhooks_app` is this behind HTTP. Other `connections` than those of the TOML file and
        the database, or hooks of your own, are for a `receiving.Receiver`.

        Raises: WebhookError: it isn't the platform's, or has come before; answer the latter with a
            200, else with a 4xx. ConfigError: there is no such connection, or it is wrong.
            PosError: the platform couldn't be asked what is true; answer with a 503, so that it is
            sent again. StoreError: the database failed, or somebody has the order in hand; the
            same.
        """
        with self._hearing:
            if self._receiver is None:
                self._receiver = self.receiver()
        return self._receiver.receive(connection, headers, body, url)

    def receiver(
        self,
        *,
        connections: Source | None = None,
        hooks: Iterable[object] = (),
        clock: Callable[[], float] = time.time,
    ) -> Receiver:
        """Return what receives webhooks for other connections, or with hooks beside the plugins'. Close it yourself."""
        self.prepare()
        return Receiver(
            self.database,
            self.engine,
            self.settings,
            connections=connections,
            config=self.config,
            hooks=hooks,
            clock=clock,
        )

    # ------------------------------------------------------------------ the database itself

    def prepare(self) -> None:
        """Make a new database ready, and see that a known one is of this version. Raises `DatabaseError`.

        Every use does so by itself. Call it when your program starts if the first use may come
        within a transaction of your own on SQLite: once that has written, nobody else can.
        """
        if self._ready:
            return
        with self._preparing, self.database.writing() as db:
            prepare(db, self.engine)
        self._ready = True

    def migrate(self) -> bool:
        """Bring an old database, or a new one, to this version; return whether there was anything to do."""
        with self._preparing, self.database.writing() as db:
            changed = migrate(db, self.engine)
        self._ready = True
        return changed

    def close(self) -> None:
        """Close the database."""
        if self._receiver:
            self._receiver.close()
        self.database.close()

    def __enter__(self) -> Self:
        """Return the outbox itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the database."""
        self.close()


def _database(url: str, settings: OutboxSettings) -> Database:
    """Open the database that is named first, and say of a wrong URL where it stands."""
    named = {"": url, DB_VARIABLE: os.environ.get(DB_VARIABLE, ""), "[outbox] db": settings.db}
    where, first = next((where, known) for where, known in named.items() if known)
    try:
        return Database(first)
    except DatabaseError as wrong:
        raise DatabaseError(f"{where}: {wrong}" if where else str(wrong)) from None


def _options(path: str | Path | None) -> Mapping[str, ConnectionOptions]:
    """Return what the file's connections say for the outbox. Who only adds needs no connections, nor a file."""
    try:
        known = load_connections(path)
    except (
        ConfigError
    ):  # the file has been read for its settings, so it has no connections, or isn't there
        return {}
    return {name: options for name, found in known.items() if (options := options_of(found))}
