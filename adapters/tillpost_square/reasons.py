"""Why Square's total isn't what the customer paid: more than one tax, a price that has drifted, or neither.

Called with the order as Square has priced it, before it is undone; all amounts are minor units.
"""

from __future__ import annotations

from tillpost.adapter import Line, MenuError, Order, PosError, SetupError, TaxError, format_money
from tillpost_square.wire import LineItem, PricedOrder

__all__ = ["mismatch"]


def mismatch(order: Order, priced: PricedOrder, due: int) -> PosError | None:
    """Return the error that explains a total other than `due`; None when it is right."""
    total = priced.total_money.amount
    if total == due:
        return None
    totals = f"Square's total is {format_money(total, order.currency)}, not {format_money(due, order.currency)}"
    taxes = tuple(tax.name or "an unnamed tax" for tax in priced.taxes)
    if len(taxes) > 1:
        return TaxError(
            f"{totals}: more than one tax applies, {' and '.join(taxes)}", subjects=taxes
        )
    drifted = _drifted(order, priced)
    if drifted:
        prices = "; ".join(f"line {index + 1}: {text}" for index, text in drifted.items())
        return MenuError(f"{totals}: {prices}", lines=tuple(drifted), reason="price")
    added = sum(
        tax.applied_money.amount
        for tax in priced.taxes
        if tax.type == "ADDITIVE" and tax.applied_money
    )
    if added != order.tax:
        said = f"Square adds {format_money(added, order.currency)} of tax, the order holds"
        return TaxError(
            f"{totals}: {said} {format_money(order.tax, order.currency)}", subjects=taxes
        )
    return SetupError(f"{totals}, though neither taxes nor prices differ")


def _drifted(order: Order, priced: PricedOrder) -> dict[int, str]:
    """Return the lines whose price of the catalogue isn't the paid one, by index, with both prices."""
    by_uid = {item.uid: item for item in priced.line_items}
    found: dict[int, str] = {}
    for index, line in enumerate(order.lines):
        item = by_uid.get(f"line-{index}")
        if item is not None and (differing := _differing(line, item)):
            there, paid = differing
            found[index] = (
                f"{format_money(there, order.currency)}, paid {format_money(paid, order.currency)}"
            )
    return found


def _differing(line: Line, item: LineItem) -> tuple[int, int] | None:
    """Return Square's price for one piece with its modifiers, and the paid one, when they differ anywhere."""
    wanted = {modifier.modifier_id: modifier for modifier in line.modifiers}
    price, paid = item.base_price_money, line.unit_price
    if price is None:
        return None
    there, differs = price.amount, price.amount != paid
    for modifier in item.modifiers:
        known = wanted.get(modifier.catalog_object_id)
        if known is not None and modifier.base_price_money is not None:
            there += modifier.base_price_money.amount * known.quantity
            paid += known.unit_price * known.quantity
            differs = differs or modifier.base_price_money.amount != known.unit_price
    return (there, paid) if differs else None
