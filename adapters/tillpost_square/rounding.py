"""What makes up for what Square rounds differently than the ordering site.

That is a tax, or prices that the site converted, since they have tax at one of them only.

The customer has paid, so Square's total must become what was paid. A total that is too low gets a
service charge in the total phase, which has no tax. One that is too high gets a discount; that may
lower the tax as well, and then a service charge makes up for that. Where the lines cost nothing, a
charge is lowered instead. All of it is little more than rounding explains
(`reasons.is_only_rounding`), and is changed on the unpaid order by an UpdateOrder (developer
documentation: Update orders).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tillpost.adapter import Order, format_money, tax_difference
from tillpost_square.reasons import ADJUSTMENT, has_other_terms, is_only_rounding, total_tax
from tillpost_square.wire import CreatedOrder, PricedOrder, SquareOrder

__all__ = ["adjustment", "with_tax_notices"]

Body: TypeAlias = dict[str, object]

_NAME = "Rounding"


def adjustment(order: Order, priced: PricedOrder, due: int) -> Body | None:
    """Return the changes that bring the total nearer to `due`.

    They are None if none can, or may. Each kind is added once: an order that has it, and still
    comes to another total, isn't changed any more.
    """
    difference = due - priced.total_money.amount
    if not difference or not is_only_rounding(order, priced, due):
        return None
    if _has_charge(priced):
        return None
    if difference > 0:
        return {"service_charges": [_charge(order, difference)]}
    if _has_discount(priced):
        return None
    too_high = -difference
    left = sum(line.discounted for line in order.lines)
    left -= sum(discount.amount for discount in order.discounts)
    if left < too_high:
        return _lowered_charge(order, priced, by=too_high + 1)
    return {"discounts": [_discount(order, too_high)]}


def _charge(order: Order, amount: int) -> Body:
    return {
        "uid": ADJUSTMENT,
        "name": _NAME,
        "amount_money": _money(order, amount),
        "calculation_phase": "TOTAL_PHASE",
    }


def _discount(order: Order, amount: int) -> Body:
    return {
        "uid": ADJUSTMENT,
        "name": _NAME,
        "amount_money": _money(order, amount),
        "type": "FIXED_AMOUNT",
        "scope": "ORDER",
    }


def _lowered_charge(order: Order, priced: PricedOrder, by: int) -> Body | None:
    """Return the largest charge, lowered.

    It is lowered by a unit too much, so that a service charge makes up for it by name.
    """
    amounts = {each.uid: each.amount_money for each in priced.service_charges}
    charges: list[tuple[int, str]] = []
    for uid, money in amounts.items():
        if money and uid:
            charges.append((money.amount, uid))
    if not charges:
        return None
    amount, uid = max(charges)
    if amount <= by:
        return None
    lowered = _money(order, amount - by)
    return {"service_charges": [{"uid": uid, "amount_money": lowered}]}


def _money(order: Order, amount: int) -> Body:
    return {"amount": amount, "currency": order.currency}


def with_tax_notices(
    order: Order,
    seen: SquareOrder | CreatedOrder,
    notices: Sequence[str],
) -> tuple[str, ...]:
    """Return the notices, with those of a tax that differs and of an adjustment."""
    found = list(notices)
    if isinstance(seen, SquareOrder):
        rounding = _rounding_notice(order, seen)
        if rounding:
            found.append(rounding)
    other_tax = tax_difference(order, total_tax(seen))
    if other_tax:
        found.append(other_tax)
    return tuple(dict.fromkeys(found))


def _rounding_notice(order: Order, seen: SquareOrder) -> str | None:
    """Return a notice of what makes up for a rounding, None if nothing does."""
    if not _has_discount(seen) and not _has_charge(seen):
        return None
    if has_other_terms(order, seen):
        cause = "prices that are rounded: one of Square's and the order's includes tax, not both"
    else:
        tax = format_money(order.tax, order.currency)
        cause = f"the tax, which Square rounds differently: the order has {tax}"
    return f'"{_NAME}" on the order makes up for {cause}'


def _has_charge(seen: SquareOrder | PricedOrder) -> bool:
    return any(charge.uid == ADJUSTMENT for charge in seen.service_charges)


def _has_discount(seen: SquareOrder | PricedOrder) -> bool:
    return any(discount.uid == ADJUSTMENT for discount in seen.discounts)
