"""The docket of an order that staff key in by hand, as plain text.

    print(docket(order, platform="Square"))

It has everything that the kitchen and the register need. It begins with what staff must take from
the customer: nothing if the order was paid online, else the amount due. `spelled_out` returns the
same for a note at a platform, where space is short. Pure: an order in, text out.

What customers and menus say is one line each, without controls: a docket goes to a printer.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from tillpost.models.due_time import due_in_words
from tillpost.models.money import format_money, to_major
from tillpost.models.order import (
    Charge,
    Curbside,
    Delivery,
    DineIn,
    Discount,
    Fulfilment,
    Line,
    Modifier,
    Order,
    Payment,
    Pickup,
)
from tillpost.models.safe_text import one_line

__all__ = [
    "CUT",
    "WIDTH",
    "charge_text",
    "destination",
    "discount_text",
    "docket",
    "nested_choices",
    "payment_text",
    "spelled_out",
    "spelled_out_in_parts",
]

WIDTH = 42
"""Characters in a docket's line: those of an 80 mm printer's usual font."""

CUT = "(CUT HERE: the rest of the order is at the ordering site)"
"""The end of a text that is too long for its place."""

_INDENT = "    "
_ONE_LINE = 10_000


def docket(
    order: Order,
    *,
    platform: str,
    copy_may_appear: bool = False,
    width: int = WIDTH,
) -> str:
    """Return the order as a docket.

    Args:
        order: The order.
        platform: The platform's name for people.
        copy_may_appear: Whether to warn that the platform may still bring a copy to the register.
        width: The length of a line, in characters.
    """
    lines = _lines(
        order,
        platform,
        copy_may_appear=copy_may_appear,
        width=width,
    )
    return "\n".join(lines) + "\n"


def spelled_out(order: Order, *, platform: str, most: int) -> str:
    """Return the whole order as a note of at most `most` characters (100 at least).

    A longer text is cut at the end, between two lines where possible, and ends with `CUT`.
    """
    text = _in_one_text(order, platform, notes_first=False)
    return _cut(text, most)


def spelled_out_in_parts(
    order: Order,
    *,
    platform: str,
    most: int,
    most_parts: int,
) -> tuple[str, ...]:
    """Return the whole order as several notes.

    Each has at most `most` characters (100 at least). If one isn't enough, what the customer wrote
    comes before the lines. What doesn't fit into `most_parts` notes is cut, as `spelled_out` cuts
    it.
    """
    text = _in_one_text(order, platform, notes_first=False)
    if len(text) > most:
        text = _in_one_text(order, platform, notes_first=True)
    parts: list[str] = []
    while len(text) > most and len(parts) < most_parts - 1:
        part = _beginning(text, most)
        parts.append(part.rstrip())
        text = text[len(part) :]
    rest = _cut(text, most)
    return (*parts, rest)


def _in_one_text(order: Order, platform: str, *, notes_first: bool) -> str:
    """Return the docket without rules and spaces that only fill a line."""
    whole = _lines(
        order,
        platform,
        copy_may_appear=True,
        width=_ONE_LINE,
        notes_first=notes_first,
    )
    rules = ("=" * _ONE_LINE, "-" * _ONE_LINE)
    lines: list[str] = []
    for line in whole:
        if line not in rules:
            words = line.split()
            lines.append(" ".join(words))
    return "\n".join(lines)


def _cut(text: str, most: int) -> str:
    """Return a text of at most `most` characters, with `CUT` at the end if it is cut."""
    if len(text) <= most:
        return text
    room = most - len(CUT)
    return _beginning(text, room) + CUT


def _beginning(text: str, room: int) -> str:
    """Return the lines that there is room for, or the words of the first."""
    beginning = text[:room]
    end = beginning.rfind("\n") + 1 or beginning.rfind(" ") + 1
    return beginning[:end] or beginning


def _lines(
    order: Order,
    platform: str,
    *,
    copy_may_appear: bool,
    width: int,
    notes_first: bool = False,
) -> Iterator[str]:
    yield "=" * width
    yield _to_take(order).center(width).rstrip()
    yield "=" * width
    if copy_may_appear:
        warning = f"A COPY OF THIS ORDER MAY STILL APPEAR ON {platform.upper()}. COOK IT ONCE."
        yield from _wrapped(warning, width)
        yield "-" * width
    yield from _wrapped(f"Order {order.code}   ({order.id})", width)
    if order.customer:
        customer = order.customer
        contact = f"{customer.name} {customer.phone}".strip()
        yield from _wrapped(contact, width)
    yield from _wrapped(_fulfilment(order), width)
    if order.note:
        # Before the lines, so that no cut takes away an allergy.
        yield "-" * width
        yield from _wrapped(f"NOTE: {order.note}", width)
    if notes_first:
        yield from _line_notes(order, width)
    yield "-" * width
    for line in order.lines:
        yield from _order_line(line, order.currency, width)
    yield "-" * width
    yield from _totals(order, width)
    yield "=" * width


def _line_notes(order: Order, width: int) -> Iterator[str]:
    """Yield each note on lines once, with the names of the lines that have it."""
    notes = [line.note for line in order.lines if line.note]
    for note in dict.fromkeys(notes):
        names = [line.name for line in order.lines if line.note == note]
        distinct_names = ", ".join(dict.fromkeys(names))
        yield from _wrapped(f"NOTE ON {distinct_names}: {note}", width)


def _to_take(order: Order) -> str:
    if not order.amount_due:
        return "PAID ONLINE - TAKE NO MONEY"
    paid = "PARTLY PAID" if order.paid else "NOT PAID"
    amount = format_money(order.amount_due, order.currency)
    return f"{paid} - TAKE {amount}"


def _fulfilment(order: Order) -> str:
    due = "as soon as possible"
    if order.due_at:
        due = f"for {due_in_words(order.due_at)}"
    match order.fulfilment:
        case Delivery(address=address, instructions=instructions):
            text = f"DELIVERY {due}: {address}"
            if instructions:
                text += f" ({instructions})"
            return text
        case DineIn():
            return f"DINE IN {due}, {destination(order.fulfilment)}"
        case Pickup(curbside=Curbside(details=details)):
            return f"CURBSIDE PICKUP {due}: {details}".removesuffix(": ")
        case _:
            return f"PICKUP {due}"


def _order_line(line: Line, currency: str, width: int) -> Iterator[str]:
    yield from _priced(f"{line.quantity} x {line.name}", line.total, currency, width)
    yield from _modifiers(line.modifiers, width, _INDENT)
    for discount in line.discounts:
        yield from _priced(f"{_INDENT}{discount.name}", -discount.amount, currency, width)
    if line.note:
        yield from _wrapped(f"NOTE: {line.note}", width, _INDENT)


def _modifiers(modifiers: Sequence[Modifier], width: int, indent: str) -> Iterator[str]:
    """Yield a line for each modifier; what was chosen on it follows, further in."""
    for modifier in modifiers:
        text = modifier.name
        if modifier.quantity > 1:
            text = f"{modifier.quantity} x {text}"
        yield from _wrapped(f"+ {text}", width, indent)
        yield from _modifiers(modifier.modifiers, width, indent + _INDENT)


def _totals(order: Order, width: int) -> Iterator[str]:
    amounts: list[tuple[str, int]] = []
    for charge in order.charges:
        amounts.append((charge.name, charge.amount))
        amounts += [(discount.name, -discount.amount) for discount in charge.discounts]
    amounts += [(discount.name, -discount.amount) for discount in order.discounts]
    amounts += _added_taxes(order)
    if order.tip:
        amounts.append(("Tip", order.tip))
    if order.amount_due:
        amounts.append(("TOTAL", order.total))
        amounts.append(("PAID ONLINE", order.paid))
        amounts.append(("TO PAY AT THE STORE", order.amount_due))
    else:
        amounts.append(("TOTAL, PAID", order.total))
    for name, amount in amounts:
        yield from _priced(name, amount, order.currency, width)


def _added_taxes(order: Order) -> list[tuple[str, int]]:
    """Return the tax that the site added.

    That is each tax by its name, or their sum if it doesn't name them.
    """
    if not order.tax:
        return []
    named = [(tax.name, tax.amount) for tax in order.taxes if tax.amount]
    return named or [("Tax", order.tax)]


def _priced(text: str, amount: int, currency: str, width: int) -> Iterator[str]:
    """Yield a text with an amount at the right edge of its last line."""
    price = str(to_major(amount, currency))
    room = width - len(price) - 1
    indent = " " * (len(text) - len(text.lstrip(" ")))
    wrapped = textwrap.wrap(
        one_line(text),
        max(8, room),
        initial_indent=indent,
        subsequent_indent=indent,
    )
    *above, last = wrapped or [indent]
    yield from above
    padded = last.ljust(max(0, room))
    yield f"{padded} {price}"


def _wrapped(text: str, width: int, indent: str = "") -> Iterator[str]:
    lines = textwrap.wrap(
        one_line(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
    )
    yield from lines or [indent]


def destination(fulfilment: Fulfilment) -> str:
    """Return where an order goes, for a platform without a field for it.

    That is the address, the table or the car; the text is empty for a plain pickup.
    """
    match fulfilment:
        case Delivery(address=address):
            return f"DELIVER TO: {address}"
        case DineIn(table=table, guests=guests):
            text = f"TABLE {table}"
            if guests:
                text += f", {guests} GUESTS"
            return text
        case Pickup(curbside=Curbside(details=details)):
            return f"CURBSIDE PICKUP: {details}" if details else "CURBSIDE PICKUP"
        case _:
            return ""


def discount_text(discount: Discount, currency: str) -> str:
    """Return a discount by name and amount: "WELCOME -2.00 AUD"."""
    amount = format_money(discount.amount, currency)
    return f"{discount.name} -{amount}"


def charge_text(charge: Charge, currency: str) -> str:
    """Return a charge with its discounts, by names and amounts.

    Such a text is "Delivery 5.00 AUD, FREE DELIVERY -5.00 AUD".
    """
    amount = format_money(charge.amount, currency)
    texts = [f"{charge.name} {amount}"]
    texts += [discount_text(discount, currency) for discount in charge.discounts]
    return ", ".join(texts)


def payment_text(payment: Payment, currency: str) -> str:
    """Return a payment with its reference: "card 28.81 AUD pi_3PabcDEF"."""
    amount = format_money(payment.amount, currency)
    return f"{payment.method} {amount} {payment.reference}".strip()


def nested_choices(line: Line) -> str:
    """Return in words what belongs to what among a line's modifiers.

    The text is empty if none is nested. For a platform that knows no nesting, and gets all of them
    side by side: "Left half (Margherita, 2 x Extra cheese); Right half (Napoli)".
    """
    nested = [modifier for modifier in line.modifiers if modifier.modifiers]
    return "; ".join(one_line(_with_choices(modifier)) for modifier in nested)


def _with_choices(modifier: Modifier) -> str:
    text = modifier.name
    if modifier.quantity > 1:
        text = f"{modifier.quantity} x {text}"
    if not modifier.modifiers:
        return text
    inner = ", ".join(_with_choices(each) for each in modifier.modifiers)
    return f"{text} ({inner})"
