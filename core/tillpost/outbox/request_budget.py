"""The budget of the requests that workers send besides submitting orders.

A platform counts all requests alike. So that orders always have room, the store checks, polls and
menu imports of all workers together send at most `OutboxSettings.background_rate` requests a second
to one host. Each kind of task has a share of its own in `SHARES`, so that none waits for another to
end: a host whose stores have thousands of orders to poll has its stores checked all the same.

A share is a token bucket. A task begins unless the bucket is empty, and counts as the requests that
tasks of its kind usually send.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tillpost.outbox.settings import OutboxSettings

__all__ = [
    "CHECK",
    "MENU_IMPORT",
    "POLL",
    "RECHECK",
    "SHARES",
    "RequestBudget",
    "check_gap",
    "check_interval",
]

CHECK = "store_check"
RECHECK = "store_recheck"
POLL = "poll"
MENU_IMPORT = "menu_import"

BURST = 2.0
"""For how many seconds a share adds up while nothing is sent."""


class Share(NamedTuple):
    """A kind of task: its part of the budget, and how many requests one is counted as."""

    part: float
    requests: float


SHARES: Mapping[str, Share] = {
    POLL: Share(0.5, 1),
    # Platforms are asked for the token, the store or its register: one to three requests.
    CHECK: Share(0.3, 2),
    # The part of the checks' share for stores that fail, which are checked again soon. It is spent
    # when such a check is planned, so that in an outage of thousands of stores the checks that are
    # due stay as many as can be made in time.
    RECHECK: Share(0.1, 2),
    # unconfirmed: how many pages a store's menu has; pages of 25 to 1,000 entries are known. The
    # requests of an import at each platform would show it.
    MENU_IMPORT: Share(0.2, 10),
}


def check_interval(settings: OutboxSettings, connections: int) -> float:
    """Return how many seconds pass between two checks of a store.

    It is `check_every`, or what the checks' share of the budget allows for so many connections.

    >>> [round(check_interval(OutboxSettings(), count)) for count in (100, 2_000, 10_000)]
    [60, 500, 2500]
    """
    return max(settings.check_every, connections * check_gap(settings))


def check_gap(settings: OutboxSettings) -> float:
    """Return the seconds between the checks of two stores that are due together.

    >>> round(check_gap(OutboxSettings()), 3)
    0.25
    """
    part = SHARES[CHECK].part - SHARES[RECHECK].part
    return SHARES[CHECK].requests / (part * settings.background_rate)


@dataclass(slots=True)
class _Bucket:
    level: float
    filled_at: float


class RequestBudget:
    """What one worker may still send to each host. Safe for threads.

    Args:
        rate: How many requests a second all workers together may send to one host.
        clock: Returns monotonic seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._lock = threading.Lock()
        self.workers = 1
        """How many workers share the budget."""

    def allows(self, kind: str, host: str) -> bool:
        """Return whether a task of a kind may begin at a host now."""
        with self._lock:
            return self._bucket(kind, host).level > 0

    def spend(self, kind: str, host: str, tasks: int = 1) -> None:
        """Count the requests of so many tasks of a kind at a host."""
        with self._lock:
            self._bucket(kind, host).level -= tasks * SHARES[kind].requests

    def _bucket(self, kind: str, host: str) -> _Bucket:
        """Return a bucket, filled up to now."""
        now = self._clock()
        rate = SHARES[kind].part * self._rate / max(1, self.workers)
        most = rate * BURST
        bucket = self._buckets.setdefault((kind, host), _Bucket(most, now))
        bucket.level = min(most, bucket.level + rate * (now - bucket.filled_at))
        bucket.filled_at = now
        return bucket
