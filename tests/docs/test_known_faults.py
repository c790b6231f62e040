"""The page of known faults is sorted, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "known-faults.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_rows_are_complete_and_sorted_by_topic() -> None:
    assert all(len(row) == 5 and all(row) for row in rows())
    topics = [row[0] for row in rows()]
    assert topics == sorted(topics)


def test_every_named_test_exists() -> None:
    named = {name for row in rows() for name in re.findall(r"`(test_\w+)`", row[4])}
    sources = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    defined = set(re.findall(r"^\s*(?:async )?def (test_\w+)\(", "\n".join(sources), re.MULTILINE))
    assert named
    assert named - defined == set()
