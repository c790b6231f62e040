"""Answers and faults of real servers, and what each says of the request."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import math
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr

from core.both import Kind
from core.conftest import Opening
from core.sending import CREDENTIALS, PATIENT, Sender, client_over, sender
from core.toy import TOKEN, Toy, ToySettings
from core.toy_server import Act, ToyServer, answer, hang, hangup, raw, redirect, reset, truncate
from tillpost import AsyncTill, Limits, Till
from tillpost.adapter.base import Credentials, Signed
from tillpost.adapter.exchange import Effect, Fault, Request, Response, nothing
from tillpost.adapter.verdicts import judge
from tillpost.errors import Applied
from tillpost.submission.context import Connection
from tillpost.transport.http import AsyncHttpTransport, fault_of
from tillpost.transport.network import Exchange


def test_answer_has_status_lower_case_headers_and_body(send: Sender) -> None:
    got = send()
    assert isinstance(got, Response)
    assert (got.status, got.headers["x-request-id"]) == (200, "req-1")
    assert json.loads(got.body)["items"][0]["id"] == "i1"


def test_request_carries_credentials_and_nothing_else(send: Sender, server: ToyServer) -> None:
    send()
    (seen,) = server.seen
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (reset(effect=False), "the connection broke: Connection reset by peer"),
        (reset(effect=True), "the connection broke: Connection reset by peer"),
        (hangup(), "the connection ended before the answer was whole"),
        (truncate(), "the connection ended before the answer was whole"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "the connection ended before the answer was whole"),
        (
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
            "the connection ended before the answer was whole",
        ),
        (raw(b"\x00\xff\xfe\r\n\r\n"), "the connection ended before the answer was whole"),
        (
            raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 40_000),
            "the connection ended before the answer was whole",
        ),
    ],
)
def test_failure_after_sending_may_have_been_applied(
    send: Sender, server: ToyServer, act: Act, text: str
) -> None:
    server.on("GET /menu", act)
    assert send() == Fault(Applied.MAYBE, text)


def test_hanging_server_may_have_applied_the_request(send: Sender, server: ToyServer) -> None:
    server.on("GET /menu", hang())
    got = send(limits=replace(PATIENT, read=0.3))
    assert got == Fault(Applied.MAYBE, "no answer in time")


def test_a_refused_connection_never_carried_the_request(send: Sender, server: ToyServer) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        got = send(adapter=server.adapter(base_url=base_url))
    assert isinstance(got, Fault)
    assert got.applied is Applied.NO
    assert got.text.startswith("no connection")


@pytest.mark.parametrize(
    "path",
    [
        "@127.0.0.2:9/steal",
        "menu",
        "",
        ":9/menu",
        ".evil.example/menu",
        "//evil.example/menu",
        "/a//b",
        "/a/%2F/b",
        "/../menu",
        "/menu/..",
        "/menu/.",
        "/%2e%2e/menu",
        "/a/..%2fmenu",
        "/a@evil.example",
        "/a\\b",
        "/a%5c..%5cb",
        "/a b",
        "/menu\nX-Other: 1",
        "/menu?a=\n1",
        "/menu%0a",
        "/menu#x",
        "https://evil.example/menu",
    ],
)
def test_path_that_could_lead_elsewhere_is_not_signed(
    send: Sender, server: ToyServer, path: str
) -> None:
    class Signing(Toy):
        def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
            raise AssertionError("the token was used")

    got = send(path, adapter=Signing(server.settings()))
    assert isinstance(got, Fault)
    assert (got.applied, got.barred) == (Applied.NO, True)
    assert got.text.startswith("the request's path could lead to another host")
    assert not server.seen


def test_finished_url_has_the_origin_of_the_address(send: Sender, server: ToyServer) -> None:
    adapter = server.adapter()
    adapter.config = ToySettings.model_construct(base_url="http:/")  # makes a host of the path
    got = send("/127.0.0.2/steal", adapter=adapter)
    assert isinstance(got, Fault)
    assert (got.applied, got.barred) == (Applied.NO, True)


@pytest.mark.parametrize("path", ["/", "/menu/", "/menu?next=/a//b&m=a%40b", "/a/b%2Fc%40d"])
def test_path_of_the_platform_is_sent_as_it_is(send: Sender, server: ToyServer, path: str) -> None:
    send(path)
    assert [seen.path for seen in server.seen] == [path]


@contextmanager
def full_backlog() -> Generator[str, None, None]:
    """A port whose queue of connections is full, so that a new one has to wait."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting: list[socket.socket] = []
        with suppress(TimeoutError):
            while len(waiting) < 100:
                waiting.append(socket.socket())
                waiting[-1].settimeout(0.2)
                waiting[-1].connect(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        for one in waiting:
            one.close()


def test_connect_timeout_never_sent_the_request(send: Sender, server: ToyServer) -> None:
    with full_backlog() as base_url:
        got = send(
            adapter=server.adapter(base_url=base_url), limits=Limits(connect=0.1, read=2, answer=2)
        )
    assert isinstance(got, Fault)
    assert got.applied is Applied.NO
    assert got.text.startswith("no connection in time")


def test_pool_timeout_never_sent_the_request(send: Sender, server: ToyServer, kind: Kind) -> None:
    limits = httpx.Limits(max_connections=0)
    client = httpx.Client(limits=limits) if kind == "sync" else httpx.AsyncClient(limits=limits)
    got = send(client=client, limits=Limits(read=0.1, answer=1))
    assert got == Fault(Applied.NO, "no free connection in time")
    assert not server.seen


@pytest.mark.parametrize(
    ("failure", "applied"),
    [
        (httpx.ConnectTimeout, Applied.NO),
        (httpx.PoolTimeout, Applied.NO),
        (httpx.ConnectError, Applied.NO),
        (httpx.ProxyError, Applied.NO),
        (httpx.UnsupportedProtocol, Applied.NO),
        (httpx.LocalProtocolError, Applied.NO),
        (httpx.InvalidURL, Applied.MAYBE),
        (httpx.ReadTimeout, Applied.MAYBE),
        (httpx.WriteTimeout, Applied.MAYBE),
        (httpx.ReadError, Applied.MAYBE),
        (httpx.WriteError, Applied.MAYBE),
        (httpx.CloseError, Applied.MAYBE),
        (httpx.RemoteProtocolError, Applied.MAYBE),
        (httpx.DecodingError, Applied.MAYBE),
        (httpx.TooManyRedirects, Applied.MAYBE),
        (httpx.CookieConflict, Applied.MAYBE),
        (httpx.StreamConsumed, Applied.MAYBE),
        (httpx.StreamClosed, Applied.MAYBE),
        (httpx.ResponseNotRead, Applied.MAYBE),
        (httpx.RequestNotRead, Applied.MAYBE),
        (httpx.HTTPStatusError, Applied.MAYBE),
        (OSError, Applied.MAYBE),
        (RuntimeError, Applied.MAYBE),
        (RecursionError, Applied.MAYBE),
        (TimeoutError, Applied.MAYBE),
    ],
)
def test_transport_exception_becomes_fault_without_its_text(
    send: Sender, kind: Kind, failure: type[Exception], applied: Applied
) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise _made(failure, f"Illegal header value b'Bearer {TOKEN}'")

    got = send(client=client_over(kind, fail))
    assert isinstance(got, Fault)
    assert got.applied is applied
    assert TOKEN not in got.text
    assert got.text


def _made(failure: Callable[..., Exception], text: str) -> Exception:
    """Make an exception of the class, whatever else its constructor wants."""
    if failure is httpx.HTTPStatusError:
        return failure(text, request=httpx.Request("GET", "http://x"), response=httpx.Response(500))
    try:
        return failure(text)
    except TypeError:
        return failure()


def test_end_of_an_exchange_under_asyncio_is_said_in_words() -> None:
    assert fault_of(TimeoutError(), Exchange(0.0)).text == "no answer in time"


def test_every_httpx_exception_is_classified() -> None:
    everything = {
        kind
        for kind in vars(httpx).values()
        if isinstance(kind, type) and issubclass(kind, (httpx.TransportError,))
    }
    abstract = {
        httpx.TransportError,
        httpx.TimeoutException,
        httpx.NetworkError,
        httpx.ProtocolError,
    }
    for kind in everything - abstract:
        assert not fault_of(kind("x"), Exchange(math.inf)).text.startswith(
            "the transport failed"
        ), kind


def test_http2_failure_may_have_been_applied() -> None:
    protocol_error = type("ProtocolError", (Exception,), {"__module__": "h2.exceptions"})
    failure = httpx.LocalProtocolError("x")
    failure.__cause__ = protocol_error()
    assert fault_of(failure, Exchange(math.inf)).applied is Applied.MAYBE


class UnwritableToy(Toy):
    """Signs with a header that can't be written."""

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        return Signed(
            {"Authorization": f"Bearer {credentials.access_token.get_secret_value()} \N{SNOWMAN}"}
        )


class ExitingToy(Toy):
    """Ends the program instead of signing."""

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        raise SystemExit(1)


def test_request_that_is_not_signed_has_not_left(send: Sender, server: ToyServer) -> None:
    got = send(adapter=ExitingToy(server.settings()))
    assert isinstance(got, Fault)
    assert got.applied is Applied.NO
    assert server.seen == []


def test_a_request_that_cannot_be_made_has_not_left(send: Sender, server: ToyServer) -> None:
    got = send(adapter=UnwritableToy(server.settings()))
    assert got == Fault(Applied.NO, "the request can't be made (UnicodeEncodeError)")
    assert not server.seen


def test_a_header_with_a_line_break_is_never_written(send: Sender, server: ToyServer) -> None:
    got = send(headers={"X-Split": "a\r\nX-Injected: b"})
    assert got == Fault(Applied.NO, "the request can't be written as HTTP")
    assert not server.seen


# Where the token goes


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(send: Sender, server: ToyServer, kind: Kind, status: int) -> None:
    client = (
        httpx.Client(follow_redirects=True)
        if kind == "sync"
        else httpx.AsyncClient(follow_redirects=True)
    )
    with ToyServer() as stranger:
        server.on("GET /menu", redirect(f"{stranger.url}/menu", status))
        got = send(client=client)
        assert isinstance(got, Response)
        assert got.status == status
        assert not stranger.seen


def test_given_client_adds_headers_but_no_credentials(
    send: Sender, server: ToyServer, kind: Kind
) -> None:
    arguments: Any = {
        "auth": ("me", "secret"),
        "headers": {"Authorization": "Basic mine", "X-Trace": "t1"},
    }
    send(client=httpx.Client(**arguments) if kind == "sync" else httpx.AsyncClient(**arguments))
    (seen,) = server.seen
    assert (seen.headers["authorization"], seen.headers["x-trace"]) == (f"Bearer {TOKEN}", "t1")
    assert (seen.headers["accept"], seen.headers["accept-encoding"]) == ("application/json", "gzip")


def test_cookies_of_an_answer_are_not_sent(opening: Opening, server: ToyServer, kind: Kind) -> None:
    """A captive portal's cookie can't be sent at all, and others would grow without end."""
    for value in ("user=M\u00fcller", "lane=2", f"lane=2; Domain={server.url[7:].split(':')[0]}"):
        server.on("GET /status", answer(200, {"open": True}, set_cookie=value))
    till = opening(server.adapter())
    for _ in range(4):
        assert till.check().ready
    assert ["cookie" in seen.headers for seen in server.seen] == [False] * 4


def test_shared_client_sends_no_other_stores_cookies(server: ToyServer, kind: Kind) -> None:
    """Nor to a store that is connected after the answer; the client's own cookies are sent."""
    server.on("GET /status", answer(200, {"open": True}, set_cookie="session=store-A; Path=/"))

    async def run() -> None:
        async with httpx.AsyncClient(cookies={"lane": "2"}) as client:
            for _ in range(2):
                async with AsyncTill(Connection(server.adapter()), http_client=client) as till:
                    await till.check()
                    await till.check()

    if kind == "async":
        asyncio.run(run())
    else:
        with httpx.Client(cookies={"lane": "2"}) as client:
            for _ in range(2):
                with Till(Connection(server.adapter()), http_client=client) as till:
                    till.check()
                    till.check()
    assert [seen.headers["cookie"] for seen in server.seen] == ["lane=2"] * 4


def test_given_client_adds_cookies_and_parameters(
    send: Sender, server: ToyServer, kind: Kind
) -> None:
    arguments: Any = {"cookies": {"lane": "2"}, "params": {"tenant": "t1"}}
    send(client=httpx.Client(**arguments) if kind == "sync" else httpx.AsyncClient(**arguments))
    (seen,) = server.seen
    assert (seen.headers["cookie"], seen.path) == ("lane=2", "/menu?tenant=t1")


def test_credentials_of_a_netrc_file_are_not_sent(
    send: Sender, server: ToyServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    send()
    assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


# Secrets in answers


@pytest.mark.parametrize(
    "echo", ["abc/def+secret", r"abc\/def+secret", "abc%2Fdef%2Bsecret", "abc/def%2Bsecret"]
)
def test_echoed_secret_is_masked_in_body_and_headers(
    send: Sender, server: ToyServer, echo: str
) -> None:
    secret = "abc/def+secret"
    credentials = Credentials(access_token=SecretStr("x"), client_secret=SecretStr(secret))
    server.on("GET /menu", answer(400, f"you sent {echo}!".encode(), x_request_id=f"id-{echo}"))
    got = send(credentials=credentials)
    assert isinstance(got, Response)
    assert (got.body, got.headers["x-request-id"]) == (b"you sent ***!", "id-***")


def test_alphanumeric_secret_is_masked(send: Sender, server: ToyServer) -> None:
    server.on("GET /menu", answer(400, b"you sent abcdef789!"))
    got = send(credentials=Credentials(access_token=SecretStr("abcdef789")))
    assert isinstance(got, Response)
    assert got.body == b"you sent ***!"


def test_short_secret_is_not_masked(send: Sender) -> None:
    got = send(credentials=Credentials(access_token=SecretStr("items")))
    assert isinstance(got, Response)
    assert b"items" in got.body


def test_private_answer_keeps_secrets_only_on_success(send: Sender, server: ToyServer) -> None:
    server.on("GET /menu", answer(200, f'"{TOKEN}"'.encode()), answer(400, f'"{TOKEN}"'.encode()))
    first, second = send(private=True), send(private=True)
    assert isinstance(first, Response)
    assert isinstance(second, Response)
    assert (first.body, second.body) == (f'"{TOKEN}"'.encode(), b'"***"')


# Interruptions


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interruption_is_raised_without_token_frames(
    send: Sender, kind: Kind, stop: type[BaseException]
) -> None:
    def interrupt(request: httpx.Request) -> httpx.Response:
        try:
            raise ValueError(request.headers["authorization"])
        except ValueError:
            raise stop from None

    with pytest.raises(stop) as caught:
        send(client=client_over(kind, interrupt))
    assert caught.value.__context__ is None
    names: list[str] = []
    frames = caught.value.__traceback__
    while frames:
        names.append(frames.tb_frame.f_code.co_name)
        frames = frames.tb_next
    assert "send" in names
    assert not {"interrupt", "handle_request", "handle_async_request", "_exchange"} & set(names)


@pytest.mark.parametrize("kind", ["sync"])
def test_the_parts_of_an_interrupting_group_are_bared_too(send: Sender, kind: Kind) -> None:
    def interrupt(request: httpx.Request) -> httpx.Response:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as stop:
            raise BaseExceptionGroup("stopped", [stop]) from None

    with pytest.raises(BaseExceptionGroup) as caught:
        send(client=client_over(kind, interrupt))
    assert caught.value.exceptions[0].__traceback__ is None


def test_cancelled_task_leaves_no_connection(server: ToyServer) -> None:
    server.on("GET /menu", hang())

    async def cancelled() -> None:
        async with httpx.AsyncClient() as client:
            line = AsyncHttpTransport(client, server.adapter(), Limits())
            task = asyncio.create_task(line.send(Request("GET", "/menu", nothing), CREDENTIALS))
            await asyncio.to_thread(server.hanging.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            got = await line.send(Request("GET", "/menu", nothing), CREDENTIALS)
            assert isinstance(got, Response)

    asyncio.run(cancelled())


def test_httpx_log_has_no_token(send: Sender, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        send("/menu", effect=Effect.NONE)
    assert [record for record in caplog.records if record.name == "httpx"]
    assert not [record for record in caplog.records if TOKEN in record.getMessage()]


def test_invalid_redirect_after_create_may_have_been_applied(kind: Kind, server: ToyServer) -> None:
    server.on("GET /menu", redirect("http:orders/1", 303))
    client = httpx.Client() if kind == "sync" else httpx.AsyncClient()
    fault = sender(kind, server)(client=client)
    assert isinstance(fault, Fault)
    assert fault.applied is Applied.MAYBE


def test_invalid_redirect_is_an_answer_on_own_network(kind: Kind, server: ToyServer) -> None:
    """Its address isn't read, since no redirect is followed."""
    server.on("GET /menu", redirect("http:orders/1", 303))
    answer = sender(kind, server)()
    assert isinstance(answer, Response)
    create = Request("POST", "/orders", nothing, effect=Effect.CREATE)
    verdict = judge(server.adapter(), create, None, answer, time.time())
    assert (answer.status, verdict.applied) == (303, Applied.MAYBE)


PASSWORD = "correct+horse/battery"
BASIC = b64encode(f"me:{PASSWORD}".encode()).decode()


class BasicToy(Toy):
    """An adapter that makes its header of secrets that no setting holds as they are sent."""

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        return Signed({"Authorization": f"Basic {BASIC}"})


@pytest.mark.parametrize(
    "echo",
    [
        f"Basic {BASIC}",
        PASSWORD,
        f"me:{PASSWORD}",
        json.dumps(PASSWORD).replace("/", "\\/"),
        PASSWORD.replace("+", "\\u002b"),
        quote(PASSWORD),
        html.escape(PASSWORD.replace("+", "&#43;")),
        "signing-key-of-the-toy",
    ],
)
def test_sent_and_configured_secrets_are_masked(send: Sender, server: ToyServer, echo: str) -> None:
    server.on("GET /menu", answer(400, f"<{echo}>".encode(), x_seen=echo, x_other="kept"))
    server.on("GET /menu", answer(400, f"<{PASSWORD}>".encode("utf-16")))
    adapter = BasicToy(server.settings(webhook_secret="signing-key-of-the-toy"))
    got, in_utf_16 = send(adapter=adapter), send(adapter=adapter)
    assert isinstance(got, Response)
    assert isinstance(in_utf_16, Response)
    shown = got.body.decode() + got.headers["x-seen"] + in_utf_16.body.decode("latin-1")
    for secret in ("horse", "battery", BASIC, "signing-key"):
        assert secret not in shown.replace("\0", "")
    assert got.headers["x-other"] == "kept"


def test_httpx_logs_our_requests_without_their_queries(
    send: Sender, server: ToyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send("/menu?email=mia%40example.com&page=2")
    with httpx.Client() as client:
        client.get(f"{server.url}/menu?email=leo%40example.com")
    logged = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert [text.split()[3] for text in logged] == [
        f"{server.url}/menu?email=***&page=***",
        f"{server.url}/menu?email=leo%40example.com",
    ]
    assert "mia" not in caplog.text
    assert server.seen[0].path == "/menu?email=mia%40example.com&page=2"
