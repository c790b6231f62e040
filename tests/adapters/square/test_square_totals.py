"""For any order Square's total is the order's, and staff see everything."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.square.bench import Bench
from tillpost.adapter.base import Attempt
from tillpost.models.order import Line, Modifier, Order, PosOrder
from tillpost.models.safe_text import without_controls
from tillpost_simulators.square import WorldSettings

TRIED = 170 if os.environ.get("CI") else 30
"""Orders for each tax, included and added: over 1,000 in CI."""

FOREVER = datetime(2090, 1, 1, tzinfo=UTC)
PRICES = {"7302": 550, "7303": 650, "7310": 500, "5312": 1450, "6102": 0, "6105": 520}
EXTRAS = {
    "7302": {"228": 80, "229": 70, "231": 60},
    "7303": {"228": 80},
    "7310": {"231": 60, "232": 70},
}
texts = st.text(max_size=60)
named = texts.filter(lambda text: bool(without_controls(text).strip()))
codes = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60).filter(
    lambda text: bool(without_controls(text).strip())
)


@st.composite
def lines(draw: st.DrawFn, *, kept: bool) -> Line:
    """A line of what the simulator sells, at its price or, where prices are kept, at any."""
    item_id = draw(st.sampled_from(sorted(PRICES)))
    offered = EXTRAS.get(item_id, {})
    chosen = (
        draw(st.lists(st.sampled_from(sorted(offered)), max_size=1, unique=True)) if offered else []
    )
    any_price = st.integers(0, 10_000)
    return Line(
        item_id=item_id,
        name="x",
        quantity=draw(st.integers(1, 50)),
        unit_price=draw(any_price) if kept else PRICES[item_id],
        modifiers=tuple(
            Modifier(modifier_id=m, name="m", unit_price=draw(any_price) if kept else offered[m])
            for m in chosen
        ),
        note=draw(texts),
    )


@st.composite
def orders(draw: st.DrawFn, *, kept: bool) -> Order:
    """Any order of the simulator's menu."""
    bought = draw(st.lists(lines(kept=kept), min_size=1, max_size=4))
    cost = sum(line.total for line in bought)
    off, tip = draw(st.integers(0, cost)), draw(st.integers(0, 2000))
    charges = draw(st.lists(st.integers(0, 2000), max_size=2))
    due = draw(
        st.none()
        | st.integers(0, 1000).map(lambda days: (FOREVER + timedelta(days=days)).isoformat())
    )
    how: Any = draw(
        st.sampled_from(
            [
                {"type": "pickup", "due_at": due},
                {"type": "dine_in", "due_at": due, "table": "12"},
                {
                    "type": "delivery",
                    "due_at": due,
                    "address": {"line1": "1 High St"},
                    "instructions": draw(texts),
                },
            ]
        )
    )
    total = cost - off + tip + sum(charges)
    first = draw(st.integers(0, total))
    return Order.model_validate(
        {
            "id": "o-1",
            "code": draw(codes),
            "placed_at": "2026-11-23T00:00:00Z",
            "currency": "AUD",
            "customer": draw(
                st.none() | st.fixed_dictionaries({"name": named, "phone": texts, "email": texts})
            ),
            "fulfilment": how,
            "lines": bought,
            "charges": [
                {"kind": "service", "name": draw(named), "amount": amount} for amount in charges
            ],
            "discounts": [{"name": draw(named), "amount": off}],
            "tip": tip,
            "payments": [
                {"method": "card", "amount": first},
                {"method": "gift", "amount": total - first},
            ],
            "note": draw(texts),
        }
    )


def submitted(order: Order, *, keep_paid: bool, **adapter_settings: Any) -> tuple[Bench, PosOrder]:
    bench = Bench(**adapter_settings)
    return bench, bench.run(bench.adapter.submit(order, Attempt(keep_paid=keep_paid)), order)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=orders(kept=False), tips=st.sampled_from(["payment", "service_charge"]))
def test_total_is_the_orders_for_any_order(order: Order, tips: str) -> None:
    bench, made = submitted(order, keep_paid=False, tips=tips)

    (entry,) = bench.simulator.ledger().shown
    assert entry.paid == entry.total == order.total == made.total
    assert len(entry.lines) == len(order.lines)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=orders(kept=True))
def test_for_any_prices_that_were_paid_and_kept_the_totals_agree(order: Order) -> None:
    bench, _ = submitted(order, keep_paid=True)

    (entry,) = bench.simulator.ledger().shown
    assert entry.paid == entry.total == order.total


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=orders(kept=False))
def test_for_any_order_the_quote_is_the_orders_total(order: Order) -> None:
    bench = Bench()

    assert bench.run(bench.adapter.quote(order, Attempt()), order) == order.total


def with_the_tax_that_square_asks(order: Order, world: WorldSettings, rate: Decimal) -> Order:
    """The order of a site with prices without tax: it adds the tax that Square's quote adds."""
    bare = Order.model_validate({**order.model_dump(), "prices_include_tax": False})
    bench = Bench(world)
    tax = bench.run(bench.adapter.quote(bare, Attempt()), bare) - bare.total
    taxed = sum(line.total for line in order.lines) - sum(
        discount.amount for discount in order.discounts
    )
    assert abs(tax - taxed * rate) <= len(order.lines)  # it rounds each line
    paid = [*bare.model_dump()["payments"], {"method": "card", "amount": tax}]
    return Order.model_validate({**bare.model_dump(), "tax": tax, "payments": paid})


@pytest.mark.parametrize("included", [True, False], ids=["included", "added"])
@pytest.mark.parametrize("percentage", ["10", "15", "8.875"])
@settings(max_examples=TRIED, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=orders(kept=False))
def test_for_any_order_and_tax_squares_total_is_what_was_paid(
    percentage: str, included: bool, order: Order
) -> None:
    world = WorldSettings(tax_percentage=percentage, tax_inclusive=included)
    sold = (
        order
        if included
        else with_the_tax_that_square_asks(order, world, Decimal(percentage) / 100)
    )
    bench = Bench(world)
    made = bench.run(bench.adapter.submit(sold, Attempt()), sold)

    (entry,) = bench.simulator.ledger().shown
    assert entry.paid == entry.total == sold.total == made.total
