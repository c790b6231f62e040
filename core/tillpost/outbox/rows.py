"""Rows read without trusting them.

What can't be read is a fault of that row alone. A row may have been written by a newer version, by
hand, or be damaged. Everything that reads a row of the outbox reads it with `Row`, which never
raises: it returns a plain value in place of the one that can't be read, and notes the column in
`faults`. The caller decides what that means: an order becomes an error of its own, a connection
does without its menu.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Double,
    Integer,
    LargeBinary,
    Table,
    cast,
    func,
)

__all__ = ["LARGEST_COUNT", "Row", "is_name", "named", "parsed", "unchanged"]

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

LARGEST = 1e13
"""The largest number in a row.

A time may be larger: a connection is held back for ever that way.
"""


LARGEST_COUNT = 2**31 - 1
"""The largest number that PostgreSQL stores in a column of integers."""


def is_name(value: object) -> bool:
    """Return whether a name that was read can be written.

    It is the name of an order or a connection. On SQLite it may be a BLOB, no UTF-8, or contain a
    NUL. No query finds such a name as text.
    """
    return _is_text(value)


def named(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """Return the condition that a column holds a name read from it, damaged or not."""
    is_same: ColumnElement[bool] = column == value
    if not is_name(value) and not isinstance(value, bytes):
        stored = value.encode("utf-8", "surrogateescape")
        is_same = (cast(column, LargeBinary) == stored) & (func.typeof(column) == "text")
    return is_same


def parsed(read: Callable[[str], T], text: str | None) -> T | None:
    """Return what a column holds as JSON; None if it is empty, or can't be read.

    `read` parses the text, such as a model's `model_validate_json`.
    """
    if not text:
        return None
    try:
        return read(text)
    except Exception:  # noqa: BLE001  whatever a parser raises, other rows go on
        return None


def unchanged(column: ColumnElement[Any], value: object) -> ColumnElement[bool]:
    """Return the condition that a column of a time still holds what was read from it.

    What is no time can't be compared with; on SQLite, the only database that may hold such, it is
    larger than any number.
    """
    if value is None or _is_number(value):
        return column.is_not_distinct_from(value)
    return column > LARGEST


class Row:
    """One row of a table. `faults` names the columns that couldn't be read.

    Columns are read as from a mapping: `row["due_at"]`.
    """

    def __init__(self, table: Table, values: Mapping[Any, Any]) -> None:
        """Take the table, and the columns of it that were selected."""
        self.faults: list[str] = []
        self._raw = values
        self._values: dict[str, Any] = {}
        checks = _checks(table)
        for name, value in values.items():
            check = checks.get(name)
            if check is None:
                continue
            is_empty = value is None and check.nullable
            self._values[name] = (
                value if is_empty or check.fits(value) else self._fault(name, check)
            )

    def __getitem__(self, column: str) -> Any:
        """Return a column of the right type."""
        return self._values[column]

    def get(self, column: str, default: Any = None) -> Any:
        """Return a column, or `default` if it wasn't selected."""
        return self._values.get(column, default)

    def raw(self, column: str) -> Any:
        """Return a column as it was read, by which `named` finds the row again."""
        return self._raw[column]

    @property
    def values(self) -> Mapping[str, Any]:
        """All columns that were selected, each of the right type."""
        return self._values

    def one_of(self, column: str, kind: type[E], otherwise: E) -> E:
        """Return the member of an enumeration; `otherwise` if there is none of that name."""
        try:
            return kind(self._values[column])
        except ValueError:
            self._note(column)
            return otherwise

    def parse(self, column: str, read: Callable[[str], T]) -> T | None:
        """Return what a column holds as JSON; None if it is empty, or can't be read."""
        text = self._values[column]
        value = parsed(read, text)
        if text and value is None:
            self._note(column)
        return value

    def _fault(self, name: str, check: _Check) -> object:
        """Note that a column can't be read, and return what stands for its value."""
        self._note(name)
        if check.nullable:
            return None
        return check.otherwise

    def _note(self, column: str) -> None:
        if column not in self.faults:
            self.faults.append(column)


class _Check(NamedTuple):
    """How a column's values are checked, and what is returned in place of a wrong one."""

    nullable: bool
    fits: Callable[[object], bool]
    otherwise: object


@cache
def _checks(table: Table) -> Mapping[str, _Check]:
    return {column.name: _check_of(column) for column in table.columns}


def _check_of(column: Column[Any]) -> _Check:
    nullable = bool(column.nullable)
    if isinstance(column.type, Boolean):
        return _Check(nullable, _is_boolean, False)
    if isinstance(column.type, Integer):
        return _Check(nullable, _is_integer, 0)
    if isinstance(column.type, Double):
        return _Check(nullable, _is_number, 0.0)
    return _Check(nullable, _is_text, "")


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and abs(value) <= LARGEST_COUNT


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return abs(value) <= LARGEST


def _is_text(value: object) -> bool:
    # Bytes that aren't UTF-8 are read as lone surrogates, which nothing can print. A NUL is never
    # written.
    return isinstance(value, str) and "\0" not in value and (value.isascii() or _is_utf8(value))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
