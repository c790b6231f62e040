from __future__ import annotations

from typing import Literal

import httpx
import pytest

from plugins.simulators.kounta.caller import COMPANY, Caller, Start, line
from tillpost_simulators.kounta import KountaSettings


def numbers(cafe: Caller, path: str = "orders", **query: str | float) -> list[str]:
    return [order["sale_number"] for order in cafe.listed(path, **query)]


def test_orders_of_every_status_are_listed_newest_first(cafe: Caller) -> None:
    for status in ("SUBMITTED", "ON_HOLD", "COMPLETE"):
        cafe.place(status=status, sale_number=status)
    assert numbers(cafe) == ["COMPLETE", "ON_HOLD", "SUBMITTED"]


FILTERED_PATHS = {
    "orders/submitted": ["kiosk", "here"],
    "orders/complete": ["done"],
    "sites/2301/orders": ["done", "here"],
    "sites/985/orders/submitted": ["kiosk"],
    "orders/sites/985": ["kiosk"],
    "sites/2301/orders/complete": ["done"],
    "registers/9091/orders": ["kiosk"],
    "customers/389427/orders": ["done"],
    "orders/linkedcustomer": ["done"],
    "sites/2301/registers/1133132/customers/389427/orders/complete": ["done"],
    "staff/1/orders": [],
}
"""Paths of lists, and the orders in each of them."""


def test_path_combines_status_site_register_customer_filters(cafe: Caller) -> None:
    cafe.place(sale_number="here")
    cafe.place(
        sale_number="done",
        status="COMPLETE",
        customer_id=389427,
    )
    cafe.place(
        line(7302),
        sale_number="kiosk",
        site_id=985,
    )
    for path, orders in FILTERED_PATHS.items():
        assert numbers(cafe, path) == orders, path
    assert cafe.get("orders/sometimes").status_code == 404


def test_discounted_list_has_orders_with_variation_below_one(cafe: Caller) -> None:
    cafe.place(sale_number="full", price_variation=1.15)
    cafe.place(sale_number="line", lines=[line(price_variation=0.9)])
    cafe.place(sale_number="order", price_variation=0.5)
    assert numbers(cafe, "orders/discounted") == ["order", "line"]


def test_deleted_orders_are_only_in_the_deleted_list(cafe: Caller) -> None:
    order_id = cafe.place(sale_number="gone")
    cafe.delete(f"orders/{order_id}")
    cafe.place(sale_number="there")
    assert numbers(cafe) == ["there"]
    (deleted,) = cafe.listed("orders/deleted")
    assert deleted["sale_number"] == "gone"
    assert deleted["deleted"] is True


def test_query_filters_by_value_with_tax(cafe: Caller) -> None:
    for quantity in (1, 2, 3):
        one_line = line(quantity=quantity)
        cafe.place(one_line, sale_number=str(quantity))
    assert numbers(cafe, value=29) == ["2"]
    assert numbers(cafe, value_lt=29) == ["1"]
    assert numbers(cafe, value_lte=29) == ["2", "1"]
    assert numbers(cafe, value_gt=29) == ["3"]
    assert numbers(cafe, value_gte=28.95, value_lte=29.05) == ["2"]
    for value in ("much", "NaN"):
        answer = cafe.get("orders", value_gte=value)
        assert answer.status_code == 400


def test_query_filters_by_date_or_time(cafe: Caller) -> None:
    cafe.place(sale_number="old")
    cafe.simulator.age_orders(2 * 86400)
    cafe.place(sale_number="new")
    now = cafe.simulator.world.clock.now()
    today = now.date().isoformat()
    made = cafe.listed()[0]["created_at"]
    assert numbers(cafe, created=today) == ["new"]
    assert numbers(cafe, created_gte=today) == ["new"]
    assert numbers(cafe, created_lt=today) == ["old"]
    assert numbers(cafe, created_gte=made) == ["new"]
    assert numbers(cafe, created_gt=made) == []
    assert numbers(cafe, created_lte=made) == ["new", "old"]
    assert cafe.get("orders", created_gte="yesterday").status_code == 400


def test_unescaped_plus_in_date_is_refused(cafe: Caller) -> None:
    path = f"{COMPANY}/orders.json?created_gte=2026-01-01T00:00:00+10:00"
    answer = cafe.ask("GET", path)
    assert answer.status_code == 400


def test_sale_id_is_the_callers_number_only_by_setting(cafe: Caller, start: Start) -> None:
    order_id = cafe.place()
    sale_id = cafe.simulator.world.orders[order_id].sale_id
    by_sale_id = cafe.get(f"orders/saleid/{sale_id}")
    assert by_sale_id.json()["id"] == order_id
    by_number = cafe.get("orders/saleid/ord-1")
    assert by_number.status_code == 404

    settings = KountaSettings(sale_id_is_sale_number=True, order_lag_seconds=5)
    with start(settings) as other:
        other.place()
        too_early = other.get("orders/saleid/ord-1")
        assert too_early.status_code == 404
        other.simulator.advance_clock(5)
        by_number = other.get("orders/saleid/ord-1")
        assert by_number.json()["sale_number"] == "ord-1"


def test_orders_have_25_a_page_and_the_next_pages_url(cafe: Caller) -> None:
    for number in range(30):
        cafe.place(sale_number=str(number))
    first = cafe.get("orders", value_gte=1)
    assert len(first.json()) == 25
    assert "X-Pages" not in first.headers
    following = first.headers["X-Next-Page"]
    assert following.startswith(cafe.url)
    cafe.place(sale_number="meanwhile")
    second = cafe.ask("GET", following)
    found = [order["sale_number"] for order in second.json()]
    assert found == ["4", "3", "2", "1", "0"]
    assert "X-Next-Page" not in second.headers


@pytest.mark.parametrize("paging", ["next", "numbered"])
def test_setting_gives_every_list_one_paging_style(
    start: Start, paging: Literal["next", "numbered"]
) -> None:
    settings = KountaSettings(paging=paging, page_size=2)
    with start(settings) as cafe:
        for _ in range(3):
            cafe.place()
        for path in ("orders", "products", "categories", "sites/2301/products"):
            headers = cafe.get(path).headers
            assert ("X-Next-Page" in headers) == (paging == "next")
            assert ("X-Pages" in headers) == (paging == "numbered")


def test_older_lists_page_by_header_and_report_page_count(cafe: Caller) -> None:
    def products_page(page: str) -> httpx.Response:
        return cafe.ask(
            "GET",
            f"{COMPANY}/products.json",
            headers={"X-Page": page},
        )

    first = cafe.get("products")
    pages = int(first.headers["X-Pages"])
    assert pages > 1
    found: list[int] = []
    for number in range(pages):
        page = products_page(str(number))
        found += [product["id"] for product in page.json()]
    assert len(found) == len(set(found))
    assert len(found) == len(cafe.simulator.world.products)
    assert products_page("99").json() == []
    assert products_page("last").status_code == 400
