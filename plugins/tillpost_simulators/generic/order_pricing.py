"""The computation of what an order comes to at the store.

The result is compared with what was paid. The total is the store's own. Where prices exclude tax,
the tax that was paid counts as long as it differs from the store's by at most one minor unit a
line: such a difference comes from rounding by line or by order. Amounts are in minor units.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from tillpost.errors import MenuError, OrderError, SetupError, TaxError
from tillpost.models.menu import Menu, Tax
from tillpost.models.order import Order
from tillpost_generic.wire import NewOrder
from tillpost_simulators.generic.order_check import check_menu, item_of
from tillpost_simulators.generic.world import Refusal

__all__ = ["Bill", "price"]


class Bill(NamedTuple):
    """What an order comes to. `tax` is the tax that `total` includes."""

    total: int
    tax: int


class _Tax(NamedTuple):
    """The tax of an order: what is added to its prices, and what they include."""

    added: int
    included: int


def price(menu: Menu, new: NewOrder) -> Bill:
    """Return what the order comes to at this store.

    Raises:
        Refusal: The order doesn't fit the menu, or comes to something else than was paid.
    """
    order = new.order
    if order.currency != menu.currency:
        raise Refusal(SetupError, f"this store takes {menu.currency}, not {order.currency}")
    if order.due_at and order.due_at < order.placed_at:
        raise Refusal(OrderError, "it is due before it was placed", order_field="due_at")
    check_menu(menu, new)
    tax = _tax(menu, order)
    _check_paid_tax(order, tax.added)
    total = _discounted(order)
    total += sum(charge.total for charge in order.charges)
    total += order.tip
    total += order.tax
    if total != new.expected_total:
        detail = f"it comes to {total}, not to {new.expected_total}"
        raise Refusal(MenuError, detail, reason="price")
    return Bill(total, tax.included + order.tax)


def _check_paid_tax(order: Order, added: int) -> None:
    # Rounding by line differs from rounding by order by at most one minor unit a line.
    taxed_parts = len(order.lines) + len(order.charges)
    tolerance = taxed_parts if added else 0
    difference = abs(added - order.tax)
    if difference > tolerance:
        detail = f"this store adds {added} of tax, the order holds {order.tax}"
        raise Refusal(TaxError, detail)


def _gross(order: Order) -> int:
    """Return what the lines come to after their own discounts."""
    return sum(line.discounted for line in order.lines)


def _discounted(order: Order) -> int:
    discounts = sum(discount.amount for discount in order.discounts)
    return _gross(order) - discounts


def _tax(menu: Menu, order: Order) -> _Tax:
    """Return the tax on the lines and on taxed charges.

    The order's discounts are spread over all lines. A charge has the store's first tax.
    """
    gross = _gross(order)
    share_left = Decimal(0)
    if gross:
        share_left = Decimal(_discounted(order)) / gross
    taxed: list[tuple[Decimal, Tax | None]] = [
        (line.discounted * share_left, tax)
        for line, tax in zip(order.lines, _tax_of_each_line(menu, order), strict=True)
    ]
    charge_tax = _usual_tax(menu)
    taxed += [(Decimal(charge.total), charge_tax) for charge in order.charges if charge.taxed]
    added = Decimal(0)
    included = Decimal(0)
    for amount, tax in taxed:
        if tax is None:
            continue
        if tax.included:
            included += amount * tax.rate / (1 + tax.rate)
        else:
            added += amount * tax.rate
    return _Tax(_rounded(added), _rounded(included))


def _usual_tax(menu: Menu) -> Tax | None:
    """Return the tax on charges and open items.

    It is the first that the store has switched on.
    """
    return next((tax for tax in menu.taxes if tax.enabled), None)


def _tax_of_each_line(menu: Menu, order: Order) -> list[Tax | None]:
    """Return the tax of each line.

    Raises:
        Refusal: A line has several taxes, or its tax is included where the order's prices exclude
            tax, or the other way round.
    """
    lines_with_several: list[int] = []
    names_of_several: list[str] = []
    lines_with_wrong: list[int] = []
    tax_by_line: list[Tax | None] = []
    usual_tax = _usual_tax(menu)
    for number, line in enumerate(order.lines):
        if line.is_open:
            tax_by_line.append(usual_tax)
            continue
        taxes = menu.taxes_on(item_of(menu, line))
        tax = None
        if taxes:
            tax = taxes[0]
        tax_by_line.append(tax)
        if len(taxes) > 1:
            lines_with_several.append(number)
            names_of_several += [tax.name for tax in taxes]
        if tax is not None and tax.included != order.prices_include_tax:
            lines_with_wrong.append(number)
    if lines_with_several:
        names = ", ".join(dict.fromkeys(names_of_several))
        detail = f"more than one tax applies: {names}"
        raise Refusal(TaxError, detail, lines=lines_with_several)
    if lines_with_wrong:
        here = "leave the tax out" if order.prices_include_tax else "hold the tax"
        detail = f"this store's prices {here}, the order's don't"
        raise Refusal(TaxError, detail, lines=lines_with_wrong)
    return tax_by_line


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
