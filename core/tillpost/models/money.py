"""Money: integer minor units of a currency, converted exactly or not at all.

Throughout Tillpost an amount is an `int` of the currency's smallest unit (cents, yen, fils) beside
a currency code, never a float. Adapters for platforms that use decimals convert with `to_major` and
`to_minor`; `format_money` writes amounts for people.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation
from typing import Annotated

from pydantic import Field, StringConstraints

__all__ = [
    "Amount",
    "Currency",
    "Exact",
    "SignedAmount",
    "exponent",
    "format_money",
    "nearest_minor",
    "to_major",
    "to_minor",
]

Amount = Annotated[int, Field(strict=True, ge=0, le=10**12)]
"""An amount of money in minor units, 0 or more."""

SignedAmount = Annotated[int, Field(strict=True, ge=-(10**12), le=10**12)]
"""An amount of money in minor units that may be negative."""

Exact = Annotated[
    Decimal,
    Field(ge=-(10**12), le=10**12, max_digits=60, decimal_places=40, allow_inf_nan=False),
]
"""A price or a rate with all its decimals.

One of 10^999999 would take minutes to be written.
"""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 code, such as AUD."""

# ISO 4217: the active currencies whose minor unit isn't a hundredth.
_EXPONENTS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}

# Decimal silently rounds to its context's precision. This context raises instead.
_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation])


def exponent(currency: str) -> int:
    """Return a currency's number of decimal places: JPY 0, AUD 2, KWD 3."""
    return _EXPONENTS.get(currency, 2)


def to_major(amount: int, currency: str) -> Decimal:
    """Convert minor units to exact major units with the currency's decimal places.

    >>> to_major(2881, "AUD")
    Decimal('28.81')
    >>> to_major(2881, "KWD")
    Decimal('2.881')
    """
    return Decimal(amount).scaleb(-exponent(currency), context=_EXACT)


def to_minor(amount: Decimal, currency: str) -> int:
    """Convert major units to minor units.

    Raises:
        ValueError: The amount isn't a whole number of minor units.

    >>> to_minor(Decimal("28.81"), "AUD")
    2881
    """
    places = exponent(currency)
    try:
        exact = amount.quantize(Decimal(1).scaleb(-places), context=_EXACT)
        return int(exact.scaleb(places, context=_EXACT))
    except (ArithmeticError, ValueError):
        raise ValueError(f"{amount} {currency} isn't a whole number of minor units") from None


def nearest_minor(amount: Decimal, currency: str) -> int:
    """Round major units to whole minor units, halves away from zero.

    For prices that have more decimals than the currency.

    >>> nearest_minor(Decimal("13.1818") * Decimal("1.1"), "AUD")
    1450
    """
    return int(amount.scaleb(exponent(currency)).to_integral_value(ROUND_HALF_UP))


def format_money(amount: int, currency: str) -> str:
    """Write an amount for people.

    >>> format_money(2881, "AUD"), format_money(500, "JPY")
    ('28.81 AUD', '500 JPY')
    """
    return f"{to_major(amount, currency)} {currency}"
