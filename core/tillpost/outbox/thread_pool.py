"""Threads that work things off, a bounded number at once. One that hangs doesn't hold the program up at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import TypeAlias

__all__ = ["DaemonThreadPool"]

_Task: TypeAlias = tuple["Future[None]", Callable[[], object]]


class DaemonThreadPool:
    """Up to `size` threads, started as they are needed.

    They are daemons, unlike those of `concurrent.futures`, for which Python waits when it ends,
    however long that is.
    """

    def __init__(self, size: int, name: str) -> None:
        self.size = size
        self._name = name
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._left: set[Future[None]] = set()
        self._started = 0
        self._lock = threading.Lock()

    @property
    def spare(self) -> int:
        """How many more tasks would be begun at once. Below 0 when some wait for a thread."""
        return self.size - len(self._left)

    @property
    def busy(self) -> bool:
        """Whether a task isn't done yet."""
        return bool(self._left)

    def submit(self, task: Callable[[], object]) -> Future[None]:
        """Have a task done by the next thread that is free."""
        done: Future[None] = Future()
        with self._lock:
            self._left.add(done)
            if self._started < min(self.size, len(self._left)):
                self._started += 1
                threading.Thread(
                    target=self._work, name=f"{self._name}-{self._started}", daemon=True
                ).start()
        self._tasks.put((done, task))
        return done

    def wait(self, seconds: float, *, for_one: bool = False) -> bool:
        """Wait until all tasks are done, or one of them is; return whether that was so within the time."""
        with self._lock:
            left = set(self._left)
        done, undone = wait(
            left, seconds, return_when="FIRST_COMPLETED" if for_one else "ALL_COMPLETED"
        )
        return bool(done) if for_one else not undone

    def dismiss(self) -> None:
        """Let the threads go that have nothing to do, the others when they are done. What isn't begun isn't done."""
        with self._lock:
            for done in self._left:
                done.cancel()
            for _ in range(self._started):
                self._tasks.put(None)

    def _work(self) -> None:
        while (next_one := self._tasks.get()) is not None:
            done, task = next_one
            try:
                if done.set_running_or_notify_cancel():
                    task()
                    done.set_result(None)
            except BaseException as failure:  # noqa: BLE001  it is whose who waits for the task
                done.set_exception(failure)
            finally:
                with self._lock:
                    self._left.discard(done)
