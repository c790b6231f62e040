"""Prices without tax come to what was paid in every way of rounding."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillpost.adapter.net_prices import Linear, NetLine, all_fit, net_values, shares, shifted

RATES = ("0.1", "0.15", "0.08875", "0")
CENT = Decimal(1)
ZERO = Decimal(0)
NOTHING = Linear(ZERO, ZERO)


def line(
    due: int,
    quantity: int,
    rate: str,
    extra: Decimal = ZERO,
    own: str | None = None,
) -> NetLine:
    """Return a line of some pieces, due in cents, with a fixed amount under the same tax."""
    tax_rate = Decimal(rate)
    scale = Decimal(100 * quantity)
    net = Linear(extra, scale)
    tax = Linear(extra * tax_rate, scale * tax_rate)
    own_price = Decimal(own) if own else None
    return NetLine(due, net, tax, own_price)


def price_of(only: NetLine) -> Decimal:
    """Return the price without tax of an order's only line."""
    (price,) = net_values([only])
    return price


def rounded_apart(net: Decimal, tax: Decimal, mode: str) -> Decimal:
    return net.quantize(CENT, mode) + tax.quantize(CENT, mode)


def rounded_together(net: Decimal, tax: Decimal, mode: str) -> Decimal:
    gross = net + tax
    return gross.quantize(CENT, mode)


def totals(lines: list[NetLine], values: list[Decimal]) -> Iterator[Decimal]:
    """Yield what the lines come to, in each of the ways that a platform may round."""
    sums = [line.at(value) for line, value in zip(lines, values, strict=True)]
    net_sum = sum((net for net, _ in sums), ZERO)
    tax_sum = sum((tax for _, tax in sums), ZERO)
    for mode in (ROUND_HALF_UP, ROUND_HALF_EVEN):
        for rounded in (rounded_apart, rounded_together):
            by_line = [rounded(net, tax, mode) for net, tax in sums]
            yield sum(by_line, ZERO)
            yield rounded(net_sum, tax_sum, mode)


LINES = st.builds(
    line,
    st.integers(-5000, 100_000),
    st.integers(1, 40),
    st.sampled_from(RATES),
)


@given(st.lists(LINES, min_size=1, max_size=12))
def test_a_platform_computes_what_was_paid_however_it_rounds(lines: list[NetLine]) -> None:
    values = net_values(lines)
    due = sum(line.due for line in lines)
    assert set(totals(lines, values)) == {Decimal(due)}


@pytest.mark.parametrize(
    ("due", "quantity", "rate", "price"),
    [
        (1450, 1, "0.1", "13.1818"),
        (550, 2, "0.1", "2.5000"),
        (1089, 1, "0.08875", "10.0023"),
        (0, 3, "0.15", "0.0000"),
    ],
)
def test_four_decimals_are_enough_for_most_prices(
    due: int, quantity: int, rate: str, price: str
) -> None:
    only = line(due, quantity, rate)
    assert str(price_of(only)) == price


@pytest.mark.parametrize(
    ("own", "price"),
    [
        ("13.18182", "13.18182"),
        ("13.2", "13.1818"),
    ],
)
def test_menus_own_price_is_kept_if_it_fits(own: str, price: str) -> None:
    only = line(1450, 1, "0.1", own=own)
    assert price_of(only) == Decimal(price)


def test_fixed_amount_is_left_out_of_the_price() -> None:
    only = line(630, 1, "0.1", extra=Decimal("72.73"))
    assert price_of(only) == Decimal("5.0000")


def test_fewest_decimals_are_used_if_no_price_fits() -> None:
    only = line(3, 1, "0.2")
    assert price_of(only) == Decimal("0.0250")


def test_a_line_without_a_slope_has_no_value() -> None:
    flat = NetLine(0, NOTHING, NOTHING)
    assert price_of(flat) == 0


def test_callers_decimal_context_changes_nothing() -> None:
    only = line(123_456, 1, "0.1")
    with localcontext(prec=3):
        assert price_of(only) == Decimal("1122.3273")
        assert shares(123_456, [1, 2]) == [41152, 82304]


@given(
    st.integers(-10_000, 10_000),
    st.lists(st.integers(0, 5000), min_size=1, max_size=20).filter(any),
)
def test_shares_add_up_and_are_exact_to_a_minor_unit(amount: int, weights: list[int]) -> None:
    found = shares(amount, weights)
    assert sum(found) == amount
    whole = sum(weights)
    for share, weight in zip(found, weights, strict=True):
        exact_share = Decimal(amount) * weight / whole
        assert abs(share - exact_share) < 1


COSTS = st.lists(
    st.integers(0, 500),
    min_size=1,
    max_size=10,
)


@given(st.data(), COSTS)
def test_nothing_is_taken_off_a_line_beyond_what_it_costs(
    data: st.DataObject, costs: list[int]
) -> None:
    off = data.draw(st.integers(0, sum(costs)))
    found = shares(off, costs)
    for share, cost in zip(found, costs, strict=True):
        assert share <= cost


def test_shares_without_weights_are_zero() -> None:
    assert shares(0, [0, 0]) == [0, 0]
    assert shares(5, []) == []


def test_line_that_fits_nothing_goes_a_unit_lower() -> None:
    first = next(iter(shifted([line(10, 1, "0.2"), line(3, 1, "0.2")])))
    assert [each.due for each in first] == [10, 2]
    assert all_fit([first[1]], net_values([first[1]]))


def test_two_lines_that_fit_nothing_make_up_for_each_other() -> None:
    first = next(iter(shifted([line(3, 1, "0.2"), line(9, 1, "0.2")])))
    assert [each.due for each in first] == [2, 10]


def test_lines_that_fit_alone_are_tried_one_by_one() -> None:
    dues = [[each.due for each in lines] for lines in shifted([line(5, 1, "0.2")] * 2)]
    assert dues == [[4, 5], [5, 4]]
