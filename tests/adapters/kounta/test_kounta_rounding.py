"""Prices that no price without tax comes to arrive as they were paid, however Kounta rounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import pytest

from adapters.kounta.bench import Bench, plain_order
from tillpost import PosError, TaxError
from tillpost.errors.remedies import Actor
from tillpost_simulators.kounta import KountaSettings as World

Rounding = Literal["line", "order"]
Halves = Literal["up", "even"]
ROUNDED = "a line for rounding makes up for it"
SHIFTED = "and others make up for it"
TOASTIE = "5312"


def bench_with(
    rate: str, rounding: Rounding = "line", halves: Halves = "up", **settings: Any
) -> Bench:
    """A shop with this tax on everything but bread, the product for roundings."""
    currency = settings.pop("currency", "AUD")
    world = World(
        tax_rate=Decimal(rate),
        tax_rounding=rounding,
        halves=halves,
        oauth_limit=10**9,
        currency=currency,
    )
    bench = Bench(world, check_first=False, **settings)
    bench.till.import_menu()
    return bench


def sell_at(bench: Bench, price: int, rate: str) -> None:
    """Let a toastie cost this with tax, and have the menu imported."""
    bench.simulator.change_price(int(TOASTIE), Decimal(price) / 100 / (1 + Decimal(rate)))
    bench.till.import_menu()


@pytest.mark.parametrize("halves", ["up", "even"])
@pytest.mark.parametrize("rounding", ["line", "order"])
def test_each_of_sixty_prices_at_twenty_percent_arrives(rounding: Rounding, halves: Halves) -> None:
    bench = bench_with("0.2", rounding, halves)
    made_up = 0
    for price in range(900, 960):
        sell_at(bench, price, "0.2")
        bench.simulator.world.orders.clear()
        made = bench.till.submit(plain_order(f"ord_{price}", price), is_new=True)
        (shown,) = bench.simulator.ledger().shown
        assert made.total == shown.total == shown.paid == price
        made_up += any(ROUNDED in notice for notice in made.notices)
    assert made_up == 10


@pytest.mark.parametrize("rounding", ["line", "order"])
def test_sum_that_ends_in_two_halves_is_made_up_for(rounding: Rounding) -> None:
    """4.1667 and 3.3333 are right on each line; their sum 7.50 with 1.50 of tax isn't."""
    bench = bench_with("0.2", rounding)
    lines = [
        {"name": name, "quantity": 1, "unit_price": price} for name, price in (("A", 5), ("B", 4))
    ]
    payments = [{"method": "card", "amount": 9}]
    made = bench.till.submit(plain_order(lines=lines, payments=payments), is_new=True)
    (shown,) = bench.simulator.ledger().shown
    assert made.total == shown.total == 9


@pytest.mark.parametrize("products", [None, {}], ids=["product for it", "no product for it"])
def test_two_such_lines_make_up_for_each_other(products: dict[str, str] | None) -> None:
    settings: dict[str, Any] = {} if products is None else {"charge_products": products}
    bench = bench_with("0.2", **settings)
    lines = [{"name": name, "quantity": 1, "unit_price": 3} for name in "AB"]
    payments = [{"method": "card", "amount": 6}]
    made = bench.till.submit(plain_order(lines=lines, payments=payments), is_new=True)
    (shown,) = bench.simulator.ledger().shown
    assert (shown.total, len(shown.lines)) == (6, 2)
    assert [SHIFTED in notice for notice in made.notices] == [True]


def test_rounding_without_a_product_for_it_is_named() -> None:
    bench = bench_with("0.2", charge_products={})
    sell_at(bench, 903, "0.2")
    error = bench.refused(plain_order(unit_price=903), is_new=True)
    assert (type(error), error.reason) == (TaxError, "rounding_created")
    assert error.remedy.actor is Actor.DEVELOPER
    assert "The taxes in Kounta are right" in error.remedy.manager
    assert "mustn't be sent again" in error.remedy.manager


def test_lost_answer_to_a_rounded_order_is_found_whole() -> None:
    bench = bench_with("0.2")
    sell_at(bench, 903, "0.2")
    order = plain_order(unit_price=903)
    bench.till.submit(order, is_new=True)
    found = bench.connect_with_menu().find(order)
    assert found is not None
    assert found.total == 903


@pytest.mark.parametrize(("currency", "price"), [("JPY", 1450), ("KWD", 1250)])
def test_currencies_of_other_minor_units_arrive(currency: str, price: int) -> None:
    bench = bench_with("0.08", currency=currency)
    units = {"JPY": 1, "KWD": 1000}[currency]
    net = Decimal(price) / units / Decimal("1.08")
    bench.simulator.change_price(int(TOASTIE), net)
    bench.till.import_menu()
    order = plain_order(unit_price=price, currency=currency)
    made = bench.till.submit(order, is_new=True)
    (shown,) = bench.simulator.ledger().shown
    assert made.total == shown.total == shown.paid == price


def test_price_that_includes_tax_is_not_taken_without() -> None:
    """14.50 plus tax went in at 15.95, against a menu's 14.50 that includes it."""
    bench = bench_with("0.1")
    order = plain_order(
        prices_include_tax=False, tax=145, payments=[{"method": "card", "amount": 1595}]
    )
    error: PosError = bench.refused(order, is_new=True)
    assert error.reason == "net_price"
    assert bench.creates() == []


def test_gst_and_pst_added_by_the_site_arrive() -> None:
    bench = bench_with("0.05", prices_include_tax=False)
    pst = bench.simulator.add_tax("PST", Decimal("0.07"), on_every_product=False)
    gst = next(iter(bench.simulator.world.taxes))
    bench.simulator.set_taxes_of(int(TOASTIE), [gst, pst])
    bench.simulator.change_price(int(TOASTIE), Decimal("14.50"))
    bench.till.import_menu()
    for tax in (174, 175):  # 0.725 and 1.015: rounded down, or up by tax
        order = plain_order(
            f"ord_{tax}",
            prices_include_tax=False,
            tax=tax,
            payments=[{"method": "card", "amount": 1450 + tax}],
        )
        made = bench.till.submit(order, is_new=True)
        assert made.total == order.total
