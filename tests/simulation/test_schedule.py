"""The schedule that simulated processes run on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.schedule import Killed, Process, Schedule


def _loop(schedule: Schedule, log: list[str], name: str, seconds: float) -> Callable[[], None]:
    def run() -> None:
        for number in range(3):
            log.append(f"{name}{number} at {schedule.now:g}")
            schedule.sleep(seconds)

    return run


def test_tasks_take_turns_by_the_time_at_which_they_wake() -> None:
    schedule, log = Schedule(1), list[str]()
    schedule.spawn(Process("a"), _loop(schedule, log, "a", 2.0))
    schedule.spawn(Process("b"), _loop(schedule, log, "b", 3.0), after=1.0)
    schedule.run(lambda: False)
    assert log == ["a0 at 0", "b0 at 1", "a1 at 2", "a2 at 4", "b1 at 4", "b2 at 7"] or log == [
        "a0 at 0",
        "b0 at 1",
        "a1 at 2",
        "b1 at 4",
        "a2 at 4",
        "b2 at 7",
    ]


def test_killed_process_stops_where_it_is() -> None:
    schedule, log = Schedule(1), list[str]()
    process = Process("a")

    def run() -> None:
        try:
            schedule.sleep(5.0)
            log.append("went on")
        finally:
            with pytest.raises(Killed):
                schedule.sleep(1.0)

    schedule.spawn(process, run)
    schedule.call(2.0, lambda: schedule.kill(process))
    schedule.run(lambda: False)
    assert (log, schedule.now) == ([], 2.0)


def test_paused_process_goes_on_later() -> None:
    schedule, log = Schedule(1), list[str]()
    process = Process("a")
    process.paused_until = 10.0
    schedule.spawn(process, _loop(schedule, log, "a", 1.0))
    schedule.run(lambda: False)
    assert log[0] == "a0 at 10"
