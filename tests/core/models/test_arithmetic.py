"""An order's arithmetic has every amount, and names each sum that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from strategies import orders
from tillpost.models.arithmetic import Arithmetic, arithmetic, read_unchecked
from tillpost.models.order import Order

EXAMPLES = Path(__file__).parents[3] / "docs/examples/orders"
LUNCH: dict[str, Any] = json.loads((EXAMPLES / "lunch-pickup.json").read_text())
EVERY_FIELD: dict[str, Any] = json.loads((EXAMPLES / "every-field.json").read_text())


def of(content: object) -> Arithmetic:
    """Return the arithmetic of an order's JSON, whatever its sums."""
    return arithmetic(read_unchecked(json.dumps(content).encode()))


def faults(**changes: object) -> dict[str, int]:
    """Return by how much each field of a changed lunch is off."""
    return {fault.field: fault.off_by for fault in of(LUNCH | changes).faults}


@given(orders())
def test_steps_of_any_order_add_up_to_its_total(order: Order) -> None:
    result = arithmetic(order)
    assert result.total == order.total == sum(step.amount for step in result.settled)
    assert not result.faults


def _discounts_of(content: Any) -> list[Any]:
    parts = [content, *content["lines"], *content["charges"]]
    return [discount for part in parts for discount in part.get("discounts", ())]


def _amounts(content: Any) -> list[tuple[Any, str]]:
    """Return where an order has amounts whose change only makes a sum wrong."""
    places = [(content, "tip"), (content, "tax"), (content, "amount_due")]
    places += [(line, "unit_price") for line in content["lines"]]
    options = [option for line in content["lines"] for option in line["modifiers"]]
    places += [(option, "unit_price") for option in options]
    named = [*_discounts_of(content), *content.get("taxes", ()), *content["payments"]]
    return places + [(part, "amount") for part in named]


@given(orders(), st.data())
def test_faults_are_found_just_where_order_is_refused(order: Order, data: st.DataObject) -> None:
    """The model's rules and these are written apart, so they are compared."""
    content = order.model_dump(mode="json")
    content.setdefault("amount_due", 0)
    places = _amounts(content)
    for part, name in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        part[name] = data.draw(st.integers(0, 2 * part[name] + 100 if part[name] > 0 else 100))
    try:
        Order.model_validate(content)
    except ValidationError:
        is_refused = True
    else:
        is_refused = False
    assert bool(of(content).faults) is is_refused


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"payments": [{"method": "card", "amount": 2880}]}, {"payments": -1}),
        ({"tax": 100}, {"tax": 100, "payments": -100}),
        ({"discounts": [{"name": "ALL", "amount": 99_999}]}, {"discounts", "payments"}),
        ({"taxes": [{"name": "GST", "amount": 2882}]}, {"taxes": 1}),
    ],
)
def test_each_wrong_sum_is_named_with_its_difference(change: Any, expected: Any) -> None:
    found = faults(**change)
    assert (set(found) if isinstance(expected, set) else found) == expected


def _line(index: int, **changes: object) -> list[Any]:
    lines = [dict(line) for line in LUNCH["lines"]]
    lines[index] |= changes
    return lines


def test_line_that_takes_off_too_much_is_named() -> None:
    line = LUNCH["lines"][0]
    off = {"name": "OFF", "amount": 100_000}
    found = of(LUNCH | {"lines": [line | {"modifiers": [], "discounts": [off]}]})
    fault = found.faults[0]
    assert fault.field == "lines[0].discounts"
    assert fault.off_by == 100_000 - line["quantity"] * line["unit_price"]
    assert "1000.00 AUD" in fault.text


def test_piece_below_nothing_is_named() -> None:
    cheaper = {"modifier_id": "1", "name": "Smaller", "unit_price": -100_000}
    found = faults(lines=_line(1, modifiers=[cheaper]))
    assert "lines[1].modifiers" in found


def test_difference_names_field_of_same_amount() -> None:
    paid = EVERY_FIELD["payments"][0]
    content = EVERY_FIELD | {"payments": [paid | {"amount": paid["amount"] - EVERY_FIELD["tip"]}]}
    content["payments"] += EVERY_FIELD["payments"][1:]
    (fault,) = of(content).faults
    assert fault.off_by == -EVERY_FIELD["tip"]
    assert "as large as tip" in fault.text


@pytest.mark.parametrize(
    ("currency", "written"), [("JPY", "2 x 550"), ("KWD", "2 x 0.550"), ("AUD", "2 x 5.50")]
)
def test_amounts_have_the_currencys_own_form(currency: str, written: str) -> None:
    line = {"item_id": "1", "name": "Flat white", "quantity": 2, "unit_price": 550}
    paid = {"method": "card", "amount": 1100}
    found = of(LUNCH | {"currency": currency, "lines": [line], "charges": [], "payments": [paid]})
    assert found.steps[0].how == written


@pytest.mark.parametrize("change", [{"lines": []}, {"tip": 1.5}, {"colour": "red"}])
def test_order_of_another_shape_is_refused_all_the_same(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_unchecked(json.dumps(LUNCH | change).encode())
