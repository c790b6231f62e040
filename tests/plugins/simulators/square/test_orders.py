from __future__ import annotations

import pytest

from plugins.simulators.square.shop import Json, Shop, ad_hoc, aud, line, order_of, pickup


def test_sample_lunch_order_comes_to_the_paid_total(shop: Shop) -> None:
    oat = {"catalog_object_id": "228", "base_price_money": aud(80)}
    order = pickup(
        line("7302", "2", base_price_money=aud(550), modifiers=[oat], note="extra hot"),
        line("5312", base_price_money=aud(1450)),
        service_charges=[
            {
                "name": "Weekend surcharge",
                "amount_money": aud(271),
                "calculation_phase": "SUBTOTAL_PHASE",
            }
        ],
        discounts=[{"name": "WELCOME", "amount_money": aud(200), "scope": "ORDER"}],
    )
    created = shop.create(order).order
    assert created["total_money"] == aud(2781)
    assert shop.pay(created, tip=100).status == 200
    (entry,) = shop.simulator.ledger().shown
    assert (entry.total, entry.paid, entry.tip) == (2881, 2881, 100)
    assert [(x.name, int(x.quantity), x.note) for x in entry.lines] == [
        ("Flat white", 2, "extra hot"),
        ("BLT toastie", 1, ""),
    ]
    assert entry.lines[0].modifiers[0].name == "Oat milk"
    assert (entry.ticket_name, "cutlery" in entry.note) == ("B42", True)


def test_sample_delivery_order_comes_to_the_paid_total(shop: Shop) -> None:
    charge = {"name": "Delivery", "amount_money": aud(700), "calculation_phase": "SUBTOTAL_PHASE"}
    assert shop.create(pickup(line(quantity="3"), service_charges=[charge])).order[
        "total_money"
    ] == aud(5050)


def test_order_is_not_shown_until_it_is_paid(shop: Shop) -> None:
    created = shop.create(pickup()).order
    ledger = shop.simulator.ledger()
    assert ledger.shown == ()
    assert [entry.order_id for entry in ledger.half_done] == [created["id"]]
    shop.pay(created)
    ledger = shop.simulator.ledger()
    assert [entry.reference for entry in ledger.shown] == ["ord-1"]
    assert ledger.half_done == ()


def test_delivery_is_not_shown_without_partnership(shop: Shop) -> None:
    recipient = {
        "display_name": "Tom",
        "phone_number": "+61400333444",
        "address": {"address_line_1": "12 Wattle St"},
    }
    details = {"recipient": recipient, "deliver_at": "2036-11-23T19:00:00+11:00"}
    order = pickup() | {"fulfillments": [{"type": "DELIVERY", "delivery_details": details}]}
    shop.paid(order)
    (entry,) = shop.simulator.ledger().entries
    assert entry.settled
    assert not entry.shown


def test_repeated_key_replays_first_answer_after_changes(
    shop: Shop,
) -> None:
    first = shop.create(pickup(), key="k1")
    shop.pay(first.order)
    again = shop.create(pickup(), key="k1")
    assert again == first
    assert again.order["version"] == 1
    assert shop.fetch(first.order["id"])["version"] == 2
    assert len(shop.simulator.ledger().entries) == 1


def test_key_with_another_body_is_refused(shop: Shop) -> None:
    shop.create(pickup(), key="k1")
    assert shop.create(pickup(reference="ord-2"), key="k1").error == (
        "IDEMPOTENCY_KEY_REUSED",
        "idempotency_key",
    )


def test_refused_request_leaves_its_key_unused(shop: Shop) -> None:
    assert shop.create(pickup(line("gone")), key="k1").status == 404
    assert shop.create(pickup(), key="k1").status == 200


def test_orders_without_key_are_all_created(shop: Shop) -> None:
    shop.paid()
    shop.paid()
    assert shop.simulator.ledger().twice == ("ord-1",)


def test_calculate_stores_nothing(shop: Shop) -> None:
    calculated = shop.post("/v2/orders/calculate", {"order": pickup()}).order
    assert calculated["total_money"] == aud(1450)
    assert "id" not in calculated
    assert shop.simulator.ledger().entries == ()


def test_computed_fields_cannot_be_sent(shop: Shop) -> None:
    created = shop.create(pickup(id="mine", total_money=aud(1), version=9)).order
    assert created["id"] != "mine"
    assert (created["total_money"], created["version"]) == (aud(1450), 1)


def test_unknown_field_is_ignored(shop: Shop) -> None:
    assert shop.create(pickup(fulfilment=7)).status == 200


def test_batch_retrieve_leaves_unknown_ids_out(shop: Shop) -> None:
    ids = [shop.create(pickup()).order["id"] for _ in range(2)]
    answer = shop.post("/v2/orders/batch-retrieve", {"order_ids": [*ids, "nobody"]})
    assert [order["id"] for order in answer.body["orders"]] == ids
    assert shop.get("/v2/orders/nobody").error[0] == "NOT_FOUND"


LINES = "order.line_items[0]"
PICKUP = "order.fulfillments[0].pickup_details"


def details(**more: object) -> Json:
    described: Json = {"recipient": {"display_name": "Mia"}, "schedule_type": "ASAP"}
    return {"fulfillments": [{"type": "PICKUP", "pickup_details": described | more}]}


REFUSED: dict[str, tuple[Json, str, str]] = {
    "an unknown variation": (pickup(line("gone")), "NOT_FOUND", f"{LINES}.catalog_object_id"),
    "an item in place of a variation": (
        pickup(line("ITEM-BLT")),
        "NOT_FOUND",
        f"{LINES}.catalog_object_id",
    ),
    "something that the location does not sell": (
        pickup(line("6104")),
        "NOT_FOUND",
        f"{LINES}.catalog_object_id",
    ),
    "something sold out": (pickup(line("6101")), "INVALID_VALUE", f"{LINES}.catalog_object_id"),
    "something archived": (pickup(line("6106")), "INVALID_VALUE", f"{LINES}.catalog_object_id"),
    "a second line at fault": (
        pickup(line(), line("gone")),
        "NOT_FOUND",
        "order.line_items[1].catalog_object_id",
    ),
    "a price left open": (
        pickup(line("6103")),
        "MISSING_REQUIRED_PARAMETER",
        f"{LINES}.base_price_money",
    ),
    "an ad hoc line without a name": (
        order_of({"quantity": "1", "base_price_money": aud(1)}),
        "MISSING_REQUIRED_PARAMETER",
        f"{LINES}.name",
    ),
    "an ad hoc line without a price": (
        order_of({"quantity": "1", "name": "x"}),
        "MISSING_REQUIRED_PARAMETER",
        f"{LINES}.base_price_money",
    ),
    "no quantity": (order_of({"name": "x"}), "MISSING_REQUIRED_PARAMETER", f"{LINES}.quantity"),
    "a quantity that is a number": (
        order_of(line() | {"quantity": 1}),
        "EXPECTED_STRING",
        f"{LINES}.quantity",
    ),
    "a quantity of half a toastie": (
        order_of(line(quantity="0.5")),
        "INVALID_VALUE",
        f"{LINES}.quantity",
    ),
    "a quantity below zero": (order_of(line(quantity="-1")), "INVALID_VALUE", f"{LINES}.quantity"),
    "an unknown modifier": (
        pickup(line("7302", modifiers=[{"catalog_object_id": "x"}])),
        "NOT_FOUND",
        f"{LINES}.modifiers[0].catalog_object_id",
    ),
    "a modifier of another item": (
        pickup(line("5312", modifiers=[{"catalog_object_id": "228"}])),
        "INVALID_VALUE",
        f"{LINES}.modifiers[0].catalog_object_id",
    ),
    "a modifier that is sold out": (
        pickup(line("7302", modifiers=[{"catalog_object_id": "230"}])),
        "INVALID_VALUE",
        f"{LINES}.modifiers[0].catalog_object_id",
    ),
    "a choice not made": (pickup(line("5320")), "ARRAY_LENGTH_TOO_SHORT", f"{LINES}.modifiers"),
    "too many choices": (
        pickup(
            line("7302", modifiers=[{"catalog_object_id": "228"}, {"catalog_object_id": "229"}])
        ),
        "ARRAY_LENGTH_TOO_LONG",
        f"{LINES}.modifiers",
    ),
    "one modifier twice where once is allowed": (
        pickup(line("7302", modifiers=[{"catalog_object_id": "228", "quantity": "2"}])),
        "VALUE_TOO_HIGH",
        f"{LINES}.modifiers[0].quantity",
    ),
    "another currency": (
        order_of(ad_hoc() | {"base_price_money": {"amount": 1, "currency": "USD"}}),
        "CURRENCY_MISMATCH",
        f"{LINES}.base_price_money.currency",
    ),
    "an amount that is a string": (
        order_of(ad_hoc() | {"base_price_money": {"amount": "1", "currency": "AUD"}}),
        "EXPECTED_INTEGER",
        f"{LINES}.base_price_money.amount",
    ),
    "no location": ({"line_items": [line()]}, "MISSING_REQUIRED_PARAMETER", "order.location_id"),
    "a foreign location": (pickup() | {"location_id": "L-MOON"}, "NOT_FOUND", "order.location_id"),
    "a long reference": (pickup(reference="x" * 41), "VALUE_TOO_LONG", "order.reference_id"),
    "a long ticket name": (
        pickup() | {"ticket_name": "x" * 31},
        "VALUE_TOO_LONG",
        "order.ticket_name",
    ),
    "a long line name": (order_of(ad_hoc("x" * 513)), "VALUE_TOO_LONG", f"{LINES}.name"),
    "a long line note": (order_of(line(note="x" * 2001)), "VALUE_TOO_LONG", f"{LINES}.note"),
    "a long modifier name": (
        order_of(ad_hoc(modifiers=[{"name": "x" * 256, "base_price_money": aud(0)}])),
        "VALUE_TOO_LONG",
        f"{LINES}.modifiers[0].name",
    ),
    "a long pickup note": (pickup() | details(note="x" * 501), "VALUE_TOO_LONG", f"{PICKUP}.note"),
    "a long phone number": (
        pickup() | details(recipient={"display_name": "M", "phone_number": "+" + "1" * 17}),
        "VALUE_TOO_LONG",
        f"{PICKUP}.recipient.phone_number",
    ),
    "a phone number with letters": (
        pickup() | details(recipient={"display_name": "M", "phone_number": "call me"}),
        "INVALID_PHONE_NUMBER",
        f"{PICKUP}.recipient.phone_number",
    ),
    "a phone number of 8 digits": (
        pickup() | details(recipient={"display_name": "M", "phone_number": "+1234 5678"}),
        "INVALID_PHONE_NUMBER",
        f"{PICKUP}.recipient.phone_number",
    ),
    "a phone number with an extension": (
        pickup() | details(recipient={"display_name": "M", "phone_number": "5551234567 x12"}),
        "INVALID_PHONE_NUMBER",
        f"{PICKUP}.recipient.phone_number",
    ),
    "a recipient without a name": (
        pickup() | details(recipient={"phone_number": "+61400111222"}),
        "MISSING_REQUIRED_PARAMETER",
        f"{PICKUP}.recipient.display_name",
    ),
    "a schedule without a time": (
        pickup() | details(schedule_type="SCHEDULED"),
        "MISSING_REQUIRED_PARAMETER",
        f"{PICKUP}.pickup_at",
    ),
    "a time without an offset": (
        pickup() | details(schedule_type="SCHEDULED", pickup_at="2036-11-23T19:00:00"),
        "INVALID_TIME",
        f"{PICKUP}.pickup_at",
    ),
    "a time in the past": (
        pickup() | details(schedule_type="SCHEDULED", pickup_at="2016-11-23T19:00:00Z"),
        "INVALID_TIME",
        f"{PICKUP}.pickup_at",
    ),
    "a duration that is none": (
        pickup() | details(prep_time_duration="20 minutes"),
        "INVALID_VALUE",
        f"{PICKUP}.prep_time_duration",
    ),
    "two fulfilments": (
        pickup() | {"fulfillments": details()["fulfillments"] * 2},
        "ARRAY_LENGTH_TOO_LONG",
        "order.fulfillments",
    ),
    "a pickup without details": (
        pickup() | {"fulfillments": [{"type": "PICKUP"}]},
        "MISSING_REQUIRED_PARAMETER",
        "order.fulfillments[0].pickup_details",
    ),
    "a charge without a phase": (
        pickup(service_charges=[{"name": "x", "amount_money": aud(1)}]),
        "MISSING_REQUIRED_PARAMETER",
        "order.service_charges[0].calculation_phase",
    ),
    "a charge with two amounts": (
        pickup(
            service_charges=[
                {
                    "name": "x",
                    "amount_money": aud(1),
                    "percentage": "1",
                    "calculation_phase": "SUBTOTAL_PHASE",
                }
            ]
        ),
        "BAD_REQUEST",
        "order.service_charges[0].amount_money",
    ),
    "a taxable charge after taxes": (
        pickup(
            service_charges=[
                {
                    "name": "x",
                    "amount_money": aud(1),
                    "taxable": True,
                    "calculation_phase": "TOTAL_PHASE",
                }
            ]
        ),
        "INVALID_VALUE",
        "order.service_charges[0].taxable",
    ),
    "an unknown tax": (
        pickup(taxes=[{"catalog_object_id": "TAX-NONE"}]),
        "NOT_FOUND",
        "order.taxes[0].catalog_object_id",
    ),
    "a reference to no tax": (
        order_of(line(applied_taxes=[{"tax_uid": "nope"}])),
        "INVALID_VALUE",
        f"{LINES}.applied_taxes[0].tax_uid",
    ),
    "a word that is no state": (pickup(state="SHUT"), "INVALID_ENUM_VALUE", "order.state"),
    "too much metadata": (
        pickup(metadata={f"k{i}": "v" for i in range(11)}),
        "TOO_MANY_MAP_ENTRIES",
        "order.metadata",
    ),
    "a stale catalogue version": (
        order_of(line(catalog_version=1)),
        "CONFLICT",
        f"{LINES}.catalog_version",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_order_is_refused(case: str, shop: Shop) -> None:
    order, code, field = REFUSED[case]
    refused = shop.create(order)
    assert refused.status >= 400
    assert refused.error == (code, field)
    assert shop.simulator.ledger().entries == ()


def test_long_key_is_refused(shop: Shop) -> None:
    assert shop.create(pickup(), key="k" * 192).status == 200
    assert shop.create(pickup(), key="k" * 193).error == ("VALUE_TOO_LONG", "idempotency_key")


def test_location_price_overrides_general_price(shop: Shop) -> None:
    assert shop.create(pickup(line("6105"))).order["total_money"] == aud(520)


def test_sent_price_overrides_catalogue_price(shop: Shop) -> None:
    assert shop.create(pickup(line("6103", base_price_money=aud(4200)))).order[
        "total_money"
    ] == aud(4200)
    assert shop.create(pickup(line("5312", base_price_money=aud(1)))).order["total_money"] == aud(1)


def test_order_without_fulfilment_completes_when_paid(shop: Shop) -> None:
    assert shop.paid(order_of(ad_hoc()))["state"] == "COMPLETED"
    assert shop.paid(pickup())["state"] == "OPEN"


def test_order_of_zero_is_settled_without_payment_or_tender(shop: Shop) -> None:
    created = shop.create(pickup(line("6102"))).order
    assert shop.pay(created).error == ("VALUE_TOO_LOW", "amount_money.amount")
    settled = shop.post(
        f"/v2/orders/{created['id']}/pay", {"idempotency_key": "z", "payment_ids": []}
    ).order
    assert (settled["state"], "tenders" in settled) == ("OPEN", False)
    assert [entry.settled for entry in shop.simulator.ledger().shown] == [True]


def test_order_with_total_is_not_settled_without_payment(shop: Shop) -> None:
    created = shop.create(pickup()).order
    refused = shop.post(
        f"/v2/orders/{created['id']}/pay", {"idempotency_key": "z", "payment_ids": []}
    )
    assert refused.error == ("BAD_REQUEST", "payment_ids")
    assert "does not match the total of the sale order" in refused.body["errors"][0]["detail"]


@pytest.mark.parametrize("phone", ["123456789", "+61 (400) 111-222", "1234567890123456"])
def test_phone_number_of_9_to_16_digits_is_taken(shop: Shop, phone: str) -> None:
    order = pickup() | details(recipient={"display_name": "M", "phone_number": phone})
    assert shop.create(order).status == 200
