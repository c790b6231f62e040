"""The clock of a Till, which tests can move on instead of waiting."""

from __future__ import annotations

from collections.abc import Callable

import stamina

__all__ = ["SkippingClock"]


class SkippingClock:
    """Returns epoch seconds. Under `stamina.set_testing`, waits are skipped by moving it on."""

    __slots__ = ("_now", "_skipped")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._skipped = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self._now() + self._skipped

    def skip(self, seconds: float) -> bool:
        """Move the clock on instead of waiting; return whether that was done."""
        if not stamina.is_testing():
            return False
        self._skipped += max(0.0, seconds)
        return True
