"""Refuses arguments of a wrong type, in one line that says what is right.

A type checker says the same earlier. These are for those who don't run one: a wrong argument is
refused by the call that got it, not by an `AttributeError` of ours long after. The value itself is
never shown, since it may be a token or a customer's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tillpost.models.order import Order

__all__ = ["require_list", "require_order", "require_type"]


def require_type(name: str, value: object, wanted: type) -> None:
    """Raise `TypeError` unless a value is of a class.

    >>> require_type("connection", 42, str)
    Traceback (most recent call last):
    TypeError: connection must be a str, not int
    """
    if not isinstance(value, wanted):
        article = "an" if wanted.__name__[0] in "AEIOU" else "a"
        given = type(value).__name__
        raise TypeError(f"{name} must be {article} {wanted.__name__}, not {given}")


def require_list(name: str, value: object, members: str) -> None:
    """Raise `TypeError` for a text, a mapping or a single object in place of a list."""
    given = type(value).__name__
    is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    if not is_list:
        raise TypeError(f"{name} must be a list of {members}, not {given}")


def require_order(value: object) -> None:
    """Raise `TypeError` for what is no `Order`, such as the dict it is made of."""
    if not isinstance(value, Order):
        raise TypeError("an order is a tillpost.Order: Order.model_validate(...) makes one")
