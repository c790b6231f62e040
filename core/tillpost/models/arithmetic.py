"""How an order's total comes about, step by step, and which of its sums are wrong.

`Order` refuses an order whose sums are wrong, and names one field. Who looks for the fault needs
every amount beside it. So `read_unchecked` reads an order with any sums, and `arithmetic` returns
its steps and its faults. Pure: an order in, texts and amounts out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tillpost.models.money import to_major
from tillpost.models.order import (
    UNCHECKED_SUMS,
    Charge,
    Discount,
    Line,
    Modifier,
    Order,
)
from tillpost.models.sums import (
    WrongSum,
    wrong_discounts,
    wrong_payments,
    wrong_piece,
    wrong_tax,
    wrong_taxes,
)

__all__ = [
    "Arithmetic",
    "Step",
    "SumFault",
    "arithmetic",
    "read_unchecked",
]


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
    settled = list(_settled(order))
    faults = list(_faults(order, total))
    return Arithmetic(steps, total, settled, faults)


# The steps
# -------------------------------------------------------------------------------------------------


def _steps(order: Order) -> Iterator[Step]:
    for index, line in enumerate(order.lines):
        yield from _line_steps(index, line, order.currency)
    for index, charge in enumerate(order.charges):
        yield from _charge_steps(f"charges[{index}]", charge)
    yield from _discount_steps("discounts", order.discounts)
    if order.tip:
        yield Step("tip", "Tip", "", order.tip)
    if order.tax:
        yield Step("tax", "Tax", "", order.tax)
    yield from _tax_steps(order)


def _line_steps(index: int, line: Line, currency: str) -> Iterator[Step]:
    path = f"lines[{index}]"
    text = f"{index + 1}. {line.name}"
    how = _product(line, currency)
    yield Step(path, text, how, line.total)
    yield from _modifier_steps(f"{path}.modifiers", line.modifiers, currency, depth=1)
    yield from _discount_steps(f"{path}.discounts", line.discounts, depth=1)


def _modifier_steps(
    path: str,
    modifiers: Sequence[Modifier],
    currency: str,
    depth: int,
) -> Iterator[Step]:
    for index, modifier in enumerate(modifiers):
        modifier_path = f"{path}[{index}]"
        yield Step(
            modifier_path,
            modifier.name,
            _product(modifier, currency),
            modifier.total,
            adds=False,
            depth=depth,
        )
        yield from _modifier_steps(
            f"{modifier_path}.modifiers",
            modifier.modifiers,
            currency,
            depth + 1,
        )


def _charge_steps(path: str, charge: Charge) -> Iterator[Step]:
    kind = f"{charge.kind}, taxed" if charge.taxed else charge.kind
    text = f"{charge.name} ({kind})"
    yield Step(path, text, "", charge.amount)
    yield from _discount_steps(f"{path}.discounts", charge.discounts, depth=1)


def _discount_steps(
    path: str,
    discounts: Sequence[Discount],
    depth: int = 0,
) -> Iterator[Step]:
    for index, discount in enumerate(discounts):
        yield Step(
            f"{path}[{index}]",
            discount.name,
            "",
            -discount.amount,
            depth=depth,
        )


def _tax_steps(order: Order) -> Iterator[Step]:
    what = "in all prices:" if order.prices_include_tax else "of which"
    depth = 0 if order.prices_include_tax else 1
    for index, tax in enumerate(order.taxes):
        text = f"{what} {tax.name}"
        if tax.rate is not None:
            percent = (100 * tax.rate).normalize()
            text += f" {percent:f} %"
        yield Step(
            f"taxes[{index}]",
            text,
            "",
            tax.amount,
            adds=False,
            depth=depth,
        )


def _settled(order: Order) -> Iterator[Step]:
    for index, payment in enumerate(order.payments):
        path = f"payments[{index}]"
        yield Step(path, f"Paid by {payment.method}", "", payment.amount)
    if order.amount_due:
        yield Step("amount_due", "To pay at the store", "", order.amount_due)


def _product(part: Line | Modifier, currency: str) -> str:
    """Return in numbers how the part's price with its modifiers is multiplied."""
    price = str(to_major(part.unit_price, currency))
    for modifier in part.modifiers:
        sign = "-" if modifier.total < 0 else "+"
        amount = to_major(abs(modifier.total), currency)
        price += f" {sign} {amount}"
    if part.modifiers:
        price = f"({price})"
    return f"{part.quantity} x {price}"


# The faults
# -------------------------------------------------------------------------------------------------


def _faults(order: Order, total: int) -> Iterator[SumFault]:
    for field, wrong in _sums(order, total):
        if wrong:
            yield SumFault(field, wrong.text, wrong.off_by)


def _sums(order: Order, total: int) -> Iterator[tuple[str, WrongSum | None]]:
    """Yield the path of each field whose sum has a rule, with what is wrong with it."""
    currency = order.currency
    for index, line in enumerate(order.lines):
        path = f"lines[{index}]"
        piece = line.total // line.quantity
        yield f"{path}.modifiers", wrong_piece(piece, currency)
        wrong = wrong_discounts(line.discount, line.total, "the line costs", currency)
        yield f"{path}.discounts", wrong
    for index, charge in enumerate(order.charges):
        most = max(charge.amount, 0)
        wrong = wrong_discounts(charge.discount, most, "the charge", currency)
        yield f"charges[{index}].discounts", wrong
    discount = sum(each.amount for each in order.discounts)
    lines = sum(line.discounted for line in order.lines)
    yield "discounts", wrong_discounts(discount, lines, "the lines cost", currency)
    is_included = order.prices_include_tax
    yield "tax", wrong_tax(order.tax, prices_include_tax=is_included)
    if order.taxes:
        listed = sum(tax.amount for tax in order.taxes)
        wrong = wrong_taxes(
            listed,
            order.tax,
            total,
            currency,
            prices_include_tax=is_included,
        )
        yield "taxes", wrong
    yield "payments", _payments(order, total)


def _payments(order: Order, total: int) -> WrongSum | None:
    """Return what is wrong with the payments, with what may be missing or doubled."""
    wrong = wrong_payments(order.paid, order.amount_due, total, order.currency)
    if wrong is None:
        return None
    candidates = _parts_of(order, abs(wrong.off_by))
    if not candidates:
        return wrong
    fields = " or ".join(candidates)
    text = f"{wrong.text}; the difference is as large as {fields}"
    return wrong._replace(text=text)


def _parts_of(order: Order, amount: int) -> Sequence[str]:
    """Return the fields that have just this amount.

    One of them may be missing or doubled.
    """
    steps = [*_steps(order), *_settled(order)]
    return [step.field for step in steps if abs(step.amount) == amount]
