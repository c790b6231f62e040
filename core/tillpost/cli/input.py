"""Read orders, menus and other JSON files.

A file that can't be read raises `CliError` with one line that names the file and the field. The
line never has the file's values, which may be customers' data.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tillpost.cli.exit_codes import CliError
from tillpost.models.base import explain, explain_each

__all__ = [
    "STDIN",
    "each_refusal",
    "read_content",
    "read_if_exists",
    "read_model",
]

M = TypeVar("M", bound=BaseModel)

STDIN = "-"
"""The file name that means standard input."""

_BOM = b"\xef\xbb\xbf"

_MOST_LINES = 20


def read_model(model: type[M], path: str) -> M:
    """Read a JSON file, or standard input for "-", as a `model`.

    Raises:
        CliError: If the file doesn't exist, can't be read, or isn't valid.
    """
    name = "standard input" if path == STDIN else path
    content = read_content(path)
    return _parse(model, name, content)


def read_content(path: str) -> bytes:
    """Read a file, or standard input for "-", without a byte order mark.

    Raises:
        CliError: If the file doesn't exist or can't be read.
    """
    if path == STDIN:
        return sys.stdin.buffer.read().removeprefix(_BOM)
    content = _content_if_exists(path)
    if content is None:
        raise CliError(f"{path}: No such file or directory")
    return content


def read_if_exists(model: type[M], path: str) -> M | None:
    """Read a JSON file as a `model`; return None when there is no such file.

    Raises:
        CliError: If the file can't be read or isn't valid.
    """
    content = _content_if_exists(path)
    if content is None:
        return None
    return _parse(model, path, content)


def _content_if_exists(path: str) -> bytes | None:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise CliError(f"{path}: {reason}") from None
    return content.removeprefix(_BOM)


def _parse(model: type[M], name: str, content: bytes) -> M:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        what = _what_it_is_not(model, error)
        fault = explain(error)
        raise CliError(f"{name}: {what}{fault}") from None


def each_refusal(model: type[BaseModel], name: str, error: ValidationError) -> list[str]:
    """Return what is wrong with a file's content: a line for each of the first faults."""
    first, *others = explain_each(error)
    what = _what_it_is_not(model, error)
    lines = [f"{what}{first}", *others]
    shown = lines[:_MOST_LINES]
    more = len(lines) - len(shown)
    if more:
        shown.append(f"and {more} more")
    return [f"{name}: {line}" for line in shown]


def _what_it_is_not(model: type[BaseModel], error: ValidationError) -> str:
    """Return "isn't a menu: " for an object of another kind, and otherwise "".

    One of another kind lacks most of the fields that are required.
    """
    fields = model.model_fields.values()
    required = sum(field.is_required() for field in fields)
    missing = 0
    for fault in error.errors(include_url=False, include_input=False):
        is_top_level = len(fault["loc"]) == 1
        if is_top_level and fault["type"] == "missing":
            missing += 1
    if 2 * missing <= required:
        return ""
    kind = model.__name__.lower()
    article = "an" if kind[0] in "aeiou" else "a"
    return f"isn't {article} {kind}: "
