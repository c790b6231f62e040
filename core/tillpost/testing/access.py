"""The conformance suite's tests of access.

They are of tokens, authorisation codes and webhooks. A test of an operation that the adapter lacks
isn't collected. `World` says how the platform behaves. Needs the extra `testing`.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tillpost.adapter.settings import Credentials
from tillpost.adapter.webhooks import (
    LARGEST,
    OrderChanged,
    WebhookError,
    WebhookEvent,
    WebhookFault,
)
from tillpost.authorization import authorize_url, exchange_code
from tillpost.client.sync import Till
from tillpost.errors import PermissionsError
from tillpost.models.order import PosOrder, PosState
from tillpost.testing.world import AnyWorld, Delivery, Suite, needs, only_where

__all__ = ["AccessConformance"]

THREE_DAYS = 3 * 86_400
"""In seconds."""


class SeenEvents:
    """The ids of the webhook events that came in during a test."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def add(self, event_id: str) -> bool:
        """Record an event; return whether it is new."""
        new = event_id not in self.ids
        self.ids.add(event_id)
        return new


class AccessConformance(Suite):
    """The tests of access."""

    # Tokens

    @needs("refresh")
    def test_expired_token_is_refreshed_once_and_saved(self, world: AnyWorld) -> None:
        world.expire_token()
        saved: list[Credentials] = []
        with self.till(world, None, saved.append, **world.renewal()) as till:
            for reference in ("conform-1", "conform-2"):
                till.submit(world.order(reference))
        assert len(saved) == 1
        assert world.simulator.count("POST", world.token_path) == 1
        assert saved[0].access_token.get_secret_value() != world.settings["access_token"]
        shown = [entry.reference for entry in self.shown(world)]
        assert shown == ["conform-1", "conform-2"]

    @needs("refresh")
    def test_concurrent_submits_refresh_an_expired_token_once(self, world: AnyWorld) -> None:
        references = [f"conform-{number}" for number in range(8)]
        world.expire_token()
        with self.till(world, None, None, **world.renewal()) as till, ThreadPoolExecutor(8) as pool:
            list(pool.map(till.submit, [world.order(reference) for reference in references]))
        assert world.simulator.count("POST", world.token_path) == 1
        assert sorted(entry.reference for entry in self.shown(world)) == references

    @needs("refresh")
    def test_saved_credentials_connect_a_new_process(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        world.expire_token()
        saved: list[Credentials] = []
        with self.till(world, None, saved.append, **world.renewal()) as till:
            till.check()
        tokens = {"access_token": saved[0].access_token, "refresh_token": saved[0].refresh_token}
        with self.till(world, None, None, **{**world.renewal(), **tokens}) as till:
            assert till.submit(order).reference == "conform-1"
        assert world.simulator.count("POST", world.token_path) == 1

    @needs("refresh")
    @pytest.mark.parametrize("withdrawn", [True, False])
    def test_refused_refresh_is_a_permissions_error_without_a_loop(
        self, world: AnyWorld, withdrawn: bool
    ) -> None:
        order = world.order("conform-1")
        world.expire_token()
        if withdrawn:
            world.withdraw()
        wrong = {} if withdrawn else {"client_secret": "not-the-secret"}
        saved: list[Credentials] = []
        with self.till(world, None, saved.append, **{**world.renewal(), **wrong}) as till:
            error = self.refusal(till, order)
        assert type(error) is PermissionsError
        assert saved == []
        assert self.shown(world) == ()
        assert world.simulator.count("POST", world.token_path) <= 1

    @needs("refresh")
    def test_expired_token_without_refresh_is_a_permissions_error(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        world.expire_token()
        with self.till(world) as till:
            assert type(self.refusal(till, order)) is PermissionsError
        assert world.simulator.count("POST", world.token_path) == 0

    @needs("exchange_code")
    def test_code_is_exchanged_once_for_working_credentials(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        granted: dict[str, Any] = {**world.granted(), "base_url": world.running.url}
        credentials = exchange_code(world.adapter.platform, **granted)
        assert credentials.code is None
        assert credentials.code_verifier is None
        assert credentials.redirect_uri == ""
        with self.till(world, None, None, access_token=credentials.access_token) as till:
            assert till.submit(order).reference == "conform-1"
        with pytest.raises(PermissionsError) as caught:
            exchange_code(world.adapter.platform, **granted)
        assert granted["code"] not in f"{caught.value!r} {caught.value.record()!r}"

    @needs("authorize_url")
    def test_authorize_url_has_the_state_and_no_secret(self, world: AnyWorld) -> None:
        url = authorize_url(
            world.adapter.platform,
            client_id="our-app",
            redirect_uri="https://shop.example/back",
            state="state-1",
            code_verifier="verifier-1",
        )
        assert url.startswith("https://")
        assert "state=state-1" in url
        assert "client_id=our-app" in url
        assert "verifier-1" not in url

    # Webhooks

    def listening(self, world: AnyWorld) -> tuple[Till, PosOrder]:
        """Return a Till that checks webhooks, and an accepted order."""
        order = world.order("conform-1")
        till = self.till(world, None, None, **world.webhook_settings())
        pos_order = till.submit(order)
        world.accept(pos_order)
        return till, pos_order

    def events(
        self, till: Till, sent: Delivery, seen: SeenEvents | None = None
    ) -> tuple[WebhookEvent, ...]:
        """Return the events that the Till reads from a webhook."""
        return till.parse_webhook(sent.headers, sent.body, sent.url, seen=seen)

    def fault(self, till: Till, sent: Delivery, seen: SeenEvents | None = None) -> WebhookFault:
        """Return why the Till refuses a webhook."""
        with pytest.raises(WebhookError) as caught:
            self.events(till, sent, seen)
        return caught.value.fault

    @needs("parse_webhook")
    def test_webhook_names_the_changed_order(self, world: AnyWorld) -> None:
        till, pos_order = self.listening(world)
        with till:
            now = time.time()
            sent = world.signed(world.about(pos_order, now), now)
            (event,) = self.events(till, sent)
            assert isinstance(event, OrderChanged)
            assert event.pos_id == pos_order.id
            if event.pos_order is not None:
                assert event.pos_order.state is PosState.ACCEPTED

    @needs("parse_webhook")
    @pytest.mark.parametrize("forged", ["body", "signature", "unsigned"])
    def test_webhook_with_a_wrong_signature_is_refused(self, world: AnyWorld, forged: str) -> None:
        till, pos_order = self.listening(world)
        now = time.time()
        sent = world.signed(world.about(pos_order, now), now)
        other = world.signed(b"another body", now)
        wrong = {
            "body": sent._replace(body=sent.body + b" "),
            "signature": sent._replace(headers=other.headers),
            "unsigned": sent._replace(headers={}),
        }
        with till:
            requests_before = len(world.simulator.requests)
            assert self.fault(till, wrong[forged]) in (WebhookFault.FORGED, WebhookFault.UNSIGNED)
            assert len(world.simulator.requests) == requests_before

    @only_where(
        lambda world: world.signs_time and "parse_webhook" in world.adapter.capabilities(),
        "no signature of a webhook covers its time",
    )
    def test_webhook_signed_at_another_time_is_stale(self, world: AnyWorld) -> None:
        till, pos_order = self.listening(world)
        with till:
            for at in (time.time() - THREE_DAYS, time.time() + THREE_DAYS):
                sent = world.signed(world.about(pos_order, at), at)
                assert self.fault(till, sent) is WebhookFault.STALE

    @needs("parse_webhook")
    def test_repeated_webhook_is_refused_when_events_are_recorded(self, world: AnyWorld) -> None:
        till, pos_order = self.listening(world)
        seen = SeenEvents()
        now = time.time()
        sent = world.signed(world.about(pos_order, now), now)
        with till:
            assert self.events(till, sent, seen)
            assert self.fault(till, sent, seen) is WebhookFault.REPEATED
            assert self.events(till, sent)

    @needs("parse_webhook")
    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff\xfe"])
    def test_signed_webhook_without_an_event_is_unreadable(
        self, world: AnyWorld, body: bytes
    ) -> None:
        till, _ = self.listening(world)
        with till:
            assert self.fault(till, world.signed(body, time.time())) is WebhookFault.UNREADABLE

    @needs("parse_webhook")
    def test_oversized_webhook_is_refused(self, world: AnyWorld) -> None:
        till, _ = self.listening(world)
        with till:
            sent = world.signed(b" " * (LARGEST + 1), time.time())
            assert self.fault(till, sent) is WebhookFault.TOO_LARGE

    @only_where(
        lambda world: (
            world.webhook_settings is not AnyWorld.webhook_settings
            and "parse_webhook" in world.adapter.capabilities()
        ),
        "webhooks need no settings of their own",
    )
    def test_webhook_without_a_configured_secret_is_refused(self, world: AnyWorld) -> None:
        assert world.webhook_settings(), "leave `webhook_settings` out where there are none"
        configured, pos_order = self.listening(world)
        configured.close()
        now = time.time()
        with self.till(world) as till:
            sent = world.signed(world.about(pos_order, now), now)
            assert self.fault(till, sent) is WebhookFault.UNCONFIGURED
