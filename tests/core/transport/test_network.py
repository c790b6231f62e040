"""Connections of our own keep a deadline, mark the first byte sent, and are reused by origin."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpcore
import httpx
import pytest

from core.raw_server import CHUNKED, Handler, drip, drip_after, read_request, served, silent
from tillpost.errors import ConfigError
from tillpost.transport.network import (
    EXCHANGE,
    AsyncNetworkTransport,
    Exchange,
    NetworkTransport,
    may_hide_data,
    new_async_client,
    new_client,
)
from waiting import AGES, eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FOREIGN = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nforeign"
"""An answer that nothing asked for."""

FOR_EACH_BYTE = 10 * AGES
"""What a client waits for each byte, in seconds, so that only the deadline ends an exchange."""

Kind = str
BOTH = pytest.mark.parametrize("kind", ["sync", "async"])


def answer_all(client: socket.socket) -> None:
    while read_request(client):
        client.sendall(OK)


def answer_once(client: socket.socket) -> None:
    read_request(client)
    client.sendall(OK)
    client.close()


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
        with httpx.Client(
            transport=NetworkTransport(guarded=guarded), timeout=FOR_EACH_BYTE
        ) as client:
            for url in urls:
                try:
                    results.append(client.get(url, extensions=extensions()).content)
                except httpx.TransportError as failure:
                    results.append(failure)

    async def arun() -> None:
        transport = AsyncNetworkTransport(guarded=guarded)
        async with httpx.AsyncClient(transport=transport, timeout=FOR_EACH_BYTE) as client:
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
def test_head_and_body_of_a_request_leave_in_one_write(kind: Kind) -> None:
    """The server's first read has both, since what is written at once is there at once."""
    firsts: list[bytes] = []

    def answer_first_reads(client: socket.socket) -> None:
        while received := client.recv(65536):
            firsts.append(received)
            client.sendall(OK)

    async def post(url: str) -> None:
        async with new_async_client(url) as client:
            for _ in range(5):
                await client.post(url, content=b"the body")

    with served(answer_first_reads) as server:
        if kind == "async":
            asyncio.run(post(server.url))
        else:
            with new_client(server.url) as client:
                for _ in range(5):
                    client.post(server.url, content=b"the body")
    assert len(firsts) == 5
    assert all(first.endswith(b"\r\n\r\nthe body") for first in firsts)


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
@pytest.mark.parametrize(
    "surplus",
    [
        pytest.param(FOREIGN, id="a second answer"),
        pytest.param(FOREIGN[:9], id="half of one"),
        pytest.param(b"\r\n", id="an empty line"),
    ],
)
def test_surplus_of_an_answer_is_not_the_next_answer(kind: Kind, surplus: bytes) -> None:
    def answer_with_surplus(client: socket.socket) -> None:
        read_request(client)
        client.sendall(OK + surplus)
        answer_all(client)

    with served(answer_with_surplus) as server:
        bodies, _ = get(kind, [server.url] * 2)
        assert bodies == [b"ok"] * 2
        assert server.accepted == 2


@pytest.mark.parametrize("kind", ["sync", "async", "busy loop"])
@pytest.mark.parametrize(
    "late",
    [
        pytest.param(FOREIGN, id="a second answer"),
        pytest.param(b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n", id="idle time-out"),
    ],
)
def test_late_data_on_an_idle_connection_is_no_answer(kind: str, late: bytes) -> None:
    """In a busy loop, asyncio hasn't read the data from the socket yet."""
    is_idle, has_arrived = threading.Event(), threading.Event()

    def answer_and_add(client: socket.socket) -> None:
        read_request(client)
        client.sendall(OK)
        if not has_arrived.is_set():
            is_idle.wait(60)
            client.sendall(late)
            has_arrived.set()
        answer_all(client)

    def sent_late() -> None:
        is_idle.set()
        assert has_arrived.wait(60)

    async def arun(url: str) -> list[bytes]:
        async with httpx.AsyncClient(transport=AsyncNetworkTransport(), timeout=60) as client:
            first = await client.get(url)
            if kind == "async":
                await asyncio.to_thread(sent_late)
            else:
                sent_late()
            return [first.content, (await client.get(url)).content]

    def run(url: str) -> list[bytes]:
        with httpx.Client(transport=NetworkTransport(), timeout=60) as client:
            first = client.get(url)
            sent_late()
            return [first.content, client.get(url).content]

    with served(answer_and_add) as server:
        bodies = run(server.url) if kind == "sync" else asyncio.run(arun(server.url))
        assert bodies == [b"ok"] * 2
        assert server.accepted == 2


@pytest.mark.needs("fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@BOTH
def test_child_of_a_fork_opens_connections_of_its_own(kind: Kind) -> None:
    def in_child(work: Callable[[], bytes]) -> bytes:
        """Return what a child made by a fork returns."""
        receiving, sending = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                body = work()
                gc.collect()  # which must not disturb the parent's loop
                os.write(sending, body)
            finally:
                os._exit(0)
        os.close(sending)
        try:
            return os.read(receiving, 99)
        finally:
            os.close(receiving)
            os.waitpid(child, 0)

    async def arun(url: str) -> list[bytes]:
        async with httpx.AsyncClient(transport=AsyncNetworkTransport(), timeout=60) as client:

            async def body() -> bytes:
                return (await client.get(url)).content

            return [await body(), in_child(lambda: asyncio.run(body())), await body()]

    def run(url: str) -> list[bytes]:
        with httpx.Client(transport=NetworkTransport(), timeout=60) as client:

            def body() -> bytes:
                return client.get(url).content

            return [body(), in_child(body), body()]

    with served(answer_all) as server:
        bodies = run(server.url) if kind == "sync" else asyncio.run(arun(server.url))
        assert bodies == [b"ok"] * 3
        assert server.accepted == 2  # the parent goes on with its own


def test_connection_with_hidden_buffers_is_not_reused() -> None:
    proxy = httpx.Proxy("https://proxy.example")
    encrypted = httpcore.Origin(b"https", b"pos.example", 443)
    plain = httpcore.Origin(b"http", b"pos.example", 80)
    assert may_hide_data(encrypted, proxy)
    assert not may_hide_data(plain, proxy)
    assert not may_hide_data(encrypted, httpx.Proxy("http://proxy.example"))
    assert not may_hide_data(encrypted, None)


@BOTH
def test_connection_to_a_forwarding_proxy_is_reused(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    url = "http://pos.example/"
    with served(answer_all) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)

        async def arun() -> list[bytes]:
            async with new_async_client(url) as client:
                return [(await client.get(url)).content for _ in range(2)]

        def run() -> list[bytes]:
            with new_client(url) as client:
                return [client.get(url).content for _ in range(2)]

        bodies = run() if kind == "sync" else asyncio.run(arun())
        assert bodies == [b"ok"] * 2
        assert proxy.accepted == 1


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
        pytest.param(drip_after(CHUNKED, b"2\r\nok\r\n"), id="dripped chunks"),
        pytest.param(drip_after(CHUNKED + b"2;x=", b"x"), id="dripped chunk extension"),
        pytest.param(drip_after(CHUNKED + b"0\r\nX-A: b", b"b"), id="dripped trailers"),
        pytest.param(silent, id="no answer"),
    ],
)
def test_exchange_ends_at_its_deadline(kind: Kind, handle: Handler) -> None:
    with served(handle) as server:
        began = time.monotonic()
        (failure,), (exchange,) = get(kind, [server.url], seconds=1.0)
        assert isinstance(failure, httpx.TransportError)
        assert time.monotonic() - began < AGES
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
    with served(lambda client: time.sleep(2 * AGES)) as server:
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
        client = httpx.Client(transport=NetworkTransport(max_connections=1), timeout=60)
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
        async with httpx.AsyncClient(transport=transport, timeout=60) as client:
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
            eventually(lambda: server.accepted == 1)
            with pytest.raises(httpx.PoolTimeout):
                client.get(server.url)
            server.close()
            first.join(AGES)


def _ignore(client: httpx.Client, url: str) -> None:
    with suppress(httpx.TransportError):
        client.get(url)


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


# ---------------------------------------------------------------------- cost


def looked_at_for_one_request(
    kind: Kind, idle: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, int]:
    """Return how many connections a request looks at and opens, with some idle ones."""
    looked_at: list[object] = []
    opened: list[object] = []
    name = "HTTPConnection" if kind == "sync" else "AsyncHTTPConnection"
    connection: Any = getattr(httpcore, name)
    has_expired, begin = connection.has_expired, connection.__init__

    def counted(self: object) -> bool:
        looked_at.append(self)
        return bool(has_expired(self))

    def counted_begin(self: object, *args: object, **kwargs: object) -> None:
        opened.append(self)
        begin(self, *args, **kwargs)

    async def run(url: str) -> None:
        async with httpx.AsyncClient(transport=AsyncNetworkTransport()) as client:
            requests = [client.build_request("GET", url) for _ in range(idle)]
            answers = [await client.send(request, stream=True) for request in requests]
            for answer in answers:
                await answer.aread()
            assert len(opened) == idle
            looked_at.clear()
            await client.get(url)

    with monkeypatch.context() as patched, served(answer_all) as server:
        patched.setattr(connection, "has_expired", counted)
        patched.setattr(connection, "__init__", counted_begin)
        if kind == "async":
            asyncio.run(run(server.url))
        else:
            with httpx.Client(transport=NetworkTransport()) as client:
                requests = [client.build_request("GET", server.url) for _ in range(idle)]
                answers = [client.send(request, stream=True) for request in requests]
                for answer in answers:
                    answer.read()
                assert len(opened) == idle
                looked_at.clear()
                client.get(server.url)
    return len(looked_at), len(opened) - idle


@BOTH
def test_request_costs_the_same_with_many_connections(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = looked_at_for_one_request(kind, 2, monkeypatch)
    assert looked_at_for_one_request(kind, 40, monkeypatch) == few
    assert few[0] <= 3
    assert few[1] == 0


@BOTH
def test_one_tls_context_serves_the_process(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    make = ssl.create_default_context

    def counted(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        made.append(args)
        return make(*args, **kwargs)

    monkeypatch.setattr(ssl, "create_default_context", counted)
    with served(socket.socket.close) as first, served(socket.socket.close) as second:
        for server in (first, second):
            url = server.url.replace("http:", "https:")
            (failure,), _ = get(kind, [url])
            assert isinstance(failure, httpx.TransportError)
    assert len(made) <= 1


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


@pytest.mark.parametrize("address", ["socks5://user:word@127.0.0.1:1", "socks5h://p", "ftp://p"])
@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
@BOTH
def test_proxy_that_is_not_http_is_refused(
    kind: Kind, variable: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No deadline would be kept through it. The message names the variable, and no password."""
    for name in ("ALL_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(variable, address)
    with pytest.raises(ConfigError, match=f"^{variable} names a proxy") as refused:
        (new_client if kind == "sync" else new_async_client)("https://pos.example")
    assert "word" not in str(refused.value)
    monkeypatch.setenv("NO_PROXY", "pos.example")
    assert new_client("https://pos.example")


# ---------------------------------------------------------------------- proxies and names


def through_proxy(
    kind: Kind, proxy: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[bytes | Exception, Exchange]:
    """Get a URL by a client of our own through a proxy of the environment, within 1 s."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    exchange = Exchange(time.monotonic() + 1.0)
    extensions = {EXCHANGE: exchange}

    async def run() -> bytes:
        async with new_async_client(url) as client:
            return (await client.get(url, extensions=extensions, timeout=FOR_EACH_BYTE)).content

    try:
        if kind == "async":
            return asyncio.run(run()), exchange
        with new_client(url) as client:
            return client.get(url, extensions=extensions, timeout=FOR_EACH_BYTE).content, exchange
    except httpx.TransportError as failure:
        return failure, exchange


@BOTH
@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(drip(b"200 OK\r\nX-More: x\r\nX"), id="dripped answer to CONNECT"),
        pytest.param(drip(b"103 Early Hints\r\n\r\nHTTP/1.1 "), id="endless 1xx"),
        pytest.param(drip_after(b"HTTP/1.1 200 OK\r\n\r\n", b""), id="silent handshake"),
        pytest.param(silent, id="no answer to CONNECT"),
    ],
)
def test_proxy_that_drips_ends_at_the_deadline(
    kind: Kind, handle: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request itself hasn't left."""
    with served(handle) as proxy:
        began = time.monotonic()
        failure, exchange = through_proxy(kind, proxy.url, "https://pos.example/", monkeypatch)
        assert isinstance(failure, httpx.TransportError)
        assert time.monotonic() - began < AGES
        assert exchange.surely_unsent


@BOTH
def test_request_through_a_forwarding_proxy_is_marked_and_ends(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(silent) as proxy:
        failure, exchange = through_proxy(kind, proxy.url, "http://pos.example/", monkeypatch)
        assert isinstance(failure, httpx.ReadTimeout)
        assert exchange.sent


@BOTH
def test_proxy_that_refuses_to_connect_sends_nothing(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(client: socket.socket) -> None:
        read_request(client)
        client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with served(refuse) as proxy:
        failure, exchange = through_proxy(kind, proxy.url, "https://pos.example/", monkeypatch)
        assert isinstance(failure, httpx.ProxyError)
        assert exchange.surely_unsent


@BOTH
def test_name_that_is_not_resolved_ends_at_the_deadline(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only one thread waits for it, however many requests do."""
    resolving = threading.Event()
    lookups: list[object] = []

    def slow(*arguments: object, **_: object) -> list[object]:
        lookups.append(arguments)
        resolving.wait(2 * AGES)
        raise socket.gaierror("no such name")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", slow)
        began = time.monotonic()
        # A name of its own: the lookup of the test before may not have ended yet.
        failures, exchanges = get(kind, [f"http://slow-{kind}.example/"] * 2, seconds=0.5)
        assert time.monotonic() - began < AGES
        assert len(lookups) == 1
        resolving.set()
    for failure, exchange in zip(failures, exchanges, strict=True):
        assert isinstance(failure, httpx.ConnectTimeout)
        assert exchange.surely_unsent


@BOTH
def test_addresses_are_tried_in_turn(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def several(host: object, *arguments: Any, **options: Any) -> list[Any]:
        if host != "pos.example":
            return real(host, *arguments, **options)  # type: ignore[arg-type]
        return [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", several)
    with served(answer_all) as server:
        (body,), _ = get(kind, [server.url.replace("127.0.0.1", "pos.example")])
        assert body == b"ok"
    (failure,), (exchange,) = get(kind, ["http://pos.example:1/"])
    assert isinstance(failure, httpx.ConnectError)
    assert exchange.surely_unsent


@BOTH
def test_unknown_name_sends_nothing(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    (failure,), (exchange,) = get(kind, ["http://pos.example/"])
    assert isinstance(failure, httpx.ConnectError)
    assert exchange.surely_unsent


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
