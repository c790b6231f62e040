from __future__ import annotations

import pytest

from plugins.simulators.square.shop import Shop, aud, pickup


@pytest.mark.parametrize("amount", [1449, 1451])
def test_payment_must_come_to_the_orders_total(shop: Shop, amount: int) -> None:
    refused = shop.pay(shop.create(pickup()).order, amount=amount)
    assert refused.error == ("BAD_REQUEST", "amount_money")
    assert (
        refused.body["errors"][0]["detail"] == "The payment total does not match the order total."
    )
    assert shop.simulator.ledger().shown == ()


def test_payment_key_has_at_most_45_characters(shop: Shop) -> None:
    created = shop.create(pickup()).order
    assert shop.pay(created, key="k" * 46).error == ("VALUE_TOO_LONG", "idempotency_key")
    assert shop.pay(created, key="k" * 45).status == 200


def test_repeated_payment_replays_first_answer_and_pays_once(shop: Shop) -> None:
    created = shop.create(pickup()).order
    first = shop.pay(created, key="k")
    shop.simulator.staff_accept("ord-1")
    assert shop.pay(created, key="k") == first
    assert shop.simulator.ledger().entries[0].paid == 1450
    assert shop.pay(created, key="k", note="other").error == (
        "IDEMPOTENCY_KEY_REUSED",
        "idempotency_key",
    )


def test_order_is_paid_once(shop: Shop) -> None:
    created = shop.create(pickup()).order
    shop.pay(created)
    assert shop.pay(created).error == ("BAD_REQUEST", "order_id")


def test_tip_is_added_to_the_orders_total(shop: Shop) -> None:
    created = shop.create(pickup()).order
    shop.pay(created, tip=150)
    order = shop.fetch(created["id"])
    assert (order["total_money"], order["total_tip_money"]) == (aud(1600), aud(150))
    assert order["net_amount_due_money"] == aud(0)
    assert [tender["payment_id"] for tender in order["tenders"]]


def test_external_payment_needs_details(shop: Shop) -> None:
    created = shop.create(pickup()).order
    assert shop.pay(created, external_details=None).error == (
        "MISSING_REQUIRED_PARAMETER",
        "external_details",
    )
    barter = {"type": "BARTER", "source": "x"}
    assert shop.pay(created, external_details=barter).error == (
        "INVALID_ENUM_VALUE",
        "external_details.type",
    )
    wordy = {"type": "EXTERNAL", "source": "x" * 256}
    assert shop.pay(created, external_details=wordy).error == (
        "VALUE_TOO_LONG",
        "external_details.source",
    )


def test_payment_at_another_location_is_refused(shop: Shop) -> None:
    assert shop.pay(shop.create(pickup()).order, location_id="L-KIOSK").error == (
        "LOCATION_MISMATCH",
        "location_id",
    )


def test_payment_for_unknown_order_is_refused(shop: Shop) -> None:
    assert shop.pay({"id": "nobody", "total_money": aud(1)}).error == ("NOT_FOUND", "order_id")


def test_cancelled_order_refuses_payment(shop: Shop) -> None:
    created = shop.create(pickup()).order
    ended = {
        "version": 1,
        "state": "CANCELED",
        "fulfillments": [{"uid": created["fulfillments"][0]["uid"], "state": "CANCELED"}],
    }
    assert shop.update(created["id"], ended).status == 200
    assert shop.pay(created).error == ("BAD_REQUEST", "order_id")


def test_pay_order_completes_payments_and_cancels_the_rest(shop: Shop) -> None:
    created = shop.create(pickup()).order
    held = shop.pay(created, autocomplete=False).body["payment"]
    spare = shop.pay(created, autocomplete=False).body["payment"]
    assert (held["status"], shop.simulator.ledger().shown) == ("APPROVED", ())
    body = {"idempotency_key": "z", "order_version": 1, "payment_ids": [held["id"]]}
    assert shop.post(f"/v2/orders/{created['id']}/pay", body).status == 200
    assert shop.get(f"/v2/payments/{held['id']}").body["payment"]["status"] == "COMPLETED"
    assert shop.get(f"/v2/payments/{spare['id']}").body["payment"]["status"] == "CANCELED"


def test_payment_cancelled_by_key_frees_the_key(shop: Shop) -> None:
    created = shop.create(pickup()).order
    shop.pay(created, key="k", autocomplete=False)
    assert shop.post("/v2/payments/cancel", {"idempotency_key": "k"}).status == 200
    assert shop.post("/v2/payments/cancel", {"idempotency_key": "unheard of"}).status == 200
    assert shop.pay(created, key="k").status == 200
    assert shop.post("/v2/payments/cancel", {"idempotency_key": "k"}).error == (
        "BAD_REQUEST",
        "idempotency_key",
    )


def test_payments_are_listed_in_pages_newest_first(shop: Shop) -> None:
    for number in range(3):
        shop.paid(pickup(reference=f"o{number}"))
    first = shop.get("/v2/payments", limit="2")
    second = shop.get("/v2/payments", limit="2", cursor=first.body["cursor"])
    listed = [payment["id"] for payment in first.body["payments"] + second.body["payments"]]
    assert len(set(listed)) == 3
    assert "cursor" not in second.body
