"""Keeps a block of code off the network, so that a replay can't be a call in disguise.

    with no_network():
        ...                     # any connection, look-up of a name, or datagram raises NetworkUsed

Pairs of sockets within the process still work, since event loops need them.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn
from unittest.mock import patch

__all__ = ["NetworkUsed", "no_network"]


class NetworkUsed(BaseException):
    """Something tried to reach the network. Not an `Exception`, since a Till turns those into an outage."""


@contextmanager
def no_network() -> Generator[None]:
    """Let nothing in this process reach the network until the block ends. For all threads alike."""

    def refuse(*about: Any, **_: Any) -> NoReturn:
        where = [part for part in about if not isinstance(part, socket.socket)]
        raise NetworkUsed(f"the network is blocked here: {where}")

    with ExitStack() as stack:
        for name in ("connect", "connect_ex", "sendto"):
            stack.enter_context(patch.object(socket.socket, name, refuse))
        for name in ("create_connection", "getaddrinfo", "gethostbyname"):
            stack.enter_context(patch.object(socket, name, refuse))
        yield
