"""Celery delivers the outbox's orders: `celery -A celery_tasks worker`."""

from __future__ import annotations

import os
from contextlib import ExitStack

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from tillpost.outbox import Maintenance, Outbox, Processor

app = Celery("shop", broker=os.environ["BROKER_URL"])
app.conf.task_acks_late = True
app.conf.task_ignore_result = True
app.conf.beat_schedule = {"maintain": {"task": "tillpost.maintain", "schedule": 5.0}}

open_things = ExitStack()
processor: Processor
maintenance: Maintenance


@worker_process_init.connect
def start(**_: object) -> None:
    """Open the outbox in each process of the pool: nothing of it survives a fork."""
    global processor, maintenance
    outbox = open_things.enter_context(Outbox.from_config())
    processor = open_things.enter_context(Processor(outbox))
    maintenance = Maintenance(processor)


@worker_process_shutdown.connect
def stop(**_: object) -> None:
    """Retire as a worker, so that others take over at once."""
    open_things.close()


@app.task(name="tillpost.process")
def process(order_id: str) -> None:
    """Do what is due for an order, and come back when it is due again."""
    due_at = processor.process(order_id)
    if due_at is not None:
        wait = max(0.0, due_at - processor.clock())
        process.apply_async((order_id,), countdown=wait)


@app.task(name="tillpost.maintain", expires=60)
def maintain() -> None:
    """Run the maintenance, and process orders whose message was lost."""
    maintenance.tend()
    for claim in processor.claim(4):
        processor.handle(claim)
