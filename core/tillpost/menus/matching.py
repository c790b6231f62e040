"""The matching of an order's lines with the store's current menu.

They are matched by id, SKU, or exact name and price. Ids change when a store rebuilds its menu; an
order sold from the older menu then names items that no longer exist. `rebind`, called by the
submission flow, gives its lines the new ids. It drops no line and changes no price: a line without
a match stays as it is, and a paid price that is kept against the menu's becomes a remark on the
order. `validation` shares `fit` and `price_differences`, so that what is checked is what is sent.
All amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from tillpost.models.menu import Item, Menu, ModifierOption, SoldItem
from tillpost.models.money import format_money
from tillpost.models.order import Line, Modifier, Order

__all__ = ["Binding", "Fit", "PriceDifference", "PricePolicy", "fit", "price_differences", "rebind"]

PricePolicy: TypeAlias = Literal["refuse", "keep_paid"]
"""What happens when the menu's price differs from the paid one.

`refuse` rejects the order; `keep_paid` keeps the paid price and notes it on the order.
"""


class Binding(NamedTuple):
    """An order with the menu's ids.

    Attributes:
        order: The order, or the same object when nothing changed.
        keep_paid: Whether its prices must be kept although the menu's differ.
        remarks: What to write on the order's note, such as
            "Price kept as paid: BLT toastie 14.50 AUD (menu 15.00 AUD)".
    """

    order: Order
    keep_paid: bool = False
    remarks: tuple[str, ...] = ()


class Fit(NamedTuple):
    """A line and what it names on the menu.

    Attributes:
        line: The order's line.
        sold: The item and variation; None when the menu doesn't have it.
        options: The option for each of the line's modifiers; None for one that the item doesn't
            have, and for all of them when there is no item.
        moved: Whether anything was matched under another id than the order's.
    """

    line: Line
    sold: SoldItem | None
    options: tuple[ModifierOption | None, ...]
    moved: bool

    def chosen(self) -> Iterator[tuple[Modifier, ModifierOption | None]]:
        """Return each modifier of the line with its option on the menu."""
        return zip(self.line.modifiers, self.options, strict=True)


class PriceDifference(NamedTuple):
    """A price on which the order and the menu disagree.

    It is the price of the line at index `line`, or of `modifier` on that line.
    """

    line: int
    modifier: Modifier | None
    name: str
    paid: int
    asked: int


def rebind(order: Order, menu: Menu | None, prices: PricePolicy) -> Binding:
    """Return the order with the menu's ids.

    Returns the same order object when all ids are the menu's, and when there is no menu.
    """
    if menu is None:
        return Binding(order)
    fits = fit(order, menu)
    bound = order
    if any(found.moved for found in fits):
        lines = tuple(_bound_line(found) for found in fits)
        bound = order.model_copy(update={"lines": lines})
    if prices == "refuse":
        return Binding(bound)
    remarks: dict[str, None] = {}  # lines that share a price share one remark
    for difference in price_differences(order, menu, fits):
        remark = _remark(order, menu, difference)
        remarks[remark] = None
    return Binding(
        bound,
        keep_paid=bool(remarks),
        remarks=tuple(remarks),
    )


def _remark(order: Order, menu: Menu, difference: PriceDifference) -> str:
    paid = format_money(difference.paid, order.currency)
    asked = format_money(difference.asked, menu.currency)
    return f"Price kept as paid: {difference.name} {paid} (menu {asked})"


def fit(order: Order, menu: Menu) -> Sequence[Fit]:
    """Return each line of the order with what it names on the menu.

    The lines keep the order's sequence.
    """
    return [_fit(line, menu) for line in order.lines]


def _fit(line: Line, menu: Menu) -> Fit:
    """Match a line by ids, and search only when that fails.

    Nearly every line has current ids.
    """
    try:
        sold = menu.sold.by_id[line.item_id]
        option_by_id = menu.choices(sold.item).by_id
        options = tuple([option_by_id[modifier.modifier_id] for modifier in line.modifiers])
    except KeyError:
        return _search(line, menu)
    return Fit(line, sold, options, moved=False)


def _search(line: Line, menu: Menu) -> Fit:
    """Match a line by whatever identifies it: id, SKU, or name and price."""
    sold = menu.sold.find(
        line.item_id,
        line.sku,
        line.name,
        line.unit_price,
    )
    if sold is None:
        unknown = (None,) * len(line.modifiers)
        return Fit(line, None, unknown, moved=False)
    choices = menu.choices(sold.item)
    options: list[ModifierOption | None] = []
    moved = sold.variation.id != line.item_id
    for modifier in line.modifiers:
        option = choices.find(
            modifier.modifier_id,
            modifier.sku,
            modifier.name,
            modifier.unit_price,
        )
        options.append(option)
        if option and option.id != modifier.modifier_id:
            moved = True
    return Fit(line, sold, tuple(options), moved)


def _bound_line(found: Fit) -> Line:
    """Return the line with the matched ids; the same object when it has them already."""
    if found.sold is None or not found.moved:
        return found.line
    modifiers: list[Modifier] = []
    for modifier, option in found.chosen():
        bound = modifier
        if option:
            bound = modifier.model_copy(update={"modifier_id": option.id})
        modifiers.append(bound)
    update = {
        "item_id": found.sold.variation.id,
        "modifiers": tuple(modifiers),
    }
    return found.line.model_copy(update=update)


def price_differences(order: Order, menu: Menu, fits: Sequence[Fit]) -> Iterator[PriceDifference]:
    """Yield each price on which the order and the menu disagree, line by line.

    Prices keyed in at the register aren't compared. Neither are items whose price includes the tax
    on one side and excludes it on the other.
    """
    for index, (line, sold, options, _) in enumerate(fits):
        if sold is None:
            continue
        asked = [sold.variation.price]
        asked += [option.price if option else None for option in options]
        paid = [line.unit_price]
        paid += [modifier.unit_price for modifier in line.modifiers]
        if asked == paid or not _comparable(order, menu, sold.item):
            continue
        priced: tuple[Modifier | None, ...] = (None, *line.modifiers)
        for modifier, was, now in zip(priced, paid, asked, strict=True):
            if now is None or now == was:
                continue
            name = modifier.name if modifier else line.name
            yield PriceDifference(index, modifier, name, was, now)


def _comparable(order: Order, menu: Menu, item: Item) -> bool:
    """Return whether order and menu treat the taxes in an item's price alike.

    Both include the item's taxes in its price, or both exclude them.
    """
    taxes = menu.taxes_on(item)
    return all(tax.included == order.prices_include_tax for tax in taxes)
