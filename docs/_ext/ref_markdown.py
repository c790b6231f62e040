"""Markdown and HTML parts that look alike on a forge's repository page and on the site.

Definition lists are written as HTML, since GitHub's Markdown has none. They hold no blank line, so
that a Markdown reader takes each of them as one block.
"""

from __future__ import annotations

import html
import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

COLUMNS = 100


class Definition(NamedTuple):
    """An entry of a definition list. The term and each of its meanings are inline Markdown."""

    term: str
    meanings: Sequence[str]
    anchor: str = ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()


def definition_list(entries: Iterable[Definition]) -> str:
    """Return a definition list in HTML."""
    lines = ["<dl>"]
    for entry in entries:
        anchor = f' id="{entry.anchor}"' if entry.anchor else ""
        lines.append(f"<dt{anchor}>{inline_html(entry.term)}</dt>")
        for meaning in entry.meanings:
            lines += _wrapped(f"<dd>{inline_html(meaning)}</dd>")
    lines.append("</dl>")
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        COLUMNS,
        break_long_words=False,
        break_on_hyphens=False,
    )


def inline_html(text: str) -> str:
    """Return inline Markdown (code, links, bold) as HTML.

    >>> inline_html("`a < b`, see [x](y.md)")
    '<code>a &lt; b</code>, see <a href="y.md">x</a>'
    """
    parts = re.split(r"`([^`]+)`", text)
    for place, part in enumerate(parts):
        escaped = html.escape(part, quote=False)
        if place % 2:
            parts[place] = f"<code>{escaped}</code>"
        else:
            bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)
            parts[place] = bold
    return re.sub(r"\[(.+?)\]\(([^)]+)\)", r'<a href="\2">\1</a>', "".join(parts))


def code(text: str) -> str:
    """Return text as inline code, also if it holds a backtick.

    >>> code("a`b")
    '`` a`b ``'
    """
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def fenced(language: str, code: str) -> str:
    """Return a fenced block of code."""
    return f"```{language}\n{code.rstrip()}\n```"


def sections(*parts: str) -> str:
    """Join the parts of a page with one blank line between them; empty ones are left out."""
    return "\n\n".join(part.strip("\n") for part in parts if part)


def docstring(thing: object) -> str:
    """Return a docstring without its indentation."""
    return inspect.cleandoc(thing.__doc__ or "")


def summary(text: str) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


_SECTION = re.compile(
    r"^(Args|Attributes|Returns|Raises|Yields|Example|Examples):\n", re.MULTILINE
)


def prose(text: str) -> str:
    """Return a docstring up to its first section, such as `Args:`."""
    return _SECTION.split(inspect.cleandoc(text))[0].strip()


def attributes(text: str) -> dict[str, str]:
    """Return what the section `Attributes:` of a docstring says, by name. Names may share a line.

    >>> attributes("Settings.\\n\\nAttributes:\\n    a, b: Two\\n        numbers.")
    {'a': 'Two numbers.', 'b': 'Two numbers.'}
    """
    section = inspect.cleandoc(text).partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for names, meaning in re.findall(
        r"^    ([a-z_, ]+): (.*(?:\n     .*)*)", section, re.MULTILINE
    ):
        for name in names.split(", "):
            found[name] = " ".join(meaning.split())
    return found
