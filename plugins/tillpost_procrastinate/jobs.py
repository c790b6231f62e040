"""Takes Procrastinate's jobs in a thread of its own, and goes on doing so whatever becomes of the database meanwhile.

Procrastinate's worker doesn't notice when its listening connection breaks, so a connection beside
it is watched, and when that breaks all is made anew. What is missed meanwhile the outbox's own
looking finds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition, Status
from sqlalchemy import URL

from tillpost_procrastinate.names import QUEUE, TASK

__all__ = ["Jobs"]

log = logging.getLogger("tillpost.outbox")

POLL_EVERY = 1.0
"""Jobs that were deferred to a time are found within so many seconds after it; for others PostgreSQL notifies."""

WATCH_EVERY = 1.0
AGAIN_AFTER = 1.0
ANSWERS_WITHIN = 5.0
"""A database that doesn't answer for so many seconds is gone."""

STALLED_AFTER = 60.0
"""Jobs whose worker gave Procrastinate no sign of life for so many seconds are cleared away, every so many seconds."""


class Jobs:
    """Procrastinate's worker for our queue. `carry_out` is called with an order's id, and says when it is through.

    `grace` is for how many seconds jobs under way are waited for at the end.
    """

    def __init__(
        self, url: URL, concurrency: int, grace: float, carry_out: Callable[[str], Future[None]]
    ) -> None:
        self._address = _address(url)
        self._concurrency = concurrency
        self._grace = grace
        self._carry_out = carry_out
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tillpost-jobs", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()
        self._begun.wait()

    def stop(self) -> None:
        """Take no more jobs."""
        if self._running:
            loop, task = self._running
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(task.cancel)

    def join(self, seconds: float) -> None:
        """Wait for the end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        # psycopg needs this kind of loop, which isn't every system's own.
        with (
            asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
            suppress(asyncio.CancelledError),
        ):
            runner.run(self._take())

    async def _take(self) -> None:
        """Take jobs until cancelled."""
        task = asyncio.current_task()
        assert task
        self._running = asyncio.get_running_loop(), task
        self._begun.set()
        while True:
            try:
                await self._take_while_connected()
            except Exception as trouble:  # noqa: BLE001  whatever ended it, it begins again
                log.warning(
                    "jobs can't be taken, and due orders are looked for: %s",
                    " ".join(str(trouble).split()),
                )
            await asyncio.sleep(AGAIN_AFTER)

    async def _take_while_connected(self) -> None:
        connector = procrastinate.PsycopgConnector(
            kwargs=self._address,
            min_size=1,
            max_size=4,
            timeout=ANSWERS_WITHIN,
            reconnect_timeout=ANSWERS_WITHIN,
        )
        app = procrastinate.App(connector=connector)
        app.task(name=TASK, queue=QUEUE)(self._carry_out_job)
        async with (
            await psycopg.AsyncConnection.connect(**self._address, autocommit=True) as watched,
            app.open_async(),
        ):
            both = (
                asyncio.create_task(self._work(app)),
                asyncio.create_task(self._watch(watched, app)),
            )
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                ended = await asyncio.gather(*both, return_exceptions=True)
            for failure in ended:
                if isinstance(failure, Exception):
                    raise failure

    async def _work(self, app: procrastinate.App) -> None:
        await app.run_worker_async(
            queues=[QUEUE],
            name=QUEUE,
            concurrency=self._concurrency,
            fetch_job_polling_interval=POLL_EVERY,
            shutdown_graceful_timeout=self._grace,
            delete_jobs=DeleteJobCondition.ALWAYS,
            install_signal_handlers=False,
        )

    async def _carry_out_job(self, order_id: str) -> None:
        await asyncio.wrap_future(self._carry_out(order_id))

    async def _watch(
        self, connection: psycopg.AsyncConnection[Any], app: procrastinate.App
    ) -> None:
        """Return only by raising: the database doesn't answer."""
        clear_at = time.monotonic()
        while True:
            async with asyncio.timeout(ANSWERS_WITHIN):
                await connection.execute("SELECT 1")
            if time.monotonic() >= clear_at:
                clear_at += STALLED_AFTER
                await self._clear_away(app)
            await asyncio.sleep(WATCH_EVERY)

    async def _clear_away(self, app: procrastinate.App) -> None:
        """Delete the jobs of dead workers, which Procrastinate keeps for ever as being done."""
        jobs = app.job_manager
        for job in await jobs.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=STALLED_AFTER):
            with suppress(ConnectorException):  # another worker was faster
                await jobs.finish_job(job, Status.FAILED, delete_job=True)


def _address(url: URL) -> dict[str, Any]:
    """Return the database's address as psycopg takes it."""
    several = {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in url.query.items()
    }
    bounds = {"connect_timeout": str(int(ANSWERS_WITHIN)), **several}
    return {**url.translate_connect_args(username="user", database="dbname"), **bounds}
