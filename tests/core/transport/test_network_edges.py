"""Connections of our own at their limits: TLS, a deadline in the past, resets, forks, SOCKS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.raw_server import RawServer, read_request, served, silent
from tillpost.transport import network
from tillpost.transport.network import (
    EXCHANGE,
    AsyncNetworkTransport,
    Exchange,
    NetworkTransport,
    new_client,
)
from waiting import AGES

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BOTH = pytest.mark.parametrize("kind", ["sync", "async"])


def answer_all(client: socket.socket) -> None:
    while read_request(client):
        client.sendall(OK)


def post(
    kind: str, url: str, *, seconds: float = AGES, body: bytes = b""
) -> tuple[bytes | httpx.TransportError, Exchange]:
    """Send one request; return the answer's body or the failure, and the exchange."""
    exchange = Exchange(time.monotonic() + seconds)
    more: Any = {"content": body, "extensions": {EXCHANGE: exchange}}

    async def arun() -> bytes:
        transport = AsyncNetworkTransport()
        async with httpx.AsyncClient(transport=transport, timeout=10 * AGES) as client:
            return (await client.post(url, **more)).content

    try:
        if kind == "async":
            return asyncio.run(arun()), exchange
        with httpx.Client(transport=NetworkTransport(), timeout=10 * AGES) as client:
            return client.post(url, **more).content, exchange
    except httpx.TransportError as failure:
        return failure, exchange


# ---------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, which nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pos.example")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "pos.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return file


@contextmanager
def served_over_tls(certificate: Path) -> Generator[str]:
    """Serve over TLS; yield the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def handle(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as encrypted:
            answer_all(encrypted)

    with served(handle) as server:
        yield server.url.replace("http://", "https://")


@BOTH
def test_request_over_tls_is_answered_and_marked_sent(
    kind: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(network, "_ssl_context", lambda: trusting)
    with served_over_tls(certificate) as url:
        body, exchange = post(kind, url)
        assert body == b"ok"
        assert exchange.sent


@BOTH
def test_untrusted_certificate_sends_nothing(kind: str, certificate: Path) -> None:
    with served_over_tls(certificate) as url:
        failure, exchange = post(kind, url)
        assert isinstance(failure, httpx.ConnectError)
        assert exchange.surely_unsent


def test_cancelled_tls_handshake_closes_its_connection() -> None:
    closed = threading.Event()

    def never_answer(client: socket.socket) -> None:
        with suppress(OSError):
            while client.recv(65_536):
                pass
        closed.set()

    async def run(server: RawServer) -> None:
        async with httpx.AsyncClient(transport=AsyncNetworkTransport(), timeout=AGES) as client:
            url = server.url.replace("http://", "https://")
            task = asyncio.create_task(client.get(url))
            while server.accepted == 0:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(closed.wait, AGES)

    with served(never_answer) as server:
        asyncio.run(run(server))


# ---------------------------------------------------------------------- deadlines and failures


@BOTH
def test_deadline_in_the_past_sends_nothing(kind: str) -> None:
    with served(answer_all) as server:
        failure, exchange = post(kind, server.url, seconds=-1.0)
        assert isinstance(failure, httpx.PoolTimeout)
        assert exchange.surely_unsent
        assert server.accepted == 0


def test_no_address_is_tried_after_the_deadline() -> None:
    with pytest.raises(httpcore.ConnectTimeout):
        network._share(time.monotonic(), 2)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("failure", "is_unsent"),
    [(httpcore.LocalProtocolError("a bad header"), True), (httpcore.WriteError("reset"), False)],
)
def test_failed_headers_over_a_foreign_transport(failure: Exception, is_unsent: bool) -> None:
    exchange = Exchange(time.monotonic() + AGES)
    exchange.trace("http11.send_request_headers.failed", {"exception": failure})
    assert exchange.surely_unsent == is_unsent


@BOTH
def test_name_without_an_address_sends_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(*_: object, **__: object) -> list[object]:
        return []

    monkeypatch.setattr(socket, "getaddrinfo", find_none)
    failure, exchange = post(kind, f"http://no-address-{kind}.example/")
    assert isinstance(failure, httpx.ConnectError)
    assert exchange.surely_unsent


def test_address_that_hangs_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def addresses(*_: object) -> list[str]:
        return ["192.0.2.1", "127.0.0.1"]

    connect = network._open_connection  # pyright: ignore[reportPrivateUsage]

    async def hang_at_the_first(address: str, port: int) -> Any:
        if address == "192.0.2.1":
            await asyncio.Event().wait()
        return await connect(address, port)

    monkeypatch.setattr(network, "async_addresses_of", addresses)
    monkeypatch.setattr(network, "_open_connection", hang_at_the_first)
    with served(answer_all) as server:
        body, _ = post("async", server.url, seconds=2.0)
        assert body == b"ok"


class ResetStream(httpcore.NetworkStream):
    """A connection that was reset as soon as it was established."""

    def get_extra_info(self, info: str) -> object:
        raise OSError("not connected")


def test_connection_reset_at_once_has_no_peer() -> None:
    with pytest.raises(httpcore.ConnectError):
        network._peer(ResetStream())  # pyright: ignore[reportPrivateUsage]


LARGE = b"x" * 50_000_000


@BOTH
def test_server_that_reads_no_body_ends_at_the_deadline(kind: str) -> None:
    with served(silent) as server:
        failure, exchange = post(kind, server.url, seconds=1.0, body=LARGE)
        assert isinstance(failure, httpx.TimeoutException)
        assert exchange.sent


@BOTH
def test_reset_while_the_body_is_written_may_have_sent_it(kind: str) -> None:
    def reset(client: socket.socket) -> None:
        client.recv(1_000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    with served(reset) as server:
        failure, exchange = post(kind, server.url, body=LARGE)
        assert isinstance(failure, httpx.TransportError)
        assert exchange.sent


# ---------------------------------------------------------------------- the pool


def test_async_request_beyond_the_limit_ends_in_time() -> None:
    async def run(server: RawServer) -> None:
        transport = AsyncNetworkTransport(max_connections=1)
        timeout = httpx.Timeout(10 * AGES, pool=0.2)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            first = asyncio.create_task(client.get(server.url))
            while server.accepted == 0:
                await asyncio.sleep(0.01)
            with pytest.raises(httpx.PoolTimeout):
                await client.get(server.url)
            first.cancel()

    with served(silent) as server:
        asyncio.run(run(server))


@BOTH
def test_answer_closed_twice_gives_its_connection_back_once(kind: str) -> None:
    async def arun(url: str) -> None:
        async with httpx.AsyncClient(transport=AsyncNetworkTransport(), timeout=AGES) as client:
            for _ in range(2):
                async with client.stream("GET", url) as answer:
                    await answer.aread()
                stream: Any = answer.stream
                await stream.aclose()

    with served(answer_all) as server:
        if kind == "async":
            asyncio.run(arun(server.url))
        else:
            with httpx.Client(transport=NetworkTransport(), timeout=AGES) as client:
                for _ in range(2):
                    with client.stream("GET", server.url) as answer:
                        answer.read()
                    stream: Any = answer.stream
                    stream.close()
        assert server.accepted == 1


@BOTH
def test_other_process_does_not_use_inherited_connections(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = os.getpid() + 1

    async def arun(url: str) -> None:
        async with httpx.AsyncClient(transport=AsyncNetworkTransport(), timeout=AGES) as client:
            await client.get(url)
            monkeypatch.setattr(os, "getpid", lambda: child)
            await client.get(url)

    with served(answer_all) as server:
        if kind == "async":
            asyncio.run(arun(server.url))
        else:
            with httpx.Client(transport=NetworkTransport(), timeout=AGES) as client:
                client.get(server.url)
                monkeypatch.setattr(os, "getpid", lambda: child)
                client.get(server.url)
        monkeypatch.undo()
        assert server.accepted == 2


def test_connection_given_back_while_the_pool_closes_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = threading.Event()

    def answer_and_wait(client: socket.socket) -> None:
        answer_all(client)
        ended.set()

    with served(answer_and_wait) as server:
        client = httpx.Client(transport=NetworkTransport(), timeout=AGES)

        def close_meanwhile(_: object) -> bool:
            monkeypatch.undo()
            client.close()
            return False

        monkeypatch.setattr(httpcore.HTTPConnection, "has_expired", close_meanwhile)
        assert client.get(server.url).content == b"ok"
        assert ended.wait(AGES)


def test_step_without_a_timeout_has_until_the_deadline() -> None:
    exchange = Exchange(time.monotonic() + 2 * AGES)
    assert AGES < exchange.timeout(None, httpcore.ReadTimeout) <= 2 * AGES


def test_proxy_without_a_scheme_is_one_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with served(answer_all) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://").rstrip("/"))
        with new_client("http://pos.example/") as client:
            assert client.get("http://pos.example/").content == b"ok"
