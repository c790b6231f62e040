"""For any order the simulator computes what was paid, by line and by order, at three rates.

How Kounta rounds is our reading of it; where the reading is wrong, the order is refused with the
reason, never in silence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adapters.kounta.bench import Bench
from tillpost import Order, PosError, PosOrder
from tillpost.adapter.net_prices import shares
from tillpost.models.menu import Menu
from tillpost.models.order import (
    Charge,
    Curbside,
    DineIn,
    Discount,
    Line,
    Modifier,
    Payment,
    Pickup,
)
from tillpost.models.tax_rounding import tax_difference
from tillpost.simulator import LedgerEntry
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
    bought = draw(st.lists(lines(menu), min_size=1, max_size=6))
    cost = sum(line.discounted for line in bought)
    beside = draw(charges())
    tip = draw(st.integers(0, 500))
    off = draw(st.integers(0, cost) | st.just(0))
    tax = 0 if included else _tax(bench, bought, beside, off)
    assume(tax >= 0)  # a taxed discount on what isn't taxed: no order has a tax below 0
    total = cost + sum(charge.total for charge in beside) + tip + tax - off
    if total and draw(st.booleans()):
        rounding = Charge(kind="rounding", name="Rounding down", amount=-1)
        beside, total = [*beside, rounding], total - 1
    due = draw(st.just(0) | st.integers(0, total))
    return Order.model_validate_json(
        Order(
            id="ord_1",
            code="B42",
            placed_at=datetime.now(UTC),
            currency="AUD",
            prices_include_tax=included,
            fulfilment=draw(st.sampled_from(FULFILMENTS)),
            lines=bought,
            tip=tip,
            tax=tax,
            charges=beside,
            discounts=[Discount(name="WELCOME", amount=off)],
            amount_due=due,
            payments=[Payment(method="card", amount=total - due)] if total > due else [],
        ).model_dump_json()
    )


@st.composite
def lines(draw: st.DrawFn, menu: Menu) -> Line:
    """A line at the menu's price, or an open item; with choices side by side or nested."""
    item_id = draw(st.sampled_from((*ITEMS, "7302", "7303", "")))
    if not item_id:
        price = draw(st.integers(0, 2000))
        line = Line(name="Corkage", quantity=draw(QUANTITIES), unit_price=price)
    else:
        item, variation = menu.by_variation[item_id]
        options = menu.options(item)
        offered = MILKS if item_id in ("7302", "7303") else ()
        chosen = (
            draw(st.lists(st.sampled_from(offered), max_size=2, unique=True)) if offered else ()
        )
        modifiers = [
            Modifier(
                modifier_id=each,
                name=options[each].name,
                unit_price=options[each].price or 0,
                quantity=draw(COUNTS),
            )
            for each in chosen
        ]
        if len(modifiers) == 2 and draw(st.booleans()):
            outer, inner = modifiers
            modifiers = [outer.model_copy(update={"modifiers": (inner,)})]
        line = Line(
            item_id=item_id,
            name=item.name,
            quantity=draw(QUANTITIES),
            unit_price=variation.price or 0,
            modifiers=modifiers,
            note=draw(st.sampled_from(["", "extra hot"])),
        )
    own = draw(st.just(0) | st.integers(0, line.total))
    if not own:
        return line
    return line.model_copy(update={"discounts": (Discount(name="HAPPY HOUR", amount=own),)})


@st.composite
def charges(draw: st.DrawFn) -> list[Charge]:
    """A delivery with tax, which may have a discount."""
    amount = draw(st.integers(0, 700))
    off = draw(st.just(0) | st.integers(0, amount))
    discounts = [Discount(name="FREE DELIVERY", amount=off)] if off else []
    return [
        Charge(kind="delivery", name="Delivery", amount=amount, taxed=True, discounts=discounts)
    ]


FULFILMENTS = (
    Pickup(),
    Pickup(curbside=Curbside(details="White Mazda, bay 4")),
    DineIn(table="7", guests=4),
)
COUNTS, QUANTITIES = st.integers(1, 3), st.integers(1, 9)


def _tax(bench: Bench, bought: Sequence[Line], beside: Sequence[Charge], off: int) -> int:
    """The tax that a careful site adds: a discount lowers it, by lines where it is a multiplier."""
    rate = bench.simulator.settings.tax_rate
    sums = [line.discounted for line in bought]
    rates = [Decimal(0) if line.item_id == "6103" else rate for line in bought]
    charged = sum(charge.total for charge in beside)
    if bench.settings["discounts"] == "multiplier":
        nets = [total - share for total, share in zip(sums, shares(off, sums), strict=True)]
        taxed = charged
    else:
        nets = sums
        taxed = charged - off
    on_lines = sum((net * each for net, each in zip(nets, rates, strict=True)), Decimal(0))
    return round(on_lines + taxed * rate)


def whole(order: Order, shown: LedgerEntry) -> None:
    """Check that staff see every name, choice and discount of an order."""
    for seen, line in zip(shown.lines, order.lines, strict=False):
        assert line.note in seen.note
        assert not line.is_open or line.name in seen.note
        assert all(discount.name in seen.note for discount in line.discounts)
        nested = [flat.modifier.name for flat in line.flat_modifiers() if flat.parents]
        assert all(name in seen.note for name in nested)
        counts = {flat.modifier.modifier_id: flat.quantity for flat in line.flat_modifiers()}
        assert {each.modifier_id: int(each.quantity) for each in seen.modifiers} == counts
    notes = "\n".join(seen.note for seen in shown.lines)
    for charge in order.charges:
        assert charge.name in notes or not charge.amount
        assert all(discount.name in notes for discount in charge.discounts)
    assert ("TO PAY AT THE STORE" in shown.note) == bool(order.amount_due)
    match order.fulfilment:
        case DineIn():
            assert "TABLE 7, 4 GUESTS" in shown.note
            assert "GUESTS 4" in shown.note
        case Pickup(curbside=Curbside()):
            assert "CURBSIDE PICKUP: White Mazda, bay 4" in shown.note
        case _:
            pass


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
            order.paid,
            order.total,
            notices(order, shown, discounts, rate),
        )
        whole(order, shown)

    check()


def notices(order: Order, shown: LedgerEntry, discounts: str, rate: str) -> tuple[str, ...]:
    """Return what an order's notices must say of its tax."""
    if not order.prices_include_tax:
        difference = tax_difference(order, sum(each.amount for each in shown.taxes))
        return (difference,) if difference else ()
    has_untaxed_item = any(line.item_id == "6103" for line in order.lines)
    is_product = discounts == "product" and order.discounts[0].amount
    if not (has_untaxed_item and is_product):
        return ()
    taxed = f"GST {100 * Decimal(rate):f}".rstrip("0").rstrip(".") + " %"
    text = (
        "WELCOME takes other tax off at the register than the items have: its product Online "
        f"discount (9004) has {taxed}, items have no tax"
    )
    return (text,)


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
            assert result.reason in ("created", "rounding_created")
            assert result.outcome == "created"

    check()
