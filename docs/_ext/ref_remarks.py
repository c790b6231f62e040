"""The remarks `unconfirmed:` in the code: claims that no vendor's page confirms."""

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
SOURCES = ("adapters", "core", "plugins")


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

    def is_continued_at(self, line: int, column: int) -> bool:
        """Return whether a comment at that place belongs to this one."""
        next_line = self.line + len(self.texts)
        return self.column == column and next_line == line


class Definition(NamedTuple):
    """A function, a class or a variable of a module: its name, its first and last line."""

    name: str
    first: int
    last: int


class Text(NamedTuple):
    """A text in the code, with its line."""

    line: int
    text: str


def unconfirmed() -> str:
    """Return a section for each file, with its remarks as a definition list."""
    parts: list[str] = []
    for file, of_file in groupby(remarks(), key=lambda remark: remark.file):
        entries: list[md.Definition] = []
        for remark in of_file:
            owner = remark.within or "module"
            entries.append(md.Definition(f"`{owner}`", [remark.text]))
        parts += [f"## {file}", md.definition_list(entries)]
    return md.sections(*parts)


def remarks(root: Path = ROOT) -> list[Remark]:
    """Return every remark of core, the adapters and the plugins, by file and line."""
    found: list[Remark] = []
    for source in SOURCES:
        for file in (root / source).rglob("*.py"):
            found += _remarks_in(file, root)
    return sorted(found, key=_place)


def _place(remark: Remark) -> tuple[int, str, int]:
    """Return what remarks are sorted by: a folder's files come before those of its folders."""
    depth = remark.file.count("/")
    return depth, remark.file, remark.line


def _remarks_in(file: Path, root: Path) -> Iterator[Remark]:
    name = file.relative_to(root).as_posix()
    source = file.read_text(encoding="utf-8")
    tree = ast.parse(source)
    definitions = list(_definitions(tree))
    for line, text in _texts(file):
        owner = _owner(definitions, line)
        yield Remark(
            file=name,
            line=line,
            within=owner,
            text=text,
        )


def _owner(definitions: list[Definition], line: int) -> str:
    """Return the innermost definition around a line, else the next one after it."""
    around = [one for one in definitions if one.first <= line <= one.last]
    if around:
        return around[-1].name
    after = [one for one in definitions if one.first > line]
    return after[0].name if after else ""


def _definitions(tree: ast.Module) -> Iterator[Definition]:
    """Yield all that is defined, the outer before the inner."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield _definition(name, node)
            case ast.Assign(targets=[ast.Name(id=name)]) if node.col_offset == 0:
                yield _definition(name, node)
            case _:
                pass


def _definition(name: str, node: ast.stmt) -> Definition:
    first = node.lineno
    last = node.end_lineno or first
    return Definition(name, first, last)


def _texts(file: Path) -> Iterator[Text]:
    """Yield each remark with its line. It ends with its comment, its paragraph, or the next one."""
    comments: list[Comment] = []
    with file.open("rb") as lines:
        for token in tokenize.tokenize(lines.readline):
            line, column = token.start
            is_string = token.type == tokenize.STRING
            if is_string and token.string.startswith('"""'):
                text = token.string.strip('"')
                yield from _split(line, text)
            elif token.type == tokenize.COMMENT:
                text = token.string.removeprefix("#").strip()
                if comments and comments[-1].is_continued_at(line, column):
                    comments[-1].texts.append(text)
                else:
                    comments.append(Comment(line, column, [text]))
    for comment in comments:
        text = "\n".join(comment.texts)
        yield from _split(comment.line, text)


_REMARK = re.compile(
    r"unconfirmed: (.*?)(?=(?:# )?unconfirmed: |\n\s*\n|\Z)",
    re.DOTALL,
)


def _split(line: int, text: str) -> Iterator[Text]:
    for remark in _REMARK.finditer(text):
        lines_before = text.count("\n", 0, remark.start())
        words = remark[1].split()
        yield Text(line + lines_before, " ".join(words))
