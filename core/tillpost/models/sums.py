"""The rules of an order's sums.

Each rule stands here once, for the models that refuse a wrong sum and for `arithmetic`, which
explains it. A rule takes amounts in minor units. It returns what is wrong, or None.
"""

from __future__ import annotations

from typing import NamedTuple

from tillpost.models.money import format_money

__all__ = [
    "WrongSum",
    "wrong_discounts",
    "wrong_payments",
    "wrong_piece",
    "wrong_tax",
    "wrong_taxes",
]


class WrongSum(NamedTuple):
    """A sum that is wrong.

    Attributes:
        text: What is wrong with it.
        off_by: By how much, in minor units: positive if it is too much.
    """

    text: str
    off_by: int


def wrong_piece(cost: int, currency: str = "") -> WrongSum | None:
    """Return what is wrong with the price of one piece with its modifiers.

    The currency is empty where a part of an order doesn't know it.
    """
    if cost >= 0:
        return None
    text = "one piece with its modifiers costs less than nothing"
    if currency:
        text += f": {format_money(cost, currency)}"
    return WrongSum(text, cost)


def wrong_discounts(discount: int, most: int, what: str, currency: str = "") -> WrongSum | None:
    """Return what is wrong with discounts that come to `discount`.

    Args:
        discount: What they take off together.
        most: What they may take off.
        what: What that is, such as "the line costs".
        currency: The order's currency; empty where a part of an order doesn't know it.
    """
    if discount <= most:
        return None
    text = f"together they take off more than {what}"
    if currency:
        text += f": {format_money(discount, currency)} of {format_money(most, currency)}"
    return WrongSum(text, discount - most)


def wrong_tax(tax: int, *, prices_include_tax: bool) -> WrongSum | None:
    """Return what is wrong with the tax that is added to the prices."""
    if not (tax and prices_include_tax):
        return None
    text = "goes only with prices_include_tax false; here the prices include the tax"
    return WrongSum(text, tax)


def wrong_taxes(
    listed: int, tax: int, total: int, currency: str, *, prices_include_tax: bool
) -> WrongSum | None:
    """Return what is wrong with the site's own taxes, of which there is at least one.

    Args:
        listed: What they come to.
        tax: The order's tax on top of its prices.
        total: The order's total.
        currency: The order's currency.
        prices_include_tax: Whether its prices include tax.
    """
    written = format_money(listed, currency)
    if not prices_include_tax and listed != tax:
        text = f"they add up to {written}, but tax is {format_money(tax, currency)}"
        return WrongSum(text, listed - tax)
    if listed > total:
        text = f"they add up to {written}, which is more than the order's total"
        return WrongSum(text, listed - total)
    return None


def wrong_payments(paid: int, amount_due: int, total: int, currency: str) -> WrongSum | None:
    """Return what is wrong with what was paid and what is due of a total."""
    settled = paid + amount_due
    if settled == total:
        return None
    what = "with amount_due they add up to" if amount_due else "they add up to"
    text = (
        f"{what} {format_money(settled, currency)}, "
        f"but the order's total is {format_money(total, currency)}"
    )
    return WrongSum(text, settled - total)
