"""For any order the simulator computes what was paid, by line and by order, at three rates.

How Kounta rounds is our reading of it; where the reading is wrong, the order is refused with the
reason, never in silence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adapters.kounta.bench import Bench
from tillpost import Order, PosError, PosOrder
from tillpost.adapter.net_prices import shares
from tillpost_simulators.kounta import KountaSettings as World

ITEMS = ("5312", "7310", "6105", "7401", "7402", "7403", "6103")
MILKS = ("228", "229", "231")
SLOW = (HealthCheck.too_slow, HealthCheck.differing_executors)


def bench_for(
    rate: str, rounding: Literal["line", "order"], *, included: bool, discounts: str
) -> Bench:
    world = World(tax_rate=Decimal(rate), tax_rounding=rounding, oauth_limit=10**9)
    bench = Bench(world, prices_include_tax=included, discounts=discounts, check_first=False)
    bench.till.import_menu()
    return bench


@st.composite
def orders(draw: st.DrawFn, bench: Bench, *, included: bool) -> Order:
    """An order at the menu's prices, with everything that an order can have."""
    menu = bench.till.menu
    lines: list[dict[str, Any]] = []
    for item_id in draw(
        st.lists(st.sampled_from((*ITEMS, "7302", "7303")), min_size=1, max_size=6)
    ):
        item, variation = menu.by_variation[item_id]
        options = menu.options(item)
        chosen = (
            draw(st.lists(st.sampled_from(MILKS), max_size=2, unique=True))
            if item_id in ("7302", "7303")
            else []
        )
        modifiers = [
            {
                "modifier_id": m,
                "name": options[m].name,
                "unit_price": options[m].price,
                "quantity": draw(COUNTS),
            }
            for m in chosen
        ]
        line = {
            "item_id": item_id,
            "name": item.name,
            "quantity": draw(QUANTITIES),
            "unit_price": variation.price,
        }
        lines.append(line | {"modifiers": modifiers})
    sums = [
        x["quantity"]
        * (x["unit_price"] + sum(m["quantity"] * m["unit_price"] for m in x["modifiers"]))
        for x in lines
    ]
    charge, tip = draw(st.integers(0, 700)), draw(st.integers(0, 500))
    off = draw(st.integers(0, sum(sums)) | st.just(0))
    tax = 0 if included else _tax(bench, lines, sums, charge, off)
    assume(tax >= 0)  # a taxed discount on what isn't taxed: no order has a tax below 0
    total = sum(sums) + charge + tip + tax - off
    return Order.model_validate_json(
        json.dumps(
            {
                "id": "ord_1",
                "code": "B42",
                "placed_at": datetime.now(UTC).isoformat(),
                "currency": "AUD",
                "prices_include_tax": included,
                "lines": lines,
                "tip": tip,
                "tax": tax,
                "charges": [{"kind": "delivery", "name": "Delivery", "amount": charge}],
                "discounts": [{"name": "WELCOME", "amount": off}],
                "payments": [{"method": "card", "amount": total}],
            }
        )
    )


COUNTS, QUANTITIES = st.integers(1, 3), st.integers(1, 9)


def _tax(bench: Bench, lines: list[dict[str, Any]], sums: list[int], charge: int, off: int) -> int:
    """The tax that a careful site adds: a discount lowers it, by lines where it is a multiplier."""
    rate = bench.simulator.settings.tax_rate
    rates = [Decimal(0) if line["item_id"] == "6103" else rate for line in lines]
    if bench.settings["discounts"] == "multiplier":
        nets = [total - share for total, share in zip(sums, shares(off, sums), strict=True)]
        return round(
            sum((net * r for net, r in zip(nets, rates, strict=True)), Decimal(0)) + charge * rate
        )
    return round(
        sum((net * r for net, r in zip(sums, rates, strict=True)), Decimal(0))
        + (charge - off) * rate
    )


def slow(rate: str) -> Any:
    """Return a rate that the quick tests leave out."""
    return pytest.param(rate, marks=pytest.mark.slow)


@pytest.mark.parametrize("discounts", ["product", "multiplier"])
@pytest.mark.parametrize("included", [True, False], ids=["tax included", "tax added"])
@pytest.mark.parametrize("rounding", ["line", "order"])
@pytest.mark.parametrize("rate", [slow("0.1"), slow("0.15"), "0.08875"])
def test_kountas_total_is_what_was_paid(
    rate: str, rounding: Any, included: bool, discounts: str
) -> None:
    bench = bench_for(rate, rounding, included=included, discounts=discounts)

    @settings(max_examples=45, deadline=None, suppress_health_check=SLOW)
    @given(orders(bench, included=included))
    def check(order: Order) -> None:
        bench.simulator.world.orders.clear()
        pos_order = bench.connect_with_menu().submit(order, is_new=True)
        (shown,) = bench.simulator.ledger().shown
        assert (shown.total, shown.paid, pos_order.total, pos_order.notices) == (
            order.total,
            order.total,
            order.total,
            (),
        )

    check()


@pytest.mark.parametrize("decimals", [2, 3, 4])
def test_fewer_decimals_give_right_total_or_a_refusal(
    decimals: int,
) -> None:
    bench = bench_for("0.08875", "line", included=True, discounts="product")
    bench.simulator.world.settings = World(
        tax_rate=Decimal("0.08875"), unit_price_decimals=decimals, oauth_limit=10**9
    )

    @settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
    @given(orders(bench, included=True))
    def check(order: Order) -> None:
        bench.simulator.world.orders.clear()
        try:
            result: PosOrder | PosError = bench.connect_with_menu().submit(order, is_new=True)
        except PosError as error:
            result = error
        (shown,) = bench.simulator.ledger().shown
        if isinstance(result, PosOrder):
            assert shown.total == order.total
        else:
            assert shown.total != order.total
            assert (result.reason, result.outcome) == ("created", "created")

    check()
