"""Amounts of ordering sites in minor units, exactly: no float ever holds money."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from tillpost import Charge, Payment
from tillpost.adapter import format_money, to_minor

__all__ = ["check_total", "due", "minor", "rounding", "unit_price"]


def minor(amount: str | int | Decimal, currency: str) -> int:
    """Return an amount in minor units.

    Raises:
        ValueError: It isn't a whole number of them.

    >>> minor("12.50", "AUD"), minor("1200", "JPY"), minor("1.250", "KWD")
    (1250, 1200, 1250)
    """
    return to_minor(Decimal(amount), currency)


def unit_price(line: int, quantity: int) -> int:
    """Return the price of one piece of a line, to the nearest minor unit.

    >>> unit_price(1000, 3)
    333
    """
    return (2 * line + quantity) // (2 * quantity)


def due(field: str, total: int, payments: Iterable[Payment], currency: str) -> int:
    """Return what isn't paid yet.

    Args:
        field: Where the site has the payments.
        total: The site's own total, in minor units.
        payments: What was paid online.
        currency: The order's currency.

    Raises:
        ValueError: More was paid than the order costs.
    """
    paid = sum(payment.amount for payment in payments)
    if paid > total:
        costs = format_money(total, currency)
        raise ValueError(
            f"{field}: {format_money(paid, currency)} were paid, but the order costs {costs}"
        )
    return total - paid


def check_total(field: str, difference: int, steps: int, currency: str) -> None:
    """Check that the order's parts come to the site's total.

    Args:
        field: Where the site has the total.
        difference: The site's total less that of the order's parts, in minor units.
        steps: How many amounts the site has rounded.
        currency: The order's currency.

    Raises:
        ValueError: The difference is more than rounding can explain.
    """
    if abs(difference) > steps:
        is_less = difference < 0
        compared = "less" if is_less else "more"
        cause = "a gift card or a credit" if is_less else "a fee"
        raise ValueError(
            f"{field}: it is {format_money(abs(difference), currency)} {compared} than the order's "
            f"parts come to; {cause} may be in a field that this mapping doesn't read"
        )


def rounding(difference: int) -> Sequence[Charge]:
    """Return as a charge what the site's rounding comes to."""
    return [Charge(kind="rounding", name="Rounding", amount=difference)] if difference else []
