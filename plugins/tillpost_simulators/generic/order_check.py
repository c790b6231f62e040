"""The check that an order fits the store's menu.

A price means the same with tax and without: 13.18 in an order whose prices exclude tax is 14.50 on
a menu that includes 10 %.

As the format's page (`docs/generic`) requires, a refusal names every line with the same kind of
fault at once. The kinds are checked one after the other, so that a check may rely on those before
it: once nothing is gone, every variation and option of the order can be looked up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from tillpost.errors import MenuError
from tillpost.models.menu import GroupUse, Item, Menu, ModifierOption, Variation
from tillpost.models.order import DineIn, Line, Modifier, Order
from tillpost.models.tax_terms import TaxTerms, option_taxes, tax_terms
from tillpost_generic.wire import NewOrder
from tillpost_simulators.generic.world import Refusal

__all__ = ["Price", "check_menu", "item_of", "prices_of"]


class Price(NamedTuple):
    """A price of a line: what was paid, and what the menu says.

    `object_id` is that of the variation or option.
    """

    object_id: str
    paid: int
    on_menu: int
    terms: TaxTerms

    @property
    def is_right(self) -> bool:
        """Whether the menu's price was paid, with tax or without as the order's are."""
        return self.terms.fits(self.paid, self.on_menu)


Check: TypeAlias = Callable[[Menu, NewOrder, Line], str]
"""Returns the id of what is wrong with a line, or an empty string."""


def check_menu(menu: Menu, new: NewOrder) -> None:
    """Raise `Refusal` when a line or the table doesn't fit the menu."""
    order = new.order
    for reason, check in _CHECKS:
        faulty: dict[int, str] = {}
        for number, line in enumerate(order.lines):
            if line.is_open:
                continue  # it is on no menu
            object_id = check(menu, new, line)
            if object_id:
                faulty[number] = object_id
        if faulty:
            names = ", ".join(order.lines[number].name for number in faulty)
            first_id = next(iter(faulty.values()))
            raise Refusal(
                MenuError,
                f"{reason}: {names}",
                lines=tuple(faulty),
                item=first_id,
                reason=reason,
            )
    if isinstance(order.fulfilment, DineIn) and not menu.has_table(order.fulfilment.table):
        raise Refusal(MenuError, f"there is no table {order.fulfilment.table}", reason="table")


def item_of(menu: Menu, line: Line) -> Item:
    """Return the item of a line that is known to be on the menu."""
    item, _ = menu.by_variation[line.item_id]
    return item


def prices_of(menu: Menu, order: Order, line: Line) -> Iterator[Price]:
    """Yield the prices of a line that is known to be on the menu, its modifiers' too.

    Those that are keyed in at the register are left out.
    """
    sold = menu.by_variation[line.item_id]
    with_tax = order.prices_include_tax
    if sold.variation.price is not None:
        terms = tax_terms(menu.taxes_on(sold.item), with_tax=with_tax)
        yield Price(line.item_id, line.unit_price, sold.variation.price, terms)
    options = _options(menu, sold.item)
    for modifier in _modifiers(line):
        _, option = options[modifier.modifier_id]
        if option.price is not None:
            terms = tax_terms(option_taxes(menu, option, sold), with_tax=with_tax)
            yield Price(modifier.modifier_id, modifier.unit_price, option.price, terms)


def _modifiers(line: Line) -> list[Modifier]:
    """Return all modifiers of a line, nested ones too.

    Any of the item's options may be nested.
    """
    return [flat.modifier for flat in line.flat_modifiers()]


def _variation_of(menu: Menu, line: Line) -> Variation:
    _, variation = menu.by_variation[line.item_id]
    return variation


def _options(menu: Menu, item: Item) -> dict[str, tuple[GroupUse, ModifierOption]]:
    """Return the options of an item by id, each with the limits of its group there."""
    groups = {group.id: group for group in menu.groups}
    options: dict[str, tuple[GroupUse, ModifierOption]] = {}
    for use in item.groups:
        group = groups.get(use.group_id)
        if group is None:
            continue
        for option in group.options:
            options[option.id] = (use, option)
    return options


def _gone(menu: Menu, _: NewOrder, line: Line) -> str:
    if line.item_id not in menu.by_variation:
        return line.item_id
    options = _options(menu, item_of(menu, line))
    for modifier in _modifiers(line):
        if modifier.modifier_id not in options:
            return modifier.modifier_id
    return ""


def _sold_out(menu: Menu, _: NewOrder, line: Line) -> str:
    now = datetime.now(UTC)
    if _variation_of(menu, line).is_sold_out(now):
        return line.item_id
    options = _options(menu, item_of(menu, line))
    for modifier in _modifiers(line):
        _use, option = options[modifier.modifier_id]
        if option.is_sold_out(now):
            return modifier.modifier_id
    return ""


def _choices(menu: Menu, _: NewOrder, line: Line) -> str:
    """Return the item when a modifier group has too few or too many choices.

    A choice on another choice has no upper limit.
    """
    item = item_of(menu, line)
    options = _options(menu, item)
    for group_use in item.groups:
        nested = 0
        on_item = Counter[str]()
        for flat in line.flat_modifiers():
            modifier_id = flat.modifier.modifier_id
            modifier_use, _option = options[modifier_id]
            if modifier_use is not group_use:
                continue
            if flat.parents:
                nested += flat.quantity
            else:
                on_item[modifier_id] += flat.quantity
        if on_item.total() + nested < group_use.minimum:
            return line.item_id
        if group_use.maximum is not None and on_item.total() > group_use.maximum:
            return line.item_id
        if group_use.once and max(on_item.values(), default=0) > 1:
            return line.item_id
    return ""


def _quantity(menu: Menu, new: NewOrder, line: Line) -> str:
    """Return the variation when all lines together have more of it than an order may."""
    maximum = _variation_of(menu, line).maximum
    if maximum is None:
        return ""
    ordered = 0
    for other in new.order.lines:
        if other.item_id == line.item_id:
            ordered += other.quantity
    if ordered <= maximum:
        return ""
    return line.item_id


def _price(menu: Menu, new: NewOrder, line: Line) -> str:
    """Return what costs something else than was paid, and not only by a tax.

    Nothing does if the paid price is to be kept.
    """
    for price in _wrong_prices(menu, new, line):
        if price.paid != price.on_menu:
            return price.object_id
    return ""


def _net_price(menu: Menu, new: NewOrder, line: Line) -> str:
    """Return what the order adds tax to, though the menu's price includes it."""
    for price in _wrong_prices(menu, new, line):
        if price.terms.adds_tax_twice(price.paid, price.on_menu):
            return price.object_id
    return ""


def _wrong_prices(menu: Menu, new: NewOrder, line: Line) -> list[Price]:
    if new.keep_paid:
        return []
    return [price for price in prices_of(menu, new.order, line) if not price.is_right]


_CHECKS: tuple[tuple[str, Check], ...] = (
    ("gone", _gone),
    ("sold_out", _sold_out),
    ("choices", _choices),
    ("quantity", _quantity),
    ("price", _price),
    ("net_price", _net_price),
)
