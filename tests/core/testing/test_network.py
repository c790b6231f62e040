"""A block without a network: every way out is closed, and opened again afterwards."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import httpx
import pytest

from tillpost.testing import NetworkUsed, no_network

NOWHERE = ("127.0.0.1", 9)


@pytest.mark.parametrize(
    "dial",
    [
        lambda: socket.create_connection(NOWHERE),
        lambda: socket.getaddrinfo("tillpost.invalid", 443),
        lambda: httpx.get("http://127.0.0.1:9/"),
        lambda: httpx.get("https://tillpost.invalid/"),
        lambda: asyncio.run(_get()),
    ],
)
def test_nothing_gets_out(dial: Callable[[], object]) -> None:
    with (
        no_network(),
        pytest.raises((NetworkUsed, BaseExceptionGroup)) as caught,
    ):  # tasks raise it in a group
        dial()

    assert "NetworkUsed" in repr(caught.value)


async def _get() -> None:
    async with httpx.AsyncClient() as client:
        await client.get("http://127.0.0.1:9/")


@pytest.mark.parametrize("method", ["connect", "connect_ex", "sendto"])
def test_no_socket_gets_out_either(method: str) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        no_network(),
        pytest.raises(NetworkUsed),
    ):
        getattr(one, method)(*((b"x", NOWHERE) if method == "sendto" else (NOWHERE,)))


def test_event_loops_work_without_a_network() -> None:
    with no_network():
        asyncio.run(asyncio.sleep(0))


def test_the_network_is_there_again_afterwards() -> None:
    with no_network():
        pass

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
    ):
        pass
