"""Printed results: Rich for people, JSON for programs, a plain line for errors.

Results go to standard output; progress and errors go to standard error. A platform's texts are
never read as markup, and lose their control characters. Lines are wrapped on a terminal only, so
that other programs can search the output.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from tillpost.cli.exit_codes import code_for
from tillpost.errors import Outcome, PosError
from tillpost.errors.remedies import ACTORS
from tillpost.models.safe_text import one_line
from tillpost.support.diagnosis import HopState, HopStatus

__all__ = [
    "ACTORS",
    "error_facts",
    "one_line",
    "print_error",
    "print_line",
    "progress",
    "show_error",
    "show_facts",
    "show_hops",
    "show_json",
    "show_table",
]

_UNWRAPPED = 10_000
"""The width of the output, in columns, where it isn't a terminal."""

_OUTCOMES = {
    Outcome.NOT_CREATED: "isn't at the POS",
    Outcome.CREATED: "is at the POS. Don't send it again or key it in",
    Outcome.UNKNOWN: "may be at the POS. Check the register before keying it in; "
    "submitting it again is safe",
}

_STATUSES = {
    HopStatus.DONE: ("done", "green"),
    HopStatus.FAILED: ("failed here", "bold red"),
    HopStatus.UNKNOWN: ("unknown", ""),
}


def print_error(line: str) -> None:
    """Print one line to standard error, after the program's name."""
    sys.stderr.write(f"tillpost: {one_line(line)}\n")


def print_line(text: str, style: str = "") -> None:
    """Print one line for people.

    Leading spaces stay, also where a terminal wraps the line.
    """
    console = _console()
    line = Text(one_line(text), style)
    indent = " " * (len(text) - len(text.lstrip(" ")))
    if indent and console.is_terminal:
        grid = Table.grid()
        grid.add_row(indent, line)
        console.print(grid)
    else:
        console.print(Text(indent) + line, soft_wrap=True)


def show_json(value: object) -> None:
    """Print a value, which may hold models, as JSON to standard output.

    The JSON is plain ASCII, so that any terminal can show it.
    """
    sys.stdout.write(json.dumps(to_jsonable_python(value), indent=2) + "\n")
    sys.stdout.flush()


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print labels with their texts, one per line. A label without a text is left out."""
    rows = [(f"  {label}", one_line(text)) for label, text in facts if text]
    console = _console()
    if console.is_terminal:
        grid = Table.grid(padding=(0, 2))
        for label, text in rows:
            grid.add_row(Text(label, "dim"), Text(text))
        console.print(grid)
        return
    labels = [label for label, _ in rows]
    width = max(map(len, labels), default=0)
    for label, text in rows:
        sys.stdout.write(f"{label:{width}}  {text}\n")


def show_hops(hops: Sequence[HopState]) -> None:
    """Print the three hops with their statuses."""
    for number, hop in enumerate(hops, 1):
        status, style = _STATUSES[hop.status]
        print_line(f"  {number}. {hop.text}: {status}", style)


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, red: Sequence[bool] = ()
) -> None:
    """Print a table for people.

    Args:
        title: The table's title; may be empty.
        columns: The columns' headings.
        rows: The rows' cells.
        red: For each row, whether it is printed in red. Rows beyond its end aren't.
    """
    table = Table(
        title=Text(one_line(title)) if title else None,
        title_justify="left",
        title_style="bold",
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    for number, row in enumerate(rows):
        is_red = number < len(red) and red[number]
        cells = [Text(one_line(cell)) for cell in row]
        table.add_row(*cells, style="bold red" if is_red else None)
    _console().print(table)


def show_error(error: PosError, headline: str, *, outcome: bool = True) -> None:
    """Print an error for people: what happened, who must act, and what they do.

    `outcome` says whether the error is about an order, so that its outcome is printed too.
    """
    line = str(error) if outcome else error.summary
    print_line(f"{headline}: {line}", "bold red")
    remedy = error.remedy
    kind = type(error).__name__
    actor = ACTORS[remedy.actor]
    order = _OUTCOMES[error.outcome] if outcome else ""
    wait = f"{error.retry_after:g} seconds" if error.retry_after is not None else ""
    facts = (
        ("The order", order),
        ("Who must act", f"{actor}: {remedy.manager}"),
        ("For developers", f"{kind}: {remedy.developer}"),
        ("Asked to wait", wait),
        ("Request id", error.request_id),
    )
    show_facts(facts)


def error_facts(error: PosError) -> dict[str, object]:
    """Return an error for programs, with the keys "error", "remedy" and "exit_code"."""
    return {"error": error.record(), "remedy": error.remedy, "exit_code": code_for(error)}


@contextmanager
def progress(text: str) -> Generator[Status]:
    """Show what is in progress, until the block ends.

    It is shown on standard error, and only on a terminal.
    """
    with Console(stderr=True).status(Text(one_line(text))) as status:
        yield status


def _console() -> Console:
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, width=_UNWRAPPED)
