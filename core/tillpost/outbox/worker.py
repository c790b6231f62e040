"""The embedded engine: one process that looks into the store, takes what is due, and handles it in threads.

`Worker.run` ends when it is told to stop (orders in hand are carried as far as they go, for at most `GRACE` seconds)
or, with `until_idle`, when nothing is left that would become due by itself soon.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from tillpost.outbox.processor import Processor
from tillpost.outbox.tending import Tending
from tillpost.outbox.trouble import StoreError

__all__ = ["Worker"]

log = logging.getLogger("tillpost.outbox")

LOOK_EVERY = 0.2
"""How often the store is asked for due orders, in seconds, while there are none."""

GRACE = 8.0
"""How long a worker that was told to stop waits for the orders in hand, in seconds."""

STORE_AGAIN = 1.0
"""After the store failed it is asked again in so many seconds."""


class Worker:
    """Runs a processor until it is stopped."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._threads = processor.outbox.settings.threads
        self._stop = threading.Event()
        self._tending = Tending(processor)

    def stop(self) -> None:
        """Ask the worker to stop. Safe in a signal handler and from any thread."""
        self._stop.set()

    def run(self, *, until_idle: bool = False) -> None:
        """Work until stopped, or until idle. Store failures are logged and waited out."""
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="tillpost-order")
        busy: set[Future[None]] = set()
        try:
            while not self._stop.is_set():
                busy = {future for future in busy if not future.done()}
                try:
                    self._tending.tend()
                    claims = self._processor.claim(self._threads - len(busy)) if len(busy) < self._threads else []
                    if until_idle and not claims and not busy and self._tending.idle():
                        return
                except StoreError as trouble:
                    log.warning("%s", trouble)
                    self._stop.wait(STORE_AGAIN)
                    continue
                busy |= {pool.submit(self._processor.handle, claim) for claim in claims}
                if not claims:
                    self._pause(busy)
        finally:
            wait(busy, GRACE)
            pool.shutdown(wait=False, cancel_futures=True)

    def _pause(self, busy: set[Future[None]]) -> None:
        """Wait until something is in hand no more, or for a moment."""
        if busy and len(busy) >= self._threads:
            wait(busy, LOOK_EVERY, return_when="FIRST_COMPLETED")
        elif busy:
            done, _ = wait(busy, LOOK_EVERY / 10, return_when="FIRST_COMPLETED")
            if not done:
                time.sleep(LOOK_EVERY / 10)
        else:
            self._stop.wait(LOOK_EVERY)
