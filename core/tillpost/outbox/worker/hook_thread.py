"""The thread that calls the hooks of a worker's loop.

A hook that blocks stops no order. The hooks of an order's run, of a check and of a poll are called
from the thread of that work, which waits for them for a limited time (see `bounded_hooks`). The
loop itself has no time to spare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from tillpost.models.safe_text import safe_logger
from tillpost.outbox.event_log import HookCall
from tillpost.outbox.thread_pool import DaemonThreadPool

__all__ = ["MOST_WAITING", "CallHooks", "HookThread"]

log = safe_logger("tillpost.outbox")

CallHooks = Callable[[str, Iterable[HookCall]], None]
"""Calls hooks of a connection."""

MOST_WAITING = 1000
"""Calls that wait for one that takes long.

What is called after that is dropped, and logged.
"""


class HookThread:
    """Calls hooks one after another in one thread. Safe for threads."""

    def __init__(self, call_hooks: CallHooks) -> None:
        """Take what calls the hooks."""
        self._call_hooks = call_hooks
        self._thread = DaemonThreadPool(1, "tillpost-hooks")

    def call(self, connection: str, hook_calls: Iterable[HookCall]) -> None:
        """Call hooks soon, in their order."""
        for hook, facts in hook_calls:
            if self._thread.idle_threads <= -MOST_WAITING:
                log.error("hooks_dropped connection=%s hooks=%s", connection, hook)
            else:
                self._thread.submit(partial(self._call_hooks, connection, [(hook, facts)]))

    def close(self, grace: float) -> None:
        """Wait up to `grace` seconds for calls that run or wait; drop what remains."""
        if not self._thread.wait(grace):
            log.error("waiting_hooks_dropped")
        self._thread.shutdown()
