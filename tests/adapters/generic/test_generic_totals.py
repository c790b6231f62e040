"""For any order and tax the POS's total is what was paid, and staff see everything."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.generic.store import ONCE, Store
from adapters.in_process import untouched
from tillpost.models.order import (
    Charge,
    Curbside,
    DineIn,
    Discount,
    Line,
    Modifier,
    Order,
    Payment,
    Pickup,
)
from tillpost.models.safe_text import one_line
from tillpost_simulators.generic import WorldSettings

TRIED = 340 if os.environ.get("CI") else 60
"""Orders for each rate and way of tax: in CI over 2,000 in all."""

PRICES = {"7302": 550, "7303": 650, "7310": 500, "5312": 1450, "6102": 0, "6103": 700, "6105": 520}
CHEAPER = "232"
"""An option that is given a negative price."""
MILKS = ("228", "229")
EXTRAS = {
    "7302": {"228": 80, "229": 70, "231": 60, CHEAPER: -40},
    "7303": {"228": 80, CHEAPER: -40},
    "7310": {"231": 60, CHEAPER: -40},
}
FULFILMENTS = (
    Pickup(),
    Pickup(curbside=Curbside(details="White Mazda, bay 4")),
    DineIn(table="7", guests=4),
)
amounts = st.integers(0, 2000)
texts = st.text(max_size=60)
named = texts.filter(lambda text: bool(one_line(text).strip()))
codes = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60).filter(
    lambda text: bool(one_line(text).strip())
)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """A line of what the store sells, at its price, or an open item; with or without discounts."""
    if draw(st.integers(0, 5)) == 0:
        line = Line(name=draw(named), quantity=draw(st.integers(1, 5)), unit_price=draw(amounts))
    else:
        item_id = draw(st.sampled_from(sorted(PRICES)))
        line = Line(
            item_id=item_id,
            name=draw(named),
            quantity=draw(st.integers(1, 50)),
            unit_price=PRICES[item_id],
            modifiers=draw(choices(EXTRAS.get(item_id, {}))),
            note=draw(texts),
        )
    return line.model_copy(update={"discounts": tuple(draw(discounts(line.total)))})


@st.composite
def choices(draw: st.DrawFn, offered: Mapping[str, int]) -> Sequence[Modifier]:
    """At most one milk and one extra; one may be nested in the other."""
    milks = [each for each in sorted(offered) if each in MILKS]
    extras = [each for each in sorted(offered) if each not in MILKS]
    chosen = [
        Modifier(modifier_id=each, name=f"choice {each}", unit_price=offered[each])
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
    """A charge, taxed or not, with or without a discount; or a rounding up."""
    amount = draw(amounts)
    if draw(st.integers(0, 3)) == 0:
        return Charge(kind="rounding", name="Rounding", amount=amount % 5)
    return Charge(
        kind="service",
        name=draw(named),
        amount=amount,
        taxed=draw(st.booleans()),
        discounts=draw(discounts(amount)),
    )


@st.composite
def orders(draw: st.DrawFn, percentage: str, included: bool) -> Order:
    """Any order with its tax, computed by order or by line, and rounded in either way."""
    bought = draw(st.lists(lines(), min_size=1, max_size=5))
    cost = sum(line.discounted for line in bought)
    off = draw(discounts(cost))
    after_discounts = cost - sum(discount.amount for discount in off)
    beside = draw(st.lists(charges(), max_size=2))
    tip = draw(amounts)
    taxed_charges = [Decimal(charge.total) for charge in beside if charge.taxed]
    rate = Decimal(percentage) / 100
    left = Decimal(after_discounts) / cost if cost else Decimal(0)
    parts = [after_discounts + sum(taxed_charges, Decimal(0))]
    if draw(st.booleans()):
        parts = [*(line.discounted * left for line in bought), *taxed_charges]
    way = draw(st.sampled_from([ROUND_HALF_EVEN, ROUND_HALF_UP]))
    tax = 0 if included else sum(int((part * rate).quantize(Decimal(1), way)) for part in parts)
    total = after_discounts + sum(charge.total for charge in beside) + tip + tax
    due = draw(st.just(0) | st.integers(0, total))
    first = draw(st.integers(0, total - due))
    return Order.model_validate(
        {
            "id": "ord_1",
            "code": draw(codes),
            "placed_at": "2026-11-23T11:52:07+11:00",
            "currency": "AUD",
            "prices_include_tax": included,
            "fulfilment": draw(st.sampled_from(FULFILMENTS)),
            "lines": bought,
            "charges": beside,
            "discounts": off,
            "tip": tip,
            "tax": tax,
            "taxes": [{"name": "GST", "amount": tax}] if tax else [],
            "amount_due": due,
            "payments": [
                Payment(method="card", amount=first),
                Payment(method="gift", amount=total - due - first),
            ],
            "note": draw(texts),
            "metadata": {"secret": "not for the POS"},
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
    store.simulator.change_price(CHEAPER, -40)
    made = store.submit(order)
    (entry,) = store.simulator.ledger().shown
    assert made.total == entry.total == order.total
    assert entry.paid == order.paid
    assert b"not for the POS" not in store.sent[0].content
    assert len(entry.lines) == len(order.lines)
    assert {discount.name for discount in entry.discounts} == _discount_names(order)
    assert [charge.name for charge in entry.charges] == [each.name for each in order.charges]
    for shown, line in zip(entry.lines, order.lines, strict=True):
        assert [each.name.rpartition(" > ")[2] for each in shown.modifiers] == [
            flat.modifier.name for flat in line.flat_modifiers()
        ]
    match order.fulfilment:
        case DineIn():
            assert "GUESTS 4" in entry.note
        case Pickup(curbside=Curbside()):
            assert "White Mazda, bay 4" in entry.note
        case _:
            pass
    assert ("TO PAY" in entry.note) == bool(order.amount_due)


def _discount_names(order: Order) -> set[str]:
    discounts = [*order.discounts]
    for line in order.lines:
        discounts += line.discounts
    for charge in order.charges:
        discounts += charge.discounts
    return {discount.name for discount in discounts}
