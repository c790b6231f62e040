"""The mappings of ordering sites' orders: whole, exact, and taken by each platform.

Each site's example is mapped, and submitted to each simulator in the site's currency and with its
taxes. It is on the register with the site's total, or refused by a field before it is sent.
"""

from __future__ import annotations

import doctest
import importlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from docs.pages import DOCS, MAPPINGS
from recent import PLACED_AT
from tillpost import Delivery, Order, OrderError, Pickup, PosOrder, Till
from tillpost.adapter import to_minor
from tillpost.cli.simulators import make_simulator
from tillpost.plugins.manager import adapter_named
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


PAGE = DOCS / "how-to" / "mappings.md"


@pytest.mark.parametrize("name", SITES)
def test_simulator_with_the_pages_options_takes_the_mapped_order(
    name: str, mapped: Callable[..., Order]
) -> None:
    title = "a plain site" if name == "plain" else name
    _, table = PAGE.read_text("utf-8").split("| Example | Options of `tillpost simulate generic` |")
    options, *_ = re.findall(rf"^\| {title} \| (.*) \|$", table, re.MULTILINE | re.IGNORECASE)
    settings = dict(re.findall(r"--set (\w+)=(\S+?)(?=[ `])", options))
    simulator = make_simulator(adapter_named("generic"), settings=settings)
    order = mapped(name)
    recent = Order.model_validate(order.model_dump() | {"placed_at": PLACED_AT})
    with (
        serve_in_thread(simulator) as running,
        Till.connect("generic", **running.settings) as till,
    ):
        assert till.submit(recent, is_new=True).total == order.total


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


@pytest.mark.parametrize("name", ["amounts", "hubrise", "site_json"])
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


@pytest.mark.parametrize(
    "payment",
    [
        {"date_paid_gmt": None},
        {"payment_method": "cod", "payment_method_title": "Cash on delivery"},
        {"date_paid_gmt": None, "payment_method": "pay_in_store"},
    ],
)
def test_woocommerce_order_that_is_not_paid_is_due(
    payment: Mapping[str, Any], mapped: Callable[..., Order]
) -> None:
    """WooCommerce marks an order as paid when it is to be prepared, even if cash will pay it."""
    order = mapped("woocommerce", read("woocommerce") | payment)
    assert (order.paid, order.amount_due) == (0, 3350)


def test_woocommerce_order_that_costs_nothing_has_no_payment(
    mapped: Callable[..., Order],
) -> None:
    site = read("woocommerce") | {"payment_method": "", "total": "0.00"}
    site["coupon_lines"][0] |= {"discount": "27.73", "discount_tax": "2.77"}
    site |= {"fee_lines": [], "shipping_lines": [], "tax_lines": []}
    site["line_items"][1] |= {"subtotal": "17.73", "subtotal_tax": "1.77"}
    order = mapped("woocommerce", site)
    assert (order.total, order.payments) == (0, ())


def test_woocommerce_pickup_and_delivery_are_told_apart(mapped: Callable[..., Order]) -> None:
    site = read("woocommerce")
    assert isinstance(mapped("woocommerce", site).fulfilment, Delivery)
    site["shipping_lines"][0]["method_id"] = "local_pickup"
    assert isinstance(mapped("woocommerce", site).fulfilment, Pickup)


def test_woocommerce_add_on_is_in_the_note_and_hidden_key_not(
    mapped: Callable[..., Order],
) -> None:
    assert mapped("woocommerce").lines[0].note == "Temperature: extra hot"


def test_woocommerce_add_ons_are_in_the_customers_words(mapped: Callable[..., Order]) -> None:
    site = read("woocommerce")
    site["line_items"][0]["meta_data"] = [
        {"id": 1, "key": "pa_milk", "value": "oat", "display_key": "Milk", "display_value": "Oat"},
        {"id": 2, "key": "Toppings", "value": ["Cheese", "Ham &amp; egg"]},
    ]
    assert mapped("woocommerce", site).lines[0].note == "Milk: Oat; Toppings: Cheese, Ham & egg"


def test_woocommerce_product_without_a_sku_is_mapped(mapped: Callable[..., Order]) -> None:
    site = read("woocommerce")
    site["line_items"][0]["sku"] = None
    assert mapped("woocommerce", site).lines[0].sku == ""


def test_shopify_tip_is_no_line(mapped: Callable[..., Order]) -> None:
    order = mapped("shopify")
    assert [line.name for line in order.lines] == ["Flat white - regular", "BLT toastie"]
    assert order.tip == 300


def test_shopify_authorisation_is_not_a_payment(mapped: Callable[..., Order]) -> None:
    site = read("shopify")
    site["transactions"] = [each for each in site["transactions"] if each["kind"] != "capture"]
    order = mapped("shopify", site)
    assert (order.paid, order.amount_due) == (1000, 1799)


def test_shopify_fields_of_who_and_where_may_be_missing(mapped: Callable[..., Order]) -> None:
    site = read("shopify")
    for name in ("customer", "shipping_address", "note", "cancelled_at"):
        del site["order"][name]
    order = mapped("shopify", site)
    assert isinstance(order.fulfilment, Pickup)
    assert order.note == "Cutlery: no"


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


NAMELESS: Mapping[str, tuple[str, str, str]] = {
    "woocommerce": ("billing", "+61400111222", "8127"),
    "shopify": ("customer", "+12125550142", "#1042"),
    "hubrise": ("customer", "+33123456789", "C17"),
}


@pytest.mark.parametrize("name", NAMELESS)
def test_customer_without_a_name_keeps_phone_and_email(
    name: str, mapped: Callable[..., Order]
) -> None:
    field, phone, number = NAMELESS[name]
    site = read(name)
    content = site["order"] if name == "shopify" else site
    content[field] |= {"first_name": "", "last_name": ""}
    customer = mapped(name, site).customer
    assert customer is not None
    assert (customer.name, customer.phone) == (number, phone)
    assert customer.email.endswith("@example.com")


def test_shopify_guest_without_an_account_keeps_phone_and_email(
    mapped: Callable[..., Order],
) -> None:
    site = read("shopify")
    site["order"]["customer"] = None
    customer = mapped("shopify", site).customer
    assert customer is not None
    assert (customer.phone, customer.email) == ("+12125550142", "sam@example.com")


def _with_part(site_name: str, path: str, **changes: object) -> Any:
    """Return a site's example with changes to one part of it, such as `order.line_items.1`."""
    site = read(site_name)
    part = _part(site, path)
    part |= changes
    return site


def _without(name: str, path: str, field: str) -> Any:
    site = read(name)
    del _part(site, path)[field]
    return site


def _part(site: Any, path: str) -> Any:
    part = site
    for step in filter(None, path.split(".")):
        part = part[int(step)] if step.isdigit() else part[step]
    return part


class Refused(NamedTuple):
    """An order of a site that a mapping refuses, and how its error begins."""

    name: str
    site: Any
    says: str


REFUSED: Mapping[str, Refused] = {
    "refund": Refused(
        "woocommerce", _with_part("woocommerce", "", refunds=[{"id": 1}]), "refunds: part"
    ),
    "other refund": Refused(
        "shopify", _with_part("shopify", "order", refunds=[{"id": 1}]), "refunds: part"
    ),
    "edit": Refused(
        "shopify",
        _with_part("shopify", "order.line_items.1", current_quantity=0),
        "line_items[1].current_quantity: the order was edited",
    ),
    "address": Refused(
        "hubrise", _with_part("hubrise", "", customer=None), "customer.address_1: a delivery"
    ),
    "other address": Refused(
        "woocommerce",
        _with_part("woocommerce", "shipping", address_1=""),
        "shipping.address_1: a delivery",
    ),
    "a hidden fee": Refused(
        "woocommerce",
        _with_part("woocommerce", "", total="43.50"),
        "total: it is 10.00 AUD more than the order's parts come to; a fee may be",
    ),
    "a hidden gift card": Refused(
        "woocommerce",
        _with_part("woocommerce", "", total="23.50"),
        "total: it is 10.00 AUD less than the order's parts come to; a gift card",
    ),
    "duties": Refused(
        "shopify",
        _with_part("shopify", "order", total_price="37.99"),
        "total_price: it is 10.00 USD more",
    ),
    "an amount that the mapping doesn't read": Refused(
        "plain", _with_part("plain", "", total=1300), "total: it is 35 JPY more than the order's"
    ),
    "loyalty points": Refused(
        "hubrise", _with_part("hubrise", "", total="26.00 EUR"), "total: it is 10.00 EUR less"
    ),
    "weight": Refused(
        "hubrise",
        _with_part("hubrise", "items.0", quantity="0.5"),
        "items[0].quantity: 0.5 isn't a whole number of pieces",
    ),
    "other weight": Refused(
        "woocommerce",
        _with_part("woocommerce", "line_items.0", quantity=Decimal("1.5")),
        "line_items[0].quantity: 1.5 isn't a whole number of pieces",
    ),
    "no piece": Refused(
        "woocommerce",
        _with_part("woocommerce", "line_items.0", quantity=0),
        "line_items[0].quantity: 0 isn't",
    ),
    "table": Refused(
        "hubrise", _with_part("hubrise", "", service_type="eat_in"), "service_type_ref: an order"
    ),
    "leaving out for money": Refused(
        "hubrise",
        _with_part("hubrise", "items.0.options.2", price="-0.50 EUR"),
        "items[0].options[2].price: leaving something out",
    ),
    "overpaid, plain": Refused(
        "plain",
        _with_part("plain", "", paid_online=2000),
        "paid_online: 2000 JPY were paid, but the order costs 1265 JPY",
    ),
    "overpaid, HubRise": Refused(
        "hubrise",
        _with_part("hubrise", "payments.1", amount="30.00 EUR"),
        "payments: 40.00 EUR were paid, but the order costs 36.00 EUR",
    ),
    "overpaid, Shopify": Refused(
        "shopify",
        _with_part("shopify", "transactions.2", amount="18.99"),
        "transactions: 28.99 USD were paid, but",
    ),
    "payment in another currency": Refused(
        "shopify",
        _with_part("shopify", "transactions.2", amount="25.40", currency="EUR"),
        "transactions[2].currency: EUR isn't the order's USD",
    ),
    "price in another currency": Refused(
        "hubrise",
        _with_part("hubrise", "items.0", price="6.50 USD"),
        "items[0].price: isn't an amount like 9.00 EUR",
    ),
    "cash that is marked as paid": Refused(
        "woocommerce",
        _with_part("woocommerce", "", payment_method="pay_in_store"),
        "payment_method: 'pay_in_store' is neither in PAID_ONLINE nor in PAID_AT_STORE",
    ),
    "unknown ref of a payment": Refused(
        "hubrise",
        _with_part("hubrise", "payments.1", name="Cash on delivery", ref="CASH"),
        "payments[1].ref: 'CASH' (Cash on delivery) is neither in PAID_REFS nor in CASH_REFS",
    ),
    "payment without a ref": Refused(
        "hubrise",
        _with_part("hubrise", "payments.1", name="Cash", ref=None),
        "payments[1].ref: '' (Cash) is neither",
    ),
    "failed": Refused(
        "woocommerce",
        _with_part("woocommerce", "", status="failed", date_paid_gmt=None),
        "status: 'failed' isn't an order to prepare",
    ),
    "cancelled, WooCommerce": Refused(
        "woocommerce", _with_part("woocommerce", "", status="cancelled"), "status: 'cancelled'"
    ),
    "cancelled, HubRise": Refused(
        "hubrise", _with_part("hubrise", "", status="cancelled"), "status: 'cancelled'"
    ),
    "cancelled, Shopify": Refused(
        "shopify",
        _with_part("shopify", "order", cancelled_at="2026-11-23T13:00:00-05:00"),
        "cancelled_at: the order is cancelled",
    ),
    "given up": Refused(
        "shopify", _with_part("shopify", "order", financial_status="voided"), "financial_status: "
    ),
    "test order": Refused(
        "shopify", _with_part("shopify", "order", test=True), "test: the order is a test"
    ),
    "test payment": Refused(
        "shopify",
        _with_part("shopify", "transactions.0", test=True),
        "transactions[0].test: the payment is a test",
    ),
    "no total": Refused("woocommerce", _without("woocommerce", "", "total"), "total: is missing"),
    "no payments": Refused("hubrise", _without("hubrise", "", "payments"), "payments: is missing"),
    "no price": Refused(
        "shopify",
        _without("shopify", "order.line_items.0", "price"),
        "line_items[0].price: is missing",
    ),
    "no name": Refused(
        "shopify",
        _with_part("shopify", "order.tax_lines.0", title=""),
        "tax_lines[0]: name: must not be empty",
    ),
    "odd add-on": Refused(
        "woocommerce",
        _with_part("woocommerce", "line_items.0.meta_data.0", display_value={"size": "L"}),
        "line_items[0].meta_data[0].display_value: isn't a text",
    ),
    "odd time": Refused(
        "shopify", _with_part("shopify", "order", created_at="today"), "created_at: isn't a time"
    ),
    "float": Refused(
        "plain",
        _with_part("plain", "items.0", price=550.1),
        "items[0].price: is a float, which isn't exact",
    ),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_what_our_format_cannot_say_is_refused_by_its_field(
    refused: Refused, mapped: Callable[..., Order]
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(refused.says)}") as caught:
        mapped(refused.name, refused.site)
    assert not isinstance(caught.value, ValidationError)
