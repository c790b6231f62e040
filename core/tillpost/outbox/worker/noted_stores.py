"""The stores of which a worker has news.

Whether they take orders may have changed. Whatever in the worker learns something of a store notes
it here, and `store_monitor` takes the names to look at these stores first.
"""

from __future__ import annotations

import threading

__all__ = ["NotedStores"]


class NotedStores:
    """Names of connections, each once. Safe for threads."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._lock = threading.Lock()

    def note(self, connection: str) -> None:
        """Note that there is news of a store."""
        with self._lock:
            self._names.add(connection)

    def take(self) -> set[str]:
        """Return the names that were noted since this was last called."""
        with self._lock:
            taken, self._names = self._names, set()
        return taken
