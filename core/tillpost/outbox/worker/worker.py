"""The embedded engine: one process that looks into the store, takes what is due, and handles it in threads.

`Worker.run` ends when it is told to stop (orders in hand are carried as far as they go, for at most
`GRACE` seconds) or, with `until_idle`, when nothing is left that would become due by itself soon.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Protocol, runtime_checkable

from tillpost.outbox.engine import Engine
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.thread_pool import DaemonThreadPool
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.processor import Processor

__all__ = ["OwnWorkers", "Runs", "Worker", "worker_for"]

log = logging.getLogger("tillpost.outbox")

LOOK_EVERY = 0.2
"""How often the store is asked for due orders, in seconds, while there are none."""

GRACE = 7.0
"""How long a worker that was told to stop waits for the orders in hand, in seconds."""

STORE_AGAIN = 1.0
"""After the database failed it is asked again in so many seconds."""


class Runs(Protocol):
    """A worker: what `tillpost worker` runs."""

    def run(self, *, until_idle: bool = False) -> None:
        """Work until stopped, or until nothing is left that would become due soon."""
        ...

    def stop(self) -> None:
        """Ask `run` to end, within 10 seconds. Safe in a signal handler and from any thread."""
        ...


@runtime_checkable
class OwnWorkers(Engine, Protocol):
    """An engine with workers of its own. Under any other engine the bundled `Worker` runs."""

    def worker(self, processor: Processor) -> Runs:
        """Return the worker. The processor is entered while it runs, and not by it."""
        ...


def worker_for(processor: Processor) -> Runs:
    """Return the worker of the outbox's engine, or the bundled one where the engine has none."""
    engine = processor.outbox.engine
    return engine.worker(processor) if isinstance(engine, OwnWorkers) else Worker(processor)


class Worker:
    """Runs a processor until it is stopped."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._threads = processor.outbox.settings.threads
        self._stopped = False  # and no Event, whose lock a signal handler could find held by the thread that it is in
        self._tending = Maintenance(processor)

    def stop(self) -> None:
        """Ask the worker to stop. Safe in a signal handler and from any thread."""
        self._stopped = True

    def run(self, *, until_idle: bool = False) -> None:
        """Work until stopped, or until idle. Store failures are logged and waited out."""
        crew = DaemonThreadPool(self._threads, "tillpost-order")
        try:
            while not self._stopped:
                try:
                    self._tending.tend()
                    claims = (
                        self._processor.claim(crew.idle_threads) if crew.idle_threads > 0 else []
                    )
                    if until_idle and not claims and not crew.busy and self._tending.idle():
                        return
                except DatabaseError as trouble:
                    log.warning("%s", trouble)
                    time.sleep(STORE_AGAIN)
                    continue
                for claim in claims:
                    crew.submit(partial(self._processor.handle, claim))
                if not claims:
                    self._pause(crew)
        finally:
            crew.wait(GRACE)
            crew.shutdown()
            self._tending.close()

    def _pause(self, crew: DaemonThreadPool) -> None:
        """Wait until something is in hand no more, or for a moment."""
        if crew.idle_threads <= 0:
            crew.wait(LOOK_EVERY, for_one=True)
        elif crew.busy:
            if not crew.wait(LOOK_EVERY / 10, for_one=True):
                time.sleep(LOOK_EVERY / 10)
        else:
            time.sleep(LOOK_EVERY)
