"""Fair shares of a worker's threads for connections.

They are fair however slow some platforms are.

An order that has been handled for `SLOW_AFTER` seconds is slow. Two rules follow from that:

- A slow order no longer counts among the worker's threads: another thread takes its place.
- A connection with a quarter of the threads in slow orders begins no further one, and neither do
  the connections of a host with half of them.

So a platform that hangs holds a limited number of threads, and holds up orders for other platforms
by `SLOW_AFTER` seconds at most. Polls and checks are shared out in the same way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["SLOW_AFTER", "ThreadShares"]

Key = TypeVar("Key", bound=Hashable)

SLOW_AFTER = 3.0
"""An order usually takes less than this, in seconds."""


@dataclass(frozen=True, slots=True)
class _Running:
    connection: str
    host: str
    began_at: float

    @property
    def is_slow(self) -> bool:
        return time.monotonic() - self.began_at >= SLOW_AFTER


class ThreadShares(Generic[Key]):
    """What a worker is handling now, and what it may begin. Safe for threads.

    Args:
        threads: How many orders the worker handles at once, without the slow ones.
    """

    def __init__(self, threads: int) -> None:
        self._of_connection = max(1, threads // 4)
        self._of_host = max(1, threads // 2)
        self._running: dict[Key, _Running] = {}
        self._lock = threading.Lock()

    def begin(self, key: Key, connection: str, host: str) -> None:
        """Note that something begins; `key` names it."""
        with self._lock:
            self._running[key] = _Running(connection, host, time.monotonic())

    def end(self, key: Key) -> None:
        """Note that it has ended."""
        with self._lock:
            self._running.pop(key, None)

    def may_begin(self, connection: str, host: str) -> bool:
        """Return whether the connection may begin another one now."""
        slow = self._slow()
        of_connection = sum(running.connection == connection for running in slow)
        of_host = sum(running.host == host for running in slow)
        return of_connection < self._of_connection and of_host < self._of_host

    def is_quick(self, key: Key | None) -> bool:
        """Return whether it is running, and isn't slow yet."""
        with self._lock:
            running = None if key is None else self._running.get(key)
        return running is not None and not running.is_slow

    @property
    def running(self) -> int:
        """How many are running."""
        return len(self._running)

    @property
    def slow(self) -> int:
        """How many of them are slow."""
        return len(self._slow())

    def current(self) -> set[Key]:
        """Return the keys of all that are running."""
        with self._lock:
            return set(self._running)

    def _slow(self) -> list[_Running]:
        with self._lock:
            return [running for running in self._running.values() if running.is_slow]
