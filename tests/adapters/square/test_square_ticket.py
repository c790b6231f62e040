"""Square's attention ticket: one free line that staff see, within Square's limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.square.bench import Bench, checked_bench, json_response, plain_order, refused
from adapters.square.test_square_submit import spoiled
from tillpost.adapter.exchange import Fault, Request, Response
from tillpost.errors import Applied, OrderError, OutageError, PosError
from tillpost.models.docket import CUT
from tillpost.models.order import Customer, Order, Pickup, PosOrder, PosState
from tillpost_square.limits import LINE_NOTE


@pytest.fixture
def bench() -> Bench:
    return checked_bench()


def ticket(bench: Bench, order: Order, number: int = 0) -> PosOrder:
    return bench.run(bench.adapter.attention(order, number), order)


def test_ticket_spells_out_order_on_one_free_paid_line(
    bench: Bench,
) -> None:
    made = ticket(bench, plain_order(id="ord_1", note="Ring the bell"))
    (entry,) = bench.simulator.ledger().shown
    (line,) = entry.lines
    assert (made.id, made.reference, made.total, made.state) == (
        entry.order_id,
        "ticket ord_1",
        0,
        PosState.RECEIVED,
    )
    assert (entry.total, entry.settled, entry.ticket_name) == (0, True, "ATTENTION B42")
    assert (line.name, line.unit_price, line.item_id) == ("ORDER ATTENTION REQUIRED", 0, "")
    wanted = ("PAID ONLINE", "BLT toastie", "Ring the bell", "COOK IT ONCE")
    assert [text for text in wanted if text not in line.note] == []
    assert bench.paths() == ["POST /v2/orders", "POST /v2/orders/*/pay"]


def test_ticket_has_nothing_that_could_be_refused(bench: Bench) -> None:
    late = Pickup.model_validate({"due_at": "2020-01-01T12:00:00+11:00"})
    order = plain_order(
        fulfilment=late, customer=Customer(name="Mia", phone="no number", email="none")
    )
    assert ticket(bench, order).state is PosState.RECEIVED


def test_longest_order_and_id_fit_with_a_notice_of_the_cut(bench: Bench) -> None:
    made = ticket(bench, plain_order(id="x" * 40, code="C" * 80, note="No nuts. " * 5_000))
    (entry,) = bench.simulator.ledger().shown
    assert (entry.order_id, len(entry.reference)) == (made.id, 40)
    assert all(len(line.note) <= LINE_NOTE.characters for line in entry.lines)
    assert entry.lines[-1].note.endswith(CUT)


def test_allergy_of_the_last_line_is_on_the_ticket(bench: Bench) -> None:
    dull = {"item_id": "6102", "name": "Tap water", "quantity": 1, "unit_price": 0}
    lines = [{**dull, "note": f"please cut no. {n} in four and pack it apart"} for n in range(60)]
    allergic = {**dull, "note": "SEVERE PEANUT ALLERGY"}
    made = ticket(bench, plain_order(lines=[*lines, allergic], payments=[]))
    (entry,) = bench.simulator.ledger().shown
    assert (made.total, entry.total, len(entry.lines) > 1) == (0, 0, True)
    notes = [line.note for line in entry.lines]
    assert "SEVERE PEANUT ALLERGY" in "".join(notes[:-1])
    assert not any(CUT in note for note in notes)


def test_same_number_gives_same_ticket_other_number_a_new_one(
    bench: Bench,
) -> None:
    order = plain_order()
    assert ticket(bench, order).id == ticket(bench, order).id
    assert ticket(bench, order, 1).id != ticket(bench, order).id
    assert len(bench.simulator.ledger().entries) == 2


@pytest.mark.parametrize("order_id", ["ord_1", "ord_1-0", "ticket"])
def test_its_key_and_its_reference_are_those_of_no_order(bench: Bench, order_id: str) -> None:
    ticket(bench, plain_order(id=order_id))
    (create,) = bench.bodies("/v2/orders")
    assert create["idempotency_key"] == f"{order_id}-0-ticket"
    assert " " in create["order"]["reference_id"]


def test_it_is_never_found_as_the_order(bench: Bench) -> None:
    order = plain_order()
    ticket(bench, order)
    assert bench.run(bench.adapter.find(order, None), order) is None


def test_withdrawn_it_is_cancelled(bench: Bench) -> None:
    made = ticket(bench, plain_order())
    assert bench.run(bench.adapter.cancel(made.id)).state is PosState.CANCELLED
    (entry,) = bench.simulator.ledger().entries
    assert (entry.cancelled, entry.fulfilment_state) == (True, "CANCELED")
    assert bench.run(bench.adapter.cancel(made.id)).state is PosState.CANCELLED


def test_one_that_comes_to_a_price_is_undone_and_never_paid(bench: Bench) -> None:
    order = plain_order()
    priced: dict[str, Any] = {
        "order": {"id": "", "total_money": {"amount": 100, "currency": "AUD"}, "version": 1}
    }

    def dearer(request: Request[Any], carry_out: Callable[[], Response]) -> Response:
        answer = carry_out()
        if request.path != "/v2/orders":
            return answer
        priced["order"]["id"] = json.loads(answer.body)["order"]["id"]
        return json_response(priced)

    bench.spoil = dearer
    with pytest.raises(OrderError, match="has a price"):
        ticket(bench, order)
    assert [entry.cancelled for entry in bench.simulator.ledger().entries] == [True]
    assert "POST /v2/payments" not in bench.paths()


def test_one_that_cant_be_marked_as_paid_is_undone(bench: Bench) -> None:
    bench.spoil = spoiled(
        1,
        refused("BAD_REQUEST", "no"),
        method="POST",
        path="/v2/orders/",
    )
    with pytest.raises(PosError):
        ticket(bench, plain_order())
    ledger = bench.simulator.ledger()
    assert (ledger.half_done, [entry.cancelled for entry in ledger.entries]) == ((), [True])


def test_one_whose_payment_is_in_doubt_is_finished_the_next_time(bench: Bench) -> None:
    bench.spoil = spoiled(
        1,
        Fault(Applied.MAYBE, "late"),
        method="POST",
        path="/v2/orders/",
    )
    with pytest.raises(OutageError):
        ticket(bench, plain_order())
    bench.spoil = None
    ticket(bench, plain_order())
    ledger = bench.simulator.ledger()
    assert (len(ledger.shown), ledger.half_done) == (1, ())


def test_ticket_that_square_calls_paid_exists(bench: Bench) -> None:
    paid = refused("BAD_REQUEST", "The order is already paid.")
    bench.spoil = spoiled(
        1,
        paid,
        method="POST",
        path="/v2/orders/",
        after=True,
    )
    ticket(bench, plain_order())
    assert len(bench.simulator.ledger().shown) == 1


def test_cancelled_ticket_is_not_taken_for_a_paid_one() -> None:
    bench = Bench()

    def cancel_and_say_paid(request: Request[Any], carry_out: Any) -> Response | Fault:
        if request.path.endswith("/pay"):
            for order in bench.simulator.world.orders.values():
                order.order.state = "CANCELED"
            return refused("BAD_REQUEST", "The order is already paid.")
        answer: Response = carry_out()
        return answer

    bench.spoil = cancel_and_say_paid
    with pytest.raises(OrderError, match="was cancelled"):
        ticket(bench, plain_order())


def test_a_shop_with_taxes_takes_it_at_no_price() -> None:
    bench = Bench()
    bench.simulator.add_tax("Weekend surcharge", "10")
    assert ticket(bench, plain_order()).total == 0
