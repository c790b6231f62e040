"""The clocks of a connection: one for all of it, and one for each flow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import stamina

from tillpost.submission.journal import Event

__all__ = ["SkippingClock", "flow_clock"]


class SkippingClock:
    """A clock that returns epoch seconds.

    Under `stamina.set_testing`, waits are skipped by moving it on.
    """

    __slots__ = ("_now", "_skipped")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._skipped = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self._now() + self._skipped

    def steady(self) -> float:
        """Return the seconds of a clock that nobody sets, from an arbitrary beginning."""
        return time.monotonic() + self._skipped

    def skip(self, seconds: float) -> bool:
        """Move the clock on instead of waiting; return whether that was done."""
        if not stamina.is_testing():
            return False
        self._skipped += max(0.0, seconds)
        return True

    def catch_up(self, began: float, seconds: float) -> None:
        """Move the clock on if a wait was shorter than it should be.

        The wait began at `began` (steady). A `sleep` that a caller hands in may return at once.
        """
        self._skipped += max(0.0, began + seconds - self.steady())


def flow_clock(
    now: Callable[[], float],
    events: Iterable[Event],
    *,
    earliest: float = 0.0,
    steady: Callable[[], float] = time.monotonic,
) -> Callable[[], float]:
    """Return the clock of an order's flow.

    It never goes back behind the order's journal. The clocks of a store's machines don't agree to
    the second, and a clock may be set. So the waits of one run of the flow are counted in seconds
    of a steady clock.

    Args:
        now: Returns the time in epoch seconds. It is called once.
        events: The order's journal.
        earliest: The clock doesn't start before this time, in epoch seconds.
        steady: Returns seconds of a clock that nobody sets.
    """
    last_event_at = max((event.at for event in events), default=0.0)
    starts_at = max(now(), last_event_at, earliest)
    started = steady()
    return lambda: starts_at + steady() - started
