"""Webhooks: only genuine, recent, new, bounded and readable ones are accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tillpost.adapter.webhooks import (
    LARGEST,
    MenuChanged,
    OrderChanged,
    OrderRefused,
    Webhook,
    WebhookError,
    WebhookEvent,
    WebhookFault,
    check_age,
    read_webhook,
    settled,
    verify_hmac,
)
from tillpost.errors import OrderError, PosError, UnsupportedError
from tillpost.errors.remedies import Action
from tillpost.models.order import PosOrder, PosState

SECRET = SecretStr("whsec-canary")


def signature(message: bytes, encoding: str) -> str:
    digest = hmac.new(SECRET.get_secret_value().encode(), message, hashlib.sha256).digest()
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_signature_over_the_message_passes(encoding: str) -> None:
    assert encoding in ("hex", "base64")
    verify_hmac(
        SECRET,
        signature(b"message", encoding),
        b"message",
        "hex" if encoding == "hex" else "base64",
    )


@given(message=st.binary(max_size=40), forged=st.text(max_size=90))
def test_any_other_signature_is_forged(message: bytes, forged: str) -> None:
    with pytest.raises(WebhookError) as caught:
        verify_hmac(SECRET, forged or "x", message, "hex")
    assert caught.value.fault is WebhookFault.FORGED
    with pytest.raises(WebhookError):
        verify_hmac(SECRET, forged or "x", message, "base64")


def test_webhook_without_secret_or_signature_is_refused() -> None:
    for secret in (None, SecretStr("")):
        with pytest.raises(WebhookError) as caught:
            verify_hmac(secret, "00", b"", "hex")
        assert caught.value.fault is WebhookFault.UNCONFIGURED
    for missing in (None, ""):
        with pytest.raises(WebhookError) as caught:
            verify_hmac(SECRET, missing, b"", "hex")
        assert caught.value.fault is WebhookFault.UNSIGNED


def test_the_secret_is_in_no_refusal() -> None:
    with pytest.raises(WebhookError) as caught:
        verify_hmac(SECRET, "00", b"", "hex")
    assert "canary" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize(
    "sent_at", [1000 - 301, 1000 + 301, math.nan, math.inf, -math.inf, 1e300, 10**400]
)
def test_an_old_time_and_one_of_the_future_are_stale(sent_at: float) -> None:
    check_age(1000, 1000)
    check_age(1000 - 299, 1000)
    with pytest.raises(WebhookError) as caught:
        check_age(sent_at, 1000)
    assert caught.value.fault is WebhookFault.STALE


class Seen:
    def __init__(self) -> None:
        self.ids: set[str] = set()

    def add(self, event_id: str) -> bool:
        new = event_id not in self.ids
        self.ids.add(event_id)
        return new


def stamped(error: PosError) -> PosError:
    error.platform = "toy"
    return error


def parse(
    *events: WebhookEvent,
    seen: Seen | None = None,
    body: bytes = b"{}",
    found: Mapping[str, PosOrder] | None = None,
) -> tuple[WebhookEvent, ...]:
    claimed = read_webhook(
        lambda webhook, now: events, {"X-Signature": "s"}, body, "https://shop.example/hook", 0.0
    )
    return settled(claimed, found or {}, seen, stamped)


def test_an_event_comes_through_once_where_its_id_is_remembered() -> None:
    event, seen = MenuChanged(event_id="e1"), Seen()
    assert parse(event, seen=seen) == (event,)
    with pytest.raises(WebhookError) as caught:
        parse(event, seen=seen)
    assert caught.value.fault is WebhookFault.REPEATED


def test_event_without_memory_or_id_is_accepted_each_time() -> None:
    event = OrderChanged(pos_id="o1")
    seen = Seen()
    assert (
        parse(event)
        == parse(event)
        == parse(event, seen=seen)
        == parse(event, seen=seen)
        == (event,)
    )


def test_fetched_order_replaces_the_claimed_one() -> None:
    claimed = OrderChanged(
        pos_id="o1", reference="x", pos_order=PosOrder(id="o1", state=PosState.REJECTED)
    )
    found = PosOrder(id="o1", reference="ord_1", state=PosState.ACCEPTED)
    (event,) = parse(claimed, found={"o1": found})
    assert event == OrderChanged(pos_id="o1", reference="ord_1", pos_order=found)


@pytest.mark.parametrize("proved", [True, False])
def test_order_rejected_by_staff_becomes_a_refund_remedy(
    proved: bool,
) -> None:
    order = PosOrder(id="o1", reference="ord_1", state=PosState.REJECTED)
    changed = OrderChanged(event_id="e1", pos_id="o1", pos_order=order if proved else None)
    (event,) = parse(changed, found={} if proved else {"o1": order})
    assert isinstance(event, OrderRefused)
    assert (event.event_id, event.pos_id, event.reference) == ("e1", "o1", "ord_1")
    error = PosError.from_record(event.error)
    assert isinstance(error, OrderError)
    assert (error.platform, error.pos_order, error.remedy.action) == ("toy", order, Action.REFUND)


def test_a_body_has_one_digest_and_another_body_another() -> None:
    one, other = (Webhook({}, body, "").digest for body in (b"a", b"b"))
    assert len({one, other, Webhook({"x": "y"}, b"a", "z").digest}) == 2


def test_oversized_body_is_not_read() -> None:
    with pytest.raises(WebhookError) as caught:
        parse(body=b"x" * (LARGEST + 1))
    assert caught.value.fault is WebhookFault.TOO_LARGE


def test_headers_are_read_without_regard_to_case() -> None:
    def look(webhook: Webhook, now: float) -> tuple[WebhookEvent, ...]:
        assert webhook.headers == {"x-signature": "s"}
        return ()

    assert read_webhook(look, {"X-Signature": "s"}, b"", "", 0.0) == ()


def test_unreadable_body_is_refused_and_not_shown() -> None:
    def fail(webhook: Webhook, now: float) -> tuple[WebhookEvent, ...]:
        raise KeyError("a customer's name")

    with pytest.raises(WebhookError) as caught:
        read_webhook(fail, {}, b"", "", 0.0)
    assert caught.value.fault is WebhookFault.UNREADABLE
    assert "customer" not in str(caught.value)


def test_adapter_without_webhooks_raises_unsupported() -> None:
    def unsupported(webhook: Webhook, now: float) -> tuple[WebhookEvent, ...]:
        raise UnsupportedError("reads no webhooks")

    with pytest.raises(UnsupportedError):
        read_webhook(unsupported, {}, b"", "", 0.0)
