"""Opens the outbox's database, and turns its troubles into one line. All reading and writing goes through `Database`.

    database = Database("sqlite:///orders.db")       # or postgresql+psycopg://... with
    database.writing() as connection: ...       # one transaction: all of it is on disk after the
    block, or none

On SQLite the journal is a write-ahead log that is synced at each commit, as the promise "on disk"
needs; a writer takes its turn at once (BEGIN IMMEDIATE) and waits for others up to `BUSY_SECONDS`.
On PostgreSQL the defaults do the same.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from tillpost.outbox.exceptions import DatabaseError

__all__ = ["BUSY_SECONDS", "Database"]

BUSY_SECONDS = 15.0
"""How long a writer waits for another program that has the SQLite file locked."""

IDLE_SECONDS = 5.0
"""PostgreSQL ends a transaction that does nothing for so long: a paused worker, or one that the network has lost, keeps
its locks no longer, and others can take its orders over."""


class Database:
    """The outbox's database. Safe for threads; a process that forks opens its own."""

    def __init__(self, url: str) -> None:
        """Take the database's URL. Nothing is opened yet. Raises `DatabaseError` for a URL that can't be one."""
        try:
            self.engine = _engine(url)
        except (ArgumentError, NoSuchModuleError, ValueError):
            raise DatabaseError(
                f"not a database URL that is known: {_without_password(url)}"
            ) from None
        except ModuleNotFoundError as missing:
            raise DatabaseError(
                f"the database's driver isn't installed: pip install '{_extra(missing)}'"
            ) from None
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        """Whether it is SQLite: one writer at a time, all on this machine."""
        self._writer = threading.Lock()

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Give a transaction to write in. Committed at the end of the block, rolled back when it raises.

        Raises `DatabaseError` for whatever the database can't do: it is full, locked, read-only, or
        gone.
        """
        with told(), self._turn(), self.engine.begin() as connection:
            self._begin(connection, "BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Give a transaction to read in."""
        with told(), self.engine.connect() as connection:
            self._begin(connection, "BEGIN")
            yield connection

    @contextmanager
    def _turn(self) -> Generator[None]:
        """Wait for this program's other writers on SQLite, which itself would look for its turn only now and then."""
        if not self.is_sqlite:
            yield
        elif self._writer.acquire(timeout=BUSY_SECONDS):
            try:
                yield
            finally:
                self._writer.release()
        else:
            raise DatabaseError("the database failed: database is locked", passing=True)

    def _begin(self, connection: Connection, how: str) -> None:
        """Begin a transaction on SQLite, where the driver is told to leave that to us; another's does so by itself.

        Past SQLAlchemy, since its event for this makes every statement slower.
        """
        if self.is_sqlite:
            driver: Any = connection.connection.dbapi_connection
            driver.execute(how)

    def close(self) -> None:
        """Close the connections that are open."""
        self.engine.dispose()

    def __repr__(self) -> str:
        """The URL without its password."""
        return f"<Database {self.engine.url!r}>"


@contextmanager
def told() -> Generator[None]:
    """Turn what the database raises into a `DatabaseError`, whose one line holds nothing of what was being written."""
    try:
        yield
    except DBAPIError as error:
        passing = error.connection_invalidated or _is_passing(error.orig)
        trouble = DatabaseError(f"the database failed: {_words(error.orig)}", passing=passing)
    except sqlite3.Error as error:
        trouble = DatabaseError(f"the database failed: {_words(error)}", passing=_is_passing(error))
    except SQLAlchemyError as error:  # such as a pool with no connection left
        trouble = DatabaseError(
            f"the database failed: {' '.join(str(error).split())[:200]}", passing=True
        )
    else:
        return
    raise trouble from None  # PostgreSQL quotes rows


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise DatabaseError(
                "a store in memory loses its orders: name a file, as in sqlite:///orders.db"
            )
        engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _tune_sqlite)
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise DatabaseError(f"the store is SQLite or PostgreSQL, not {parsed.get_backend_name()}")
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(
        parsed, hide_parameters=True, pool_size=10, max_overflow=20, pool_pre_ping=True
    )
    event.listen(engine, "connect", _tune_postgresql)
    return engine


def _tune_postgresql(connection: Any, _: object) -> None:
    """Set up a new connection. Within a transaction, since settings made in one that is rolled back are gone."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {int(IDLE_SECONDS * 1000)}")
    connection.commit()


def _tune_sqlite(connection: Any, _: object) -> None:
    """Set up a new connection. `isolation_level` None leaves BEGIN to us: the driver's own begins too late."""
    connection.isolation_level = None
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}")


def _words(error: BaseException | None) -> str:
    """Return the database's own words, in one line. They name tables and files, not values."""
    first = str(error).strip().partition("\n")[0]
    return first or type(error).__name__


def _is_passing(error: BaseException | None) -> bool:
    """Whether it may work in a moment."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    state = getattr(
        error, "sqlstate", None
    )  # of PostgreSQL; what never reached the server has none
    if state is None:
        return type(error).__name__ in ("OperationalError", "InterfaceError")
    return state[:2] in ("08", "40", "53", "57")


def _without_password(url: str) -> str:
    try:
        return repr(make_url(url))
    except ValueError:
        return "its port isn't a number"
    except ArgumentError:
        return "it has no scheme, as in sqlite:///orders.db"


def _extra(missing: ModuleNotFoundError) -> str:
    return "tillpost[postgres]" if missing.name == "psycopg" else str(missing.name)
