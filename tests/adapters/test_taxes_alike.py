"""Taxes are judged alike with a menu in memory, with an old one, and without any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapters.menu_shops import Shop, shop_of
from adapters.sample_orders import plain_order
from tillpost import Order, TaxError
from tillpost.errors import Outcome
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.generic import WorldSettings as GenericWorld
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square import WorldSettings as SquareWorld

PLATFORMS = ("square", "generic")
WITH_MENU = pytest.mark.parametrize("with_menu", [True, False], ids=["menu", "no menu"])


def shop_adding(platform: str, percentage: str) -> Shop:
    """A shop whose prices exclude a tax of so many per cent."""
    known: Mapping[str, Any] = {"tax_percentage": percentage, "tax_inclusive": False}
    if platform == "square":
        return shop_of(platform, simulator=SquareSimulator(SquareWorld(**known)))
    return shop_of(platform, simulator=GenericSimulator(GenericWorld(**known)))


def net_order(tax: int) -> Order:
    """A toastie for 14.50 without tax, and so much tax."""
    payments = [{"method": "card", "amount": 1450 + tax}]
    return plain_order(prices_include_tax=False, tax=tax, payments=payments)


@WITH_MENU
@pytest.mark.parametrize("platform", PLATFORMS)
def test_two_lawful_taxes_arrive_alike(platform: str, with_menu: bool) -> None:
    shop = shop_adding(platform, "5")
    shop.simulator.add_tax("PST", "7")
    if with_menu:
        assert len(shop.menu.taxes) == 2
    order = net_order(174)
    assert shop.till.submit(order).total == order.total


@WITH_MENU
@pytest.mark.parametrize("platform", PLATFORMS)
def test_tax_that_differs_is_refused_alike(platform: str, with_menu: bool) -> None:
    shop = shop_adding(platform, "5")
    shop.simulator.add_tax("PST", "7")
    if with_menu:
        assert len(shop.menu.taxes) == 2
    error = shop.refused(net_order(72))
    assert (type(error), error.outcome) == (TaxError, Outcome.NOT_CREATED)
    assert "GST" in error.detail
    assert "PST" in error.detail
    assert shop.arrived() == 0


def test_tax_that_was_switched_off_since_is_not_missed() -> None:
    """A menu in memory may be old, and may not say which taxes apply to an order."""
    shop = shop_adding("square", "8.875")
    assert [tax.enabled for tax in shop.menu.taxes] == [True]
    shop.simulator.enable_tax("TAX-GST", False)
    shop.requests.clear()
    assert shop.till.submit(net_order(0)).total == 1450
    assert shop.paths("/catalog/") == []
