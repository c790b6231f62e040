from __future__ import annotations

import pytest

from plugins.simulators.square.shop import Reply, Shop, aud, pickup


@pytest.mark.parametrize("amount", [1449, 1451])
def test_payment_must_come_to_the_orders_total(shop: Shop, amount: int) -> None:
    created = shop.create(pickup()).order
    refused = shop.pay(created, amount=amount)
    assert refused.error == ("BAD_REQUEST", "amount_money")
    (error,) = refused.body["errors"]
    assert error["detail"] == "The payment total does not match the order total."
    assert shop.simulator.ledger().shown == ()


def test_payment_key_has_at_most_45_characters(shop: Shop) -> None:
    created = shop.create(pickup()).order
    too_long = shop.pay(created, key="k" * 46)
    assert too_long.error == ("VALUE_TOO_LONG", "idempotency_key")
    longest = shop.pay(created, key="k" * 45)
    assert longest.status == 200


def test_repeated_payment_replays_first_answer_and_pays_once(shop: Shop) -> None:
    created = shop.create(pickup()).order
    first = shop.pay(created, key="k")
    shop.simulator.staff_accept("ord-1")
    assert shop.pay(created, key="k") == first
    (entry,) = shop.simulator.ledger().entries
    assert entry.paid == 1450
    other_body = shop.pay(created, key="k", note="other")
    assert other_body.error == ("IDEMPOTENCY_KEY_REUSED", "idempotency_key")


def test_order_is_paid_once(shop: Shop) -> None:
    created = shop.create(pickup()).order
    shop.pay(created)
    second = shop.pay(created)
    assert second.error == ("BAD_REQUEST", "order_id")


def test_tip_is_added_to_the_orders_total(shop: Shop) -> None:
    created = shop.create(pickup()).order
    shop.pay(created, tip=150)
    order = shop.fetch(created["id"])
    assert order["total_money"] == aud(1600)
    assert order["total_tip_money"] == aud(150)
    assert order["net_amount_due_money"] == aud(0)
    assert [tender["payment_id"] for tender in order["tenders"]]


MISSING_DETAILS = (
    None,
    "MISSING_REQUIRED_PARAMETER",
    "external_details",
)
UNKNOWN_TYPE = (
    {"type": "BARTER", "source": "x"},
    "INVALID_ENUM_VALUE",
    "external_details.type",
)
LONG_SOURCE = (
    {"type": "EXTERNAL", "source": "x" * 256},
    "VALUE_TOO_LONG",
    "external_details.source",
)


@pytest.mark.parametrize(
    ("details", "code", "field"),
    [MISSING_DETAILS, UNKNOWN_TYPE, LONG_SOURCE],
)
def test_external_payment_needs_details(
    shop: Shop, details: dict[str, str] | None, code: str, field: str
) -> None:
    created = shop.create(pickup()).order
    refused = shop.pay(created, external_details=details)
    assert refused.error == (code, field)


def test_payment_at_another_location_is_refused(shop: Shop) -> None:
    created = shop.create(pickup()).order
    refused = shop.pay(created, location_id="L-KIOSK")
    assert refused.error == ("LOCATION_MISMATCH", "location_id")


def test_payment_for_unknown_order_is_refused(shop: Shop) -> None:
    unknown_order = {"id": "nobody", "total_money": aud(1)}
    refused = shop.pay(unknown_order)
    assert refused.error == ("NOT_FOUND", "order_id")


def test_cancelled_order_refuses_payment(shop: Shop) -> None:
    created = shop.create(pickup()).order
    (fulfilment,) = created["fulfillments"]
    ended = {
        "version": 1,
        "state": "CANCELED",
        "fulfillments": [{"uid": fulfilment["uid"], "state": "CANCELED"}],
    }
    assert shop.update(created["id"], ended).status == 200
    refused = shop.pay(created)
    assert refused.error == ("BAD_REQUEST", "order_id")


def payment_status(shop: Shop, payment_id: str) -> str:
    answer = shop.get(f"/v2/payments/{payment_id}")
    status: str = answer.body["payment"]["status"]
    return status


def test_pay_order_completes_payments_and_cancels_the_rest(shop: Shop) -> None:
    created = shop.create(pickup()).order
    held = shop.pay(created, autocomplete=False).body["payment"]
    spare = shop.pay(created, autocomplete=False).body["payment"]
    assert held["status"] == "APPROVED"
    assert shop.simulator.ledger().shown == ()
    body = {
        "idempotency_key": "z",
        "order_version": 1,
        "payment_ids": [held["id"]],
    }
    paid = shop.post(f"/v2/orders/{created['id']}/pay", body)
    assert paid.status == 200
    assert payment_status(shop, held["id"]) == "COMPLETED"
    assert payment_status(shop, spare["id"]) == "CANCELED"


def cancel_by_key(shop: Shop, key: str) -> Reply:
    return shop.post("/v2/payments/cancel", {"idempotency_key": key})


def test_payment_cancelled_by_key_frees_the_key(shop: Shop) -> None:
    created = shop.create(pickup()).order
    shop.pay(created, key="k", autocomplete=False)
    assert cancel_by_key(shop, "k").status == 200
    assert cancel_by_key(shop, "unheard of").status == 200
    assert shop.pay(created, key="k").status == 200
    refused = cancel_by_key(shop, "k")
    assert refused.error == ("BAD_REQUEST", "idempotency_key")


def test_payments_are_listed_in_pages_newest_first(shop: Shop) -> None:
    for number in range(3):
        order = pickup(reference=f"o{number}")
        shop.paid(order)
    first = shop.get("/v2/payments", limit="2").body
    second = shop.get("/v2/payments", limit="2", cursor=first["cursor"]).body
    payments = first["payments"] + second["payments"]
    assert len({payment["id"] for payment in payments}) == 3
    assert "cursor" not in second


def test_cursor_of_payments_dies_after_five_minutes(shop: Shop) -> None:
    for number in range(2):
        shop.paid(pickup(reference=f"o{number}"))
    cursor = shop.get("/v2/payments", limit="1").body["cursor"]
    shop.simulator.advance_clock(270)  # the machine's own time passes, too
    assert shop.get("/v2/payments", limit="1", cursor=cursor).status == 200
    shop.simulator.advance_clock(30)
    for text in (cursor, "x", "1", "-"):
        refused = shop.get("/v2/payments", limit="1", cursor=text)
        assert refused.error == ("INVALID_CURSOR", "cursor")
