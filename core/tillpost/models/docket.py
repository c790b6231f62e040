"""The docket of an order that is keyed in by hand: everything the kitchen and the register need, as plain text.

    print(docket(order, platform="Square"))

It is marked PAID, since the customer has paid online: whoever keys it in takes no money.
`copy_may_appear` adds that the platform may still bring a copy of it to the register. `spelled_out`
is the same for a platform's note, where space is short. Pure: an order in, lines of text out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from tillpost.models.money import to_major
from tillpost.models.order import Delivery, DineIn, Order

__all__ = ["CUT", "WIDTH", "docket", "spelled_out"]

WIDTH = 42
"""How many characters a docket's line has: those of an 80 mm printer's usual font."""


def docket(
    order: Order, *, platform: str, copy_may_appear: bool = False, width: int = WIDTH
) -> str:
    """Return the order as a docket, its lines at most `width` characters long."""
    return "\n".join(_lines(order, platform, copy_may_appear, width)) + "\n"


CUT = "(CUT HERE: the rest of the order is at the ordering site)"
"""What a text ends with that is too long for where it goes."""

_ONE_LINE = 10_000


def spelled_out(order: Order, *, platform: str, most: int) -> str:
    """Return the whole order as a note of at most `most` characters (100 at least), for a ticket that stands for it.

    What doesn't fit is left out from the end on, in whole lines where possible, and `CUT` says so.
    """
    lines = docket(order, platform=platform, copy_may_appear=True, width=_ONE_LINE).splitlines()
    rules = ("=" * _ONE_LINE, "-" * _ONE_LINE)
    text = "\n".join(" ".join(line.split()) for line in lines if line not in rules)
    if len(text) <= most:
        return text
    kept = text[: most - len(CUT)]
    return (kept[: kept.rfind("\n") + 1] or kept) + CUT


def _lines(order: Order, platform: str, copy_may_appear: bool, width: int) -> Iterator[str]:
    yield "=" * width
    yield "PAID ONLINE - TAKE NO MONEY".center(width).rstrip()
    yield "=" * width
    if copy_may_appear:
        yield from _wrapped(
            f"A COPY OF THIS ORDER MAY STILL APPEAR ON {platform.upper()}. COOK IT ONCE.", width
        )
        yield "-" * width
    yield from _wrapped(f"Order {order.code}   ({order.id})", width)
    if order.customer:
        yield from _wrapped(
            " ".join(part for part in (order.customer.name, order.customer.phone) if part), width
        )
    yield from _wrapped(_how(order), width)
    yield "-" * width
    for line in order.lines:
        yield from _priced(f"{line.quantity} x {line.name}", line.total, order.currency, width)
        for modifier in line.modifiers:
            yield from _wrapped(
                f"+ {_count(modifier.quantity)}{modifier.name}", width, indent="    "
            )
        if line.note:
            yield from _wrapped(f"NOTE: {line.note}", width, indent="    ")
    yield "-" * width
    for charge in order.charges:
        yield from _priced(charge.name, charge.amount, order.currency, width)
    for discount in order.discounts:
        yield from _priced(discount.name, -discount.amount, order.currency, width)
    if order.tax:
        yield from _priced("Tax", order.tax, order.currency, width)
    if order.tip:
        yield from _priced("Tip", order.tip, order.currency, width)
    yield from _priced("TOTAL, PAID", order.total, order.currency, width)
    if order.note:
        yield "-" * width
        yield from _wrapped(f"NOTE: {order.note}", width)
    yield "=" * width


def _how(order: Order) -> str:
    due = f"for {order.due_at:%a %d %b %H:%M}" if order.due_at else "as soon as possible"
    match order.fulfilment:
        case Delivery(address=address, instructions=instructions):
            return f"DELIVERY {due}: {address}" + (f" ({instructions})" if instructions else "")
        case DineIn(table=table):
            return f"DINE IN {due}, TABLE {table}"
        case _:
            return f"PICKUP {due}"


def _count(quantity: int) -> str:
    return f"{quantity} x " if quantity > 1 else ""


def _priced(text: str, amount: int, currency: str, width: int) -> Iterator[str]:
    """A text with an amount at the right edge; the last of several lines has it."""
    price = str(to_major(amount, currency))
    *above, last = textwrap.wrap(text, max(8, width - len(price) - 1)) or [""]
    yield from above
    yield f"{last:<{max(0, width - len(price) - 1)}} {price}"


def _wrapped(text: str, width: int, indent: str = "") -> Iterator[str]:
    yield from textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent) or [
        indent
    ]
