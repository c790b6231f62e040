"""Locks by name within a process, such as one submitter for each order at a time.

A lock is forgotten when nobody holds it or waits for it. Code that holds one and wants it again
would wait for itself, such as a hook that submits the order that it is called for. It gets a
`RuntimeError` instead, also in a task or a thread (`asyncio.to_thread`) that it has started.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from weakref import ref

__all__ = ["NamedAsyncLocks", "NamedLocks"]


class _Hold:
    """One holding of a lock, which the code that runs meanwhile can see."""

    __slots__ = ("__weakref__", "is_over", "locks", "name")

    def __init__(self, locks: object, name: str) -> None:
        self.locks = locks
        self.name = name
        self.is_over = False


_HOLDS: ContextVar[tuple[ref[_Hold], ...]] = ContextVar("tillpost_holds", default=())
"""What is held around the running code.

Tasks inherit it, so a holding may be over already. A holding lives in the frame of `_held`. So it
is over, too, when an interruption has ended that frame before its `finally`.
"""


def _current_holds() -> tuple[ref[_Hold], ...]:
    """Return the holdings around the running code that aren't over."""
    return tuple(each for each in _HOLDS.get() if (hold := each()) and not hold.is_over)


@contextmanager
def _held(locks: object, name: str) -> Generator[None]:
    """Show that a lock is held while the block runs."""
    hold = _Hold(locks, name)
    around = _current_holds()
    _HOLDS.set((*around, ref(hold)))
    try:
        yield
    finally:
        hold.is_over = True
        _HOLDS.set(around)


def _refuse_to_wait_for_itself(locks: object, purpose: str, name: str) -> None:
    """Raise `RuntimeError` if the running code is part of what holds the lock."""
    for each in _current_holds():
        hold = each()
        if hold and hold.locks is locks and hold.name == name:
            what = f"{purpose} {name}".strip()
            raise RuntimeError(
                f"{what} is under way, and this call comes from within it, as from a hook: "
                "repeat the call when that has ended"
            )


class NamedLocks:
    """Locks by name, for threads. `purpose` says for an error what is done under them."""

    def __init__(self, purpose: str = "the work on") -> None:
        self._purpose = purpose
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._users: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def hold(self, name: str = "") -> Generator[None]:
        """Hold the lock of that name.

        Raises:
            RuntimeError: The caller holds it already.
        """
        _refuse_to_wait_for_itself(self, self._purpose, name)
        with self._guard:
            self._users[name] += 1
            lock = self._locks[name]
        try:
            with lock, _held(self, name):
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
    """Locks by name, for the tasks of one event loop. See `NamedLocks`."""

    def __init__(self, purpose: str = "the work on") -> None:
        self._purpose = purpose
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._users: defaultdict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def hold(self, name: str = "") -> AsyncGenerator[None]:
        """Hold the lock of that name.

        Raises:
            RuntimeError: The caller holds it already.
        """
        _refuse_to_wait_for_itself(self, self._purpose, name)
        self._users[name] += 1
        lock = self._locks[name]
        try:
            async with lock:
                with _held(self, name):
                    yield
        finally:
            self._leave(name)

    def _leave(self, name: str) -> None:
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name]
            del self._locks[name]
