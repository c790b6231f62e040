"""How an order's total comes about, step by step, and which of its sums are wrong.

`Order` refuses an order whose sums are wrong, and names one field. Who looks for the fault needs
every amount beside it. So `read_unchecked` reads an order with any sums, and `arithmetic` returns
its steps and its faults. Pure: an order in, texts and amounts out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tillpost.models.money import format_money, to_major
from tillpost.models.order import (
    UNCHECKED_SUMS,
    Charge,
    Discount,
    Line,
    Modifier,
    Order,
)

__all__ = ["Arithmetic", "Step", "SumFault", "arithmetic", "read_unchecked"]


class Step(NamedTuple):
    """One step of an order's arithmetic.

    Attributes:
        field: The path of its field, such as `lines[0].discounts[1]`.
        text: What it is, for people.
        how: How its amount is computed, empty where the field has the amount itself.
        amount: The amount in minor units, negative if it is taken off.
        adds: Whether the total has it in addition to the other steps. A modifier's amount is in its
            line's already.
        depth: How deep it is nested.
    """

    field: str
    text: str
    how: str
    amount: int
    adds: bool = True
    depth: int = 0


class SumFault(NamedTuple):
    """A sum of the order that is wrong.

    Attributes:
        field: The path of the field that is wrong.
        text: What is wrong, with the amounts.
        off_by: By how much, in minor units: positive if the field has too much.
    """

    field: str
    text: str
    off_by: int


class Arithmetic(NamedTuple):
    """The arithmetic of an order.

    Attributes:
        steps: What makes the total, in the format's sequence.
        total: The total that the steps make, in minor units.
        settled: What was paid, and what is due.
        faults: The sums that are wrong; empty for an order that `Order` takes.
    """

    steps: Sequence[Step]
    total: int
    settled: Sequence[Step]
    faults: Sequence[SumFault]


def read_unchecked(content: bytes) -> Order:
    """Read an order in the canonical JSON format, whatever its sums.

    Such an order is for `arithmetic` alone.

    Raises:
        ValidationError: Something else than a sum is wrong.
    """
    return Order.model_validate_json(content, context=UNCHECKED_SUMS)


def arithmetic(order: Order) -> Arithmetic:
    """Return how the order's total comes about, and which of its sums are wrong."""
    steps = list(_steps(order))
    total = sum(step.amount for step in steps if step.adds)
    return Arithmetic(steps, total, list(_settled(order)), list(_faults(order, total)))


# The steps
# -------------------------------------------------------------------------------------------------


def _steps(order: Order) -> Iterator[Step]:
    for index, line in enumerate(order.lines):
        yield from _line_steps(f"lines[{index}]", index + 1, line, order.currency)
    for index, charge in enumerate(order.charges):
        yield from _charge_steps(f"charges[{index}]", charge)
    yield from _discount_steps("discounts", order.discounts)
    if order.tip:
        yield Step("tip", "Tip", "", order.tip)
    if order.tax:
        yield Step("tax", "Tax", "", order.tax)
    for index, tax in enumerate(order.taxes):
        rate = "" if tax.rate is None else f" {(100 * tax.rate).normalize():f} %"
        what = "in all prices:" if order.prices_include_tax else "of which"
        depth = 0 if order.prices_include_tax else 1
        text = f"{what} {tax.name}{rate}"
        yield Step(f"taxes[{index}]", text, "", tax.amount, adds=False, depth=depth)


def _line_steps(path: str, number: int, line: Line, currency: str) -> Iterator[Step]:
    how = _product(line.quantity, line.unit_price, line.modifiers, currency)
    yield Step(path, f"{number}. {line.name}", how, line.total)
    yield from _modifier_steps(f"{path}.modifiers", line.modifiers, currency, 1)
    yield from _discount_steps(f"{path}.discounts", line.discounts, 1)


def _modifier_steps(
    path: str, modifiers: Sequence[Modifier], currency: str, depth: int
) -> Iterator[Step]:
    for index, modifier in enumerate(modifiers):
        where = f"{path}[{index}]"
        how = _product(modifier.quantity, modifier.unit_price, modifier.modifiers, currency)
        yield Step(where, modifier.name, how, modifier.total, adds=False, depth=depth)
        yield from _modifier_steps(f"{where}.modifiers", modifier.modifiers, currency, depth + 1)


def _charge_steps(path: str, charge: Charge) -> Iterator[Step]:
    taxed = ", taxed" if charge.taxed else ""
    yield Step(path, f"{charge.name} ({charge.kind}{taxed})", "", charge.amount)
    yield from _discount_steps(f"{path}.discounts", charge.discounts, 1)


def _discount_steps(path: str, discounts: Sequence[Discount], depth: int = 0) -> Iterator[Step]:
    for index, discount in enumerate(discounts):
        yield Step(f"{path}[{index}]", discount.name, "", -discount.amount, depth=depth)


def _settled(order: Order) -> Iterator[Step]:
    for index, payment in enumerate(order.payments):
        yield Step(f"payments[{index}]", f"Paid by {payment.method}", "", payment.amount)
    if order.amount_due:
        yield Step("amount_due", "To pay at the store", "", order.amount_due)


def _product(quantity: int, price: int, modifiers: Sequence[Modifier], currency: str) -> str:
    """Return in numbers how a price with its modifiers is multiplied."""
    price_text = str(to_major(price, currency))
    for modifier in modifiers:
        sign = "-" if modifier.total < 0 else "+"
        price_text += f" {sign} {to_major(abs(modifier.total), currency)}"
    return f"{quantity} x ({price_text})" if modifiers else f"{quantity} x {price_text}"


# The faults
# -------------------------------------------------------------------------------------------------


def _faults(order: Order, total: int) -> Iterator[SumFault]:
    for index, line in enumerate(order.lines):
        yield from _line_faults(f"lines[{index}]", line, order.currency)
    for index, charge in enumerate(order.charges):
        most = max(charge.amount, 0)
        path = f"charges[{index}].discounts"
        yield from _too_large(path, charge.discount, most, "the charge is", order.currency)
    discount = sum(each.amount for each in order.discounts)
    lines = sum(line.discounted for line in order.lines)
    yield from _too_large("discounts", discount, lines, "the lines come to", order.currency)
    yield from _tax_faults(order, total)
    yield from _payment_faults(order, total)


def _line_faults(path: str, line: Line, currency: str) -> Iterator[SumFault]:
    piece = line.total // line.quantity
    if piece < 0:
        cost = format_money(piece, currency)
        yield SumFault(f"{path}.modifiers", f"one piece comes to {cost}, less than nothing", piece)
    yield from _too_large(
        f"{path}.discounts", line.discount, line.total, "the line comes to", currency
    )


def _too_large(path: str, discount: int, most: int, what: str, currency: str) -> Iterator[SumFault]:
    if discount > most:
        taken = format_money(discount, currency)
        text = f"together they take off {taken}, but {what} {format_money(most, currency)}"
        yield SumFault(path, text, discount - most)


def _tax_faults(order: Order, total: int) -> Iterator[SumFault]:
    currency = order.currency
    if order.tax and order.prices_include_tax:
        text = f"{format_money(order.tax, currency)} is added, but the prices include the tax"
        yield SumFault("tax", text, order.tax)
    if not order.taxes:
        return
    in_sum = sum(tax.amount for tax in order.taxes)
    written = format_money(in_sum, currency)
    if not order.prices_include_tax and in_sum != order.tax:
        text = f"they add up to {written}, but tax is {format_money(order.tax, currency)}"
        yield SumFault("taxes", text, in_sum - order.tax)
    elif in_sum > total:
        text = f"they add up to {written}, but the whole order to {format_money(total, currency)}"
        yield SumFault("taxes", text, in_sum - total)


def _payment_faults(order: Order, total: int) -> Iterator[SumFault]:
    settled = order.paid + order.amount_due
    off_by = settled - total
    if off_by == 0:
        return
    currency = order.currency
    what = "with amount_due they add up to" if order.amount_due else "they add up to"
    text = (
        f"{what} {format_money(settled, currency)}, "
        f"but the order comes to {format_money(total, currency)}"
    )
    candidates = _parts_of(order, abs(off_by))
    if candidates:
        text += f"; the difference is as large as {' or '.join(candidates)}"
    yield SumFault("payments", text, off_by)


def _parts_of(order: Order, amount: int) -> Sequence[str]:
    """Return the fields that have just this amount.

    One of them may be missing or doubled.
    """
    steps = (*_steps(order), *_settled(order))
    return [step.field for step in steps if abs(step.amount) == amount]
