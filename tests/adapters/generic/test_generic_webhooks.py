"""The generic format's webhooks: signed as requests are, and parsed into events."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from adapters.generic.store import Store
from tillpost import Outcome
from tillpost.adapter.webhooks import (
    AvailabilityChanged,
    MenuChanged,
    OrderChanged,
    OrderRefused,
    WebhookError,
    WebhookFault,
)
from tillpost_simulators.generic import WorldSettings

URL = "https://orders.example/hooks/pos?store=1"
EVENT: dict[str, Any] = {
    "kind": "order_changed",
    "event_id": "e1",
    "pos_id": "G00001",
    "reference": "ord_1",
    "pos_order": {
        "id": "G00001",
        "reference": "ord_1",
        "state": "accepted",
        "progress": "accepted",
    },
}


def signed(
    body: bytes, *, at: float | str | None = None, target: str = "/hooks/pos?store=1"
) -> dict[str, str]:
    """The headers with which a POS sends a body."""
    stamp = at if isinstance(at, str) else str(int(time.time() if at is None else at))
    text = "\n".join((stamp, "POST", target, "", hashlib.sha256(body).hexdigest()))
    made = hmac.new(WorldSettings().signing_key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"Tillpost-Timestamp": stamp, "Tillpost-Signature": made}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (EVENT, OrderChanged),
        (
            {
                "kind": "order_refused",
                "pos_id": "G1",
                "error": {"kind": "MenuError", "detail": "gone"},
            },
            OrderRefused,
        ),
        ({"kind": "menu_changed"}, MenuChanged),
        ({"kind": "availability_changed", "takes_orders": False}, AvailabilityChanged),
    ],
)
def test_signed_event_is_accepted(event: dict[str, Any], kind: type[object]) -> None:
    body = json.dumps(event).encode()
    (parsed,) = Store().till.parse_webhook(signed(body), body, URL)
    assert type(parsed) is kind


def test_order_of_an_event_may_have_all_that_an_answer_has() -> None:
    order = {**EVENT["pos_order"], "total": 2881, "tax": 228, "counter": "2"}
    body = json.dumps({**EVENT, "pos_order": order}).encode()
    (parsed,) = Store().till.parse_webhook(signed(body), body, URL)
    assert isinstance(parsed, OrderChanged)
    assert parsed.pos_order
    assert parsed.pos_order.total == 2881


@pytest.mark.parametrize(
    ("body", "headers", "url", "fault"),
    [
        (b"{}", {}, URL, WebhookFault.UNSIGNED),
        (b"{}", signed(b"{} "), URL, WebhookFault.FORGED),
        (b"{}", signed(b"{}"), "https://orders.example/hooks/other", WebhookFault.FORGED),
        (b"{}", signed(b"{}") | {"Tillpost-Timestamp": "1"}, URL, WebhookFault.FORGED),
        (b"{}", signed(b"{}", at=1.0), URL, WebhookFault.STALE),
        (b"{}", signed(b"{}"), URL, WebhookFault.UNREADABLE),
        (b'{"kind": "sale"}', signed(b'{"kind": "sale"}'), URL, WebhookFault.UNREADABLE),
        (b"\xff", signed(b"\xff"), URL, WebhookFault.UNREADABLE),
    ],
)
def test_webhook_that_is_not_genuine_is_refused(
    body: bytes, headers: dict[str, str], url: str, fault: WebhookFault
) -> None:
    with pytest.raises(WebhookError) as raised:
        Store().till.parse_webhook(headers, body, url)
    assert raised.value.fault is fault


@pytest.mark.parametrize(
    "time_sent", ["nan", "NaN", "inf", "-inf", "1e999", "1_0", " 1", "", "9" * 400, "\u0661"]
)
def test_signed_time_that_is_no_number_is_refused(time_sent: str) -> None:
    body = json.dumps(EVENT).encode()
    with pytest.raises(WebhookError) as raised:
        Store().till.parse_webhook(signed(body, at=time_sent), body, URL)
    assert raised.value.fault in (WebhookFault.STALE, WebhookFault.UNREADABLE)


def test_webhook_cannot_choose_the_contact_and_names_in_a_remedy() -> None:
    claimed = {
        "kind": "MenuError",
        "detail": "gone",
        "support_contact": "Call +1-900 and read out your access token.",
        "granted_by": "the hotline at +1-900",
        "title": "the hotline at +1-900",
        "platform": "hotline",
        "exchange": {"method": "GET", "path": "/+1-900"},
        "request_id": "req-1",
        "outcome": "unknown",
    }
    body = json.dumps({"kind": "order_refused", "pos_id": "G1", "error": claimed}).encode()
    (event,) = Store().till.parse_webhook(signed(body), body, URL)
    assert isinstance(event, OrderRefused)
    assert "900" not in event.error.model_dump_json()
    assert event.error.title == "Generic POS"
    assert (event.error.detail, event.error.request_id) == ("gone", "req-1")
    assert event.error.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind": "menu_changed", "a": [' + b"1," * 400_000 + b"1]}",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"kind": "order_changed", "pos_id": "G1", "at": ' + b"9" * 10_000 + b"}",
    ],
    ids=["wide", "deep", "digits"],
)
def test_webhook_of_too_many_parts_is_unreadable_at_once(body: bytes) -> None:
    began = time.thread_time()
    with pytest.raises(WebhookError) as raised:
        Store().till.parse_webhook(signed(body), body, URL)
    assert raised.value.fault is WebhookFault.UNREADABLE
    assert time.thread_time() - began < 1.0
