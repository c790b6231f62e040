"""A platform's clock, compared with ours by the `Date` header of its answers.

A search of a platform's orders begins at a time, and a clock that is hours ahead would put that
time behind the order. So what is known of the difference is recorded with each request. A
difference of more than some minutes is logged, and so is each leap of it. One of more than a day
is logged and not believed: some proxies have no clock, and send a date of 1970.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from tillpost.adapter.exchange import Fault, Response
from tillpost.adapter.http_date import MOST_SKEW
from tillpost.adapter.verdicts import date_of
from tillpost.models.safe_text import safe_logger

__all__ = ["TOLERATED_SKEW", "PlatformClock"]

log = safe_logger("tillpost")

TOLERATED_SKEW = 300.0
"""By how many seconds the two clocks may differ without being reported."""


class _Reading(NamedTuple):
    """The platform's time, and ours when its answer came.

    The platform's is in epoch seconds, ours is by a steady clock.
    """

    date: float
    seen_at: float


class PlatformClock:
    """A platform's clock as its answers show it. Safe for threads.

    `skew` is by how many seconds our clock was ahead of it at the last answer; None before one.
    """

    def __init__(self) -> None:
        self.skew: float | None = None
        self._reading: _Reading | None = None
        self._reported_skew = 0.0

    def observe(self, answer: Response | Fault, now: float, connection: str) -> None:
        """Read the platform's clock from an answer.

        A large difference, and each leap, is logged.

        Args:
            answer: The answer that has just come, or the fault.
            now: The time by our clock, in epoch seconds.
            connection: The connection's name, for the log.
        """
        date = None if isinstance(answer, Fault) else date_of(answer)
        if date is None:
            return
        self.skew = now - date
        if abs(self.skew) <= MOST_SKEW:
            self._reading = _Reading(date, time.monotonic())
        if abs(self.skew) <= TOLERATED_SKEW:
            self._reported_skew = 0.0
        elif abs(self.skew - self._reported_skew) > TOLERATED_SKEW:
            self._reported_skew = self.skew
            log.warning("clock_skew connection=%s seconds=%.0f", connection, self.skew)

    def ahead(self, now: float) -> float | None:
        """Return by how many seconds a clock that shows `now` is ahead of the platform's.

        None if no answer has shown the platform's time. An answer's way is part of the difference,
        so it is rather too large than too small.
        """
        reading = self._reading
        if reading is None:
            return None
        platform_now = reading.date + time.monotonic() - reading.seen_at
        return now - platform_now
