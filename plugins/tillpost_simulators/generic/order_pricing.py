"""The computation of what an order comes to at the store.

The result is compared with what was paid. The order's own prices count, once `order_check` has
found that they are the menu's. Where they exclude tax, the tax that was paid counts as long as it
differs from the store's by at most one minor unit a line and tax: such a difference comes from
rounding by line, by tax or by order. That the menu's prices may include the tax doesn't matter.
Several taxes are normal. Amounts are in minor units.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple, TypeAlias

from tillpost.errors import MenuError, OrderError, TaxError
from tillpost.models.menu import Menu, Tax
from tillpost.models.money import format_money
from tillpost.models.order import Order
from tillpost.models.tax_terms import most_rounding, total_rate
from tillpost_generic.wire import NewOrder
from tillpost_simulators.generic.order_check import Price, check_menu, item_of, prices_of
from tillpost_simulators.generic.world import Refusal

__all__ = ["Bill", "price"]


Taxes: TypeAlias = Sequence[Tax]
"""The taxes on one line or charge."""


class _TaxedAmount(NamedTuple):
    """What a line or charge comes to after all discounts, and the taxes on it."""

    amount: Decimal
    taxes: Taxes


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
    _check_currency(menu, order)
    _check_due_time(order)
    check_menu(menu, new)
    tax = _tax(menu, order)
    _check_paid_tax(order, tax)
    total = _total(order)
    _check_total(new, total)
    return Bill(total, tax.included + order.tax)


def _check_currency(menu: Menu, order: Order) -> None:
    if order.currency == menu.currency:
        return
    detail = f"this store sells in {menu.currency}, the order is in {order.currency}"
    raise Refusal(OrderError, detail, reason="currency")


def _check_due_time(order: Order) -> None:
    if order.due_at and order.due_at < order.placed_at:
        detail = "it is due before it was placed"
        raise Refusal(OrderError, detail, order_field="due_at")


def _check_paid_tax(order: Order, tax: _Tax) -> None:
    tolerance = 0
    if tax.added:
        taxed_parts = len(order.lines) + len(order.charges)
        tolerance = most_rounding(taxed_parts, len(tax.names))
    difference = abs(tax.added - order.tax)
    if difference <= tolerance:
        return
    names = ", ".join(tax.names) or "no tax"
    added = format_money(tax.added, order.currency)
    in_order = format_money(order.tax, order.currency)
    detail = f"this store adds {added} of tax ({names}), the order has {in_order}"
    raise Refusal(TaxError, detail)


def _check_total(new: NewOrder, total: int) -> None:
    if total == new.expected_total:
        return
    currency = new.order.currency
    comes_to = format_money(total, currency)
    expected = format_money(new.expected_total, currency)
    detail = f"it comes to {comes_to}, not to {expected}"
    raise Refusal(MenuError, detail, reason="price")


def _total(order: Order) -> int:
    total = _discounted(order)
    for charge in order.charges:
        total += charge.total
    total += order.tip
    total += order.tax
    return total


def _gross(order: Order) -> int:
    """Return what the lines come to after their own discounts."""
    return sum(line.discounted for line in order.lines)


def _discounted(order: Order) -> int:
    """Return what the lines come to after all discounts."""
    discounted = _gross(order)
    for discount in order.discounts:
        discounted -= discount.amount
    return discounted


def _tax(menu: Menu, order: Order) -> _Tax:
    """Return the tax on the lines and on taxed charges."""
    parts = _taxed_amounts(menu, order)
    if order.prices_include_tax:
        included = _included_tax(parts)
        return _Tax(added=0, included=included, names=())
    by_name = defaultdict[str, Decimal](Decimal)
    for part in parts:
        for tax in part.taxes:
            by_name[tax.name] += part.amount * tax.rate
    added = sum(map(_rounded, by_name.values()))
    return _Tax(added=added, included=0, names=tuple(by_name))


def _included_tax(parts: Sequence[_TaxedAmount]) -> int:
    included = Decimal(0)
    for part in parts:
        rate = total_rate(part.taxes)
        included += part.amount * rate / (1 + rate)
    return _rounded(included)


def _taxed_amounts(menu: Menu, order: Order) -> list[_TaxedAmount]:
    """Return the amounts of the lines and of taxed charges, with their taxes.

    The order's discounts are spread over all lines.
    """
    gross = _gross(order)
    share_left = Decimal(0)
    if gross:
        share_left = Decimal(_discounted(order)) / gross
    parts: list[_TaxedAmount] = []
    taxes_by_line = _taxes_of_each_line(menu, order)
    for line, taxes in zip(order.lines, taxes_by_line, strict=True):
        amount = line.discounted * share_left
        parts.append(_TaxedAmount(amount, taxes))
    charge_taxes = _usual_taxes(menu)
    for charge in order.charges:
        if charge.taxed:
            amount = Decimal(charge.total)
            parts.append(_TaxedAmount(amount, charge_taxes))
    return parts


def _usual_taxes(menu: Menu) -> Taxes:
    """Return the taxes on charges and open items.

    They are those that all taxed items have; if there are none, the first that is switched on.
    """
    taxes_by_item = map(menu.taxes_on, menu.items)
    of_taxed_items = [taxes for taxes in taxes_by_item if taxes]
    common = list(menu.taxes) if of_taxed_items else []
    for taxes in of_taxed_items:
        common = [tax for tax in common if tax in taxes]
    if common:
        return common
    enabled = [tax for tax in menu.taxes if tax.enabled]
    return enabled[:1]


def _taxes_of_each_line(menu: Menu, order: Order) -> list[Taxes]:
    """Return the taxes of each line.

    Raises:
        Refusal: The menu's own price was paid, though this store adds tax to it.
    """
    wrong_lines: list[int] = []
    left_out: list[str] = []
    taxes_by_line: list[Taxes] = []
    usual_taxes = _usual_taxes(menu)
    for number, line in enumerate(order.lines):
        if line.is_open:
            taxes_by_line.append(usual_taxes)
            continue
        item = item_of(menu, line)
        taxes = menu.taxes_on(item)
        taxes_by_line.append(taxes)
        prices = prices_of(menu, order, line)
        if any(map(_leaves_tax_out, prices)):
            wrong_lines.append(number)
            left_out += [tax.name for tax in taxes if not tax.included]
    if wrong_lines:
        names = ", ".join(dict.fromkeys(left_out))
        detail = f"this store's prices exclude the tax ({names}), the order's include it"
        raise Refusal(TaxError, detail, lines=tuple(wrong_lines))
    return taxes_by_line


def _leaves_tax_out(price: Price) -> bool:
    terms = price.terms
    return terms.leaves_tax_out(price.paid, price.on_menu)


def _rounded(amount: Decimal) -> int:
    whole = amount.quantize(Decimal(1), ROUND_HALF_UP)
    return int(whole)
