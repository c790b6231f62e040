"""The rows whose time has come, a page at a time.

A worker reads a page of due rows in a run, however many there are. What it can't begin now (a host
that has used up its budget, a store that hangs, a damaged row) stays due. So that such rows keep no
others from their turn, only every other page is the one with the rows that have waited longest;
those between go on through the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam

__all__ = ["PAGE", "DueRows"]

PAGE = 200
"""Rows that are read in one run."""


class DueRows:
    """The due rows of one query, for one worker. For one thread."""

    def __init__(self, query: Select[*tuple[Any, ...]], page: int = PAGE) -> None:
        """Take the query.

        Args:
            query: Selects what is due at `now`, in sequence.
            page: How many rows to read in a run.
        """
        self._query = query.limit(page).offset(bindparam("skipped"))
        self._page = page
        self._skipped = 0
        self._is_first = False

    def read(self, db: Connection, now: float) -> Sequence[RowMapping]:
        """Return the next page of the rows that are due at `now`, in epoch seconds."""
        self._is_first = not self._is_first
        if self._is_first:
            return self._read(db, now, 0)
        rows = self._read(db, now, self._skipped)
        if not rows:
            self._skipped = 0
            rows = self._read(db, now, 0)
        self._skipped += len(rows)
        return rows

    def _read(self, db: Connection, now: float, skipped: int) -> Sequence[RowMapping]:
        values = {"now": now, "skipped": skipped}
        return db.execute(self._query, values).mappings().all()
