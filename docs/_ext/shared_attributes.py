"""Sphinx extension: gives each of several attributes that share a line a line of its own.

A docstring may say `platform, title: ...` under `Attributes:`; Napoleon reads one name a line.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

_SHARED = re.compile(r"( +)(\w+(?:, \w+)+): (.*)")


def split_names(
    _app: Sphinx,
    _what: str,
    _name: str,
    _object: object,
    _options: object,
    lines: list[str],
) -> None:
    """Rewrite the lines of a docstring in place."""
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
    app.connect("autodoc-process-docstring", split_names, priority=400)
    return {"version": "1", "parallel_read_safe": True}
