"""Checks an order against the store's imported menu before anything is sent: no network, nothing changed.

`check_order` finds all that is wrong at once: items and options that are gone or sold out, prices
that differ, choices that don't fit an item's limits, more of an item than an order may have, items
under more than one tax, and a table that isn't there. It looks things up just as `rebinding` does,
so an item whose id alone changed isn't gone. What fits here may still be refused by the platform;
what doesn't would be.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tillpost.errors import MenuError, PosError, TaxError
from tillpost.menus.matching import Fit, PricePolicy, fit, price_differences
from tillpost.models.menu import Item, Menu, ModifierOption, limits_in_words
from tillpost.models.money import format_money
from tillpost.models.order import DineIn, Modifier, Order, describe_lines

__all__ = ["check_order"]


class _Misfit(NamedTuple):
    """One thing that is wrong: whom it is about, and a clause without its full stop.

    `line` is the index of the line at fault; None when it is the order's fulfilment.
    """

    line: int | None
    subject: str
    detail: str


class _Checked(NamedTuple):
    order: Order
    menu: Menu
    prices: PricePolicy
    fits: Sequence[Fit]


def check_order(order: Order, menu: Menu, prices: PricePolicy) -> tuple[PosError, ...]:
    """Return what is wrong with the order by this menu, an error for each kind of remedy; nothing when all fits.

    A `MenuError` has the reason "gone", "sold_out", "choices", "quantity", "price" or "table". Each
    error names all the lines that it is about, and its subjects are the items and options by name,
    the taxes for a `TaxError`, or the table, which is on no line. Prices are looked at only when
    they are to be refused.
    """
    checked = _Checked(order, menu, prices, fit(order, menu))
    found = ((kind, reason, list(check(checked))) for kind, reason, check in _CHECKS)
    return tuple(_error(kind, reason, misfits) for kind, reason, misfits in found if misfits)


def _error(kind: type[PosError], reason: str, misfits: Sequence[_Misfit]) -> PosError:
    return kind(
        "; ".join(dict.fromkeys(m.detail for m in misfits)),
        lines=tuple(dict.fromkeys(m.line for m in misfits if m.line is not None)),
        subjects=tuple(dict.fromkeys(m.subject for m in misfits)),
        reason=reason,
    )


def _misfit(order: Order, index: int, modifier: Modifier | None, fault: str) -> _Misfit:
    """Say that a line, or a modifier on it, has a fault."""
    (line,) = describe_lines(order, [index])
    if modifier is None:
        return _Misfit(index, line, f"{order.lines[index].name} {fault}")
    return _Misfit(
        index, f"{modifier.name} on {line}", f"{modifier.name} on {order.lines[index].name} {fault}"
    )


def _chosen(found: Fit) -> Iterator[tuple[Modifier, ModifierOption | None]]:
    return zip(found.line.modifiers, found.options, strict=True)


def _gone(checked: _Checked) -> Iterator[_Misfit]:
    for index, found in enumerate(checked.fits):
        if found.sold is None:
            yield _misfit(checked.order, index, None, "isn't on the menu")
            continue
        for modifier, option in _chosen(found):
            if option is None:
                yield _misfit(checked.order, index, modifier, "isn't among its options")


def _sold_out(checked: _Checked) -> Iterator[_Misfit]:
    for index, found in enumerate(checked.fits):
        if found.sold and found.sold[1].sold_out:
            yield _misfit(checked.order, index, None, "is sold out")
        for modifier, option in _chosen(found):
            if option and option.sold_out:
                yield _misfit(checked.order, index, modifier, "is sold out")


def _price(checked: _Checked) -> Iterator[_Misfit]:
    order, menu = checked.order, checked.menu
    if checked.prices == "refuse":
        for x in price_differences(order, menu, checked.fits):
            if _taxes_in_price(checked, x.line) > 1:
                continue  # then the price is wrong because of the taxes, which are told
            paid, asked = format_money(x.paid, order.currency), format_money(x.asked, menu.currency)
            yield _misfit(order, x.line, x.modifier, f"was paid at {paid}, the menu says {asked}")


def _taxes_in_price(checked: _Checked, line: int) -> int:
    sold = checked.fits[line].sold
    return sum(tax.included for tax in checked.menu.taxes_on(sold[0])) if sold else 0


def _choices(checked: _Checked) -> Iterator[_Misfit]:
    for index, found in enumerate(checked.fits):
        # With an option that isn't there, nobody knows which group's count it belongs to.
        if found.sold and None not in found.options:
            for fault in _miscounts(found, found.sold[0], checked.menu):
                yield _misfit(checked.order, index, None, fault)


def _miscounts(found: Fit, item: Item, menu: Menu) -> Iterator[str]:
    """Say of each group whose limits on the item aren't kept how many were chosen, and how many may be."""
    for use in item.groups:
        group = menu.group_by_id.get(use.group_id)
        if group:  # else it is a fault in the setup, and not in the order
            names = {option.id: option.name for option in group.options}
            counts = Counter[str]()
            for modifier, option in _chosen(found):
                if option and option.id in names:
                    counts[option.id] += modifier.quantity
            count = counts.total()
            if count < use.minimum or (use.maximum is not None and count > use.maximum):
                yield f"has {count} of {group.name}, the menu asks for {limits_in_words(use.minimum, use.maximum)}"
            if use.once:
                twice = (
                    f"has {n} of {names[id_]}, the menu allows one"
                    for id_, n in counts.items()
                    if n > 1
                )
                yield from twice


def _quantities(checked: _Checked) -> Iterator[_Misfit]:
    """What is limited is counted over all lines: the same item may be on several, with different options."""
    lines: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for index, found in enumerate(checked.fits):
        if found.sold and (most := found.sold[1].maximum) is not None:
            lines[found.sold[1].id, most].append(index)
    for (_, most), indices in lines.items():
        count = sum(checked.order.lines[index].quantity for index in indices)
        if count > most:
            said = f"is ordered {count} times, the menu allows {most} in an order"
            yield from (_misfit(checked.order, index, None, said) for index in indices)


def _table(checked: _Checked) -> Iterator[_Misfit]:
    how = checked.order.fulfilment
    if isinstance(how, DineIn) and not checked.menu.has_table(how.table):
        yield _Misfit(None, f"Table {how.table}", f"there is no table {how.table}")


def _taxes(checked: _Checked) -> Iterator[_Misfit]:
    for index, found in enumerate(checked.fits):
        taxes = checked.menu.taxes_on(found.sold[0]) if found.sold else ()
        if len(taxes) > 1:
            names = [tax.name for tax in taxes]
            fault = f"{found.line.name} is under {len(taxes)} taxes: {', '.join(names)}"
            yield from (_Misfit(index, name, fault) for name in names)


# What an import mends comes first: the caller raises the first error.
_CHECKS: tuple[tuple[type[PosError], str, Callable[[_Checked], Iterator[_Misfit]]], ...] = (
    (MenuError, "gone", _gone),
    (MenuError, "sold_out", _sold_out),
    (MenuError, "choices", _choices),
    (MenuError, "quantity", _quantities),
    (MenuError, "price", _price),
    (MenuError, "table", _table),
    (TaxError, "", _taxes),
)
