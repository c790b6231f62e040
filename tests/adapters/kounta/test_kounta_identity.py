"""A sale at the counter with our order's number is never taken for the order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.kounta.bench import Bench, on_create, plain_order
from tillpost import DoubtError, Order, Outcome, PosOrder
from tillpost_simulators.kounta.world import Order as Sale

LOST = httpx.ReadTimeout("late")
NUMBER = "1023"
AT_THE_COUNTER: dict[str, Any] = {
    "sale_number": NUMBER,
    "notes": "table 4",
    "placed_at": "2026-11-23T11:40:00+11:00",
}


def counter_sale(bench: Bench, order: Order | None = None, **changes: Any) -> Sale:
    """Ring a sale up at the counter; by default it is what the order's customer ordered."""
    other = Bench()
    other.till.submit(order or plain_order("copy"), is_new=True)
    (sale,) = other.simulator.world.orders.values()
    now = bench.simulator.world.clock.now()
    sale.created = sale.updated = sale.visible_at = sale.gettable_at = now
    sale.id = 5
    for payment in sale.payments:
        payment.method_id = 1
        payment.ref = NUMBER
    for name, value in (AT_THE_COUNTER | changes).items():
        setattr(sale, name, value)
    bench.simulator.world.orders[sale.id] = sale
    return sale


def two_toasties() -> Order:
    """Another total than the order's."""
    line = {"item_id": "5312", "name": "BLT toastie", "quantity": 2, "unit_price": 1450}
    return plain_order("copy", lines=[line], payments=[{"method": "card", "amount": 2900}])


def ours(bench: Bench) -> list[str]:
    """The ids of the orders that Tillpost made."""
    return [str(pos_id) for pos_id in bench.simulator.world.orders if pos_id != 5]


@pytest.mark.parametrize("terminal_ref", [NUMBER, None])
def test_counter_sale_of_another_total_is_not_the_order(terminal_ref: str | None) -> None:
    bench = Bench()
    sale = counter_sale(bench, two_toasties())
    sale.payments[0].ref = terminal_ref
    arrived = bench.till.submit(plain_order(NUMBER))
    assert ours(bench) == [arrived.id]


def test_counter_sale_does_not_hide_the_order_from_a_look_up() -> None:
    bench = Bench()
    bench.till.import_menu()
    counter_sale(bench, two_toasties())
    bench.answer = on_create(LOST, done=True)
    arrived = bench.till.submit(plain_order(NUMBER), is_new=True)
    assert ours(bench) == [arrived.id]


def test_counter_sale_of_the_same_total_leaves_the_doubt() -> None:
    """It is neither taken for the order, nor is anything sent."""
    bench = Bench()
    counter_sale(bench)
    error = bench.refused(plain_order(NUMBER))
    assert isinstance(error, DoubtError)
    assert error.outcome is Outcome.UNKNOWN
    assert ours(bench) == []


def test_counter_sale_is_ignored_beside_the_order_itself() -> None:
    bench = Bench()
    first = bench.till.submit(plain_order(NUMBER), is_new=True)
    counter_sale(bench)
    assert bench.connect().submit(plain_order(NUMBER)).id == first.id
    assert ours(bench) == [first.id]


def test_order_noted_as_another_is_not_ours_by_its_number() -> None:
    bench = Bench()
    order = plain_order(NUMBER)
    counter_sale(bench, notes="Ref: ord_9", placed_at=order.placed_at.isoformat())
    assert ours(bench) == []
    assert isinstance(bench.attempt(order), PosOrder)


@pytest.mark.parametrize("placed_at", ["", "yesterday", "2026-11-23T11:52:07"])
def test_number_and_an_odd_time_prove_nothing(placed_at: str) -> None:
    bench = Bench()
    counter_sale(bench, placed_at=placed_at)
    assert isinstance(bench.refused(plain_order(NUMBER)), DoubtError)


@pytest.mark.parametrize(
    "changes",
    [
        {"notes": "Ref: ord_1 ALLERGY"},
        {"notes": "Ref: ord_1 B42 Mia"},
        {"notes": "Ref: ord_1<br>B42"},
        {"notes": "Ref: ord_1\rB42"},
        {"notes": "Ref: ord_l\nB42"},
        {"notes": "Ref: ord_l\nB42", "sale_number": "77"},
        {"notes": "", "sale_number": "77"},
    ],
)
def test_order_is_found_whatever_becomes_of_its_notes(changes: dict[str, str]) -> None:
    """The payment, by our method and with our reference, comes back as it was sent."""
    bench = changed_by_register(**changes)
    assert isinstance(bench.attempt(plain_order(), is_new=True), PosOrder)
    assert len(ours(bench)) == 1


def changed_by_register(price: str = "", **changes: Any) -> Bench:
    """Return a shop that loses the answer to a create, and changes the order it has made.

    Args:
        price: The price of the order's line; as it was sent by default.
        **changes: Other attributes of the order.
    """
    bench = Bench()
    bench.till.import_menu()
    lose = on_create(LOST, done=True)

    def answer(request: httpx.Request, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        try:
            return lose(request, carry_out)
        finally:
            for sale in bench.simulator.world.orders.values():
                for name, value in changes.items():
                    setattr(sale, name, value)
                if price:
                    sale.lines[0].unit_price = Decimal(price)

    bench.answer = answer
    return bench


UNPROVED: dict[str, Any] = {"payments": [], "placed_at": ""}


@pytest.mark.parametrize("price", ["13.18", "13.19", "100", "0.50"])
@pytest.mark.parametrize("notes", ["", "Ref: ord_9"])
def test_only_the_reference_leaves_doubt_at_any_total(price: str, notes: str) -> None:
    """No counter gives such a number, so no second order is made; a person has to look."""
    bench = changed_by_register(price, **UNPROVED, notes=notes)
    error = bench.refused(plain_order(), is_new=True)
    assert (error.outcome, len(ours(bench))) == (Outcome.UNKNOWN, 1)


@pytest.mark.parametrize("price", ["0.50", "100"])
def test_order_is_found_at_any_total(price: str) -> None:
    bench = changed_by_register(price)
    error = bench.refused(plain_order(), is_new=True)
    assert (error.outcome, len(ours(bench))) == (Outcome.CREATED, 1)


def test_fetched_sale_has_no_reference_of_ours() -> None:
    bench = Bench()
    counter_sale(bench)
    assert bench.till.fetch("5").reference == ""
    made = bench.till.submit(plain_order("ord_1"), is_new=True)
    assert bench.till.fetch(made).reference == "ord_1"


def test_rejected_copy_counts_only_if_there_is_no_other() -> None:
    bench = Bench()
    first = bench.till.submit(plain_order(), is_new=True)
    bench.simulator.staff_reject(first.id)
    assert bench.till.find(plain_order()).state == "rejected"
    second = bench.connect_with_menu()
    other = Bench()
    live = other.till.submit(plain_order(), is_new=True)
    copy = other.simulator.world.orders[int(live.id)]
    copy.id = 6
    now = bench.simulator.world.clock.now()
    copy.created = copy.visible_at = copy.gettable_at = now
    bench.simulator.world.orders = {6: copy, **bench.simulator.world.orders}
    assert second.find(plain_order()).id == "6"
