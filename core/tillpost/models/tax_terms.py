"""What a menu's price means in the terms of an order: with its taxes, or without.

A menu's price may include taxes, and others may be added to it. An order's prices include all of
their taxes, or none. So 5.50 on a menu that includes 10 % means 5.00 in an order whose prices
exclude tax. A price that was converted may be rounded up or down: it fits if it is less than a
minor unit away. All amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from tillpost.models.menu import Menu, ModifierOption, SoldItem, Tax

__all__ = ["TaxTerms", "option_taxes", "tax_terms"]


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
        return not (self.added if self.with_tax else self.included)

    def meaning(self, price: int) -> Decimal:
        """Return what a price of the menu comes to in the order, not rounded."""
        if self.are_equal:
            return Decimal(price)
        net = price / (1 + self.included)
        return net * (1 + self.included + self.added) if self.with_tax else net

    def nearest(self, price: int) -> int:
        """Return what a price of the menu comes to in the order, rounded."""
        return int(self.meaning(price).to_integral_value(ROUND_HALF_UP))

    def on_menu(self, paid: int) -> int:
        """Return the price on the menu that means what was paid, rounded."""
        if self.are_equal:
            return paid
        net = Decimal(paid)
        if self.with_tax:
            net /= 1 + self.included + self.added
        price = net * (1 + self.included)
        return int(price.to_integral_value(ROUND_HALF_UP))

    def fits(self, paid: int, price: int) -> bool:
        """Return whether the price that was paid is the menu's."""
        if self.are_equal:
            return paid == price
        return abs(paid - self.meaning(price)) < 1

    def leaves_tax_out(self, paid: int, price: int) -> bool:
        """Return whether the menu's own number was paid, to which the store adds tax."""
        return self.with_tax and paid == price and not self.fits(paid, price)

    def adds_tax_twice(self, paid: int, price: int) -> bool:
        """Return whether the menu's own number was taken for a price without tax."""
        return not self.with_tax and paid == price and not self.fits(paid, price)


def tax_terms(taxes: Sequence[Tax], *, with_tax: bool) -> TaxTerms:
    """Return the terms of what has these taxes.

    `with_tax` says whether the order's prices include tax.
    """
    included = sum((tax.rate for tax in taxes if tax.included), Decimal(0))
    added = sum((tax.rate for tax in taxes if not tax.included), Decimal(0))
    return TaxTerms(included, added, with_tax)


def option_taxes(menu: Menu, option: ModifierOption, sold: SoldItem) -> Sequence[Tax]:
    """Return the taxes on an option.

    They are its own if it is a product, else those of its item.
    """
    product = menu.by_variation.get(option.id)
    return menu.taxes_on(product.item if product else sold.item)
