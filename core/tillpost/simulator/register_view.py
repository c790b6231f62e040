"""The view of an order on a register, as text.

It is all that the person at the till reads of the order. A view is made of sections, and a section
of rows. Amounts stand in a column of their own; those above the total add up to it. What a price
includes already, such as a tax, is written as text.

    Order: B42
    State: new
    Pickup: as soon as possible
    Customer: Mia
    -----------------------------------
    2 x Flat white                11.00
      + 1 x Oat milk               1.00
      Note: extra hot
    -----------------------------------
    Delivery fee                   5.00
    Total AUD                     17.00
    Paid, card                    17.00
    Still due                      0.00
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from tillpost.simulator.ledger import LedgerEntry, LedgerLine

__all__ = [
    "Section",
    "ViewRow",
    "quantified",
    "render",
    "rows_of",
    "settlement",
    "texts",
]

_WIDTH = 48
_AMOUNT_WIDTH = 12


class ViewRow(NamedTuple):
    """A row of a view.

    Attributes:
        text: The text, whole. Each of its lines gets a line of the view.
        amount: An amount in minor units, for the column of amounts.
        depth: How far the text is indented.
    """

    text: str
    amount: int | None = None
    depth: int = 0


Section: TypeAlias = Sequence[ViewRow]
"""The rows between two rules."""


def render(sections: Iterable[Section], exponent: int) -> str:
    """Return a view as text, with the currency's decimal places.

    Empty sections are left out.
    """
    width = _WIDTH + _AMOUNT_WIDTH
    rule = "-" * width
    blocks: list[str] = []
    for section in sections:
        lines: list[str] = []
        for row in section:
            lines.extend(_written(row, exponent))
        if lines:
            blocks.append("\n".join(lines))
    between = f"\n{rule}\n"
    return between.join(blocks) + "\n"


def _written(row: ViewRow, exponent: int) -> Iterator[str]:
    indent = "  " * row.depth
    text_lines = row.text.splitlines() or [""]
    first, *others = text_lines
    line = f"{indent}{first}"
    if row.amount is not None:
        amount = _major(row.amount, exponent)
        line = f"{line:<{_WIDTH}}{amount:>{_AMOUNT_WIDTH}}"
    yield line
    for text in others:
        yield f"{indent}  {text}"


def _major(amount: int, exponent: int) -> Decimal:
    return Decimal(amount).scaleb(-exponent)


def quantified(quantity: Decimal | int, name: str) -> str:
    """Write a quantity and a name: `2 x Flat white`."""
    number = Decimal(quantity).normalize()
    return f"{number:f} x {name}"


def texts(*labelled: tuple[str, str | None], depth: int = 0) -> list[ViewRow]:
    """Return a row for each label with a text: `Note: extra hot`.

    Empty texts are left out.
    """
    return [ViewRow(f"{label}: {text}", depth=depth) for label, text in labelled if text]


def settlement(
    total: int,
    paid: int,
    currency: str,
    payments: Iterable[tuple[str, int]],
) -> list[ViewRow]:
    """Return the rows of the total, of each payment, and of what is still due.

    Args:
        total: What the order comes to.
        paid: What was paid of it.
        currency: The currency of all amounts.
        payments: Each payment's name and amount.
    """
    rows = [ViewRow(f"Total {currency}", total)]
    for name, amount in payments:
        rows.append(ViewRow(f"Paid, {name}", amount))
    rows.append(ViewRow("Still due", total - paid))
    return rows


def rows_of(entry: LedgerEntry) -> list[Section]:
    """Return the view of an order as far as the ledger has it.

    It is for simulators of platforms that have no view of their own.
    """
    lines: list[ViewRow] = []
    for line in entry.lines:
        lines.extend(_line(line))
    head = _head(entry)
    sums = list(_sums(entry))
    return [head, lines, sums]


def _head(entry: LedgerEntry) -> list[ViewRow]:
    name = entry.ticket_name or entry.reference or entry.order_id
    fulfilment = f"{entry.fulfilment} {entry.fulfilment_state}"
    return texts(
        ("Order", name),
        ("State", entry.state),
        ("Fulfilment", fulfilment.strip()),
        ("Due", entry.due_at),
        ("Note", entry.note),
    )


def _line(line: LedgerLine) -> Iterator[ViewRow]:
    text = quantified(line.quantity, line.name)
    amount = line.quantity * line.unit_price
    yield ViewRow(text, int(amount))
    for modifier in line.modifiers:
        quantity = line.quantity * modifier.quantity
        amount = quantity * modifier.unit_price
        text = quantified(modifier.quantity, modifier.name)
        yield ViewRow(f"+ {text}", int(amount), depth=1)
    yield from texts(("Note", line.note), depth=1)


def _sums(entry: LedgerEntry) -> Iterator[ViewRow]:
    for charge in entry.charges:
        yield ViewRow(charge.name, charge.amount)
    for discount in entry.discounts:
        yield ViewRow(discount.name, -discount.amount)
    if entry.tip:
        yield ViewRow("Tip", entry.tip)
    payments: list[tuple[str, int]] = []
    if entry.paid:
        payments.append(("online", entry.paid))
    yield from settlement(
        entry.total,
        entry.paid,
        entry.currency,
        payments,
    )
    # The ledger doesn't say whether a tax is included, so its amount is text.
    for tax in entry.taxes:
        amount = _major(tax.amount, entry.exponent)
        yield ViewRow(f"{tax.name}: {amount} {entry.currency}")
