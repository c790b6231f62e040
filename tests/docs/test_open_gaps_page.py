"""Each gap of `never-twice.md` names a test that shows its size."""

from __future__ import annotations

import re

import pytest

from .pages import DOCS, ROOT

_SECTION = re.compile(r"^## What remains open\n(.*)", re.MULTILINE | re.DOTALL)
_GAP = re.compile(r"^- (.*?)(?=^- |^\S)", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`(tests/[\w/]+\.py)`")
_FUNCTION = re.compile(r"`(test_\w+)`")
_FIRST = "tests/core/submission/test_open_gaps.py"
"""Where the tests are that the page names without a file."""


def gaps() -> list[str]:
    """Return the text of each gap."""
    page = (DOCS / "explanation" / "never-twice.md").read_text(encoding="utf-8")
    section = _SECTION.search(page)
    assert section
    found: list[str] = _GAP.findall(section[1])
    return found


def test_page_says_how_many_gaps_there_are() -> None:
    assert len(gaps()) == 8


@pytest.mark.parametrize("number", range(8))
def test_gap_names_its_size_and_a_test_that_exists(number: int) -> None:
    gap = gaps()[number]
    assert "The gap is" in gap or "it takes more than" in gap
    files, functions = _FILE.findall(gap), _FUNCTION.findall(gap)
    assert files or functions
    for file in files:
        assert (ROOT / file).is_file(), file
    first = (ROOT / _FIRST).read_text(encoding="utf-8")
    for name in functions:
        assert f"def {name}(" in first, name
