"""No platform's client secret, refresh token or webhook key leaks anywhere.

`test_secrets` has more such tests, on a toy platform.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.canaries import ACCESS, CLIENT, CODE, REFRESH, RENEWED, VERIFIER, leaks
from core.canary_worlds import world as world  # a fixture
from core.client.test_secrets import logged as logged  # a fixture
from core.client.test_secrets import logged_canaries
from tillpost import ConfigError, Policy, PosError, Till
from tillpost.adapter.base import Adapter, Credentials
from tillpost.adapter.webhooks import WebhookError
from tillpost.authorization import authorize_url, exchange_code
from tillpost.client.credentials import MemoryCredentials
from tillpost.plugins.manager import adapter_named
from tillpost.submission.context import Connection
from tillpost.testing import Cassettes, Opened, Origin, Source
from tillpost.testing.world import World

ONCE = Policy(retries=0)


def has(world: World[Any], operation: str) -> bool:
    return operation in world.adapter.capabilities()


def secretive(world: World[Any], **changed: object) -> Adapter[Any]:
    """Return an adapter that holds all secrets of the platform."""
    renewal = world.renewal() if has(world, "refresh") else {}
    known = {**world.settings, **renewal, **world.webhook_settings(), **changed}
    return world.adapter(world.adapter.settings.model_validate(known))


ECHO = "ALL-THAT-WAS-SENT"
"""A placeholder for the secrets that the platform was sent, which it may send back."""

FORM: dict[str, object] = {
    "error": ECHO,
    "error_description": f"the token has expired: {ECHO}",
    "kind": ECHO,
    "detail": ECHO,
    "item": ECHO,
    "errors": [{"category": ECHO, "code": ECHO, "detail": ECHO, "field": ECHO}],
}
"""A refusal in the form of every platform at once."""

EXPIRED = httpx.Response(
    401,
    json={
        "error": "invalid_token",
        "error_description": "The access token provided has expired",
        "errors": [{"category": "AUTHENTICATION_ERROR", "code": "ACCESS_TOKEN_EXPIRED"}],
    },
)
ANSWERS: dict[str, tuple[int, bytes]] = {
    **{
        f"a refusal with {status}": (status, json.dumps(FORM).encode())
        for status in (400, 401, 403, 422, 429, 500)
    },
    "a success that complains": (200, json.dumps(FORM).encode()),
    "a page": (500, f"<html>{ECHO}</html>".encode()),
    "a success in no form": (200, ECHO.encode()),
    "a success that echoes": (200, json.dumps({"id": ECHO, "order": {"id": ECHO}}).encode()),
}
GRANTS: dict[str, tuple[int, bytes]] = {
    "a token": (
        200,
        json.dumps(
            {"access_token": RENEWED, "refresh_token": REFRESH, "expires_in": 3600}
        ).encode(),
    ),
    "a token in no form": (200, f"{RENEWED} {ECHO}".encode()),
    "a token and an error": (200, json.dumps({"access_token": RENEWED, **FORM}).encode()),
}
ANSWERING = dict[str, tuple[int, bytes]]()
"""The next answers, to a token request and to all others.

They aren't in a closure, where the search would find them.
"""


ECHOED = list[str]()


def answering(request: httpx.Request) -> httpx.Response:
    status, content = ANSWERING["token" if "token" in request.url.path else "others"]
    echoed = f"you sent {request.headers.get('authorization', '')} {' and '.join(ECHOED)}"
    return httpx.Response(
        status,
        content=content.replace(ECHO.encode(), echoed.encode()),
        headers={"x-request-id": echoed},
    )


def refused(world: World[Any]) -> PosError:
    adapter = secretive(world)
    ECHOED[:] = [secret for secret in adapter.config.credentials().secrets() if secret != ACCESS]
    assert ECHOED
    with (
        httpx.Client(transport=httpx.MockTransport(answering), verify=False) as client,
        Till(Connection(adapter, policy=ONCE), http_client=client) as till,
        pytest.raises(PosError) as caught,
    ):
        till.submit(world.order("ord_1"), is_new=True)
    return caught.value


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_refused_order_leaks_no_secret(
    world: World[Any], logged: pytest.LogCaptureFixture, answer: tuple[int, bytes]
) -> None:
    ANSWERING.update(token=answer, others=answer)
    assert leaks(refused(world)) == []
    assert logged_canaries(logged) == []


@pytest.mark.parametrize("answer", (ANSWERS | GRANTS).values(), ids=ANSWERS | GRANTS)
def test_refresh_leaks_no_secret(
    world: World[Any], logged: pytest.LogCaptureFixture, answer: tuple[int, bytes]
) -> None:
    ANSWERING.update(token=answer, others=(EXPIRED.status_code, EXPIRED.content))
    assert leaks(refused(world)) == []
    assert logged_canaries(logged) == []


def test_refreshed_credentials_reach_only_their_callback(
    world: World[Any], logged: pytest.LogCaptureFixture
) -> None:
    if not has(world, "refresh"):
        return
    world.expire_token()
    saved: list[Credentials] = []
    connection = Connection(secretive(world), policy=ONCE)
    credentials = MemoryCredentials(connection.adapter.config.credentials(), saved.append)
    with Till(connection, credentials=credentials) as till:
        till.submit(world.order("ord_1"))
        shown = [f"{till!r} {vars(till)!r} {saved[0]!r} {saved[0]} {saved[0].model_dump_json()}"]
    shown += [f"{record.getMessage()} {record.args!r}" for record in logged.records]
    assert saved[0].secrets()
    assert [
        text for text in shown if any(secret in text for secret in (*saved[0].secrets(), "CANARY"))
    ] == []


@pytest.mark.parametrize("wrong", ["code", "platform", "address"])
def test_refused_code_leaks_no_secret(
    world: World[Any], logged: pytest.LogCaptureFixture, wrong: str
) -> None:
    if not has(world, "exchange_code"):
        return
    granted: dict[str, Any] = {
        **world.granted(),
        "base_url": world.running.url,
        "code_verifier": VERIFIER,
    }
    granted |= {"code": CODE, "client_secret": CLIENT}
    granted |= {"base_url": "http://127.0.0.1:9"} if wrong == "address" else {}
    platform = "nowhere" if wrong == "platform" else world.adapter.platform
    with pytest.raises((PosError, ConfigError)) as caught:
        exchange_code(platform, **granted)
    assert leaks(caught.value) == []
    assert logged_canaries(logged) == []


def test_authorize_url_leaks_no_verifier(world: World[Any]) -> None:
    asked: dict[str, Any] = {"client_id": "a", "redirect_uri": "https://s.example", "state": "s"}
    if has(world, "authorize_url"):
        assert "CANARY" not in authorize_url(
            world.adapter.platform, code_verifier=VERIFIER, **asked
        )
    with pytest.raises(ConfigError) as caught:
        authorize_url("nowhere", code_verifier=VERIFIER, **asked)
    assert leaks(caught.value) == []


@pytest.mark.parametrize("spoilt", ["nothing", "body", "headers", "form"])
def test_webhook_leaks_no_key(
    world: World[Any], logged: pytest.LogCaptureFixture, spoilt: str
) -> None:
    with Till(Connection(secretive(world), policy=ONCE)) as till:
        pos_order = till.submit(world.order("ord_1"))
        now = time.time()
        sent = world.signed(b"[]" if spoilt == "form" else world.about(pos_order, now), now)
        if spoilt == "body":
            sent = sent._replace(body=b"{}")
        if spoilt == "headers":
            sent = sent._replace(headers={})
        if spoilt == "nothing":
            assert "CANARY" not in repr(till.parse_webhook(sent.headers, sent.body, sent.url))
        else:
            with pytest.raises(WebhookError) as caught:
                till.parse_webhook(sent.headers, sent.body, sent.url)
            assert leaks(caught.value) == []
    assert logged_canaries(logged) == []


def test_reprs_leak_no_secret(world: World[Any]) -> None:
    adapter = secretive(world)
    with Till(Connection(adapter)) as till:
        shown = [
            adapter,
            adapter.config,
            adapter.config.credentials(),
            till,
            vars(till),
            vars(adapter),
        ]
        assert "CANARY" not in "".join(f"{value!r} {value!s}" for value in shown)
    assert (
        "CANARY"
        not in adapter.config.model_dump_json() + adapter.config.credentials().model_dump_json()
    )
    assert (
        "CANARY"
        not in adapter_named(world.adapter.platform).settings.model_json_schema().__repr__()
    )


def test_cassettes_leak_no_secret(world: World[Any], tmp_path: Path) -> None:
    renewal = world.renewal() if has(world, "refresh") else {}
    if renewal:
        world.expire_token()

    @contextmanager
    def opened() -> Generator[Opened]:
        yield Opened({**world.settings, **renewal, **world.webhook_settings()})

    origin = Origin(Source.SIMULATOR, opened, origin="a simulator full of canaries")
    with Cassettes(world.adapter.platform, tmp_path, settings={}).recording(
        "case", origin, ONCE
    ) as tape:
        tape.store.submit(world.order("ord_1"))
        tape.finish()
    recorded = (tmp_path / "case.yaml").read_text()
    assert len(recorded) > 1000
    assert (bool(world.token_path) and world.token_path in recorded) is bool(renewal)
    simulated = getattr(world.simulator.world, "tokens", {})
    given = [*simulated, *(token.refresh_token for token in simulated.values())]
    assert [secret for secret in ("CANARY", *given) if secret in recorded] == []
