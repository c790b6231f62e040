"""The network's edge: what a real server, or the lack of one, does to a request, and what that says of it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from core.both import Kind
from core.sending import CREDENTIALS, Sender, client_over
from core.toy import TOKEN, Toy
from core.toy_server import Act, ToyServer, answer, hang, hangup, raw, redirect, reset, truncate
from tillpost import Limits
from tillpost.adapter.base import Credentials, Signed
from tillpost.adapter.exchange import Effect, Fault, Request, Response, nothing
from tillpost.errors import Applied
from tillpost.transport.http import AsyncHttpTransport, fault_of


def test_an_answer_comes_back_with_its_status_headers_in_lower_case_and_body(send: Sender) -> None:
    got = send()
    assert isinstance(got, Response)
    assert (got.status, got.headers["x-request-id"]) == (200, "req-1")
    assert json.loads(got.body)["items"][0]["id"] == "i1"


def test_the_credentials_go_out_with_the_request_and_nothing_else_is_asked_for(
    send: Sender, server: ToyServer
) -> None:
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
        (hang(), "no answer in time"),
    ],
)
def test_what_breaks_after_the_request_left_may_have_been_applied(
    send: Sender, server: ToyServer, act: Act, text: str
) -> None:
    server.on("GET /menu", act)
    assert send() == Fault(Applied.MAYBE, text)


def test_a_refused_connection_never_carried_the_request(send: Sender, server: ToyServer) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        got = send(adapter=server.adapter(base_url=base_url))
    assert isinstance(got, Fault)
    assert got.applied is Applied.NO
    assert got.text.startswith("no connection")


@contextmanager
def full_backlog() -> Generator[str, None, None]:
    """A port on which nobody accepts and the queue of connections is full, so that another one has to wait."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        for one in waiting:
            one.close()


def test_a_connection_that_takes_too_long_never_carried_the_request(
    send: Sender, server: ToyServer
) -> None:
    with full_backlog() as base_url:
        got = send(
            adapter=server.adapter(base_url=base_url), limits=Limits(connect=0.1, read=2, answer=2)
        )
    assert isinstance(got, Fault)
    assert got.applied is Applied.NO
    assert got.text.startswith("no connection in time")


def test_a_pool_without_a_free_connection_never_carried_the_request(
    send: Sender, server: ToyServer, kind: Kind
) -> None:
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
        (httpx.InvalidURL, Applied.NO),
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
def test_an_exception_of_the_transport_becomes_a_fault_and_is_not_quoted(
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


def test_every_exception_that_httpx_has_is_spoken_for() -> None:
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
        assert not fault_of(kind("x")).text.startswith("the transport failed"), kind


def test_http2_that_broke_down_may_have_been_applied_though_httpx_calls_it_our_error() -> None:
    protocol_error = type("ProtocolError", (Exception,), {"__module__": "h2.exceptions"})
    failure = httpx.LocalProtocolError("x")
    failure.__cause__ = protocol_error()
    assert fault_of(failure).applied is Applied.MAYBE


class UnwritableToy(Toy):
    """Signs with a header that can't be written."""

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        return Signed(
            {"Authorization": f"Bearer {credentials.access_token.get_secret_value()} \N{SNOWMAN}"}
        )


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
def test_a_redirect_is_not_followed_and_no_other_host_sees_the_token(
    send: Sender, server: ToyServer, kind: Kind, status: int
) -> None:
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


def test_a_client_that_was_handed_in_adds_its_own_headers_but_not_its_own_credentials(
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


def test_a_client_that_was_handed_in_adds_its_own_cookies_and_parameters(
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
def test_a_secret_that_a_server_echoes_is_scrubbed_from_body_and_headers(
    send: Sender, server: ToyServer, echo: str
) -> None:
    secret = "abc/def+secret"
    credentials = Credentials(access_token=SecretStr("x"), client_secret=SecretStr(secret))
    server.on("GET /menu", answer(400, f"you sent {echo}!".encode(), x_request_id=f"id-{echo}"))
    got = send(credentials=credentials)
    assert isinstance(got, Response)
    assert (got.body, got.headers["x-request-id"]) == (b"you sent ***!", "id-***")


def test_a_secret_that_is_spelled_the_same_everywhere_is_scrubbed_too(
    send: Sender, server: ToyServer
) -> None:
    server.on("GET /menu", answer(400, b"you sent abcdef789!"))
    got = send(credentials=Credentials(access_token=SecretStr("abcdef789")))
    assert isinstance(got, Response)
    assert got.body == b"you sent ***!"


def test_a_short_secret_is_not_scrubbed_since_that_would_spoil_the_answer(send: Sender) -> None:
    got = send(credentials=Credentials(access_token=SecretStr("items")))
    assert isinstance(got, Response)
    assert b"items" in got.body


def test_a_private_answer_keeps_its_secrets_when_it_succeeds_and_loses_them_when_it_does_not(
    send: Sender, server: ToyServer
) -> None:
    server.on("GET /menu", answer(200, f'"{TOKEN}"'.encode()), answer(400, f'"{TOKEN}"'.encode()))
    first, second = send(private=True), send(private=True)
    assert isinstance(first, Response)
    assert isinstance(second, Response)
    assert (first.body, second.body) == (f'"{TOKEN}"'.encode(), b'"***"')


# Interruptions


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interruption_goes_on_without_the_frames_that_hold_the_token(
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


def test_a_cancelled_task_is_cancelled_and_leaves_no_connection_behind(server: ToyServer) -> None:
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


def test_what_httpx_logs_of_a_request_holds_no_token(
    send: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        send("/menu", effect=Effect.NONE)
    assert [record for record in caplog.records if record.name == "httpx"]
    assert not [record for record in caplog.records if TOKEN in record.getMessage()]
