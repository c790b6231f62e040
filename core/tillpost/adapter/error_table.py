"""An error table: rows that say what a platform's complaints mean. Adapters write theirs, `Adapter.judge` reads it.

The first row that matches any complaint of an answer wins, so a row's rank beats a complaint's. A
test asks `unreachable` whether the rows before one take everything from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tillpost.errors import (
    Applied,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    SetupError,
)

__all__ = ["DEFAULT_ROWS", "Problem", "Row", "unreachable"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint in a platform's answer.

    `lines` (zero-based), `reason` and `retry_after` (seconds) are for a platform that tells them as
    such; else a row or a header says them.
    """

    code: str = ""
    field: str = ""
    text: str = ""
    lines: Sequence[int] = ()
    reason: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an error table: which complaints it matches, and what they mean.

    All that is given must match: the HTTP `status`, the exact `codes`, and the patterns `field` and
    `text`, which are searched without regard to case. A pattern's group `line` names a line by its
    zero-based index, `item` by an id. `applied` is what became of the request that was refused.
    """

    error: type[PosError]
    status: Sequence[int] = ()
    codes: frozenset[str] = frozenset()
    field: str = ""
    text: str = ""
    reason: str = ""
    applied: Applied = Applied.NO
    refreshable: bool = False

    def match(self, status: int, problem: Problem) -> Mapping[str, str] | None:
        """Return the names that the patterns found, or None when the row doesn't match."""
        if (self.status and status not in self.status) or (
            self.codes and problem.code not in self.codes
        ):
            return None
        named: dict[str, str] = {}
        for pattern, text in ((self.field, problem.field), (self.text, problem.text)):
            if pattern:
                hit = re.search(pattern, text, re.IGNORECASE)
                if hit is None:
                    return None
                named |= {
                    name: value for name, value in hit.groupdict().items() if value is not None
                }
        return named


DEFAULT_ROWS = (
    Row(RateLimitError, status=(429,)),
    Row(PermissionsError, status=(401, 403)),
    Row(OutageError, status=(408,), applied=Applied.MAYBE),
    Row(OutageError, status=range(500, 600), applied=Applied.MAYBE),
    Row(SetupError, status=range(300, 400), applied=Applied.MAYBE),
)
"""What holds on any platform, after its own table."""


def unreachable(table: Sequence[Row]) -> list[Row]:
    """Return the rows that no answer can ever reach, because the rows before them take everything. For tests.

    A row is reachable when for one of its statuses and codes no earlier row matches without looking
    at a text or field, or by the very same patterns. Patterns are compared as written, so a pattern
    that contains another isn't seen.
    """
    lost: list[Row] = []
    for rank, row in enumerate(table):
        cases = [
            (status, code) for status in (row.status or (None,)) for code in (row.codes or (None,))
        ]
        earlier = [
            r for r in table[:rank] if r.field in ("", row.field) and r.text in ("", row.text)
        ]
        if all(any(_takes(r, status, code) for r in earlier) for status, code in cases):
            lost.append(row)
    return lost


def _takes(row: Row, status: int | None, code: str | None) -> bool:
    return (not row.status or status in row.status) and (not row.codes or code in row.codes)
