"""The command of the benchmarks: which rows it runs, what it prints, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.frame import NoMoreThan, Result, Row, expected_seconds
from benchmarks.report import as_svg, as_table
from waiting import eventually

from .pages import ROOT


def none() -> Iterator[float]:
    yield from ()


def command(*arguments: str, temporary: Path) -> subprocess.Popen[str]:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": str(temporary),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT / "tests",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def runs(group: int) -> bool:
    """Return whether a process of a group is there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def temporary() -> Generator[Path]:
    """Return a folder that other users may enter, as PostgreSQL's must."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_rows_of_one_run_take_its_time_once() -> None:
    alone = Row("alone", "", None, none, takes=8)
    shared = [Row(name, "", None, none, takes=100, run="both") for name in ("a", "b")]
    assert expected_seconds([alone, *shared]) == 108


def test_table_shows_a_row_with_a_unit_and_its_bar() -> None:
    row = Row("memory", "", NoMoreThan(250), none, unit="MB")
    line = as_table([Result(row, [113.4])]).splitlines()[1]
    assert line.split() == ["memory", *["113", "MB"] * 3, "at", "most", "250", "holds"]


def test_plot_of_no_ratio_is_refused() -> None:
    result = Result(Row("memory", "", None, none, unit="MB"), [113.4])
    with pytest.raises(ValueError, match="nothing to draw"):
        as_svg([result], title="")


def test_unknown_row_is_refused_with_the_known(temporary: Path) -> None:
    process = command("claim", temporary=temporary)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 1
    assert printed.startswith("no row is named claim; rows: submit-1, ")


def test_named_row_is_measured_after_its_time_is_said(temporary: Path) -> None:
    process = command("connect-time", temporary=temporary)
    table, said = process.communicate(timeout=120)
    assert process.returncode == 0
    assert said.splitlines()[0] == "rows: 1; minutes: about 1"
    assert table.splitlines()[1].startswith("connect-time ")


@pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_nothing_behind(temporary: Path, asked_by: signal.Signals) -> None:
    process = command("connect-time", "engines-procrastinate-2-slow", temporary=temporary)
    try:
        eventually(lambda: list(temporary.glob("tillpost-postgres-*/data/postmaster.pid")))
        if asked_by == signal.SIGINT:
            os.killpg(process.pid, asked_by)  # as a terminal does
        else:
            process.send_signal(asked_by)
        table, _ = process.communicate(timeout=120)
        assert process.returncode == 130
        assert [line.split()[0] for line in table.splitlines()] == ["row", "connect-time"]
        assert list(temporary.iterdir()) == []
        # PostgreSQL's own processes end a moment after the one that began them.
        eventually(lambda: not runs(process.pid))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
