"""Requests are signed as they are sent, and no secret is shown."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from adapters.generic.store import ONCE, Store, adapter_for, till_over_http
from adapters.square.shop_orders import TOASTIE, paid
from tillpost import MenuError, PermissionsError, Till, explain
from tillpost.errors import Outcome
from tillpost.simulator import serve_in_thread
from tillpost.submission.context import Connection
from tillpost.transport.http import HttpTransport, Limits
from tillpost_generic.adapter import Generic
from tillpost_generic.settings import GenericSettings
from tillpost_simulators.generic import GenericSimulator, WorldSettings

ORDER = paid("ord_1", [TOASTIE])
KEY = WorldSettings().signing_key
TOKEN = WorldSettings().access_token
GOOD: dict[str, Any] = {
    "base_url": "https://pos.example",
    "access_token": TOKEN,
    "signing_key": KEY,
}


def sent(store: Store) -> httpx.Request:
    store.submit(ORDER)
    return store.sent[-1]


def test_the_signature_is_over_time_method_target_key_and_body() -> None:
    began = time.time()
    request = sent(Store())
    ended = time.time()
    stamp = request.headers["tillpost-timestamp"]
    body = hashlib.sha256(request.read()).hexdigest()
    text = f"{stamp}\nPOST\n/orders\n{ORDER.id}-0\n{body}"
    assert (
        request.headers["tillpost-signature"]
        == hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
    )
    assert request.headers["idempotency-key"] == f"{ORDER.id}-0"
    assert int(began) <= int(stamp) <= ended


def test_token_is_sent_as_a_bearer_token() -> None:
    assert sent(Store()).headers["authorization"] == f"Bearer {TOKEN}"


def test_token_with_user_name_is_sent_as_basic_authentication() -> None:
    request = sent(Store(WorldSettings(username="tillpost")))
    pair = b64encode(f"tillpost:{TOKEN}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {pair}"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"signing_key": "some-other-signing-key"}, "the signature is wrong"),
        ({"access_token": "some-other-token"}, "the credential isn't valid here"),
        ({"username": "somebody"}, "the credential isn't valid here"),
    ],
)
def test_wrong_secrets_are_permissions_errors(changed: dict[str, Any], why: str) -> None:
    store = Store(**changed)
    error = store.refused(ORDER)
    assert isinstance(error, PermissionsError)
    assert (error.detail, error.outcome) == (why, Outcome.NOT_CREATED)
    assert store.paths == ["GET /health", "POST /orders"]


def test_wrong_clock_is_reported() -> None:
    store = Store(WorldSettings(clock=lambda: time.time() + 301))
    assert "too old" in store.refused(ORDER).detail


def test_requests_are_signed_by_the_clock_of_the_connection() -> None:
    """A program that knows the right time submits from a machine whose clock is wrong."""

    def right_time() -> float:
        return time.time() + 1200

    simulator = GenericSimulator(WorldSettings(clock=right_time))
    with serve_in_thread(simulator) as running:
        adapter = adapter_for(simulator, running.url)
        with Till(Connection(adapter, clock=right_time)) as till:
            till.submit(ORDER)

    assert simulator.ledger().twice == ()
    assert [entry.reference for entry in simulator.ledger().shown] == [ORDER.id]


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "body": lambda sent: sent.update(content=sent["content"].replace(b"1450", b"1451")),
    "key": lambda sent: sent["headers"].update({"idempotency-key": "other"}),
    "time": lambda sent: sent["headers"].update({"tillpost-timestamp": str(int(time.time()) - 9)}),
    "old time": lambda sent: sent["headers"].update({"tillpost-timestamp": "1"}),
    "query": lambda sent: sent.update(url=sent["url"] + "?a=b"),
    "method": lambda sent: sent.update(method="GET"),
    "no signature": lambda sent: sent["headers"].pop("tillpost-signature"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_request_that_was_changed_on_its_way_is_refused(change: str) -> None:
    request = sent(Store())
    with serve_in_thread(GenericSimulator()) as running:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in ("host", "content-length")
        }
        changed: dict[str, Any] = {
            "method": "POST",
            "url": f"{running.url}/orders",
            "headers": dict(headers),
            "content": request.read(),
        }
        CHANGES[change](changed)
        answer = httpx.request(**changed)
        assert (answer.status_code, answer.json()["kind"]) == (401, "PermissionsError")
        assert running.simulator.ledger().entries == ()
        unchanged = httpx.post(f"{running.url}/orders", headers=headers, content=request.read())
        assert unchanged.status_code == 200


def test_base_url_path_and_query_are_signed_as_sent() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[])

    adapter = adapter_for(GenericSimulator(), "https://pos.example/shop%201/v1/")
    strange = paid("a/b?c=d&e#f%20", [TOASTIE])
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        asked = next(adapter.find(strange, None))
        HttpTransport(client, adapter, Limits()).send(asked, adapter.config.credentials())  # type: ignore[arg-type]
    (request,) = seen
    target = request.url.raw_path.decode()
    assert target == "/shop%201/v1/orders?reference=a%2Fb%3Fc%3Dd%26e%23f%2520"
    text = "\n".join(
        (request.headers["tillpost-timestamp"], "GET", target, "", hashlib.sha256(b"").hexdigest())
    )
    assert (
        request.headers["tillpost-signature"]
        == hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
    )


@pytest.mark.parametrize("order_id", ["a/b?c=d&e#f%20", "..", "ord:1;2", "~!$'()*,=@[]"])
def test_an_order_is_found_by_whatever_reference_it_has(order_id: str) -> None:
    order = paid(order_id, [TOASTIE])
    with serve_in_thread(GenericSimulator()) as running, till_over_http(running) as till:
        made = till.submit(order)
        assert till.find(order) == made
        assert till.fetch(made) == made


def test_secrets_that_a_pos_echoes_do_not_come_through() -> None:
    for settings in (WorldSettings(), WorldSettings(username="tillpost")):

        def echo(request: httpx.Request, _number: int, _carry_out: object) -> httpx.Response:
            both_secrets = f"{request.headers['authorization']} {KEY}"
            return httpx.Response(
                422,
                json={"kind": "MenuError", "detail": both_secrets},
                headers={"x-request-id": both_secrets},
            )

        error = Store(settings, policy=ONCE, twist=echo).refused(ORDER)
        assert isinstance(error, MenuError)
        shown = error.record().model_dump_json()
        token = f"tillpost:{TOKEN}" if settings.username else TOKEN
        for secret in (KEY, TOKEN, b64encode(token.encode()).decode()):
            assert secret not in shown


def test_no_secret_is_in_a_repr() -> None:
    adapter = Generic(GenericSettings(**GOOD))
    for shown in (repr(adapter.config), repr(adapter.config.credentials()), str(adapter.config)):
        assert TOKEN not in shown
        assert KEY not in shown


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"access_token": ""}, "access_token: must not be empty"),
        ({"signing_key": ""}, "signing_key: must not be empty"),
        ({"username": "a:b"}, "username: String should match pattern"),
        ({"look_after": ()}, "look_after: must not be empty"),
        ({"base_url": "http://pos.example"}, "base_url: must be https"),
        ({"base_url": "https://me:pw@pos.example"}, "base_url: must hold no user"),
        ({"passwort": "x"}, "passwort: isn't a field of it"),
    ],
)
def test_a_wrong_setting_is_named(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as raised:
        GenericSettings.model_validate(GOOD | changed)
    assert explain(raised.value).startswith(why)


def test_a_setting_that_is_missing_is_named() -> None:
    for name in ("base_url", "access_token", "signing_key"):
        with pytest.raises(ValidationError) as raised:
            GenericSettings.model_validate(
                {key: value for key, value in GOOD.items() if key != name}
            )
        assert explain(raised.value).startswith(f"{name}: ")
