from __future__ import annotations

import pytest

from plugins.simulators.kounta.caller import COMPANY, Caller, Start, line
from tillpost_simulators.kounta import KountaSettings


def numbers(cafe: Caller, path: str = "orders", **query: str | float) -> list[str]:
    return [order["sale_number"] for order in cafe.listed(path, **query)]


def test_orders_of_every_status_are_listed_newest_first(cafe: Caller) -> None:
    for status in ("SUBMITTED", "ON_HOLD", "COMPLETE"):
        cafe.place(status=status, sale_number=status)
    assert numbers(cafe) == ["COMPLETE", "ON_HOLD", "SUBMITTED"]


def test_path_combines_status_site_register_customer_filters(
    cafe: Caller,
) -> None:
    cafe.place(sale_number="here")
    cafe.place(sale_number="done", status="COMPLETE", customer_id=389427)
    cafe.place(line(7302), sale_number="kiosk", site_id=985)
    assert numbers(cafe, "orders/submitted") == ["kiosk", "here"]
    assert numbers(cafe, "orders/complete") == ["done"]
    assert numbers(cafe, "sites/2301/orders") == ["done", "here"]
    assert numbers(cafe, "sites/985/orders/submitted") == ["kiosk"]
    assert numbers(cafe, "orders/sites/985") == ["kiosk"]
    assert numbers(cafe, "sites/2301/orders/complete") == ["done"]
    assert numbers(cafe, "registers/9091/orders") == ["kiosk"]
    assert numbers(cafe, "customers/389427/orders") == ["done"]
    assert numbers(cafe, "orders/linkedcustomer") == ["done"]
    assert numbers(cafe, "sites/2301/registers/1133132/customers/389427/orders/complete") == [
        "done"
    ]
    assert numbers(cafe, "staff/1/orders") == []
    assert cafe.get("orders/sometimes").status_code == 404


def test_discounted_list_has_orders_with_variation_below_one(cafe: Caller) -> None:
    cafe.place(sale_number="full", price_variation=1.15)
    cafe.place(sale_number="line", lines=[line(price_variation=0.9)])
    cafe.place(sale_number="order", price_variation=0.5)
    assert numbers(cafe, "orders/discounted") == ["order", "line"]


def test_deleted_orders_are_only_in_the_deleted_list(cafe: Caller) -> None:
    cafe.delete(f"orders/{cafe.place(sale_number='gone')}")
    cafe.place(sale_number="there")
    assert numbers(cafe) == ["there"]
    assert numbers(cafe, "orders/deleted") == ["gone"]
    assert cafe.listed("orders/deleted")[0]["deleted"] is True


def test_query_filters_by_value_with_tax(cafe: Caller) -> None:
    for quantity in (1, 2, 3):
        cafe.place(line(quantity=quantity), sale_number=str(quantity))
    assert numbers(cafe, value=29) == ["2"]
    assert numbers(cafe, value_lt=29) == ["1"]
    assert numbers(cafe, value_lte=29) == ["2", "1"]
    assert numbers(cafe, value_gt=29) == ["3"]
    assert numbers(cafe, value_gte=28.95, value_lte=29.05) == ["2"]
    for value in ("much", "NaN"):
        assert cafe.get("orders", value_gte=value).status_code == 400


def test_query_filters_by_date_or_time(cafe: Caller) -> None:
    cafe.place(sale_number="old")
    cafe.simulator.age_orders(2 * 86400)
    cafe.place(sale_number="new")
    clock = cafe.simulator.world.clock
    today = clock.now().date().isoformat()
    made = cafe.listed()[0]["created_at"]
    assert numbers(cafe, created=today) == ["new"]
    assert numbers(cafe, created_gte=today) == ["new"]
    assert numbers(cafe, created_lt=today) == ["old"]
    assert numbers(cafe, created_gte=made) == ["new"]
    assert numbers(cafe, created_gt=made) == []
    assert numbers(cafe, created_lte=made) == ["new", "old"]
    assert cafe.get("orders", created_gte="yesterday").status_code == 400


def test_unescaped_plus_in_date_is_refused(cafe: Caller) -> None:
    assert (
        cafe.ask("GET", f"{COMPANY}/orders.json?created_gte=2026-01-01T00:00:00+10:00").status_code
        == 400
    )


def test_sale_id_is_the_callers_number_only_by_setting(cafe: Caller, start: Start) -> None:
    order_id = cafe.place()
    sale_id = cafe.simulator.world.orders[order_id].sale_id
    assert cafe.get(f"orders/saleid/{sale_id}").json()["id"] == order_id
    assert cafe.get("orders/saleid/ord-1").status_code == 404
    with start(KountaSettings(sale_id_is_sale_number=True, order_lag_seconds=5)) as other:
        other.place()
        assert other.get("orders/saleid/ord-1").status_code == 404
        other.simulator.advance_clock(5)
        assert other.get("orders/saleid/ord-1").json()["sale_number"] == "ord-1"


def test_orders_have_25_a_page_and_the_next_pages_url(cafe: Caller) -> None:
    for number in range(30):
        cafe.place(sale_number=str(number))
    first = cafe.get("orders", value_gte=1)
    assert (len(first.json()), "X-Pages" in first.headers) == (25, False)
    following = first.headers["X-Next-Page"]
    assert following.startswith(cafe.url)
    cafe.place(sale_number="meanwhile")
    second = cafe.ask("GET", following)
    assert [order["sale_number"] for order in second.json()] == ["4", "3", "2", "1", "0"]
    assert "X-Next-Page" not in second.headers


@pytest.mark.parametrize("paging", ["next", "numbered"])
def test_setting_gives_every_list_one_paging_style(start: Start, paging: str) -> None:
    settings = KountaSettings(paging="next" if paging == "next" else "numbered", page_size=2)
    with start(settings) as cafe:
        for _ in range(3):
            cafe.place()
        for path in ("orders", "products", "categories", "sites/2301/products"):
            assert ("X-Next-Page" in cafe.get(path).headers) == (paging == "next")
            assert ("X-Pages" in cafe.get(path).headers) == (paging == "numbered")


def test_older_lists_page_by_header_and_report_page_count(cafe: Caller) -> None:
    first = cafe.get("products")
    pages = int(first.headers["X-Pages"])
    assert pages > 1
    found = [
        product["id"]
        for number in range(pages)
        for product in cafe.ask(
            "GET", f"{COMPANY}/products.json", headers={"X-Page": str(number)}
        ).json()
    ]
    assert len(found) == len(set(found)) == len(cafe.simulator.world.products)
    assert cafe.ask("GET", f"{COMPANY}/products.json", headers={"X-Page": "99"}).json() == []
    assert (
        cafe.ask("GET", f"{COMPANY}/products.json", headers={"X-Page": "last"}).status_code == 400
    )
