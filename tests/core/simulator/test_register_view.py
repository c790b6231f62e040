from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest

from core.simulator.counter import Counter, entry
from tillpost.simulator import (
    LedgerAmount,
    LedgerLine,
    LedgerModifier,
    Running,
    ViewRow,
    serve_in_thread,
)
from tillpost.simulator.register_view import render, rows_of


@pytest.fixture
def running() -> Iterator[Running[Counter]]:
    with serve_in_thread(Counter()) as served:
        yield served


def test_view_is_found_by_id_and_by_reference(running: Running[Counter]) -> None:
    running.simulator.set_to(2)
    by_id = running.simulator.register_view("id-r1")
    assert by_id.startswith("Order: r1\nState: OPEN\n")
    assert running.simulator.register_view("r1") == by_id


def test_view_of_no_order_is_a_lookup_error(running: Running[Counter]) -> None:
    with pytest.raises(LookupError, match="no order 'r1'"):
        running.simulator.register_view("r1")


def test_control_address_has_views_of_all_and_of_one(running: Running[Counter]) -> None:
    running.simulator.set_to(2)
    address = f"{running.url}/_simulator/register"
    every = httpx.get(address)
    assert every.headers["content-type"].startswith("text/plain")
    assert (every.text.count("Order: r0\n"), every.text.count("Order: r1\n")) == (1, 1)
    one = httpx.get(address, params={"order": "r1"})
    assert one.text == running.simulator.register_view("r1")
    assert httpx.get(address, params={"order": "r2"}).status_code == 404


def test_long_text_is_whole_and_amounts_are_minor_units() -> None:
    name = "x" * 80
    shown = render([[ViewRow(name, 2881), ViewRow("a\nb", 5, depth=1)], []], 3)
    first, second, third = shown.splitlines()
    assert first.split() == [name, "2.881"]
    assert second.split() == ["a", "0.005"]
    assert third == "    b"


def test_view_from_the_ledger_has_all_of_it() -> None:
    line = LedgerLine(
        name="Flat white",
        quantity=Decimal(2),
        unit_price=400,
        modifiers=(LedgerModifier(name="Oat milk", unit_price=50),),
        note="hot",
    )
    order = entry("r1").model_copy(
        update={
            "lines": (line,),
            "charges": (LedgerAmount(name="Delivery fee", amount=300),),
            "discounts": (LedgerAmount(name="COUPON", amount=100),),
            "taxes": (LedgerAmount(name="GST", amount=10),),
            "tip": 20,
            "total": 1120,
            "paid": 1000,
            "note": "Table 4",
        }
    )
    shown = [" ".join(row.split()) for row in render(rows_of(order), order.exponent).splitlines()]
    assert [row for row in shown if not row.startswith("--")] == [
        "Order: r1",
        "State: OPEN",
        "Note: Table 4",
        "2 x Flat white 8.00",
        "+ 1 x Oat milk 1.00",
        "Note: hot",
        "Delivery fee 3.00",
        "COUPON -1.00",
        "Tip 0.20",
        "Total AUD 11.20",
        "Paid, online 10.00",
        "Still due 1.20",
        "GST: 0.10 AUD",
    ]
