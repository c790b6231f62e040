"""Tells whether a caller's transaction can take an order.

It must be in the outbox's own database, and open. An order in another database would be where no
worker finds it, and one in autocommit mode would stay when its caller rolls back. What is asked of
PostgreSQL goes with a statement that is sent anyway.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, text

from tillpost.outbox.db.driver_connection import require_transaction
from tillpost.outbox.exceptions import DatabaseError

__all__ = [
    "PostgresPlace",
    "is_locked",
    "require_same_dialect",
    "require_same_file",
    "require_same_place",
]

_TABLE = "tillpost_orders"

_PLACE = text(
    "SELECT current_database(), coalesce(CAST(CAST(to_regclass('tillpost_orders') AS oid) AS"
    " bigint), 0), CASE WHEN current_setting('synchronous_commit') = 'off'"
    " THEN set_config('synchronous_commit', 'on', true) END"
)
"""Also has the transaction on disk when its commit returns, whatever the setting."""

_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class PostgresPlace(NamedTuple):
    """Where a transaction's statements find the outbox's orders.

    Attributes:
        database: The database's name.
        table: The number of the table of orders in it; 0: the `search_path` finds none.
    """

    database: str
    table: int

    @classmethod
    def of(cls, db: Connection) -> PostgresPlace:
        """Return that of a transaction, and have it on disk when its commit returns."""
        database, table, _ = db.execute(_PLACE).one()
        return cls(database, table)


def require_same_dialect(db: Connection, ours: str) -> None:
    """Require a database of the same kind, and a transaction that is open.

    Raises:
        ValueError: it is of another kind, or isn't open.
    """
    theirs = db.dialect.name
    if theirs != ours:
        raise ValueError(
            f"session: it is of {_NAMES.get(theirs, theirs)}, but the outbox is in {_NAMES[ours]}:"
            " use a session of the outbox's own database"
        )
    pooled = db.connection
    require_transaction(theirs, pooled.driver_connection or pooled.dbapi_connection)


def require_same_file(db: Connection, ours: str) -> None:
    """Raise `ValueError` if a transaction on SQLite would write to another file.

    Args:
        db: The transaction.
        ours: The path of the outbox's file.
    """
    theirs = ""
    for _, name, path in db.exec_driver_sql("PRAGMA database_list"):
        theirs = theirs or path
        if _is_same_file(path, ours):
            return
        if name != "main" and _has_orders(db, name):
            break
    raise ValueError(
        f"session: it writes to {theirs or 'a database in memory'}, but the outbox is in {ours}:"
        " use a session of the outbox's own database"
    )


def require_same_place(
    theirs: PostgresPlace, ours: Callable[[], PostgresPlace], known: PostgresPlace | None
) -> PostgresPlace:
    """Return the outbox's place; raise if a transaction has another.

    Args:
        theirs: The transaction's place.
        ours: Asks for the outbox's own.
        known: What that returned last: it is asked again only if this differs.

    Raises:
        ValueError: the transaction is in another database, or leads to another table.
        DatabaseError: it leads to none.
    """
    if theirs == known:
        return theirs
    place = ours()
    if theirs == place:
        return place
    if theirs.database != place.database:
        raise ValueError(
            f"session: it is in the database {theirs.database!r}, but the outbox is in"
            f" {place.database!r}: use a session of the outbox's own database"
        )
    if not theirs.table:
        raise DatabaseError(
            f"the database failed: the session's search_path leads to no table {_TABLE}: give it"
            " the search_path of the outbox's URL"
        )
    raise ValueError(
        f"session: its search_path, or its server, leads to another table {_TABLE} than the"
        " outbox's: give it the search_path and the server of the outbox's URL"
    )


def is_locked(file: str) -> bool:
    """Return whether a transaction is writing to a SQLite file.

    Then its tables can't be created now.
    """
    address = f"{Path(file).absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(address, timeout=0, isolation_level=None, uri=True)) as probe:
            probe.execute("BEGIN EXCLUSIVE")
            probe.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return False


def _has_orders(db: Connection, schema: str) -> bool:
    quoted = schema.replace('"', '""')
    query = f'SELECT 1 FROM "{quoted}".sqlite_master WHERE name = ?'  # nosec B608  # noqa: S608
    return db.exec_driver_sql(query, (_TABLE,)).first() is not None


def _is_same_file(one: str, other: str) -> bool:
    if not one or not other:
        return False
    try:
        return os.path.samefile(one, other)  # noqa: PTH121  as short as pathlib's
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)
