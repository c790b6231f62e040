"""What rounding can make of taxes.

Sites and platforms round a tax by line or by order, halves up or to even. So what a tax may come to
is known from the amounts and the rates: between the sum of what each line's tax is rounded down to
and the sum of what it is rounded up to. Anything else isn't rounding, however small it is. A
register's tax is compared with the order's here, too. All amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import ceil, floor
from typing import NamedTuple

from tillpost.models.menu import Tax
from tillpost.models.money import format_money
from tillpost.models.order import Order

__all__ = [
    "MOST_TAXES_IN_SUM",
    "TaxRange",
    "TaxedAmount",
    "other_rates",
    "stated_tax",
    "tax_difference",
    "tax_range",
    "tax_shares",
]

MOST_TAXES_IN_SUM = 4
"""How many of a store's taxes a site may charge as one."""

_SAME_RATE = Decimal("0.00005")
"""Rates that differ by less are one.

Sites write 8.875 per cent with fewer decimals.
"""


class TaxedAmount(NamedTuple):
    """An amount with its taxes.

    Attributes:
        amount: What is taxed, in minor units.
        shares: What part of the amount each of its taxes is.
        slack: By how much a site may have another amount, because it spreads a discount otherwise.
    """

    amount: Fraction
    shares: Sequence[Fraction]
    slack: int = 0


class TaxRange(NamedTuple):
    """The least and the most that rounding can make of taxes.

    `exact` is what they come to, not rounded.
    """

    least: int
    most: int
    exact: Fraction

    def holds(self, tax: int) -> bool:
        """Return whether rounding can come to this tax."""
        return self.least <= tax <= self.most


def tax_range(amounts: Iterable[TaxedAmount]) -> TaxRange:
    """Return what rounding can make of the taxes on these amounts."""
    least = 0
    most = 0
    exact = Fraction(0)
    for amount, shares, slack in amounts:
        lowest, highest = _bounds(amount, slack)
        for share in shares:
            least += floor(lowest * share)
            most += ceil(highest * share)
            exact += amount * share
    return TaxRange(least, most, exact)


def _bounds(amount: Fraction, slack: int) -> tuple[Fraction, Fraction]:
    """Return the least and the most that a site may tax for an amount.

    No spreading of a discount changes the sign: a line that is free isn't taxed below nothing.
    """
    lowest = amount - slack
    highest = amount + slack
    if amount >= 0:
        return max(lowest, Fraction(0)), highest
    return lowest, min(highest, Fraction(0))


def tax_shares(taxes: Sequence[Tax], *, with_tax: bool) -> list[Fraction]:
    """Return what part of a price each of its taxes is.

    Args:
        taxes: The taxes.
        with_tax: Whether the price includes them.
    """
    rates = [Fraction(tax.rate) for tax in taxes]
    whole = 1 + sum(rates, Fraction(0)) if with_tax else Fraction(1)
    return [rate / whole for rate in rates]


def stated_tax(order: Order) -> int | None:
    """Return the tax that the site says the order has, None if it doesn't say.

    Where prices include tax, only the site's own breakdown says it.
    """
    if not order.prices_include_tax:
        return order.tax
    if not order.taxes:
        return None
    return sum(tax.amount for tax in order.taxes)


def tax_difference(order: Order, at_register: int) -> str | None:
    """Return a notice if the register has another tax, None if it hasn't."""
    stated = stated_tax(order)
    if stated is None or stated == at_register:
        return None
    seen = format_money(at_register, order.currency)
    ordered = format_money(stated, order.currency)
    return f"The register has {seen} of tax on this order, the ordering site has {ordered}"


def other_rates(order: Order, rates: Iterable[Decimal]) -> list[Decimal]:
    """Return the rates of the order's taxes that aren't among these.

    Nor are they a sum of some of them: a site may charge several taxes of a store as one.
    """
    distinct = sorted(set(rates))
    known = {
        sum(chosen, Decimal(0))
        for count in range(1, min(len(distinct), MOST_TAXES_IN_SUM) + 1)
        for chosen in combinations(distinct, count)
    }
    stated = [tax.rate for tax in order.taxes if tax.rate and tax.amount]
    return [rate for rate in stated if all(abs(rate - each) >= _SAME_RATE for each in known)]
