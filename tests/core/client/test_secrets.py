"""No secret leaks anywhere, whatever happens to an order; `canaries` has the search for them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

import tillpost
from core.both import KINDS, Kind, blocking
from core.canaries import ACCESS, CLIENT, REFRESH, RENEWED, Search, leaks
from core.conftest import Opening
from core.toy import KeylessToy, Toy, lost_order, toy_order
from core.toy_server import Act, ToyServer, answer, hang, raw, redirect, refuse, reset, truncate
from tillpost import AsyncTill, ConfigError, Order, OutageError, Policy, PosError, Till, hookimpl
from tillpost.adapter.base import Attempt
from tillpost.adapter.exchange import Effect, Exchange, Request, ask, nothing
from tillpost.client.base import BaseTill, adapter_for
from tillpost.models.order import PosOrder
from tillpost.submission.context import Connection

ONCE = Policy(retries=0)

ANSWERS_HEAD = re.compile(r"httpcore\.http11 receive_response_headers\.(complete|failed) ")


def adapter_of(server: ToyServer, kind: type[Toy] = Toy, base_url: str = "") -> Toy:
    return kind(
        server.settings(
            base_url=base_url or server.url,
            access_token=ACCESS,
            refresh_token=REFRESH,
            client_secret=CLIENT,
        )
    )


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, down to DEBUG."""
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def logged_canaries(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged with a canary, but for one thing that isn't ours to change.

    httpcore, at DEBUG, quotes the head of each answer as it came. It never quotes a request's, so a
    token gets there only when the platform itself sends it back in a header."""
    format_ = logging.Formatter("%(name)s %(message)s").format
    texts = [f"{format_(record)} {record.args!r}" for record in caplog.records]
    return [text for text in texts if "CANARY" in text and not ANSWERS_HEAD.match(text)]


# The search itself


def test_search_finds_a_planted_secret() -> None:
    class Slotted:
        __slots__ = ("inner",)

        def __init__(self, inner: object) -> None:
            self.inner = inner

    def closing() -> Callable[[], str]:
        token = ACCESS
        return lambda: token

    def running() -> Iterator[int]:
        token = [ACCESS]
        yield len(token)

    started = running()
    next(started)
    hidden: list[object] = [
        ACCESS,
        ACCESS.encode(),
        bytearray(ACCESS.encode()),
        {"a": [({ACCESS},)]},
        {ACCESS: 1},
        Slotted(Slotted(ACCESS)),
        closing(),
        started,
        httpx.Request("GET", "http://x", headers={"Authorization": ACCESS}),
        httpx.Client(headers={"Authorization": ACCESS}),
    ]
    for value in hidden:
        assert list(Search().through(iter([("it", value)]))), value
    assert not list(Search().through(iter([("it", [SecretStr(ACCESS)])])))


def test_search_begins_with_tillposts_own_frames() -> None:
    token = ACCESS

    class Careless(Toy):
        def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
            seen_here = self.config.access_token.get_secret_value()
            yield from ask(Request("GET", seen_here[:0] + "/status", nothing))
            raise ValueError("an adapter's own fault")

    with (
        ToyServer() as server,
        Till(Connection(adapter_of(server, Careless))) as till,
        pytest.raises(PosError) as caught,
    ):
        till.submit(toy_order())
    found = leaks(caught.value)
    assert any("Careless" in where for where in found)
    assert not any("test_the_search" in where for where in found if "Careless" not in where)
    assert token == ACCESS


# What goes wrong with an order


ECHO = f"you sent Bearer {ACCESS}, {REFRESH} and {CLIENT}"
TROUBLE: dict[str, Act] = {
    "a refusal": refuse("CLOSED", "closed"),
    "a refusal that echoes": refuse("CLOSED", ECHO),
    "an unknown refusal that echoes": refuse(ECHO, ECHO, status=418),
    "a field that echoes": refuse("GONE", "line 0", field=ECHO),
    "a page that echoes": answer(500, f"<html>{ECHO}</html>".encode()),
    "headers that echo": answer(503, b"", x_request_id=ECHO, retry_after=ECHO),
    "a success that echoes": answer(200, {"id": ECHO, "ref": 7}),
    "a wrong success": answer(200, {"id": "o1"}),
    "a redirect that echoes": redirect(f"https://evil.example/?token={ACCESS}"),
    "a revoked token": refuse("REVOKED", ECHO, status=401),
    "a menu error": refuse("GONE", f"line 0 {ECHO}"),
    "a reset": reset(),
    "a truncated answer": truncate(),
    "no HTTP": raw(f"{ECHO}\r\n\r\n".encode()),
    "a header that cannot be": raw(f"HTTP/1.1 200 OK\r\n{ECHO}\x00\r\n\r\n".encode()),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
@pytest.mark.parametrize("keyed", [True, False])
def test_refused_order_leaks_no_secret(
    opening: Opening, server: ToyServer, logged: pytest.LogCaptureFixture, trouble: Act, keyed: bool
) -> None:
    server.always("POST /orders", trouble)
    server.always("GET /menu", trouble)
    server.always("GET /orders", trouble)
    till = opening(adapter_of(server, Toy if keyed else KeylessToy), policy=ONCE)
    with pytest.raises(PosError) as caught:
        till.submit(lost_order(), is_new=True)
    assert server.seen[0].headers["authorization"] == f"Bearer {ACCESS}"
    assert leaks(caught.value) == []
    assert logged_canaries(logged) == []
    assert logged.records


@pytest.mark.parametrize("where", ["no connection", "no answer"])
def test_network_fault_leaks_no_secret(
    opening: Opening, server: ToyServer, logged: pytest.LogCaptureFixture, where: str
) -> None:
    server.on("POST /orders", hang())
    base_url = "http://127.0.0.1:9" if where == "no connection" else server.url
    limits = tillpost.Limits(read=0.05)
    till = opening(adapter_of(server, base_url=base_url), policy=ONCE, limits=limits)
    with pytest.raises(OutageError) as caught:
        till.submit(toy_order())
    assert leaks(caught.value) == []
    assert logged_canaries(logged) == []


@pytest.mark.parametrize(
    "granted",
    [
        answer(200, {"access_token": RENEWED, "refresh_token": REFRESH}),
        answer(200, {"access_token": RENEWED}),
        answer(200, f"{RENEWED} isn't JSON".encode()),
        answer(200, {"errors": [{"code": "REVOKED", "text": f"{RENEWED} {ECHO}"}]}),
        refuse("REVOKED", ECHO),
        answer(500, ECHO.encode()),
        reset(),
    ],
)
def test_refresh_leaks_no_secret(
    opening: Opening, server: ToyServer, logged: pytest.LogCaptureFixture, granted: Act
) -> None:
    server.always("POST /token", granted)
    server.always("POST /orders", refuse("EXPIRED", status=401))
    with pytest.raises(PosError) as caught:
        opening(adapter_of(server), policy=ONCE).submit(toy_order())
    assert REFRESH.encode() in next(seen for seen in server.seen if seen.path == "/token").body
    assert leaks(caught.value) == []
    assert logged_canaries(logged) == []


def test_failing_hook_leaks_no_secret(
    opening: Opening, server: ToyServer, logged: pytest.LogCaptureFixture
) -> None:
    seen: list[PosError] = []

    class Telling:
        @hookimpl
        def order_failed(self, error: PosError) -> None:
            seen.append(error)
            raise error

    server.always("POST /orders", refuse("CLOSED", ECHO))
    with pytest.raises(PosError):
        opening(adapter_of(server), policy=ONCE, hooks=[Telling()]).submit(toy_order())
    assert leaks(seen[0]) == []
    assert logged_canaries(logged) == []


@pytest.fixture(scope="module")
def shared() -> Iterator[ToyServer]:
    with ToyServer() as running:
        yield running


PARTS = st.sampled_from(
    [ECHO, ACCESS, REFRESH, CLIENT, '{"errors": [', '{"code": "', '"}', "]}", "\\", '"', "<p>"]
)
ECHOES = st.lists(PARTS | st.text(max_size=5), max_size=8).map("".join)


FUZZED = dict[str, httpx.Response]()
"""The next answer. It isn't in a closure, where the search would find it."""


def fuzzed(request: httpx.Request) -> httpx.Response:
    return FUZZED["answer"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(status=st.integers(200, 599), body=ECHOES, header=st.sampled_from(["", ECHO, ACCESS]))
def test_fuzzed_answers_leak_no_secret(
    shared: ToyServer, kind: Kind, status: int, body: str, header: str
) -> None:
    FUZZED["answer"] = httpx.Response(
        status, headers={"x-request-id": header}, content=body.encode()
    )
    clients: dict[str, Any] = {
        "client": httpx.Client(transport=httpx.MockTransport(fuzzed), verify=False),
        "async_client": httpx.AsyncClient(transport=httpx.MockTransport(fuzzed), verify=False),
    }
    till = blocking(kind, adapter_of(shared), policy=ONCE, **clients)
    try:
        with pytest.raises(PosError) as caught:
            till.submit(toy_order())
    finally:
        till.close()
    assert leaks(caught.value) == []


# Interruptions


def interrupting(stop: type[BaseException]) -> Callable[[httpx.Request], httpx.Response]:
    def interrupt(request: httpx.Request) -> httpx.Response:
        token = request.headers.get("authorization")
        raise stop if token or request.content else ValueError(token)

    return interrupt


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("refreshing", [True, False])
def test_interruption_leaks_no_secret(
    server: ToyServer, kind: Kind, stop: type[BaseException], refreshing: bool
) -> None:
    def answered(request: httpx.Request) -> httpx.Response:
        if refreshing and request.url.path != "/token":
            return httpx.Response(401, json={"errors": [{"code": "EXPIRED"}]})
        return interrupting(stop)(request)

    transport, adapter = httpx.MockTransport(answered), adapter_of(server)

    async def tasks() -> None:
        async with httpx.AsyncClient(transport=transport) as client:
            await AsyncTill(Connection(adapter, policy=ONCE), http_client=client).submit(
                toy_order()
            )

    def threads() -> None:
        with httpx.Client(transport=transport) as client:
            Till(Connection(adapter, policy=ONCE), http_client=client).submit(toy_order())

    with pytest.raises(stop) as caught:
        threads() if kind == "sync" else asyncio.run(tasks())
    assert leaks(caught.value) == []


def test_cancelled_task_leaks_no_secret(
    server: ToyServer,
) -> None:
    server.on("POST /orders", hang())

    async def cancelled() -> BaseException:
        async with AsyncTill(Connection(adapter_of(server))) as till:
            task = asyncio.create_task(till.submit(toy_order()))
            assert await asyncio.to_thread(server.hanging.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            found = leaks(caught.value)
            assert found == []
            return caught.value

    assert asyncio.run(cancelled()).__context__ is None


# Settings, and what shows itself


@pytest.mark.parametrize("connect", [Till.connect, AsyncTill.connect])
@pytest.mark.parametrize(
    ("platform", "wrong"),
    [
        ("square", {"locaton_id": "L1"}),
        ("square", {"location_id": "L1", "base_url": "http://pos.example"}),
        ("square", {"location_id": "L1", "base_url": f"https://me:{ACCESS}@pos.example"}),
        ("square", {"location_id": "L1", "access_token": f"{ACCESS}\n"}),
        ("nowhere", {"location_id": "L1"}),
    ],
)
def test_refused_settings_leak_no_secret(
    connect: Callable[..., BaseTill], platform: str, wrong: dict[str, str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(platform, **{"access_token": ACCESS, **wrong})
    assert leaks(caught.value) == []
    assert caught.value.__context__ is None


def test_refused_hook_leaks_no_secret() -> None:
    class Wrong:
        @hookimpl
        def order_submitted(self, odrer: Order) -> None: ...

    with pytest.raises(ConfigError) as caught:
        Till.connect("square", access_token=ACCESS, location_id="L1", hooks=[Wrong()])
    assert leaks(caught.value) == []


def test_adapter_for_empties_the_settings() -> None:
    settings: dict[str, object] = {"access_token": ACCESS, "location_id": "L1"}
    assert adapter_for("square", settings).platform == "square"
    assert settings == {}


def test_reprs_leak_no_secret(server: ToyServer, kind: Kind) -> None:
    adapter = adapter_of(server)
    till = blocking(kind, adapter)
    shown = [
        adapter,
        adapter.config,
        adapter.config.credentials(),
        till.till,
        vars(till.till),
        vars(adapter),
    ]
    till.close()
    assert "CANARY" not in "".join(f"{value!r} {value!s}" for value in shown)
    assert (
        "CANARY"
        not in adapter.config.model_dump_json() + adapter.config.credentials().model_dump_json()
    )


def test_log_of_a_healthy_order_leaks_no_secret(
    opening: Opening, server: ToyServer, logged: pytest.LogCaptureFixture
) -> None:
    till = opening(adapter_of(server))
    till.submit(toy_order())
    till.import_menu()
    assert {record.name.partition(".")[0] for record in logged.records} >= {"httpx", "httpcore"}
    assert logged_canaries(logged) == []


def test_request_holds_no_secret_before_it_is_signed(server: ToyServer) -> None:
    adapter = adapter_of(server)
    asked = next(adapter.refresh(adapter.config.credentials()))
    assert isinstance(asked, Request)
    assert asked.effect is Effect.SIDE
    assert not list(Search().through(iter([("request", asked)])))
