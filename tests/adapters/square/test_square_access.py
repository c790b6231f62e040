"""Access to a Square store: authorisation, token refresh and notifications."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from adapters.square.shop_orders import TOASTIE, paid
from tillpost import AsyncTill, ConfigError, PermissionsError, PosOrder, Till
from tillpost.adapter.base import Credentials
from tillpost.adapter.webhooks import (
    AuthorisationRevoked,
    AvailabilityChanged,
    MenuChanged,
    OrderChanged,
    WebhookError,
    WebhookFault,
)
from tillpost.authorization import (
    aexchange_code,
    authorize_url,
    exchange_code,
    new_state,
    new_verifier,
)
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator

HOOK = "https://shop.example/square"


@pytest.fixture
def running() -> Iterator[Running[SquareSimulator]]:
    with serve_in_thread(SquareSimulator()) as running:
        yield running


def renewable(running: Running[SquareSimulator]) -> dict[str, Any]:
    chosen = running.simulator.settings
    return {
        **running.settings,
        "refresh_token": chosen.refresh_token,
        "client_id": chosen.client_id,
        "client_secret": chosen.client_secret,
        "webhook_secret": "whsec",
    }


def connected(
    running: Running[SquareSimulator], saved: list[Credentials] | None = None, **changed: Any
) -> Till:
    save = None if saved is None else saved.append
    return Till.connect("square", on_tokens=save, **{**renewable(running), **changed})


# ---------------------------------------------------------------- expired tokens


def test_expired_token_is_renewed_saved_and_used(
    running: Running[SquareSimulator],
) -> None:
    running.simulator.expire_token()
    saved: list[Credentials] = []
    with connected(running, saved) as till:
        assert isinstance(till.submit(paid("ord_1", [TOASTIE])), PosOrder)
        till.submit(paid("ord_2", [TOASTIE]))
    assert [c.refresh_token for c in saved] == [saved[0].refresh_token]
    assert saved[0].access_token.get_secret_value() != running.settings["access_token"]
    assert saved[0].expires_at is not None
    assert running.simulator.count("POST", "/oauth2/token") == 1


def test_tasks_refresh_it_once_too_and_an_async_save_is_awaited(
    running: Running[SquareSimulator],
) -> None:
    running.simulator.expire_token()
    saved: list[Credentials] = []

    async def save(credentials: Credentials) -> None:
        await asyncio.sleep(0)
        saved.append(credentials)

    async def main() -> None:
        async with AsyncTill.connect("square", on_tokens=save, **renewable(running)) as till:
            await asyncio.gather(*(till.submit(paid(f"ord_{n}", [TOASTIE])) for n in range(8)))

    asyncio.run(main())
    assert len(saved) == 1
    assert running.simulator.count("POST", "/oauth2/token") == 1


def test_expired_token_without_refresh_is_a_permissions_error(
    running: Running[SquareSimulator],
) -> None:
    running.simulator.expire_token()
    with (
        Till.connect("square", **running.settings) as till,
        pytest.raises(PermissionsError) as caught,
    ):
        till.submit(paid("ord_1", [TOASTIE]))
    assert caught.value.code == "ACCESS_TOKEN_EXPIRED"
    assert running.simulator.count("POST", "/oauth2/token") == 0


def test_missing_scopes_differ_from_an_expired_token(
    running: Running[SquareSimulator],
) -> None:
    running.simulator.drop_scope("ORDERS_WRITE")
    with connected(running) as till, pytest.raises(PermissionsError) as caught:
        till.submit(paid("ord_1", [TOASTIE]))
    assert caught.value.reason == "scopes"
    assert running.simulator.count("POST", "/oauth2/token") == 0


# ---------------------------------------------------------------- an authorisation


def test_the_admins_page_asks_for_all_that_is_needed() -> None:
    state = new_state()
    url = authorize_url(
        "square", client_id="app", redirect_uri="https://shop.example/cb", state=state
    )
    asked = parse_qs(urlsplit(url).query)
    assert url.startswith("https://connect.squareup.com/oauth2/authorize?")
    assert asked["state"] == [state]
    assert asked["session"] == ["false"]
    assert "PAYMENTS_WRITE" in asked["scope"][0].split()
    assert "code_challenge" not in asked


def test_a_verifier_goes_out_as_its_challenge_only() -> None:
    verifier = new_verifier()
    url = authorize_url(
        "square",
        client_id="app",
        redirect_uri="https://s.example/cb",
        state="s",
        code_verifier=verifier,
        scopes=("A",),
    )
    challenge = (
        base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    )
    assert parse_qs(urlsplit(url).query)["code_challenge"] == [challenge]
    assert verifier not in url


def test_a_code_is_exchanged_for_credentials_that_work(running: Running[SquareSimulator]) -> None:
    chosen = running.simulator.settings
    granted: dict[str, Any] = {
        "client_id": chosen.client_id,
        "client_secret": chosen.client_secret,
        "redirect_uri": chosen.redirect_url,
        "base_url": running.url,
    }
    credentials = exchange_code(
        "square", code=running.simulator.new_authorisation_code(), **granted
    )
    assert credentials.code is None
    again = asyncio.run(
        aexchange_code("square", code=running.simulator.new_authorisation_code(), **granted)
    )
    for each in (credentials, again):
        token = each.access_token.get_secret_value()
        with connected(running, access_token=token) as till:
            assert till.check().ready


def test_a_code_that_was_used_is_refused(running: Running[SquareSimulator]) -> None:
    code, chosen = running.simulator.new_authorisation_code(), running.simulator.settings

    def exchange() -> Credentials:
        return exchange_code(
            "square",
            code=code,
            client_id=chosen.client_id,
            client_secret=chosen.client_secret,
            redirect_uri=chosen.redirect_url,
            base_url=running.url,
        )

    exchange()
    with pytest.raises(PermissionsError) as caught:
        exchange()
    assert code not in f"{caught.value!r} {caught.value.record()}"


def test_an_unknown_platform_has_no_page() -> None:
    with pytest.raises(ConfigError, match="no adapter"):
        authorize_url("nowhere", client_id="a", redirect_uri="b", state="c")


# ---------------------------------------------------------------- notifications


def notification(
    kind: str,
    *,
    at: str = "",
    name: str = "order_updated",
    location: str = "L-CAFE",
    merchant: str = "M",
) -> bytes:
    about = {name: {"order_id": "sq1", "location_id": location, "state": "OPEN", "version": 2}}
    return json.dumps(
        {
            "merchant_id": merchant,
            "type": kind,
            "event_id": "e1",
            "created_at": at or datetime.now(UTC).isoformat(),
            "data": {"type": "order", "id": "sq1", "object": about},
        }
    ).encode()


def signed(body: bytes, url: str = HOOK) -> dict[str, str]:
    digest = hmac.new(b"whsec", url.encode() + body, hashlib.sha256).digest()
    return {"X-Square-HmacSha256-Signature": base64.b64encode(digest).decode()}


@pytest.fixture
def till() -> Iterator[Till]:
    with Till.connect(
        "square", access_token="token", location_id="L-CAFE", webhook_secret="whsec"
    ) as till:
        yield till


@pytest.mark.parametrize(
    ("kind", "name", "event"),
    [
        ("order.created", "order_created", OrderChanged),
        ("order.updated", "order_updated", OrderChanged),
        ("order.fulfillment.updated", "order_fulfillment_updated", OrderChanged),
        ("catalog.version.updated", "catalog_version", MenuChanged),
        ("oauth.authorization.revoked", "revocation", AuthorisationRevoked),
        ("location.updated", "location", AvailabilityChanged),
    ],
)
def test_each_type_of_notification_has_its_event(
    till: Till, kind: str, name: str, event: type[object]
) -> None:
    body = notification(kind, name=name)
    (received,) = till.parse_webhook(signed(body), body, HOOK)
    assert isinstance(received, event)
    assert received.event_id == "e1"
    if isinstance(received, OrderChanged):
        assert received.pos_id == "sq1"


def test_other_types_and_other_locations_have_no_event(till: Till) -> None:
    for body in (
        notification("invoice.paid"),
        notification("order.updated", location="L-ELSEWHERE"),
    ):
        assert till.parse_webhook(signed(body), body, HOOK) == ()


@pytest.mark.parametrize("merchant", ["", "M-OURS", "M-OTHER"])
@pytest.mark.parametrize("kind", ["oauth.authorization.revoked", "catalog.version.updated"])
def test_notification_about_another_merchant_has_no_event(merchant: str, kind: str) -> None:
    body = notification(kind, merchant=merchant)
    with Till.connect(
        "square",
        access_token="token",
        location_id="L-CAFE",
        merchant_id="M-OURS",
        webhook_secret="whsec",
    ) as till:
        events = till.parse_webhook(signed(body), body, HOOK)
    assert len(events) == (0 if merchant == "M-OTHER" else 1)


def test_notification_for_other_address_or_body_is_forged(till: Till) -> None:
    body = notification("order.updated")
    for headers, sent, url in ((signed(body), body + b" ", HOOK), (signed(body), body, HOOK + "2")):
        with pytest.raises(WebhookError) as caught:
            till.parse_webhook(headers, sent, url)
        assert caught.value.fault is WebhookFault.FORGED


def test_an_old_notification_is_stale_though_it_is_signed(till: Till) -> None:
    body = notification(
        "order.updated", at=datetime.fromtimestamp(time.time() - 30 * 3600, UTC).isoformat()
    )
    with pytest.raises(WebhookError) as caught:
        till.parse_webhook(signed(body), body, HOOK)
    assert caught.value.fault is WebhookFault.STALE


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"type": 7}', b"\xff"])
def test_a_signed_body_of_another_form_is_unreadable(till: Till, body: bytes) -> None:
    with pytest.raises(WebhookError) as caught:
        till.parse_webhook(signed(body), body, HOOK)
    assert caught.value.fault is WebhookFault.UNREADABLE


def test_async_tills_read_them_as_well() -> None:
    body = notification("order.updated")

    async def main() -> None:
        async with AsyncTill.connect(
            "square", access_token="token", location_id="L-CAFE", webhook_secret="whsec"
        ) as till:
            assert len(await till.parse_webhook(signed(body), body, HOOK)) == 1

    asyncio.run(main())


def test_no_secret_of_authorisation_in_error_or_transcript(
    running: Running[SquareSimulator],
) -> None:
    names = ("refresh_token", "client_secret", "webhook_secret")
    secrets: dict[str, Any] = {**renewable(running), **{name: f"CANARY-{name}" for name in names}}
    running.simulator.expire_token()
    with httpx.Client() as client:
        till = Till.connect("square", http_client=client, **secrets)
        with pytest.raises(PermissionsError) as caught:
            till.submit(paid("ord_1", [TOASTIE]))
        assert "CANARY" not in f"{till!r} {caught.value!r} {caught.value} {caught.value.record()!r}"
