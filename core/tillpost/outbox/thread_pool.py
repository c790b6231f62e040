"""A thread pool that slow tasks don't block.

Its threads don't keep the program from ending. `concurrent.futures` has no daemon threads: Python
waits for its threads when it ends, however long a task hangs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import TypeAlias

from tillpost.errors import as_exception
from tillpost.models.safe_text import safe_logger

__all__ = ["SPARE", "DaemonThreadPool"]

log = safe_logger("tillpost.outbox")

SPARE = 4
"""How many times its size a pool may grow by, for tasks that are slow."""

_Task: TypeAlias = tuple["Future[None]", Callable[[], object]]


def _none() -> int:
    return 0


class DaemonThreadPool:
    """Up to `size` daemon threads, started as needed, others in place of slow ones.

    Args:
        size: How many tasks run at once.
        name: What the threads are called.
        slow: Returns how many tasks are slow: these don't count, up to `SPARE` times the size.
    """

    def __init__(self, size: int, name: str, slow: Callable[[], int] = _none) -> None:
        self.size = size
        self._name = name
        self._slow = slow
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._unfinished: set[Future[None]] = set()
        self._started = 0
        self._lock = threading.Lock()

    @property
    def idle_threads(self) -> int:
        """How many more tasks would begin at once. Below 0 if tasks wait for a thread."""
        return self._limit() - len(self._unfinished)

    @property
    def busy(self) -> bool:
        """Whether a task isn't finished."""
        return bool(self._unfinished)

    def submit(self, task: Callable[[], object]) -> Future[None]:
        """Run a task in the next idle thread.

        What it raises is logged, and kept in the future.
        """
        future: Future[None] = Future()
        limit = self._limit()
        with self._lock:
            self._unfinished.add(future)
            if self._started < min(limit, len(self._unfinished)):
                self._start_thread()
        self._tasks.put((future, task))
        return future

    def grow(self) -> None:
        """Start threads for tasks that wait for one, as far as the limit allows by now."""
        limit = self._limit()
        with self._lock:
            while self._started < min(limit, len(self._unfinished)):
                self._start_thread()

    def wait(self, seconds: float, *, for_one: bool = False) -> bool:
        """Wait until all tasks are finished, or with `for_one` until one is.

        Returns:
            Whether that was so within the time.
        """
        with self._lock:
            unfinished = set(self._unfinished)
        until = "FIRST_COMPLETED" if for_one else "ALL_COMPLETED"
        finished, left = wait(unfinished, seconds, return_when=until)
        if for_one:
            return bool(finished)
        return not left

    def shutdown(self) -> None:
        """End the threads once their tasks are finished.

        Tasks that haven't begun are cancelled. One that is submitted later gets a new thread.
        """
        with self._lock:
            for future in self._unfinished:
                future.cancel()
            for _ in range(self._started):
                self._tasks.put(None)
            self._started = 0

    def _limit(self) -> int:
        return self.size + min(self._slow(), SPARE * self.size)

    def _start_thread(self) -> None:
        self._started += 1
        name = f"{self._name}-{self._started}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while (next_task := self._tasks.get()) is not None:
            future, task = next_task
            try:
                if future.set_running_or_notify_cancel():
                    task()
                    future.set_result(None)
            except BaseException as failure:
                log.exception("task_failed threads=%s", self._name)
                future.set_exception(as_exception(failure))
            finally:
                with self._lock:
                    self._unfinished.discard(future)
                del next_task, future, task  # an idle thread keeps nothing of its last task
