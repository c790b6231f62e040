"""For any order Square's total is the order's, and staff see everything."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.square.bench import Bench
from tillpost.adapter.base import Attempt
from tillpost.models.order import (
    Charge,
    Curbside,
    DineIn,
    Discount,
    Line,
    Modifier,
    Order,
    Pickup,
    PosOrder,
)
from tillpost.models.safe_text import one_line, without_controls
from tillpost.simulator import LedgerEntry
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
MILKS = ("228", "229")
ROUNDING = "Rounding down"
texts = st.text(max_size=60)
# Short enough for the note to hold all of them.
named = st.text(max_size=20).filter(lambda text: bool(one_line(without_controls(text)).strip()))
codes = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60).filter(
    lambda text: bool(without_controls(text).strip())
)


@st.composite
def lines(draw: st.DrawFn, *, kept: bool) -> Line:
    """A line of what the simulator sells, at its price or, where prices are kept, at any.

    It may be an open item, and have discounts.
    """
    any_price = st.integers(0, 10_000)
    if draw(st.integers(0, 5)) == 0:
        line = Line(name=draw(named), quantity=draw(st.integers(1, 5)), unit_price=draw(any_price))
    else:
        item_id = draw(st.sampled_from(sorted(PRICES)))
        line = Line(
            item_id=item_id,
            name="x",
            quantity=draw(st.integers(1, 50)),
            unit_price=draw(any_price) if kept else PRICES[item_id],
            modifiers=draw(choices(EXTRAS.get(item_id, {}), kept=kept)),
            note=draw(texts),
        )
    return line.model_copy(update={"discounts": tuple(draw(discounts(line.total)))})


@st.composite
def choices(draw: st.DrawFn, offered: Mapping[str, int], *, kept: bool) -> Sequence[Modifier]:
    """At most one milk and one extra, of which one may be nested in the other."""
    milks = [each for each in sorted(offered) if each in MILKS]
    extras = [each for each in sorted(offered) if each not in MILKS]
    chosen = [
        Modifier(
            modifier_id=each,
            name=f"choice {each}",
            unit_price=draw(st.integers(0, 10_000)) if kept else offered[each],
        )
        for group in (milks, extras)
        if group
        for each in draw(st.lists(st.sampled_from(group), max_size=1))
    ]
    if len(chosen) < 2 or draw(st.booleans()):
        return chosen
    inner, outer = chosen
    return [outer.model_copy(update={"modifiers": (inner,)})]


@st.composite
def discounts(draw: st.DrawFn, most: int) -> list[Discount]:
    """No discount, or one of at most an amount."""
    off = draw(st.just(0) | st.integers(0, most))
    return [Discount(name=draw(named), amount=off)] if off else []


@st.composite
def charges(draw: st.DrawFn) -> Charge:
    """A charge, taxed or not, with or without a discount; or a rounding."""
    amount = draw(st.integers(0, 2000))
    if draw(st.integers(0, 3)) == 0:
        return Charge(kind="rounding", name=draw(named), amount=amount % 5)
    return Charge(
        kind="service",
        name=draw(named),
        amount=amount,
        taxed=draw(st.booleans()),
        discounts=draw(discounts(amount)),
    )


@st.composite
def orders(draw: st.DrawFn, *, kept: bool) -> Order:
    """Any order of the simulator's menu."""
    bought = draw(st.lists(lines(kept=kept), min_size=1, max_size=4))
    cost = sum(line.discounted for line in bought)
    off, tip = draw(discounts(cost)), draw(st.integers(0, 2000))
    beside = draw(st.lists(charges(), max_size=2))
    left = cost - sum(discount.amount for discount in off)
    if left and draw(st.booleans()):
        beside = [*beside, Charge(kind="rounding", name=ROUNDING, amount=-1)]
    due = draw(
        st.none()
        | st.integers(0, 1000).map(lambda days: (FOREVER + timedelta(days=days)).isoformat())
    )
    how: Any = draw(
        st.sampled_from(
            [
                {"type": "pickup", "due_at": due},
                {"type": "pickup", "due_at": due, "curbside": {"details": "White Mazda, bay 4"}},
                {"type": "dine_in", "due_at": due, "table": "12", "guests": 4},
                {
                    "type": "delivery",
                    "due_at": due,
                    "address": {"line1": "1 High St"},
                    "instructions": draw(texts),
                },
            ]
        )
    )
    total = left + tip + sum(charge.total for charge in beside)
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
            "charges": beside,
            "discounts": off,
            "tip": tip,
            "payments": [
                {"method": "card", "amount": first},
                {"method": "gift", "amount": total - first},
            ],
            "note": draw(texts),
        }
    )


def whole(order: Order, entry: LedgerEntry) -> None:
    """Check that staff see every name, choice and discount of an order."""
    shown = {discount.name for discount in entry.discounts}
    own_discounts = [*order.discounts]
    for line in order.lines:
        own_discounts += line.discounts
    assert {discount.name for discount in own_discounts} <= shown
    for charge in order.charges:
        if charge.amount < 0:
            assert charge.name in shown
        elif charge.total:
            assert charge.name in {each.name for each in entry.charges}
        for discount in charge.discounts:
            assert one_line(discount.name) in entry.note
    for seen, line in zip(entry.lines, order.lines, strict=True):
        flat = line.flat_modifiers()
        assert [each.modifier_id for each in seen.modifiers] == [
            each.modifier.modifier_id for each in flat
        ]
        assert all(f"({each.modifier.name}" in seen.note for each in flat if each.parents)
        if line.is_open:
            assert seen.name == line.name
    match order.fulfilment:
        case DineIn():
            assert "TABLE 12, 4 GUESTS" in entry.note
        case Pickup(curbside=Curbside()):
            assert "White Mazda, bay 4" in entry.note
        case _:
            pass


def submitted(order: Order, *, keep_paid: bool, **adapter_settings: Any) -> tuple[Bench, PosOrder]:
    bench = Bench(**adapter_settings)
    attempt = Attempt(keep_paid=keep_paid, menu=bench.menu())
    return bench, bench.run(bench.adapter.submit(order, attempt), order)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=orders(kept=False), tips=st.sampled_from(["payment", "service_charge"]))
def test_total_is_the_orders_for_any_order(order: Order, tips: str) -> None:
    bench, made = submitted(order, keep_paid=False, tips=tips)

    (entry,) = bench.simulator.ledger().shown
    assert entry.paid == entry.total == order.total == made.total
    assert len(entry.lines) == len(order.lines)
    whole(order, entry)


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
    attempt = Attempt(menu=bench.menu())

    assert bench.run(bench.adapter.quote(order, attempt), order) == order.total


def with_the_tax_that_square_asks(order: Order, world: WorldSettings, rate: Decimal) -> Order:
    """The order of a site with prices without tax: it adds the tax that Square's quote adds."""
    charges = [charge for charge in order.charges if charge.amount >= 0]
    total = order.total + sum(charge.amount < 0 for charge in order.charges)
    paid = [{"method": "card", "amount": total}]
    bare = Order.model_validate(
        {
            **order.model_dump(),
            "prices_include_tax": False,
            "charges": charges,
            "payments": paid,
        }
    )
    bench = Bench(world)
    attempt = Attempt(menu=bench.menu())
    tax = bench.run(bench.adapter.quote(bare, attempt), bare) - bare.total
    taxed = sum(line.discounted for line in order.lines if not line.is_open)
    taxed += sum(charge.total for charge in charges if charge.taxed)
    open_items = sum(line.discounted for line in order.lines if line.is_open)
    taxed -= sum(discount.amount for discount in order.discounts)
    # Square rounds each tax; the store's tax is on no custom amount, so open items are untaxed.
    assert tax <= (taxed + open_items) * rate + len(order.lines) + 1
    assert tax >= (taxed - open_items) * rate - len(order.lines) - 1
    more = [*bare.model_dump()["payments"], {"method": "card", "amount": tax}]
    return Order.model_validate({**bare.model_dump(), "tax": tax, "payments": more})


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
    made = bench.run(bench.adapter.submit(sold, Attempt(menu=bench.menu())), sold)

    (entry,) = bench.simulator.ledger().shown
    assert entry.paid == entry.total == sold.total == made.total
