"""Binds an order's lines to the store's menu as it is now, by id, else by SKU, else by exact name and price.

Ids change when a store rebuilds its menu; an order sold from the older menu then names things that
are gone. `rebind` gives it the new ids. It drops nothing and changes no price: a line that can't be
found stays as it is, and a price kept against the menu's is told in a remark. `precheck` shares
`fit` and `price_differences`, so that what is checked is what is sent. All amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from tillpost.models.menu import Item, Menu, ModifierOption, Variation
from tillpost.models.money import format_money
from tillpost.models.order import Line, Modifier, Order

__all__ = ["Binding", "Fit", "PriceDifference", "PricePolicy", "fit", "price_differences", "rebind"]

PricePolicy: TypeAlias = Literal["refuse", "keep_paid"]
"""What to do when the menu's price isn't the one that was paid: refuse the order, or keep the paid price and say so."""


class Binding(NamedTuple):
    """The order with the menu's ids. `keep_paid` says that its prices must stand against the menu's; `remarks` name
    them for the order's note, such as "Price kept as paid: BLT toastie 14.50 AUD (menu 15.00 AUD)".
    """

    order: Order
    keep_paid: bool = False
    remarks: tuple[str, ...] = ()


class Fit(NamedTuple):
    """A line beside what it names on the menu: the item and variation, and an option for each of its modifiers.

    None stands for what isn't on the menu. The options of an item that isn't there aren't known
    either. `moved` says that something was found under another id than the order's.
    """

    line: Line
    sold: tuple[Item, Variation] | None
    options: tuple[ModifierOption | None, ...]
    moved: bool


class PriceDifference(NamedTuple):
    """A price that the menu doesn't have as it was paid: of the line at index `line`, or of `modifier` on it."""

    line: int
    modifier: Modifier | None
    name: str
    paid: int
    asked: int


def rebind(order: Order, menu: Menu | None, prices: PricePolicy) -> Binding:
    """Return the order with ids as the menu has them; the very same order when they all are, or without a menu."""
    if menu is None:
        return Binding(order)
    fits = fit(order, menu)
    moved = any(found.moved for found in fits)
    bound = order.model_copy(update={"lines": tuple(map(_bound, fits))}) if moved else order
    kept = price_differences(order, menu, fits) if prices == "keep_paid" else ()
    # A price that several lines share is said once.
    remarks = dict.fromkeys(
        f"Price kept as paid: {x.name} {format_money(x.paid, order.currency)} "
        f"(menu {format_money(x.asked, menu.currency)})"
        for x in kept
    )
    return Binding(bound, bool(remarks), tuple(remarks))


def fit(order: Order, menu: Menu) -> Sequence[Fit]:
    """Return each line of the order beside what it names on the menu, in the order's sequence."""
    return [_fit(line, menu) for line in order.lines]


def _fit(line: Line, menu: Menu) -> Fit:
    """Look for the line by ids alone, since nearly every line of nearly every order has the right ones."""
    try:
        sold = menu.sold.by_id[line.item_id]
        by_id = menu.choices(sold[0]).by_id
        return Fit(line, sold, tuple([by_id[m.modifier_id] for m in line.modifiers]), moved=False)
    except KeyError:
        return _search(line, menu)


def _search(line: Line, menu: Menu) -> Fit:
    sold = menu.sold.find(line.item_id, line.sku, line.name, line.unit_price)
    if sold is None:
        return Fit(line, None, (None,) * len(line.modifiers), moved=False)
    find = menu.choices(sold[0]).find
    options = tuple(find(m.modifier_id, m.sku, m.name, m.unit_price) for m in line.modifiers)
    ids = (line.item_id, *(m.modifier_id for m in line.modifiers))
    found = (sold[1], *options)
    return Fit(
        line, sold, options, moved=any(x and x.id != id_ for x, id_ in zip(found, ids, strict=True))
    )


def _bound(found: Fit) -> Line:
    """Return the line with the ids of what was found; the same line when it has them."""
    line, sold, options, moved = found
    if not sold or not moved:
        return line
    modifiers = tuple(
        modifier.model_copy(update={"modifier_id": option.id}) if option else modifier
        for modifier, option in zip(line.modifiers, options, strict=True)
    )
    return line.model_copy(update={"item_id": sold[1].id, "modifiers": modifiers})


def price_differences(order: Order, menu: Menu, fits: Sequence[Fit]) -> Iterator[PriceDifference]:
    """Yield each price that the menu knows and that isn't the one paid, line by line.

    A price keyed in at the register is known to nobody. Nor can a price that holds the tax be held
    against one that doesn't: an item taxed in the other way than the order was sold isn't compared.
    """
    for index, (line, sold, options, _) in enumerate(fits):
        if sold is None:
            continue
        asked = (sold[1].price, *[option.price if option else None for option in options])
        paid = (line.unit_price, *[modifier.unit_price for modifier in line.modifiers])
        if asked == paid or not _comparable(order, menu, sold[0]):
            continue
        whose = (None, *line.modifiers)
        for modifier, was, now in zip(whose, paid, asked, strict=True):
            if now not in (None, was):
                yield PriceDifference(index, modifier, (modifier or line).name, was, now)


def _comparable(order: Order, menu: Menu, item: Item) -> bool:
    return all(tax.included == order.prices_include_tax for tax in menu.taxes_on(item))
