"""Held menus: an import that would have removed so much that a person decides, and the log of what imports changed.

A person's decision is written so that every worker reads the menu anew with its next order, and so
that it makes the menu no younger than it is: an order that doesn't fit it may still import a fresh
one at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from tillpost.menus.diff import MenuChanges
from tillpost.models.menu import Menu
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.exceptions import DatabaseError

__all__ = ["StoredImport", "held_connections", "held_menu", "read_imports", "settle"]

_IMPORT, _PLACE = t.menu_imports.c, t.connections.c


@dataclass(frozen=True, slots=True)
class StoredImport:
    """What one import changed, and when (epoch seconds).

    `held`: it would have removed so much that it waited for a person. `settled` is what became of
    it then: "accepted", "discarded", "superseded" by another decision, or "" while it waits or
    after a later import took its place.
    """

    connection: str
    at: float
    changes: MenuChanges
    held: bool
    settled: str


def read_imports(db: Connection, connection: str, most: int) -> Sequence[StoredImport]:
    """Return a connection's imports, or all, the latest first."""
    wanted = (
        select(t.menu_imports).order_by(_IMPORT.imported_at.desc(), _IMPORT.id.desc()).limit(most)
    )
    if connection:
        wanted = wanted.where(_IMPORT.connection == connection)
    return [_stored_import(row) for row in db.execute(wanted)]


def held_menu(db: Connection, connection: str) -> Menu | None:
    """Return the menu that waits for a person; None when none does."""
    held = db.scalar(select(_PLACE.menu_in_review).where(_PLACE.name == connection))
    return Menu.model_validate_json(held) if held else None


def held_connections(db: Connection) -> Sequence[str]:
    """Return the connections whose menus wait for a person."""
    return list(
        db.scalars(
            select(_PLACE.name).where(_PLACE.menu_in_review.is_not(None)).order_by(_PLACE.name)
        )
    )


def settle(
    connection_rows: ConnectionRows, db: Connection, connection: str, *, accept: bool
) -> StoredImport | None:
    """Put a held menu in force, or let it go; return its import. None when no menu is held.

    Raises `DatabaseError` while the menu is being imported: what that brings would undo the
    decision.
    """
    place = connection_rows.lock(db, connection)
    held = db.scalar(
        select(t.connections.c.menu_in_review).where(t.connections.c.name == connection)
    )
    if held is None:
        return None
    if place["importer"] is not None:
        raise DatabaseError(
            f"the menu of {connection} is being imported now: try again in a moment", passing=True
        )
    changes: Mapping[str, object] = {
        "menu_in_review": None,
        "menu_at": math.nextafter(place["menu_at"], math.inf),
    }
    connection_rows.update(db, connection, {**changes, "menu": held} if accept else changes)
    return _settled(db, connection, "accepted" if accept else "discarded")


def _settled(db: Connection, connection: str, how: str) -> StoredImport:
    open_ones = (
        _IMPORT.connection == connection,
        _IMPORT.needed_review,
        _IMPORT.review_result == "",
    )
    latest = (
        select(_IMPORT.id)
        .where(*open_ones)
        .order_by(_IMPORT.imported_at.desc(), _IMPORT.id.desc())
        .limit(1)
    )
    number = db.scalar(latest)
    db.execute(
        update(t.menu_imports)
        .where(*open_ones, _IMPORT.id != number)
        .values(review_result="superseded")
    )
    db.execute(update(t.menu_imports).where(_IMPORT.id == number).values(review_result=how))
    row = db.execute(
        select(t.menu_imports).where(_IMPORT.id == number)
    ).one()  # written together with the held menu
    return _stored_import(row)


def _stored_import(row: Row[Any]) -> StoredImport:
    return StoredImport(
        row.connection,
        row.imported_at,
        MenuChanges.model_validate_json(row.changes),
        row.needed_review,
        row.review_result,
    )
