"""Submitting to Kounta: what is sent, how answers are read, and the read-back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.kounta.bench import URL, Bench, an_order, is_create, on_create, plain_order
from tillpost import (
    DoubtError,
    MenuError,
    OutageError,
    Outcome,
    PosOrder,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
)
from tillpost.errors.remedies import Action
from tillpost_simulators.kounta import KountaSettings as World


def test_submit_creates_the_whole_order() -> None:
    bench = Bench()
    pos_order = bench.till.submit(an_order(), is_new=True)
    (shown,) = bench.simulator.ledger().shown
    assert (pos_order.id, pos_order.status, pos_order.total, pos_order.notices) == (
        "93824701",
        "SUBMITTED",
        2881,
        (
            "Weekend surcharge has tax at the register, and was charged without: its product "
            "Weekend surcharge (9001) has GST 10 %",
        ),
    )
    assert (shown.reference, shown.total, shown.paid, shown.settled) == (
        "ord_01JD7Q3W8YB3T6",
        2881,
        2881,
        True,
    )
    assert [(line.name, line.note) for line in shown.lines] == [
        ("Flat white, regular", "extra hot"),
        ("BLT toastie", ""),
        ("Weekend surcharge", "Weekend surcharge"),
        ("Online discount", "WELCOME"),
        ("Tip", "Tip"),
    ]
    assert [(m.name, m.quantity) for m in shown.lines[0].modifiers] == [("Oat milk", Decimal(1))]


def test_body_is_the_vendors_with_reference_in_three_places() -> None:
    bench = Bench()
    due = {
        "type": "delivery",
        "due_at": "2036-11-23T19:00:00+11:00",
        "instructions": "Ring twice",
        "address": {"line1": "12/8 Wattle St", "city": "Ultimo"},
    }
    bench.till.submit(an_order(fulfilment=due), is_new=True)
    (body,) = bench.creates()
    notes = body["notes"].split("\n")
    assert notes[0] == "Ref: ord_01JD7Q3W8YB3T6"
    assert notes[1:] == [
        "Please add cutlery",
        "B42 Mia Chen +61400111222",
        "DELIVER TO: 12/8 Wattle St, Ultimo",
        "Ring twice",
        "PAID: card 28.81 AUD pi_3PabcDEF",
    ]
    assert body["sale_number"] == "ord_01JD7Q3W8YB3T6"
    assert body["payments"] == [{"method_id": 12, "amount": 28.81, "ref": "ord_01JD7Q3W8YB3T6"}]
    assert (body["site_id"], body["status"], body["order_type"]) == (2301, "SUBMITTED", "Delivery")
    assert body["placed_at"] == "2026-11-23T11:52:07+11:00"
    assert body["fulfil_at"] == "2036-11-23T19:00:00+11:00"
    assert (body["complete_when_paid"], body["pass_thru_printing"]) == (False, False)


def test_a_table_is_in_the_notes() -> None:
    bench = Bench()
    bench.till.submit(plain_order(fulfilment={"type": "dine_in", "table": "12"}), is_new=True)
    (body,) = bench.creates()
    assert "TABLE 12" in body["notes"].split("\n")
    assert body["order_type"] == "Dine in"


def test_prices_are_written_as_exact_numbers() -> None:
    bench = Bench()
    bench.till.submit(plain_order(), is_new=True)
    (sent,) = [r for r in bench.sent if is_create(r)]
    assert b'"unit_price": 13.1818' in sent.content
    assert b'"amount": 14.50' in sent.content


def test_modifier_is_sent_per_piece_and_removal_with_a_minus() -> None:
    bench = Bench()
    white = {"item_id": "7302", "name": "Flat white, regular", "quantity": 1, "unit_price": 550}
    extras = [
        {"modifier_id": "231", "name": "Extra shot", "quantity": 2, "unit_price": 60},
        {"modifier_id": "-3091", "name": "No Sugar", "quantity": 1, "unit_price": 0},
    ]
    paid = [{"method": "card", "amount": 670}]
    bench.till.submit(
        plain_order(lines=[white | {"modifiers": extras}], payments=paid), is_new=True
    )
    assert bench.creates()[0]["lines"][0]["modifiers"] == [231, 231, -3091]
    assert bench.simulator.ledger().shown[0].total == 670


def test_a_choice_from_an_option_set_goes_in_at_its_own_price() -> None:
    bench = Bench()
    choices = [
        {"modifier_id": "240", "name": "Medium", "unit_price": 0},
        {"modifier_id": "252", "name": "Chilli sauce", "unit_price": 50},
    ]
    burger = {
        "item_id": "5320",
        "name": "Cheeseburger",
        "quantity": 1,
        "unit_price": 1900,
        "modifiers": choices,
    }
    bench.till.submit(
        plain_order(lines=[burger], payments=[{"method": "card", "amount": 1950}]), is_new=True
    )
    assert bench.creates()[0]["lines"][0]["modifiers"] == [240, 252]
    assert bench.simulator.ledger().shown[0].total == 1950


@pytest.mark.parametrize(
    ("part", "setting"),
    [
        ({"charges": [{"kind": "service", "name": "Bag fee", "amount": 20}]}, "charge_products"),
        ({"discounts": [{"name": "WELCOME", "amount": 20}]}, "discount_product"),
        ({"tip": 20}, "tip_product"),
    ],
)
def test_part_without_a_product_is_refused_before_sending(
    part: dict[str, Any], setting: str
) -> None:
    bench = Bench(charge_products={}, discount_product=None, tip_product=None)
    total = 1430 if "discounts" in part else 1470
    error = bench.refused(
        plain_order(**part, payments=[{"method": "card", "amount": total}]), is_new=True
    )
    assert isinstance(error, SetupError)
    assert setting in error.detail
    assert error.outcome is Outcome.NOT_CREATED
    assert (error.operation, error.reason) == ("submit", "product")
    assert bench.sent == [], "neither a menu import nor anything else"


def test_every_part_without_a_product_is_named_at_once() -> None:
    bench = Bench(
        charge_products={}, discount_product=None, tip_product=None, open_item_product=None
    )
    order = plain_order(
        charges=[{"kind": "service", "name": "Bag fee", "amount": 20}],
        discounts=[{"name": "WELCOME", "amount": 20}],
        tip=20,
        payments=[{"method": "card", "amount": 1470}],
    )
    error = bench.refused(order, is_new=True)
    assert bench.sent == []
    for setting in ("charge_products", "discount_product", "tip_product"):
        assert setting in error.detail


def test_known_menu_makes_no_difference_to_a_missing_product() -> None:
    bench = Bench(tip_product=None)
    till = bench.connect_with_menu()
    bench.sent.clear()
    order = plain_order(tip=20, payments=[{"method": "card", "amount": 1470}])
    with pytest.raises(SetupError, match="tip_product names no product"):
        till.submit(order, is_new=True)
    assert bench.sent == []


def test_order_that_may_exist_is_looked_for_whatever_is_missing() -> None:
    bench = Bench(tip_product=None)
    order = plain_order(tip=20, payments=[{"method": "card", "amount": 1470}])
    error = bench.refused(order)
    assert isinstance(error, SetupError)
    assert error.outcome is Outcome.NOT_CREATED
    assert all("/orders" in request.url.path for request in bench.sent)


def test_a_charge_goes_in_by_its_name_before_its_kind() -> None:
    bench = Bench(charge_products={"Bag fee": "9002", "service": "9001"})
    bag = [{"kind": "service", "name": "Bag fee", "amount": 20}]
    bench.till.submit(
        plain_order(charges=bag, payments=[{"method": "card", "amount": 1470}]), is_new=True
    )
    assert [line["product_id"] for line in bench.creates()[0]["lines"]] == [5312, 9002]


def test_substitute_not_sold_at_the_site_is_a_menu_error() -> None:
    bench = Bench(tip_product="8196213")
    error = bench.refused(
        plain_order(tip=20, payments=[{"method": "card", "amount": 1470}]), is_new=True
    )
    assert isinstance(error, MenuError)
    assert error.subjects == ("Tip",)
    assert bench.creates() == []


def test_a_discount_may_lower_the_lines_by_a_multiplier() -> None:
    bench = Bench(discounts="multiplier", discount_product=None)
    bench.till.submit(an_order(), is_new=True)
    (shown,) = bench.simulator.ledger().shown
    assert shown.total == 2881
    lines = bench.creates()[0]["lines"]
    assert [("price_variation" in line, line["unit_price"]) for line in lines[:2]] == [
        (True, 5),
        (True, 13.1818),
    ]
    assert len(lines) == 4


# ---------------------------------------------------------------- the answer to the create


@pytest.mark.parametrize("body", ["null", "empty", "resource"])
def test_the_location_names_the_order_whatever_the_body_is(body: Any) -> None:
    bench = Bench(World(created_body=body, oauth_limit=10_000))
    assert bench.till.submit(plain_order(), is_new=True).id == "93824701"
    assert bench.paths("sites/2301/orders") == []


SAYS_NOTHING = [
    httpx.Response(201, content=b"null"),
    httpx.Response(201),
    httpx.Response(200, content=b"<html>Welcome</html>"),
    httpx.Response(200, content=b'{"id": 7}'),
    httpx.Response(502, content=b"<html>Bad gateway</html>"),
    httpx.ReadTimeout("late"),
    httpx.RemoteProtocolError("cut"),
]


@pytest.mark.parametrize("answer", SAYS_NOTHING, ids=str)
def test_lost_answer_is_looked_up_and_order_not_sent_again(
    answer: Any,
) -> None:
    bench = Bench()
    bench.answer = on_create(answer, done=True)
    assert bench.till.submit(plain_order(), is_new=True).id == "93824701"
    assert len(bench.simulator.ledger().entries) == 1


@pytest.mark.parametrize("answer", SAYS_NOTHING, ids=str)
def test_lost_answer_is_looked_up_at_all_pauses_before_resend(
    answer: Any,
) -> None:
    bench = Bench()
    bench.till.import_menu()
    bench.answer = on_create(answer, done=False)
    begun = bench.now()
    bench.till.submit(plain_order(), is_new=True)
    looks = bench.paths("sites/2301/orders")
    assert len(looks) == 4
    assert bench.now() - begun == pytest.approx(16, abs=1)
    assert len(bench.simulator.ledger().entries) == 1


def test_order_that_appears_late_is_found_by_later_look_up() -> None:
    bench = Bench(World(sends_location=False, order_lag_seconds=10, oauth_limit=10_000))
    assert isinstance(bench.attempt(plain_order(), is_new=True), PosOrder)
    assert len(bench.simulator.ledger().entries) == 1
    assert len(bench.paths("sites/2301/orders")) == 3


def test_order_not_known_to_be_new_is_looked_up_first() -> None:
    bench = Bench()
    bench.till.submit(plain_order(), is_new=True)
    bench.sent.clear()
    assert bench.connect().submit(plain_order()).id == "93824701"
    assert bench.creates() == []


def test_order_123_is_not_order_1234() -> None:
    bench = Bench()
    for order_id in ("1234", "123", "12"):
        bench.till.submit(plain_order(order_id))
    assert [entry.reference for entry in bench.simulator.ledger().shown] == ["1234", "123", "12"]


def test_reference_in_a_note_does_not_hide_an_order() -> None:
    bench = Bench()
    bench.till.submit(plain_order("ord_1", note="Ref: ord_2"), is_new=True)
    bench.till.submit(plain_order("ord_2"))
    assert [entry.reference for entry in bench.simulator.ledger().shown] == ["ord_1", "ord_2"]


@pytest.mark.parametrize("kept", ["sale_number", "payments", "notes"])
def test_the_reference_is_found_in_any_of_its_three_places(kept: str) -> None:
    bench = Bench()
    bench.till.submit(plain_order(), is_new=True)
    (order,) = bench.simulator.world.orders.values()
    if kept != "sale_number":
        order.sale_number = ""
    if kept != "payments":
        order.payments.clear()
    if kept != "notes":
        order.notes = "changed at the register"
    assert bench.connect().submit(plain_order()).id == "93824701"


def test_an_order_is_found_among_many_on_pages() -> None:
    bench = Bench(World(page_size=2, oauth_limit=10_000))
    for number in range(7):
        bench.till.submit(plain_order(f"ord_{number}"), is_new=True)
    assert bench.connect().submit(plain_order("ord_0")).id == "93824701"
    assert len(bench.simulator.ledger().entries) == 7


def test_wrong_total_does_not_hide_the_order_from_find() -> None:
    bench = Bench()
    bench.till.import_menu()
    bench.simulator.add_tax("Surcharge", Decimal("0.5"))
    bench.answer = on_create(httpx.ReadTimeout("late"), done=True)
    error = bench.refused(plain_order(), is_new=True)
    assert isinstance(error, TaxError)
    assert (error.outcome, error.subjects) == (Outcome.CREATED, ("GST", "Surcharge"))
    assert len(bench.simulator.ledger().entries) == 1


@pytest.mark.parametrize("factor", ["0", "0.3", "5"])
def test_total_changed_at_the_register_does_not_hide_the_order(factor: str) -> None:
    """A discount or a surcharge; a search near the total that was paid had it sent twice."""
    bench = Bench()
    bench.till.import_menu()

    def lose(request: httpx.Request, carry_out: Any) -> httpx.Response:
        answer: httpx.Response = carry_out()
        if request.method == "POST":
            (order,) = bench.simulator.world.orders.values()
            order.price_variation = Decimal(factor)
            raise httpx.ReadTimeout("late")
        return answer

    bench.answer = lose
    error = bench.refused(plain_order(), is_new=True)
    assert error.outcome is Outcome.CREATED
    assert len(bench.simulator.ledger().entries) == 1


def test_a_new_order_may_be_a_404_for_a_moment() -> None:
    bench = Bench(World(get_lag_seconds=2, oauth_limit=10_000))
    pos_order = bench.till.submit(plain_order(), is_new=True)
    assert (pos_order.total, pos_order.notices) == (1450, ())


def test_order_that_cannot_be_read_back_is_proved_by_the_list() -> None:
    bench = Bench(World(get_lag_seconds=600, oauth_limit=10_000))
    pos_order = bench.till.submit(plain_order(), is_new=True)
    assert (pos_order.id, pos_order.reference, pos_order.total) == ("93824701", "ord_1", 1450)
    assert len(bench.creates()) == 1


def test_unreadable_look_up_proves_nothing() -> None:
    bench = Bench()

    def answer(request: httpx.Request, carry_out: Any) -> httpx.Response:
        if is_create(request):
            carry_out()
            return httpx.Response(201, content=b"null")
        looks = "sites/2301/orders" in request.url.path
        return httpx.Response(200, content=b"null") if looks else carry_out()

    bench.answer = answer
    error = bench.refused(plain_order(), is_new=True)
    assert isinstance(error, OutageError)
    assert error.outcome is Outcome.UNKNOWN
    assert len(bench.creates()) == 1


def test_lasting_doubt_carries_its_remedy() -> None:
    bench = Bench(policy=Bench().policy.model_copy(update={"retries": 0}))
    bench.answer = on_create(httpx.Response(201, content=b"null"), done=False)
    error = bench.refused(plain_order(), is_new=True)
    assert isinstance(error, DoubtError)
    assert error.outcome is Outcome.UNKNOWN
    assert error.remedy.action is Action.LOOK


# ---------------------------------------------------------------- the proof


def test_second_tax_is_tax_error_of_created_order() -> None:
    bench = Bench()
    bench.till.import_menu()
    bench.simulator.add_tax("Surcharge", Decimal("0.05"))
    error = bench.refused(plain_order(), is_new=True)
    assert isinstance(error, TaxError)
    assert error.detail.startswith("the POS computed 15.16 AUD, of which ")
    assert error.detail.endswith("; the customer paid 14.50 AUD")
    assert error.subjects == ("GST", "Surcharge")
    assert (error.outcome, error.pos_order and error.pos_order.id) == (Outcome.CREATED, "93824701")
    assert "mustn't be sent again" in error.remedy.manager
    assert bench.refused(plain_order()).detail == error.detail
    assert len(bench.simulator.ledger().entries) == 1


def test_ignored_price_is_menu_error_of_created_order() -> None:
    bench = Bench(World(unit_price_decimals=0, oauth_limit=10_000))
    error = bench.refused(plain_order(), is_new=True)
    assert isinstance(error, MenuError)
    assert error.outcome is Outcome.CREATED
    assert error.remedy.action is Action.CHECK_REGISTER
    assert len(bench.simulator.ledger().entries) == 1


def test_missing_line_is_menu_error_of_created_order() -> None:
    bench = Bench()

    def drop_a_line(request: httpx.Request, carry_out: Any) -> httpx.Response:
        answer = carry_out()
        if is_create(request):
            next(iter(bench.simulator.world.orders.values())).lines.pop()
        return answer  # type: ignore[no-any-return]

    bench.answer = drop_a_line
    error = bench.refused(an_order(), is_new=True)
    assert isinstance(error, MenuError)
    assert error.detail == "the POS has the order with 4 lines instead of 5"
    assert error.outcome is Outcome.CREATED


def test_order_already_rejected_by_staff_is_returned_so() -> None:
    bench = Bench()

    def reject(request: httpx.Request, carry_out: Any) -> httpx.Response:
        answer = carry_out()
        if is_create(request):
            bench.simulator.staff_reject("93824701")
        return answer  # type: ignore[no-any-return]

    bench.answer = reject
    assert bench.till.submit(plain_order(), is_new=True).state == "rejected"


# ---------------------------------------------------------------- the customer, and the site


def customers(bench: Bench) -> list[tuple[str, str, str]]:
    return [
        (c.first_name, c.last_name, c.email or c.phone)
        for c in bench.simulator.world.customers.values()
    ]


def test_a_customer_is_created_once_and_found_the_next_time() -> None:
    bench = Bench()
    bench.till.submit(plain_order("a"), is_new=True)
    bench.till.submit(plain_order("b"), is_new=True)
    assert customers(bench)[1:] == [("Mia", "Chen", "mia@example.com")]
    first, second = (body["customer_id"] for body in bench.creates())
    assert first == second


@pytest.mark.parametrize("name", ["Mia", "Mia Chen"])
def test_without_an_email_a_customer_goes_by_name_and_phone(name: str) -> None:
    bench = Bench()
    for order_id in "ab":
        bench.till.submit(
            plain_order(order_id, customer={"name": name, "phone": "+61400"}), is_new=True
        )
    assert len(customers(bench)) == 2


def test_a_customer_without_either_is_in_the_notes_alone() -> None:
    bench = Bench()
    bench.till.submit(plain_order(customer={"name": "Mia"}), is_new=True)
    bench.till.submit(plain_order("ord_2", customer=None), is_new=True)
    assert bench.paths("customers") == []
    assert ["customer_id" in body for body in bench.creates()] == [False, False]


def test_no_order_fails_for_its_customer() -> None:
    bench = Bench()

    def answer(request: httpx.Request, carry_out: Any) -> httpx.Response:
        refused = httpx.Response(
            400, json={"error": "invalid", "error_description": "email is not valid"}
        )
        return refused if "customers" in request.url.path else carry_out()

    bench.answer = answer
    pos_order = bench.till.submit(plain_order(), is_new=True)
    assert pos_order.notices == (
        "The customer isn't linked in Kounta; name and contacts are in the order's notes",
    )
    (create,) = bench.creates()
    assert "Mia Chen +61400111222" in create["notes"]
    assert "Email: mia@example.com" in create["notes"]


def test_look_up_keeps_the_notices_of_the_lost_answer() -> None:
    bench = Bench()

    def answer(request: httpx.Request, carry_out: Any) -> httpx.Response:
        if "customers" in request.url.path:
            return httpx.Response(400, json={"error": "invalid"})
        answered: httpx.Response = carry_out()
        if is_create(request):
            raise httpx.ReadTimeout("late")
        return answered

    bench.answer = answer
    pos_order = bench.till.submit(plain_order(), is_new=True)
    assert len(bench.creates()) == 1
    assert pos_order.notices == (
        "The customer isn't linked in Kounta; name and contacts are in the order's notes",
    )


def test_order_is_refused_when_online_ordering_is_off() -> None:
    bench = Bench()
    bench.simulator.switch_ordering(online=False)
    error = bench.refused(plain_order(), is_new=True)
    assert isinstance(error, StoreClosedError)
    assert error.outcome is Outcome.NOT_CREATED
    assert bench.creates() == []


def test_offline_printing_register_stops_orders_it_prints() -> None:
    bench = Bench(pass_thru_printing=True, policy=Bench().policy.model_copy(update={"retries": 0}))
    bench.simulator.switch_register(online=False, register_id=1133132)
    error = bench.refused(plain_order(), is_new=True)
    assert isinstance(error, RegisterOfflineError)
    assert bench.creates() == []
    quiet = Bench()
    quiet.simulator.switch_register(online=False, register_id=1133132)
    assert isinstance(quiet.attempt(plain_order(), is_new=True), PosOrder)


def test_kountas_own_refusal_names_the_register() -> None:
    bench = Bench(
        pass_thru_printing=True,
        check_first=False,
        policy=Bench().policy.model_copy(update={"retries": 0}),
    )
    bench.simulator.switch_register(online=False, register_id=1133132)
    error = bench.refused(plain_order(), is_new=True)
    assert isinstance(error, RegisterOfflineError)
    assert error.detail == "Pass-thru register POS 1 (1133132) is offline."


def test_the_site_isnt_asked_where_that_is_switched_off() -> None:
    bench = Bench(check_first=False)
    bench.till.submit(plain_order(), is_new=True)
    assert bench.paths("status") == []


# ---------------------------------------------------------------- drift


def test_a_product_made_anew_is_imported_and_the_order_sent_once() -> None:
    bench = Bench()
    bench.till.import_menu()
    new = bench.simulator.recreate_product(5312)
    line = {
        "item_id": "5312",
        "sku": "BLT",
        "name": "BLT toastie",
        "quantity": 1,
        "unit_price": 1450,
    }
    assert isinstance(bench.attempt(plain_order(lines=[line]), is_new=True), PosOrder)
    assert [body["lines"][0]["product_id"] for body in bench.creates()][-1] == new
    assert len(bench.simulator.ledger().shown) == 1


def test_kept_price_is_sent_and_in_the_note() -> None:
    bench = Bench(policy=Bench().policy.model_copy(update={"prices": "keep_paid"}))
    bench.simulator.change_price(5312, Decimal(15))
    assert isinstance(bench.attempt(plain_order(), is_new=True), PosOrder)
    assert bench.simulator.ledger().shown[0].total == 1450
    assert (
        "Price kept as paid: BLT toastie 14.50 AUD (menu 16.50 AUD)" in bench.creates()[0]["notes"]
    )


def test_the_next_page_is_only_asked_of_the_same_host() -> None:
    bench = Bench()

    def elsewhere(request: httpx.Request, carry_out: Any) -> httpx.Response:
        if "products" not in request.url.path:
            return carry_out()  # type: ignore[no-any-return]
        return httpx.Response(
            200, content=b"[]", headers={"X-Next-Page": "https://evil.example/v1/products"}
        )

    bench.answer = elsewhere
    error = bench.refused(plain_order(), is_new=True)
    assert isinstance(error, OutageError)
    assert {request.url.host for request in bench.sent} == {httpx.URL(URL).host}
