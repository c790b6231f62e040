"""Error tables: rows that map a platform's refusals to typed errors.

An adapter writes its table as `Adapter.errors`; `adapter.verdicts` looks answers up in it. The
first row that matches any problem of an answer wins, so a row's rank beats a problem's. In the
adapter's tests, assert that `unreachable` finds no row that can never match.
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

__all__ = ["DEFAULT_ROWS", "UNPROVEN_STATUSES", "Problem", "Row", "unreachable"]


UNPROVEN_STATUSES = frozenset({408, 409, 425, 460, 499})
"""Statuses below 500 that prove nothing.

They mean: timed out, conflict, too early, client closed (twice).
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem that a platform reports in an answer.

    Attributes:
        code: The platform's own code, empty if it has none.
        field: The field of the request that the problem is about.
        text: The platform's message.
        lines: Zero-based indices of the order's lines at fault, if the platform reports them as
            such. Otherwise a row's pattern may capture them.
        reason: The error's reason, if the platform reports it as such.
        retry_after: Seconds to wait, if the platform reports them outside the headers.
        order_field: The optional field of the order that is refused, if the platform reports it as
            such: see `Row.order_field`.
    """

    code: str = ""
    field: str = ""
    text: str = ""
    lines: Sequence[int] = ()
    reason: str = ""
    retry_after: float | None = None
    order_field: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an error table: which problems it matches, and which error they are.

    All conditions that are given must match. Patterns are searched, ignoring case. Their group
    `line` captures a zero-based index of a line, `item` the id of an item or modifier.

    Attributes:
        error: The class of the error.
        status: The HTTP statuses that match; empty for any.
        codes: The exact codes that match; empty for any.
        field: A pattern for the problem's field; empty for any.
        text: A pattern for the problem's text; empty for any.
        reason: The error's reason, which selects its remedy.
        applied: Whether the refused request had an effect all the same. By default its status
            decides: see `applied_at`.
        refreshable: Whether a new access token may solve it.
        bodyless: Whether an answer without a body is the platform's own too. Otherwise a 401 or 403
            in which the adapter finds no problem counts as an outage: something between us and the
            platform may have sent it. A refreshable row's token is refreshed after that, too.
        order_field: The optional field of the order that is refused: `customer.name`,
            `customer.phone`, `customer.email`, `customer` for both contacts, `due_at`,
            `fulfilment.address` or a part of it (`fulfilment.address.postcode`), or
            `fulfilment.curbside`, `.guests`, `.instructions` or `.table`. Core sends the order once
            more without it, with the field's text in the remarks.
    """

    error: type[PosError]
    status: Sequence[int] = ()
    codes: frozenset[str] = frozenset()
    field: str = ""
    text: str = ""
    reason: str = ""
    applied: Applied | None = None
    refreshable: bool = False
    bodyless: bool = False
    order_field: str = ""

    def match(self, status: int, problem: Problem) -> Mapping[str, str] | None:
        """Return what the patterns captured, or None if the row doesn't match."""
        if not self.takes(status, problem.code):
            return None
        captured: dict[str, str] = {}
        for pattern, text in ((self.field, problem.field), (self.text, problem.text)):
            if not pattern:
                continue
            found = re.search(pattern, text, re.IGNORECASE)
            if found is None:
                return None
            groups = found.groupdict().items()
            captured |= {name: value for name, value in groups if value is not None}
        return captured

    def applied_at(self, status: int) -> Applied:
        """Return whether a request refused with this status had an effect all the same.

        Some statuses prove nothing, whatever the words beside them: a time-out, a conflict with
        what exists or is being done, a success that only accepts a request, a redirect, and a
        failure of the server. A row for which that isn't so gives its own `applied`.
        """
        if self.applied is not None:
            return self.applied
        is_refusal = status == 200 or 400 <= status < 500
        return Applied.NO if is_refusal and status not in UNPROVEN_STATUSES else Applied.MAYBE

    def takes(self, status: int | None, code: str | None) -> bool:
        """Return whether the row's statuses and codes match, whatever its patterns."""
        status_matches = not self.status or status in self.status
        code_matches = not self.codes or code in self.codes
        return status_matches and code_matches


DEFAULT_ROWS = (
    Row(RateLimitError, status=(429,)),
    Row(PermissionsError, status=(401, 403)),
    Row(OutageError, status=(408, 425, 460, 499)),
    Row(OutageError, status=range(500, 600)),
    Row(SetupError, status=range(300, 400)),
)
"""The rows that follow every adapter's own table.

A 401 or 403 without a problem in the platform's own words, or a bearer challenge, doesn't get this
far: `verdicts` takes it for a proxy's.
"""


def unreachable(table: Sequence[Row]) -> list[Row]:
    """Return the rows that can never match, because earlier rows take everything.

    It is for tests. A row is reachable if for one of its statuses and codes no earlier row matches
    without a pattern, or with the very same one. Patterns are compared as text, so a pattern that
    covers another isn't noticed.
    """
    shadowed: list[Row] = []
    for rank, row in enumerate(table):
        earlier = [
            other
            for other in table[:rank]
            if other.field in ("", row.field) and other.text in ("", row.text)
        ]
        statuses = row.status or (None,)
        codes = row.codes or (None,)
        cases = [(status, code) for status in statuses for code in codes]
        if all(any(other.takes(*case) for other in earlier) for case in cases):
            shadowed.append(row)
    return shadowed
