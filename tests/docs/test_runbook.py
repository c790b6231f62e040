"""The runbook's page: every test, situation and command that it names exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import typer

from diagnosis.situations import SITUATIONS
from docs.pages import DOCS, ROOT
from tillpost.cli.app import build

TESTS = ROOT / "tests"
SITUATION = {str(situation) for situation in SITUATIONS}
WHO = ("automatic", "a person")


class Row(NamedTuple):
    """A row of the page's table."""

    cause: str
    who: str
    does: str
    command: str
    shown_by: str


def rows() -> Iterator[Row]:
    """Yield the rows of the long table, without its headings."""
    text = (DOCS / "reference" / "runbook.md").read_text(encoding="utf-8")
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == len(Row._fields) and cells[0] != "Cause or step":
            row = Row(*cells)
            if not (row.cause.startswith("**") or set(row.cause) <= {"-"}):
                yield row


def named(cell: str) -> list[str]:
    """Return what is written as code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


ROWS = list(rows())


def test_runbook_table_is_read() -> None:
    assert len(ROWS) > 50
    assert len({row.cause for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.cause)
def test_row_names_actor_and_existing_proofs(row: Row) -> None:
    assert row.who in WHO
    assert row.does
    proofs = named(row.shown_by)
    assert proofs
    for proof in proofs:
        assert proof in SITUATION or is_a_test(proof), proof
    for command in named(row.command):
        assert is_a_command(command), command


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.who == "a person"], ids=lambda row: row.cause
)
def test_row_for_a_person_names_a_command(row: Row) -> None:
    assert named(row.command), "a person has to be informed by a command"


def is_a_test(name: str) -> bool:
    """Whether the test exists: a file below `tests`, and a function in it."""
    file, _, function = name.partition("::")
    path = TESTS / file
    return (
        path.is_file()
        and re.search(rf"^ *def {re.escape(function)}\(", path.read_text(), re.MULTILINE)
        is not None
    )


def is_a_command(written: str) -> bool:
    """Whether `tillpost ...` is a command."""
    program, *words = written.split()
    found: object = typer.main.get_command(build())
    for word in words:
        found = getattr(found, "commands", {}).get(word)
    return program == "tillpost" and found is not None
