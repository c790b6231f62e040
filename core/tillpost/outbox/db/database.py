"""Opens the outbox's database, and reports its failures in one line.

    database = Database("sqlite:///orders.db")  # or postgresql+psycopg://...
    with database.writing() as connection:
        ...  # one transaction: all of it is on disk after the block, or nothing

On SQLite the write-ahead log is synced at each commit, as the promise "on disk" needs. A writer
takes the lock at once (BEGIN IMMEDIATE) and waits for others up to `BUSY_SECONDS`. On PostgreSQL
the defaults do the same, and `synchronous_commit` is switched on where it is off.

Everything is bounded in time: connecting, waiting for a lock or a connection, each command. A
PostgreSQL that falls silent is given up after `SILENCE_SECONDS`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Secret, SecretStr
from sqlalchemy import URL, Connection, Engine, Transaction, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    SQLAlchemyError,
    StatementError,
)

from tillpost.outbox.db.clock import Clock, DatabaseClock, MachineClock
from tillpost.outbox.db.same_database import (
    PostgresPlace,
    require_same_dialect,
    require_same_file,
    require_same_place,
)
from tillpost.outbox.db.write_queue import WriteQueue
from tillpost.outbox.exceptions import DatabaseError

__all__ = [
    "BUSY_SECONDS",
    "Database",
    "give_time",
    "hidden_url",
    "shown_url",
    "translated_errors",
    "wait_briefly",
]

BUSY_SECONDS = 15.0
"""How long a writer waits for another program that has locked the SQLite file."""

IDLE_SECONDS = 5.0
"""How long a transaction may be idle before PostgreSQL ends it.

A worker that is paused, or cut off by the network, loses its locks then, so that others can take
its orders over.
"""

CONNECT_SECONDS = 3
"""How long connecting to PostgreSQL may take."""

LOCK_SECONDS = 6.0
"""How long a command waits for a lock.

A paused worker loses its locks before that.
"""

BRIEF_LOCK_SECONDS = 0.5
"""The same in a worker's loop, which other connections and its heartbeat wait for."""

STATEMENT_SECONDS = 7.0
"""How long PostgreSQL works on one command."""

SILENCE_SECONDS = 8.0
"""How long PostgreSQL may be silent during a command.

It ends a slow one itself before that.
"""

POOL_SECONDS = 10.0
"""How long a thread waits for one of the connections."""

LONG_SECONDS = 3600.0
"""How long a command may take that goes through all rows; see `give_time`."""

_creating_file = threading.Lock()
"""While a thread creates the file, no other opens it.

It would lose its locks, too.
"""

NETWORK = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": int(SILENCE_SECONDS * 1000),
}
"""How soon a connection is given up whose packets get lost.

A database's URL may say otherwise.

See https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS.
"""

_SYNC_COMMIT = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
"""Has PostgreSQL answer a commit once it is on disk.

Other values than "off" wait for that too.

See https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT.
"""

_WAIT_BRIEFLY = text(f"SET LOCAL lock_timeout = {int(BRIEF_LOCK_SECONDS * 1000)}")

_CACHE_KIB = 512
"""How much of a SQLite file each connection keeps in memory."""

_FILE = "tillpost_file"
"""Where a connection to SQLite notes its file's path, and what identifies it."""

_NO_MYSQL = (
    "MySQL or MariaDB: those commit each change of a table at once, so an upgrade that fails there"
    " would leave half of its changes"
)
_UNSUPPORTED: Mapping[str, str] = {"mysql": _NO_MYSQL, "mariadb": _NO_MYSQL}
"""Why a database isn't supported, by SQLAlchemy's name for it.

See https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html.
"""

_TRANSIENT_SQLITE_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

# Classes of PostgreSQL's SQLSTATE: connection, rollback, resources, a lock that isn't to be had,
# operator intervention.
_TRANSIENT_SQLSTATE_CLASSES = ("08", "40", "53", "55", "57")

# Failures of the rows at hand: a value, a constraint, a deadlock, another's lock, a command that
# took too long, a row that is damaged on disk. See
# https://www.postgresql.org/docs/current/errcodes-appendix.html and
# https://www.sqlite.org/rescode.html.
_LOCAL_SQLSTATES = ("22", "23", "40", "55P03", "57014", "XX")
_LOCAL_SQLITE_CODES = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
)


_VALUE_ERRORS = (ArithmeticError, LookupError, TypeError, ValueError)
"""Errors that a statement's values cause before it is sent.

Others come from elsewhere.
"""


class Database:
    """The outbox's database. Safe for threads; a process that forks opens its own."""

    def __init__(self, url: str | SecretStr) -> None:
        """Set up the database, without connecting to it.

        Raises:
            DatabaseError: the URL can't be one, or its driver isn't installed.
        """
        # Tracebacks may show local variables, and the URL may hold a password.
        secret = hidden_url(url)
        del url
        fault = ""
        try:
            self.engine = _create_engine(secret)
        except (ArgumentError, NoSuchModuleError, ValueError):
            fault = f"not a database URL: {_without_password(secret)}"
        except ModuleNotFoundError as missing:
            fault = f"the database's driver isn't installed: pip install '{_extra(missing)}'"
        if fault:
            # Raised out here, because the frames of those errors hold the URL.
            raise DatabaseError(fault)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        """Whether it is SQLite: one writer at a time, all on this machine."""
        self.clock: Clock = MachineClock() if self.is_sqlite else DatabaseClock(self.reading)
        """The time by which all processes of the outbox go, in epoch seconds."""
        self._writers = WriteQueue()
        self._file = ""
        self._place: PostgresPlace | None = None
        if self.is_sqlite:
            event.listen(self.engine, "connect", self._remember_file)

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Open a transaction to write in.

        It is committed after the block, and rolled back if the block raises.

        Raises:
            DatabaseError: the database is full, locked, read-only or gone.
        """
        with translated_errors(), self._turn_to_write(), self.engine.connect() as connection:
            transaction = connection.begin()
            if self.is_sqlite:
                _require_same_file(connection)
            self._begin(connection, "BEGIN IMMEDIATE")
            self.clock.adjust_if_old(connection)
            yield connection
            _commit(transaction)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Open a transaction to read in.

        Raises:
            DatabaseError: the database can't be read.
        """
        with translated_errors(), self.engine.connect() as connection:
            self._begin(connection, "BEGIN")
            self.clock.adjust_if_old(connection)
            yield connection

    def require_joinable(self, db: Connection) -> None:
        """Require that a caller's transaction is of this kind, and open.

        Raises:
            ValueError: it isn't, or commits by itself.
        """
        require_same_dialect(db, self.engine.dialect.name)

    def join(self, db: Connection) -> None:
        """Require that a caller's transaction is in this database.

        It is on disk when it commits, too. SQLite has no such setting of one transaction: there the
        caller's connection decides.

        Raises:
            ValueError: it is in another database, or finds other tables.
        """
        if self.is_sqlite:
            require_same_file(db, self.file)
        else:
            self._place = require_same_place(PostgresPlace.of(db), self._own_place, self._place)

    @property
    def file(self) -> str:
        """The path of SQLite's file; once it was opened, the one that was opened."""
        return self._file or _path_in(self.engine.url)

    def _own_place(self) -> PostgresPlace:
        with translated_errors(), self.engine.connect() as db:
            return PostgresPlace.of(db)

    def _remember_file(self, _: object, record: Any) -> None:
        self._file = record.info[_FILE][0]

    def close(self) -> None:
        """Close the open connections."""
        self.engine.dispose()

    def __repr__(self) -> str:
        """Return the URL without its password."""
        return f"<Database {shown_url(self.engine.url)}>"

    @contextmanager
    def _turn_to_write(self) -> Generator[None]:
        """Wait for this program's other writers on SQLite."""
        if not self.is_sqlite:
            yield
            return
        with self._writers.turn(BUSY_SECONDS) as has_come:
            if not has_come:
                raise DatabaseError("the database failed: database is locked", transient=True)
            yield

    def _begin(self, connection: Connection, statement: str) -> None:
        """Begin a transaction on SQLite, whose driver is set up not to do so.

        Called on the driver, since SQLAlchemy's event for this makes every statement slower.
        """
        if self.is_sqlite:
            driver: Any = connection.connection.dbapi_connection
            if driver.in_transaction:
                # An interruption kept SQLAlchemy from ending the one before.
                driver.rollback()
            driver.execute(statement)


def _commit(transaction: Transaction) -> None:
    """Commit a transaction.

    What interrupts that, as a signal's handler does, is raised as it is. SQLAlchemy would raise a
    bare `AssertionError` in its place.
    """
    try:
        transaction.commit()
        return
    except AssertionError as unfinished:
        if unfinished.__context__ is None:
            raise
        interruption = unfinished.__context__
    raise interruption


def hidden_url(url: str | SecretStr) -> SecretStr:
    """Return a database's URL as a secret, as it may hold a password."""
    if isinstance(url, SecretStr):
        return url
    return SecretStr(url)


def give_time(db: Connection) -> None:
    """Let the commands of a transaction take long.

    Such a transaction migrates the tables or erases old data, for example. On SQLite nothing bounds
    its commands.
    """
    if db.dialect.name == "sqlite":
        return
    for name in ("lock_timeout", "statement_timeout"):
        db.exec_driver_sql(f"SET LOCAL {name} = {int(LONG_SECONDS * 1000)}")
    connection: Any = db.connection.driver_connection
    if hasattr(connection, "silence"):
        connection.silence = LONG_SECONDS


def wait_briefly(db: Connection) -> None:
    """Let a transaction's commands wait for locks for `BRIEF_LOCK_SECONDS` at most.

    On SQLite, where nobody locks a row, nothing changes.
    """
    if db.dialect.name != "sqlite":
        db.execute(_WAIT_BRIEFLY)


def shown_url(url: URL) -> str:
    """Return a database's URL without its password and without its query.

    The query may hold a password as well.
    """
    shown = url.set(query={}).render_as_string(hide_password=True)
    if not url.query:
        return shown
    return f"{shown}?***"


@contextmanager
def translated_errors() -> Generator[None]:
    """Turn the database's errors into a `DatabaseError` of one line.

    It holds nothing of what was being written, and neither does its traceback: PostgreSQL's own
    errors quote rows. What interrupts a statement, as a signal's handler does, is raised as it is.
    """
    interruption: BaseException | None = None
    try:
        yield
        return
    except DBAPIError as error:
        transient = error.connection_invalidated or _is_transient(error.orig)
        local = not error.connection_invalidated and _is_local(error.orig)
        reason = _first_line(error.orig)
    except sqlite3.Error as error:
        transient = _is_transient(error)
        local = _is_local(error)
        reason = _first_line(error)
    except StatementError as error:
        transient = True
        local = False
        reason = " ".join(str(error).split())[:200]
        if not isinstance(error.orig, _VALUE_ERRORS):
            interruption = error.orig
    except SQLAlchemyError as error:  # such as a pool with no connection left
        transient = True
        local = False
        reason = " ".join(str(error).split())[:200]
    if interruption is not None:
        raise interruption
    failed = f"the database failed: {reason}"
    raise DatabaseError(failed, transient=transient, local=local) from None


def _create_engine(url: SecretStr) -> Engine:
    if not url.get_secret_value().strip():
        raise DatabaseError("the database's URL is empty: name one, as in sqlite:///orders.db")
    parsed = make_url(url.get_secret_value())
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _create_sqlite_engine(parsed)
    if backend in ("postgresql", "postgres"):
        return _create_postgresql_engine(parsed)
    unsupported = _UNSUPPORTED.get(backend, backend)
    raise DatabaseError(f"the database must be SQLite or PostgreSQL, not {unsupported}")


def _create_sqlite_engine(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise DatabaseError(
            "a database in memory loses its orders: name a file, as in sqlite:///orders.db"
        )
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "do_connect", _create_private_file)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "connect", _note_file)
    return engine


def _create_postgresql_engine(url: URL) -> Engine:
    # libpq and hosting providers write postgres://, which SQLAlchemy refuses.
    _, _, driver = url.drivername.partition("+")
    url = url.set(drivername=f"postgresql+{driver or 'psycopg'}")
    network = {name: value for name, value in NETWORK.items() if name not in url.query}
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args=network,
        pool_size=10,
        max_overflow=20,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=True,
    )
    if engine.dialect.driver == "psycopg":
        event.listen(engine, "do_connect", _connect_bounded)
        event.listen(engine, "checkout", _forget_time)
    event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _forget_time(connection: Any, _: object, __: object) -> None:
    """Undo `give_time`, whose transaction is over."""
    connection.silence = SILENCE_SECONDS


def _connect_bounded(_: object, __: object, arguments: Any, parameters: Any) -> object:
    """Connect by psycopg, in place of SQLAlchemy."""
    from tillpost.outbox.db.bounded_psycopg import BoundedConnection

    # Whatever interrupts this, its traceback shows no password.
    hidden = Secret((arguments, parameters))
    del arguments, parameters
    connect = BoundedConnection.connect
    connection = connect(*hidden.get_secret_value()[0], **hidden.get_secret_value()[1])
    connection.silence = SILENCE_SECONDS
    return connection


def _set_up_postgresql(connection: Any, _: object) -> None:
    """Set up a new connection.

    Commits, since a setting made in a transaction is lost when that is rolled back.
    """
    limits = {
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
        "lock_timeout": LOCK_SECONDS,
        "statement_timeout": STATEMENT_SECONDS,
    }
    with connection.cursor() as cursor:
        for name, seconds in limits.items():
            cursor.execute(f"SET {name} = {int(seconds * 1000)}")
        cursor.execute(_SYNC_COMMIT)
    connection.commit()


def _create_private_file(
    _dialect: object, _record: object, arguments: Sequence[str], options: Mapping[str, object]
) -> None:
    """Create a new database file that only its owner can read.

    It holds customers and tokens. SQLite gives its other files, -wal and -shm, the same
    permissions. The permissions of a file that exists are left as they are.

    A file that exists isn't opened. Closing it would drop every lock that this process has on it
    (so POSIX has it), and then another process, which takes itself for the last, deletes the log
    that this one goes on writing to.
    """
    path = arguments[0]
    if options.get("uri"):
        address = urlsplit(path)
        path = unquote(address.path)
        creates = parse_qs(address.query).get("mode", ["rwc"]) == ["rwc"]
        if not creates or path == ":memory:":
            return
    # SQLite says better what is wrong with the path.
    with _creating_file, suppress(OSError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.open(path, flags, 0o600)
        os.close(file)


def _require_same_file(db: Connection) -> None:
    """Raise `DatabaseError` if the file was deleted or replaced since it was opened.

    SQLite would go on writing to the old one, which nobody finds any more.
    """
    path, opened = db.connection.info[_FILE]
    if _file_id(path) != opened:
        raise DatabaseError(
            f"the database file {path} was deleted or replaced while it was open, so nothing is"
            " written to it: put it back, or restart the program to use the new one"
        )


def _file_id(path: str) -> tuple[int, int] | None:
    """Return what identifies a file, None if it is gone."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _set_up_sqlite(connection: Any, _: object) -> None:
    """Set up a new connection.

    An `isolation_level` of None leaves BEGIN to us: the driver would begin too late.
    """
    connection.isolation_level = None
    # The driver would refuse all rows of a query because of one damaged text: see `rows`.
    connection.text_factory = _decoded
    # Each of a process's connections keeps its own pages: 2 MB by default, as the file grows.
    cache = f"cache_size = -{_CACHE_KIB}"
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", cache):
        connection.execute(f"PRAGMA {setting}")


def _note_file(connection: Any, record: Any) -> None:
    """Note which file a new connection writes to, by the absolute path in SQLite."""
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    record.info[_FILE] = (path, _file_id(path))


def _decoded(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogateescape")


def _first_line(error: BaseException | None) -> str:
    """Return the first line of the database's text.

    It names tables and files, not values.
    """
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
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"OperationalError", "InterfaceError"})


def _is_local(error: BaseException | None) -> bool:
    """Return whether only the rows at hand are to blame."""
    sqlite_code = getattr(error, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in _LOCAL_SQLITE_CODES
    sqlstate = getattr(error, "sqlstate", None)
    return sqlstate is not None and sqlstate.startswith(_LOCAL_SQLSTATES)


def _path_in(url: URL) -> str:
    """Return the path that a URL of SQLite names."""
    path = url.database or ""
    if path.startswith("file:"):
        path = unquote(urlsplit(path).path)
    return str(Path(path).absolute())


def _without_password(url: SecretStr) -> str:
    try:
        return shown_url(make_url(url.get_secret_value()))
    except ValueError:
        return "its port isn't a number"
    except ArgumentError:
        return "it has no scheme, as in sqlite:///orders.db"


def _extra(missing: ModuleNotFoundError) -> str:
    if missing.name == "psycopg":
        return "tillpost[postgres]"
    return str(missing.name)
