"""A menu with odd objects, shifting pages or old marks neither fails nor misleads an order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from adapters.menu_shops import shop_of
from adapters.sample_orders import plain_order
from tillpost.models.menu import ModifierOption

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


# ---------------------------------------------------------------- sold out until


def test_lapsed_sold_out_mark_sells_within_cooldown_at_square() -> None:
    shop = shop_of("square")
    until = shop.simulator.world.clock.now() + timedelta(seconds=30)
    shop.simulator.sell_out("5312", until=until.isoformat())
    assert shop.menu.by_variation["5312"].variation.sold_out
    imports = len(shop.paths("catalog"))

    assert shop.refused(plain_order("ord_1")).reason == "sold_out"
    shop.wait(40)
    shop.till.submit(plain_order("ord_2"))

    assert shop.arrived() == 1
    assert len(shop.paths("catalog")) == imports


def test_lapsed_sold_out_mark_sells_within_cooldown_at_generic() -> None:
    shop = shop_of("generic")
    until = datetime.now(UTC) - timedelta(seconds=1)
    shop.simulator.sell_out("5312", until=until.isoformat())
    assert shop.menu.by_variation["5312"].variation.sold_out_until == until

    shop.till.submit(plain_order("ord_1"))

    assert shop.arrived() == 1
    assert len(shop.paths("/menu")) == 1


@pytest.mark.parametrize(("minutes", "sold_out"), [(-1, False), (0, False), (1, True)])
def test_option_is_sold_out_until_its_time(minutes: int, sold_out: bool) -> None:
    until = NOW + timedelta(minutes=minutes)
    option = ModifierOption(id="oat", name="Oat milk", sold_out=True, sold_out_until=until)
    assert option.is_sold_out(NOW) is sold_out
