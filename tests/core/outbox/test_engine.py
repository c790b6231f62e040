"""A database gets what its engine needs, whether it is new or was used with another engine."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tillpost.outbox import Outbox
from tillpost.outbox.engine import Embedded


class TableEngine(Embedded):
    """An engine that needs a table of its own."""

    def is_ready(self, db: Connection) -> bool:
        return inspect(db).has_table("engine_table")

    def prepare(self, db: Connection) -> None:
        db.execute(text("CREATE TABLE engine_table (id text)"))


def prepare(url: str) -> bool:
    """Prepare a database; return whether it has the engine's table."""
    outbox = Outbox(url)
    outbox.engine = TableEngine()
    with outbox:
        outbox.prepare()
        with outbox.database.reading() as db:
            return inspect(db).has_table("engine_table")


def test_new_database_gets_what_its_engine_needs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'orders.db'}"

    assert prepare(url)
    assert prepare(url)


def test_database_of_other_engine_gets_what_engine_needs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'orders.db'}"
    with Outbox(url) as outbox:
        outbox.prepare()

    assert prepare(url)
