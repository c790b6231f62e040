"""A block on the network, so that a replay can't call the platform.

    with no_network():
        ...    # any connection, look-up of a name, or datagram raises NetworkUsed

Socket pairs within the process still work, since event loops need them.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn
from unittest.mock import patch

__all__ = ["NetworkUsed", "no_network"]


class NetworkUsed(BaseException):
    """The network was used. Not an `Exception`, since a Till makes an outage of those."""


@contextmanager
def no_network() -> Generator[None]:
    """Block the network for all threads of this process until the block ends."""

    def refuse(*about: Any, **_: Any) -> NoReturn:
        where = [part for part in about if not isinstance(part, socket.socket)]
        raise NetworkUsed(f"the network is blocked here: {where}")

    with ExitStack() as stack:
        for name in ("connect", "connect_ex", "sendto"):
            stack.enter_context(patch.object(socket.socket, name, refuse))
        for name in ("create_connection", "getaddrinfo", "gethostbyname"):
            stack.enter_context(patch.object(socket, name, refuse))
        yield
