from __future__ import annotations

import time

import pytest

from plugins.simulators.square.shop import Json, Shop, pickup
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator, WorldSettings

HERE: Json = {"location_ids": ["L-CAFE"]}


def search(shop: Shop, **query: object) -> list[str]:
    """Return the references that a search finds, over all its pages."""
    found: list[str] = []
    body: Json = HERE | query
    while True:
        answer = shop.post("/v2/orders/search", body)
        assert answer.status == 200, answer.body
        found += [order["reference_id"] for order in answer.body.get("orders", [])]
        if "cursor" not in answer.body:
            return found
        body = body | {"cursor": answer.body["cursor"]}


def test_search_finds_unpaid_orders_too_newest_first(shop: Shop) -> None:
    shop.create(pickup(reference="a"))
    shop.paid(pickup(reference="b"))
    shop.create(pickup(reference="elsewhere") | {"location_id": "L-KIOSK"})
    assert search(shop) == ["b", "a"]


def test_search_pages_are_stable_while_orders_are_added(shop: Shop) -> None:
    for number in range(5):
        shop.create(pickup(reference=str(number)))
    body = HERE | {"limit": 2}
    found: list[str] = []
    for late in range(3):
        answer = shop.post("/v2/orders/search", body)
        found += [order["reference_id"] for order in answer.body["orders"]]
        body = body | {"cursor": answer.body.get("cursor")}
        shop.create(pickup(reference=f"late {late}"))
    assert found == ["4", "3", "2", "1", "0"]


def test_cursor_is_valid_for_its_own_query_only(shop: Shop) -> None:
    for number in range(3):
        shop.create(pickup(reference=str(number)))
    cursor = shop.post("/v2/orders/search", HERE | {"limit": 1}).body["cursor"]
    other = {"filter": {"state_filter": {"states": ["OPEN"]}}}
    assert shop.post("/v2/orders/search", HERE | {"cursor": cursor, "query": other}).error == (
        "INVALID_CURSOR",
        "cursor",
    )
    assert shop.post("/v2/orders/search", HERE | {"cursor": "x"}).error == (
        "INVALID_CURSOR",
        "cursor",
    )


def test_search_filters_and_sorts_by_the_same_time(shop: Shop) -> None:
    first = shop.create(pickup(reference="first")).order
    time.sleep(0.01)
    shop.create(pickup(reference="second"))
    in_time = {"date_time_filter": {"created_at": {"end_at": first["created_at"]}}}
    by_creation = {"sort_field": "CREATED_AT", "sort_order": "ASC"}
    assert search(shop, query={"filter": in_time, "sort": by_creation}) == ["first"]
    refused = shop.post(
        "/v2/orders/search",
        HERE | {"query": {"filter": in_time, "sort": {"sort_field": "UPDATED_AT"}}},
    )
    assert refused.error == ("BAD_REQUEST", "query.sort.sort_field")


def test_search_by_closing_time_needs_closed_states(shop: Shop) -> None:
    by_closing = {"sort_field": "CLOSED_AT"}
    assert (
        shop.post("/v2/orders/search", HERE | {"query": {"sort": by_closing}}).error[0]
        == "BAD_REQUEST"
    )
    shop.paid(pickup(reference="done"))
    shop.simulator.staff_complete("done")
    closed = {"state_filter": {"states": ["COMPLETED"]}}
    assert search(shop, query={"filter": closed, "sort": by_closing}) == ["done"]


def test_search_filters_by_state_source_customer_fulfilment(shop: Shop) -> None:
    shop.create(pickup(reference="a", source={"name": "Our site"}, customer_id="C1"))
    shop.paid(pickup(reference="b"))
    shop.simulator.staff_accept("b")

    def by(**wanted: object) -> list[str]:
        return search(shop, query={"filter": wanted})

    assert by(state_filter={"states": ["COMPLETED"]}) == []
    assert by(source_filter={"source_names": ["Our site"]}) == ["a"]
    assert by(customer_filter={"customer_ids": ["C1"]}) == ["a"]
    assert by(fulfillment_filter={"fulfillment_states": ["RESERVED"]}) == ["b"]
    assert by(fulfillment_filter={"fulfillment_types": ["DELIVERY"]}) == []


def test_search_ignores_filter_by_reference(shop: Shop) -> None:
    shop.create(pickup(reference="a"))
    assert search(shop, query={"filter": {"reference_id": "b"}}) == ["a"]


def test_search_returns_entries_on_request(shop: Shop) -> None:
    created = shop.create(pickup()).order
    answer = shop.post("/v2/orders/search", HERE | {"return_entries": True})
    assert answer.body == {
        "order_entries": [{"order_id": created["id"], "version": 1, "location_id": "L-CAFE"}]
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "MISSING_REQUIRED_PARAMETER"),
        ({"location_ids": []}, "ARRAY_EMPTY"),
        ({"location_ids": ["L-CAFE"] * 11}, "ARRAY_LENGTH_TOO_LONG"),
        ({"location_ids": ["L-MOON"]}, "INVALID_VALUE"),
        (HERE | {"limit": 1001}, "VALUE_TOO_HIGH"),
        (
            HERE | {"query": {"filter": {"state_filter": {"states": ["SHUT"]}}}},
            "INVALID_ENUM_VALUE",
        ),
    ],
)
def test_invalid_search_is_refused(shop: Shop, body: Json, code: str) -> None:
    assert shop.post("/v2/orders/search", body).error[0] == code


def test_search_lag_hides_new_order() -> None:
    with serve_in_thread(SquareSimulator(WorldSettings(search_lag_seconds=60))) as running:
        shop = Shop(running)
        created = shop.create(pickup()).order
        assert search(shop) == []
        assert shop.fetch(created["id"])
        running.simulator.age_orders(61)
        assert search(shop) == ["ord-1"]
        shop.client.close()


def test_cursor_dies_after_five_minutes_of_the_simulators_clock(shop: Shop) -> None:
    for number in range(2):
        shop.create(pickup(reference=f"ord-{number}"))
    cursor = shop.post("/v2/orders/search", HERE | {"limit": 1}).body["cursor"]
    shop.simulator.advance_clock(270)  # the machine's own time passes, too
    assert shop.post("/v2/orders/search", HERE | {"limit": 1, "cursor": cursor}).status == 200
    shop.simulator.advance_clock(30)
    dead = shop.post("/v2/orders/search", HERE | {"limit": 1, "cursor": cursor})
    assert dead.error == ("INVALID_CURSOR", "cursor")
