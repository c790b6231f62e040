"""The computation of what an order comes to at the store.

The result is compared with what was paid. The order's own prices count, once `order_check` has
found that they are the menu's. Where they exclude tax, the tax that was paid counts as long as it
differs from the store's by at most one minor unit a line and tax: such a difference comes from
rounding by line, by tax or by order. That the menu's prices may include the tax doesn't matter.
Several taxes are normal. Amounts are in minor units.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple, TypeAlias

from tillpost.errors import MenuError, OrderError, TaxError
from tillpost.models.menu import Menu, Tax
from tillpost.models.money import format_money
from tillpost.models.order import Order
from tillpost.models.tax_terms import most_rounding, total_rate
from tillpost_generic.wire import NewOrder
from tillpost_simulators.generic.order_check import check_menu, item_of, prices_of
from tillpost_simulators.generic.world import Refusal

__all__ = ["Bill", "price"]


Taxes: TypeAlias = Sequence[Tax]
"""The taxes on one line or charge."""


class Bill(NamedTuple):
    """What an order comes to. `tax` is the tax that `total` includes."""

    total: int
    tax: int


class _Tax(NamedTuple):
    """The tax of an order: what is added to its prices, and what they include.

    `names` are those of the added taxes.
    """

    added: int
    included: int
    names: Sequence[str]


def price(menu: Menu, new: NewOrder) -> Bill:
    """Return what the order comes to at this store.

    Raises:
        Refusal: The order doesn't fit the menu, or comes to something else than was paid.
    """
    order = new.order
    if order.currency != menu.currency:
        detail = f"this store sells in {menu.currency}, the order is in {order.currency}"
        raise Refusal(OrderError, detail, reason="currency")
    if order.due_at and order.due_at < order.placed_at:
        raise Refusal(OrderError, "it is due before it was placed", order_field="due_at")
    check_menu(menu, new)
    tax = _tax(menu, order)
    _check_paid_tax(order, tax)
    total = _discounted(order)
    total += sum(charge.total for charge in order.charges)
    total += order.tip
    total += order.tax
    if total != new.expected_total:
        comes_to = format_money(total, order.currency)
        expected = format_money(new.expected_total, order.currency)
        detail = f"it comes to {comes_to}, not to {expected}"
        raise Refusal(MenuError, detail, reason="price")
    return Bill(total, tax.included + order.tax)


def _check_paid_tax(order: Order, tax: _Tax) -> None:
    taxed_parts = len(order.lines) + len(order.charges)
    tolerance = most_rounding(taxed_parts, len(tax.names)) if tax.added else 0
    difference = abs(tax.added - order.tax)
    if difference > tolerance:
        names = ", ".join(tax.names) or "no tax"
        added = format_money(tax.added, order.currency)
        in_order = format_money(order.tax, order.currency)
        detail = f"this store adds {added} of tax ({names}), the order has {in_order}"
        raise Refusal(TaxError, detail)


def _gross(order: Order) -> int:
    """Return what the lines come to after their own discounts."""
    return sum(line.discounted for line in order.lines)


def _discounted(order: Order) -> int:
    discounts = sum(discount.amount for discount in order.discounts)
    return _gross(order) - discounts


def _tax(menu: Menu, order: Order) -> _Tax:
    """Return the tax on the lines and on taxed charges.

    The order's discounts are spread over all lines.
    """
    gross = _gross(order)
    share_left = Decimal(0)
    if gross:
        share_left = Decimal(_discounted(order)) / gross
    taxed: list[tuple[Decimal, Taxes]] = [
        (line.discounted * share_left, taxes)
        for line, taxes in zip(order.lines, _taxes_of_each_line(menu, order), strict=True)
    ]
    charge_taxes = _usual_taxes(menu)
    taxed += [(Decimal(charge.total), charge_taxes) for charge in order.charges if charge.taxed]
    added: dict[str, Decimal] = {}
    included = Decimal(0)
    for amount, taxes in taxed:
        if order.prices_include_tax:
            rate = total_rate(taxes)
            included += amount * rate / (1 + rate)
            continue
        for tax in taxes:
            added[tax.name] = added.get(tax.name, Decimal(0)) + amount * tax.rate
    return _Tax(sum(map(_rounded, added.values())), _rounded(included), tuple(added))


def _usual_taxes(menu: Menu) -> Taxes:
    """Return the taxes on charges and open items.

    They are those that all taxed items have; if there are none, the first that is switched on.
    """
    by_item = [menu.taxes_on(item) for item in menu.items]
    taxed = [taxes for taxes in by_item if taxes]
    common = [tax for tax in menu.taxes if taxed and all(tax in taxes for taxes in taxed)]
    return common or [tax for tax in menu.taxes if tax.enabled][:1]


def _taxes_of_each_line(menu: Menu, order: Order) -> list[Taxes]:
    """Return the taxes of each line.

    Raises:
        Refusal: The menu's own price was paid, though this store adds tax to it.
    """
    wrong: dict[int, list[str]] = {}
    taxes_by_line: list[Taxes] = []
    usual_taxes = _usual_taxes(menu)
    for number, line in enumerate(order.lines):
        if line.is_open:
            taxes_by_line.append(usual_taxes)
            continue
        taxes = menu.taxes_on(item_of(menu, line))
        taxes_by_line.append(taxes)
        prices = prices_of(menu, order, line)
        if any(price.terms.leaves_tax_out(price.paid, price.on_menu) for price in prices):
            wrong[number] = [tax.name for tax in taxes if not tax.included]
    if wrong:
        names = ", ".join(dict.fromkeys(name for names in wrong.values() for name in names))
        detail = f"this store's prices exclude the tax ({names}), the order's include it"
        raise Refusal(TaxError, detail, lines=tuple(wrong))
    return taxes_by_line


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
