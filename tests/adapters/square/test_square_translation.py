"""An order as Square takes it: what staff see where, and how long texts are cut."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.square.bench import Bench, an_order, checked_bench, plain_order
from tillpost.adapter.base import Attempt
from tillpost.errors import OrderError
from tillpost.models.order import Order
from tillpost_square.settings import PRODUCTION, SquareSettings
from tillpost_square.translation import payment, translate

SETTINGS = SquareSettings.model_validate({"access_token": "x", "location_id": "L1"})
DELIVERY: dict[str, Any] = {
    "type": "delivery",
    "due_at": "2036-11-23T19:00:00+11:00",
    "address": {
        "line1": "12/8 Wattle St",
        "city": "Ultimo",
        "region": "NSW",
        "postcode": "2007",
        "country": "AU",
    },
    "instructions": "Leave at reception",
}


def body_of(order: Order, settings: SquareSettings = SETTINGS, **attempt: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", translate(order, Attempt(**attempt), settings).order)


def pickup_of(order: Order, **attempt: Any) -> dict[str, Any]:
    (fulfilment,) = body_of(order, **attempt)["fulfillments"]
    assert fulfilment["type"] == "PICKUP"
    details: dict[str, Any] = fulfilment["pickup_details"]
    return details


def notices(order: Order) -> tuple[str, ...]:
    return translate(order, Attempt(), SETTINGS).notices


def test_catalogue_prices_are_left_to_square() -> None:
    for line in body_of(an_order())["line_items"]:
        assert "base_price_money" not in line
        assert all("base_price_money" not in modifier for modifier in line.get("modifiers", ()))


def test_kept_prices_are_sent_with_every_line_and_modifier() -> None:
    (coffee, _) = body_of(an_order(), keep_paid=True)["line_items"]

    assert coffee["base_price_money"] == {"amount": 550, "currency": "AUD"}
    assert coffee["modifiers"][0]["base_price_money"] == {"amount": 80, "currency": "AUD"}


def test_a_pickup_without_a_time_is_for_as_soon_as_possible() -> None:
    assert pickup_of(an_order())["schedule_type"] == "ASAP"
    settings = SETTINGS.model_copy(update={"prep_minutes": 20})
    details = body_of(an_order(), settings)["fulfillments"][0]["pickup_details"]
    assert details["prep_time_duration"] == "PT20M"


def test_due_time_is_sent_in_utc_whatever_its_offset() -> None:
    details = pickup_of(
        an_order(fulfilment={"type": "pickup", "due_at": "2036-11-23T19:00:00.5+10:30"})
    )

    assert (details["schedule_type"], details["pickup_at"]) == ("SCHEDULED", "2036-11-23T08:30:00Z")


def test_delivery_is_a_pickup_with_address_in_its_note() -> None:
    order = an_order(fulfilment=DELIVERY)

    details = pickup_of(order, remarks=("Paid price kept",))

    assert details["note"].splitlines() == [
        "Please add cutlery",
        "Leave at reception",
        "DELIVER TO: 12/8 Wattle St, Ultimo NSW 2007, AU",
        "Paid price kept",
    ]
    assert body_of(order)["ticket_name"] == "B42 delivery"


def test_table_is_in_the_note_and_in_the_ticket_name() -> None:
    order = an_order(fulfilment={"type": "dine_in", "table": "12"})

    assert pickup_of(order)["note"] == "Please add cutlery\nTABLE 12"
    assert body_of(order)["ticket_name"] == "B42 table 12"


def test_a_real_delivery_is_sent_where_the_settings_say_so() -> None:
    bench = checked_bench(delivery_as_pickup=False)
    order = an_order(fulfilment=DELIVERY)

    bench.run(bench.adapter.submit(order, Attempt()), order)

    (entry,) = bench.simulator.ledger().entries
    assert (entry.fulfilment, entry.shown) == ("DELIVERY", False)
    details = bench.bodies("/v2/orders")[0]["order"]["fulfillments"][0]["delivery_details"]
    assert details["recipient"]["address"]["locality"] == "Ultimo"
    assert (details["deliver_at"], details["dropoff_notes"]) == (
        "2036-11-23T08:00:00Z",
        "Leave at reception",
    )


def test_real_delivery_without_time_has_preparation_time() -> None:
    settings = SETTINGS.model_copy(update={"delivery_as_pickup": False})
    order = an_order(fulfilment=DELIVERY | {"due_at": None, "instructions": ""}, note="")

    details = body_of(order, settings)["fulfillments"][0]["delivery_details"]

    assert (details["schedule_type"], details["prep_time_duration"]) == ("ASAP", "PT30M")
    assert not {"note", "dropoff_notes"} & set(details)


def test_an_order_without_a_customer_is_called_out_by_its_code() -> None:
    assert pickup_of(an_order(customer=None))["recipient"] == {"display_name": "B42"}


@pytest.mark.parametrize("phone", ["0400 111 222 ext. 5", "+61 (0) 400 111 222 333", "call me"])
def test_refused_phone_number_moves_to_the_note_uncut(
    phone: str,
) -> None:
    order = an_order(customer={"name": "Mia", "phone": phone})

    details = pickup_of(order)

    assert "phone_number" not in details["recipient"]
    assert f"Phone: {phone}" in details["note"]
    assert any("phone number" in notice for notice in notices(order))


def test_refused_email_address_moves_to_the_note() -> None:
    order = an_order(customer={"name": "Mia", "email": "none"})

    details = pickup_of(order)

    assert "email_address" not in details["recipient"]
    assert "Email: none" in details["note"]
    assert any("email" in notice for notice in notices(order))


def real_delivery(phone: str, **attempt: Any) -> dict[str, Any]:
    """Return the fulfilment of a real delivery whose customer has this phone number."""
    settings = SETTINGS.model_copy(update={"delivery_as_pickup": False})
    customer = {"name": "Mia", "phone": phone}
    order = an_order(fulfilment=DELIVERY, customer=customer)
    fulfilment: dict[str, Any] = body_of(order, settings, **attempt)["fulfillments"][0]
    return fulfilment


@pytest.mark.parametrize(
    ("phone", "sent"),
    [
        ("+61 400 111 222", "+61 400 111 222"),
        ("0400 111 222 ext. 5", "0400111222"),
        ("+61 (0)400 111 222", "+61400111222"),
        ("98765432", "098765432"),
        ("+45 1234 5678 #9", "+4512345678"),
        ("call me", "000000000"),
        ("", "000000000"),
        ("1" * 17, "000000000"),
    ],
)
def test_real_delivery_gets_a_phone_number_that_square_takes(phone: str, sent: str) -> None:
    details = real_delivery(phone)["delivery_details"]

    assert details["recipient"]["phone_number"] == sent
    if sent != phone:
        given = f"Phone: {phone}" if phone else "No phone number was given"
        assert given in details["note"]


def test_delivery_whose_phone_number_stays_refused_is_a_pickup() -> None:
    fulfilment = real_delivery("", withheld=frozenset({"customer.phone"}))

    assert "DELIVER TO: 12/8 Wattle St" in fulfilment["pickup_details"]["note"]


ALLERGY = "SEVERE PEANUT ALLERGY"


def test_allergy_at_the_end_of_a_long_note_arrives_whole() -> None:
    bench = checked_bench()
    long_note = f"{'Ring twice. ' * 60}{ALLERGY}"
    order = an_order(fulfilment=DELIVERY | {"instructions": long_note}, note=long_note)

    made = bench.run(bench.adapter.submit(order, Attempt()), order)

    (entry,) = bench.simulator.ledger().shown
    shown = " ".join([entry.note, *(line.note for line in entry.lines)])
    assert shown.count(ALLERGY) == 2
    assert shown.count("Ring twice.") == 120
    assert "DELIVER TO: 12/8 Wattle St, Ultimo NSW 2007, AU" in shown
    assert "extra hot" in shown
    assert any("continues in the note of line 1" in notice for notice in made.notices)


def test_rest_of_a_long_line_note_is_in_the_orders_note() -> None:
    order = an_order()
    first = order.lines[0].model_copy(update={"note": f"{'x' * 1975} {ALLERGY} please"})

    body = body_of(order.model_copy(update={"lines": (first, order.lines[1])}))

    note = body["fulfillments"][0]["pickup_details"]["note"]
    assert f"LINE 1, continued: {ALLERGY} please" in note
    assert note.startswith("Please add cutlery")


def test_real_deliverys_long_instructions_go_on_in_its_note() -> None:
    settings = SETTINGS.model_copy(update={"delivery_as_pickup": False})
    order = an_order(fulfilment=DELIVERY | {"instructions": f"{'Left. ' * 100}{ALLERGY}"})

    details = body_of(order, settings)["fulfillments"][0]["delivery_details"]

    assert len(details["dropoff_notes"]) <= 550
    assert ALLERGY in details["note"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"note": "n" * 5000}, "note"),
        ({"fulfilment": DELIVERY | {"instructions": "n" * 5000}}, "fulfilment.instructions"),
    ],
)
def test_text_that_fits_nowhere_is_refused_before_sending(
    change: dict[str, Any], field: str
) -> None:
    bench = checked_bench()
    order = an_order(**change)

    with pytest.raises(OrderError, match=f"^{field}: Square.s notes have no room"):
        bench.run(bench.adapter.submit(order, Attempt()), order)

    assert bench.sent == []


def test_longest_text_is_named_where_another_has_no_room() -> None:
    line = {"item_id": "5312", "name": "BLT", "quantity": 1, "unit_price": 1450}
    order = plain_order(
        lines=[line | {"note": "l" * 1990}],
        note="n" * 498,
        fulfilment={"type": "dine_in", "table": "7"},
    )
    bench = checked_bench()
    with pytest.raises(OrderError, match=r"^note: Square.s notes have no room"):
        bench.run(bench.adapter.submit(order, Attempt()), order)


@given(
    note=st.text("αβ \n", max_size=3000),
    instructions=st.text("γδ ", max_size=3000),
    line_notes=st.lists(st.text("ζη \n", max_size=3000), min_size=1, max_size=4),
)
def test_every_word_of_any_note_arrives(
    note: str, instructions: str, line_notes: list[str]
) -> None:
    line = {"item_id": "5312", "name": "BLT", "quantity": 1, "unit_price": 1450}
    order = plain_order(
        lines=[line | {"note": text} for text in line_notes],
        note=note,
        fulfilment=DELIVERY | {"instructions": instructions},
        payments=[{"method": "card", "amount": 1450 * len(line_notes)}],
    )
    try:
        body = body_of(order)
    except OrderError:
        return
    notes = [body["fulfillments"][0]["pickup_details"]["note"]]
    notes += [each.get("note", "") for each in body["line_items"]]
    assert len(notes[0]) <= 500
    assert all(len(text) <= 2000 for text in notes)
    shown = "".join(notes)
    ordered = "".join([order.note, instructions, *(each.note for each in order.lines)])
    for letter in "αβγδζη":
        assert shown.count(letter) == ordered.count(letter)


def test_long_names_are_cut_to_limits_with_notices() -> None:
    order = plain_order(
        code="C" * 31,
        customer={"name": "m" * 256},
        charges=[{"kind": "service", "name": "c" * 513, "amount": 100}],
        discounts=[{"name": "d" * 256, "amount": 100}],
    )

    body = body_of(order)
    details = body["fulfillments"][0]["pickup_details"]

    assert len(body["ticket_name"]) == 30
    assert len(details["recipient"]["display_name"]) == 255
    assert f"Name: {'m' * 256}" in details["note"]
    assert f"Order: {'C' * 31}" in details["note"]
    assert len(body["service_charges"][0]["name"]) == 512
    assert len(body["discounts"][0]["name"]) == 255
    assert "The ticket name was cut to 30 characters" in notices(order)
    assert len(notices(order)) == 4


def test_the_notices_come_back_with_the_order() -> None:
    bench = Bench()
    order = plain_order(code="C" * 31)

    made = bench.run(bench.adapter.submit(order, Attempt()), order)

    assert made.notices == ("The ticket name was cut to 30 characters",)


def test_unchanged_order_has_no_notices() -> None:
    assert notices(an_order()) == ()


def test_charges_come_after_taxes_and_zero_charges_are_left_out() -> None:
    charges = [
        {"kind": "service", "name": "Free", "amount": 0},
        {"kind": "delivery", "name": "Delivery", "amount": 500},
    ]
    payments = [{"method": "card", "amount": 1950}]

    body = body_of(
        plain_order(charges=charges, discounts=[{"name": "None", "amount": 0}], payments=payments)
    )

    assert [(c["name"], c["calculation_phase"]) for c in body["service_charges"]] == [
        ("Delivery", "TOTAL_PHASE")
    ]
    assert "discounts" not in body


def test_payments_note_that_is_too_long_goes_on_in_the_orders() -> None:
    parts = [{"method": "voucher", "amount": 145, "reference": f"{n:0100}"} for n in range(10)]
    order = plain_order(payments=parts)

    note = cast("str", payment(order, "SQ1", SETTINGS)["note"])

    assert len(note) <= 500
    whole = note + str(translate(order, Attempt(), SETTINGS).order)
    assert all(str(part["reference"]) in whole for part in parts)


def test_a_payment_without_a_reference_goes_by_the_orders_id() -> None:
    details = payment(plain_order(payments=[{"method": "cash", "amount": 1450}]), "SQ1", SETTINGS)[
        "external_details"
    ]

    assert cast("dict[str, str]", details)["source_id"] == an_order().id


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_token": " "},
        {"access_token": None},
        {"location_id": ""},
        {"location_id": "two words"},
        {"source_name": "s" * 256},
        {"square_version": "latest"},
        {"look_after": ()},
        {"tips": "cash"},
        {"locaton_id": "L1"},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SquareSettings.model_validate({"access_token": "x", "location_id": "L1"} | wrong)


def test_a_missing_token_is_refused_and_the_rest_has_defaults() -> None:
    with pytest.raises(ValidationError):
        SquareSettings.model_validate({"location_id": "L1"})
    assert SETTINGS.base_url == PRODUCTION
    assert "x" not in repr(SETTINGS.access_token).replace("SecretStr", "")


def test_look_up_pauses_can_be_set() -> None:
    assert Bench(look_after=(0.5, 2)).adapter.look_after == (0.5, 2.0)
