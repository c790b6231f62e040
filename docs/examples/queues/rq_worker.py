"""A worker of RQ's that doesn't fork for each job, and the outbox's maintenance beside it."""

from __future__ import annotations

import logging
import threading

import rq_tasks
from rq import SimpleWorker

from tillpost.outbox import DatabaseError, Maintenance, Outbox, Processor


def maintain(processor: Processor, stopped: threading.Event) -> None:
    """Run the maintenance, and process orders whose job was lost."""
    maintenance = Maintenance(processor)
    while not stopped.wait(5.0):
        try:
            maintenance.tend()
            for claim in processor.claim(4):
                processor.handle(claim)
        except DatabaseError as error:
            logging.warning("the next round will do it: %s", error)


if __name__ == "__main__":
    stopped = threading.Event()
    with Outbox.from_config() as outbox, Processor(outbox) as processor:
        rq_tasks.Running.processor = processor
        loop = threading.Thread(target=maintain, args=(processor, stopped))
        loop.start()
        try:
            SimpleWorker([rq_tasks.queue]).work(with_scheduler=True)
        finally:
            stopped.set()
            loop.join()
