"""The row of each connection.

It holds whether the orders may go, the circuit, the menu and the readiness. A row is created when
it is first needed. Everything that decides by what it holds locks it first, so two workers can't
both act on the same state. All methods run in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tillpost.outbox.circuit_breaker import Circuit
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import Database
from tillpost.outbox.rows import Row

__all__ = ["BLOCKED_CONNECTIONS", "LONG_COLUMNS", "ConnectionRows", "is_blocked"]

_CONNECTION = t.connections.c
_CREDENTIALS = t.credentials.c

LONG_COLUMNS = ("menu", "menu_in_review")
"""The columns that hold whole menus, which `ConnectionRows.lock` leaves out."""

_is_paused = _CONNECTION.paused != ""
_is_throttled = _CONNECTION.not_before > bindparam("now")
_is_circuit_open = _CONNECTION.opened_at.is_not(None) & (_CONNECTION.probe_at > bindparam("now"))

is_blocked = or_(_is_paused, _is_throttled, _is_circuit_open)
"""The condition that a connection may send nothing at the time `now`."""

BLOCKED_CONNECTIONS = select(_CONNECTION.name).where(is_blocked)
"""The names of the connections that may send nothing at the time `now`."""

# Statements are built once: SQLAlchemy takes longer to build one than to run it.
_LOCK = (
    select(*(column for column in _CONNECTION if column.name not in LONG_COLUMNS))
    .where(_CONNECTION.name == bindparam("connection_name"))
    .with_for_update()
)
_Insert: TypeAlias = sqlite.Insert | postgresql.Insert
_INSERT_ONCE: Mapping[str, _Insert] = {
    "sqlite": sqlite.insert(t.connections).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(t.connections).on_conflict_do_nothing(),
}
_UPDATE = update(t.connections).where(_CONNECTION.name == bindparam("connection_name"))
_COUNT = select(func.count()).select_from(t.connections)
_CREDENTIALS_VERSION = select(_CREDENTIALS.version).where(
    _CREDENTIALS.connection == bindparam("connection_name"), _CREDENTIALS.encrypted_secrets != ""
)

_DEFAULTS: Mapping[str, object] = {
    "platform": "",
    "paused": "",
    "refused_credentials": "",
    "outage_cause": "",
    "not_before": 0.0,
    "unreachable_at": 0.0,
    "reached_at": 0.0,
    "menu_at": 0.0,
    "import_failed_at": 0.0,
    **Circuit().columns(),
}


class ConnectionRows:
    """The rows of the table `tillpost_connections`. Safe for threads."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def lock(self, db: Connection, connection: str) -> Mapping[str, Any]:
        """Return a connection's row, locked to the end of the transaction.

        Creates the row if it doesn't exist. Leaves out `LONG_COLUMNS`. A column that can't be read
        is returned as if nothing had been noted there.
        """
        row = self._select_locked(db, connection)
        if row is not None:
            return row
        self.add(db, [connection])
        created = db.execute(_LOCK, {"connection_name": connection}).mappings().one()
        return Row(t.connections, created).values

    def add(self, db: Connection, connections: Sequence[str]) -> None:
        """Create the rows of those connections that have none."""
        if connections:
            rows = [{"name": connection, **_DEFAULTS} for connection in connections]
            db.execute(_INSERT_ONCE[db.dialect.name], rows)

    def update(self, db: Connection, connection: str, values: Mapping[str, object]) -> None:
        """Write columns of a connection's row. Does nothing if there is no such row."""
        db.execute(_UPDATE, {"connection_name": connection, **values})

    def count(self, db: Connection) -> int:
        """Return how many connections have a row."""
        count: int = db.execute(_COUNT).scalar_one()
        return count

    def credentials_version(self, db: Connection, connection: str) -> int:
        """Return the version of the credentials stored for a connection, 0 if none are."""
        version: object = db.scalar(_CREDENTIALS_VERSION, {"connection_name": connection})
        return version if isinstance(version, int) else 0

    def _select_locked(self, db: Connection, connection: str) -> Mapping[str, Any] | None:
        row = db.execute(_LOCK, {"connection_name": connection}).mappings().one_or_none()
        if not row:
            return None
        return Row(t.connections, row).values
