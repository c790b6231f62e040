"""What the command reads: orders, menus, and other JSON files. Whatever is wrong with one ends in a single line.

The line names the file and the field; the values themselves stay out of it, since they are
customers' names.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tillpost.cli.exit_codes import CliError
from tillpost.models.base import explain

__all__ = ["STDIN", "read_if_there", "read_model"]

M = TypeVar("M", bound=BaseModel)

STDIN = "-"
"""The name that stands for standard input."""

_BOM = b"\xef\xbb\xbf"


def read_model(model: type[M], path: str) -> M:
    """Return the JSON file (or standard input, "-") as a `model`; raise `CliError` in one line that says what is wrong."""
    if path == STDIN:
        return _parse(model, "standard input", sys.stdin.buffer.read())
    found = read_if_there(model, path)
    if found is None:
        raise CliError(f"{path}: No such file or directory")
    return found


def read_if_there(model: type[M], path: str) -> M | None:
    """Return the JSON file as a `model`, None when there is no such file; raise `CliError` for anything else."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or 'cannot be read'}") from None
    return _parse(model, path, content)


def _parse(model: type[M], name: str, content: bytes) -> M:
    try:
        return model.model_validate_json(content.removeprefix(_BOM))
    except ValidationError as error:
        raise CliError(f"{name}: {explain(error)}") from None
