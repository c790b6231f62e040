"""arq delivers the outbox's orders: `arq arq_tasks.WorkerSettings`."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from arq import cron
from arq.connections import RedisSettings

from tillpost.outbox import Maintenance, Outbox, Processor

Context = dict[str, Any]


async def start(ctx: Context) -> None:
    """Open the outbox, with a thread for each order that is processed at once."""
    things = ctx["things"] = ExitStack()
    outbox = things.enter_context(Outbox.from_config())
    ctx["processor"] = things.enter_context(Processor(outbox))
    ctx["maintenance"] = Maintenance(ctx["processor"])
    threads = ThreadPoolExecutor(outbox.settings.threads)
    asyncio.get_running_loop().set_default_executor(threads)


async def stop(ctx: Context) -> None:
    """Retire as a worker, so that others take over at once."""
    await asyncio.to_thread(ctx["things"].close)


async def process(ctx: Context, order_id: str) -> None:
    """Do what is due for an order, and come back when it is due again."""
    processor: Processor = ctx["processor"]
    due_at = await asyncio.to_thread(processor.process, order_id)
    if due_at is not None:
        wait = max(0.0, due_at - processor.clock())
        await ctx["redis"].enqueue_job("process", order_id, _defer_by=wait)


async def maintain(ctx: Context) -> None:
    """Run the maintenance, and process orders whose job was lost."""
    processor: Processor = ctx["processor"]
    await asyncio.to_thread(ctx["maintenance"].tend)
    for claim in await asyncio.to_thread(processor.claim, 4):
        await asyncio.to_thread(processor.handle, claim)


class WorkerSettings:
    """What `arq` reads."""

    redis_settings = RedisSettings.from_dsn(os.environ["BROKER_URL"])
    functions = (process,)
    cron_jobs = (cron(maintain, second=set(range(0, 60, 5)), run_at_startup=True),)
    on_startup = start
    on_shutdown = stop
    max_jobs = 16
    keep_result = 0
