"""The taxes of an order's taxed charges.

Square applies a line's taxes by itself, but a charge has only those that are sent with it. An
order says that a charge was taxed, and not with which taxes. Mostly it has those of the lines.
Where these don't come to the tax that the site charged (`Order.tax`, `Order.taxes`), other taxes of
the store are tried: food may be taxed at 8 per cent, and its delivery at 10. If none come to it, or
nothing says which it is, the order is refused before it is sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, islice, product
from typing import NamedTuple, TypeAlias

from tillpost.adapter import (
    Line,
    Menu,
    Order,
    OrderError,
    Tax,
    TaxedAmount,
    other_rates,
    tax_range,
    tax_shares,
)

__all__ = ["taxes_of_charges"]

Taxes: TypeAlias = tuple[Tax, ...]

_MOST_TAXES = 3
"""How many taxes a charge may have that aren't those of a line."""

_MOST_CHOICES = 500
"""How many choices of taxes are compared with the order's."""

_TOTAL = None
"""The key of what is known of all taxes together."""

Amounts: TypeAlias = Mapping[Decimal | None, int]
"""The order's taxes by their rates, or only their sum."""


class _Choice(NamedTuple):
    """A choice of taxes: for each taxed charge, and for items that aren't on the menu."""

    charges: tuple[Taxes, ...]
    open_items: Taxes


def taxes_of_charges(order: Order, menu: Menu, places: Sequence[int]) -> Sequence[Taxes]:
    """Return the taxes of each taxed charge.

    Args:
        order: The order.
        menu: The menu.
        places: The indices of the order's taxed charges.

    Raises:
        OrderError: It isn't known which taxes they have.
    """
    if not _enabled(menu):
        return [()] * len(places)
    usual = _taxes_on_lines(order, menu) or _only_taxes_on_menu(menu)
    stated = _stated(order, menu)
    if stated is None:
        if len(usual) == 1:
            return usual * len(places)
        raise _unclear(order, menu, places[0])
    found = _nearest(order, menu, places, usual, stated)
    if found:
        return found.charges
    lacking = _lacking_rates(order, menu, usual)
    if lacking:
        raise _other_tax(order, places[0], lacking)
    if len(usual) == 1:
        return usual * len(places)  # the lines' tax is another than the order's, too
    raise _unclear(order, menu, places[0])


def _other_tax(order: Order, place: int, lacking: Sequence[Decimal]) -> OrderError:
    """Return the error of an order with tax of rates that the store doesn't have."""
    name = order.charges[place].name
    percentages: list[str] = []
    for rate in lacking:
        percentage = (100 * rate).normalize()
        percentages.append(f"{percentage:f} %")
    listed = ", ".join(percentages)
    return OrderError(
        f"charges[{place}].taxed: the order has tax of {listed} (taxes), and no tax in "
        "Square comes to that",
        subjects=(f"{name} with tax of {listed}",),
        reason="unsupported",
    )


def _unclear(order: Order, menu: Menu, place: int) -> OrderError:
    """Return the error of an order that doesn't show which taxes a charge has."""
    name = order.charges[place].name
    if len(_taxes_on_lines(order, menu)) > 1:
        text = "Square's taxes differ from line to line"
        subject = "a taxed charge beside items of different taxes"
    else:
        names = ", ".join(tax.name for tax in _enabled(menu))
        text = f"the store has several taxes ({names})"
        subject = "a taxed charge that doesn't say which tax it has"
    if _stated(order, menu) is None:
        text += f", so it isn't known which of them {name!r} has; the order's taxes would show it"
    else:
        text += f", and with none of them on {name!r} they come to the order's tax"
    return OrderError(
        f"charges[{place}].taxed: {text}",
        subjects=(subject,),
        reason="unsupported",
    )


# Which taxes there are
# -------------------------------------------------------------------------------------------------


def _enabled(menu: Menu) -> list[Tax]:
    return [tax for tax in menu.taxes if tax.enabled]


def _taxes_on_lines(order: Order, menu: Menu) -> list[Taxes]:
    """Return the different sets of taxes on the order's items."""
    sets: list[Taxes] = []
    for line in order.lines:
        sold = None if line.is_open else menu.by_variation.get(line.item_id)
        if sold:
            sets.append(menu.taxes_on(sold.item))
    return _different(sets)


def _only_taxes_on_menu(menu: Menu) -> list[Taxes]:
    """Return the taxes that all taxed items have, or the only one of the store."""
    on_items = _different([menu.taxes_on(item) for item in menu.items])
    if len(on_items) == 1:
        return on_items
    enabled = _enabled(menu)
    if len(enabled) == 1:
        return [(enabled[0],)]
    return []


def _different(sets: Sequence[Taxes]) -> list[Taxes]:
    by_ids: dict[tuple[str, ...], Taxes] = {}
    for taxes in sets:
        ids = sorted(tax.id for tax in taxes)
        if ids:
            by_ids[tuple(ids)] = taxes
    return list(by_ids.values())


def _possible(order: Order, menu: Menu, usual: Sequence[Taxes]) -> list[Taxes]:
    """Return the sets of taxes that a charge may have, the usual ones first.

    A tax that prices include suits only an order whose prices do.
    """
    with_tax = order.prices_include_tax
    suitable = [tax for tax in _enabled(menu) if tax.included == with_tax]
    sets = list(usual)
    for size in range(1, _MOST_TAXES + 1):
        sets += combinations(suitable, size)
    return _different(sets)


# Which taxes come to the order's
# -------------------------------------------------------------------------------------------------


def _stated(order: Order, menu: Menu) -> Amounts | None:
    """Return the tax that the site charged, None if the order doesn't say it.

    It is by rates if the order has these and the store has them, too.
    """
    if not order.taxes:
        if order.prices_include_tax:
            return None
        return {_TOTAL: order.tax}
    by_rate: defaultdict[Decimal | None, int] = defaultdict(int)
    for tax in order.taxes:
        by_rate[tax.rate] += tax.amount
    known = {tax.rate for tax in _enabled(menu)}
    if by_rate.keys() <= known:
        return by_rate
    return {_TOTAL: sum(by_rate.values())}


def _nearest(
    order: Order,
    menu: Menu,
    places: Sequence[int],
    usual: Sequence[Taxes],
    stated: Amounts,
) -> _Choice | None:
    """Return the choice whose taxes come nearest to the order's.

    It is None if none comes to it. The usual taxes are taken if they come to it.
    """
    on_items = _amounts_of_items(order, menu)
    nearest: _Choice | None = None
    least_distance = Fraction(0)
    possible = _possible(order, menu, usual)
    choices = _choices(order, places, possible)
    for choice in islice(choices, _MOST_CHOICES):
        amounts = on_items + _amounts_chosen(order, places, choice)
        distance = _distance(amounts, stated, with_tax=order.prices_include_tax)
        if distance is None:
            continue
        is_usual = len(usual) == 1 and set(choice.charges) == {usual[0]}
        if is_usual:
            return choice
        if nearest is None or distance < least_distance:
            nearest = choice
            least_distance = distance
    return nearest


def _choices(order: Order, places: Sequence[int], possible: Sequence[Taxes]) -> Iterator[_Choice]:
    """Yield all choices.

    First come those with the same taxes on all charges, and on open items.
    """
    for taxes in possible:
        yield _Choice((taxes,) * len(places), taxes)
    has_open_items = any(line.is_open and line.discounted for line in order.lines)
    on_open_items: list[Taxes] = [()]
    if has_open_items:
        on_open_items = [*possible, ()]
    for charges in product(possible, repeat=len(places)):
        for taxes in on_open_items:
            yield _Choice(charges, taxes)


class _Taxed(NamedTuple):
    """An amount, its taxes, and by how much a site may have another amount."""

    amount: Fraction
    taxes: Taxes
    slack: int = 0


def _amounts_of_items(order: Order, menu: Menu) -> list[_Taxed]:
    """Return what each item on the menu comes to, with its taxes."""
    amounts: list[_Taxed] = []
    for line in order.lines:
        sold = menu.by_variation.get(line.item_id)
        if sold:
            taxes = menu.taxes_on(sold.item)
            amounts.append(_amount_of(order, line, taxes))
    return amounts


def _amounts_chosen(order: Order, places: Sequence[int], choice: _Choice) -> list[_Taxed]:
    """Return what each charge and open item comes to, with its chosen taxes."""
    amounts: list[_Taxed] = []
    for place, taxes in zip(places, choice.charges, strict=True):
        total = Fraction(order.charges[place].total)
        amounts.append(_Taxed(total, taxes))
    for line in order.lines:
        if not line.is_open:
            continue
        amount = _amount_of(order, line, choice.open_items)
        amounts.append(amount)
    return amounts


def _amount_of(order: Order, line: Line, taxes: Taxes) -> _Taxed:
    amount = line.discounted * _left(order)
    is_discounted = any(discount.amount for discount in order.discounts)
    return _Taxed(amount, taxes, slack=int(is_discounted))


def _left(order: Order) -> Fraction:
    """Return what part of the lines is left after the order's discounts."""
    cost = sum(line.discounted for line in order.lines)
    discounts = sum(discount.amount for discount in order.discounts)
    if not cost:
        return Fraction(0)
    return Fraction(cost - discounts, cost)


def _distance(
    amounts: Sequence[_Taxed],
    stated: Amounts,
    *,
    with_tax: bool,
) -> Fraction | None:
    """Return how far the taxes on these amounts are from the order's.

    It is None if rounding can't come to that.
    """
    by_rate: defaultdict[Decimal | None, list[TaxedAmount]] = defaultdict(list)
    for amount, taxes, slack in amounts:
        shares = tax_shares(taxes, with_tax=with_tax)
        for tax, share in zip(taxes, shares, strict=True):
            key = _TOTAL if _TOTAL in stated else tax.rate
            taxed = TaxedAmount(amount, [share], slack)
            by_rate[key].append(taxed)
    distance = Fraction(0)
    for rate in by_rate.keys() | stated.keys():
        possible = tax_range(by_rate[rate])
        in_order = stated.get(rate, 0)
        if not possible.holds(in_order):
            return None
        distance += abs(possible.exact - in_order)
    return distance


def _lacking_rates(order: Order, menu: Menu, usual: Sequence[Taxes]) -> list[Decimal]:
    """Return the order's rates that no tax of the store has.

    Where the lines' rates are others than the order's, a charge's isn't the reason.
    """
    stated = {tax.rate for tax in order.taxes if tax.rate and tax.amount}
    on_lines = {tax.rate for taxes in usual for tax in taxes}
    if not on_lines <= stated:
        return []
    return other_rates(order, [tax.rate for tax in _enabled(menu)])
