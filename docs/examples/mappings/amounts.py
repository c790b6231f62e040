"""Amounts of ordering sites in minor units, exactly: no float ever holds money."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tillpost import Charge
from tillpost.adapter import to_minor

__all__ = ["minor", "read_json", "rounding", "unit_price"]


def read_json(path: str) -> Any:
    """Read a JSON file; numbers with a point are decimals."""
    text = Path(path).read_text(encoding="utf-8")
    return json.loads(text, parse_float=Decimal)


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


def rounding(difference: int, steps: int) -> Sequence[Charge]:
    """Return what the site's rounding comes to as a charge.

    Args:
        difference: The site's total less that of the order's parts, in minor units.
        steps: How many amounts the site has rounded.

    Raises:
        ValueError: The difference is more than rounding can explain.
    """
    if difference == 0:
        return []
    if abs(difference) > steps:
        raise ValueError(f"total: its parts differ from it by {difference} minor units")
    return [Charge(kind="rounding", name="Rounding", amount=difference)]
