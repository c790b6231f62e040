"""A worker that Procrastinate's jobs wake, and that also polls.

Polling means that a lost job only costs time. A job has its order processed, and then whatever else
is due. Orders that have been due for a moment without being claimed are polled for: those of dead
workers, of lost jobs, of a connection that was full or recovers from an outage, and those added
under another engine. No jobs are deferred for them, so no queue can grow.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from functools import partial

from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox import DatabaseError, Processor
from tillpost.outbox.orders.claims import Claim
from tillpost.outbox.thread_pool import DaemonThreadPool
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost_procrastinate.jobs import Jobs

__all__ = ["ProcrastinateWorker"]

log = safe_logger("tillpost.outbox")

POLL_INTERVAL = 0.5
"""How often the database is polled for overdue orders, in seconds."""

OVERDUE = 1.0
"""How long an order must have been due to be polled for, in seconds."""

GRACE = 6.0
"""How long a worker that was asked to stop waits for orders in flight, in seconds."""


class ProcrastinateWorker:
    """A worker that runs a processor until it is stopped."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._maintenance = Maintenance(processor, in_threads=True)
        self._threads = processor.outbox.settings.threads
        self._pool = self._create_pool()
        self._stopped = False

    def stop(self) -> None:
        """Ask the worker to stop. Safe in a signal handler and from any thread."""
        self._stopped = True
        self._processor.take_no_more()

    def run(self, *, until_idle: bool = False) -> None:
        """Work until stopped, or until idle.

        Failures of the database are logged and waited out.
        """
        self._pool = self._create_pool()
        engine = self._processor.outbox.database.engine
        jobs = Jobs(engine.url, self._threads, GRACE, self._start_job)
        jobs.start()
        try:
            while not self._stopped:
                is_last = self._processor.attempt(partial(self._step, until_idle=until_idle))
                if is_last:
                    return
                if is_last is not None:
                    time.sleep(POLL_INTERVAL)
        finally:
            self._processor.progress(ended=True)
            jobs.stop()
            self._pool.wait(GRACE)
            self._pool.shutdown()
            jobs.join(1.0)

    def _create_pool(self) -> DaemonThreadPool:
        return DaemonThreadPool(self._threads, "tillpost-order", lambda: self._processor.slow)

    def _step(self, *, until_idle: bool) -> bool:
        """Take one step of the loop; return whether nothing is left to wait for."""
        self._maintenance.tend()
        self._claim_overdue()
        return until_idle and self._is_idle()

    def _is_idle(self) -> bool:
        return not self._pool.busy and self._maintenance.idle()

    def _start_job(self, order_id: str) -> Future[None]:
        return self._pool.submit(partial(self._process, order_id))

    def _process(self, order_id: str) -> None:
        try:
            self._processor.process(order_id)
            self._process_all_due()
        except DatabaseError as error:
            log.warning("job_left_to_polling order=%s error=%s", order_id, log_value(error))

    def _claim_overdue(self) -> None:
        if self._pool.idle_threads <= 0:
            return
        overdue_by = self._processor.clock() - OVERDUE
        due_times = self._processor.claims.next_due_by_connection().values()
        if not any(due_at <= overdue_by for due_at in due_times):
            return
        for claim in self._processor.claim(self._pool.idle_threads):
            self._pool.submit(partial(self._handle, claim))

    def _handle(self, claim: Claim) -> None:
        try:
            self._processor.handle(claim)
            self._process_all_due()
        except DatabaseError as error:
            log.warning("worker_step_failed error=%s", log_value(error))

    def _process_all_due(self) -> None:
        """Process whatever is due, one order after the other."""
        while claims := self._processor.claim(1):
            self._processor.handle(claims[0])
