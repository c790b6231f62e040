"""A time for people is in this machine's zone, and "?" where no calendar has it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tillpost.models.local_time import local_time


@pytest.fixture
def sydney(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "AEST-10AEDT,M10.1.0,M4.1.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("sydney")
def test_local_time_shows_its_offset_on_request() -> None:
    assert local_time(1_795_000_000.7) == "2026-11-18 22:06:40"
    assert local_time(1_795_000_000.7, offset=True) == "2026-11-18 22:06:40+11:00"


@pytest.mark.usefixtures("sydney")
def test_both_hours_of_a_clock_set_back_are_distinguished() -> None:
    before = 1_775_314_800.0  # 2026-04-05T02:00+11:00, an hour before clocks are set back
    first, second = local_time(before + 1800, offset=True), local_time(before + 5400, offset=True)
    assert (first, second) == ("2026-04-05 02:30:00+11:00", "2026-04-05 02:30:00+10:00")


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1e300, 1e18])
def test_time_that_no_calendar_has_is_a_question_mark(at: float) -> None:
    assert local_time(at) == "?"
