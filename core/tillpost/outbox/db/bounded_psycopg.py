"""A connection of psycopg that gives up a PostgreSQL which falls silent.

A network that swallows packets, or a server that is stopped, sends neither an answer nor an end of
the connection. The operating system notices some of these cases after a while (see the parameters
in `database`); a server that takes packets but never answers it doesn't.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

__all__ = ["BoundedConnection"]

T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server is silent for too long.

    That is for `silence` seconds in a command.
    """

    silence: float = math.inf
    """Seconds without an answer after which to give up.

    The caller of `connect` sets it.
    """

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Run a command to its end.

        Raises:
            psycopg.OperationalError: The server is silent for too long. The connection is closed.
        """
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, command: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Pass a command on; psycopg wakes it several times a second without an event."""
        heard_at = time.monotonic()
        try:
            wanted = next(command)
            while True:
                event = yield wanted
                now = time.monotonic()
                if event:
                    heard_at = now
                elif now - heard_at >= self.silence:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(
                        f"the database server has been silent for {self.silence:g} s"
                    )
                wanted = command.send(event)
        except StopIteration as end:
            result: T = end.value
            return result
