"""The matching of an order's lines with the store's current menu.

They are matched by id, SKU, or exact name and price. Ids change when a store rebuilds its menu; an
order sold from the older menu then names items that no longer exist. `rebind`, called by the
submission flow, gives its lines the new ids. It drops no line and changes no price: a line without
a match stays as it is, and a paid price that is kept against the menu's becomes a remark on the
order. Where the register shows the menu's names, a name that was ordered and says more goes into
its line's note. `validation` shares `fit` and `price_differences`, so that what is checked is what
is sent. All amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from tillpost.models.menu import Menu, ModifierOption, SoldItem, Tax
from tillpost.models.money import format_money
from tillpost.models.names import OtherName, other_names, whole_name
from tillpost.models.order import FlatModifier, Line, Modifier, Order
from tillpost.models.tax_terms import TaxTerms, option_taxes, tax_terms

__all__ = [
    "Binding",
    "Fit",
    "PriceDifference",
    "PricePair",
    "PricePolicy",
    "fit",
    "price_differences",
    "price_pairs",
    "rebind",
]

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
        notices: What was changed, for people: the remarks, and names that went into a note.
    """

    order: Order
    keep_paid: bool = False
    remarks: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class Fit(NamedTuple):
    """A line and what it names on the menu.

    Attributes:
        line: The order's line.
        sold: The item and variation; None when the menu doesn't have it.
        options: The option for each of the line's modifiers, nested ones too, in the sequence of
            `Line.flat_modifiers`; None for one that the item doesn't have, and for all of them when
            there is no item.
        moved: Whether anything was matched under another id than the order's.
    """

    line: Line
    sold: SoldItem | None
    options: tuple[ModifierOption | None, ...]
    moved: bool

    def chosen(self) -> Iterator[tuple[FlatModifier, ModifierOption | None]]:
        """Return each modifier of the line, nested ones too, with its option on the menu."""
        return zip(self.line.flat_modifiers(), self.options, strict=True)

    def missing_options(self) -> Sequence[Modifier]:
        """Return the modifiers on the item itself that aren't among its options.

        A nested modifier may be an option of the one that it is on, and a menu doesn't list those.
        So it isn't known whether it is missing.
        """
        return [
            flat.modifier for flat, option in self.chosen() if option is None and not flat.parents
        ]

    @property
    def is_on_menu(self) -> bool:
        """Whether the menu has the item and all options that are chosen on it."""
        return self.sold is not None and not self.missing_options()

    def other_names(self) -> list[OtherName]:
        """Return the line's names of which the menu's don't say all."""
        if self.sold is None:
            return []
        item, variation = self.sold
        pairs = [(self.line.name, whole_name(item.name, variation.name))]
        pairs += [(flat.modifier.name, option.name) for flat, option in self.chosen() if option]
        return other_names(pairs)


class PriceDifference(NamedTuple):
    """A price on which the order and the menu disagree.

    It is the price of the line at index `line`, or of `modifier` on that line. `asked` is what the
    menu's price means in the order, with or without tax; `on_menu` is the menu's own number, and
    `terms` say how the two are related.
    """

    line: int
    modifier: Modifier | None
    name: str
    paid: int
    asked: int
    on_menu: int
    terms: TaxTerms


def rebind(
    order: Order, menu: Menu | None, prices: PricePolicy, *, shows_names: bool = True
) -> Binding:
    """Return the order with the menu's ids.

    Returns the same order object when nothing of it changes, and when there is no menu.

    Args:
        order: The order.
        menu: The menu, None if none is known.
        prices: What happens to a price that differs.
        shows_names: Whether the register shows the order's own names. If not, those of which the
            menu's don't say all go into the notes of their lines.
    """
    if menu is None:
        return Binding(order)
    fits = fit(order, menu)
    lines = [_bound_line(found) for found in fits]
    notices: list[str] = []
    if not shows_names:
        for index, found in enumerate(fits):
            names = found.other_names()
            lines[index] = _named_line(lines[index], names)
            notices += [name.notice(index) for name in names]
    is_changed = any(after is not before for after, before in zip(lines, order.lines, strict=True))
    bound = order.model_copy(update={"lines": tuple(lines)}) if is_changed else order
    if prices == "refuse":
        return Binding(bound, notices=tuple(notices))
    remarks: dict[str, None] = {}  # lines that share a price share one remark
    for difference in price_differences(order, menu, fits):
        remark = _remark(order, menu, difference)
        remarks[remark] = None
    return Binding(
        bound,
        keep_paid=bool(remarks),
        remarks=tuple(remarks),
        notices=(*remarks, *notices),
    )


def _named_line(line: Line, names: Sequence[OtherName]) -> Line:
    """Return the line with these names in its note, after what the customer wrote."""
    added = [name.note for name in names if not name.is_in(line.note)]
    if not added:
        return line
    note = "\n".join([line.note, *added] if line.note else added)
    return line.model_copy(update={"note": note})


def _remark(order: Order, menu: Menu, difference: PriceDifference) -> str:
    paid = format_money(difference.paid, order.currency)
    asked = format_money(difference.asked, menu.currency)
    tax = "" if order.prices_include_tax else " without tax"
    return f"Price kept as paid: {difference.name} {paid}{tax} (menu {asked})"


def fit(order: Order, menu: Menu) -> Sequence[Fit]:
    """Return each line of the order with what it names on the menu.

    The lines keep the order's sequence.
    """
    return [_fit(line, menu) for line in order.lines]


def _fit(line: Line, menu: Menu) -> Fit:
    """Match a line by ids, and search only when that fails.

    Nearly every line has current ids.
    """
    if line.is_open:
        return Fit(line, None, (), moved=False)
    modifiers = [flat.modifier for flat in line.flat_modifiers()]
    try:
        sold = menu.sold.by_id[line.item_id]
        option_by_id = menu.choices(sold.item).by_id
        options = tuple([option_by_id[modifier.modifier_id] for modifier in modifiers])
    except KeyError:
        return _search(line, modifiers, menu)
    if _skus_differ(line, modifiers, sold, options):
        return _search(line, modifiers, menu)
    return Fit(line, sold, options, moved=False)


def _skus_differ(
    line: Line,
    modifiers: Sequence[Modifier],
    sold: SoldItem,
    options: Sequence[ModifierOption],
) -> bool:
    """Return whether an id may have come back on another product: its SKU is another."""
    if line.sku and line.sku != sold.variation.sku:
        return True
    return any(
        modifier.sku and modifier.sku != option.sku
        for modifier, option in zip(modifiers, options, strict=True)
    )


def _search(line: Line, modifiers: Sequence[Modifier], menu: Menu) -> Fit:
    """Match a line by whatever identifies it: id, SKU, or name and price."""
    sold = menu.sold.match(
        line.item_id,
        line.sku,
        line.name,
        line.unit_price,
    )
    if sold is None:
        unknown = (None,) * len(modifiers)
        return Fit(line, None, unknown, moved=False)
    choices = menu.choices(sold.item)
    options: list[ModifierOption | None] = []
    moved = sold.variation.id != line.item_id
    for modifier in modifiers:
        option = choices.match(
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
    update = {
        "item_id": found.sold.variation.id,
        "modifiers": _bound_modifiers(found.line.modifiers, iter(found.options)),
    }
    return found.line.model_copy(update=update)


def _bound_modifiers(
    modifiers: Sequence[Modifier], options: Iterator[ModifierOption | None]
) -> tuple[Modifier, ...]:
    """Return modifiers with the matched ids.

    The options are in the sequence of `flat_modifiers`.
    """
    bound: list[Modifier] = []
    for modifier in modifiers:
        option = next(options)
        update: dict[str, object] = {"modifiers": _bound_modifiers(modifier.modifiers, options)}
        if option:
            update["modifier_id"] = option.id
        bound.append(modifier.model_copy(update=update))
    return tuple(bound)


def price_differences(order: Order, menu: Menu, fits: Sequence[Fit]) -> Iterator[PriceDifference]:
    """Yield each price on which the order and the menu disagree, line by line.

    The menu's price counts as what it means in the order, with or without tax. Prices keyed in at
    the register aren't compared. Neither are those to which the store adds a tax that the order's
    price doesn't have: the tax differs, and not the price.
    """
    for index, found in enumerate(fits):
        if found.sold is None or _is_alike(order, menu, found, found.sold):
            continue
        for price in price_pairs(order, menu, found, found.sold):
            terms = price.terms
            if terms.fits(price.paid, price.asked) or terms.leaves_tax_out(price.paid, price.asked):
                continue
            name = price.modifier.name if price.modifier else found.line.name
            asked = terms.nearest(price.asked)
            yield PriceDifference(
                index, price.modifier, name, price.paid, asked, price.asked, terms
            )


def _is_alike(order: Order, menu: Menu, found: Fit, sold: SoldItem) -> bool:
    """Return whether all prices are equal and mean the same.

    They do on nearly every line.
    """
    paid = [found.line.unit_price]
    paid += [flat.modifier.unit_price for flat in found.line.flat_modifiers()]
    asked = [sold.variation.price]
    asked += [option.price if option else None for option in found.options]
    if asked != paid:
        return False
    taxes = menu.taxes_on(sold.item)
    return all(tax.included == order.prices_include_tax for tax in taxes)


class PricePair(NamedTuple):
    """A price of the order and the menu's own: of an item, or of a modifier on it."""

    modifier: Modifier | None
    paid: int
    asked: int
    terms: TaxTerms
    taxes: Sequence[Tax]


def price_pairs(order: Order, menu: Menu, found: Fit, sold: SoldItem) -> Iterator[PricePair]:
    """Yield each price of a line with the menu's.

    Those that are keyed in at the register are left out.
    """
    with_tax = order.prices_include_tax
    taxes = menu.taxes_on(sold.item)
    terms = tax_terms(taxes, with_tax=with_tax)
    asked = sold.variation.price
    if asked is not None:
        yield PricePair(None, found.line.unit_price, asked, terms, taxes)
    for flat, option in found.chosen():
        if option is None or option.price is None:
            continue
        modifier = flat.modifier
        own_taxes = option_taxes(menu, option, sold)
        own_terms = terms if own_taxes is taxes else tax_terms(own_taxes, with_tax=with_tax)
        yield PricePair(modifier, modifier.unit_price, option.price, own_terms, own_taxes)
