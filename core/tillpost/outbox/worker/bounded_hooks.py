"""Calls of a worker's hooks, in threads of their own, with a limited wait.

An order's hooks are called after its result is written. One that never returns holds none of the
worker's threads for long, and no share of its connection or host (see `thread_shares`): it keeps
one thread of its own, up to a number for each connection.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import wait

from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.event_log import HookCall
from tillpost.outbox.thread_pool import DaemonThreadPool

__all__ = ["MOST_RUNNING", "PATIENCE", "BoundedHooks", "CallHook"]

log = safe_logger("tillpost.outbox")

CallHook = Callable[[str, Mapping[str, object]], object]
"""Calls one hook."""

PATIENCE = 1.0
"""How long the hooks of one result are waited for, in seconds."""

MOST_RUNNING = 64
"""How many calls run at once. A connection has a quarter of them."""


class BoundedHooks:
    """Calls hooks, those of one result one after another. Safe for threads."""

    def __init__(self) -> None:
        self._threads = DaemonThreadPool(MOST_RUNNING, "tillpost-order-hooks")
        self._running: Counter[str] = Counter()
        self._hanging: Counter[str] = Counter()
        self._lock = threading.Lock()

    def call(self, connection: str, hook_calls: Iterable[HookCall], call_hook: CallHook) -> None:
        """Call hooks, and return when they have returned, or after `PATIENCE` seconds.

        While hooks of the connection hang, others aren't waited for. What would be too many is
        dropped, and logged.
        """
        calls = list(hook_calls)
        if not calls:
            return
        names = log_value(",".join(hook for hook, _ in calls))
        if not self._begin(connection):
            log.error("hooks_dropped connection=%s hooks=%s", connection, names)
            return

        def call_all() -> None:
            try:
                for hook, facts in calls:
                    call_hook(hook, facts)
            finally:
                self._end(connection)

        patience = 0.0 if self._hanging[connection] else PATIENCE
        future = self._threads.submit(call_all)
        finished, _ = wait([future], patience)
        if finished:
            return
        with self._lock:
            self._hanging[connection] += 1
        future.add_done_callback(lambda _: self._has_returned(connection))
        log.warning("hooks_timed_out connection=%s hooks=%s", connection, names)

    def close(self, grace: float) -> None:
        """Wait up to `grace` seconds for the hooks that are running; leave the others."""
        self._threads.wait(grace)
        self._threads.shutdown()

    def _begin(self, connection: str) -> bool:
        with self._lock:
            is_full = self._running.total() >= MOST_RUNNING
            if is_full or self._running[connection] >= MOST_RUNNING // 4:
                return False
            self._running[connection] += 1
            return True

    def _end(self, connection: str) -> None:
        with self._lock:
            self._running[connection] -= 1

    def _has_returned(self, connection: str) -> None:
        with self._lock:
            self._hanging[connection] -= 1
