"""On every platform: an order in another currency than the store's is refused before it is sent."""

from __future__ import annotations

import httpx
import pytest

from adapters.menu_shops import PLATFORMS, Shop, shop_of
from adapters.sample_orders import plain_order
from tillpost import OrderError, PosError
from tillpost.errors.remedies import Actor


def is_create(request: httpx.Request) -> bool:
    """Whether the request creates an order."""
    path = request.url.path.partition(".")[0]
    return request.method == "POST" and path.endswith("/orders")


def unreadable(request: httpx.Request) -> httpx.Response | None:
    """Refuse to say the store's currency."""
    says_it = "/locations/" in request.url.path or request.url.path == "/health"
    return httpx.Response(503) if says_it else None


def refused(shop: Shop, currency: str) -> PosError:
    """Submit an order of a currency, and return its refusal, before which nothing was created."""
    shop.requests.clear()
    error = shop.refused(plain_order(currency=currency))
    assert not any(map(is_create, shop.requests))
    return error


@pytest.mark.parametrize("currency", ["JPY", "KWD", "USD"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_currency_other_than_the_menus_is_refused(platform: str, currency: str) -> None:
    shop = shop_of(platform)
    assert shop.menu.currency == "AUD"
    error = refused(shop, currency)
    assert (type(error), error.reason, error.outcome) == (OrderError, "currency", "not_created")
    assert error.detail == f"currency: the order is in {currency}, the store's menu is in AUD"
    assert error.remedy.actor is Actor.DEVELOPER
    assert f"{currency}, the store's menu is in AUD" in error.remedy.manager


@pytest.mark.parametrize("platform", PLATFORMS)
def test_currency_is_learned_where_the_platform_says_it(platform: str) -> None:
    error = refused(shop_of(platform), "JPY")
    assert (type(error), error.reason) == (OrderError, "currency")
    assert "the order is in JPY" in error.detail
    assert error.detail.endswith("AUD")


def test_currency_is_learned_once() -> None:
    shop = shop_of("square")
    for number in range(3):
        shop.till.submit(plain_order(f"ord_{number}"))
    assert len(shop.paths("/locations/")) == 1
    refused(shop, "JPY")
    assert shop.paths("/locations/") == []


def test_order_arrives_where_the_location_cannot_be_read() -> None:
    shop = shop_of("square")
    shop.refuse = lambda request: (
        httpx.Response(403, json={"errors": [{"code": "INSUFFICIENT_SCOPES"}]})
        if "/locations/" in request.url.path
        else None
    )
    shop.till.submit(plain_order("ord_1"))
    shop.till.submit(plain_order("ord_2"))
    assert len(shop.paths("/locations/")) == 1


def test_odd_answer_says_no_currency() -> None:
    shop = shop_of("square")
    shop.spoil = lambda path, body: (
        {"location": {**body["location"], "currency": "Dollars<br>"}}
        if "/locations/" in path
        else body
    )
    shop.till.submit(plain_order())
    assert shop.arrived() == 1


def test_currency_is_asked_for_once_more_after_an_outage() -> None:
    shop = shop_of("square")
    shop.refuse = lambda request: httpx.Response(503) if "/locations/" in request.url.path else None
    shop.till.submit(plain_order("ord_1"))
    assert len(shop.paths("/locations/")) == 1
    shop.refuse = lambda _: None
    assert refused(shop, "JPY").reason == "currency"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_setting_says_the_currency_where_nothing_else_does(platform: str) -> None:
    shop = shop_of(platform)
    settings = shop.adapter.config.model_copy(update={"currency": "AUD"})
    shop.adapter.config = settings
    shop.refuse = unreadable
    error = refused(shop, "USD")
    assert error.reason == "currency"
    assert "the order is in USD" in error.detail


@pytest.mark.parametrize("platform", PLATFORMS)
def test_setting_does_not_replace_what_the_platform_says(platform: str) -> None:
    shop = shop_of(platform)
    shop.adapter.config = shop.adapter.config.model_copy(update={"currency": "JPY"})
    for currency in ("JPY", "AUD"):
        error = refused(shop, currency)
        assert (type(error), error.reason) == (OrderError, "currency")
        assert currency in error.detail

    readiness = shop.till.check()
    (finding,) = [each for each in readiness.findings if each.what == "currency setting"]
    assert (finding.ok, finding.actor) == (False, Actor.DEVELOPER)
    assert "sells in AUD" in finding.text
    assert "setting currency says JPY" in finding.text
    assert readiness.stop == finding


@pytest.mark.parametrize("platform", PLATFORMS)
def test_right_setting_of_the_currency_is_no_finding(platform: str) -> None:
    shop = shop_of(platform)
    shop.adapter.config = shop.adapter.config.model_copy(update={"currency": "AUD"})
    assert not [each for each in shop.till.check().findings if each.what == "currency setting"]
    shop.till.submit(plain_order())
    assert shop.arrived() == 1


@pytest.mark.parametrize("status", [403, 500])
def test_total_in_another_currency_is_seen_without_the_location(status: int) -> None:
    """Square's prices are its own, so it takes an order whose lines name no money."""
    shop = shop_of("square")
    refusal = httpx.Response(status, json={"errors": [{"code": "INSUFFICIENT_SCOPES"}]})
    shop.refuse = lambda request: refusal if "/locations/" in request.url.path else None
    order = plain_order(currency="JPY")

    error = shop.refused(order)

    assert (type(error), error.reason, error.outcome) == (OrderError, "currency", "not_created")
    assert "Square's total is in AUD" in error.detail
    assert shop.paths("/v2/payments") == []
    assert (shop.arrived(), shop.simulator.ledger().half_done) == (0, ())
    with pytest.raises(OrderError, match="Square's total is in AUD"):
        shop.till.quote(order)


def test_pos_that_says_no_currency_judges_it_itself() -> None:
    shop = shop_of("generic")
    shop.spoil = lambda path, body: {**body, "currency": ""} if path.endswith("/health") else body
    error = shop.refused(plain_order(currency="JPY"))
    assert (type(error), error.reason) == (OrderError, "currency")
    assert error.detail == "this store sells in AUD, the order is in JPY"
    assert error.remedy.actor is Actor.DEVELOPER
    assert shop.arrived() == 0


def test_quote_in_another_currency_is_refused() -> None:
    with pytest.raises(OrderError, match="currency: the order is in JPY"):
        shop_of("square").till.quote(plain_order(currency="JPY"))
