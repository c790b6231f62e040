"""Review of held menus, and the log of menu imports.

An import that would remove too many items is held: it takes effect once a person accepts it.
`Outbox.accept_menu` and `discard_menu` call this.

Accepting or discarding moves the menu's time by the smallest step, so that every worker reads the
menu again with its next order, while the menu doesn't count as younger than it is: an order that
doesn't fit it may still trigger an import at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select, update

from tillpost.menus.diff import MenuChanges
from tillpost.models.menu import Menu
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.db.database import Database
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.rows import Row, parsed
from tillpost.plugins.manager import Hooks

__all__ = ["MenuReview", "StoredImport"]

_IMPORT = t.menu_imports.c
_CONNECTION = t.connections.c
_NEWEST_FIRST = (_IMPORT.imported_at.desc(), _IMPORT.id.desc())


@dataclass(frozen=True, slots=True)
class StoredImport:
    """What one menu import changed.

    Attributes:
        connection: The name of the connection.
        at: When it was imported, in epoch seconds.
        changes: What it changed, or would have changed.
        held: Whether it was held for review.
        settled: The outcome of the review: "accepted", "discarded", or "superseded" by a decision
            about a later import; "" while the review is open, or once a later import replaced it.
    """

    connection: str
    at: float
    changes: MenuChanges
    held: bool
    settled: str


class MenuReview:
    """The menu imports of all connections, and the review of held ones. Thread-safe.

    Each method is one transaction, and raises `DatabaseError` when the database fails.
    """

    def __init__(self, database: Database, connection_rows: ConnectionRows) -> None:
        self._database = database
        self._connection_rows = connection_rows

    def imports(self, connection: str, most: int) -> Sequence[StoredImport]:
        """Return up to `most` imports of a connection, the newest first.

        Returns those of all connections if `connection` is empty.
        """
        query = select(t.menu_imports).order_by(*_NEWEST_FIRST).limit(most)
        if connection:
            query = query.where(_IMPORT.connection == connection)
        with self._database.reading() as db:
            return [_stored_import(row) for row in db.execute(query).mappings()]

    def held_menu(self, connection: str) -> Menu | None:
        """Return the menu that is held for review; None when none is."""
        with self._database.reading() as db:
            content = _held_content(db, connection)
        return parsed(Menu.model_validate_json, content)

    def held_connections(self) -> Sequence[str]:
        """Return the names of the connections whose menu is held for review."""
        query = (
            select(_CONNECTION.name)
            .where(_CONNECTION.menu_in_review.is_not(None))
            .order_by(_CONNECTION.name)
        )
        with self._database.reading() as db:
            return list(db.scalars(query))

    def accept(self, connection: str) -> StoredImport | None:
        """Put the held menu into effect, and call the hook `menu_imported`.

        Returns:
            The import that brought the menu; None when no menu is held.

        Raises:
            DatabaseError: the menu is being imported, and that import would undo the decision; or
                the held menu can't be read.
        """
        with self._database.writing() as db:
            content = self._claim_held_content(db, connection)
            if content is None:
                return None
            menu = parsed(Menu.model_validate_json, content)
            if menu is None:
                raise DatabaseError(
                    f"the held menu of {connection} can't be read: discard it, and import anew"
                )
            self._connection_rows.update(db, connection, {"menu": content})
            accepted = _settle(db, connection, "accepted")
        facts = {
            "menu": menu,
            "changes": accepted.changes,
        }
        Hooks(connection).call("menu_imported", facts)
        return accepted

    def discard(self, connection: str) -> StoredImport | None:
        """Discard the held menu: the current one stays in effect.

        Returns and raises what `accept` does.
        """
        with self._database.writing() as db:
            content = self._claim_held_content(db, connection)
            if content is None:
                return None
            return _settle(db, connection, "discarded")

    def _claim_held_content(self, db: Connection, connection: str) -> str | None:
        """Lock the connection's row and clear its held menu; return that, or None."""
        row = self._connection_rows.lock(db, connection)
        content = _held_content(db, connection)
        if content is None:
            return None
        if row["importer"] is not None:
            raise DatabaseError(
                f"the menu of {connection} is being imported now: try again in a moment",
                transient=True,
            )
        menu_at = math.nextafter(row["menu_at"], math.inf)
        values = {"menu_in_review": None, "menu_at": menu_at}
        self._connection_rows.update(db, connection, values)
        return content


def _held_content(db: Connection, connection: str) -> str | None:
    return db.scalar(select(_CONNECTION.menu_in_review).where(_CONNECTION.name == connection))


def _settle(db: Connection, connection: str, outcome: str) -> StoredImport:
    """Write the review's outcome to the newest held import, and close earlier ones."""
    open_reviews = (
        _IMPORT.connection == connection,
        _IMPORT.needed_review,
        _IMPORT.review_result == "",
    )
    # The transaction that writes a held menu writes its import too, so there is one.
    newest = select(_IMPORT.id).where(*open_reviews).order_by(*_NEWEST_FIRST)
    import_id = db.scalar(newest.limit(1))
    supersede_earlier = (
        update(t.menu_imports)
        .where(*open_reviews, _IMPORT.id != import_id)
        .values(review_result="superseded")
    )
    settle_newest = (
        update(t.menu_imports)
        .where(_IMPORT.id == import_id)
        .values(review_result=outcome)
        .returning(t.menu_imports)
    )
    db.execute(supersede_earlier)
    settled = db.execute(settle_newest).mappings().one()
    return _stored_import(settled)


def _stored_import(found: RowMapping) -> StoredImport:
    """Return an import; changes that can't be read are shown as none."""
    row = Row(t.menu_imports, found)
    return StoredImport(
        connection=row["connection"],
        at=row["imported_at"],
        changes=row.parse("changes", MenuChanges.model_validate_json) or MenuChanges(),
        held=row["needed_review"],
        settled=row["review_result"],
    )
