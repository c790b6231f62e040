"""A database gets what its engine needs: when it is new, and when another engine had it before."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tillpost.outbox import Outbox
from tillpost.outbox.engine import Embedded


class Noted(Embedded):
    """An engine that needs a table of its own."""

    def is_ready(self, db: Connection) -> bool:
        return inspect(db).has_table("noted")

    def prepare(self, db: Connection) -> None:
        db.execute(text("CREATE TABLE noted (id text)"))


def prepared(url: str) -> bool:
    outbox = Outbox(url)
    outbox.engine = Noted()
    with outbox:
        outbox.prepare()
        with outbox.database.reading() as db:
            return inspect(db).has_table("noted")


def test_a_new_database_gets_what_its_engine_needs_and_keeps_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'orders.db'}"

    assert prepared(url)
    assert prepared(url)


def test_a_database_that_another_engine_had_gets_it_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'orders.db'}"
    with Outbox(url) as outbox:
        outbox.prepare()

    assert prepared(url)
