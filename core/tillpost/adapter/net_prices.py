"""Prices without tax, chosen so that a platform computes what the customer paid.

Some platforms keep decimal prices without tax. They multiply a price, add the tax and round; few
document where they round. `net_values` finds prices that come to the paid total in every usual way:
rounded for each line or for the order, price and tax apart or together, halves up or to even.
`shares` splits an amount without losing a cent. All amounts are in minor units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from typing import NamedTuple

__all__ = ["Linear", "NetLine", "all_fit", "net_values", "shares", "shifted"]

FEWEST_PLACES = 4
MOST_PLACES = 10
"""Decimals of a price that is sought."""

MOST_CANDIDATES = 10
"""Lines that are tried to make up for a rounding of the whole order."""

_PRECISION = 60
"""Digits of the arithmetic here, whatever the caller's decimal context is."""


class Linear(NamedTuple):
    """An amount that depends on a price or a multiplier: `fixed + value * factor`."""

    fixed: Decimal
    factor: Decimal

    def at(self, value: Decimal) -> Decimal:
        """Return the amount for a value."""
        return self.fixed + value * self.factor


class NetLine(NamedTuple):
    """A line whose value is sought: a price in major units, or a multiplier.

    Attributes:
        due: What the line must come to with its tax, in minor units.
        net: What it comes to without tax, in minor units.
        tax: The tax on it, in minor units.
        own: The menu's own price, which is used if it fits.
    """

    due: int
    net: Linear
    tax: Linear
    own: Decimal | None = None

    def at(self, value: Decimal) -> tuple[Decimal, Decimal]:
        """Return the line's net amount and its tax for a value, both unrounded."""
        return self.net.at(value), self.tax.at(value)

    def fits(self, value: Decimal) -> bool:
        """Return whether the line comes to `due` for a value, however it is rounded."""
        net, tax = self.at(value)
        return _comes_to(self.due, net, tax)

    def solve(self, places: int) -> Decimal:
        """Return the value for which the line comes to `due`, rounded to some decimals."""
        factor = self.net.factor + self.tax.factor
        if not factor:
            return Decimal(0)
        rest = self.due - self.net.fixed - self.tax.fixed
        return round(rest / factor, places)


def net_values(lines: Sequence[NetLine]) -> list[Decimal]:
    """Return each line's value, with as few decimals as it takes, from 4 on.

    No value fits if a line's net amount and tax both end in half a minor unit (20 % on 0.03). Then
    those with the fewest decimals are returned: only the platform's own total shows how it rounds.
    """
    with localcontext(Context(prec=_PRECISION)):
        shortest = [_shortest_value(line) for line in lines]
        if all_fit(lines, shortest):
            return shortest
        for places in range(FEWEST_PLACES + 1, MOST_PLACES + 1):
            values = [line.solve(places) for line in lines]
            if all_fit(lines, values):
                return values
        return shortest


def _shortest_value(line: NetLine) -> Decimal:
    if line.own is not None and line.fits(line.own):
        return line.own
    return line.solve(FEWEST_PLACES)


def shifted(lines: Sequence[NetLine]) -> Iterator[Sequence[NetLine]]:
    """Yield the lines with some of them due a minor unit less, or more.

    Where a net amount and its tax both end in half a minor unit, no value fits. An amount that is a
    unit away has one, and another line can make up for the difference. First come the lines that
    don't fit by themselves, then these and one more, since their sums may not fit either.
    """
    changed = list(lines)
    by = -1
    unchanged: list[int] = []
    for index, line in enumerate(lines):
        if line.fits(net_values([line])[0]):
            unchanged.append(index)
            continue
        changed[index] = line._replace(due=line.due + by)
        by = -by  # the next one the other way, so that little is left to make up for
    if changed != list(lines):
        yield changed
    candidates = [index for index in unchanged if lines[index].due]
    for index in candidates[:MOST_CANDIDATES]:
        one_more = list(changed)
        one_more[index] = lines[index]._replace(due=lines[index].due + by)
        yield one_more


def all_fit(lines: Sequence[NetLine], values: Sequence[Decimal]) -> bool:
    """Return whether each line, and all of them together, come to what is due.

    That is so however they are rounded.
    """
    due_sum = 0
    net_sum = Decimal(0)
    tax_sum = Decimal(0)
    for line, value in zip(lines, values, strict=True):
        net, tax = line.at(value)
        if not _comes_to(line.due, net, tax):
            return False
        due_sum += line.due
        net_sum += net
        tax_sum += tax
    return _comes_to(due_sum, net_sum, tax_sum)


def _comes_to(due: int, net: Decimal, tax: Decimal) -> bool:
    """Return whether price and tax come to the amount, however they are rounded."""
    for mode in (ROUND_HALF_UP, ROUND_HALF_EVEN):
        rounded_net = net.to_integral_value(mode)
        rounded_tax = tax.to_integral_value(mode)
        rounded_together = (net + tax).to_integral_value(mode)
        if rounded_net + rounded_tax != due:
            return False
        if rounded_together != due:
            return False
    return True


def shares(amount: int, weights: Sequence[Decimal | int]) -> list[int]:
    """Split an amount in proportion to weights; the shares add up to it.

    If the weights add up to nothing, every share is 0.

    >>> shares(100, [1, 1, 1])
    [33, 34, 33]
    """
    with localcontext(Context(prec=_PRECISION)):
        whole = Decimal(sum(weights))
        if not whole:
            return [0] * len(weights)
        result: list[int] = []
        running = Decimal(0)
        start = 0
        for weight in weights:
            running += weight
            exact_end = amount * running / whole
            # Rounding the running totals, not the shares, is what makes the shares add up.
            end = int(exact_end.to_integral_value(ROUND_HALF_UP))
            result.append(end - start)
            start = end
        return result
