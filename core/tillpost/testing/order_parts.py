"""Orders that differ from a given one by one part that not every platform takes.

The conformance suite submits them to adapters that don't carry the part.
"""

from __future__ import annotations

from typing import Any

from tillpost.adapter.order_features import OrderFeature
from tillpost.models.order import (
    Charge,
    Curbside,
    DineIn,
    Discount,
    Line,
    Modifier,
    Order,
    Payment,
    Pickup,
)

__all__ = ["PATHS", "order_with"]

BUTTER = Modifier(modifier_id="m1", name="Butter")
DELIVERY = Charge(kind="delivery", name="Delivery", amount=500)

PATHS = {
    OrderFeature.OPEN_ITEM: "lines[1].item_id",
    OrderFeature.LINE_DISCOUNT: "lines[0].discounts",
    OrderFeature.NESTED_MODIFIER: "lines[0].modifiers[0].modifiers",
    OrderFeature.CHEAPER_MODIFIER: "lines[0].modifiers",
    OrderFeature.TAXED_CHARGE: "charges[0].taxed",
    OrderFeature.CHARGE_DISCOUNT: "charges[0].discounts",
    OrderFeature.ROUNDING: "charges[0].kind",
    OrderFeature.CURBSIDE: "fulfilment.curbside",
    OrderFeature.GUESTS: "fulfilment.guests",
    OrderFeature.AMOUNT_DUE: "amount_due",
}
"""The path of the field that `order_with` adds.

It adds it to an order of one line without modifiers.
"""


def order_with(order: Order, feature: OrderFeature) -> Order:
    """Return a paid order with the feature added.

    Its payments are corrected to the new total.
    """
    first = order.lines[0]
    changes: dict[str, Any] = {}
    match feature:
        case OrderFeature.OPEN_ITEM:
            changes["lines"] = (*order.lines, Line(name="Corkage", quantity=1, unit_price=300))
        case OrderFeature.LINE_DISCOUNT:
            changes["lines"] = _first(order, discounts=(Discount(name="HAPPY HOUR", amount=1),))
        case OrderFeature.NESTED_MODIFIER:
            outer = BUTTER.model_copy(update={"modifiers": (BUTTER,)})
            changes["lines"] = _first(order, modifiers=(*first.modifiers, outer))
        case OrderFeature.CHEAPER_MODIFIER:
            smaller = BUTTER.model_copy(update={"unit_price": -1})
            changes["lines"] = _first(order, modifiers=(*first.modifiers, smaller))
        case OrderFeature.TAXED_CHARGE:
            changes["charges"] = (DELIVERY.model_copy(update={"taxed": True}),)
        case OrderFeature.CHARGE_DISCOUNT:
            free = Discount(name="FREE DELIVERY", amount=500)
            changes["charges"] = (DELIVERY.model_copy(update={"discounts": (free,)}),)
        case OrderFeature.ROUNDING:
            changes["charges"] = (Charge(kind="rounding", name="Rounding", amount=-1),)
        case OrderFeature.CURBSIDE:
            changes["fulfilment"] = Pickup(curbside=Curbside(details="White Mazda, bay 4"))
        case OrderFeature.GUESTS:
            changes["fulfilment"] = DineIn(table="7", guests=4)
        case OrderFeature.AMOUNT_DUE:
            changes |= {"amount_due": order.total, "payments": ()}
    changed = order.model_copy(update=changes)
    if not changed.amount_due:
        paid = Payment(method="card", amount=_total(changed))
        changed = changed.model_copy(update={"payments": (paid,)})
    return Order.model_validate_json(changed.model_dump_json())


def _first(order: Order, **changes: object) -> tuple[Line, ...]:
    """Return the order's lines, the first of them changed."""
    first, *others = order.lines
    return (first.model_copy(update=changes), *others)


def _total(order: Order) -> int:
    """Return what the parts of an unchecked order come to."""
    lines = sum(line.discounted for line in order.lines)
    charges = sum(charge.total for charge in order.charges)
    discounts = sum(discount.amount for discount in order.discounts)
    return lines + charges - discounts + order.tip + order.tax
