"""What a menu's price means in the terms of an order: with its taxes, or without.

A menu's price may include taxes, and others may be added to it. An order's prices include all of
their taxes, or none. So 5.50 on a menu that includes 10 % means 5.00 in an order whose prices
exclude tax. A price that was converted may be rounded up or down: it fits if it is less than a
minor unit away. What it is away counts for every piece, so a total may differ by more than what
taxes are rounded by. All amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from tillpost.models.menu import Menu, ModifierOption, SoldItem, Tax

__all__ = [
    "TaxTerms",
    "most_rounding",
    "option_taxes",
    "tax_terms",
    "total_rate",
]


class TaxTerms(NamedTuple):
    """How the prices of an order and of a menu are related.

    Attributes:
        included: The sum of the rates that the menu's price includes: 0.1 is ten per cent.
        added: The sum of the rates that are added to it.
        with_tax: Whether the order's prices include tax.
    """

    included: Decimal
    added: Decimal
    with_tax: bool

    @property
    def are_equal(self) -> bool:
        """Whether a price means the same in the order as on the menu."""
        rate_between = self.added if self.with_tax else self.included
        return not rate_between

    @property
    def _price_factor(self) -> Decimal:
        """What a price without tax is multiplied by to make the menu's price."""
        return 1 + self.included

    @property
    def _gross_factor(self) -> Decimal:
        """What a price without tax is multiplied by to make a price with all taxes."""
        return 1 + self.included + self.added

    def meaning(self, price: int) -> Decimal:
        """Return what a price of the menu comes to in the order, not rounded."""
        if self.are_equal:
            return Decimal(price)
        net = price / self._price_factor
        if not self.with_tax:
            return net
        return net * self._gross_factor

    def nearest(self, price: int) -> int:
        """Return what a price of the menu comes to in the order, rounded."""
        return _rounded(self.meaning(price))

    def on_menu(self, paid: int) -> int:
        """Return the price on the menu that means what was paid, rounded."""
        if self.are_equal:
            return paid
        net = Decimal(paid)
        if self.with_tax:
            net /= self._gross_factor
        price = net * self._price_factor
        return _rounded(price)

    def fits(self, paid: int, price: int) -> bool:
        """Return whether the price that was paid is the menu's."""
        if self.are_equal:
            return paid == price
        difference = abs(paid - self.meaning(price))
        return difference < 1

    def converted_by(self, paid: int, price: int) -> Decimal:
        """Return what a total differs by for each piece, because its price was converted.

        It is 0 where a price means the same in the order as on the menu. Where the order's prices
        exclude tax, the tax on the difference counts as well.
        """
        if self.are_equal:
            return Decimal(0)
        difference = abs(paid - self.meaning(price))
        if self.with_tax:
            return difference
        return difference * self._gross_factor

    def leaves_tax_out(self, paid: int, price: int) -> bool:
        """Return whether the menu's own number was paid, to which the store adds tax."""
        return self.with_tax and self._is_unconverted(paid, price)

    def adds_tax_twice(self, paid: int, price: int) -> bool:
        """Return whether the menu's own number was taken for a price without tax."""
        return not self.with_tax and self._is_unconverted(paid, price)

    def _is_unconverted(self, paid: int, price: int) -> bool:
        """Return whether the menu's own number was paid, though it means another price."""
        return paid == price and not self.fits(paid, price)


def _rounded(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_UP))


def tax_terms(taxes: Sequence[Tax], *, with_tax: bool) -> TaxTerms:
    """Return the terms of what has these taxes.

    `with_tax` says whether the order's prices include tax.
    """
    included = total_rate([tax for tax in taxes if tax.included])
    added = total_rate([tax for tax in taxes if not tax.included])
    return TaxTerms(included, added, with_tax)


def total_rate(taxes: Sequence[Tax]) -> Decimal:
    """Return the sum of the taxes' rates: 0.1 is ten per cent."""
    return sum((tax.rate for tax in taxes), Decimal(0))


def most_rounding(parts: int, taxes: int) -> int:
    """Return the most that rounding explains of a difference between two totals.

    Sites and platforms round taxes by part, by tax or by order, halves up or to even. A part is a
    line or a charge; `taxes` are the most that one has.
    """
    return parts * taxes


def option_taxes(menu: Menu, option: ModifierOption, sold: SoldItem) -> Sequence[Tax]:
    """Return the taxes on an option.

    They are its own if it is a product, else those of its item.
    """
    product = menu.by_variation.get(option.id)
    return menu.taxes_on(product.item if product else sold.item)
