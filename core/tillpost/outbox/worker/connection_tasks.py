"""A worker's requests besides submitting, in threads.

They are checks, polls and menu imports. A connection has one task of a kind at a time, and its
share of the threads (see `thread_shares`). So neither the worker's loop nor another connection
waits for a platform that hangs. Tasks also keep to the budget of their host (see `request_budget`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from tillpost.errors import is_interruption
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.request_budget import RequestBudget
from tillpost.outbox.thread_pool import DaemonThreadPool
from tillpost.outbox.worker.thread_shares import ThreadShares

__all__ = ["AtOnce", "ConnectionTasks", "TaskRunner"]

log = safe_logger("tillpost.outbox")


class TaskRunner(Protocol):
    """Runs a connection's tasks, each of a kind of `request_budget`."""

    def may_start(self, kind: str, connection: str) -> bool:
        """Return whether a task would begin now."""
        ...

    def start(self, kind: str, connection: str, task: Callable[[], object], times: int = 1) -> bool:
        """Begin a task, unless it may not; return whether it begins.

        Threads log what it raises, `AtOnce` raises it.

        Args:
            kind: The task's kind.
            connection: The name of its connection.
            task: What to run.
            times: As how many tasks it counts in the budget.
        """
        ...


class AtOnce:
    """Runs each task in the caller's thread, and raises what it raises."""

    def may_start(self, kind: str, connection: str) -> bool:
        """Return True."""
        del kind, connection
        return True

    def start(self, kind: str, connection: str, task: Callable[[], object], times: int = 1) -> bool:
        """Run a task."""
        del kind, connection, times
        task()
        return True


class ConnectionTasks:
    """Runs tasks in threads.

    Args:
        threads: How many run at once, without the slow ones.
        name: What the threads are called.
        host_of: Returns the host of a connection.
        budget: What may be sent to each host.
    """

    def __init__(
        self, threads: int, name: str, host_of: Callable[[str], str], budget: RequestBudget
    ) -> None:
        self._shares = ThreadShares[tuple[str, str]](threads)
        self._threads = DaemonThreadPool(threads, name, lambda: self._shares.slow)
        self._host_of = host_of
        self._budget = budget

    @property
    def idle_threads(self) -> int:
        """How many more tasks would begin at once."""
        return self._threads.idle_threads

    @property
    def busy(self) -> bool:
        """Whether a task is running."""
        return self._threads.busy

    def may_start(self, kind: str, connection: str) -> bool:
        """Return whether a task would begin now."""
        is_free = (kind, connection) not in self._shares.current()
        if not is_free or self._threads.idle_threads <= 0:
            return False
        host = self._host_of(connection)
        return self._budget.allows(kind, host) and self._shares.may_begin(connection, host)

    def start(self, kind: str, connection: str, task: Callable[[], object], times: int = 1) -> bool:
        """Begin a task, unless it may not; return whether it begins. See `TaskRunner`."""
        if not self.may_start(kind, connection):
            return False
        key = (kind, connection)
        host = self._host_of(connection)
        self._budget.spend(kind, host, times)
        self._shares.begin(key, connection, host)
        self._threads.submit(partial(self._run, key, task))
        return True

    def close(self, grace: float) -> None:
        """Begin no more tasks, and wait `grace` seconds for the running ones."""
        self._threads.wait(grace)
        self._threads.shutdown()

    def _run(self, key: tuple[str, str], task: Callable[[], object]) -> None:
        kind, connection = key
        try:
            task()
        except DatabaseError as error:
            text = "connection_task_failed kind=%s connection=%s error=%s"
            log.warning(text, kind, connection, log_value(error))
        except BaseException as failure:
            if is_interruption(failure):
                raise
            log.exception("connection_task_failed kind=%s connection=%s", kind, connection)
        finally:
            self._shares.end(key)
