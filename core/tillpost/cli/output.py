"""What the command prints: Rich for people, JSON for programs, one plain line for what went wrong before it began.

Results go to standard output, progress and complaints to standard error. A platform's texts are
never read as markup, and lose their control characters. Where the output isn't a terminal, no line
is wrapped, so that it can be searched.
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
from tillpost.support.diagnosis import HopState, HopStatus

__all__ = [
    "ACTORS",
    "complain",
    "error_facts",
    "one_line",
    "progress",
    "show_error",
    "show_facts",
    "show_hops",
    "show_json",
    "show_table",
    "tell",
]

_UNWRAPPED = 10_000


_OUTCOMES = {
    Outcome.NOT_CREATED: "isn't at the POS",
    Outcome.CREATED: "is at the POS; don't send or key it in again",
    Outcome.UNKNOWN: "may be at the POS: look before keying it in; submitting it again is safe",
}


_STATUSES = {
    HopStatus.DONE: ("done", "green"),
    HopStatus.FAILED: ("failed here", "bold red"),
    HopStatus.UNKNOWN: ("unknown", ""),
}


def one_line(text: str) -> str:
    """Return the text as one line without control characters.

    >>> one_line("two\\nlines and\\x1b[2J worse")
    'two lines and[2J worse'
    """
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def complain(line: str) -> None:
    """Print one line to standard error."""
    sys.stderr.write(f"tillpost: {one_line(line)}\n")


def tell(text: str, style: str = "") -> None:
    """Print one line for a person. It stays indented as it is; on a terminal an indented one is wrapped so."""
    out, line = _out(), Text(one_line(text), style)
    indent = " " * (len(text) - len(text.lstrip(" ")))
    if indent and out.is_terminal:
        grid = Table.grid()
        grid.add_row(indent, line)
        out.print(grid)
    else:
        out.print(Text(indent) + line, soft_wrap=True)


def show_json(value: object) -> None:
    """Print a value as JSON to standard output, models and all, in plain ASCII so that any terminal takes it."""
    sys.stdout.write(json.dumps(to_jsonable_python(value), indent=2) + "\n")
    sys.stdout.flush()


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print labelled facts, one under the other; those without a text are left out."""
    known = [(f"  {label}", one_line(text)) for label, text in facts if text]
    width = max((len(label) for label, _ in known), default=0)
    if not _out().is_terminal:
        sys.stdout.writelines(f"{label:{width}}  {text}\n" for label, text in known)
        return
    grid = Table.grid(padding=(0, 2))
    for label, text in known:
        grid.add_row(Text(label, "dim"), Text(text))
    _out().print(grid)


def show_hops(hops: Sequence[HopState]) -> None:
    """Print the three hops as steps: done, failed here, or unknown."""
    for number, hop in enumerate(hops, 1):
        said, style = _STATUSES[hop.status]
        tell(f"  {number}. {hop.text}: {said}", style)


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, red: Sequence[bool] = ()
) -> None:
    """Print a table for a person; the rows that `red` says are printed so."""
    table = Table(title=title or None, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for number, row in enumerate(rows):
        style = "bold red" if number < len(red) and red[number] else None
        table.add_row(*(Text(one_line(cell)) for cell in row), style=style)
    _out().print(table)


def show_error(error: PosError, headline: str, *, outcome: bool = True) -> None:
    """Print an error for people: what happened, what became of the order (`outcome`), who acts, and how."""
    tell(f"{headline}: {error if outcome else error.summary}", "bold red")
    remedy = error.remedy
    show_facts(
        (
            ("The order", _OUTCOMES[error.outcome] if outcome else ""),
            ("Who must act", f"{ACTORS[remedy.actor]}: {remedy.manager}"),
            ("For developers", f"{type(error).__name__}: {remedy.developer}"),
            (
                "Asked to wait",
                f"{error.retry_after:g} seconds" if error.retry_after is not None else "",
            ),
            ("Request", error.request_id),
        )
    )


def error_facts(error: PosError) -> dict[str, object]:
    """Return an error for programs: the `ErrorRecord` as "error", its "remedy", and the "exit_code"."""
    return {"error": error.record(), "remedy": error.remedy, "exit_code": code_for(error)}


@contextmanager
def progress(text: str) -> Generator[Status]:
    """Show a person at a terminal that something is under way, on standard error, until the block ends."""
    with Console(stderr=True).status(Text(text)) as status:
        yield status


def _out() -> Console:
    console = Console(highlight=False, markup=False)
    return (
        console if console.is_terminal else Console(highlight=False, markup=False, width=_UNWRAPPED)
    )
