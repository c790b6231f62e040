"""The mappings of ordering sites' orders: whole, exact, and taken by each platform.

Each site's example is mapped, and submitted to each simulator in the site's currency and with its
taxes. It is on the register with the site's total, or refused by a field before it is sent.
"""

from __future__ import annotations

import doctest
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.pages import MAPPINGS
from recent import PLACED_AT
from tillpost import Delivery, Order, OrderError, Pickup, PosOrder, Till
from tillpost.adapter import to_minor
from tillpost.simulator import LedgerEntry, Simulator, serve_in_thread
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.generic import WorldSettings as GenericWorld
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square import WorldSettings as SquareWorld

KOUNTA: Mapping[str, Any] = {
    "charge_products": {"surcharge": 9001, "delivery": 9002},
    "tip_product": 9003,
    "discount_product": 9004,
    "import_pace": 0.0,
}


class Site(NamedTuple):
    """An ordering site's example: its currency, its taxes, and where its JSON has its total."""

    currency: str
    tax_percentage: str
    tax_inclusive: bool
    total: Sequence[str]
    kounta_prices: Mapping[int, str]


SITES = {
    "woocommerce": Site("AUD", "10", True, ("total",), {}),
    "shopify": Site(
        "USD",
        "8.875",
        False,
        ("order", "total_price"),
        {7302: "5.5", 5312: "14.5"},
    ),
    "hubrise": Site("EUR", "10", True, ("total",), {}),
    "plain": Site("JPY", "10", True, ("total",), {7302: "500", 228: "72.7273"}),
}


def read(name: str) -> Any:
    """Return a site's example as it is read by a mapping."""
    return json.loads((MAPPINGS / f"{name}.json").read_text(), parse_float=Decimal)


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Order]:
    """Return a function that maps a site's order, by default its example."""
    monkeypatch.setattr(sys, "path", [str(MAPPINGS), *sys.path])

    def order_of(name: str, site: Any = None) -> Order:
        content = read(name) if site is None else site
        arguments = content.values() if name == "shopify" else [content]
        order: Order = importlib.import_module(name).order_of(*arguments)
        return order

    return order_of


@pytest.mark.parametrize("name", SITES)
def test_mapped_total_is_the_sites(name: str, mapped: Callable[..., Order]) -> None:
    site = SITES[name]
    order = mapped(name)
    assert order.currency == site.currency
    total = read(name)
    for key in site.total:
        total = total[key]
    amount, *_ = str(total).split()  # HubRise adds the currency
    assert order.total == to_minor(Decimal(amount), site.currency)
    assert Order.model_validate_json(order.canonical_json()) == order


def simulator_of(platform: str, site: Site) -> tuple[Simulator, Mapping[str, Any]]:
    """Return a store in the site's currency, and settings of its connection."""
    percentage = site.tax_percentage
    inclusive = site.tax_inclusive
    if platform == "square":
        world = SquareWorld(site.currency, tax_percentage=percentage, tax_inclusive=inclusive)
        return SquareSimulator(world), {}
    if platform == "generic":
        store = GenericWorld(site.currency, tax_percentage=percentage, tax_inclusive=inclusive)
        return GenericSimulator(store), {}
    settings = KountaSettings(currency=site.currency, tax_rate=Decimal(percentage) / 100)
    kounta = KountaSimulator(settings)
    for product_id, price in site.kounta_prices.items():
        kounta.change_price(product_id, Decimal(price))
    return kounta, {**KOUNTA, "prices_include_tax": inclusive}


def submit(name: str, platform: str, order: Order) -> tuple[PosOrder, LedgerEntry]:
    """Submit an order placed just now, and return it as platform and register have it."""
    simulator, more = simulator_of(platform, SITES[name])
    recent = Order.model_validate(order.model_dump() | {"placed_at": PLACED_AT})
    with (
        serve_in_thread(simulator) as running,
        Till.connect(platform, **{**running.settings, **more}) as till,
    ):
        pos_order = till.submit(recent, is_new=True)
        (entry,) = simulator.ledger().shown
    return pos_order, entry


@pytest.mark.parametrize("platform", ["generic", "square", "kounta"])
@pytest.mark.parametrize("name", [name for name in SITES if name != "plain"])
def test_mapped_order_is_on_the_register_with_the_sites_total(
    name: str, platform: str, mapped: Callable[..., Order]
) -> None:
    order = mapped(name)
    pos_order, entry = submit(name, platform, order)
    assert pos_order.total == order.total == entry.total == entry.paid
    assert order.note in entry.note
    for line, shown in zip(order.lines, entry.lines, strict=False):
        assert line.note in shown.note


@pytest.mark.parametrize("platform", ["generic", "kounta"])
def test_unpaid_order_is_on_the_register_as_unpaid(
    platform: str, mapped: Callable[..., Order]
) -> None:
    order = mapped("plain")
    pos_order, entry = submit("plain", platform, order)
    assert pos_order.total == order.total == entry.total
    assert entry.paid == 0


def test_unpaid_order_is_refused_by_square_by_its_field(mapped: Callable[..., Order]) -> None:
    with pytest.raises(OrderError, match="amount_due: Square doesn't take"):
        submit("plain", "square", mapped("plain"))


@pytest.mark.parametrize("name", ["amounts", "hubrise"])
def test_examples_in_docstrings_are_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(MAPPINGS), *sys.path])
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert not results.failed


# What the sites say in particular
# -------------------------------------------------------------------------------------------------


def test_woocommerce_prices_without_tax_come_to_same_total(mapped: Callable[..., Order]) -> None:
    """Its amounts are always without tax, so only the flag says what the customer saw."""
    order = mapped("woocommerce", read("woocommerce") | {"prices_include_tax": False})
    assert [line.unit_price for line in order.lines] == [500, 1318]
    assert (order.tax, order.total) == (278, 3350)
    assert order.charges[0].taxed


def test_woocommerce_price_that_cannot_be_divided_is_rounded(
    mapped: Callable[..., Order],
) -> None:
    site = read("woocommerce")
    site["line_items"][0] |= {"quantity": 3}
    order = mapped("woocommerce", site)
    assert order.lines[0].unit_price == 367
    rounded = order.charges[-1]
    assert (rounded.kind, rounded.amount, order.total) == ("rounding", -1, 3350)


def _split(gross: int, rate: Decimal, places: int) -> tuple[str, str]:
    """Return an amount as WooCommerce writes it: without tax, and its tax, each rounded."""
    net = Decimal(gross) / 100 / (1 + rate)
    tax = Decimal(gross) / 100 - net
    step = Decimal(1).scaleb(-places)
    return str(net.quantize(step, ROUND_HALF_UP)), str(tax.quantize(step, ROUND_HALF_UP))


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 9)), min_size=1, max_size=6),
    st.sampled_from(["0.1", "0.2", "0.19", "0.255"]),
    st.sampled_from([2, 6]),
)
def test_woocommerce_rounding_never_changes_the_total(
    prices: list[tuple[int, int]], percentage: str, places: int
) -> None:
    rate = Decimal(percentage)
    site = read("woocommerce")
    item = site["line_items"][0]
    site["line_items"] = []
    for price, quantity in prices:
        net, tax = _split(price * quantity, rate, places)
        site["line_items"].append(
            item | {"quantity": quantity, "subtotal": net, "subtotal_tax": tax}
        )
    net, tax = _split(700, rate, places)
    site["shipping_lines"][0] |= {"total": net, "total_tax": tax}
    gross = sum(price * quantity for price, quantity in prices) + 700
    site |= {"coupon_lines": [], "fee_lines": [], "tax_lines": []}
    site["total"] = str(Decimal(gross) / 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(MAPPINGS), *sys.path])
        order: Order = importlib.import_module("woocommerce").order_of(site)
    assert order.total == gross
    if places == 6:
        assert [line.unit_price for line in order.lines] == [price for price, _ in prices]
        assert all(charge.kind == "delivery" for charge in order.charges)


def test_woocommerce_order_that_is_not_paid_is_due(mapped: Callable[..., Order]) -> None:
    order = mapped("woocommerce", read("woocommerce") | {"date_paid_gmt": None})
    assert (order.paid, order.amount_due) == (0, 3350)


def test_woocommerce_pickup_and_delivery_are_told_apart(mapped: Callable[..., Order]) -> None:
    site = read("woocommerce")
    assert isinstance(mapped("woocommerce", site).fulfilment, Delivery)
    site["shipping_lines"][0]["method_id"] = "local_pickup"
    assert isinstance(mapped("woocommerce", site).fulfilment, Pickup)


def test_woocommerce_add_on_is_in_the_note_and_hidden_key_not(
    mapped: Callable[..., Order],
) -> None:
    assert mapped("woocommerce").lines[0].note == "Temperature: extra hot"


def test_shopify_tip_is_no_line(mapped: Callable[..., Order]) -> None:
    order = mapped("shopify")
    assert [line.name for line in order.lines] == ["Flat white - regular", "BLT toastie"]
    assert order.tip == 300


def test_shopify_authorisation_is_not_a_payment(mapped: Callable[..., Order]) -> None:
    site = read("shopify")
    site["transactions"] = [each for each in site["transactions"] if each["kind"] != "capture"]
    order = mapped("shopify", site)
    assert (order.paid, order.amount_due) == (1000, 1799)


def test_shopify_custom_item_is_an_open_item(mapped: Callable[..., Order]) -> None:
    site = read("shopify")
    site["order"]["line_items"][1] |= {"variant_id": None, "sku": None}
    line = mapped("shopify", site).lines[1]
    assert line.is_open
    assert line.name == "BLT toastie"


def _delivered_shopify() -> Any:
    """Return the order with an address, and a delivery fee with tax and a discount."""
    site = read("shopify")
    order = site["order"]
    order["shipping_address"] = {
        "address1": "1 Main St",
        "address2": None,
        "city": "New York",
        "province_code": "NY",
        "zip": "10001",
        "country_code": "US",
    }
    order["shipping_lines"][0] |= {
        "title": "Courier",
        "price": "8.00",
        "discount_allocations": [{"amount": "2.00", "discount_application_index": 0}],
        "tax_lines": [{"title": "NYC sales tax", "rate": Decimal("0.08875"), "price": "0.53"}],
    }
    order["tax_lines"][0]["price"] = order["total_tax"] = "2.57"
    order["total_price"] = "34.52"
    site["transactions"][2]["amount"] = "24.52"
    return site


@pytest.mark.parametrize("platform", ["generic", "square", "kounta"])
def test_shopify_delivery_fee_may_be_taxed_and_discounted(
    platform: str, mapped: Callable[..., Order]
) -> None:
    order = mapped("shopify", _delivered_shopify())
    (charge,) = order.charges
    assert (charge.total, charge.taxed, order.total) == (600, True, 3452)
    assert isinstance(order.fulfilment, Delivery)
    pos_order, entry = submit("shopify", platform, order)
    assert pos_order.total == entry.total == entry.paid == 3452


def test_hubrise_cash_is_due_and_not_paid(mapped: Callable[..., Order]) -> None:
    site = read("hubrise")
    site["payments"][1]["ref"] = "CSH"
    order = mapped("hubrise", site)
    assert (order.paid, order.amount_due) == (1000, 2600)


def test_hubrise_options_are_modifiers_and_what_is_left_out_a_note(
    mapped: Callable[..., Order],
) -> None:
    first, second = mapped("hubrise").lines  # and the third was deleted
    assert [(each.sku, each.quantity) for each in first.modifiers] == [("M-OAT", 1), ("M-SHOT", 2)]
    assert first.note == "NO cocoa"
    assert second.note == "One cut in halves"


def test_yen_are_whole_and_times_have_the_shops_offset(mapped: Callable[..., Order]) -> None:
    order = mapped("plain")
    assert order.lines[0].unit_price == 550
    assert order.placed_at.isoformat() == "2026-11-23T12:05:00+09:00"
    with pytest.raises(ValueError, match="isn't a whole number of minor units"):
        mapped("plain", read("plain") | {"bag": Decimal("5.5")})


def _with_item(name: str, **changes: object) -> Any:
    site = read(name)
    site["items"][0] |= changes
    return site


def _too_much() -> Any:
    site = read("woocommerce")
    return site | {"total": "43.50"}


def _refunded_shopify() -> Any:
    site = read("shopify")
    site["order"]["refunds"] = [{"id": 1}]
    return site


def _edited_shopify() -> Any:
    site = read("shopify")
    site["order"]["line_items"][1]["current_quantity"] = 0
    return site


REFUSED: Mapping[str, tuple[str, Callable[[], Any], str]] = {
    "refund": ("woocommerce", lambda: read("woocommerce") | {"refunds": [{"id": 1}]}, "refunds: "),
    "other refund": ("shopify", _refunded_shopify, "refunds: "),
    "edit": ("shopify", _edited_shopify, r"line_items\[1\].current_quantity: "),
    "address": ("hubrise", lambda: read("hubrise") | {"customer": None}, "customer.address_1: "),
    "more than rounding": ("woocommerce", _too_much, "total: its parts differ from it by 1000"),
    "weight": ("hubrise", lambda: _with_item("hubrise", quantity="0.5"), r"items\[0\].quantity: "),
    "table": (
        "hubrise",
        lambda: read("hubrise") | {"service_type": "eat_in"},
        "service_type_ref: ",
    ),
    "overpaid": ("plain", lambda: read("plain") | {"paid_online": 2000}, "amount_due"),
}


@pytest.mark.parametrize(("name", "site", "says"), REFUSED.values(), ids=REFUSED)
def test_what_our_format_cannot_say_is_refused_by_its_field(
    name: str, site: Callable[[], Any], says: str, mapped: Callable[..., Order]
) -> None:
    with pytest.raises(ValueError, match=says):
        mapped(name, site())
