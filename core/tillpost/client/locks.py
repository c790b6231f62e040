"""Locks by name within a process, such as one submitter for each order at a time.

A lock is forgotten when nobody holds it or waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

__all__ = ["NamedAsyncLocks", "NamedLocks"]


class NamedLocks:
    """Locks by name, for threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._users: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def hold(self, name: str) -> Generator[None, None, None]:
        """Hold the lock of that name."""
        with self._guard:
            self._users[name] += 1
            lock = self._locks[name]
        try:
            with lock:
                yield
        finally:
            with self._guard:
                self._leave(name)

    def _leave(self, name: str) -> None:
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name]
            del self._locks[name]


class NamedAsyncLocks:
    """Locks by name, for the tasks of one event loop."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._users: defaultdict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncGenerator[None, None]:
        """Hold the lock of that name."""
        self._users[name] += 1
        lock = self._locks[name]
        try:
            async with lock:
                yield
        finally:
            self._leave(name)

    def _leave(self, name: str) -> None:
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name]
            del self._locks[name]
