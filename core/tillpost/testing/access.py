"""The conformance suite's part on access: tokens that expire, codes that are exchanged, and webhooks that come in.

Each test asks whether the adapter has the operation, and ends at once where it hasn't; `World` says
what the platform does. Needs the extra `testing`.
"""

from __future__ import annotations

import time
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
from tillpost.testing.world import Delivery, Suite, World

__all__ = ["AccessConformance"]


class Memory:
    """Remembers which events have come in, for as long as a test runs."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def add(self, event_id: str) -> bool:
        """Take note of an event; return False when it was known."""
        new = event_id not in self.ids
        self.ids.add(event_id)
        return new


class AccessConformance(Suite):
    """The part of the suite on access."""

    # Tokens

    def test_an_expired_token_is_renewed_once_saved_and_the_order_arrives(
        self, world: World[Any]
    ) -> None:
        if "refresh" not in world.adapter.capabilities():
            return
        world.expire_token()
        saved: list[Credentials] = []
        with self.till(world, None, saved.append, **world.renewal()) as till:
            for reference in ("conform-1", "conform-2"):
                till.submit(world.order(reference))
        assert (len(saved), world.simulator.count("POST", world.token_path)) == (1, 1)
        assert saved[0].access_token.get_secret_value() != world.settings["access_token"]
        assert [entry.reference for entry in world.simulator.ledger().shown] == [
            "conform-1",
            "conform-2",
        ]

    def test_saved_credentials_connect_a_new_process(self, world: World[Any]) -> None:
        if "refresh" not in world.adapter.capabilities():
            return
        world.expire_token()
        saved: list[Credentials] = []
        with self.till(world, None, saved.append, **world.renewal()) as till:
            till.check()
        kept = {"access_token": saved[0].access_token, "refresh_token": saved[0].refresh_token}
        with self.till(world, None, None, **{**world.renewal(), **kept}) as till:
            assert till.submit(world.order("conform-1")).reference == "conform-1"
        assert world.simulator.count("POST", world.token_path) == 1

    @pytest.mark.parametrize("withdrawn", [True, False])
    def test_a_refused_refresh_is_a_permissions_error_and_never_a_loop(
        self, world: World[Any], withdrawn: bool
    ) -> None:
        if "refresh" not in world.adapter.capabilities():
            return
        world.expire_token()
        if withdrawn:
            world.withdraw()
        wrong = {} if withdrawn else {"client_secret": "not-the-secret"}
        saved: list[Credentials] = []
        with self.till(world, None, saved.append, **{**world.renewal(), **wrong}) as till:
            error = self.refusal(till, world.order("conform-1"))
        assert type(error) is PermissionsError
        assert (saved, world.simulator.ledger().shown) == ([], ())
        assert world.simulator.count("POST", world.token_path) <= 1

    def test_without_a_refresh_token_an_expired_one_is_a_permissions_error(
        self, world: World[Any]
    ) -> None:
        if "refresh" not in world.adapter.capabilities():
            return
        world.expire_token()
        with self.till(world) as till:
            assert type(self.refusal(till, world.order("conform-1"))) is PermissionsError
        assert world.simulator.count("POST", world.token_path) == 0

    def test_a_code_is_exchanged_once_for_credentials_that_work(self, world: World[Any]) -> None:
        if "exchange_code" not in world.adapter.capabilities():
            return
        granted: dict[str, Any] = {**world.granted(), "base_url": world.running.url}
        credentials = exchange_code(world.adapter.platform, **granted)
        assert (credentials.code, credentials.code_verifier, credentials.redirect_uri) == (
            None,
            None,
            "",
        )
        with self.till(world, None, None, access_token=credentials.access_token) as till:
            assert till.submit(world.order("conform-1")).reference == "conform-1"
        with pytest.raises(PermissionsError) as caught:
            exchange_code(world.adapter.platform, **granted)
        assert granted["code"] not in f"{caught.value!r} {caught.value.record()!r}"

    def test_the_admins_page_carries_the_state_and_no_secret(self, world: World[Any]) -> None:
        if "authorize_url" not in world.adapter.capabilities():
            return
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

    def listening(self, world: World[Any]) -> tuple[Till, PosOrder] | None:
        """Return a Till that checks webhooks, and an order that staff have accepted; None where it reads none."""
        if "parse_webhook" not in world.adapter.capabilities():
            return None
        till = self.till(world, None, None, **world.webhook_settings())
        there = till.submit(world.order("conform-1"))
        world.accept(there)
        return till, there

    def told(
        self, till: Till, sent: Delivery, seen: Memory | None = None
    ) -> tuple[WebhookEvent, ...]:
        """Return what the Till makes of a webhook."""
        return till.parse_webhook(sent.headers, sent.body, sent.url, seen=seen)

    def fault(self, till: Till, sent: Delivery, seen: Memory | None = None) -> WebhookFault:
        """Return why the Till refuses a webhook."""
        with pytest.raises(WebhookError) as caught:
            self.told(till, sent, seen)
        return caught.value.fault

    def test_a_webhook_tells_which_order_has_changed_and_nothing_that_isnt_so(
        self, world: World[Any]
    ) -> None:
        if not (ready := self.listening(world)):
            return
        till, there = ready
        with till:
            now = time.time()
            (event,) = self.told(till, world.signed(world.about(there, now), now))
            assert isinstance(event, OrderChanged)
            assert event.pos_id == there.id
            if event.pos_order is not None:
                assert event.pos_order.state is PosState.ACCEPTED

    @pytest.mark.parametrize("forged", ["body", "signature", "unsigned"])
    def test_what_the_platform_didnt_sign_is_refused(self, world: World[Any], forged: str) -> None:
        if not (ready := self.listening(world)):
            return
        till, there = ready
        now = time.time()
        sent = world.signed(world.about(there, now), now)
        other = world.signed(b"another body", now)
        wrong = {
            "body": sent._replace(body=sent.body + b" "),
            "signature": sent._replace(headers=other.headers),
            "unsigned": sent._replace(headers={}),
        }
        with till:
            asked = len(world.simulator.requests)
            assert self.fault(till, wrong[forged]) in (WebhookFault.FORGED, WebhookFault.UNSIGNED)
            assert len(world.simulator.requests) == asked

    def test_a_webhook_of_another_time_is_stale_where_its_time_is_signed(
        self, world: World[Any]
    ) -> None:
        if not world.signs_time or not (ready := self.listening(world)):
            return
        till, there = ready
        with till:
            for at in (time.time() - 3 * 86_400, time.time() + 3 * 86_400):
                assert (
                    self.fault(till, world.signed(world.about(there, at), at)) is WebhookFault.STALE
                )

    def test_a_webhook_that_comes_again_is_refused_where_events_are_remembered(
        self, world: World[Any]
    ) -> None:
        if not (ready := self.listening(world)):
            return
        till, there = ready
        seen, now = Memory(), time.time()
        sent = world.signed(world.about(there, now), now)
        with till:
            assert self.told(till, sent, seen)
            assert self.fault(till, sent, seen) is WebhookFault.REPEATED
            assert self.told(till, sent)

    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff\xfe"])
    def test_a_webhook_that_is_signed_and_cant_be_read_is_unreadable(
        self, world: World[Any], body: bytes
    ) -> None:
        if not (ready := self.listening(world)):
            return
        with ready[0] as till:
            assert self.fault(till, world.signed(body, time.time())) is WebhookFault.UNREADABLE

    def test_a_webhook_that_is_too_large_isnt_even_checked(self, world: World[Any]) -> None:
        if not (ready := self.listening(world)):
            return
        with ready[0] as till:
            assert (
                self.fault(till, world.signed(b" " * (LARGEST + 1), time.time()))
                is WebhookFault.TOO_LARGE
            )

    def test_without_a_secret_no_webhook_is_believed(self, world: World[Any]) -> None:
        if not world.webhook_settings() or not (ready := self.listening(world)):
            return
        ready[0].close()
        now = time.time()
        with self.till(world) as till:
            sent = world.signed(world.about(ready[1], now), now)
            assert self.fault(till, sent) is WebhookFault.UNCONFIGURED
