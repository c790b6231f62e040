"""Calls of foreign code in threads of their own, each waited for with a limit.

A thread can't be stopped from outside, so a call that is late goes on. Its result is kept for
whoever asks for the same next. Until then nobody makes that call again, so one that hangs holds one
thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from typing import TypeVar, cast

from tillpost.errors import as_exception
from tillpost.outbox.thread_pool import DaemonThreadPool

__all__ = ["LateError", "PatientCalls"]

T = TypeVar("T")

THREADS = 32
"""How many calls run at once. Slow ones don't count, up to four times as many."""

BRIEFLY = 0.2
"""A call usually takes less than this, in seconds. A loop waits no longer."""

SLOW_AFTER = 1.0
"""After how many seconds another thread works in place of a call's."""

KEPT = 30.0
"""How old a late result may be when it is used, in seconds."""


class LateError(TimeoutError):
    """A call hasn't returned yet.

    Attributes:
        seconds: How long ago it was asked for.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it hasn't returned for {seconds:.1f} s")
        self.seconds = seconds


class _Call:
    """One call and its result. Times are of the monotonic clock."""

    def __init__(self, function: Callable[[], object], threads: DaemonThreadPool) -> None:
        self._function = function
        self._result: object = None
        self._failure: Exception | None = None
        self._asked_at = time.monotonic()
        self._began_at: float | None = None
        self._ended_at: float | None = None
        self._future: Future[None] = threads.submit(self._run)

    def _run(self) -> None:
        self._began_at = time.monotonic()
        try:
            self._result = self._function()
        except BaseException as failure:  # noqa: BLE001  raised where the result is asked for
            self._failure = as_exception(failure)
        self._ended_at = time.monotonic()
        del self  # the failure's traceback holds this frame: no circle, which lives until a gc

    @property
    def is_late(self) -> bool:
        """Whether it takes longer than usual, or has to wait for a thread."""
        return self._ended_at is None and self.seconds >= BRIEFLY

    @property
    def is_slow(self) -> bool:
        """Whether it keeps a thread for long."""
        if self._began_at is None or self._ended_at is not None:
            return False
        return time.monotonic() - self._began_at >= SLOW_AFTER

    @property
    def is_outdated(self) -> bool:
        """Whether its result is too old."""
        return self._ended_at is not None and time.monotonic() - self._ended_at > KEPT

    @property
    def seconds(self) -> float:
        """How long ago it was asked for."""
        return time.monotonic() - self._asked_at

    def has_ended(self, patience: float) -> bool:
        """Wait till so many seconds after it was asked for; return whether it ended."""
        wait([self._future], patience - self.seconds)
        return self._ended_at is not None

    def result(self) -> object:
        """Return what it returned, or raise what it raised."""
        try:
            if self._failure is not None:
                raise self._failure
            return self._result
        finally:
            del self  # as in `_run`


class PatientCalls:
    """Calls by key, one of each key at a time. Safe for threads."""

    def __init__(self, name: str) -> None:
        """Take what the threads are called."""
        self._calls: dict[Hashable, _Call] = {}
        self._threads = DaemonThreadPool(THREADS, name, self._count_slow)
        self._lock = threading.Lock()

    def ask(self, key: Hashable, function: Callable[[], T], patience: float) -> T:
        """Return what a function returns, or raise what it raises.

        A call of the same key that is running or was late is used instead of a new one.

        Args:
            key: What is asked for.
            function: The call.
            patience: How many seconds the call is waited for, from when it was first asked for.

        Raises:
            LateError: It takes longer. Ask again for its result.
        """
        with self._lock:
            call = self._calls.get(key)
            if call is None or call.is_outdated:
                call = self._calls[key] = _Call(function, self._threads)
        if not call.has_ended(patience):
            self._threads.grow()
            raise LateError(call.seconds)
        with self._lock:
            if self._calls.get(key) is call:
                del self._calls[key]
        try:
            return cast(T, call.result())
        finally:
            del call  # as in `_Call`

    def ask_briefly(self, key: Hashable, function: Callable[[], T]) -> T:
        """Do as `ask` does, for a loop, which doesn't wait while any call is late.

        So it waits for the first of many slow calls, and not for each.
        """
        is_any_late = any(call.is_late for call in list(self._calls.values()))
        return self.ask(key, function, 0.0 if is_any_late else BRIEFLY)

    def close(self) -> None:
        """End the threads, once their calls have returned."""
        self._threads.shutdown()

    def _count_slow(self) -> int:
        return sum(call.is_slow for call in list(self._calls.values()))
