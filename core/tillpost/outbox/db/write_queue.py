"""Queues a process's threads that want to write to one SQLite file.

SQLite lets one transaction write at a time, and whoever waits for it only polls. So the threads of
a process wait here for one another, in the sequence in which they came.

A turn ends however its thread is interrupted, as by the exception of a signal's handler: Ctrl-C, or
a task queue's time limit. A single lock can't promise that: between `acquire(timeout=...)` and the
`try` that follows, an interruption leaves it held for good. Here each turn holds a lock of its own
by `with`, which Python doesn't interrupt, and waits for the lock of the turn before it, for which
nobody else waits.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["WriteQueue"]


class WriteQueue:
    """A queue of threads. Handlers of signals may write, too."""

    def __init__(self) -> None:
        self._last = threading.Lock()

    @contextmanager
    def turn(self, seconds: float) -> Generator[bool]:
        """Wait for one's turn, which lasts until the end of the block.

        Args:
            seconds: How long to wait at most.

        Yields:
            Whether the turn has come; if not, those behind no longer wait for it.
        """
        mine = threading.Lock()
        with mine:
            before, self._last = self._last, mine
            has_come = before.acquire(timeout=seconds)
            if has_come:
                # Another thread may have read `_last` at the same moment, and waits for it, too.
                before.release()
            yield has_come
