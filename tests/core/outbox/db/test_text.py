"""Any text can be stored in a text column, and looked for in it, in both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tillpost.models.safe_text import storable
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import Database
from tillpost.testing.adversary import LEGITIMATE, POISONS

COLUMN_SIZE = 40
TEXTS = [text[:COLUMN_SIZE] for text in (*POISONS.values(), *LEGITIMATE.values())]


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def add_row(db: sa.Connection, text: str) -> None:
    """Add a row to the audit log that has the text in each of its text columns."""
    row = {
        "done_at": 1.0,
        "actor": text,
        "action": text,
        "connection": text,
        "order_id": text,
        "note": text,
    }
    db.execute(sa.insert(t.audit_log).values(row))


def test_poisons_are_stored_and_found_in_text_columns(database: Database) -> None:
    note = t.audit_log.c.note
    with database.writing() as db:
        for text in TEXTS:
            add_row(db, text)
    with database.reading() as db:
        for text in TEXTS:
            query = sa.select(note).where(note == text)
            found = db.execute(query).scalars()
            assert set(found) == {storable(text)}


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_odd_text_never_equals_another(database: Database, name: str) -> None:
    columns = t.audit_log.c
    query = sa.select(columns.id).where(columns.connection == name)
    with database.writing() as db:
        add_row(db, "ab")
        assert db.execute(query).first() is None
