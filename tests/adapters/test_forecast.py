"""What is said of an order before it is sent is what becomes of it when it is.

Random orders of each simulator's menu are looked at first and submitted then. Some have more than
the platform takes, a text that is too long, an item that is sold out, or a time that has passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.kounta.bench import SUBSTITUTES
from adapters.menu_shops import PLATFORMS, Shop, shop_of
from adapters.sample_orders import plain_order
from recent import PLACED_AT
from strategies import orders_from
from tillpost import Order, Policy, PosError, PosOrder
from tillpost.models.menu import Menu
from tillpost.submission.context import Connection, MenuCache
from tillpost.submission.forecast import Forecast, forecast
from tillpost_simulators.kounta import KountaSettings as KountaWorld
from tillpost_simulators.kounta import KountaSimulator

POLICY = Policy(first_wait=0, longest_wait=0, retry_seconds=0, import_cooldown=86_400)
CREATES = ("/v2/orders", "/orders.json", "/orders")

CHANGES: tuple[Mapping[str, Any], ...] = (
    {},
    {},
    {"note": "no nuts, please " * 2000},
    {"customer": {"name": "Mia Chen", "phone": "0400 111 222 ext. 7", "email": "mia"}},
    {"fulfilment": {"type": "pickup", "due_at": "2020-01-01T12:00:00+00:00"}},
)


def expect(shop: Shop, menu: Menu, order: Order) -> Forecast:
    """Return what is said of an order by a connection that knows the menu."""
    cache = MenuCache(menu=menu, imported_at=menu.imported_at.timestamp())
    connection = Connection(shop.adapter, policy=POLICY, menu_cache=cache)
    return forecast(connection, order)


def is_create(request: httpx.Request) -> bool:
    """Whether the request makes an order."""
    return request.method == "POST" and request.url.path.endswith(CREATES)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_is_said_of_an_order_is_what_becomes_of_it(platform: str) -> None:
    more: dict[str, Any] = dict(SUBSTITUTES) if platform == "kounta" else {}
    menu = shop_of(platform, **more).menu

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(orders_from(menu), st.sampled_from(CHANGES))
    def check(drawn: Order, change: Mapping[str, Any]) -> None:
        content = drawn.model_dump(mode="json") | {"placed_at": PLACED_AT, **change}
        order = Order.model_validate(content)
        shop = shop_of(platform, policy=POLICY, **more)
        shop.till.menu = menu
        expected = expect(shop, menu, order)
        assert not shop.requests
        result: PosOrder | PosError
        try:
            result = shop.till.submit(order, is_new=True)
        except PosError as error:
            result = error
        sent = [request for request in shop.requests if is_create(request)]
        if expected.refusals:
            assert isinstance(result, PosError)
            assert result.detail == expected.refusals[0].detail
            assert not sent
        else:
            assert sent
        if isinstance(result, PosOrder):
            assert set(expected.notices) <= set(result.notices)

    check()


def test_forecast_at_kounta_has_the_notices_of_the_order() -> None:
    """Kounta is asked for its status and for the customer first, which a forecast leaves out."""
    world = KountaWorld(currency="GBP", tax_rate=Decimal("0.2"), oauth_limit=100_000)
    simulator = KountaSimulator(world)
    simulator.change_price(5312, Decimal("0.025"))
    shop = shop_of("kounta", simulator=simulator, charge_products={"rounding": "6103"})
    menu = shop.menu
    order = plain_order("ord_1", 3, currency="GBP")
    assert order.customer is not None
    shop.requests.clear()
    (notice,) = expect(shop, menu, order).notices
    assert "a minor unit away" in notice
    assert not shop.requests
    assert notice in shop.till.submit(order, is_new=True).notices
