"""The frame of the benchmarks: what a row is, and how two things are timed in one run.

A row is a name, what it says, a bar, and a generator that yields one figure a round. Nearly all
figures are ratios of two things that are timed in turn, because the machine's speed cancels out in
those. Where people ask for seconds or MB, a row has a unit instead. To add a row, decorate a
generator:

    @row("till-submit-20", "submit of 20 lines / posting its bytes twice", NoMoreThan(2.0))
    def submit_20() -> Iterator[float]:
        yield from in_turn(ours, reference, rounds=30)

A module with rows is imported by `__main__`.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "ROWS",
    "Bar",
    "NoLessThan",
    "NoMoreThan",
    "Result",
    "Row",
    "expected_seconds",
    "in_turn",
    "measure",
    "processor_seconds",
    "row",
    "seconds",
    "without_collecting",
]


@dataclass(frozen=True, slots=True)
class NoMoreThan:
    """A bar that the median must not be above."""

    limit: float

    def holds(self, median: float) -> bool:
        """Return whether a median keeps the bar."""
        return median <= self.limit

    def __str__(self) -> str:
        """Return the bar for the table."""
        return f"at most {self.limit:g}"


@dataclass(frozen=True, slots=True)
class NoLessThan:
    """A bar that the median must not be below."""

    limit: float

    def holds(self, median: float) -> bool:
        """Return whether a median keeps the bar."""
        return median >= self.limit

    def __str__(self) -> str:
        """Return the bar for the table."""
        return f"at least {self.limit:g}"


Bar: TypeAlias = NoMoreThan | NoLessThan | None
"""None for a row without a bar: it is only there to be known."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        name: What selects it on the command line. Its first word is the group.
        text: What was measured, for people, as `ours / reference`.
        bar: What the median must keep.
        figures: Measures, and yields one figure a round.
        unit: What a figure is, if it isn't a ratio.
        takes: About how many seconds it takes on two cores.
        run: Names the run from which several rows take their figures; empty for a run of its own.
    """

    name: str
    text: str
    bar: Bar
    figures: Callable[[], Iterable[float]]
    unit: str = ""
    takes: float = 8.0
    run: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A row and the figures of its rounds."""

    row: Row
    figures: Sequence[float]

    @property
    def median(self) -> float:
        """The figure that the bar is about."""
        return statistics.median(self.figures)

    @property
    def verdict(self) -> str:
        """Whether the bar holds; empty if there is none."""
        if self.row.bar is None:
            return ""
        return "holds" if self.row.bar.holds(self.median) else "missed"


ROWS: dict[str, Row] = {}
"""All rows by name, in the order of the table."""


def row(
    name: str, text: str, bar: Bar = None, *, unit: str = "", takes: float = 8.0, run: str = ""
) -> Callable[[Callable[[], Iterator[float]]], Callable[[], Iterator[float]]]:
    """Return a decorator that adds a row to the table; see `Row`."""

    def add(figures: Callable[[], Iterator[float]]) -> Callable[[], Iterator[float]]:
        ROWS[name] = Row(name, text, bar, figures, unit, takes, run)
        return figures

    return add


def expected_seconds(rows: Iterable[Row]) -> float:
    """Return about how long the rows take together."""
    runs = {row.run or row.name: row.takes for row in rows}
    return sum(runs.values())


def measure(row: Row) -> Result:
    """Run all rounds of a row."""
    with without_collecting():
        return Result(row, list(row.figures()))


@contextmanager
def without_collecting() -> Generator[None]:
    """Leave what is there already out of garbage collection, as a long-running program's is."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def seconds(run: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def processor_seconds(run: Callable[[], object]) -> float:
    """Return how much of a processor a call takes here, without servers and other programs."""
    began = time.process_time()
    run()
    return time.process_time() - began


def in_turn(
    ours: Callable[[], float], reference: Callable[[], float], rounds: int
) -> Iterator[float]:
    """Yield our time divided by the reference's, once a round, in which both take their turn.

    Args:
        ours: Runs a block of calls and returns what they took. Its first call warms up.
        reference: The same of what ours is compared with.
        rounds: How many rounds. Which of the two begins alternates.
    """
    ours()
    reference()
    for number in range(rounds):
        if number % 2:
            took = ours()
            yield took / reference()
        else:
            floor = reference()
            yield ours() / floor
