"""The check of an order against the store's menu before anything is sent.

`check_order` is called by the submission flow, and by `tillpost menu check`. It finds all faults at
once: another currency, items and options that are gone or sold out, prices that differ, choices
outside an item's limits, too many of an item, an unknown table, and taxes that come to another
amount than the order has. Lines are matched
as `matching.rebind` matches them, so an item whose id alone changed counts as present.

An order that passes may still be refused by the platform; one that fails would be.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations
from typing import NamedTuple, TypeAlias, TypeVar

from tillpost.errors import MenuError, OrderError, PosError, TaxError
from tillpost.menus.matching import (
    Fit,
    PriceDifference,
    PricePolicy,
    fit,
    price_differences,
    price_pairs,
)
from tillpost.models.menu import (
    Item,
    Menu,
    ModifierGroup,
    SetupFault,
    Tax,
    display_name,
    limits_in_words,
)
from tillpost.models.money import format_money
from tillpost.models.order import DineIn, Modifier, Order, describe_lines
from tillpost.models.tax_terms import most_rounding, tax_terms, total_rate

__all__ = ["check_order", "currency_error"]

T = TypeVar("T")


class _Misfit(NamedTuple):
    """One fault: what it is about, and a clause without its full stop.

    `line` is the index of the line at fault, None when the fault is in the order's fulfilment.
    """

    line: int | None
    subject: str
    detail: str


class _Context(NamedTuple):
    """What every check reads."""

    order: Order
    menu: Menu
    prices: PricePolicy
    fits: Sequence[Fit]
    now: datetime


_Check: TypeAlias = Callable[[_Context], Iterator[_Misfit]]


def check_order(
    order: Order,
    menu: Menu,
    prices: PricePolicy,
    now: datetime | None = None,
) -> tuple[PosError, ...]:
    """Return the faults of an order by this menu, one error for each kind of remedy.

    A `MenuError` has the reason "gone", "unreadable", "sold_out", "choices", "quantity", "price",
    "net_price" or "table". An order in another currency than the menu's has that fault only.

    Args:
        order: The order, with the menu's ids or older ones.
        menu: The last imported menu.
        prices: With "keep_paid", prices aren't compared.
        now: The time, with its offset: what is sold out until an earlier time is available. By
            default it is read from this machine's clock.

    Returns:
        The errors, those that a menu import can mend first; empty when the order fits. Each has in
        `lines` the lines at fault, and in `subjects` the items and options, the taxes, or the
        table.
    """
    if order.currency != menu.currency:
        error = currency_error(order, "the store's menu is in", menu.currency)
        return (error,)
    context = _Context(
        order=order,
        menu=menu,
        prices=prices,
        fits=fit(order, menu),
        now=now or datetime.now(UTC),
    )
    errors: list[PosError] = []
    for error_class, reason, check in _CHECKS:
        misfits = list(check(context))
        if misfits:
            errors.append(_error(error_class, reason, misfits))
    return tuple(errors)


def currency_error(order: Order, source: str, currency: str) -> OrderError:
    """Return the error of an order in another currency than the store's.

    `source` is what says the store's, such as "the store's menu is in".
    """
    return OrderError(
        f"currency: the order is in {order.currency}, {source} {currency}",
        subjects=(order.currency, currency),
        reason="currency",
    )


def _error(error_class: type[PosError], reason: str, misfits: Sequence[_Misfit]) -> PosError:
    """Make one error of all misfits of a kind.

    Each detail, line and subject is named once.
    """
    details = _unique(misfit.detail for misfit in misfits)
    subjects = _unique(misfit.subject for misfit in misfits)
    lines = _unique(misfit.line for misfit in misfits if misfit.line is not None)
    detail = "; ".join(details)
    return error_class(
        detail,
        lines=lines,
        subjects=subjects,
        reason=reason,
    )


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    """Return the values without repetitions, in the order of their first occurrence."""
    return tuple(dict.fromkeys(values))


def _misfit(
    order: Order,
    index: int,
    modifier: Modifier | None,
    fault: str,
) -> _Misfit:
    """Describe the fault of a line, or of a modifier on it."""
    name = order.lines[index].name
    (subject,) = describe_lines(order, [index])
    if modifier is not None:
        name = f"{modifier.name} on {name}"
        subject = f"{modifier.name} on {subject}"
    return _Misfit(index, subject, f"{name} {fault}")


def _gone(context: _Context) -> Iterator[_Misfit]:
    """Yield items not on the menu, and modifiers not among an item's options."""
    order = context.order
    for index, modifier, fault in _missing(context):
        if fault is not None:
            continue
        if modifier is not None:
            yield _misfit(order, index, modifier, "isn't among its options")
            continue
        item_id = order.lines[index].item_id
        why = _why_gone(context.menu, item_id)
        yield _misfit(order, index, None, why)


def _unreadable(context: _Context) -> Iterator[_Misfit]:
    """Yield items and modifiers that were left out of the menu as unreadable."""
    for index, modifier, fault in _missing(context):
        if fault is not None:
            yield _misfit(context.order, index, modifier, fault.text)


def _missing(context: _Context) -> Iterator[tuple[int, Modifier | None, SetupFault | None]]:
    """Yield what the menu lacks.

    That is the line, the modifier, and why it was left out if it was. An open item is on no menu.
    """
    menu = context.menu
    for index, found in enumerate(context.fits):
        line = found.line
        if line.is_open:
            continue
        if found.sold is None:
            fault = menu.left_out(line.item_id, line.name)
            yield index, None, fault
            continue
        for modifier in found.missing_options():
            fault = menu.left_out(modifier.modifier_id, modifier.name)
            yield index, modifier, fault


def _why_gone(menu: Menu, item_id: str) -> str:
    other = menu.sold.by_id.get(item_id)
    if other is None:
        return "isn't on the menu"
    return f"isn't on the menu; its id is now that of {display_name(*other)}"


def _sold_out(context: _Context) -> Iterator[_Misfit]:
    order = context.order
    fault = "is sold out"
    for index, found in enumerate(context.fits):
        sold = found.sold
        if sold and sold.variation.is_sold_out(context.now):
            yield _misfit(order, index, None, fault)
        for flat, option in found.chosen():
            if option and option.is_sold_out(context.now):
                yield _misfit(order, index, flat.modifier, fault)


def _price(context: _Context) -> Iterator[_Misfit]:
    """Yield prices that differ, but for those that taxes explain."""
    order = context.order
    for difference in _differences(context):
        if _is_net_by_mistake(difference):
            continue
        if _left_out(context, difference):
            continue
        paid = format_money(difference.paid, order.currency)
        asked = format_money(difference.asked, order.currency)
        tax = "" if order.prices_include_tax else " without tax"
        fault = f"was paid at {paid}{tax}, the menu says {asked}"
        yield _misfit(order, difference.line, difference.modifier, fault)


def _net_price(context: _Context) -> Iterator[_Misfit]:
    """Yield prices that include tax on the menu, and to which the order adds it again."""
    order = context.order
    for difference in _differences(context):
        if not _is_net_by_mistake(difference):
            continue
        price = format_money(difference.paid, order.currency)
        fault = f"was sold at {price} plus tax, and the menu's {price} includes it"
        yield _misfit(order, difference.line, difference.modifier, fault)


def _differences(context: _Context) -> Iterator[PriceDifference]:
    if context.prices == "refuse":
        yield from price_differences(context.order, context.menu, context.fits)


def _is_net_by_mistake(difference: PriceDifference) -> bool:
    return difference.terms.adds_tax_twice(difference.paid, difference.on_menu)


def _left_out(context: _Context, difference: PriceDifference) -> Sequence[Tax]:
    """Return the taxes of the menu's price without which it is what was paid.

    They are empty if no taxes explain the difference, or if not all taxes are included alike.
    """
    found = context.fits[difference.line]
    if found.sold is None:
        return ()
    if not context.order.prices_include_tax:
        return ()
    taxes = context.menu.taxes_on(found.sold.item)
    are_included = all(tax.included for tax in taxes)
    if len(taxes) < 2 or not are_included:
        return ()
    included_rate = tax_terms(taxes, with_tax=True).included
    net = difference.on_menu / (1 + included_rate)
    for count in range(1, len(taxes)):
        for left_out in combinations(taxes, count):
            kept = [tax for tax in taxes if tax not in left_out]
            kept_rate = tax_terms(kept, with_tax=True).included
            with_kept = net * (1 + kept_rate)
            if abs(difference.paid - with_kept) < 1:
                return left_out
    return ()


def _choices(context: _Context) -> Iterator[_Misfit]:
    """Yield lines whose options are outside the limits of the item's modifier groups.

    The limits of a choice on another choice are in no menu, so the platform judges it. It may be
    what the item asks for, though, and isn't counted as missing.
    """
    for index, found in enumerate(context.fits):
        sold = found.sold
        # An option that isn't on the menu could belong to any group, so no group is counted.
        if sold is None or found.missing_options():
            continue
        faults = _group_faults(found, sold.item, context.menu)
        for fault in faults:
            yield _misfit(context.order, index, None, fault)


def _group_faults(found: Fit, item: Item, menu: Menu) -> Iterator[str]:
    """Yield a clause for each limit of the item's groups that a line's options break."""
    for use in item.groups:
        group = menu.group_by_id.get(use.group_id)
        if group is None:
            continue  # a fault in the store's setup (see `lint`), not in the order
        on_item = _count_options(found, group, with_nested=False)
        with_nested = _count_options(found, group, with_nested=True)
        count_on_item = on_item.total()
        count_with_nested = with_nested.total()
        limits = limits_in_words(use.minimum, use.maximum)
        if count_with_nested < use.minimum:
            yield f"has {count_with_nested} of {group.name}, the menu asks for {limits}"
        elif use.maximum is not None and count_on_item > use.maximum:
            yield f"has {count_on_item} of {group.name}, the menu asks for {limits}"
        if not use.once:
            continue
        for name, times in on_item.items():
            if times > 1:
                yield f"has {times} of {name}, the menu allows one"


def _count_options(found: Fit, group: ModifierGroup, *, with_nested: bool) -> Counter[str]:
    """Count how often one piece of the line has each option, by the option's name."""
    names = {option.id: option.name for option in group.options}
    counts = Counter[str]()
    for flat, option in found.chosen():
        if option is None or option.id not in names:
            continue
        is_nested = bool(flat.parents)
        if is_nested and not with_nested:
            continue
        name = names[option.id]
        counts[name] += flat.quantity
    return counts


def _quantities(context: _Context) -> Iterator[_Misfit]:
    """Yield the lines of items ordered more often than one order may hold.

    The lines of one item are added up: it may be on several, with different options.
    """
    order = context.order
    limits: dict[str, int] = {}
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for index, found in enumerate(context.fits):
        if found.sold is None:
            continue
        variation = found.sold.variation
        if variation.maximum is None:
            continue
        limits[variation.id] = variation.maximum
        lines[variation.id].append(index)
    for variation_id, limit in limits.items():
        indices = lines[variation_id]
        count = sum(order.lines[index].quantity for index in indices)
        if count <= limit:
            continue
        fault = f"is ordered {count} times, the menu allows {limit} in an order"
        for index in indices:
            yield _misfit(order, index, None, fault)


def _table(context: _Context) -> Iterator[_Misfit]:
    fulfilment = context.order.fulfilment
    if not isinstance(fulfilment, DineIn):
        return
    table = fulfilment.table
    if not context.menu.has_table(table):
        subject = f"Table {table}"
        fault = f"there is no table {table}"
        yield _Misfit(None, subject, fault)


def _taxes(context: _Context) -> Iterator[_Misfit]:
    """Yield the taxes with which the order comes to another amount than was paid.

    How many taxes there are says nothing: several are normal.
    """
    if not context.order.prices_include_tax:
        yield from _tax_amount(context)
        return
    for index, found in enumerate(context.fits):
        if found.sold is None:
            continue
        prices = price_pairs(context.order, context.menu, found, found.sold)
        for price in prices:
            if price.terms.leaves_tax_out(price.paid, price.asked):
                added = [tax for tax in price.taxes if not tax.included]
                yield from _tax_misfits(context, index, price.modifier, price.paid, added)
    for difference in _differences(context):
        yield from _tax_misfits(
            context,
            difference.line,
            difference.modifier,
            difference.paid,
            _left_out(context, difference),
        )


def _tax_misfits(
    context: _Context,
    line: int,
    modifier: Modifier | None,
    paid: int,
    taxes: Sequence[Tax],
) -> Iterator[_Misfit]:
    """Yield each tax that a price on the menu has, and the price that was paid hasn't."""
    names = " and ".join(tax.name for tax in taxes)
    price = format_money(paid, context.order.currency)
    for tax in taxes:
        fault = f"was paid at {price} with tax, the store adds {names} to that"
        misfit = _misfit(context.order, line, modifier, fault)
        yield misfit._replace(subject=tax.name)


def _tax_amount(context: _Context) -> Iterator[_Misfit]:
    """Yield the menu's taxes if they can't come to the order's tax.

    Which tax charges and open items have isn't known here, nor which lines a discount lowers, so
    the tax is known within bounds, and to what rounding comes to.
    """
    order = context.order
    for found in context.fits:
        if found.sold is None and not found.line.is_open:
            return
    names = _taxes_on_lines(context)
    if not names:
        return
    enabled = [tax for tax in context.menu.taxes if tax.enabled]
    highest_rate = total_rate(enabled)
    discounts = sum(discount.amount for discount in order.discounts)
    open_items = sum(line.discounted for line in order.lines if line.is_open)
    charges = sum(max(charge.total, 0) for charge in order.charges)
    on_lines = Decimal(0)
    for found in context.fits:
        on_lines += _tax_on(context, found)
    amount_count = len(order.lines) + len(order.charges)
    tolerance = most_rounding(amount_count, len(names))
    least = on_lines - discounts * highest_rate - tolerance
    most = on_lines + (open_items + charges) * highest_rate + tolerance
    if least <= order.tax <= most:
        return
    in_order = format_money(order.tax, order.currency)
    by_menu = format_money(round(on_lines), order.currency)
    listed = ", ".join(names)
    fault = f"the order has {in_order} of tax, the menu's ({listed}) come to {by_menu} on its lines"
    for name in names:
        yield _Misfit(None, name, fault)


def _taxes_on_lines(context: _Context) -> Sequence[str]:
    """Return the names of the taxes that the order's items have, each once."""
    names: list[str] = []
    for found in context.fits:
        if found.sold is not None:
            taxes = context.menu.taxes_on(found.sold.item)
            names += [tax.name for tax in taxes]
    return _unique(names)


def _tax_on(context: _Context, found: Fit) -> Decimal:
    """Return the tax on a line after its discounts, not rounded.

    It is by the rates of its item.
    """
    if found.sold is None:
        return Decimal(0)
    taxes = context.menu.taxes_on(found.sold.item)
    return found.line.discounted * total_rate(taxes)


# The caller raises the first error, so faults that a menu import can mend come first.
_CHECKS: tuple[tuple[type[PosError], str, _Check], ...] = (
    (MenuError, "gone", _gone),
    (MenuError, "unreadable", _unreadable),
    (MenuError, "sold_out", _sold_out),
    (MenuError, "choices", _choices),
    (MenuError, "quantity", _quantities),
    (MenuError, "price", _price),
    (MenuError, "net_price", _net_price),
    (MenuError, "table", _table),
    (TaxError, "", _taxes),
)
