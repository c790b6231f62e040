"""One thread that runs many processes: a seed decides who goes on at each switch point.

A `Task` is a greenlet that runs real, synchronous code of a `Process`. Whatever would wait in the
real world calls `Schedule.sleep`, which is the only switch point: the task that wakes up first goes
on next, and time jumps to its hour. A process may be killed or paused at any switch point, and its
clocks may be wrong.

Nothing here knows of orders.
"""

from __future__ import annotations

import heapq
import importlib
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

_greenlets: Any = importlib.import_module("greenlet")  # it has no types

EPOCH = 1_750_000_000.0
"""The true time at the beginning of each scenario, in epoch seconds."""


class Killed(KeyboardInterrupt):
    """The process was killed: no effect of it leaves any more. No code takes it for its own."""


class Process:
    """A simulated process, with its clocks. Attributes may be changed at any time.

    Attributes:
        wall_offset: How far its wall clock is ahead, in seconds.
        booted: What its steady clock showed at the beginning, in seconds.
        paused_until: When it goes on after a pause, in seconds of the schedule.
        frail: Whether a kill or a pause may strike it.
        sending: How many of its requests are about to leave; no pause may strike meanwhile.
        dead: Whether it was killed, or has ended.
    """

    def __init__(self, name: str, *, wall_offset: float = 0.0, booted: float = 0.0) -> None:
        self.name = name
        self.wall_offset = wall_offset
        self.booted = booted
        self.paused_until = 0.0
        self.frail = False
        self.sending = 0
        self.dead = False
        self.tasks: list[Task] = []


class Task:
    """A thread of a process.

    Attributes:
        process: The process.
        entry: The number of the entry that wakes it up; earlier ones don't count any more.
    """

    def __init__(self, process: Process, run: Callable[[], object], hub: object) -> None:
        self.process = process
        self.entry = 0
        self._greenlet: Any = _greenlets.greenlet(run, parent=hub)

    @property
    def dead(self) -> bool:
        """Whether it has ended."""
        return bool(self._greenlet.dead)

    def switch(self) -> None:
        """Let it run until it sleeps or ends."""
        self._greenlet.switch()

    def throw(self, failure: type[BaseException]) -> None:
        """Let it go on with an exception."""
        self._greenlet.throw(failure)


_Entry: TypeAlias = tuple[float, float, int, Task | None, Callable[[], object] | None]
"""When a task goes on, or a function is called; chance decides who is first; the entry's number.

A plain tuple: a scenario makes hundreds.
"""


class Schedule:
    """The tasks of one scenario, the true time in seconds since its beginning, and a trace."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.trace: list[str] = []
        self.failures: list[BaseException] = []  # that ended a thread
        self._hub: Any = _greenlets.getcurrent()
        self._queue: list[_Entry] = []
        self._number = 0
        self._current: Task | None = None
        self._is_over: Callable[[], bool] = bool

    @property
    def process(self) -> Process | None:
        """The process that is running; None outside of all."""
        return self._current.process if self._current else None

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        name = self._current.process.name if self._current else "-"
        self.trace.append(f"{self.now:9.3f} {name:<10} {text}")

    def spawn(self, process: Process, run: Callable[[], object], *, after: float = 0.0) -> Task:
        """Start a thread of a process."""
        task = Task(process, lambda: self._run(run), self._hub)
        process.tasks.append(task)
        self._push(after, task=task)
        return task

    def call(self, after: float, call: Callable[[], object]) -> None:
        """Call something later, outside of all processes. It must not sleep."""
        self._push(after, call=call)

    def sleep(self, seconds: float) -> None:
        """Let others run until so many seconds have passed, or until `wake`."""
        task = self._current
        assert task is not None, "only a process can sleep"
        process = task.process
        if process.dead:
            raise Killed
        self._push(seconds, task=task)
        if not self._goes_on(task):
            self._hub.switch()
        if process.dead:
            raise Killed

    def _goes_on(self, task: Task) -> bool:
        """Let the running task go on if it is the next one anyway; return whether it does.

        `run` would let it, too, after two switches.
        """
        at, _, number, _, _ = self._queue[0]
        if number != task.entry or task.process.paused_until > at or self._is_over():
            return False
        heapq.heappop(self._queue)
        self.now = max(self.now, at)
        return True

    def wake(self, task: Task) -> None:
        """Let a sleeping task go on now."""
        self._push(0.0, task=task)

    @property
    def task(self) -> Task:
        """The task that is running."""
        assert self._current is not None
        return self._current

    def ensure_alive(self) -> None:
        """Raise `Killed` if the running process is dead."""
        if self._current is not None and self._current.process.dead:
            raise Killed

    def kill(self, process: Process) -> None:
        """End a process where it stands. Its other tasks end before anything else happens."""
        process.dead = True
        self.call(0.0, lambda: self.unwind(process))

    def unwind(self, process: Process) -> None:
        """Unwind the tasks of a dead process."""
        process.dead = True
        for task in process.tasks:
            if not task.dead:
                self._current = task
                with suppress(Killed):  # one that hasn't begun raises it here
                    task.throw(Killed)
                self._current = None
        process.tasks.clear()

    def run(self, is_over: Callable[[], bool]) -> None:
        """Run tasks until `is_over`, which is asked after each step, or until none is left."""
        self._is_over = is_over
        while self._queue and not is_over():
            at, tie, number, task, call = heapq.heappop(self._queue)
            if task is None:
                self.now = max(self.now, at)
                assert call
                call()
                continue
            process = task.process
            if task.entry != number or process.dead or task.dead:
                continue
            if process.paused_until > at:
                heapq.heappush(self._queue, (process.paused_until, tie, number, task, call))
                continue
            self.now = max(self.now, at)
            self._current = task
            task.switch()
            self._current = None

    def _run(self, run: Callable[[], object]) -> None:
        try:
            run()
        except Killed:
            return
        except BaseException as failure:  # noqa: BLE001  a thread ends so, with a traceback
            text = str(failure).partition("\n")[0]
            self.note(f"thread ended: {type(failure).__name__}: {text}")
            self.failures.append(failure)

    def _push(
        self, after: float, *, task: Task | None = None, call: Callable[[], object] | None = None
    ) -> None:
        self._number += 1
        at = self.now + max(0.0, after)
        entry = (at, self.random.random(), self._number, task, call)
        if task is not None:
            task.entry = self._number
        heapq.heappush(self._queue, entry)
