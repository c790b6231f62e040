"""A worker reads a page of due rows, and rows that can't begin keep no others from their turn."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from core.outbox.stores import Opening
from tillpost.outbox.db import schema as t
from tillpost.outbox.worker.due_rows import DueRows

_CONNECTION = t.connections.c
DUE = (
    sa.select(_CONNECTION.name)
    .where(_CONNECTION.check_at <= sa.bindparam("now"))
    .order_by(_CONNECTION.check_at)
)


@pytest.mark.parametrize(
    ("due", "pages"),
    [
        (0, ["", "", "", ""]),
        (2, ["ab", "ab", "ab", "ab"]),
        (3, ["abc", "abc", "abc", "abc"]),
        (7, ["abc", "abc", "abc", "def", "abc", "g", "abc", "abc"]),
    ],
)
def test_every_other_page_goes_on_through_the_rest(
    open_outbox: Opening, due: int, pages: list[str]
) -> None:
    outbox = open_outbox()
    outbox.prepare()
    names = "abcdefgh"
    with outbox.database.writing() as db:
        outbox.connection_rows.add(db, list(names))
        for number, name in enumerate(names):
            check_at = float(number + 1) if number < due else 1000.0
            outbox.connection_rows.update(db, name, {"check_at": check_at})
    rows = DueRows(DUE, page=3)
    with outbox.database.reading() as db:
        read = ["".join(row["name"] for row in rows.read(db, 100.0)) for _ in pages]
    assert read == pages
