"""A worker's heartbeat, and the reaping of dead workers.

The heartbeat proves that a worker gets on with its work. `Heartbeat` runs in a thread beside the
work. Nothing here depends on the time of day. A worker whose counter is unchanged for the whole of
its own lease, by the observer's steady clock, is dead. A worker begins no request once 70 % of its
lease (`SAFE_SHARE`) have passed since its last beat. So a worker that was paused, whose machine
slept or whose clock was set, stops before another takes its orders over. What remains is a pause
between the last check of its lease and the sending of a request: nothing can close that gap.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.db.clock import steady
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.orders.claims import LeaseLostError
from tillpost.outbox.orders.workers import WorkerRegistry

__all__ = ["BEATS_PER_LEASE", "Heartbeat"]

log = safe_logger("tillpost.outbox")

BEATS_PER_LEASE = 5
"""How often within a lease a worker beats, and reads the counters of others."""

SAFE_SHARE = 0.7
"""The share of its lease in which a worker may begin a request.

It counts from the worker's last beat. The rest is for the request itself.
"""


def _always() -> bool:
    return True


class _Observation(NamedTuple):
    """A worker's heartbeat counter, since when it is so, and the length of the lease."""

    beat: int
    lease: float
    since: float


class Heartbeat:
    """The heartbeat of one worker.

    A context manager: it enlists, and retires at the end.

    Args:
        workers: The registry of workers.
        lease: How long this worker may be silent before others take it for dead, in seconds.
        clock: Returns epoch seconds, for the database's rows only; the database's by default.
    """

    def __init__(
        self, workers: WorkerRegistry, lease: float, clock: Callable[[], float] | None = None
    ) -> None:
        self._workers = workers
        self._lease = lease
        self._clock = clock or workers.database.clock
        self._observed: dict[str, _Observation] = {}
        self._safe_until = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tillpost-heartbeat", daemon=True)
        self._start_lock = threading.Lock()
        self.vouch: Callable[[], bool] = _always
        """Returns whether the worker gets on. A worker that is stuck has no heartbeat."""
        self.worker = ""
        """The worker's id; empty until it is enlisted.

        It changes when the worker was reaped.
        """

    def worker_id(self) -> str:
        """Return the worker's id, and enlist it first if need be. Safe for threads."""
        with self._start_lock:
            if not self.worker:
                self.__enter__()
            return self.worker

    def __enter__(self) -> Self:
        """Enlist the worker, and start the thread.

        Raises:
            DatabaseError: the database can't be written.
        """
        self._enlist()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Retire the worker, which releases its claims. Does nothing if it never enlisted."""
        if not self.worker:
            return
        self._stop.set()
        self._thread.join()
        # First: a thread that hangs must not act on an order that others may claim now.
        self._safe_until = 0.0
        try:
            self._workers.retire(self.worker, self._clock())
        except DatabaseError as error_at_end:
            error_text = log_value(error_at_end)
            log.warning("worker_retire_failed worker=%s error=%s", self.worker, error_text)

    def check(self, worker: str) -> None:
        """Check that this worker holds its lease, and so may act on an order.

        Args:
            worker: The id under which the order was claimed.

        Raises:
            LeaseLostError: the lease has expired or is about to, or the worker has another id now.
        """
        if worker != self.worker or steady() >= self._safe_until:
            raise LeaseLostError(worker)

    def _enlist(self) -> None:
        before = steady()
        self.worker = self._workers.enlist(self._clock(), self._lease)
        self._safe_until = before + self._lease * SAFE_SHARE

    def _run(self) -> None:
        while not self._stop.wait(self._lease / BEATS_PER_LEASE):
            if not self.vouch():
                log.error("heartbeat_withheld worker=%s reason=stuck", self.worker)
                continue
            try:
                self._beat()
                self._reap_dead_workers()
            except DatabaseError as error:
                log.warning("heartbeat_failed worker=%s error=%s", self.worker, log_value(error))
                # The others couldn't beat either, so their silence counts from now on.
                self._observed = {}
            except BaseException:  # the clock is the embedder's, and this thread must live
                log.exception("heartbeat_failed worker=%s", self.worker)

    def _beat(self) -> None:
        before = steady()
        if self._workers.beat(self.worker):
            self._safe_until = before + self._lease * SAFE_SHARE
        else:
            log.warning("worker_lease_lost worker=%s", self.worker)
            self._enlist()

    def _reap_dead_workers(self) -> None:
        now = steady()
        self._observe_others(now)
        for worker, observation in self._observed.items():
            silence = now - observation.since
            if silence < observation.lease:
                continue
            try:
                released = self._workers.reap(worker, observation.beat, self._clock())
            except DatabaseError as error:
                log.warning("worker_reap_failed worker=%s error=%s", worker, log_value(error))
                return
            log.warning(
                "worker_reaped worker=%s silent_for=%.0f released=%d",
                worker,
                silence,
                released,
            )

    def _observe_others(self, now: float) -> None:
        """Note the other workers' counters, and since when each is unchanged."""
        observed: dict[str, _Observation] = {}
        for worker, pulse in self._workers.pulses().items():
            if worker == self.worker:
                continue
            previous = self._observed.get(worker)
            if previous is not None and previous.beat == pulse.beat:
                observed[worker] = previous
            else:
                observed[worker] = _Observation(pulse.beat, pulse.lease, now)
        self._observed = observed
