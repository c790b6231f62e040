"""An inconsistent order is refused in one line that names the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from strategies import orders
from tillpost.models.base import explain
from tillpost.models.order import Address, Order, describe_lines

EXAMPLES = Path(__file__).parents[3] / "docs/examples/orders"
LUNCH: dict[str, Any] = json.loads((EXAMPLES / "lunch-pickup.json").read_text())
LINE: dict[str, Any] = LUNCH["lines"][1]


def refusal(**changes: object) -> str:
    with pytest.raises(ValidationError) as refused:
        Order.model_validate(LUNCH | changes)
    return explain(refused.value)


@pytest.mark.parametrize(("name", "total"), [("lunch-pickup", 2881), ("scheduled-delivery", 5050)])
def test_the_example_orders_come_to_what_was_paid(name: str, total: int) -> None:
    order = Order.model_validate(json.loads((EXAMPLES / f"{name}.json").read_text()))
    assert order.total == total == sum(payment.amount for payment in order.payments)


def test_order_without_due_time_is_as_soon_as_possible() -> None:
    assert Order.model_validate(LUNCH).due_at is None


def test_a_due_time_keeps_its_offset() -> None:
    order = Order.model_validate_json((EXAMPLES / "scheduled-delivery.json").read_text())
    assert order.due_at is not None
    assert order.due_at.isoformat() == "2036-11-23T19:00:00+11:00"


@given(orders())
def test_an_order_survives_the_way_to_json_and_back(order: Order) -> None:
    again = Order.model_validate_json(order.model_dump_json())
    assert again == order
    assert again.digest == order.digest
    assert again.total == order.total


@given(orders(), st.integers(1, 10**6))
def test_payments_must_add_up_to_the_total(order: Order, more: int) -> None:
    content = order.model_dump()
    content["payments"] = [*content["payments"], {"method": "voucher", "amount": more}]
    with pytest.raises(ValidationError) as refused:
        Order.model_validate(content)
    assert explain(refused.value).startswith("payments: they add up to ")


@given(orders(prices_include_tax=False, currency="USD"))
def test_tax_on_top_is_part_of_the_total(order: Order) -> None:
    assert order.total == order.tax + Order.model_validate(_untaxed(order)).total


def _untaxed(order: Order) -> dict[str, Any]:
    paid = order.total - order.tax
    return order.model_dump() | {"tax": 0, "payments": [{"method": "card", "amount": paid}]}


@given(orders())
def test_another_content_has_another_fingerprint(order: Order) -> None:
    assert order.model_copy(update={"note": order.note + "!"}).digest != order.digest


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"lines": []}, "lines: must not be empty"),
        ({"priority": "high"}, "priority: isn't a field of it"),
        ({"lines": [LINE | {"size": "L"}]}, "lines[0].size: isn't a field of it"),
        (
            {"lines": [LINE | {"quantity": 0}]},
            "lines[0].quantity: Input should be greater than or equal to 1",
        ),
        (
            {"lines": [LINE, LINE | {"unit_price": 14.5}]},
            "lines[1].unit_price: Input should be a valid integer",
        ),
        (
            {"lines": [LINE | {"unit_price": -1}]},
            "lines[0].unit_price: Input should be greater than or equal to 0",
        ),
        ({"tip": 1.0}, "tip: Input should be a valid integer"),
        (
            {"placed_at": "2026-11-23T11:52:07"},
            "placed_at: needs an offset, like 2026-11-23T19:00:00+11:00",
        ),
        (
            {"fulfilment": {"type": "pickup", "due_at": "2026-11-23T12:30:00"}},
            "fulfilment.pickup.due_at: needs an offset, like 2026-11-23T19:00:00+11:00",
        ),
        ({"fulfilment": {"type": "delivery"}}, "fulfilment.delivery.address: is missing"),
        (
            {"fulfilment": {"type": "dine_in", "table": ""}},
            "fulfilment.dine_in.table: must not be empty",
        ),
        ({"customer": {"name": " "}}, "customer.name: must not be empty"),
        (
            {"tax": 5},
            "tax: goes only with prices_include_tax false; here the prices include the tax",
        ),
        (
            {"discounts": [{"name": "ALL", "amount": 2711}]},
            "discounts: together they take off more than the lines cost",
        ),
        ({"payments": []}, "payments: they add up to 0.00 AUD, but the order's total is 28.81 AUD"),
    ],
)
def test_faulty_order_is_refused_in_one_line_naming_field(
    changes: dict[str, object], line: str
) -> None:
    assert refusal(**changes) == line


@pytest.mark.parametrize("bad", ["", "a b", "ä", "x" * 41, "a\n"])
def test_an_id_must_fit_every_platforms_reference(bad: str) -> None:
    assert refusal(id=bad).startswith("id: ")


def test_an_address_reads_in_one_line() -> None:
    whole = Address(
        line1="12/8 Wattle St",
        line2="Rear",
        city="Ultimo",
        region="NSW",
        postcode="2007",
        country="AU",
    )
    assert str(whole) == "12/8 Wattle St, Rear, Ultimo NSW 2007, AU"
    assert str(Address(line1="12 Wattle St")) == "12 Wattle St"


def test_lines_are_named_for_people_who_count_from_1() -> None:
    order = Order.model_validate(LUNCH)
    assert describe_lines(order, [1]) == ("BLT toastie (line 2)",)
    assert describe_lines(order, [0, 1, 2, -1]) == (
        "Flat white, regular (line 1)",
        "BLT toastie (line 2)",
    )
