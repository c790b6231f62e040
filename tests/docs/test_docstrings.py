"""Every docstring begins with a summary: one short sentence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from .pages import ROOT

LONGEST = 80
"""The most characters of a docstring's first line, without its quotes."""

DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

PACKAGES = [
    file.parent
    for pattern in ("core/tillpost/*", "core/tillpost_*", "adapters/*", "plugins/*")
    for file in sorted(ROOT.glob(f"{pattern}/__init__.py"))
]

MODULES = sorted((ROOT / "core" / "tillpost").glob("*.py"))


def docstrings(module: ast.Module) -> Iterator[ast.Constant]:
    """Yield the docstrings of a module, its classes, functions and attributes."""
    for node in ast.walk(module):
        if not isinstance(node, DOCUMENTED):
            continue
        if ast.get_docstring(node) is not None:
            yield from texts(node.body[0])
        for statement, below in pairwise(node.body):
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                yield from texts(below)


def texts(statement: ast.stmt) -> Iterator[ast.Constant]:
    """Yield the text that a statement consists of, if it is one."""
    if not isinstance(statement, ast.Expr):
        return
    text = statement.value
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        yield text


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each first line that isn't a short sentence."""
    for docstring in docstrings(ast.parse(source)):
        summary = str(docstring.value).strip().partition("\n")[0]
        if len(summary) > LONGEST or not summary.endswith("."):
            yield docstring.lineno, summary


@pytest.mark.parametrize("place", [*PACKAGES, *MODULES], ids=lambda place: place.stem)
def test_docstrings_begin_with_a_short_sentence(place: Path) -> None:
    """What is more than a summary goes below it, after a blank line."""
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    found = [
        f"{file.relative_to(ROOT)}:{line}: {summary}"
        for file in files
        for line, summary in faults(file.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        f'"""{"x" * LONGEST}."""',
        'def f():\n    """One sentence\n    on two lines."""',
        'class C:\n    name = 1\n    """No period"""',
    ],
    ids=["too long", "two lines", "no period"],
)
def test_long_or_unfinished_first_line_is_a_fault(source: str) -> None:
    """Were the check blind, the test above would always pass."""
    assert len(list(faults(source))) == 1
