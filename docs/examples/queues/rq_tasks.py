"""RQ delivers the outbox's orders: `python rq_worker.py`."""

from __future__ import annotations

import os
from datetime import timedelta

from redis import Redis
from rq import Queue

from tillpost.outbox import Processor

# Without a limit of RQ's own: Tillpost bounds each request, and a signal interrupts any line.
queue = Queue("tillpost", connection=Redis.from_url(os.environ["BROKER_URL"]), default_timeout=-1)


class Running:
    """The processor of this process; `rq_worker` sets it."""

    processor: Processor


def process(order_id: str) -> None:
    """Do what is due for an order, and come back when it is due again."""
    processor = Running.processor
    due_at = processor.process(order_id)
    if due_at is not None:
        wait = max(0.0, due_at - processor.clock())
        queue.enqueue_in(timedelta(seconds=wait), process, order_id, result_ttl=0)
