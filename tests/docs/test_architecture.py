"""What the architecture page, the decision records and the contributing guide name exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from .pages import DOCS, ROOT

CORE = ROOT / "core" / "tillpost"
PAGE = DOCS / "architecture.md"
PICTURE = DOCS / "_static" / "architecture.svg"
RECORDS = sorted((DOCS / "adr").glob("0*.md"))

_FILE = re.compile(
    r"`([\w/.]+\.py)`"  # the file
    r"(?: \((`\w+`(?:, `\w+`)*)\))?",  # the names in it
)
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


class Named(NamedTuple):
    """A Python file that a text names, with the names in it that follow in brackets."""

    path: str
    names: list[str]


def named(text: str) -> list[Named]:
    """Return each Python file that a text names."""
    found: list[Named] = []
    for path, names in _FILE.findall(text):
        listed = re.findall(r"\w+", names)
        found.append(Named(path, listed))
    return found


def meant_by(path: str) -> list[Path]:
    """Return the files that a path may mean: in core, at the root, or a test."""
    candidates = [CORE / path, ROOT / path]
    if "/" not in path:
        tests = ROOT / "tests"
        candidates += tests.rglob(path)
    return [file for file in candidates if file.is_file()]


def text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [PAGE, *RECORDS], ids=lambda page: page.stem)
def test_files_and_functions_on_page_exist(page: Path) -> None:
    """A file that moved, or a function that was renamed, is moved on the page too."""
    for path, names in named(text_of(page)):
        files = meant_by(path)
        assert files, f"{page.name} names {path}"
        code = "\n".join(text_of(file) for file in files)
        for name in names:
            is_defined = re.search(rf"\b(def|class) {name}\b", code)
            assert is_defined, f"{page.name} names {name} in {path}"


def test_every_package_of_core_is_on_the_page_and_in_the_picture() -> None:
    """A new package is drawn."""
    page = text_of(PAGE)
    picture = text_of(PICTURE)
    packages = [file.parent.name for file in CORE.glob("*/__init__.py")]
    assert packages
    for package in packages:
        row = f"| `{package}` |"
        assert row in page, package
        drawn = f">{package}</text>"
        assert drawn in picture, package


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_files_at_the_root_lead_somewhere(name: str) -> None:
    """The site's build checks the pages; nobody else checks these."""
    text = text_of(ROOT / name)
    for target in _LINK.findall(text):
        file = ROOT / target
        assert file.exists(), f"{name} links to {target}"


def test_glossary_is_in_alphabetical_order() -> None:
    """A term is found without searching, and is there once."""
    page = text_of(DOCS / "glossary.md")
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    terms = [heading.casefold() for heading in headings]
    assert terms == sorted(set(terms))
