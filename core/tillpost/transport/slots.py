"""A limit on the exchanges that use the network at once.

No interruption can break it. A signal handler may raise at any instruction: after a semaphore was
acquired and before anybody knows of it, or in the `finally` that would release it. Each time a slot
would be lost, until no request got one any more. So nothing is counted up and down here, and no
lock is held: the slots in use are those of the exchanges that aren't over. An exchange is over at
its deadline at the latest.
"""

from __future__ import annotations

import time

__all__ = ["RECHECK", "Exchanges", "Timed"]

RECHECK = 0.25
"""After how many seconds one that waits for a slot looks again, if not woken."""


class Timed:
    """What has a deadline, and is over then or before.

    Attributes:
        deadline: When it is over at the latest, on the clock of `time.monotonic`.
        ended: Whether it is over already.
    """

    __slots__ = ("deadline", "ended")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.ended = False

    @property
    def is_over(self) -> bool:
        """Whether it needs nothing any more."""
        return self.ended or time.monotonic() >= self.deadline


class Exchanges:
    """The exchanges that are under way, at most so many.

    It is safe for threads, without a lock.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: set[Timed] = set()

    def add(self, exchange: Timed) -> bool:
        """Add an exchange; return False, and don't add it, if there are too many."""
        # Added first: of two threads that want the last slot, at least one sees the other.
        self._running.add(exchange)
        if len(self._running) <= self._most:
            return True
        for other in tuple(self._running):
            if other.is_over:
                self._running.discard(other)
        if len(self._running) <= self._most:
            return True
        self._running.discard(exchange)
        return False

    def remove(self, exchange: Timed) -> None:
        """Remove an exchange. It needs not be there."""
        self._running.discard(exchange)
