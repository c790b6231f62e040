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

from tillpost.simulator.ledger import LedgerAmount, LedgerEntry, LedgerLine

__all__ = ["Section", "ViewRow", "quantified", "render", "rows_of", "settlement", "texts"]

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
    rule = "-" * (_WIDTH + _AMOUNT_WIDTH)
    blocks: list[str] = []
    for section in sections:
        lines = [line for row in section for line in _written(row, exponent)]
        if lines:
            blocks.append("\n".join(lines))
    return f"\n{rule}\n".join(blocks) + "\n"


def _written(row: ViewRow, exponent: int) -> Iterator[str]:
    indent = "  " * row.depth
    first, *others = row.text.splitlines() or [""]
    first = f"{indent}{first}"
    if row.amount is None:
        yield first
    else:
        yield f"{first:<{_WIDTH}}{_major(row.amount, exponent):>{_AMOUNT_WIDTH}}"
    for text in others:
        yield f"{indent}  {text}"


def _major(amount: int, exponent: int) -> Decimal:
    return Decimal(amount).scaleb(-exponent)


def quantified(quantity: Decimal | int, name: str) -> str:
    """Write a quantity and a name: `2 x Flat white`."""
    return f"{Decimal(quantity).normalize():f} x {name}"


def texts(*labelled: tuple[str, str | None], depth: int = 0) -> list[ViewRow]:
    """Return a row for each label with a text: `Note: extra hot`.

    Empty texts are left out.
    """
    return [ViewRow(f"{label}: {text}", depth=depth) for label, text in labelled if text]


def settlement(
    total: int, paid: int, currency: str, payments: Iterable[tuple[str, int]]
) -> list[ViewRow]:
    """Return the rows of the total, of each payment, and of what is still due.

    Args:
        total: What the order comes to.
        paid: What was paid of it.
        currency: The currency of all amounts.
        payments: Each payment's name and amount.
    """
    rows = [ViewRow(f"Total {currency}", total)]
    rows += [ViewRow(f"Paid, {name}", amount) for name, amount in payments]
    return [*rows, ViewRow("Still due", total - paid)]


def rows_of(entry: LedgerEntry) -> list[Section]:
    """Return the view of an order as far as the ledger has it.

    It is for simulators of platforms that have no view of their own.
    """
    name = entry.ticket_name or entry.reference or entry.order_id
    head = texts(
        ("Order", name),
        ("State", entry.state),
        ("Fulfilment", f"{entry.fulfilment} {entry.fulfilment_state}".strip()),
        ("Due", entry.due_at),
        ("Note", entry.note),
    )
    lines = [row for line in entry.lines for row in _line(line)]
    sums = [*_amounts(entry.charges, 1), *_amounts(entry.discounts, -1)]
    # The ledger doesn't say whether a tax is included, so its amount is text.
    taxes = [
        ViewRow(f"{tax.name}: {_major(tax.amount, entry.exponent)} {entry.currency}")
        for tax in entry.taxes
    ]
    if entry.tip:
        sums.append(ViewRow("Tip", entry.tip))
    paid = [("online", entry.paid)] if entry.paid else []
    sums += settlement(entry.total, entry.paid, entry.currency, paid)
    return [head, lines, [*sums, *taxes]]


def _line(line: LedgerLine) -> Iterator[ViewRow]:
    each = line.quantity * line.unit_price
    yield ViewRow(quantified(line.quantity, line.name), int(each))
    for modifier in line.modifiers:
        amount = line.quantity * modifier.quantity * modifier.unit_price
        yield ViewRow(f"+ {quantified(modifier.quantity, modifier.name)}", int(amount), 1)
    yield from texts(("Note", line.note), depth=1)


def _amounts(amounts: Iterable[LedgerAmount], sign: int) -> list[ViewRow]:
    return [ViewRow(each.name, sign * each.amount) for each in amounts]
