"""The parts of an order that not every platform takes.

An adapter declares in `Adapter.carries` which of them it sends. Core refuses an order that has
another one before anything is sent (`uncarried_error`), so that no adapter drops what it has never
heard of. All other fields of an order that staff need are sent by every adapter; names as
`Adapter.shows_names` says. A platform may have no field for the rest: the site's own `taxes`, and
when the order was placed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TypeAlias

from tillpost.errors import OrderError
from tillpost.models.order import DineIn, Order, Pickup

__all__ = ["EVERY_FEATURE", "OrderFeature", "uncarried_error", "uncarried_fields"]


Uses: TypeAlias = Iterator[tuple[str, int | None]]
"""The path of each field with such a part, and the index of its line.

The index is None if it is on no line.
"""


def _open_items(order: Order) -> Uses:
    for index, line in enumerate(order.lines):
        if line.is_open:
            yield f"lines[{index}].item_id", index


def _line_discounts(order: Order) -> Uses:
    for index, line in enumerate(order.lines):
        if line.discounts:
            yield f"lines[{index}].discounts", index


def _nested_modifiers(order: Order) -> Uses:
    for index, line in enumerate(order.lines):
        for place, modifier in enumerate(line.modifiers):
            if modifier.modifiers:
                yield f"lines[{index}].modifiers[{place}].modifiers", index


def _cheaper_modifiers(order: Order) -> Uses:
    for index, line in enumerate(order.lines):
        if any(flat.modifier.unit_price < 0 for flat in line.flat_modifiers()):
            yield f"lines[{index}].modifiers", index


def _taxed_charges(order: Order) -> Uses:
    for index, charge in enumerate(order.charges):
        if charge.taxed:
            yield f"charges[{index}].taxed", None


def _charge_discounts(order: Order) -> Uses:
    for index, charge in enumerate(order.charges):
        if charge.discounts:
            yield f"charges[{index}].discounts", None


def _roundings(order: Order) -> Uses:
    for index, charge in enumerate(order.charges):
        if charge.kind == "rounding":
            yield f"charges[{index}].kind", None


def _curbside(order: Order) -> Uses:
    if isinstance(order.fulfilment, Pickup) and order.fulfilment.curbside:
        yield "fulfilment.curbside", None


def _guests(order: Order) -> Uses:
    if isinstance(order.fulfilment, DineIn) and order.fulfilment.guests:
        yield "fulfilment.guests", None


def _amount_due(order: Order) -> Uses:
    if order.amount_due:
        yield "amount_due", None


class OrderFeature(StrEnum):
    """A part of an order that not every platform takes, by the path of its field.

    The value is the path; `words` says what it is, for people; `uses` finds it in an order.
    """

    words: str
    uses: Callable[[Order], Uses]

    def __new__(cls, path: str, words: str, uses: Callable[[Order], Uses]) -> OrderFeature:
        """Return the member for a path, with its words for people and what finds it."""
        member = str.__new__(cls, path)
        member._value_ = path
        member.words = words
        member.uses = uses
        return member

    OPEN_ITEM = "lines.item_id", "an item that isn't on the menu", _open_items
    LINE_DISCOUNT = "lines.discounts", "a discount on a single line", _line_discounts
    NESTED_MODIFIER = "lines.modifiers.modifiers", "a choice on another choice", _nested_modifiers
    CHEAPER_MODIFIER = (
        "lines.modifiers.unit_price",
        "an option with a negative price",
        _cheaper_modifiers,
    )
    TAXED_CHARGE = "charges.taxed", "a charge with tax", _taxed_charges
    CHARGE_DISCOUNT = "charges.discounts", "a discount on a charge", _charge_discounts
    ROUNDING = "charges.kind", "a rounding of the total", _roundings
    CURBSIDE = "fulfilment.curbside", "curbside pickup", _curbside
    GUESTS = "fulfilment.guests", "a number of guests", _guests
    AMOUNT_DUE = "amount_due", "money to be paid at the store", _amount_due


EVERY_FEATURE = frozenset(OrderFeature)
"""What an adapter carries that sends orders as they are."""


def uncarried_fields(order: Order, carries: frozenset[str]) -> Mapping[OrderFeature, list[str]]:
    """Return the fields of an order that a platform doesn't take, by what they are.

    Args:
        order: The order.
        carries: The features that the platform's adapter declares.

    Returns:
        Paths such as `lines[0].discounts`; empty if the platform takes the whole order.
    """
    found: dict[OrderFeature, list[str]] = {}
    for feature in OrderFeature:
        if feature not in carries:
            paths = [path for path, _ in feature.uses(order)]
            if paths:
                found[feature] = paths
    return found


def uncarried_error(order: Order, carries: frozenset[str], title: str) -> OrderError | None:
    """Return the error of an order with parts that a platform doesn't take, else None.

    Args:
        order: The order.
        carries: The features that the platform's adapter declares.
        title: The platform's name for people.
    """
    uncarried = uncarried_fields(order, carries)
    if not uncarried:
        return None
    details = [
        f"{', '.join(paths)}: {title} doesn't take {feature.words}"
        for feature, paths in uncarried.items()
    ]
    return OrderError(
        "; ".join(details),
        lines=_lines_with(order, uncarried),
        subjects=tuple(feature.words for feature in uncarried),
        reason="unsupported",
    )


def _lines_with(order: Order, features: Iterable[OrderFeature]) -> tuple[int, ...]:
    indices: set[int] = set()
    for feature in features:
        indices |= {index for _, index in feature.uses(order) if index is not None}
    return tuple(sorted(indices))
