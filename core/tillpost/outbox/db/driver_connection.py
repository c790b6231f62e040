"""Joins the transaction of a driver's own connection: psycopg 3's or sqlite3's.

    if is_driver_connection(given):
        with joined(given) as db:
            db.execute(...)  # in the transaction of `given`, which its owner commits or rolls back

`db` is a SQLAlchemy connection, so that the same statements run as in any other transaction. It
reaches the driver's connection through cursors alone: it has no way to commit it, to roll it back
or to close it. Its owner's settings, such as row factories, have no effect on these cursors.

For psycopg's `AsyncConnection` there is `run_joined`. It waits in a greenlet, as SQLAlchemy does.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Dialect, Engine, make_url
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import await_only, greenlet_spawn

__all__ = [
    "AsyncDriverConnection",
    "DriverConnection",
    "is_async_driver_connection",
    "is_driver_connection",
    "joined",
    "require_transaction",
    "run_joined",
]

T = TypeVar("T")


class DriverConnection(Protocol):
    """What psycopg's `Connection` and sqlite3's have in common, for type checkers."""

    def cursor(self) -> Any:
        """Return a new cursor."""
        ...

    def commit(self) -> None:
        """Commit the transaction."""
        ...


class AsyncDriverConnection(Protocol):
    """The same of psycopg's `AsyncConnection`."""

    def cursor(self) -> Any:
        """Return a new cursor."""
        ...

    def commit(self) -> Awaitable[None]:
        """Commit the transaction."""
        ...


_NO_TRANSACTION = (
    "session: the connection is in autocommit mode and has no open transaction, so the order would"
    " be committed at once: begin a transaction, or leave `session` out"
)

_PIPELINE = "session: the connection is in pipeline mode: add the order outside of the pipeline"


def is_driver_connection(given: object) -> bool:
    """Return whether it is a connection of sqlite3's or psycopg's."""
    return isinstance(given, sqlite3.Connection) or _is_of_psycopg(given, "Connection")


def is_async_driver_connection(given: object) -> bool:
    """Return whether it is an async connection of psycopg's."""
    return _is_of_psycopg(given, "AsyncConnection")


def _is_of_psycopg(given: object, kind: str) -> bool:
    # Where psycopg isn't imported, nobody has a connection of it.
    psycopg = sys.modules.get("psycopg")
    return psycopg is not None and isinstance(given, getattr(psycopg, kind))


@contextmanager
def joined(given: Any) -> Generator[Connection]:
    """Join the transaction of a sync connection; it begins now if none is open.

    Raises:
        ValueError: no transaction is open, and none would begin; or psycopg's pipeline mode is on.
    """
    if isinstance(given, sqlite3.Connection):
        _require_sqlite_transaction(given)
        with _read_as_text(given), _connected("sqlite://", _Joined(given, _sqlite_cursor)) as db:
            yield db
    else:
        _require_psycopg_transaction(given)
        joining = _JoinedPsycopg(given, _psycopg_cursor)
        with _connected("postgresql+psycopg://", joining) as db:
            yield db


async def run_joined(given: Any, call: Callable[[Connection], T]) -> T:
    """Call a function with a connection as `joined` yields it; return its result.

    Args:
        given: psycopg's `AsyncConnection`.
        call: The function.

    Raises:
        ValueError: As `joined`.
        ImportError: greenlet isn't installed.
    """
    _require_psycopg_transaction(given)
    joining = _JoinedPsycopg(given, _AsyncCursor)

    def run() -> T:
        with _connected("postgresql+psycopg://", joining) as db:
            return call(db)

    result: T = await greenlet_spawn(run)
    return result


def require_transaction(dialect: str, given: Any) -> None:
    """Raise `ValueError` if a driver's connection would commit each statement.

    Args:
        dialect: SQLAlchemy's name of the database.
        given: A connection of sqlite3, aiosqlite, psycopg or another driver of PostgreSQL.
    """
    if isinstance(given, _Joined):
        return  # it was required when it was joined
    if dialect == "sqlite":
        _require_sqlite_transaction(given)
    elif _is_of_psycopg(given, "Connection") or _is_of_psycopg(given, "AsyncConnection"):
        _require_psycopg_transaction(given)
    elif getattr(given, "autocommit", False) is True:
        raise ValueError(_NO_TRANSACTION)


def _require_sqlite_transaction(given: Any) -> None:
    # From Python 3.12 on, `autocommit` may replace `isolation_level`.
    legacy = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", -1)
    mode = getattr(given, "autocommit", legacy)
    commits_each = given.isolation_level is None if mode == legacy else mode
    if commits_each and not given.in_transaction:
        raise ValueError(_NO_TRANSACTION)


def _require_psycopg_transaction(given: Any) -> None:
    import psycopg

    state = given.info
    if state.pipeline_status != psycopg.pq.PipelineStatus.OFF:
        raise ValueError(_PIPELINE)
    if given.autocommit and state.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        raise ValueError(_NO_TRANSACTION)


@contextmanager
def _read_as_text(given: sqlite3.Connection) -> Generator[None]:
    """Have the connection return text as `str` during the block."""
    theirs = given.text_factory
    given.text_factory = str
    try:
        yield
    finally:
        given.text_factory = theirs


class _Joined:
    """What SQLAlchemy may use of a driver's connection: its cursors alone."""

    def __init__(self, given: Any, new_cursor: Callable[[Any], Any]) -> None:
        self._given = given
        self._new_cursor = new_cursor

    def cursor(self) -> Any:
        """Return a new cursor in the owner's transaction."""
        return self._new_cursor(self._given)

    def commit(self) -> None:
        """Do nothing: the owner commits."""

    def rollback(self) -> None:
        """Do nothing: the owner rolls back."""

    def close(self) -> None:
        """Do nothing: the owner closes."""


class _JoinedPsycopg(_Joined):
    """The same of psycopg, whose dialect asks whether the connection is lost."""

    @property
    def closed(self) -> bool:
        """Whether the connection is closed."""
        return bool(self._given.closed)

    @property
    def broken(self) -> bool:
        """Whether the connection is lost."""
        return bool(self._given.broken)


def _sqlite_cursor(given: sqlite3.Connection) -> sqlite3.Cursor:
    cursor = sqlite3.Cursor(given)
    cursor.row_factory = None
    return cursor


def _psycopg_cursor(given: Any) -> Any:
    import psycopg
    from psycopg.rows import tuple_row

    return _with_own_adapters(psycopg.Cursor)(given, row_factory=tuple_row)


@cache
def _with_own_adapters(kind: Any) -> Any:
    """Return a class of cursors that read and write as psycopg does.

    What their connection was set up to do doesn't count.
    """
    import psycopg
    from psycopg.adapt import AdaptersMap

    adapters = AdaptersMap(psycopg.adapters)

    def own_adapters(_: object) -> AdaptersMap:
        return adapters

    return type(f"Own{kind.__name__}", (kind,), {"adapters": property(own_adapters)})


class _AsyncCursor:
    """A sync cursor over psycopg's async one, for a greenlet of SQLAlchemy's."""

    def __init__(self, given: Any) -> None:
        import psycopg
        from psycopg.rows import tuple_row

        new_cursor = _with_own_adapters(psycopg.AsyncCursor)
        self._cursor: Any = new_cursor(given, row_factory=tuple_row)
        self.arraysize = 1

    @property
    def description(self) -> Any:
        """The columns of the result; None: there is none."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed or found."""
        return int(self._cursor.rowcount)

    def execute(self, statement: Any, parameters: Any = None) -> None:
        """Execute a statement."""
        await_only(self._cursor.execute(statement, parameters))

    def fetchone(self) -> Any:
        """Return the next row, None after the last."""
        return await_only(self._cursor.fetchone())

    def fetchmany(self, size: int = 1) -> Sequence[Any]:
        """Return up to so many rows."""
        return list(await_only(self._cursor.fetchmany(size)))

    def fetchall(self) -> Sequence[Any]:
        """Return the rows that are left."""
        return list(await_only(self._cursor.fetchall()))

    def close(self) -> None:
        """Close the cursor."""
        await_only(self._cursor.close())


@contextmanager
def _connected(url: str, joining: _Joined) -> Generator[Connection]:
    """Open a SQLAlchemy connection over a driver's, which stays open afterwards."""
    dialect, compiled = _dialect(url)
    # SQLAlchemy's types ask for more of a connection than SQLAlchemy uses.
    connect: Any = lambda: joining  # noqa: E731
    # Not by `create_engine`, which would ask the database for its version at each first connection.
    engine = Engine(StaticPool(connect, dialect=dialect), dialect, make_url(url))
    engine.hide_parameters = True
    with engine.connect() as db:
        yield db.execution_options(compiled_cache=compiled)


@cache
def _dialect(url: str) -> tuple[Dialect, dict[Any, Any]]:
    """Return the dialect of a driver, and a cache of its compiled statements."""
    kind: Any = make_url(url).get_dialect()
    dialect: Dialect = kind(dbapi=kind.import_dbapi())
    return dialect, {}
