"""Any text can be stored in a text column, and looked for in it, in both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tillpost.models.safe_text import storable
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import Database
from tillpost.testing.adversary import LEGITIMATE, POISONS


def row_with(text: str) -> dict[str, object]:
    names = dict.fromkeys(("actor", "action", "connection", "order_id", "note"), text[:40])
    return {"done_at": 1.0, **names}


def test_poisons_are_stored_and_found_in_text_columns(url: str) -> None:
    database = Database(url)
    try:
        with database.writing() as db:
            for text in (*POISONS.values(), *LEGITIMATE.values()):
                db.execute(sa.insert(t.audit_log).values(**row_with(text)))
        with database.reading() as db:
            for text in (*POISONS.values(), *LEGITIMATE.values()):
                wanted = t.audit_log.c.note == text[:40]
                found = db.execute(sa.select(t.audit_log.c.note).where(wanted)).scalars()
                assert set(found) == {storable(text[:40])}
    finally:
        database.close()


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_odd_text_never_equals_another(url: str, name: str) -> None:
    database = Database(url)
    try:
        with database.writing() as db:
            db.execute(sa.insert(t.audit_log).values(**row_with("ab")))
            wanted = sa.select(t.audit_log.c.id).where(t.audit_log.c.connection == name)
            assert db.execute(wanted).first() is None
    finally:
        database.close()
