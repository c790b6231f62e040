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
    amount: Body = {"amount": abs(difference), "currency": order.currency}
    body: Body = {"uid": ADJUSTMENT, "name": _NAME, "amount_money": amount}
    if any(charge.uid == ADJUSTMENT for charge in priced.service_charges):
        return None
    if difference > 0:
        return {"service_charges": [{**body, "calculation_phase": "TOTAL_PHASE"}]}
    if _has_discount(priced):
        return None
    left = sum(line.discounted for line in order.lines)
    left -= sum(discount.amount for discount in order.discounts)
    if left < -difference:
        return _lowered_charge(order, priced, by=1 - difference)
    return {"discounts": [{**body, "type": "FIXED_AMOUNT", "scope": "ORDER"}]}


def _lowered_charge(order: Order, priced: PricedOrder, by: int) -> Body | None:
    """Return the largest charge, lowered.

    It is lowered by a unit too much, so that a service charge makes up for it by name.
    """
    amounts = {each.uid: each.amount_money for each in priced.service_charges}
    charges = [(money.amount, uid) for uid, money in amounts.items() if money and uid]
    amount, uid = max(charges, default=(0, ""))
    if amount <= by:
        return None
    lowered: Body = {"amount": amount - by, "currency": order.currency}
    return {"service_charges": [{"uid": uid, "amount_money": lowered}]}


def with_tax_notices(
    order: Order, seen: SquareOrder | CreatedOrder, notices: Sequence[str]
) -> tuple[str, ...]:
    """Return the notices, with those of a tax that differs and of an adjustment."""
    added = [_rounding_notice(order, seen)] if isinstance(seen, SquareOrder) else []
    added.append(tax_difference(order, total_tax(seen)))
    found = [notice for notice in added if notice]
    return tuple(dict.fromkeys((*notices, *found)))


def _rounding_notice(order: Order, seen: SquareOrder) -> str | None:
    """Return a notice of what makes up for a rounding, None if nothing does."""
    is_adjusted = _has_discount(seen) or any(
        each.uid == ADJUSTMENT for each in seen.service_charges
    )
    if not is_adjusted:
        return None
    tax = format_money(order.tax, order.currency)
    cause = f"the tax, which Square rounds differently: the order has {tax}"
    if has_other_terms(order, seen):
        cause = "prices that are rounded: one of Square's and the order's includes tax, not both"
    return f'"{_NAME}" on the order makes up for {cause}'


def _has_discount(seen: SquareOrder) -> bool:
    return any(discount.uid == ADJUSTMENT for discount in seen.discounts)
