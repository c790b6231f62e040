"""Poisons single columns of the outbox's rows, as damage or a newer version may. A test part.

for poison in POISONS["content"]:
    damage(outbox, t.orders, "content", poison)
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from tillpost.outbox import Outbox

__all__ = ["damage", "poisons_of", "typed_columns"]

TEXTS = (
    "garbage",
    '{"unknown": 1}',
    "[]",
    '{"id": ',
)
"""What is no JSON, or JSON of another kind."""


def typed_columns(table: sa.Table) -> Iterator[sa.Column[object]]:
    """Return the columns of a table that can hold something wrong: not its keys."""
    for column in table.columns:
        if not column.primary_key and not column.foreign_keys:
            yield column


def poisons_of(column: sa.Column[object], *, sqlite: bool) -> tuple[object, ...]:
    """Return values that a column can hold, and that can't be read from it.

    Only SQLite lets a column hold what isn't of its type.
    """
    if isinstance(column.type, sa.Text | sa.String):
        length = column.type.length or 40
        texts: tuple[object, ...] = tuple(text[:length] for text in TEXTS)
        return (*texts, b"\xff\xfe") if sqlite else texts
    if isinstance(column.type, sa.Boolean):
        return ()
    return ("garbage", 1e300, b"\xff") if sqlite else ()


def damage(
    outbox: Outbox,
    table: sa.Table,
    column: str,
    value: object,
    key: str = "id",
    named: str = "bad",
) -> None:
    """Write a value as it is into a column of the row whose `key` is `named`."""
    text = "CAST(:value AS TEXT)" if isinstance(value, bytes) else ":value"
    statement = f"UPDATE {table.name} SET {column} = {text} WHERE {key} = :named"
    with outbox.database.engine.begin() as db:
        db.execute(sa.text(statement), {"value": value, "named": named})
