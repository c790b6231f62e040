"""On every platform and tax model, any order arrives whole at what was paid, or is refused.

Refused means before it is sent, by a field. Nothing is altered without a notice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random

import httpx
import pytest

from adapters.menu_shops import PLATFORMS
from adapters.money_orders import OrderMaker
from adapters.money_register import assert_whole
from adapters.money_shops import MODELS, MoneyShop, TaxModel, money_shop
from tillpost import OrderError, PosError
from tillpost.errors import Outcome
from tillpost.models.order import Order

REFUSALS: Mapping[str, Mapping[str, float]] = {
    "generic": {},
    "kounta": {},
    "square": {
        "amount_due": 0.15,
        "charges[].amount": 0.15,
        "charges[].taxed": 0.3,
        "fulfilment.instructions": 0.05,
        "note": 0.05,
    },
}
"""The fields that a platform may refuse, and the largest share of the orders.

No register of Square's shows an order that isn't paid. It can't take a rounding off prices without
tax, and gives a charge the taxes of the lines, if these have the same. Its notes hold so much.
"""

ORDERS_OF_A_SHOP = 24


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_any_order_arrives_as_paid_or_is_refused_by_field(platform: str, model: TaxModel) -> None:
    refused = assert_all_arrive(platform, model, Random(f"{platform} {model.name}"), count=5)
    assert refused.total() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_two_thousand_orders_arrive_as_paid(platform: str, model: TaxModel, seed: int) -> None:
    each = 2000 // (len(PLATFORMS) * len(MODELS)) + 1
    refused = assert_all_arrive(platform, model, Random(f"{seed} {platform} {model.name}"), each)
    for field, count in refused.items():
        assert count <= REFUSALS[platform][field] * each, refused
    print(f"{platform}, {model.name}: {each} orders, refused {dict(refused)}")


def assert_all_arrive(platform: str, model: TaxModel, random: Random, count: int) -> Counter[str]:
    """Submit random orders, and return how many were refused by which field.

    Some go by another process, which knows no menu yet.
    """
    refused = Counter[str]()
    for number, (shop, order) in enumerate(orders(platform, model, random, count)):
        till = shop.shop.till if number % 4 else shop.shop.connect()
        shop.shop.requests.clear()
        try:
            made = till.submit(order, is_new=True)
        except PosError as error:
            refused[refused_field(shop, error)] += 1
            continue
        assert_whole(shop, order, made)
    assert set(refused) <= set(REFUSALS[platform])
    return refused


def orders(
    platform: str, model: TaxModel, random: Random, count: int
) -> Iterator[tuple[MoneyShop, Order]]:
    for first in range(0, count, ORDERS_OF_A_SHOP):
        shop = money_shop(platform, model, random)
        maker = OrderMaker(shop, random)
        for number in range(first, min(first + ORDERS_OF_A_SHOP, count)):
            yield shop, maker.order(f"ord_{number}")


# ---------------------------------------------------------------- refusals


def refused_field(shop: MoneyShop, error: PosError) -> str:
    """Return the field for which an order was refused, before which nothing was created."""
    assert type(error) is OrderError, error
    assert error.outcome is Outcome.NOT_CREATED
    assert not any(map(is_create, shop.shop.requests)), error
    field = re.match(r"[\w.\[\]]+", error.detail)
    assert field, error
    return re.sub(r"\[\d+\]", "[]", field[0])


def is_create(request: httpx.Request) -> bool:
    path = request.url.path.partition(".")[0]
    return request.method == "POST" and path.endswith("/orders")
