"""A guarded connection goes to public addresses only, whatever DNS says."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.both import Kind
from core.conftest import Opening
from core.sending import TRUST
from core.toy import Toy, toy_order
from core.toy_server import ToyServer
from tillpost import Limits, OutageError, Policy, SetupError
from tillpost.adapter.exchange import Fault, Request, Response, nothing
from tillpost.errors import Applied, Outcome
from tillpost.transport import address_guard as addresses
from tillpost.transport.address_guard import (
    NOT_PUBLIC,
    UNPROVED,
    AddressProof,
    BarredError,
    is_public,
)
from tillpost.transport.http import AsyncHttpTransport, HttpTransport

SHORT = Limits(connect=2, read=2, answer=2)
BARRED = Fault(Applied.NO, NOT_PUBLIC, barred=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "fd00::1",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "2002:0a00:0001::1",
        "64:ff9b::a9fe:a9fe",
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "64:ff9b::a83f:8110",
        "2002:a83f:8110::1",
        "192.0.0.192",
        "192.0.0.8",
        "192.0.0.9",
        "192.88.99.1",
        "100.100.100.200",
        "100.127.255.255",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "64:ff9b:1::a9fe:a9fe",
        "::ffff:0:a9fe:a9fe",
        "2606:4700::5efe:10.0.0.1",
        "2606:4700::200:5efe:169.254.169.254",
        "fe80::5efe:1.1.1.1",
        "fd00:ec2::254",
        "2001:2::1",
        "2001:20::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "100::1",
        "0177.0.0.1",
        "2130706433",
        "1.1.1",
        "localhost",
        "",
    ],
)
def test_non_public_addresses_are_recognised(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "1.1.1.1",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
        "2002:0101:0101::1",
        "64:ff9b::101:101",
        "168.63.129.17",
        "100.128.0.1",
        "192.0.1.1",
        "2606:4700::5efe:1.1.1.1",
        "2a00:1450::1",
    ],
)
def test_public_address_is_recognised(address: str) -> None:
    assert is_public(address)


@contextmanager
def listening(host: str = "127.0.0.1") -> Generator[tuple[int, list[bytes]], None, None]:
    """A port, and all that anybody ever wrote to it."""
    heard: list[bytes] = []
    with socket.create_server(
        (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    ) as server:

        def hear() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(0.3)
                    try:
                        while piece := connection.recv(1000):
                            heard.append(piece)
                    except OSError:
                        pass

        thread = threading.Thread(target=hear, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def answering(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[object]:
    """Resolve pos.example to one address after the other; return the growing list of look-ups."""
    asked: list[object] = []
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host in ("pos.example", b"pos.example"):
            host = answers[min(len(asked), len(answers) - 1)]
            asked.append(host)
        return real(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def sent(kind: Kind, adapter: Toy, client: Any = None) -> Response | Fault:
    """Send one request over a line of that kind; the client is closed."""
    request, credentials = Request("GET", "/menu", nothing), adapter.config.credentials()
    if kind == "sync":
        with client or httpx.Client(verify=TRUST) as opened:
            return HttpTransport(opened, adapter, SHORT).send(request, credentials)

    async def main() -> Response | Fault:
        async with client or httpx.AsyncClient(verify=TRUST) as opened:
            return await AsyncHttpTransport(opened, adapter, SHORT).send(request, credentials)

    return asyncio.run(main())


def guarded(server: ToyServer, **settings: Any) -> Toy:
    adapter = server.adapter(**settings)
    adapter.public_only = True
    return adapter


def test_nothing_is_written_to_a_private_address(kind: Kind, server: ToyServer) -> None:
    with listening() as (port, heard):
        assert sent(kind, guarded(server, base_url=f"http://127.0.0.1:{port}")) == BARRED
        assert sent(kind, guarded(server, base_url=f"https://127.0.0.1:{port}")) == BARRED
    assert heard == []


@pytest.mark.needs("ipv6")
def test_nothing_is_written_to_a_private_address_of_ipv6(kind: Kind, server: ToyServer) -> None:
    with listening("::1") as (port, heard):
        assert sent(kind, guarded(server, base_url=f"https://[::1]:{port}")) == BARRED
    assert heard == []


def test_rebound_dns_name_is_judged_by_current_address(
    kind: Kind, server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, "127.0.0.1")
    with listening() as (port, heard):
        assert sent(kind, guarded(server, base_url=f"https://pos.example:{port}")) == BARRED
    assert heard == []
    assert len(asked) == 1  # a second look-up is what rebinding lives on


def test_an_address_counts_by_itself_and_not_by_its_name(
    kind: Kind, server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []

    def public(address: str) -> bool:
        judged.append(address)
        return True

    monkeypatch.setattr(addresses, "is_public", public)
    assert isinstance(sent(kind, guarded(server)), Response)
    assert set(judged) == {"127.0.0.1"}
    assert len(judged) == 2  # when the connection stood, and when the answer began


def test_an_adapter_that_asks_for_no_guard_has_none(kind: Kind, server: ToyServer) -> None:
    assert isinstance(sent(kind, server.adapter()), Response)


def test_nothing_is_written_over_a_connection_nobody_checked(kind: Kind, server: ToyServer) -> None:
    unguarded, adapter = server.adapter(), guarded(server)
    if kind == "sync":
        with httpx.Client(verify=TRUST) as client:
            request, credentials = Request("GET", "/menu", nothing), adapter.config.credentials()
            HttpTransport(client, unguarded, SHORT).send(request, credentials)
            got = HttpTransport(client, adapter, SHORT).send(request, credentials)
    else:

        async def main() -> Response | Fault:
            async with httpx.AsyncClient(verify=TRUST) as client:
                request, credentials = (
                    Request("GET", "/menu", nothing),
                    adapter.config.credentials(),
                )
                await AsyncHttpTransport(client, unguarded, SHORT).send(request, credentials)
                return await AsyncHttpTransport(client, adapter, SHORT).send(request, credentials)

        got = asyncio.run(main())
    assert got == Fault(Applied.NO, UNPROVED, barred=True)
    assert len(server.seen) == 1


def test_guarded_requests_follow_each_other_over_one_client(
    kind: Kind, server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "is_public", bool)
    adapter = guarded(server)
    request, credentials = Request("GET", "/menu", nothing), adapter.config.credentials()
    if kind == "sync":
        with httpx.Client(verify=TRUST) as client:
            line = HttpTransport(client, adapter, SHORT)
            answers = [line.send(request, credentials) for _ in range(3)]
    else:

        async def main() -> list[Response | Fault]:
            async with httpx.AsyncClient(verify=TRUST) as client:
                line = AsyncHttpTransport(client, adapter, SHORT)
                return [await line.send(request, credentials) for _ in range(3)]

        answers = asyncio.run(main())
    assert [isinstance(answer, Response) for answer in answers] == [True] * 3


def test_answer_without_a_provable_address_is_not_read(
    kind: Kind, server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would be if httpcore gave its trace events other names."""
    monkeypatch.setattr(addresses, "_CONNECTED", ())
    monkeypatch.setattr(addresses, "_WRITING", "never")
    assert sent(kind, guarded(server)) == Fault(Applied.MAYBE, NOT_PUBLIC, barred=True)


def test_a_unix_socket_is_no_public_address(kind: Kind, server: ToyServer, tmp_path: Path) -> None:
    path = str(tmp_path / "pos.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        client: Any = (
            httpx.Client(transport=httpx.HTTPTransport(uds=path))
            if kind == "sync"
            else httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=path))
        )
        assert sent(kind, guarded(server), client) == BARRED


def test_transport_that_proves_no_address_is_refused(kind: Kind, server: ToyServer) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    client: Any = (
        httpx.Client(transport=transport)
        if kind == "sync"
        else httpx.AsyncClient(transport=transport)
    )
    assert sent(kind, guarded(server), client) == Fault(Applied.MAYBE, UNPROVED, barred=True)


class Gone:
    """A connection that is reset in the moment in which it is established."""

    closed = False

    def get_extra_info(self, _: str) -> object:
        raise OSError(107, "Transport endpoint is not connected")

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def broken_at_once(kind: Kind, stream: Gone) -> None:
    event, info = "connection.connect_tcp.complete", {"return_value": stream}
    if kind == "sync":
        AddressProof().trace(event, info)
    else:
        asyncio.run(AddressProof().atrace(event, info))


def test_connection_broken_at_once_is_outage(
    kind: Kind,
) -> None:
    stream = Gone()
    with pytest.raises(httpx.ConnectError) as raised:
        broken_at_once(kind, stream)
    assert not isinstance(raised.value, BarredError)
    assert stream.closed


def test_private_address_is_setup_error_not_created(server: ToyServer, opening: Opening) -> None:
    with pytest.raises(SetupError, match="isn't a public one") as raised:
        opening(guarded(server)).submit(toy_order(), is_new=True)
    assert raised.value.outcome is Outcome.NOT_CREATED
    assert not raised.value.transient
    assert "127.0.0.1" not in str(raised.value)
    assert not server.seen


def test_guarded_client_ignores_proxy_from_environment(
    server: ToyServer, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as (proxy, heard), listening() as (port, _):
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy}")
        monkeypatch.setattr(addresses, "is_public", bool)
        answering(monkeypatch, "127.0.0.1")
        adapter = guarded(server, base_url=f"https://pos.example:{port}")
        with pytest.raises(OutageError):  # nobody there speaks TLS
            opening(adapter, policy=Policy(retries=0), limits=SHORT).submit(
                toy_order(), is_new=True
            )
    assert heard == []
