"""What Tillpost's modules get instead of `time`, `threading`, `uuid` and `datetime`.

Each module of Tillpost imports these by name, so they are replaced there and nowhere else:
SQLAlchemy, httpx and pytest keep the real ones. A process sees its own, perhaps wrong, clocks; the
platforms see the true time.
"""

from __future__ import annotations

import datetime as real_datetime
import inspect
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Generator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

from simulation.schedule import EPOCH, Schedule, Task

STRETCH = 3.0
"""A heartbeat comes so much later than it should: after 60 % of a lease, when 70 % are safe."""


class Stage:
    """The scenario that runs now."""

    schedule: Schedule = Schedule(0)

    @classmethod
    def wall(cls) -> float:
        """Return what the running process's wall clock shows, in epoch seconds."""
        schedule = cls.schedule
        process = schedule.process
        offset = process.wall_offset if process else 0.0
        return EPOCH + schedule.now + offset

    @classmethod
    def true_time(cls) -> float:
        """Return the true time in epoch seconds."""
        return EPOCH + cls.schedule.now

    @classmethod
    def steady(cls) -> float:
        """Return what the running process's steady clock shows."""
        process = cls.schedule.process
        return cls.schedule.now + (process.booted if process else 0.0)

    @classmethod
    def sleep(cls, seconds: float) -> None:
        """Sleep, as the running task."""
        cls.schedule.sleep(seconds)


class Time(ModuleType):
    """Stands for the module `time`."""

    CLOCK_BOOTTIME = 7

    def __init__(self) -> None:
        super().__init__("time")
        self.time = Stage.wall
        self.monotonic = Stage.steady
        self.perf_counter = Stage.steady
        self.sleep = Stage.sleep

    def clock_gettime(self, _: int) -> float:
        """Return the steady clock."""
        return Stage.steady()


class ProcessDatetime(real_datetime.datetime):
    """Stands for `datetime.datetime` in code of a process."""

    @classmethod
    def now(cls, tz: real_datetime.tzinfo | None = None) -> Any:
        """Return the process's wall clock."""
        return real_datetime.datetime.fromtimestamp(Stage.wall(), tz)


class TrueDatetime(real_datetime.datetime):
    """Stands for `datetime.datetime` in code of a platform."""

    @classmethod
    def now(cls, tz: real_datetime.tzinfo | None = None) -> Any:
        """Return the true time."""
        return real_datetime.datetime.fromtimestamp(Stage.true_time(), tz)


# ---------------------------------------------------------------------------- threads


class Lock:
    """A lock between tasks of one process."""

    def __init__(self) -> None:
        self._held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        waited = 0.0
        while self._held:
            if not blocking or 0 <= timeout <= waited:
                return False
            Stage.sleep(0.05)
            waited += 0.05
        self._held = True
        return True

    def release(self) -> None:
        self._held = False

    def locked(self) -> bool:
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Event:
    """An event of which only a heartbeat waits."""

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def wait(self, timeout: float | None = None) -> bool:
        left = (timeout or 0.0) * STRETCH
        if not self._is_set:
            Stage.sleep(left)
        return self._is_set


class Thread:
    """A thread of the running process."""

    def __init__(
        self,
        target: Callable[..., object],
        name: str = "",
        daemon: bool = True,
        args: tuple[object, ...] = (),
    ) -> None:
        self._target = target
        self._args = args
        self._task: Task | None = None

    def start(self) -> None:
        process = Stage.schedule.process
        assert process
        self._task = Stage.schedule.spawn(process, lambda: self._target(*self._args))

    def join(self, timeout: float | None = None) -> None:
        """Don't wait: the heartbeat sees at its next beat that it is to stop."""

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.dead


class Threads:
    """Stands for `DaemonThreadPool`."""

    def __init__(self, size: int, name: str, slow: Callable[[], int] = int) -> None:
        del name
        self.size = size
        self._slow = slow
        self._running = 0

    @property
    def idle_threads(self) -> int:
        """How many more tasks would begin at once."""
        return self.size + self._slow() - self._running

    @property
    def busy(self) -> bool:
        """Whether a task isn't finished."""
        return self._running > 0

    def submit(self, task: Callable[[], object]) -> Future[None]:
        """Run a task in a thread. What it raises ends nothing else."""

        future: Future[None] = Future()

        def run() -> None:
            try:
                task()
            finally:
                self._running -= 1
                future.set_result(None)

        self._running += 1
        Thread(run).start()
        return future

    def wait(self, seconds: float, *, for_one: bool = False) -> bool:
        """Don't wait."""
        del seconds, for_one
        return True

    def shutdown(self) -> None:
        """Nothing is left to end."""


def wait_for(
    futures: Collection[Future[None]], timeout: float
) -> tuple[set[Future[None]], set[Future[None]]]:
    """Stand for `concurrent.futures.wait`: return the finished ones, and the others."""
    until = Stage.steady() + timeout
    pause = 0.0
    while not all(future.done() for future in futures) and Stage.steady() < until:
        Stage.sleep(pause)
        pause = 0.1
    finished = {future for future in futures if future.done()}
    return finished, set(futures) - finished


THREADING = SimpleNamespace(
    Lock=Lock,
    RLock=Lock,
    Event=Event,
    Thread=Thread,
    TIMEOUT_MAX=threading.TIMEOUT_MAX,
    BoundedSemaphore=threading.BoundedSemaphore,
    get_ident=threading.get_ident,
    local=threading.local,
    current_thread=threading.current_thread,
    main_thread=threading.main_thread,
    Condition=threading.Condition,
)


class Uuid(ModuleType):
    """Stands for the module `uuid`: the same ids for the same seed."""

    def uuid4(self) -> uuid.UUID:
        bits = Stage.schedule.random.getrandbits(128)
        return uuid.UUID(int=bits, version=4)


# ---------------------------------------------------------------------------- replacing

_PLATFORMS = ("tillpost_simulators", "tillpost.simulator")


def _replacements() -> Generator[tuple[object, str, object]]:
    clock, ids = Time(), Uuid("uuid")
    for name, module in list(sys.modules.items()):
        if not name.startswith("tillpost"):
            continue
        is_platform = name.startswith(_PLATFORMS)
        names = vars(module)
        asks_for_now = names.get("datetime") is real_datetime.datetime
        if asks_for_now and "datetime.now(" in inspect.getsource(module):
            yield module, "datetime", TrueDatetime if is_platform else ProcessDatetime
        if is_platform:
            continue
        if names.get("time") is time:
            yield module, "time", clock
        yield from _defaults(module, {time.time: clock.time, time.monotonic: clock.monotonic})
        if names.get("threading") is threading:
            yield module, "threading", THREADING
        if names.get("uuid") is uuid:
            yield module, "uuid", ids
        if names.get("wait") is wait and not name.endswith(".thread_pool"):
            yield module, "wait", wait_for
        if "DaemonThreadPool" in names and not name.endswith(".thread_pool"):
            yield module, "DaemonThreadPool", Threads
    import tenacity.nap

    yield tenacity.nap, "time", clock


def _defaults(
    module: ModuleType, clocks: Mapping[object, object]
) -> Generator[tuple[object, str, object]]:
    """Return the functions of a module that have a clock as a default argument, with others."""
    for member in list(vars(module).values()):
        if getattr(member, "__module__", "") != module.__name__:
            continue
        functions = vars(member).values() if inspect.isclass(member) else [member]
        for function in functions:
            if not inspect.isfunction(function):
                continue
            named = function.__kwdefaults__ or {}
            if any(_is_clock(default, clocks) for default in named.values()):
                changed = {
                    name: clocks[default] if _is_clock(default, clocks) else default
                    for name, default in named.items()
                }
                yield function, "__kwdefaults__", changed
            positional = function.__defaults__ or ()
            if any(_is_clock(default, clocks) for default in positional):
                replaced = [
                    clocks[default] if _is_clock(default, clocks) else default
                    for default in positional
                ]
                yield function, "__defaults__", tuple(replaced)


def _is_clock(default: object, clocks: Mapping[object, object]) -> bool:
    return inspect.isbuiltin(default) and default in clocks


@contextmanager
def replaced_clocks() -> Generator[None]:
    """Replace what the modules that are imported by now use of time, threads and chance."""
    replaced = [(owner, name, getattr(owner, name), new) for owner, name, new in _replacements()]
    for owner, name, _, new in replaced:
        setattr(owner, name, new)
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
        for owner, name, old, _ in replaced:
            setattr(owner, name, old)
