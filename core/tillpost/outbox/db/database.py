"""Opens the outbox's database, and reports its failures in one line.

    database = Database("sqlite:///orders.db")  # or postgresql+psycopg://...
    with database.writing() as connection:
        ...  # one transaction: all of it is on disk after the block, or nothing

On SQLite the write-ahead log is synced at each commit, as the promise "on disk" needs. A writer
takes the lock at once (BEGIN IMMEDIATE) and waits for others up to `BUSY_SECONDS`. On PostgreSQL
the defaults do the same.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from tillpost.outbox.exceptions import DatabaseError

__all__ = ["BUSY_SECONDS", "Database", "translated_errors"]

BUSY_SECONDS = 15.0
"""How long a writer waits for another program that has locked the SQLite file."""

IDLE_SECONDS = 5.0
"""How long a transaction may be idle before PostgreSQL ends it.

A worker that is paused, or cut off by the network, loses its locks then, so that others can take
its orders over.
"""

_TRANSIENT_SQLITE_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

# Classes of PostgreSQL's SQLSTATE: connection, rollback, resources, operator intervention.
_TRANSIENT_SQLSTATE_CLASSES = ("08", "40", "53", "57")


class Database:
    """The outbox's database. Safe for threads; a process that forks opens its own."""

    def __init__(self, url: str) -> None:
        """Set up the database, without connecting to it.

        Raises:
            DatabaseError: the URL can't be one, or its driver isn't installed.
        """
        try:
            self.engine = _create_engine(url)
        except (ArgumentError, NoSuchModuleError, ValueError):
            raise DatabaseError(f"not a database URL: {_without_password(url)}") from None
        except ModuleNotFoundError as missing:
            raise DatabaseError(
                f"the database's driver isn't installed: pip install '{_extra(missing)}'"
            ) from None
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        """Whether it is SQLite: one writer at a time, all on this machine."""
        self._write_lock = threading.Lock()

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Open a transaction to write in: committed after the block, rolled back if it raises.

        Raises:
            DatabaseError: the database is full, locked, read-only or gone.
        """
        with translated_errors(), self._locked_for_writing(), self.engine.begin() as connection:
            self._begin(connection, "BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Open a transaction to read in.

        Raises:
            DatabaseError: the database can't be read.
        """
        with translated_errors(), self.engine.connect() as connection:
            self._begin(connection, "BEGIN")
            yield connection

    def close(self) -> None:
        """Close the open connections."""
        self.engine.dispose()

    def __repr__(self) -> str:
        """Return the URL without its password."""
        return f"<Database {self.engine.url!r}>"

    @contextmanager
    def _locked_for_writing(self) -> Generator[None]:
        """Wait for this program's other writers on SQLite, which would only poll for the lock."""
        if not self.is_sqlite:
            yield
        elif self._write_lock.acquire(timeout=BUSY_SECONDS):
            try:
                yield
            finally:
                self._write_lock.release()
        else:
            raise DatabaseError("the database failed: database is locked", transient=True)

    def _begin(self, connection: Connection, statement: str) -> None:
        """Begin a transaction on SQLite, whose driver is set up not to do so.

        Called on the driver, since SQLAlchemy's event for this makes every statement slower.
        """
        if self.is_sqlite:
            driver: Any = connection.connection.dbapi_connection
            driver.execute(statement)


@contextmanager
def translated_errors() -> Generator[None]:
    """Turn the database's errors into a `DatabaseError` of one line.

    It holds nothing of what was being written, and neither does its traceback: PostgreSQL's own
    errors quote rows.
    """
    try:
        yield
        return
    except DBAPIError as error:
        transient = error.connection_invalidated or _is_transient(error.orig)
        text = _first_line(error.orig)
    except sqlite3.Error as error:
        transient = _is_transient(error)
        text = _first_line(error)
    except SQLAlchemyError as error:  # such as a pool with no connection left
        transient = True
        text = " ".join(str(error).split())[:200]
    raise DatabaseError(f"the database failed: {text}", transient=transient) from None


def _create_engine(url: str) -> Engine:
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _create_sqlite_engine(parsed)
    if backend == "postgresql":
        return _create_postgresql_engine(parsed)
    raise DatabaseError(f"the database must be SQLite or PostgreSQL, not {backend}")


def _create_sqlite_engine(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise DatabaseError(
            "a database in memory loses its orders: name a file, as in sqlite:///orders.db"
        )
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _create_postgresql_engine(url: URL) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(
        url, hide_parameters=True, pool_size=10, max_overflow=20, pool_pre_ping=True
    )
    event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _set_up_postgresql(connection: Any, _: object) -> None:
    """Set up a new connection.

    Commits, since a setting made in a transaction is lost when that is rolled back.
    """
    milliseconds = int(IDLE_SECONDS * 1000)
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")
    connection.commit()


def _set_up_sqlite(connection: Any, _: object) -> None:
    """Set up a new connection.

    An `isolation_level` of None leaves BEGIN to us: the driver would begin too late.
    """
    connection.isolation_level = None
    # The driver would refuse all rows of a query because of one damaged text: see `rows`.
    connection.text_factory = _decoded
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}")


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _first_line(error: BaseException | None) -> str:
    """Return the first line of the database's text, which names tables and files, not values."""
    line = str(error).strip().partition("\n")[0]
    return line or type(error).__name__


def _is_transient(error: BaseException | None) -> bool:
    """Return whether the same may work in a moment."""
    sqlite_code = getattr(error, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in _TRANSIENT_SQLITE_CODES
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate[:2] in _TRANSIENT_SQLSTATE_CLASSES
    # An error that never reached PostgreSQL has no SQLSTATE.
    return type(error).__name__ in ("OperationalError", "InterfaceError")


def _without_password(url: str) -> str:
    try:
        return repr(make_url(url))
    except ValueError:
        return "its port isn't a number"
    except ArgumentError:
        return "it has no scheme, as in sqlite:///orders.db"


def _extra(missing: ModuleNotFoundError) -> str:
    return "tillpost[postgres]" if missing.name == "psycopg" else str(missing.name)
