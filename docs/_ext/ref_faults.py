"""The tests that the page of known faults names, by their files."""

from __future__ import annotations

import re
from pathlib import Path

import ref_markdown as md

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "known-faults.md"

_DEFINED = re.compile(r"^\s*(?:async )?def (test_\w+)\(", re.MULTILINE)


def fault_tests() -> str:
    """Return a table of the files and the tests in them that the page's rows name."""
    rows = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    named = set(re.findall(r"`(test_\w+)`", "\n".join(_before_the_list(rows))))
    found: list[list[str]] = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        defined = _DEFINED.findall(path.read_text(encoding="utf-8"))
        names = sorted(named.intersection(defined))
        if names:
            file = path.relative_to(ROOT).as_posix()
            found.append([f"`{file}`", ", ".join(f"`{name}`" for name in names)])
    return md.table(["File", "Tests"], found)


def _before_the_list(rows: list[str]) -> list[str]:
    """Return the rows of faults: those of the list itself would keep a name that is gone."""
    heads = [index for index, row in enumerate(rows) if row.startswith("| File |")]
    return rows[: heads[0]] if heads else rows
