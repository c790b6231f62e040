"""What the architecture page, the decision records and the contributing guide name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .pages import DOCS, ROOT

CORE = ROOT / "core" / "tillpost"
PAGE = DOCS / "architecture.md"
RECORDS = sorted((DOCS / "adr").glob("0*.md"))

_FILE = re.compile(r"`([\w/.]+\.py)`(?: \((`\w+`(?:, `\w+`)*)\))?")
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def named(text: str) -> list[tuple[str, list[str]]]:
    """Return each Python file that a text names, with the names in it that follow in brackets."""
    return [(path, re.findall(r"\w+", names)) for path, names in _FILE.findall(text)]


def found(path: str) -> list[Path]:
    """Return the files that a path may mean: in core, at the root, or a test."""
    beside = [CORE / path, ROOT / path]
    tests = (ROOT / "tests").rglob(path) if "/" not in path else ()
    return [file for file in (*beside, *tests) if file.is_file()]


@pytest.mark.parametrize("page", [PAGE, *RECORDS], ids=lambda page: page.stem)
def test_files_and_functions_on_page_exist(page: Path) -> None:
    """A file that moved, or a function that was renamed, is moved on the page too."""
    for path, names in named(page.read_text(encoding="utf-8")):
        files = found(path)
        assert files, f"{page.name} names {path}"
        code = "\n".join(file.read_text(encoding="utf-8") for file in files)
        for name in names:
            is_defined = re.search(rf"\b(def|class) {name}\b", code)
            assert is_defined, f"{page.name} names {name} in {path}"


def test_every_package_of_core_is_on_the_page_and_in_the_picture() -> None:
    """A new package is drawn."""
    page = PAGE.read_text(encoding="utf-8")
    picture = (DOCS / "_static" / "architecture.svg").read_text(encoding="utf-8")
    packages = [file.parent.name for file in CORE.glob("*/__init__.py")]
    assert packages
    for package in packages:
        assert f"| `{package}` |" in page, package
        assert f">{package}</text>" in picture, package


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_files_at_the_root_lead_somewhere(name: str) -> None:
    """The site's build checks the pages; nobody else checks these."""
    for target in _LINK.findall((ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), f"{name} links to {target}"


def test_glossary_is_in_alphabetical_order() -> None:
    """A term is found without searching, and is there once."""
    page = (DOCS / "glossary.md").read_text(encoding="utf-8")
    terms = [term.casefold() for term in re.findall(r"^## (.+)$", page, re.MULTILINE)]
    assert terms == sorted(set(terms))
