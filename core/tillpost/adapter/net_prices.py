"""Prices for platforms that keep them without tax: chosen so that the platform computes what the customer paid.

Such a platform multiplies a decimal price, adds the tax, and rounds; few say where. `net_values`
finds prices that come to the paid total in every usual way: line by line or over the order, price
and tax rounded apart or together, halves up or to even. `shares` splits an amount over lines
without losing a cent. Amounts are whole minor units.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from itertools import accumulate, pairwise
from typing import NamedTuple

__all__ = ["NetLine", "net_values", "shares"]

FEWEST_PLACES, MOST_PLACES = 4, 10


class NetLine(NamedTuple):
    """A line as an equation, in minor units: without tax it comes to `net[0] + value * net[1]`, and so does its tax.

    `due` is what it must come to with its tax. The value is a price in major units, or a
    multiplier; `own` is the menu's, which is kept where it serves.
    """

    due: int
    net: tuple[Decimal, Decimal]
    tax: tuple[Decimal, Decimal]
    own: Decimal | None = None

    def at(self, value: Decimal) -> tuple[Decimal, Decimal]:
        """Return what the line comes to without its tax, and its tax, both unrounded."""
        return self.net[0] + value * self.net[1], self.tax[0] + value * self.tax[1]

    def value(self, places: int) -> Decimal:
        """Return the value with at most so many decimals; the menu's own first."""
        if (
            places == FEWEST_PLACES
            and self.own is not None
            and _comes_to(self.due, *self.at(self.own))
        ):
            return self.own
        slope = self.net[1] + self.tax[1]
        return (
            round((self.due - self.net[0] - self.tax[0]) / slope, places) if slope else Decimal(0)
        )


def net_values(lines: Sequence[NetLine]) -> list[Decimal]:
    """Return each line's value, with as few decimals as it takes, from 4 on.

    There is no such value where a line's price and tax both end in half a minor unit (20 % on
    0.03). Then those with the fewest decimals are returned: only the platform's own total can tell
    how it rounds.
    """
    with localcontext(Context(prec=60)):
        for places in range(FEWEST_PLACES, MOST_PLACES + 1):
            values = [line.value(places) for line in lines]
            each = [line.at(value) for line, value in zip(lines, values, strict=True)]
            whole = (
                sum((net for net, _ in each), Decimal(0)),
                sum((tax for _, tax in each), Decimal(0)),
            )
            fits = all(_comes_to(line.due, *sums) for line, sums in zip(lines, each, strict=True))
            if fits and _comes_to(sum(line.due for line in lines), *whole):
                return values
        return [line.value(FEWEST_PLACES) for line in lines]


def _comes_to(due: int, net: Decimal, tax: Decimal) -> bool:
    """Whether price and tax come to the amount, however they are rounded."""
    for mode in (ROUND_HALF_UP, ROUND_HALF_EVEN):
        apart = net.to_integral_value(mode) + tax.to_integral_value(mode)
        if apart != due or (net + tax).to_integral_value(mode) != due:
            return False
    return True


def shares(amount: int, weights: Sequence[Decimal | int]) -> list[int]:
    """Split an amount in proportion to the weights; the shares add up to it. Without any weight all are 0.

    >>> shares(100, [1, 1, 1])
    [33, 34, 33]
    """
    with localcontext(Context(prec=60)):
        reached = [Decimal(0), *accumulate(map(Decimal, weights))]
        if not reached[-1]:
            return [0] * len(weights)
        ends = [
            int((amount * end / reached[-1]).to_integral_value(ROUND_HALF_UP)) for end in reached
        ]
        return [end - start for start, end in pairwise(ends)]
