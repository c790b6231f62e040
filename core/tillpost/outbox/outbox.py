"""The outbox: each order reaches the register once, or ends with a reason.

The reason is for people.

    outbox = Outbox("sqlite:///orders.db")               # or postgresql+psycopg://...
    outbox.add(order, connection="cafe-42")              # on disk when it returns
    outbox.add(order, connection="cafe-42", session=s)   # on disk when you commit

This module is the entrance for embedders and for the rest of Tillpost. `Outbox` only delegates: the
work is done in `orders/`, `menus/`, `connections/` and `webhooks/`. A worker submits the orders
(`tillpost worker`, or a `Processor` under an engine of your own). A new database is prepared at its
first use.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from pydantic import SecretStr
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import Session, scoped_session

from tillpost.adapter.webhooks import WebhookEvent
from tillpost.config import load_connections
from tillpost.errors import ConfigError
from tillpost.models.arguments import require_order, require_type
from tillpost.models.availability import Availability
from tillpost.models.known_names import quoted, suggestion
from tillpost.models.menu import Menu
from tillpost.models.order import Order
from tillpost.outbox.connections.availability import availability_of, read_row, unconnected
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.connections.resume import resume_connection
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.db.database import Database, hidden_url, translated_errors
from tillpost.outbox.db.driver_connection import (
    AsyncDriverConnection,
    DriverConnection,
    is_async_driver_connection,
    is_driver_connection,
    joined,
    run_joined,
)
from tillpost.outbox.db.migrate import is_ready, migrate, prepare
from tillpost.outbox.db.same_database import is_locked
from tillpost.outbox.delivery.connections import ConnectionSource, outbox_options
from tillpost.outbox.delivery.plugin_connections import plugin_options
from tillpost.outbox.delivery.sources import default_source
from tillpost.outbox.engine import Engine, engine_named
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.menus.review import MenuReview, StoredImport
from tillpost.outbox.orders.claims import OrderClaims
from tillpost.outbox.orders.insert import add_order
from tillpost.outbox.orders.models import StoredOrder, stored_order
from tillpost.outbox.orders.queries import (
    JournalEntry,
    OrderFilter,
    find_orders,
    read_events,
    read_journal,
    states_named,
)
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.outbox.settings import ConnectionOptions, OutboxSettings, load_settings
from tillpost.outbox.webhooks.receiver import Receiver
from tillpost.submission.journal import Event

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

__all__ = ["DB_VARIABLE", "Outbox"]

DB_VARIABLE = "TILLPOST_DB"
"""The environment variable that holds the database's URL."""

# Built once: SQLAlchemy takes longer to build a statement than to run it.
_ONE_ORDER = select(t.orders).where(t.orders.c.id == bindparam("order_id"))


class Outbox:
    """An outbox in a database. Thread-safe.

    Args:
        url: The database's URL. By default that of `TILLPOST_DB`, else that of the settings.
        settings: How workers process the orders. Of these, adding uses `lead` alone.
        connections: Options of single connections, by name. Not needed for adding.
        engine: The name of the engine that wakes the workers; by default that of the settings.

    `from_config` reads all of them from the TOML file.
    """

    def __init__(
        self,
        url: str | SecretStr | None = None,
        *,
        settings: OutboxSettings | None = None,
        connections: Mapping[str, ConnectionOptions] | None = None,
        engine: str = "",
    ) -> None:
        # Tracebacks may show local variables, and the URL may hold a password.
        secret = None if url is None else hidden_url(url)
        del url
        self.settings = OutboxSettings() if settings is None else settings
        require_type("settings", self.settings, OutboxSettings)
        for name, options in (connections or {}).items():
            require_type(f"connections[{name!r}]", options, ConnectionOptions)
        self.config: str | Path | None = None
        self.database = _open_database(secret, self.settings)
        self.workers = WorkerRegistry(self.database)
        self.connection_rows = ConnectionRows(self.database)
        self.claims = OrderClaims(self.database, self.workers, self.connection_rows, self.settings)
        self.engine: Engine = engine_named(engine or self.settings.engine)
        self._connection_options = connections or {}
        self._is_from_config = False
        self._names: set[str] = set()
        self._is_prepared = False
        self._prepare_lock = threading.Lock()
        self._own_receiver: Receiver | None = None
        self._own_receiver_lock = threading.Lock()

    @property
    def clock(self) -> Callable[[], float]:
        """The outbox's clock, a function that returns the time in epoch seconds.

        All processes of the outbox agree on it: on PostgreSQL it shows the database's time, on
        SQLite that of the machine.
        """
        return self.database.clock

    @property
    def _menu_review(self) -> MenuReview:
        return MenuReview(self.database, self.connection_rows)

    @classmethod
    def from_config(
        cls,
        path: str | Path | None = None,
        *,
        url: str | SecretStr | None = None,
        engine: str = "",
    ) -> Self:
        """Return the outbox that the TOML file describes.

        It is described by the table `[outbox]` and by the tables `outbox` of the connections. A
        `Processor` of this outbox uses the connections of the file.

        Args:
            path: As for `config.config_path`. The default file may be missing.
            url: The database's URL; it takes precedence over `TILLPOST_DB`, and that over the file.
            engine: The name of the engine; it takes precedence over the file.

        Raises:
            ConfigError: a setting is wrong; the text, one line, names it.
            DatabaseError: the URL is invalid; the text, one line, says where it was set.
        """
        secret = None if url is None else hidden_url(url)
        del url
        settings = load_settings(path)
        outbox = cls(secret, settings=settings, connections=_load_options(path), engine=engine)
        outbox.config = path
        outbox._is_from_config = True
        return outbox

    # ------------------------------------------------------------------ add

    @overload
    def add(
        self,
        order: Order,
        *,
        connection: str,
        session: Session | Connection | scoped_session[Any] | DriverConnection | None = None,
        is_new: bool = False,
    ) -> StoredOrder: ...

    @overload
    def add(
        self,
        order: Order,
        *,
        connection: str,
        session: AsyncSession | AsyncConnection | async_scoped_session[Any] | AsyncDriverConnection,
        is_new: bool = False,
    ) -> Awaitable[StoredOrder]: ...

    def add(
        self,
        order: Order,
        *,
        connection: str,
        session: Session
        | Connection
        | scoped_session[Any]
        | DriverConnection
        | AsyncSession
        | AsyncConnection
        | async_scoped_session[Any]
        | AsyncDriverConnection
        | None = None,
        is_new: bool = False,
    ) -> StoredOrder | Awaitable[StoredOrder]:
        """Add a paid order, to be submitted to the store's POS.

        Adding the same order again returns the one that was added before.

        Args:
            order: The order.
            connection: The name of the store's connection.
            session: A SQLAlchemy Session or Connection of yours, sync or async, also a scoped one
                such as Flask-SQLAlchemy's `db.session`; or a driver's own connection: psycopg 3's,
                sync or async, or `sqlite3.Connection`. The order joins its transaction, and is
                added if and when you commit. With an async one, await the
                result. By default the order is on disk when the method returns.
            is_new: Promise that nobody has sent this order before. It saves a look-up on platforms
                without idempotency keys.

        Raises:
            OrderError: the order isn't valid, as a copy may be that was made with changes; or a
                different order was added under the same id.
            ConfigError: the connection has no name; or neither the TOML file nor the database has
                it, which is known only of an outbox made by `from_config`.
            DatabaseError: the database can't be written; the order wasn't added.
            TypeError: an argument has a wrong type.
            ValueError: `session` is in autocommit mode without an open transaction, in psycopg's
                pipeline mode, or not in the outbox's database; nothing was written.
        """
        require_order(order)
        _require_name(connection)
        require_type("is_new", is_new, bool)
        if session is None:
            self.prepare()
            self._require_known(connection)
            with self._writing() as db:
                return self._insert(db, order, connection, is_new)
        # Scoped sessions have a registry of sessions, one for each thread, request or task.
        registry: Any = getattr(session, "registry", None)
        within: Any = registry() if registry else session
        if isinstance(within, Session | Connection):
            return self._add_within(within, order, connection, is_new)
        if is_driver_connection(within):
            with translated_errors(), joined(within) as db:
                return self._add_within(db, order, connection, is_new)
        if is_async_driver_connection(within):
            return run_joined(within, lambda db: self._add_within(db, order, connection, is_new))
        if hasattr(within, "run_sync"):
            added: Awaitable[StoredOrder] = within.run_sync(
                self._add_within, order, connection, is_new
            )
            return added
        kind = type(within).__name__
        raise TypeError(
            "session must be a SQLAlchemy Session or Connection, or a connection of psycopg 3 or"
            f" sqlite3, not {kind}"
        )

    def _add_within(
        self,
        session: Session | Connection,
        order: Order,
        connection: str,
        is_new: bool,
    ) -> StoredOrder:
        """Add an order within the caller's transaction.

        A new database is prepared in a transaction of ours: on SQLite, drivers leave tables behind
        that were created in a transaction which is rolled back.
        """
        with translated_errors():
            db = session.connection() if isinstance(session, Session) else session
            self.database.require_joinable(db)
            if not self._is_prepared and not is_ready(db, self.engine):
                self._prepare_beside(db)
            self.database.join(db)
            self._is_prepared = True
            self._require_known(connection)
            self.database.clock.adjust_if_old(db)
            return self._insert(db, order, connection, is_new)

    def _prepare_beside(self, db: Connection) -> None:
        """Prepare the database beside a caller's transaction, which may keep it locked."""
        if self.database.is_sqlite and is_locked(self.database.file):
            raise DatabaseError(
                "the outbox's tables are missing or older, and your transaction keeps them from"
                " being created: run `tillpost outbox migrate` (Django: `manage.py"
                " tillpost_migrate`), or call `Outbox.prepare()` before the transaction"
            )
        self.prepare()

    def _insert(self, db: Connection, order: Order, connection: str, is_new: bool) -> StoredOrder:
        own = self._connection_options.get(connection)
        if own is None and order.due_at and self._is_from_config:
            own = plugin_options(connection)
        options = self.settings.options_of(own)
        stored, is_added = add_order(
            db, order, connection, self.clock(), is_new=is_new, lead=options.lead
        )
        if is_added and stored.due_at is not None:
            self.engine.wake(db, order.id, stored.due_at)
        return stored

    # ------------------------------------------------------------------ query

    def get(self, order_id: str) -> StoredOrder | None:
        """Return an order; None when it isn't in the outbox."""
        with self._reading() as db:
            row = db.execute(_ONE_ORDER, {"order_id": order_id}).mappings().one_or_none()
        if not row:
            return None
        return stored_order(row)

    def orders(
        self,
        *,
        states: Sequence[str] = (),
        connection: str = "",
        search: str = "",
        problem: bool = False,
        new: bool = False,
        most: int = 100,
    ) -> Sequence[StoredOrder]:
        """Return the orders that meet all of the conditions, the newest first.

        Args:
            states: Orders in one of these states, or in this one, each an `OrderState` or its
                name, such as "due"; in any by default.
            connection: Orders of this connection; of all by default.
            search: Orders with this id, or with this text in their code or customer's name.
            problem: Only orders that a person has to act on.
            new: Only orders that nobody at the store has accepted yet.
            most: Return at most this many.

        Raises:
            ValueError: there is no such state; the text lists those that there are.
        """
        wanted = OrderFilter(states_named(states), connection, search, problem, new)
        with self._reading() as db:
            return find_orders(db, wanted, most)

    def journal(self, order_id: str) -> Sequence[Event]:
        """Return the events of an order, the oldest first."""
        with self._reading() as db:
            return read_events(db, order_id)

    def entries(self, order_id: str) -> Sequence[JournalEntry]:
        """Return the events of an order with their redacted requests and answers."""
        with self._reading() as db:
            return read_journal(db, order_id)

    def availability(self, connection: str) -> Availability:
        """Return whether a store takes orders now: ask before a checkout takes money.

        It reads one row, which workers keep up to date, and sends nothing, so every page may call
        it. A store that wasn't checked lately is assumed to be open, and the text says so. For an
        unknown connection the reason is `Reason.UNCONNECTED`; that is known only of an outbox made
        by `from_config`.
        """
        with self._reading() as db:
            row = read_row(db, connection)
        if row is None and self._is_unknown(connection):
            return unconnected(connection)
        return availability_of(connection, row, self.clock())

    def imports(self, connection: str = "", *, most: int = 20) -> Sequence[StoredImport]:
        """Return the menu imports of a connection, or of all, the newest first."""
        self.prepare()
        return self._menu_review.imports(connection, most)

    def held_menu(self, connection: str) -> Menu | None:
        """Return the menu that is held for review; None when none is."""
        self.prepare()
        return self._menu_review.held_menu(connection)

    def held_connections(self) -> Sequence[str]:
        """Return the names of the connections whose menu is held for review."""
        self.prepare()
        return self._menu_review.held_connections()

    # ------------------------------------------------------------------ act

    def resume(self, connection: str) -> bool:
        """Resume a paused connection, once it has working credentials.

        Its waiting orders are sent automatically.

        Returns:
            Whether it was paused.
        """
        with self._writing() as db:
            return resume_connection(
                db, self.connection_rows, self.engine, connection, self.clock()
            )

    def accept_menu(self, connection: str) -> StoredImport | None:
        """Put the held menu of a connection into effect for all workers.

        Returns:
            The import that brought the menu; None when no menu is held.

        Raises:
            DatabaseError: the menu is being imported at the moment.
        """
        self.prepare()
        return self._menu_review.accept(connection)

    def discard_menu(self, connection: str) -> StoredImport | None:
        """Discard the held menu of a connection: the current one stays in effect.

        Returns and raises what `accept_menu` does.
        """
        self.prepare()
        return self._menu_review.discard(connection)

    # ------------------------------------------------------------------ receive

    def receive(
        self,
        connection: str,
        headers: Mapping[str, str],
        body: bytes,
        url: str,
    ) -> Sequence[WebhookEvent]:
        """Receive a webhook of a connection: each of its events takes effect once.

        `asgi.webhooks_app` serves this over HTTP. It uses the connections of the TOML file and of
        the database; for others, or for hooks of your own, see `receiver`.

        Args:
            connection: The name of the connection.
            headers: The headers of the request, by lower-case name.
            body: The body as it was received.
            url: The public address that the platform called.

        Returns:
            The events that took effect.

        Raises:
            WebhookError: the webhook isn't the platform's, answer 4xx; or it was received before,
                answer 200.
            ConfigError: there is no such connection, or it is wrong.
            PosError: the platform couldn't be asked to confirm it; answer 503, so that it is sent
                again.
            DatabaseError: the database failed, or a worker is processing the order; answer 503.
        """
        with self._own_receiver_lock:
            if self._own_receiver is None:
                self._own_receiver = self.receiver()
        return self._own_receiver.receive(connection, headers, body, url)

    def receiver(
        self,
        *,
        connections: ConnectionSource | None = None,
        hooks: Iterable[object] = (),
        clock: Callable[[], float] | None = None,
    ) -> Receiver:
        """Return a receiver of webhooks with connections or hooks of your own.

        Close it after use.

        Args:
            connections: The source of connections; by default those of the TOML file, of the
                database and of the installed plugins.
            hooks: Objects whose hooks are called in addition to the plugins'.
            clock: Returns the time in epoch seconds; by default `clock`.

        Raises:
            ConfigError: One of the objects has a hook that doesn't exist, or isn't marked.
            DatabaseError: The database can't be prepared.
            TypeError: An argument has a wrong type.
        """
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

    # ------------------------------------------------------------------ prepare and close

    def prepare(self) -> None:
        """Create the tables of a new database, or check the version of an existing one.

        Every method does so when it is first called. Call it at the start of your program if the
        first use may be in a transaction of yours on SQLite: once that has written, no other
        transaction can.

        Raises:
            DatabaseError: the database can't be used, or its tables are of another version.
        """
        if self._is_prepared:
            return
        with self._prepare_lock, self.database.writing() as db:
            prepare(db, self.engine)
        self._is_prepared = True

    def migrate(self) -> bool:
        """Upgrade the tables to this version; return whether anything had to be done.

        It asks nobody: a step that stops programs of older releases is taken as well. `tillpost
        outbox migrate --dry-run` lists the steps.
        """
        with self._prepare_lock, self.database.writing() as db:
            changed = migrate(db, self.engine)
        self._is_prepared = True
        return changed

    def close(self) -> None:
        """Close the database."""
        if self._own_receiver:
            self._own_receiver.close()
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

    # ------------------------------------------------------------------ helpers

    def _reading(self) -> AbstractContextManager[Connection]:
        self.prepare()
        return self.database.reading()

    def _writing(self) -> AbstractContextManager[Connection]:
        self.prepare()
        return self.database.writing()

    def _require_known(self, connection: str) -> None:
        """Raise `ConfigError` for a connection that nobody knows.

        Names are remembered, so that adding neither reads the file nor asks the database again. An
        unknown one is looked up each time: it may have been added since.
        """
        if connection in self._names:
            return
        known = self._known_names()
        if known and connection not in known:
            raise ConfigError(
                f"no connection {quoted(connection)}; {suggestion(connection, known)}"
            )
        self._names.update(known, (connection,))

    def _is_unknown(self, connection: str) -> bool:
        """Return whether connections are known, but not this one."""
        known = self._known_names()
        return bool(known) and connection not in known

    def _known_names(self) -> Collection[str]:
        """Return the connections of the TOML file, the database and plugins.

        It is empty if nothing is known: without any there, or if the file can't be read here. The
        workers may have connections that were made in code.
        """
        if not self._is_from_config:
            return ()
        try:
            return default_source(CredentialStore(self.database), self.config).names()
        except ConfigError:
            return ()


def _require_name(connection: object) -> None:
    """Raise `TypeError` or `ConfigError` for what is no connection's name."""
    require_type("connection", connection, str)
    if not connection:
        raise ConfigError("the connection has no name: add(order, connection='cafe-42')")


def _open_database(url: SecretStr | None, settings: OutboxSettings) -> Database:
    """Open the database that takes precedence; an error says where its URL was set."""
    origin = ""
    if url is None:
        url = SecretStr(os.environ.get(DB_VARIABLE, ""))
        origin = DB_VARIABLE
    # An empty variable counts as none, but an empty argument is a mistake.
    if origin and not url:
        url = SecretStr(settings.db)
        origin = "[outbox] db"
    try:
        return Database(url)
    except DatabaseError as error:
        fault = f"{origin}: {error}" if origin else str(error)
    raise DatabaseError(fault)


def _load_options(path: str | Path | None) -> Mapping[str, ConnectionOptions]:
    """Return the outbox options of the file's connections, by name."""
    try:
        connections = load_connections(path, needed=False)
    except ConfigError:
        # The settings were read from the same file, so it has no connections, or doesn't exist.
        return {}
    usable = {name: found for name, found in connections.items() if not found.fault}
    options = {name: outbox_options(found) for name, found in usable.items()}
    return {name: given for name, given in options.items() if given}
