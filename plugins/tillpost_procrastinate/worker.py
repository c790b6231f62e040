"""A worker that Procrastinate's jobs wake, and that looks into the store besides: a lost job costs time, not an order.

A job has its order processed, and then whatever else is due. So do orders that have been due for a
moment without anybody having taken them: those of dead workers, of jobs that were lost, of a
connection that was full or comes back from an outage, and such as were added under another engine.
Jobs aren't deferred for these, so no queue can grow.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from functools import partial

from tillpost.outbox import DatabaseError, Processor
from tillpost.outbox.orders.claims import Claim
from tillpost.outbox.thread_pool import DaemonThreadPool
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost_procrastinate.jobs import Jobs

__all__ = ["ProcrastinateWorker"]

log = logging.getLogger("tillpost.outbox")

LOOK_EVERY = 0.5
"""How often the store is asked for orders that nobody was woken for, in seconds."""

LATE = 1.0
"""Orders are such when they have been due for so many seconds."""

GRACE = 6.0
"""How long a worker that was told to stop waits for the orders in hand, in seconds."""

STORE_AGAIN = 1.0


class ProcrastinateWorker:
    """Runs a processor until it is stopped."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._tending = Maintenance(processor)
        self._threads = processor.outbox.settings.threads
        self._crew = DaemonThreadPool(self._threads, "tillpost-order")
        self._stopped = False

    def stop(self) -> None:
        """Ask the worker to stop. Safe in a signal handler and from any thread."""
        self._stopped = True
        self._processor.take_no_more()

    def run(self, *, until_idle: bool = False) -> None:
        """Work until stopped, or until idle. Store failures are logged and waited out."""
        self._crew = DaemonThreadPool(self._threads, "tillpost-order")
        jobs = Jobs(self._processor.outbox.database.engine.url, self._threads, GRACE, self._woken)
        jobs.start()
        try:
            while not self._stopped:
                try:
                    self._tending.tend()
                    self._take_late_ones()
                    if until_idle and not self._crew.busy and self._tending.idle():
                        return
                except DatabaseError as trouble:
                    log.warning("%s", trouble)
                    time.sleep(STORE_AGAIN)
                    continue
                time.sleep(LOOK_EVERY)
        finally:
            jobs.stop()
            self._crew.wait(GRACE)
            self._crew.dismiss()
            jobs.join(1.0)

    def _woken(self, order_id: str) -> Future[None]:
        return self._crew.submit(partial(self._process, order_id))

    def _process(self, order_id: str) -> None:
        try:
            self._processor.process(order_id)
            self._go_on()
        except DatabaseError as trouble:
            log.warning("order %s is looked for again: %s", order_id, trouble)

    def _take_late_ones(self) -> None:
        late = self._processor.clock() - LATE
        if self._crew.spare > 0 and any(
            due_at <= late for due_at in self._processor.claims.next_due_by_connection().values()
        ):
            for claim in self._processor.claim(self._crew.spare):
                self._crew.submit(partial(self._handle, claim))

    def _handle(self, claim: Claim) -> None:
        try:
            self._processor.handle(claim)
            self._go_on()
        except DatabaseError as trouble:
            log.warning("%s", trouble)

    def _go_on(self) -> None:
        """Take whatever is due, one after another."""
        while claims := self._processor.claim(1):
            self._processor.handle(claims[0])
