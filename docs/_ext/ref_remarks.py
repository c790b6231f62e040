"""The remarks `unconfirmed:` in adapters and simulators: claims that no vendor's page confirms."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import ref_markdown as md

ROOT = Path(__file__).parents[2]
SOURCES = ("adapters", "plugins")


class Remark(NamedTuple):
    """A claim that isn't confirmed: its place in the code, and its text."""

    file: str
    line: int
    within: str
    text: str


class Comment(NamedTuple):
    """A comment of one or more lines in one column."""

    line: int
    column: int
    texts: list[str]


def unconfirmed() -> str:
    """Return a section for each file, with its remarks as a definition list."""
    parts: list[str] = []
    for file, within in groupby(remarks(), key=lambda remark: remark.file):
        entries = [
            md.Definition(f"`{one.within or 'module'}`", [one.text]) for one in within
        ]
        parts += [f"## {file}", md.definition_list(entries)]
    return md.sections(*parts)


def remarks(root: Path = ROOT) -> list[Remark]:
    """Return every remark of the adapters and the simulators, by file and line."""
    files = [
        file for source in SOURCES for file in sorted((root / source).rglob("*.py"))
    ]
    found = [remark for file in files for remark in _remarks_in(file, root)]
    return sorted(
        found, key=lambda remark: (remark.file.count("/"), remark.file, remark.line)
    )


def _remarks_in(file: Path, root: Path) -> Iterator[Remark]:
    name = file.relative_to(root).as_posix()
    source = file.read_text(encoding="utf-8")
    definitions = list(_definitions(ast.parse(source)))
    for line, text in _texts(file):
        yield Remark(name, line, _owner(definitions, line), text)


def _owner(definitions: list[tuple[str, int, int]], line: int) -> str:
    """Return the innermost definition around a line, else the next one after it."""
    around = [name for name, first, last in definitions if first <= line <= last]
    if around:
        return around[-1]
    after = [name for name, first, _ in definitions if first > line]
    return after[0] if after else ""


def _definitions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Yield the name, first and last line of all that is defined, the outer before the inner."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno, node.end_lineno or node.lineno
            case ast.Assign(targets=[ast.Name(id=name)]) if node.col_offset == 0:
                yield name, node.lineno, node.end_lineno or node.lineno
            case _:
                pass


def _texts(file: Path) -> Iterator[tuple[int, str]]:
    """Yield each remark with its line. It ends with its comment, its paragraph, or the next one."""
    comments: list[Comment] = []
    with file.open("rb") as lines:
        for token in tokenize.tokenize(lines.readline):
            line, column = token.start
            if token.type == tokenize.STRING and token.string.startswith('"""'):
                yield from _split(line, token.string.strip('"'))
            elif token.type == tokenize.COMMENT:
                text = token.string.removeprefix("#").strip()
                if comments and _continues(comments[-1], line, column):
                    comments[-1].texts.append(text)
                else:
                    comments.append(Comment(line, column, [text]))
    for comment in comments:
        yield from _split(comment.line, "\n".join(comment.texts))


def _continues(comment: Comment, line: int, column: int) -> bool:
    return comment.column == column and comment.line + len(comment.texts) == line


_REMARK = re.compile(
    r"unconfirmed: (.*?)(?=(?:# )?unconfirmed: |\n\s*\n|\Z)",
    re.DOTALL,
)


def _split(line: int, text: str) -> Iterator[tuple[int, str]]:
    for remark in _REMARK.finditer(text):
        yield line + text[: remark.start()].count("\n"), " ".join(remark[1].split())
