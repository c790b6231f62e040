"""The bundled worker: one process that claims due orders.

It processes them in threads. When `Worker.run` is asked to stop, the orders in its threads are
processed as far as possible for `GRACE` seconds; closing the rest takes some seconds more. With
`until_idle` it also returns when no order will become due soon. `tillpost worker` runs it, unless
the outbox's engine has workers of its own.
"""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

from tillpost.models.arguments import require_type
from tillpost.outbox.engine import Engine
from tillpost.outbox.orders.claims import Claim
from tillpost.outbox.thread_pool import DaemonThreadPool
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.processor import Processor

__all__ = ["OwnWorkers", "Runs", "Worker", "worker_for"]

POLL_INTERVAL = 0.2
"""Seconds between two queries for due orders, while there are none."""

BUSY_POLL_INTERVAL = POLL_INTERVAL / 10
"""The same while orders are being processed."""

GRACE = 7.0
"""Seconds that a stopping worker waits for the orders that it is processing."""


class Runs(Protocol):
    """A worker, as run by `tillpost worker`."""

    def run(self, *, until_idle: bool = False) -> None:
        """Process orders until stopped or, with `until_idle`, until none will be due soon."""
        ...

    def stop(self) -> None:
        """Make `run` return within some 10 seconds.

        Safe in a signal handler and from any thread.
        """
        ...


@runtime_checkable
class OwnWorkers(Engine, Protocol):
    """An engine that has workers of its own; other engines use the bundled `Worker`."""

    def worker(self, processor: Processor) -> Runs:
        """Return a worker. The caller enters and leaves the processor around its `run`."""
        ...


def worker_for(processor: Processor) -> Runs:
    """Return a worker of the outbox's engine, or the bundled one."""
    engine = processor.outbox.engine
    if isinstance(engine, OwnWorkers):
        return engine.worker(processor)
    return Worker(processor)


class _Step(NamedTuple):
    """One step of the loop: what it claimed, and whether nothing is left to wait for."""

    claims: list[Claim]
    is_last: bool


class Worker:
    """Runs a processor until it is stopped."""

    def __init__(self, processor: Processor) -> None:
        require_type("processor", processor, Processor)
        self._processor = processor
        self._thread_count = processor.outbox.settings.threads
        # Not an Event: a signal handler may interrupt the thread that holds its lock.
        self._stopped = False
        self._maintenance = Maintenance(processor, in_threads=True)

    def stop(self) -> None:
        """Ask the worker to stop. Safe in a signal handler and from any thread."""
        self._stopped = True

    def run(self, *, until_idle: bool = False) -> None:
        """Process orders until stopped, or until idle.

        Failures are logged, and retried after a pause. A `ConfigError` and an
        interruption are raised.
        """
        threads = DaemonThreadPool(
            self._thread_count, "tillpost-order", lambda: self._processor.slow
        )
        try:
            while not self._stopped:
                step = self._processor.attempt(partial(self._step, threads, until_idle=until_idle))
                if step is None:
                    continue
                if step.is_last:
                    return
                for claim in step.claims:
                    threads.submit(partial(self._processor.handle, claim))
                if not step.claims:
                    self._wait(threads)
        finally:
            self._processor.progress(ended=True)
            threads.wait(GRACE)
            threads.shutdown()
            self._maintenance.close()

    def _step(self, threads: DaemonThreadPool, *, until_idle: bool) -> _Step:
        self._maintenance.tend()
        claims = self._claim(threads)
        is_last = until_idle and not claims and self._is_idle(threads)
        return _Step(claims, is_last)

    def _claim(self, threads: DaemonThreadPool) -> list[Claim]:
        """Claim as many due orders as there are free threads."""
        if threads.idle_threads <= 0:
            return []
        return self._processor.claim(threads.idle_threads)

    def _is_idle(self, threads: DaemonThreadPool) -> bool:
        return not threads.busy and self._maintenance.idle()

    def _wait(self, threads: DaemonThreadPool) -> None:
        """Wait for a thread to become free, or for a moment."""
        if threads.idle_threads <= 0:
            threads.wait(POLL_INTERVAL, for_one=True)
        elif threads.busy:
            is_one_done = threads.wait(BUSY_POLL_INTERVAL, for_one=True)
            if not is_one_done:
                time.sleep(BUSY_POLL_INTERVAL)
        else:
            time.sleep(POLL_INTERVAL)
