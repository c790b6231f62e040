"""The reasons why Square's total isn't what the customer paid.

`mismatch` is called with the order as Square priced it, before the order is undone. The reason is
more than one tax, a price that has changed, a tax that differs, or none of them. All amounts are in
minor units.
"""

from __future__ import annotations

from typing import NamedTuple

from tillpost.adapter import (
    FlatModifier,
    Line,
    MenuError,
    Order,
    PosError,
    SetupError,
    TaxError,
    format_money,
)
from tillpost_square.wire import LineItem, PricedOrder

__all__ = ["mismatch"]


class _Prices(NamedTuple):
    """The price of one piece of a line with its modifiers.

    It is here twice: Square's, and the one that was paid.
    """

    square: int
    paid: int


def mismatch(order: Order, priced: PricedOrder, due: int) -> PosError | None:
    """Return the error that explains why Square's total isn't `due`, None if it is."""
    total = priced.total_money.amount
    if total == due:
        return None

    def money(amount: int) -> str:
        return format_money(amount, order.currency)

    totals = f"Square's total is {money(total)}, not {money(due)}"
    # A charge's tax is listed beside the same tax of the lines.
    taxes = tuple(dict.fromkeys(tax.name or "an unnamed tax" for tax in priced.taxes))
    if len(taxes) > 1:
        names = " and ".join(taxes)
        text = f"{totals}: more than one tax applies, {names}"
        return TaxError(text, subjects=taxes)

    changed = _changed_prices(order, priced)
    if changed:
        details: list[str] = []
        for index, prices in changed.items():
            line_number = index + 1
            square = money(prices.square)
            paid = money(prices.paid)
            details.append(f"line {line_number}: {square}, paid {paid}")
        text = f"{totals}: {'; '.join(details)}"
        return MenuError(text, lines=tuple(changed), reason="price")

    added_tax = _added_tax(priced)
    if added_tax != order.tax:
        added = money(added_tax)
        ordered = money(order.tax)
        text = f"{totals}: Square adds {added} of tax, the order has {ordered}"
        return TaxError(text, subjects=taxes)
    return SetupError(f"{totals}, although neither taxes nor prices differ")


def _added_tax(priced: PricedOrder) -> int:
    """Return the tax that Square adds to the prices.

    The tax that is included in them doesn't count.
    """
    amounts = [
        tax.applied_money.amount
        for tax in priced.taxes
        if tax.type == "ADDITIVE" and tax.applied_money
    ]
    return sum(amounts)


def _changed_prices(order: Order, priced: PricedOrder) -> dict[int, _Prices]:
    """Return the lines whose catalogue price isn't the paid one, by index."""
    items = {item.uid: item for item in priced.line_items}
    changed: dict[int, _Prices] = {}
    for index, line in enumerate(order.lines):
        item = items.get(f"line-{index}")
        if item is None:
            continue
        prices = _differing_prices(line, item)
        if prices is not None:
            changed[index] = prices
    return changed


def _differing_prices(line: Line, item: LineItem) -> _Prices | None:
    """Return both prices of a line if its own price or a modifier's differs.

    Otherwise the result is None.
    """
    if item.base_price_money is None:
        return None
    square = item.base_price_money.amount
    paid = line.unit_price
    differs = square != paid
    chosen: dict[str, list[FlatModifier]] = {}
    for flat in line.flat_modifiers():
        chosen.setdefault(flat.modifier.modifier_id, []).append(flat)
    for modifier in item.modifiers:
        ordered = chosen.get(modifier.catalog_object_id)
        if not ordered or modifier.base_price_money is None:
            continue
        modifier_price = modifier.base_price_money.amount
        one = ordered.pop(0)
        square += modifier_price * one.quantity
        paid += one.modifier.unit_price * one.quantity
        # Two differences may cancel out in the sums, so each modifier is compared.
        if modifier_price != one.modifier.unit_price:
            differs = True
    if not differs:
        return None
    return _Prices(square, paid)
