"""Access to a Kounta company: authorisation, token refresh and webhooks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from adapters.kounta.bench import Bench, plain_order
from tillpost import AsyncTill, PermissionsError, PosError, PosOrder, Till
from tillpost.adapter.base import Credentials
from tillpost.adapter.webhooks import (
    AvailabilityChanged,
    OrderChanged,
    OrderRefused,
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
from tillpost.models.order import PosState
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.kounta import KountaSettings, KountaSimulator, Sent

HOOK = "https://shop.example/kounta"
WORLD = KountaSettings(oauth_limit=100_000)
RENEWAL: dict[str, Any] = {
    "refresh_token": WORLD.refresh_token,
    "client_id": WORLD.client_id,
    "client_secret": WORLD.client_secret,
}


@pytest.fixture
def running() -> Iterator[Running[KountaSimulator]]:
    with serve_in_thread(KountaSimulator(WORLD)) as running:
        yield running


def connected(
    running: Running[KountaSimulator], saved: list[Credentials] | None = None, **changed: Any
) -> Till:
    save = None if saved is None else saved.append
    settings: dict[str, Any] = {**running.settings, "import_pace": 0, **RENEWAL, **changed}
    return Till.connect("kounta", on_tokens=save, **settings)


def renewals(running: Running[KountaSimulator]) -> int:
    return running.simulator.count("POST", "/v1/token")


# ---------------------------------------------------------------- expired tokens


@pytest.mark.parametrize("status", [400, 401])
def test_expired_token_is_renewed_saved_and_used(
    status: int,
) -> None:
    world = KountaSettings(oauth_limit=100_000, expired_token_status=status)
    with serve_in_thread(KountaSimulator(world)) as running:
        running.simulator.expire_token()
        saved: list[Credentials] = []
        with connected(running, saved) as till:
            assert isinstance(till.submit(plain_order("ord_1")), PosOrder)
            till.submit(plain_order("ord_2"))
        assert (renewals(running), len(saved), len(running.simulator.ledger().shown)) == (1, 1, 2)
        (credentials,) = saved
        assert credentials.refresh_token
        assert credentials.refresh_token.get_secret_value() != world.refresh_token
        assert credentials.expires_at
        assert (
            timedelta(minutes=59)
            < credentials.expires_at - datetime.now(UTC)
            <= timedelta(minutes=60)
        )


def test_a_rotated_refresh_token_is_used_the_next_time(running: Running[KountaSimulator]) -> None:
    saved: list[Credentials] = []
    with connected(running, saved) as till:
        for number in range(3):
            token = saved[-1].access_token.get_secret_value() if saved else None
            running.simulator.expire_token(token)
            till.submit(plain_order(f"ord_{number}"))
    assert len({credentials.refresh_token for credentials in saved}) == 3


def test_tasks_refresh_it_once_too_and_an_async_save_is_awaited(
    running: Running[KountaSimulator],
) -> None:
    running.simulator.expire_token()
    saved: list[Credentials] = []

    async def save(credentials: Credentials) -> None:
        await asyncio.sleep(0)
        saved.append(credentials)

    async def main() -> None:
        settings: dict[str, Any] = {**running.settings, "import_pace": 0, **RENEWAL}
        async with AsyncTill.connect("kounta", on_tokens=save, **settings) as till:
            await asyncio.gather(*(till.submit(plain_order(f"ord_{n}")) for n in range(4)))

    asyncio.run(main())
    assert (len(saved), renewals(running)) == (1, 1)


@pytest.mark.parametrize("wrong", [{}, {"client_secret": "another"}, {"refresh_token": "another"}])
def test_refused_refresh_is_a_permissions_error_without_loop(
    running: Running[KountaSimulator], wrong: dict[str, Any]
) -> None:
    if not wrong:
        running.simulator.revoke_authorisation()
    running.simulator.expire_token()
    with connected(running, **wrong) as till, pytest.raises(PermissionsError) as caught:
        till.submit(plain_order())
    assert caught.value.remedy.action == "reconnect"
    assert renewals(running) == 1


def test_expired_token_without_refresh_is_a_permissions_error(
    running: Running[KountaSimulator],
) -> None:
    running.simulator.expire_token()
    with connected(running, refresh_token=None) as till, pytest.raises(PermissionsError) as caught:
        till.submit(plain_order())
    assert "expired" in caught.value.detail
    assert renewals(running) == 0


def test_missing_permissions_differ_from_an_expired_token(
    running: Running[KountaSimulator],
) -> None:
    running.simulator.take_permission()
    with connected(running) as till, pytest.raises(PermissionsError):
        till.submit(plain_order())
    assert renewals(running) == 0


@pytest.mark.parametrize(
    "granted", [{}, {"access_token": ""}, {"access_token": "t", "expires_in": -1}, None]
)
def test_an_answer_that_grants_nothing_renews_nothing(granted: dict[str, object] | None) -> None:
    bench = Bench(**RENEWAL)
    bench.simulator.expire_token()

    def answer(request: httpx.Request, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        return httpx.Response(200, json=granted) if request.url.path == "/v1/token" else carry_out()

    bench.answer = answer
    assert isinstance(bench.refused(plain_order(), is_new=True), PosError)
    assert bench.creates() == []


# ---------------------------------------------------------------- an authorisation


def test_the_admins_page_is_on_another_host_than_the_api() -> None:
    state = new_state()
    url = authorize_url(
        "kounta", client_id="app", redirect_uri="https://shop.example/cb", state=state
    )
    assert url.startswith("https://my.kounta.com/authorize?")
    assert parse_qs(urlsplit(url).query) == {
        "client_id": ["app"],
        "redirect_uri": ["https://shop.example/cb"],
        "state": [state],
        "response_type": ["code"],
    }


def test_a_verifier_is_of_no_use_there_and_doesnt_go_out() -> None:
    verifier = new_verifier()
    url = authorize_url(
        "kounta", client_id="a", redirect_uri="https://s.example", state="s", code_verifier=verifier
    )
    assert "code_challenge" not in url
    assert verifier not in url


def test_an_admin_who_agrees_leads_to_credentials_that_work(
    running: Running[KountaSimulator],
) -> None:
    url = authorize_url(
        "kounta",
        client_id=WORLD.client_id,
        redirect_uri=WORLD.redirect_uri,
        state="s1",
        base_url=running.url,
    )
    back = parse_qs(urlsplit(httpx.get(url).headers["location"]).query)
    assert back["state"] == ["s1"]
    granted: dict[str, Any] = {
        "client_id": WORLD.client_id,
        "client_secret": WORLD.client_secret,
        "redirect_uri": WORLD.redirect_uri,
        "base_url": running.url,
    }
    credentials = exchange_code("kounta", code=back["code"][0], **granted)
    assert (credentials.code, credentials.refresh_token is None) == (None, False)
    again = asyncio.run(
        aexchange_code("kounta", code=running.simulator.new_authorisation_code(), **granted)
    )
    for each in (credentials, again):
        with connected(running, access_token=each.access_token.get_secret_value()) as till:
            assert till.check().ready


@pytest.mark.parametrize(
    "wrong", [{"code": "another"}, {"client_secret": "another"}, {"redirect_uri": "https://evil"}]
)
def test_a_code_that_isnt_right_is_a_permissions_error(
    running: Running[KountaSimulator], wrong: dict[str, Any]
) -> None:
    granted: dict[str, Any] = {
        "code": running.simulator.new_authorisation_code(),
        "client_id": WORLD.client_id,
        "client_secret": WORLD.client_secret,
        "redirect_uri": WORLD.redirect_uri,
        "base_url": running.url,
    }
    with pytest.raises(PermissionsError) as caught:
        exchange_code("kounta", **(granted | wrong))
    assert renewals(running) == 1
    assert granted["code"] not in f"{caught.value!r} {caught.value.record()}"


# ---------------------------------------------------------------- webhooks


@pytest.fixture
def bench() -> Bench:
    return Bench(webhook_secret=WORLD.webhook_secret, callback_uri=HOOK, **RENEWAL)


def events_of(bench: Bench, sent: Sent, till: Till | None = None) -> tuple[Any, ...]:
    return (till or bench.till).parse_webhook(dict(sent.headers), sent.body, sent.url)


def signed(body: bytes) -> dict[str, str]:
    return {
        "X-Kounta-Signature": hmac.new(
            WORLD.webhook_secret.encode(), body, hashlib.sha256
        ).hexdigest()
    }


def test_decision_of_staff_is_reported_and_fetched(bench: Bench) -> None:
    order = bench.attempt(plain_order(), is_new=True)
    assert isinstance(order, PosOrder)
    bench.simulator.staff_accept("ord_1")
    bench.simulator.staff_complete("ord_1")
    accepted, completed = (events_of(bench, sent) for sent in bench.simulator.sent)
    for (event,) in (accepted, completed):
        assert isinstance(event, OrderChanged)
        assert event.pos_order
        assert (event.pos_id, event.reference, event.pos_order.status) == (
            order.id,
            "ord_1",
            "COMPLETE",
        )
    assert accepted[0].event_id != completed[0].event_id


def test_an_order_that_staff_reject_is_refused_late(bench: Bench) -> None:
    bench.attempt(plain_order(), is_new=True)
    bench.simulator.staff_reject("ord_1")
    ((event,),) = (events_of(bench, sent) for sent in bench.simulator.sent)
    assert isinstance(event, OrderRefused)
    error = PosError.from_record(event.error)
    assert error.pos_order
    assert (error.pos_order.state, error.outcome, error.remedy.action) == (
        PosState.REJECTED,
        "created",
        "refund",
    )


def test_webhook_claim_that_kounta_contradicts_is_ignored(bench: Bench) -> None:
    order = bench.attempt(plain_order(), is_new=True)
    assert isinstance(order, PosOrder)
    body = json.dumps({"id": int(order.id), "site_id": 2301, "status": "REJECTED"}).encode()
    (event,) = bench.till.parse_webhook(signed(body), body, HOOK)
    assert isinstance(event, OrderChanged)
    assert event.pos_order
    assert event.pos_order.status == "SUBMITTED"


def test_deleted_order_is_reported_as_cancelled(bench: Bench) -> None:
    bench.attempt(plain_order(), is_new=True)
    bench.simulator.staff_delete("ord_1")
    ((event,),) = (events_of(bench, sent) for sent in bench.simulator.sent)
    assert event.pos_order.state is PosState.CANCELLED


def test_switched_online_ordering_is_availability_change(bench: Bench) -> None:
    hook = {"topic": "sites/updated", "address": HOOK, "format": "json"}
    asked = {"Authorization": f"Bearer {WORLD.access_token}", "Content-Type": "application/json"}
    with serve_in_thread(bench.simulator) as running:
        httpx.post(
            f"{running.url}/v1/companies/5678/webhooks.json", json=hook, headers=asked
        ).raise_for_status()
    bench.simulator.switch_ordering(online=False)
    bench.simulator.switch_ordering(online=False, site_id=985)
    ours, others = bench.simulator.sent
    assert events_of(bench, ours) == (AvailabilityChanged(),)
    assert events_of(bench, others) == ()


def test_orders_of_other_sites_are_ignored_and_not_fetched(bench: Bench) -> None:
    body = json.dumps({"id": 1, "site_id": 985, "status": "ACCEPTED"}).encode()
    assert bench.till.parse_webhook(signed(body), body, HOOK) == ()
    assert bench.sent == []


@pytest.mark.parametrize("order_id", ["../customers/1", "..", "1/../2", "1\n"])
def test_id_that_would_lead_elsewhere_is_never_sent(bench: Bench, order_id: str) -> None:
    body = json.dumps({"id": order_id, "site_id": 2301}).encode()
    with pytest.raises(PosError, match="can't be part of an address"):
        bench.till.parse_webhook(signed(body), body, HOOK)
    assert bench.sent == []


@pytest.mark.parametrize("order_id", ["customers/1", "1?x=2", "1#x", "1%2f2", "1@evil.example"])
def test_id_with_marks_of_an_address_stays_an_id(bench: Bench, order_id: str) -> None:
    body = json.dumps({"id": order_id, "site_id": 2301}).encode()
    with pytest.raises(PosError):
        bench.till.parse_webhook(signed(body), body, HOOK)
    quoted = quote(order_id, safe="").encode()
    assert {
        request.url.raw_path for request in bench.sent if "deleted" not in request.url.path
    } == {b"/v1/companies/5678/orders/" + quoted + b".json"}


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"\xff", b'"x"', b'{"id": {}}'])
def test_a_signed_body_of_another_form_is_unreadable(bench: Bench, body: bytes) -> None:
    with pytest.raises(WebhookError) as caught:
        bench.till.parse_webhook(signed(body), body, HOOK)
    assert caught.value.fault is WebhookFault.UNREADABLE


def test_webhook_not_signed_with_the_secret_is_refused(bench: Bench) -> None:
    body = json.dumps({"id": 1, "site_id": 2301}).encode()
    for headers, sent in (({}, body), (signed(body + b" "), body), (signed(b""), body)):
        with pytest.raises(WebhookError) as caught:
            bench.till.parse_webhook(headers, sent, HOOK)
        assert caught.value.fault in (WebhookFault.UNSIGNED, WebhookFault.FORGED)
    with pytest.raises(WebhookError) as caught:
        Bench().till.parse_webhook(signed(body), body, HOOK)
    assert caught.value.fault is WebhookFault.UNCONFIGURED
    assert bench.sent == []
