"""Submitting to Square: create, pay, compare and undo, on the simulator without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.square.bench import (
    Bench,
    an_order,
    checked_bench,
    drive,
    json_response,
    plain_order,
    refused,
    scripted,
)
from tillpost.adapter.base import Attempt
from tillpost.adapter.exchange import Effect, Fault, Request, Response
from tillpost.errors import (
    Applied,
    KeyRetiredError,
    MenuError,
    OrderError,
    OutageError,
    PermissionsError,
    PosError,
    SetupError,
    TaxError,
)
from tillpost.models.order import Draft, Order, PosOrder
from tillpost_simulators.square import WorldSettings

CREATE, PAY, READ, UNDO = (
    "POST /v2/orders",
    "POST /v2/payments",
    "GET /v2/orders/*",
    "PUT /v2/orders/*",
)


@pytest.fixture
def bench() -> Bench:
    return checked_bench()


def submit(bench: Bench, order: Order, **attempt: Any) -> PosOrder:
    return bench.run(bench.adapter.submit(order, Attempt(**attempt)), order)


def refusal(bench: Bench, order: Order, **attempt: Any) -> PosError:
    with pytest.raises(PosError) as caught:
        submit(bench, order, **attempt)
    return caught.value


def spoiled(
    nth: int, answer: Response | Fault, *, method: str, path: str, after: bool = False
) -> Any:
    """Replace the nth matching answer (from 1), with or without the request's effect."""
    seen = 0

    def spoil(request: Request[Any], carry_out: Callable[[], Response]) -> Response | Fault:
        nonlocal seen
        if request.method == method and request.path.startswith(path):
            seen += 1
            if seen == nth:
                if after:
                    carry_out()
                return answer
        return carry_out()

    return spoil


def test_an_order_is_created_and_then_paid_so_that_staff_see_it(bench: Bench) -> None:
    made = submit(bench, an_order())

    (entry,) = bench.simulator.ledger().shown
    assert bench.paths() == [CREATE, PAY]
    assert [r.effect for r in bench.sent] == [Effect.CREATE, Effect.ADVANCE]
    assert (entry.order_id, entry.reference, entry.paid) == (made.id, an_order().id, 2881)
    assert [line.note for line in entry.lines] == ["extra hot", ""]
    assert [m.modifier_id for m in entry.lines[0].modifiers] == ["228"]
    assert (entry.charges[0].amount, entry.discounts[0].amount, entry.tip) == (271, 200, 100)
    assert made.total == 2881
    assert made.state == "received"


def test_order_of_zero_is_settled_by_pay_order(bench: Bench) -> None:
    water = [{"item_id": "6102", "name": "Tap water", "quantity": 1, "unit_price": 0}]

    submit(bench, plain_order(lines=water, payments=[]))

    (entry,) = bench.simulator.ledger().shown
    assert entry.paid == 0
    assert bench.paths() == [CREATE, "POST /v2/orders/*/pay"]


def test_tip_on_an_order_of_zero_becomes_a_service_charge(
    bench: Bench,
) -> None:
    water = [{"item_id": "6102", "name": "Tap water", "quantity": 1, "unit_price": 0}]

    submit(bench, plain_order(lines=water, tip=100, payments=[{"method": "card", "amount": 100}]))

    (entry,) = bench.simulator.ledger().shown
    assert ([c.name for c in entry.charges], entry.paid) == (["Tip"], 100)


def test_a_tip_is_a_service_charge_when_the_settings_say_so() -> None:
    bench = checked_bench(tips="service_charge")

    submit(bench, an_order())

    (entry,) = bench.simulator.ledger().shown
    assert [(c.name, c.amount) for c in entry.charges] == [("Weekend surcharge", 271), ("Tip", 100)]
    assert (entry.tip, entry.paid) == (0, 2881)


def test_several_payments_become_one_with_all_references(
    bench: Bench,
) -> None:
    paid = [
        {"method": "card", "amount": 1000, "reference": "pi_1"},
        {"method": "voucher", "amount": 1881, "reference": "v-2"},
    ]

    submit(bench, an_order(payments=paid))

    (body,) = bench.bodies("/v2/payments")
    assert body["amount_money"]["amount"] + body["tip_money"]["amount"] == 2881
    assert body["note"] == "card 10.00 AUD pi_1; voucher 18.81 AUD v-2"
    assert body["external_details"]["source_id"] == an_order().id


def test_payment_key_has_45_characters_and_follows_square_id(bench: Bench) -> None:
    submit(bench, an_order())
    submit(bench, an_order(), generation=1)

    keys = [body["idempotency_key"] for body in bench.bodies("/v2/payments")]
    assert len(set(keys)) == 2
    assert all(len(key) <= 45 for key in keys)


def test_same_order_and_attempt_have_same_key_and_body(bench: Bench) -> None:
    order = an_order(fulfilment={"type": "dine_in", "table": "7"})

    first, second = submit(bench, order), submit(bench, order)

    creates = [r for r in bench.sent if r.effect is Effect.CREATE]
    assert creates[0].body == creates[1].body
    assert creates[0].key == f"{order.id}-0"
    assert first.id == second.id
    assert len(bench.simulator.ledger().shown) == 1


def test_surcharge_made_as_tax_undoes_the_order_and_is_named(bench: Bench) -> None:
    bench.simulator.add_tax("Weekend surcharge", "15")

    error = refusal(bench, plain_order())

    assert isinstance(error, TaxError)
    assert error.subjects == ("Weekend surcharge",)
    assert bench.paths() == [CREATE, READ, UNDO]
    assert bench.simulator.ledger().entries[0].cancelled


def test_one_tax_that_is_added_to_prices_that_hold_it_is_named() -> None:
    bench = checked_bench()
    bench.simulator.remove_tax("TAX-GST")
    bench.simulator.add_tax("Sales tax", "10")

    error = refusal(bench, plain_order())

    assert isinstance(error, TaxError)
    assert error.subjects == ("Sales tax",)
    assert "Square adds 1.45 AUD of tax (Sales tax), the order has 0.00 AUD" in error.detail


def test_changed_price_undoes_the_order_and_names_its_lines(bench: Bench) -> None:
    bench.simulator.change_price("228", 90)

    error = refusal(bench, an_order())

    assert isinstance(error, MenuError)
    assert (error.reason, error.lines) == ("price", (0,))
    assert "line 1: 6.40 AUD, paid 6.30 AUD" in error.detail
    assert bench.simulator.ledger().half_done == ()


def test_prices_that_cancel_out_are_still_named(
    bench: Bench,
) -> None:
    bench.simulator.change_price("7302", 560)
    bench.simulator.change_price("228", 70)
    bench.simulator.change_price("5312", 1500)

    error = refusal(bench, an_order())

    assert error.lines == (0, 1)


def test_unexplained_total_is_a_setup_error(bench: Bench) -> None:
    submit(bench, plain_order())
    known = bench.simulator.ledger().entries[0]
    now = json_response(
        {
            "order": {
                "id": known.order_id,
                "reference_id": known.reference,
                "state": "OPEN",
                "version": 1,
                "total_money": {"amount": 9},
            }
        }
    )
    once_cancelled = json_response(
        {
            "order": {
                "id": known.order_id,
                "reference_id": known.reference,
                "state": "CANCELED",
                "version": 2,
                "total_money": {"amount": 9},
            }
        }
    )

    with pytest.raises(SetupError, match=r"total is 0\.09 AUD, not 14\.50 AUD"):
        drive(
            bench.adapter,
            bench.adapter.finish(plain_order(), Draft(id=known.order_id, total=9)),
            scripted(now, now, once_cancelled),
            plain_order(),
        )


def test_paid_prices_stand_when_the_attempt_keeps_them(bench: Bench) -> None:
    bench.simulator.change_price("7302", 600)
    bench.simulator.change_price("228", 90)

    submit(bench, an_order(), keep_paid=True, remarks=("Flat white: paid 5.50 AUD, menu 6.00 AUD",))

    (entry,) = bench.simulator.ledger().shown
    assert entry.paid == 2881
    assert "Flat white: paid 5.50 AUD" in entry.note


def test_price_keyed_in_at_register_comes_from_the_order(bench: Bench) -> None:
    menu = bench.run(bench.adapter.import_menu())
    cake = [{"item_id": "6103", "name": "Cake of the day", "quantity": 1, "unit_price": 1450}]

    submit(bench, plain_order(lines=cake), menu=menu)

    assert bench.simulator.ledger().shown[0].paid == 1450


def test_order_and_fulfilments_are_cancelled_in_one_update(
    bench: Bench,
) -> None:
    bench.simulator.change_price("5312", 1500)

    refusal(bench, plain_order())

    (undo,) = [r for r in bench.sent if r.effect is Effect.UNDO]
    body = json.loads(undo.body)
    assert body["order"]["state"] == "CANCELED"
    assert [f["state"] for f in body["order"]["fulfillments"]] == ["CANCELED"]
    assert (
        body["idempotency_key"] == undo.key
    )  # Square answers an update without a new key with a 200, undone


def test_replayed_create_reads_the_order_before_undoing_it(
    bench: Bench,
) -> None:
    bench.simulator.change_price("5312", 1500)
    first = refusal(bench, plain_order())
    bench.simulator.change_price("5312", 1450)

    # The key is used, and its answer says OPEN and 15.00: the order under it is cancelled.
    second = refusal(bench, plain_order())

    assert isinstance(first, MenuError)
    assert isinstance(second, KeyRetiredError)
    assert submit(bench, plain_order(), generation=1).total == 1450


def test_order_found_paid_is_done_and_not_undone(bench: Bench) -> None:
    paid = submit(bench, plain_order())

    # A look-up with an old draft: another total, as of an earlier menu.
    again = bench.run(
        bench.adapter.finish(plain_order(), Draft(id=paid.id, total=1)), plain_order()
    )

    assert again.id == paid.id
    assert bench.simulator.ledger().shown[0].paid == 1450
    assert not [r for r in bench.sent if r.effect is Effect.UNDO]


def test_old_draft_with_right_total_now_is_paid(bench: Bench) -> None:
    bench.spoil = spoiled(1, Fault(Applied.NO, "refused"), method="POST", path="/v2/payments")
    refusal(bench, plain_order())
    (entry,) = bench.simulator.ledger().half_done

    done = bench.run(
        bench.adapter.finish(plain_order(), Draft(id=entry.order_id, total=1)), plain_order()
    )

    assert done.total == 1450
    assert bench.simulator.ledger().half_done == ()


def test_refused_payment_undoes_the_order_and_raises_why(bench: Bench) -> None:
    no = refused("PAYMENT_LIMIT_EXCEEDED", "too much")
    bench.spoil = spoiled(1, no, method="POST", path="/v2/payments")

    error = refusal(bench, plain_order())

    assert isinstance(error, OrderError)
    assert error.code == "PAYMENT_LIMIT_EXCEEDED"
    assert bench.simulator.ledger().entries[0].cancelled


def test_a_payment_that_comes_back_as_failed_undoes_the_order(bench: Bench) -> None:
    failed = json_response({"payment": {"id": "P1", "status": "FAILED"}})
    bench.spoil = spoiled(1, failed, method="POST", path="/v2/payments")

    assert isinstance(refusal(bench, plain_order()), OrderError)
    assert bench.simulator.ledger().entries[0].cancelled


def test_a_refused_total_is_explained_by_the_order_as_it_is_now(bench: Bench) -> None:
    def drifting(request: Request[Any], carry_out: Callable[[], Response]) -> Response:
        if request.path == "/v2/payments":
            return refused("BAD_REQUEST", "The payment total does not match the order total.")
        if request.method == "GET":
            answer = json.loads(carry_out().body)
            answer["order"]["total_money"]["amount"] = 1595
            surcharge = {"name": "Surcharge", "type": "ADDITIVE", "applied_money": {"amount": 145}}
            answer["order"]["taxes"] = [{"name": "GST", "type": "INCLUSIVE"}, surcharge]
            return json_response(answer)
        return carry_out()

    bench.spoil = drifting
    assert isinstance(refusal(bench, plain_order()), TaxError)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Fault(Applied.MAYBE, "read timed out"), OutageError),
        (refused("SERVICE_UNAVAILABLE", status=503), OutageError),
        (refused("UNAUTHORIZED", status=401), PermissionsError),
        (Response(200, {}, b'{"payment": '), OutageError),
    ],
)
def test_a_payment_in_doubt_is_never_undone(
    bench: Bench, answer: Response | Fault, kind: type[PosError]
) -> None:
    bench.spoil = spoiled(1, answer, method="POST", path="/v2/payments", after=True)

    assert isinstance(refusal(bench, plain_order()), kind)
    assert bench.paths() == [CREATE, PAY]

    bench.spoil = None
    submit(bench, plain_order())  # the same keys again
    assert [entry.paid for entry in bench.simulator.ledger().entries] == [1450]


def test_undo_with_an_old_version_is_repeated_once(
    bench: Bench,
) -> None:
    bench.simulator.change_price("5312", 1500)
    stale = refused("VERSION_MISMATCH", "Supplied version 1 does not match", "order.version")
    bench.spoil = spoiled(1, stale, method="PUT", path="/v2/orders/")

    assert isinstance(refusal(bench, plain_order()), MenuError)
    assert bench.paths() == [CREATE, READ, UNDO, READ, UNDO]
    assert bench.simulator.ledger().entries[0].cancelled


def test_undo_of_order_whose_version_rises_ends() -> None:
    bench = checked_bench(world=WorldSettings(version_rises_every=2))
    bench.simulator.change_price("5312", 1500)

    assert isinstance(refusal(bench, plain_order()), MenuError)
    assert bench.paths() == [CREATE, READ, UNDO, READ, UNDO]
    assert bench.simulator.ledger().entries[0].cancelled


def test_order_paid_during_its_undo_is_left_alone(bench: Bench) -> None:
    def meanwhile(request: Request[Any], carry_out: Callable[[], Response]) -> Response | Fault:
        if request.method == "PUT":
            entry = bench.simulator.ledger().entries[0]
            with bench.simulator.lock:
                bench.simulator.world.orders[entry.order_id].order.state = "COMPLETED"
            return refused("VERSION_MISMATCH", "Supplied version 1 does not match", "order.version")
        return carry_out()

    bench.simulator.change_price("5312", 1500)
    bench.spoil = meanwhile
    assert submit(bench, plain_order()).status == "PROPOSED"


def test_order_that_keeps_changing_is_undone_later(bench: Bench) -> None:
    bench.simulator.change_price("5312", 1500)

    def always_stale(request: Request[Any], carry_out: Callable[[], Response]) -> Response:
        return (
            refused("VERSION_MISMATCH", "", "order.version")
            if request.method == "PUT"
            else carry_out()
        )

    bench.spoil = always_stale
    assert isinstance(refusal(bench, plain_order()), OutageError)


def test_undo_refused_for_another_reason_is_raised(bench: Bench) -> None:
    bench.simulator.change_price("5312", 1500)
    no = refused("INSUFFICIENT_SCOPES", "ORDERS_WRITE", status=403)
    bench.spoil = spoiled(1, no, method="PUT", path="/v2/orders/")

    error = refusal(bench, plain_order())

    assert isinstance(error, PermissionsError)
    assert isinstance(error.__cause__, MenuError)


def test_undo_without_effect_is_not_trusted(bench: Bench) -> None:
    bench.simulator.change_price("5312", 1500)
    still = json_response(
        {"order": {"id": "x", "state": "OPEN", "version": 1, "total_money": {"amount": 1500}}}
    )
    bench.spoil = spoiled(1, still, method="PUT", path="/v2/orders/")

    error = refusal(bench, plain_order())

    assert isinstance(error, OutageError)
    assert error.applied is Applied.MAYBE


def test_order_of_zero_that_square_calls_paid_is_done(bench: Bench) -> None:
    order = plain_order(
        lines=[{"item_id": "6102", "name": "Tap water", "quantity": 1, "unit_price": 0}],
        payments=[],
    )
    made = submit(bench, order)
    bench.spoil = spoiled(
        1, refused("BAD_REQUEST", "The order is already paid."), method="POST", path="/v2/orders/"
    )

    again = bench.run(bench.adapter.finish(order, Draft(id=made.id, total=0)), order)

    assert again.id == made.id
    assert not [r for r in bench.sent if r.effect is Effect.UNDO]


@pytest.mark.parametrize("paid_meanwhile", [False, True])
def test_unpaid_order_that_square_calls_paid_is_undone(bench: Bench, paid_meanwhile: bool) -> None:
    """An unpaid order is on no register, whatever the refusal of its payment says."""
    words = refused("BAD_REQUEST", "Order is already paid for by another request in flight")
    bench.spoil = spoiled(1, words, method="POST", path="/v2/payments", after=paid_meanwhile)

    if paid_meanwhile:
        submit(bench, plain_order())
    else:
        assert "already paid" in refusal(bench, plain_order()).detail

    ledger = bench.simulator.ledger()
    assert ledger.half_done == ()
    assert len(ledger.shown) == int(paid_meanwhile)


@pytest.mark.parametrize("price", [0, 1450])
def test_cancelled_order_is_dead_whatever_a_refusal_says(bench: Bench, price: int) -> None:
    """The state comes before the words: nobody cooks an order that was cancelled."""
    line = {"item_id": "5312", "name": "BLT toastie", "quantity": 1, "unit_price": 1450}
    water = {"item_id": "6102", "name": "Tap water", "quantity": 1, "unit_price": 0}
    payments = [{"method": "card", "amount": price}] if price else []
    order = plain_order(lines=[line if price else water], payments=payments)
    bench.spoil = spoiled(1, Fault(Applied.NO, "off"), method="POST", path=_paying(price))
    refusal(bench, order)
    (unpaid,) = bench.simulator.ledger().half_done
    bench.run(bench.adapter.cancel(unpaid.order_id))
    words = refused("BAD_REQUEST", "The order is already paid.")
    bench.spoil = spoiled(1, words, method="POST", path=_paying(price))

    with pytest.raises(KeyRetiredError):
        bench.run(bench.adapter.finish(order, Draft(id=unpaid.order_id, total=price)), order)


def _paying(price: int) -> str:
    return "/v2/payments" if price else "/v2/orders/"


def test_reference_that_is_too_long_is_refused_before_sending(bench: Bench) -> None:
    error = refusal(
        bench, plain_order(payments=[{"method": "card", "amount": 1450, "reference": "r" * 256}])
    )

    assert isinstance(error, OrderError)
    assert "payments[0].reference" in error.detail
    assert bench.sent == []


def test_tax_that_square_would_not_add_is_refused_before_sending() -> None:
    bench = checked_bench(auto_apply_taxes=False)
    paid = [{"method": "card", "amount": 1595}]

    assert isinstance(
        refusal(bench, plain_order(prices_include_tax=False, tax=145, payments=paid)), SetupError
    )
    assert bench.sent == []


def test_quote_includes_the_tip_and_creates_nothing(
    bench: Bench,
) -> None:
    assert bench.run(bench.adapter.quote(an_order(), Attempt()), an_order()) == 2881
    assert bench.simulator.ledger().entries == ()


def test_payment_is_recorded_at_the_orders_own_location(
    bench: Bench,
) -> None:
    submit(bench, plain_order())

    assert bench.bodies("/v2/payments")[0]["location_id"] == "L-CAFE"


def test_every_request_pins_the_api_version_and_carries_no_token(bench: Bench) -> None:
    submit(bench, plain_order())

    for request in bench.sent:
        signed = bench.adapter.sign(request, bench.adapter.config.credentials())
        assert signed.headers["Square-Version"] == "2025-08-20"
        assert b"not-a-real" not in request.body
        assert dict(request.headers) == {}
