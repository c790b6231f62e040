"""A worker's life: it gives signs of life, sees who else has died, and knows when it must no longer act.

`Heartbeat` runs in a thread of its own beside the work. Nothing here depends on the time of day: a
beat that stands still for a lease, by the observer's own steady clock, means death, and a worker
whose own last beat is that old believes the same of itself. So a worker that was paused, or whose
machine slept, or whose clock was set, stops before another takes its orders over; but for a pause
between its last look at the clock and the sending of a request, which nothing can close.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.orders.claims import LeaseLostError
from tillpost.outbox.orders.workers import WorkerRegistry

__all__ = ["Heartbeat", "steady"]

log = logging.getLogger("tillpost.outbox")

BEATS_A_LEASE = 5
"""So often within a lease a worker gives a sign of life, and looks for those of others."""

SAFE_SHARE = 0.7
"""A worker acts within this share of its lease, counted from its last sign of life; the rest is for the request."""


def steady() -> float:
    """Return seconds that pass steadily, also while the machine is suspended where its system (Linux) counts those.

    `time.monotonic` stands still then, so a worker would wake up sure of a lease that had run out
    long ago.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


class Heartbeat:
    """One worker's life. A context manager: it enlists, and retires properly at the end.

    `lease` is in seconds. `clock` tells the time for the store's rows only.
    """

    def __init__(
        self, workers: WorkerRegistry, lease: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._workers = workers
        self._lease = lease
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}
        self._sure_until = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, name="tillpost-life", daemon=True)
        self._beginning = threading.Lock()
        self.worker = ""

    def enlisted(self) -> str:
        """Return the worker's name; it enlists first if it hasn't yet. For who may never need one. Safe for threads."""
        with self._beginning:
            if not self.worker:
                self.__enter__()
            return self.worker

    def __enter__(self) -> Self:
        """Enlist. Raises `DatabaseError` when the store can't be written."""
        self._enlist()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Retire: what is still in hand is free at once. Who never enlisted has nothing to do."""
        if not self.worker:
            return
        self._stop.set()
        self._thread.join()
        self._sure_until = (
            0.0  # before others may take over what a thread that hangs still has in hand
        )
        try:
            self._workers.retire(self.worker, self._clock())
        except DatabaseError as trouble:
            log.warning(
                "the worker couldn't retire, so its orders are free after its lease: %s", trouble
            )

    def check(self, worker: str) -> None:
        """Raise `LeaseLostError` unless the worker of that name is surely taken for alive by everybody."""
        if worker != self.worker or steady() >= self._sure_until:
            raise LeaseLostError(worker)

    def _enlist(self) -> None:
        before = steady()
        self.worker = self._workers.enlist(self._clock())
        self._sure_until = before + self._lease * SAFE_SHARE

    def _live(self) -> None:
        while not self._stop.wait(self._lease / BEATS_A_LEASE):
            try:
                self._beat()
                self._bury_the_dead()
            except DatabaseError as trouble:
                log.warning("no sign of life could be given: %s", trouble)
                self._seen = {}  # nor could others give one: how long they are silent counts from the next look on
            except Exception:
                log.exception("no sign of life could be given")

    def _beat(self) -> None:
        before = steady()
        if self._workers.beat(self.worker):
            self._sure_until = before + self._lease * SAFE_SHARE
        else:
            log.warning(
                "this worker was taken for dead (was it paused?); it goes on under a new name"
            )
            self._enlist()

    def _bury_the_dead(self) -> None:
        now, seen = steady(), self._seen
        self._seen = {
            worker: seen[worker] if worker in seen and seen[worker][0] == beat else (beat, now)
            for worker, beat in self._workers.beats().items()
            if worker != self.worker
        }
        for worker, (beat, since) in self._seen.items():
            if now - since >= self._lease:
                try:
                    freed = self._workers.reap(worker, beat, self._clock())
                except DatabaseError as trouble:
                    log.warning(
                        "worker %s gives no sign of life, and can't be buried yet: %s",
                        worker,
                        trouble,
                    )
                    return
                log.warning(
                    "worker %s gave no sign of life for %.0f s; %d orders are free",
                    worker,
                    now - since,
                    freed,
                )
