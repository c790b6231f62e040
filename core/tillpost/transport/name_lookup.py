"""The resolution of host names in bounded time.

The operating system's resolver accepts no timeout: with name servers that don't answer, it takes
half a minute and more. So each name is resolved in a thread of its own, once for all that
wait for it, and the callers give up in time.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from ipaddress import ip_address

import httpcore

__all__ = ["addresses_of", "async_addresses_of"]

_running: dict[str, Future[Sequence[str]]] = {}
_lock = threading.Lock()


def addresses_of(host: str, timeout: float) -> Sequence[str]:
    """Return the IP addresses of a host, in the sequence in which to try them.

    Raises:
        httpcore.ConnectTimeout: It takes longer than `timeout` seconds.
        httpcore.ConnectError: The name is unknown.
    """
    if _is_address(host):
        return (host,)
    try:
        return _lookup(host).result(min(timeout, threading.TIMEOUT_MAX))
    except FutureTimeoutError:
        raise httpcore.ConnectTimeout("the name wasn't resolved in time") from None
    except OSError as failure:
        raise httpcore.ConnectError(str(failure)) from failure


async def async_addresses_of(host: str, timeout: float) -> Sequence[str]:
    """Do as `addresses_of` does, for asyncio."""
    if _is_address(host):
        return (host,)
    lookup = asyncio.shield(asyncio.wrap_future(_lookup(host)))
    try:
        async with asyncio.timeout(timeout):
            return await lookup
    except TimeoutError:
        raise httpcore.ConnectTimeout("the name wasn't resolved in time") from None
    except OSError as failure:
        raise httpcore.ConnectError(str(failure)) from failure


def _lookup(host: str) -> Future[Sequence[str]]:
    """Begin to resolve a name, unless a thread is at it."""
    with _lock:
        running = _running.get(host)
        if running is None:
            running = Future[Sequence[str]]()
            thread = threading.Thread(target=_resolve, args=(host, running), daemon=True)
            thread.start()
            # Only now: if no thread has started, nobody may wait for it.
            _running[host] = running
        return running


def _resolve(host: str, lookup: Future[Sequence[str]]) -> None:
    lookup.set_running_or_notify_cancel()
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        listed = [str(entry[4][0]) for entry in found]
        addresses = tuple(dict.fromkeys(listed))
    except BaseException as failure:  # noqa: BLE001  it is raised where the name is needed
        _end(host)
        lookup.set_exception(failure)
    else:
        _end(host)
        lookup.set_result(addresses)


def _end(host: str) -> None:
    with _lock:
        _running.pop(host, None)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
