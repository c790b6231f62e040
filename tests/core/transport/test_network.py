"""Connections of our own keep a deadline, mark the first byte sent, and are reused by origin."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tillpost.transport.network import (
    EXCHANGE,
    AsyncNetworkTransport,
    Exchange,
    NetworkTransport,
    new_async_client,
    new_client,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Handler = Callable[[socket.socket], None]
Kind = str
BOTH = pytest.mark.parametrize("kind", ["sync", "async"])


class RawServer:
    """A server on the loopback that hands each accepted socket to a function, in a thread."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.accepted = 0
        self.sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):  # the other side has closed
            self._handle(client)

    def close(self) -> None:
        self._listener.close()
        for client in self.sockets:
            client.close()


@contextmanager
def served(handle: Handler) -> Generator[RawServer]:
    server = RawServer(handle)
    try:
        yield server
    finally:
        server.close()


def read_request(client: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = client.recv(65536)
        if not chunk:
            return b""
        received += chunk
    return received


def answer_all(client: socket.socket) -> None:
    while read_request(client):
        client.sendall(OK)


def answer_once(client: socket.socket) -> None:
    read_request(client)
    client.sendall(OK)
    client.close()


def drip(data: bytes) -> Handler:
    """Send a beginning, then the same bytes again and again, slowly."""

    def handle(client: socket.socket) -> None:
        read_request(client)
        client.sendall(b"HTTP/1.1 ")
        while True:
            client.sendall(data)
            threading.Event().wait(0.05)

    return handle


def silent(client: socket.socket) -> None:
    read_request(client)
    threading.Event().wait()


def get(
    kind: Kind,
    urls: list[str],
    *,
    seconds: float = 20.0,
    guarded: bool = False,
) -> tuple[list[bytes | httpx.TransportError], list[Exchange]]:
    """Get each URL over one transport; return bodies or failures, and the exchanges."""
    results: list[bytes | httpx.TransportError] = []
    exchanges: list[Exchange] = []

    def extensions() -> dict[str, object]:
        exchanges.append(Exchange(time.monotonic() + seconds))
        return {EXCHANGE: exchanges[-1]}

    def run() -> None:
        with httpx.Client(transport=NetworkTransport(guarded=guarded), timeout=15) as client:
            for url in urls:
                try:
                    results.append(client.get(url, extensions=extensions()).content)
                except httpx.TransportError as failure:
                    results.append(failure)

    async def arun() -> None:
        transport = AsyncNetworkTransport(guarded=guarded)
        async with httpx.AsyncClient(transport=transport, timeout=15) as client:
            for url in urls:
                try:
                    answer = await client.get(url, extensions=extensions())
                    results.append(answer.content)
                except httpx.TransportError as failure:
                    results.append(failure)

    if kind == "sync":
        run()
    else:
        asyncio.run(arun())
    return results, exchanges


@BOTH
def test_connection_is_reused(kind: Kind) -> None:
    with served(answer_all) as server:
        bodies, _ = get(kind, [server.url] * 5)
        assert bodies == [b"ok"] * 5
        assert server.accepted == 1


@BOTH
def test_connection_that_the_server_closed_is_not_reused(kind: Kind) -> None:
    with served(answer_once) as server:
        first, _ = get(kind, [server.url])
        both, _ = get(kind, [server.url, server.url])
        assert first == [b"ok"]
        assert both[0] == b"ok"
        # The closing may arrive just after the second request was written: then it is a failure
        # that says that the request was sent, and the next one gets a new connection.
        assert both[1] == b"ok" or isinstance(both[1], httpx.TransportError)


@BOTH
def test_origins_have_connections_of_their_own(kind: Kind) -> None:
    with served(answer_all) as one, served(answer_all) as other:
        bodies, _ = get(kind, [one.url, other.url, one.url, other.url])
        assert bodies == [b"ok"] * 4
        assert (one.accepted, other.accepted) == (1, 1)


@BOTH
@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(drip(b"2"), id="dripped status line"),
        pytest.param(drip(b"103 Early Hints\r\n\r\nHTTP/1.1 "), id="endless 1xx"),
        pytest.param(drip(b"200 OK\r\nX-More: x\r\nX"), id="dripped headers"),
        pytest.param(silent, id="no answer"),
    ],
)
def test_exchange_ends_at_its_deadline(kind: Kind, handle: Handler) -> None:
    with served(handle) as server:
        began = time.monotonic()
        (failure,), (exchange,) = get(kind, [server.url], seconds=1.0)
        assert isinstance(failure, httpx.TransportError)
        assert time.monotonic() - began < 10.0  # read alone would allow 15 s for each byte
        assert exchange.sent


@BOTH
def test_refused_connection_sends_nothing(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (failure,), (exchange,) = get(kind, [f"http://127.0.0.1:{port}/"])
    assert isinstance(failure, httpx.ConnectError)
    assert exchange.surely_unsent


@BOTH
def test_unanswered_tls_handshake_sends_nothing_and_ends(kind: Kind) -> None:
    with served(lambda client: time.sleep(60)) as server:
        url = server.url.replace("http://", "https://")
        (failure,), (exchange,) = get(kind, [url], seconds=1.0)
        assert isinstance(failure, httpx.ConnectTimeout)
        assert exchange.surely_unsent


@BOTH
def test_guarded_transport_refuses_private_address(kind: Kind) -> None:
    with served(answer_all) as server:
        (failure,), (exchange,) = get(kind, [server.url], guarded=True)
        assert isinstance(failure, httpx.ConnectError)
        assert exchange.surely_unsent


def test_unread_answer_frees_its_connection() -> None:
    def large(client: socket.socket) -> None:
        while read_request(client):
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)

    with served(large) as server:
        client = httpx.Client(transport=NetworkTransport(max_connections=1), timeout=10)
        with client:
            for _ in range(3):
                with client.stream("GET", server.url) as answer:
                    assert answer.status_code == 200
        assert server.accepted == 3


def test_unread_async_answer_frees_its_connection() -> None:
    def large(client: socket.socket) -> None:
        while read_request(client):
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)

    async def run(url: str) -> None:
        transport = AsyncNetworkTransport(max_connections=1)
        async with httpx.AsyncClient(transport=transport, timeout=10) as client:
            for _ in range(3):
                async with client.stream("GET", url) as answer:
                    assert answer.status_code == 200

    with served(large) as server:
        asyncio.run(run(server.url))
        assert server.accepted == 3


def test_request_beyond_the_limit_waits_for_a_connection() -> None:
    with served(silent) as server:
        transport = NetworkTransport(max_connections=1)
        timeout = httpx.Timeout(30, pool=0.2)
        with httpx.Client(transport=transport, timeout=timeout) as client:
            first = threading.Thread(target=_ignore, args=(client, server.url), daemon=True)
            first.start()
            _until(lambda: server.accepted == 1)
            with pytest.raises(httpx.PoolTimeout):
                client.get(server.url)
            server.close()
            first.join(30)


def _ignore(client: httpx.Client, url: str) -> None:
    with suppress(httpx.TransportError):
        client.get(url)


def _until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_cancelled_request_frees_its_connection() -> None:
    async def run(url: str, healthy: str) -> bytes:
        transport = AsyncNetworkTransport(max_connections=1)
        async with httpx.AsyncClient(transport=transport, timeout=30) as client:
            task = asyncio.create_task(client.get(url))
            while server.accepted == 0:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return (await client.get(healthy)).content

    with served(silent) as server, served(answer_all) as good:
        assert asyncio.run(run(server.url, good.url)) == b"ok"


@BOTH
def test_loopback_gets_no_proxy(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with served(answer_all) as server:
        if kind == "sync":
            with new_client(server.url) as client:
                assert client.get(server.url).content == b"ok"
            return

        async def run() -> bytes:
            async with new_async_client(server.url) as client:
                return (await client.get(server.url)).content

        assert asyncio.run(run()) == b"ok"


@BOTH
def test_environment_proxy_serves_other_hosts(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with served(answer_all) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        url = "http://pos.example/"
        if kind == "sync":
            with new_client(url) as client:
                assert client.get(url).content == b"ok"
            return

        async def run() -> bytes:
            async with new_async_client(url) as client:
                return (await client.get(url)).content

        assert asyncio.run(run()) == b"ok"


def test_trace_of_another_transport_marks_the_first_byte() -> None:
    with served(answer_all) as server, httpx.Client() as client:
        exchange = Exchange(float("inf"))
        client.get(server.url, extensions={"trace": exchange.trace})
        assert exchange.observed
        assert exchange.sent
    unreached = Exchange(float("inf"))
    with httpx.Client() as client, pytest.raises(httpx.ConnectError):
        client.get("http://127.0.0.1:1/", extensions={"trace": unreached.trace})
    assert unreached.surely_unsent
