"""The thread that runs Procrastinate's jobs.

It reconnects whenever the database fails. Procrastinate's worker doesn't notice that its listening
connection broke. So a connection beside it is watched, and when that breaks, everything is set up
anew. The outbox's own polling finds what was missed meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition, Status
from sqlalchemy import URL

from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.db.database import NETWORK
from tillpost_procrastinate.names import QUEUE, TASK

__all__ = ["Jobs"]

T = TypeVar("T")

log = safe_logger("tillpost.outbox")

POLL_INTERVAL = 1.0
"""How late a job that was scheduled may be found, in seconds.

PostgreSQL notifies of others.
"""

WATCH_INTERVAL = 1.0
"""How often the connection is checked, in seconds."""

RECONNECT_AFTER = 1.0
"""How long to wait before everything is set up anew, in seconds."""

ANSWER_TIMEOUT = 5.0
"""A database that doesn't answer for this long is gone, in seconds."""

RECANCEL_AFTER = 1.0
"""How long to wait for a cancelled task before it is cancelled again, in seconds."""

STALLED_AFTER = 60.0
"""How long a worker is silent before its jobs are deleted, in seconds.

It is also how often they are deleted.
"""


class Jobs:
    """Procrastinate's worker for our queue.

    Args:
        url: The database.
        concurrency: How many jobs run at once.
        grace: How long jobs in flight are waited for at the end, in seconds.
        start_job: Called with an order's id. Its future ends the job.
    """

    def __init__(
        self,
        url: URL,
        concurrency: int,
        grace: float,
        start_job: Callable[[str], Future[None]],
    ) -> None:
        self._address = _address(url)
        self._concurrency = concurrency
        self._grace = grace
        self._start_job = start_job
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tillpost-jobs", daemon=True)

    def start(self) -> None:
        """Start the thread, and wait until its loop runs."""
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Begin no more jobs. Safe from any thread."""
        if self._running:
            loop, task = self._running
            # The loop may have ended.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)

    def join(self, seconds: float) -> None:
        """Wait until the thread ends, at most for so many seconds."""
        self._thread.join(seconds)

    def _run(self) -> None:
        # psycopg needs this kind of loop, which isn't every system's default.
        with (
            asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
            suppress(asyncio.CancelledError),
        ):
            runner.run(self._run_forever())

    async def _run_forever(self) -> None:
        """Run jobs until cancelled."""
        task = asyncio.current_task()
        assert task
        self._running = asyncio.get_running_loop(), task
        self._started.set()
        while True:
            try:
                await self._run_while_connected()
            except Exception as error:  # noqa: BLE001  whatever it is, try again
                log.warning("jobs_unavailable error=%s", log_value(error))
            await asyncio.sleep(RECONNECT_AFTER)

    async def _run_while_connected(self) -> None:
        connector = procrastinate.PsycopgConnector(
            kwargs=self._address,
            min_size=1,
            max_size=4,
            timeout=ANSWER_TIMEOUT,
            reconnect_timeout=ANSWER_TIMEOUT,
        )
        app = procrastinate.App(connector=connector)
        app.task(name=TASK, queue=QUEUE)(self._run_job)
        watched = await _answered(psycopg.AsyncConnection.connect(**self._address, autocommit=True))
        try:
            await _answered(connector.open_async())
            tasks = (
                asyncio.create_task(self._work(app)),
                asyncio.create_task(self._watch(watched, app)),
            )
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(tasks, self._grace + ANSWER_TIMEOUT)
            for task in tasks:
                if not task.cancelled():
                    task.result()
        finally:
            await watched.close()
            await _answered(connector.close_async())

    async def _work(self, app: procrastinate.App) -> None:
        await app.run_worker_async(
            queues=[QUEUE],
            name=QUEUE,
            concurrency=self._concurrency,
            fetch_job_polling_interval=POLL_INTERVAL,
            shutdown_graceful_timeout=self._grace,
            delete_jobs=DeleteJobCondition.ALWAYS,
            install_signal_handlers=False,
        )

    async def _run_job(self, order_id: str) -> None:
        await asyncio.wrap_future(self._start_job(order_id))

    async def _watch(
        self, connection: psycopg.AsyncConnection[Any], app: procrastinate.App
    ) -> None:
        """Check the connection until it breaks, which raises, and delete stalled jobs."""
        delete_at = time.monotonic()
        while True:
            await _answered(connection.execute("SELECT 1"))
            if time.monotonic() >= delete_at:
                delete_at += STALLED_AFTER
                await _answered(self._delete_stalled_jobs(app))
            await asyncio.sleep(WATCH_INTERVAL)

    async def _delete_stalled_jobs(self, app: procrastinate.App) -> None:
        """Delete the jobs of dead workers, which Procrastinate shows as running for ever."""
        jobs = app.job_manager
        for job in await jobs.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=STALLED_AFTER):
            # Another worker may have been faster.
            with suppress(ConnectorException):
                await jobs.finish_job(job, Status.FAILED, delete_job=True)


async def _answered(request: Coroutine[Any, Any, T]) -> T:
    """Return what a request to the database returns.

    Raises:
        TimeoutError: The database doesn't answer for `ANSWER_TIMEOUT` seconds.
    """
    task = asyncio.create_task(request)
    try:
        await asyncio.wait((task,), timeout=ANSWER_TIMEOUT)
        if not task.done():
            raise TimeoutError(f"the database is silent for {ANSWER_TIMEOUT:g} s")
        return task.result()
    finally:
        if not task.done():
            await _end((task,), ANSWER_TIMEOUT)


async def _end(tasks: Collection[asyncio.Task[Any]], seconds: float) -> None:
    """Cancel tasks, and again after some seconds, until all have ended.

    psycopg, cancelled during a query, asks the database to cancel that and waits for its answer.
    If the database is silent, only another cancellation ends the wait.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=seconds)
        seconds = RECANCEL_AFTER


def _address(url: URL) -> dict[str, Any]:
    """Return the database's address as psycopg takes it."""
    address: dict[str, Any] = url.translate_connect_args(username="user", database="dbname")
    address |= NETWORK
    address["connect_timeout"] = int(ANSWER_TIMEOUT)
    for name, value in url.query.items():
        address[name] = value if isinstance(value, str) else ",".join(value)
    return address
