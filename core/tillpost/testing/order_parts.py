"""Orders that differ from a given one by one part that not every platform takes.

The conformance suite submits them to adapters that don't carry the part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

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

_Changes: TypeAlias = Mapping[str, object]
"""Fields of an order with their new values."""


class Part(NamedTuple):
    """How an order of one line without modifiers gets a part.

    Attributes:
        path: The path of the field that it gets.
        changes: Returns the fields that change, without the payments.
    """

    path: str
    changes: Callable[[Order], _Changes]


def _open_item(order: Order) -> _Changes:
    corkage = Line(name="Corkage", quantity=1, unit_price=300)
    return {"lines": (*order.lines, corkage)}


def _line_discount(order: Order) -> _Changes:
    happy_hour = Discount(name="HAPPY HOUR", amount=1)
    return {"lines": _first(order, discounts=(happy_hour,))}


def _nested_modifier(order: Order) -> _Changes:
    nested = BUTTER.model_copy(update={"modifiers": (BUTTER,)})
    return {"lines": _with_modifier(order, nested)}


def _cheaper_modifier(order: Order) -> _Changes:
    cheaper = BUTTER.model_copy(update={"unit_price": -1})
    return {"lines": _with_modifier(order, cheaper)}


def _taxed_charge(_: Order) -> _Changes:
    taxed = DELIVERY.model_copy(update={"taxed": True})
    return {"charges": (taxed,)}


def _charge_discount(_: Order) -> _Changes:
    free_delivery = Discount(name="FREE DELIVERY", amount=500)
    discounted = DELIVERY.model_copy(update={"discounts": (free_delivery,)})
    return {"charges": (discounted,)}


def _rounding(_: Order) -> _Changes:
    rounding = Charge(kind="rounding", name="Rounding", amount=-1)
    return {"charges": (rounding,)}


def _curbside(_: Order) -> _Changes:
    curbside = Curbside(details="White Mazda, bay 4")
    return {"fulfilment": Pickup(curbside=curbside)}


def _guests(_: Order) -> _Changes:
    return {"fulfilment": DineIn(table="7", guests=4)}


def _amount_due(order: Order) -> _Changes:
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
    changes = PARTS[feature].changes(order)
    changed = order.model_copy(update=changes)
    paid = _total(changed) - changed.amount_due
    payments: tuple[Payment, ...] = ()
    if paid:
        payments = (Payment(method="card", amount=paid),)
    changed = changed.model_copy(update={"payments": payments})
    content = changed.model_dump_json()
    return Order.model_validate_json(content)


def _with_modifier(order: Order, modifier: Modifier) -> tuple[Line, ...]:
    """Return the order's lines, the first of them with one more modifier."""
    first = order.lines[0]
    return _first(order, modifiers=(*first.modifiers, modifier))


def _first(order: Order, **changes: object) -> tuple[Line, ...]:
    """Return the order's lines, the first of them changed."""
    first, *others = order.lines
    changed = first.model_copy(update=changes)
    return (changed, *others)


def _total(order: Order) -> int:
    """Return what the parts of an unchecked order come to."""
    lines = sum(line.discounted for line in order.lines)
    charges = sum(charge.total for charge in order.charges)
    discounts = sum(discount.amount for discount in order.discounts)
    prices = lines + charges - discounts
    return prices + order.tip + order.tax
