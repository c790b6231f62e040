"""A connection's slot is free again whatever has interrupted the exchange that used it."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from contextlib import suppress
from itertools import count

import httpx
import pytest

from core.both import Kind
from core.interrupting import Interruption, in_a_thread
from core.raw_server import read_request, served
from core.sending import CREDENTIALS
from core.toy_server import ToyServer
from tillpost import Limits
from tillpost.adapter.exchange import Request, Response, nothing
from tillpost.transport import name_lookup
from tillpost.transport.http import HttpTransport
from tillpost.transport.network import AsyncNetworkTransport, NetworkTransport
from tillpost.transport.slots import Exchanges, Timed
from waiting import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WATCHED = (
    "tillpost/transport",
    "httpx/_client.py",
    "httpx/_transports",
    "httpcore/_sync",
    "http/cookiejar.py",
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_interruption_at_any_moment_leaves_the_slot_free(server: ToyServer) -> None:
    """What it leaves behind of a socket is collected as garbage, with a warning."""
    request = Request("GET", "/menu", nothing)
    moments: list[int] = []

    def interrupt_everywhere() -> None:
        with httpx.Client(transport=NetworkTransport(max_connections=1)) as client:
            transport = HttpTransport(client, server.adapter(), Limits(), own_network=True)
            for at in count(1):
                interruption = Interruption(at, *WATCHED)
                with suppress(KeyboardInterrupt), interruption:
                    transport.send(request, CREDENTIALS)
                if interruption.is_still_ahead:
                    return
                moments.append(at)
                assert isinstance(transport.send(request, CREDENTIALS), Response), at

    in_a_thread(interrupt_everywhere)
    gc.collect()
    assert len(moments) > 100


def test_slot_is_free_after_the_deadline_of_what_had_it() -> None:
    """So two interruptions, of which the second stops the tidying up, lose none permanently."""
    exchanges = Exchanges(1)
    lost = Timed(time.monotonic() + 60)
    assert exchanges.add(lost)
    assert not exchanges.add(Timed(time.monotonic() + 60))
    lost.deadline = time.monotonic()
    assert exchanges.add(Timed(time.monotonic() + 60))


def test_exchange_that_ended_leaves_its_slot() -> None:
    exchanges = Exchanges(1)
    first, second = Timed(float("inf")), Timed(float("inf"))
    assert exchanges.add(first)
    first.ended = True
    assert exchanges.add(second)
    exchanges.remove(second)
    exchanges.remove(second)
    assert exchanges.add(Timed(float("inf")))


def test_waiting_request_gets_the_freed_connection(kind: Kind) -> None:
    may_answer = threading.Event()

    def answer_later(client: socket.socket) -> None:
        while read_request(client):
            may_answer.wait(60)
            client.sendall(OK)

    async def arun(url: str) -> list[bytes]:
        transport = AsyncNetworkTransport(max_connections=1)
        async with httpx.AsyncClient(transport=transport, timeout=60) as client:
            tasks = [asyncio.create_task(client.get(url)) for _ in range(3)]
            while not server.accepted:
                await asyncio.sleep(0.01)
            may_answer.set()
            return [(await task).content for task in tasks]

    def run(url: str) -> list[bytes]:
        bodies: list[bytes] = []
        transport = NetworkTransport(max_connections=1)
        with httpx.Client(transport=transport, timeout=60) as client:
            threads = [
                threading.Thread(target=lambda: bodies.append(client.get(url).content))
                for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            eventually(lambda: server.accepted == 1)
            may_answer.set()
            for thread in threads:
                thread.join()
        return bodies

    with served(answer_later) as server:
        bodies = run(server.url) if kind == "sync" else asyncio.run(arun(server.url))
        assert bodies == [b"ok"] * 3
        assert server.accepted == 1


def test_name_is_resolved_after_a_lookup_that_never_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was interrupted, or there was no thread to be had."""

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            name_lookup.addresses_of("localhost", 60)
    assert name_lookup.addresses_of("localhost", 60)
