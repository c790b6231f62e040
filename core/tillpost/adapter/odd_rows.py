"""The reading of a list for one order, although other rows can't be read.

A search answers with many orders, and any of them may hold what no model foresees: a total that is
an empty text, half of an emoji, a null among the lines. That must not hide the order that is looked
for, in this look-up and in each one after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar, cast

from pydantic import BaseModel, ValidationError

from tillpost.models.safe_text import safe_logger

__all__ = ["passing_over_odd_rows"]

log = safe_logger("tillpost")

T = TypeVar("T")

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)
"""Only finds where a value ends, and its texts.

Numbers stay texts: they may have any length.
"""

_SPACE = re.compile(r"[ \t\n\r]*")


class OddRow(ValueError):
    """A row that can't be read may be the one that is looked for."""


class _Value(NamedTuple):
    """A JSON value, and where its text begins and ends."""

    content: object
    start: int
    end: int


def passing_over_odd_rows(
    read: Callable[[bytes], T],
    row: type[BaseModel],
    reference: str,
    member: str = "",
) -> Callable[[bytes], T]:
    """Return a reader for `Request.read` that leaves out the rows that can't be read.

    A row that can't be read and that contains the reference may be the one that is looked for. If a
    row is neither an object nor null, the list isn't the platform's, and proves nothing unless
    another row has the reference. In both cases the answer can't be read, which leaves the order in
    doubt. Other rows are counted in the log.

    Use it for searches alone: what is missing from a menu is named (`OddObjects`).

    Args:
        read: Reads the whole body, such as `reading_list(row)`.
        row: The model of one row.
        reference: The text that the row that is looked for contains.
        member: The name of the list in the body's object; empty if the body is the list.
    """

    def read_readable(body: bytes) -> T:
        try:
            return read(body)
        except ValidationError:
            text = body.decode("utf-8", "replace")
            readable = _without_odd_rows(text, row, reference, member)
            return read(readable.encode())

    return read_readable


def _without_odd_rows(
    text: str,
    row: type[BaseModel],
    reference: str,
    member: str,
) -> str:
    start = _start_of_list(text, member)
    rows = list(_rows(text, start))
    kept = [value for value in rows if _is_kept(text, value, row, reference)]
    are_objects = all(isinstance(value.content, dict | None) for value in rows)
    if not are_objects:
        is_found = any(_has(text, value, reference) for value in kept)
        if not is_found:
            raise OddRow("a row is no object, and none has the reference")
    row_count = len(rows)
    odd_count = row_count - len(kept)
    log.warning("odd_rows_passed_over count=%d of=%d", odd_count, row_count)
    end = start + 1
    if rows:
        end = rows[-1].end
    before = text[:start]
    after = text[end:]
    readable_rows = ",".join(_raw(text, value) for value in kept)
    return f"{before}[{readable_rows}{after}"


def _is_kept(text: str, value: _Value, row: type[BaseModel], reference: str) -> bool:
    """Return whether a row can be read.

    Raises:
        OddRow: The row can't be read, and has the reference.
    """
    try:
        row.model_validate_json(_raw(text, value))
    except ValidationError:
        if _has(text, value, reference):
            raise OddRow("the row with the reference can't be read") from None
        return False
    return True


def _has(text: str, value: _Value, reference: str) -> bool:
    """Return whether a row has the reference, however it is written.

    The raw text may escape characters; the values lack what a repeated name hides.
    """
    if reference in _raw(text, value):
        return True
    return any(reference in each for each in _texts_in(value.content))


def _raw(text: str, value: _Value) -> str:
    return text[value.start : value.end]


def _texts_in(content: object) -> Iterator[str]:
    """Return all texts and numbers of a JSON value, at any depth."""
    open_values: list[object] = [content]
    while open_values:
        value = open_values.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            open_values += cast("dict[str, object]", value).values()
        elif isinstance(value, list):
            open_values += cast("list[object]", value)


def _start_of_list(text: str, member: str) -> int:
    """Return where the body's list begins.

    The list is the body itself, or a member of the body's object.
    """
    at = _next(text, 0)
    if not member:
        return at
    _expect(text, at, "{")
    while True:
        name = _value_at(text, _next(text, at + 1))
        colon = _next(text, name.end)
        _expect(text, colon, ":")
        value_at = _next(text, colon + 1)
        if name.content == member:
            return value_at
        value = _value_at(text, value_at)
        at = _next(text, value.end)
        _expect(text, at, ",")


def _rows(text: str, start: int) -> Iterator[_Value]:
    _expect(text, start, "[")
    at = _next(text, start + 1)
    while not text.startswith("]", at):
        value = _value_at(text, at)
        yield value
        at = _next(text, value.end)
        if text.startswith(",", at):
            at = _next(text, at + 1)
        else:
            _expect(text, at, "]")


def _value_at(text: str, at: int) -> _Value:
    content, end = _DECODER.raw_decode(text, at)
    return _Value(content, at, end)


def _next(text: str, at: int) -> int:
    """Return the place of the next character that isn't white space."""
    found = _SPACE.match(text, at)
    if not found:
        return at
    return found.end()


def _expect(text: str, at: int, character: str) -> None:
    if not text.startswith(character, at):
        raise ValueError(f"the JSON has no {character} where one must be")
