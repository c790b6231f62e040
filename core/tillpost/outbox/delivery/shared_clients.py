"""The HTTP clients of a worker's connections: one for each origin.

A connection borrows a client until it is collected as garbage, so that an order in flight keeps its
client although the connection was let go. The client that nobody uses any more is closed when the
next one is lent.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter, deque
from typing import TypeAlias
from urllib.parse import urlsplit

import httpx

from tillpost.transport.network import new_client

__all__ = ["SharedClients"]

MAX_CONNECTIONS = 1000
"""How many requests go to one origin at once: as many as there can be threads."""

Origin: TypeAlias = tuple[str, str, bool]


class SharedClients:
    """HTTP clients by origin and guard. Safe for threads."""

    def __init__(self) -> None:
        self._clients: dict[Origin, httpx.Client] = {}
        self._users: Counter[Origin] = Counter()
        self._left: deque[Origin] = deque()
        self._lock = threading.Lock()

    def count(self) -> int:
        """Return how many clients are open. Closes those that nobody uses."""
        with self._lock:
            self._close_unused()
            return len(self._clients)

    def lend(self, user: object, base_url: str, *, guarded: bool) -> httpx.Client:
        """Return the client for an address.

        `user` uses it until it is collected as garbage.

        Raises `ConfigError` for a proxy that can't be used.
        """
        parts = urlsplit(base_url)
        origin = (parts.scheme, parts.netloc, guarded)
        with self._lock:
            self._close_unused()
            client = self._clients.get(origin)
            if client is None:
                client = new_client(base_url, guarded=guarded, max_connections=MAX_CONNECTIONS)
                self._clients[origin] = client
            self._users[origin] += 1
        # It may be called at any instruction of any thread, so it does no more than this.
        end = weakref.finalize(user, self._left.append, origin)
        end.atexit = False
        return client

    def close(self) -> None:
        """Close all clients, also those in use."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
            self._users.clear()
            # Those that used them leave by the old one.
            self._left = deque()

    def _close_unused(self) -> None:
        while self._left:
            origin = self._left.popleft()
            self._users[origin] -= 1
            if self._users[origin] <= 0:
                del self._users[origin]
                client = self._clients.pop(origin, None)
                if client:
                    client.close()
