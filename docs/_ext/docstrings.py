"""Sphinx extension: turns the docstrings' own style into what Napoleon and docutils read.

- `platform, title: ...` under `Attributes:` becomes a line for each name.
- A letter right after inline code, as in `PosError`s, is set apart by an escape.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

_SHARED = re.compile(r"( +)(\w+(?:, \w+)+): (.*)")
_CODE_THEN_LETTER = re.compile(r"(?<!`)(`[^`\n]+`)(?=\w)")


def rewrite(
    _app: Sphinx,
    _what: str,
    _name: str,
    _object: object,
    _options: object,
    lines: list[str],
) -> None:
    """Rewrite the lines of a docstring in place."""
    split_names(lines)
    lines[:] = [_CODE_THEN_LETTER.sub(r"\1\\ ", line) for line in lines]


def split_names(lines: list[str]) -> None:
    """Give each of several attributes that share a line a line of its own."""
    for place in reversed(range(len(lines))):
        shared = _SHARED.fullmatch(lines[place])
        if not shared:
            continue
        indent, names, text = shared.groups()
        end = place + 1
        while end < len(lines) and lines[end].startswith(f"{indent} "):
            end += 1
        rest = lines[place + 1 : end]
        separate: list[str] = []
        for name in names.split(", "):
            separate += [f"{indent}{name}: {text}", *rest]
        lines[place:end] = separate


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension, to run before Napoleon reads the sections."""
    app.connect("autodoc-process-docstring", rewrite, priority=400)
    return {"version": "1", "parallel_read_safe": True}
