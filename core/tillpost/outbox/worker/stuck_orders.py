"""Finds the orders of a worker whose handling makes no progress.

Each step of an order's handling is bounded: a request by the time limit of an answer, a menu import
by its own. An order that takes longer than its step may is stuck, in an adapter or a hook that
hangs. A thread can't be stopped from outside. So the processor releases the order, and the thread
finds its claim lost when it goes on.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from tillpost.outbox.orders.claims import Claim

__all__ = ["PATIENCE", "StuckOrders"]

PATIENCE = 120.0
"""Seconds that a step may take beyond the limit of its request or menu import."""


@dataclass(slots=True)
class _Handled:
    claim: Claim
    patient_until: float


class StuckOrders:
    """Watches the orders that a worker handles. Safe for threads."""

    def __init__(self) -> None:
        self._handled: dict[int, _Handled] = {}
        self._lock = threading.Lock()

    def begin(self, claim: Claim) -> None:
        """Note that the handling of an order begins."""
        with self._lock:
            self._handled[id(claim)] = _Handled(claim, time.monotonic() + PATIENCE)

    def begin_step(self, claim: Claim, limit: float) -> None:
        """Note that the next step begins.

        What isn't watched, or was stuck before, is left alone.

        Args:
            claim: The order's claim.
            limit: The step's own time limit, in seconds.
        """
        with self._lock:
            handled = self._handled.get(id(claim))
            if handled:
                handled.patient_until = time.monotonic() + limit + PATIENCE

    def end(self, claim: Claim) -> None:
        """Note that the handling of an order has ended."""
        with self._lock:
            self._handled.pop(id(claim), None)

    def take(self) -> list[Claim]:
        """Return the claims of orders that are stuck, each once."""
        now = time.monotonic()
        with self._lock:
            handled = self._handled.values()
            stuck = [each.claim for each in handled if now > each.patient_until]
            for claim in stuck:
                del self._handled[id(claim)]
        return stuck
