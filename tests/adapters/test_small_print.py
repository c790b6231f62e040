"""What costs nothing, and every payment's reference, is on the register.

Or the order is refused before it is sent, by a field.
"""

from __future__ import annotations

from typing import Any

import pytest

from adapters.menu_shops import PLATFORMS, Shop, shop_of
from adapters.sample_orders import plain_order
from tillpost import OrderError
from tillpost.errors import Outcome


def shop(platform: str, **settings: Any) -> Shop:
    if platform == "kounta":
        settings |= {"charge_products": {"delivery": "9002"}, "discount_product": "6103"}
    return shop_of(platform, **settings)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_charge_and_discount_of_nothing_are_on_the_register(platform: str) -> None:
    opened = shop(platform)
    order = plain_order(
        "ord_1",
        charges=[{"kind": "service", "name": "No cutlery", "amount": 0}],
        discounts=[{"name": "FREE DELIVERY", "amount": 0}],
    )
    opened.till.submit(order, is_new=True)
    view = opened.simulator.register_view("ord_1")
    assert "No cutlery" in view
    assert "FREE DELIVERY" in view


@pytest.mark.parametrize("discounts", ["product", "multiplier"])
def test_discount_of_nothing_is_once_on_kountas_register(discounts: str) -> None:
    opened = shop("kounta", discounts=discounts)
    order = plain_order("ord_1", discounts=[{"name": "FREE DELIVERY", "amount": 0}])
    opened.till.submit(order, is_new=True)
    assert opened.simulator.register_view("ord_1").count("FREE DELIVERY") == 1


@pytest.mark.parametrize("platform", PLATFORMS)
def test_discount_of_nothing_on_a_line_is_on_the_register(platform: str) -> None:
    opened = shop(platform)
    discounts = [{"name": "STAFF MEAL", "amount": 0}]
    line = {"item_id": "5312", "name": "BLT toastie", "quantity": 1, "unit_price": 1450}
    order = plain_order("ord_1", lines=[{**line, "discounts": discounts}])
    opened.till.submit(order, is_new=True)
    assert "STAFF MEAL" in opened.simulator.register_view("ord_1")


def payments(count: int, reference: str) -> list[dict[str, Any]]:
    """Return so many payments that come to 14.50."""
    each = 1450 // count
    return [
        {"method": f"gift card {number}", "amount": each, "reference": f"pi_{number:02}{reference}"}
        for number in range(count)
    ]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_reference_of_each_of_ten_payments_is_on_the_register(platform: str) -> None:
    opened = shop(platform)
    order = plain_order("ord_1", payments=payments(10, "x" * 60))
    made = opened.till.submit(order, is_new=True)
    view = opened.simulator.register_view("ord_1")
    for payment in order.payments:
        assert payment.reference in view
    is_noticed = any("payment's note continues" in notice for notice in made.notices)
    assert is_noticed == (platform == "square")


def test_payments_that_no_note_has_room_for_are_refused_by_field() -> None:
    opened = shop("square")
    refusal = opened.refused(plain_order("ord_1", payments=payments(25, "x" * 240)))
    assert type(refusal) is OrderError
    assert refusal.detail.startswith("payments: ")
    assert refusal.outcome is Outcome.NOT_CREATED
    assert "POST /v2/orders" not in opened.paths("/v2/orders")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_voucher_for_an_order_of_nothing_is_on_the_register(platform: str) -> None:
    opened = shop(platform)
    discounts = [{"name": "ON THE HOUSE", "amount": 1450}]
    line = {"item_id": "5312", "name": "BLT toastie", "quantity": 1, "unit_price": 1450}
    voucher = {"method": "voucher", "amount": 0, "reference": "V-77"}
    order = plain_order("ord_1", lines=[{**line, "discounts": discounts}], payments=[voucher])
    opened.till.submit(order, is_new=True)
    assert "V-77" in opened.simulator.register_view("ord_1")
