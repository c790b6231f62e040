"""Orders that differ from a given one by one part that not every platform takes.

The conformance suite submits them to adapters that don't carry the part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

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

__all__ = ["PARTS", "Part", "order_with"]

BUTTER = Modifier(modifier_id="m1", name="Butter")
DELIVERY = Charge(kind="delivery", name="Delivery", amount=500)


class Part(NamedTuple):
    """How an order of one line without modifiers gets a part.

    Attributes:
        path: The path of the field that it gets.
        changes: Returns the fields that change, without the payments.
    """

    path: str
    changes: Callable[[Order], Mapping[str, object]]


def _open_item(order: Order) -> Mapping[str, object]:
    return {"lines": (*order.lines, Line(name="Corkage", quantity=1, unit_price=300))}


def _line_discount(order: Order) -> Mapping[str, object]:
    return {"lines": _first(order, discounts=(Discount(name="HAPPY HOUR", amount=1),))}


def _nested_modifier(order: Order) -> Mapping[str, object]:
    return {"lines": _with_modifier(order, BUTTER.model_copy(update={"modifiers": (BUTTER,)}))}


def _cheaper_modifier(order: Order) -> Mapping[str, object]:
    return {"lines": _with_modifier(order, BUTTER.model_copy(update={"unit_price": -1}))}


def _taxed_charge(_: Order) -> Mapping[str, object]:
    return {"charges": (DELIVERY.model_copy(update={"taxed": True}),)}


def _charge_discount(_: Order) -> Mapping[str, object]:
    free = Discount(name="FREE DELIVERY", amount=500)
    return {"charges": (DELIVERY.model_copy(update={"discounts": (free,)}),)}


def _rounding(_: Order) -> Mapping[str, object]:
    return {"charges": (Charge(kind="rounding", name="Rounding", amount=-1),)}


def _curbside(_: Order) -> Mapping[str, object]:
    return {"fulfilment": Pickup(curbside=Curbside(details="White Mazda, bay 4"))}


def _guests(_: Order) -> Mapping[str, object]:
    return {"fulfilment": DineIn(table="7", guests=4)}


def _amount_due(order: Order) -> Mapping[str, object]:
    return {"amount_due": order.total}


PARTS: Mapping[OrderFeature, Part] = {
    OrderFeature.OPEN_ITEM: Part("lines[1].item_id", _open_item),
    OrderFeature.LINE_DISCOUNT: Part("lines[0].discounts", _line_discount),
    OrderFeature.NESTED_MODIFIER: Part("lines[0].modifiers[0].modifiers", _nested_modifier),
    OrderFeature.CHEAPER_MODIFIER: Part("lines[0].modifiers", _cheaper_modifier),
    OrderFeature.TAXED_CHARGE: Part("charges[0].taxed", _taxed_charge),
    OrderFeature.CHARGE_DISCOUNT: Part("charges[0].discounts", _charge_discount),
    OrderFeature.ROUNDING: Part("charges[0].kind", _rounding),
    OrderFeature.CURBSIDE: Part("fulfilment.curbside", _curbside),
    OrderFeature.GUESTS: Part("fulfilment.guests", _guests),
    OrderFeature.AMOUNT_DUE: Part("amount_due", _amount_due),
}


def order_with(order: Order, feature: OrderFeature) -> Order:
    """Return a paid order with the feature added.

    Its payments are corrected to the new total.
    """
    changed = order.model_copy(update=PARTS[feature].changes(order))
    paid = _total(changed) - changed.amount_due
    payments = (Payment(method="card", amount=paid),) if paid else ()
    changed = changed.model_copy(update={"payments": payments})
    return Order.model_validate_json(changed.model_dump_json())


def _with_modifier(order: Order, modifier: Modifier) -> tuple[Line, ...]:
    """Return the order's lines, the first of them with one more modifier."""
    return _first(order, modifiers=(*order.lines[0].modifiers, modifier))


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
