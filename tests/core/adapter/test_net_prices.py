"""Prices without tax come to what was paid, however a platform rounds, and no share of an amount is lost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillpost.adapter.net_prices import Linear, NetLine, net_values, shares

RATES = ("0.1", "0.15", "0.08875", "0")
CENT = Decimal(1)
NOTHING = Linear(Decimal(0), Decimal(0))


def line(
    due: int, quantity: int, rate: str, extra: Decimal = Decimal(0), own: str | None = None
) -> NetLine:
    """So many of a thing, due in cents, with something added to its price whose tax is the same."""
    tax_rate = Decimal(rate)
    scale = Decimal(100 * quantity)
    net = Linear(extra, scale)
    tax = Linear(extra * tax_rate, scale * tax_rate)
    return NetLine(due, net, tax, Decimal(own) if own else None)


def totals(lines: list[NetLine], values: list[Decimal]) -> Iterator[Decimal]:
    """What the lines come to, in each of the ways that a platform may round."""
    sums = [x.at(value) for x, value in zip(lines, values, strict=True)]
    for mode in (ROUND_HALF_UP, ROUND_HALF_EVEN):

        def whole(amount: Decimal, mode: str = mode) -> Decimal:
            return amount.quantize(CENT, mode)

        yield sum((whole(net) + whole(tax) for net, tax in sums), Decimal(0))
        yield sum((whole(net + tax) for net, tax in sums), Decimal(0))
        yield whole(sum((net for net, _ in sums), Decimal(0))) + whole(
            sum((tax for _, tax in sums), Decimal(0))
        )
        yield whole(sum((net + tax for net, tax in sums), Decimal(0)))


LINES = st.builds(line, st.integers(-5000, 100_000), st.integers(1, 40), st.sampled_from(RATES))


@given(st.lists(LINES, min_size=1, max_size=12))
def test_a_platform_computes_what_was_paid_however_it_rounds(lines: list[NetLine]) -> None:
    values = net_values(lines)
    assert set(totals(lines, values)) == {Decimal(sum(x.due for x in lines))}


@pytest.mark.parametrize(("due", "quantity", "rate", "price"), [
    (1450, 1, "0.1", "13.1818"), (550, 2, "0.1", "2.5000"), (1089, 1, "0.08875", "10.0023"), (0, 3, "0.15", "0.0000"),
])  # fmt: skip
def test_four_decimals_are_enough_for_most_prices(
    due: int, quantity: int, rate: str, price: str
) -> None:
    assert [str(value) for value in net_values([line(due, quantity, rate)])] == [price]


def test_the_menus_own_price_is_kept_where_it_comes_to_what_was_paid() -> None:
    assert net_values([line(1450, 1, "0.1", own="13.18182")]) == [Decimal("13.18182")]
    assert net_values([line(1450, 1, "0.1", own="13.2")]) == [Decimal("13.1818")]


def test_what_is_added_to_a_price_is_left_out_of_it() -> None:
    assert net_values([line(630, 1, "0.1", extra=Decimal("72.73"))]) == [Decimal("5.0000")]


def test_where_no_price_serves_the_one_with_the_fewest_decimals_is_taken() -> None:
    assert net_values([line(3, 1, "0.2")]) == [Decimal("0.0250")]


def test_a_line_without_a_slope_has_no_value() -> None:
    assert net_values([NetLine(0, NOTHING, NOTHING)]) == [0]


def test_a_callers_own_precision_changes_nothing() -> None:
    with localcontext(prec=3):
        assert net_values([line(123_456, 1, "0.1")]) == [Decimal("1122.3273")]
        assert shares(123_456, [1, 2]) == [41152, 82304]


@given(
    st.integers(-10_000, 10_000),
    st.lists(st.integers(0, 5000), min_size=1, max_size=20).filter(any),
)
def test_shares_add_up_and_none_is_off_by_a_whole_unit(amount: int, weights: list[int]) -> None:
    found = shares(amount, weights)
    assert sum(found) == amount
    for share, weight in zip(found, weights, strict=True):
        assert abs(share - Decimal(amount) * weight / sum(weights)) < 1


@given(st.data(), st.lists(st.integers(0, 500), min_size=1, max_size=10))
def test_nothing_is_taken_off_a_line_beyond_what_it_costs(
    data: st.DataObject, costs: list[int]
) -> None:
    off = data.draw(st.integers(0, sum(costs)))
    assert all(share <= cost for share, cost in zip(shares(off, costs), costs, strict=True))


def test_without_a_weight_nothing_is_shared() -> None:
    assert shares(0, [0, 0]) == [0, 0]
    assert shares(5, []) == []
