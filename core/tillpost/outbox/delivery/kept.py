"""A bounded collection that lets go of what isn't used.

What is let go but in use somewhere is found again by its name, so that nothing exists twice.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

__all__ = ["Kept"]

T = TypeVar("T")


class Kept(Generic[T]):
    """Objects by name, the most recently used ones. Not safe for threads.

    Args:
        most: How many are kept.
        idle: After how many seconds without use one is let go.
        is_large: Whether an object takes much memory at the moment.
        most_large: How many of those are kept.
    """

    def __init__(
        self, most: int, idle: float, is_large: Callable[[T], bool], most_large: int
    ) -> None:
        self._most = most
        self._idle = idle
        self._is_large = is_large
        self._most_large = most_large
        self._kept: OrderedDict[str, tuple[T, float]] = OrderedDict()
        self._large: OrderedDict[str, None] = OrderedDict()
        self._in_use: WeakValueDictionary[str, T] = WeakValueDictionary()

    def __len__(self) -> int:
        """Return how many are kept; others may be in use."""
        return len(self._kept)

    def use(self, name: str) -> T | None:
        """Return the object of that name, which is used now; None if there is none."""
        found = self._in_use.get(name)
        if found is not None:
            self._note_use(name, found)
        return found

    def put(self, name: str, item: T) -> None:
        """Put an object in the place of any with this name; it is used now."""
        self._in_use[name] = item
        self._note_use(name, item)

    def remove(self, name: str) -> None:
        """Forget the object of that name, if there is one."""
        self._in_use.pop(name, None)
        self._let_go(name)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._large.clear()
        self._in_use.clear()

    def _note_use(self, name: str, item: T) -> None:
        now = time.monotonic()
        self._kept[name] = (item, now)
        self._kept.move_to_end(name)
        if self._is_large(item):
            self._large[name] = None
            self._large.move_to_end(name)
        if len(self._large) > self._most_large:
            self._let_go(next(iter(self._large)))
        while self._kept:
            oldest, (_, used_at) = next(iter(self._kept.items()))
            if len(self._kept) <= self._most and now - used_at < self._idle:
                return
            self._let_go(oldest)

    def _let_go(self, name: str) -> None:
        self._kept.pop(name, None)
        self._large.pop(name, None)
