"""For any order and tax the POS's total is what was paid, and staff see everything."""

from __future__ import annotations

import os
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.generic.store import ONCE, Store
from adapters.in_process import untouched
from tillpost.models.order import Charge, Discount, Line, Modifier, Order, Payment
from tillpost.models.safe_text import one_line
from tillpost_simulators.generic import WorldSettings

TRIED = 340 if os.environ.get("CI") else 60
"""Orders for each rate and way of tax: in CI over 2,000 in all."""

PRICES = {"7302": 550, "7303": 650, "7310": 500, "5312": 1450, "6102": 0, "6103": 700, "6105": 520}
EXTRAS = {
    "7302": {"228": 80, "229": 70, "231": 60},
    "7303": {"228": 80},
    "7310": {"231": 60, "232": 70},
}
texts = st.text(max_size=60)
named = texts.filter(lambda text: bool(one_line(text).strip()))
codes = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60).filter(
    lambda text: bool(one_line(text).strip())
)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """A line of what the store sells, at its price."""
    item_id = draw(st.sampled_from(sorted(PRICES)))
    offered = EXTRAS.get(item_id, {})
    chosen = draw(st.lists(st.sampled_from(sorted(offered)), max_size=1)) if offered else []
    return Line(
        item_id=item_id,
        name=draw(named),
        quantity=draw(st.integers(1, 50)),
        unit_price=PRICES[item_id],
        modifiers=tuple(Modifier(modifier_id=m, name="m", unit_price=offered[m]) for m in chosen),
        note=draw(texts),
    )


@st.composite
def orders(draw: st.DrawFn, percentage: str, included: bool) -> Order:
    """Any order with its tax, computed by order or by line, and rounded in either way."""
    bought = draw(st.lists(lines(), min_size=1, max_size=5))
    cost = sum(line.total for line in bought)
    off = draw(st.integers(0, cost))
    charges = draw(st.lists(st.integers(0, 2000), max_size=2))
    tip = draw(st.integers(0, 2000))
    rate = Decimal(percentage) / 100
    left = Decimal(cost - off) / cost if cost else Decimal(0)
    parts = [Decimal(cost - off)] if draw(st.booleans()) else [line.total * left for line in bought]
    way = draw(st.sampled_from([ROUND_HALF_EVEN, ROUND_HALF_UP]))
    tax = 0 if included else sum(int((part * rate).quantize(Decimal(1), way)) for part in parts)
    total = cost - off + sum(charges) + tip + tax
    first = draw(st.integers(0, total))
    return Order.model_validate(
        {
            "id": "ord_1",
            "code": draw(codes),
            "placed_at": "2026-11-23T11:52:07+11:00",
            "currency": "AUD",
            "prices_include_tax": included,
            "lines": bought,
            "charges": [
                Charge(kind="service", name="Service", amount=amount) for amount in charges
            ],
            "discounts": [Discount(name="WELCOME", amount=off)] if off else [],
            "tip": tip,
            "tax": tax,
            "payments": [
                Payment(method="card", amount=first),
                Payment(method="gift", amount=total - first),
            ],
            "note": draw(texts),
        }
    )


def slow(percentage: str) -> Any:
    """Return a rate that the quick tests leave out."""
    return pytest.param(percentage, marks=pytest.mark.slow)


@pytest.mark.parametrize("included", [True, False], ids=["included", "added"])
@pytest.mark.parametrize("percentage", [slow("10"), slow("15"), "8.875"])
@settings(max_examples=TRIED, deadline=None)
@given(data=st.data())
def test_total_is_what_was_paid_for_any_order(
    percentage: str, included: bool, data: st.DataObject
) -> None:
    order = data.draw(orders(percentage, included))
    store = Store(
        WorldSettings(tax_percentage=percentage, tax_inclusive=included),
        policy=ONCE,
        twist=untouched,
    )
    made = store.submit(order)
    (entry,) = store.simulator.ledger().shown
    assert made.total == entry.total == entry.paid == order.total
    assert len(entry.lines) == len(order.lines)
