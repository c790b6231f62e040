"""A taxed charge goes to Square with the tax that the site charged on it, or not at all."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from adapters.sample_orders import plain_order
from adapters.square.bench import Bench, checked_bench
from tillpost import Order, OrderError, OutageError
from tillpost.adapter.base import Attempt
from tillpost.adapter.exchange import Fault
from tillpost.errors import Applied
from tillpost.models.order import Draft, PosOrder
from tillpost.simulator import LedgerEntry
from tillpost_simulators.square import WorldSettings
from tillpost_simulators.square.catalogue import Item, Variation

TOASTIE = {"item_id": "5312", "name": "BLT toastie", "quantity": 1, "unit_price": 1000}
COFFEE = {"item_id": "7302", "name": "Flat white", "quantity": 1, "unit_price": 550}
CORKAGE = {"name": "Corkage", "quantity": 1, "unit_price": 1000}
DELIVERY = {"kind": "delivery", "name": "Delivery", "amount": 330, "taxed": True}


def shop(currency: str, *percentages: str, inclusive: bool = False) -> Bench:
    """A store whose toastie costs 1000 and has the first tax only; the others are on nothing."""
    first, *others = percentages
    world = WorldSettings(currency=currency, tax_percentage=first, tax_inclusive=inclusive)
    bench = checked_bench(world=world)
    bench.simulator.change_price("5312", 1000)
    for percentage in others:
        bench.simulator.add_tax(
            f"Tax of {percentage}",
            percentage,
            inclusive=inclusive,
            on_every_item=False,
            on_custom_amounts=False,
        )
    return bench


def put_second_tax_on_coffee(bench: Bench) -> None:
    """Give the flat white the second tax only."""
    catalogue = bench.simulator.world.catalogue
    coffee = catalogue.get(Item, catalogue.get(Variation, "7302").item_id)
    coffee.tax_ids = [bench.menu().taxes[-1].id]


def tax_at(percent: str, amount: int) -> dict[str, Any]:
    return {"name": f"{percent} %", "rate": f"0.{int(percent):02}", "amount": amount}


def order_of(total: int, currency: str, **parts: Any) -> Order:
    paid: dict[str, Any] = {"payments": [{"method": "card", "amount": total}], "lines": [TOASTIE]}
    return plain_order(currency=currency, **(paid | parts))


def submit(bench: Bench, order: Order) -> PosOrder:
    return bench.run(bench.adapter.submit(order, Attempt(menu=bench.menu())), order)


def shown(bench: Bench) -> LedgerEntry:
    (entry,) = bench.simulator.ledger().shown
    return entry


def taxes_of(entry: LedgerEntry) -> list[int]:
    """Return what each tax comes to: one on a charge is listed beside the same on lines."""
    amounts = Counter[str]()
    for tax in entry.taxes:
        amounts[tax.name] += tax.amount
    return sorted(amount for amount in amounts.values() if amount)


def refusal(bench: Bench, order: Order) -> OrderError:
    with pytest.raises(OrderError) as caught:
        submit(bench, order)
    assert not bench.bodies("/v2/orders")
    return caught.value


def test_fee_of_another_rate_has_that_tax_where_included() -> None:
    bench = shop("JPY", "8", "10", inclusive=True)
    taxes = [tax_at("8", 74), tax_at("10", 30)]
    made = submit(bench, order_of(1330, "JPY", charges=[DELIVERY], taxes=taxes))
    assert taxes_of(shown(bench)) == [30, 74]
    assert made.notices == ()


def test_fee_of_another_rate_has_that_tax_where_added() -> None:
    bench = shop("JPY", "8", "10")
    taxes = [tax_at("8", 80), tax_at("10", 33)]
    parts = {"charges": [DELIVERY], "prices_include_tax": False, "tax": 113, "taxes": taxes}
    made = submit(bench, order_of(1443, "JPY", **parts))
    assert taxes_of(shown(bench)) == [33, 80]
    assert (made.total, made.notices) == (1443, ())


def test_sum_of_taxes_tells_which_taxes_a_fee_has() -> None:
    """A line with GST, and a fee with GST and PST."""
    bench = shop("CAD", "5", "7")
    fee = DELIVERY | {"amount": 500}
    parts = {"charges": [fee], "prices_include_tax": False, "tax": 110}
    submit(bench, order_of(1610, "CAD", **parts))
    assert taxes_of(shown(bench)) == [35, 75]


def test_each_fee_may_have_a_tax_of_its_own() -> None:
    bench = shop("JPY", "8", "10")
    bag = {"kind": "service", "name": "Bag", "amount": 100, "taxed": True}
    taxes = [tax_at("8", 88), tax_at("10", 33)]
    parts = {"charges": [DELIVERY, bag], "prices_include_tax": False, "tax": 121, "taxes": taxes}
    submit(bench, order_of(1551, "JPY", **parts))
    assert taxes_of(shown(bench)) == [33, 88]


def test_fee_beside_lines_of_two_rates_has_the_tax_that_fits() -> None:
    bench = shop("AUD", "10", "5")
    put_second_tax_on_coffee(bench)
    fee = DELIVERY | {"amount": 500}
    parts = {"lines": [TOASTIE, COFFEE], "charges": [fee], "prices_include_tax": False}
    submit(bench, order_of(2228, "AUD", tax=178, **parts))
    assert taxes_of(shown(bench)) == [28, 150]


def test_fee_beside_open_items_has_all_taxes_of_the_store() -> None:
    bench = shop("CAD", "5")
    bench.simulator.add_tax("PST", "7")
    fee = DELIVERY | {"amount": 500}
    parts = {"lines": [CORKAGE], "charges": [fee], "prices_include_tax": False, "tax": 180}
    submit(bench, order_of(1680, "CAD", **parts))
    assert taxes_of(shown(bench)) == [75, 105]


def test_fee_whose_rate_no_tax_has_is_refused_by_field() -> None:
    bench = shop("JPY", "8", inclusive=True)
    taxes = [tax_at("8", 74), tax_at("10", 30)]
    error = refusal(bench, order_of(1330, "JPY", charges=[DELIVERY], taxes=taxes))
    assert error.detail.startswith("charges[0].taxed: the order has tax of 10 % (taxes)")
    assert error.subjects == ("Delivery with tax of 10 %",)


def test_fee_whose_tax_nothing_tells_is_refused_by_field() -> None:
    bench = shop("CAD", "5", "7", inclusive=True)
    put_second_tax_on_coffee(bench)
    error = refusal(bench, order_of(1330, "CAD", lines=[CORKAGE], charges=[DELIVERY]))
    assert error.detail.startswith("charges[0].taxed: the store has several taxes (GST, Tax of 7)")
    assert "the order's taxes would show it" in error.detail


def test_fee_has_the_lines_tax_where_the_sites_tax_is_another() -> None:
    """Then not the fee is the reason, and the totals are compared."""
    bench = shop("JPY", "8", "10", inclusive=True)
    taxes = [tax_at("9", 111)]
    submit(bench, order_of(1330, "JPY", charges=[DELIVERY], taxes=taxes))
    assert taxes_of(shown(bench)) == [98]


# ---------------------------------------------------------------- a tax that differs has a notice


SEEN_98 = "The register has 98 JPY of tax on this order, the ordering site has 111 JPY"


def with_another_tax(**parts: Any) -> Order:
    """An order whose prices include tax of 9 per cent by its own words."""
    return order_of(1330, "JPY", charges=[DELIVERY], taxes=[tax_at("9", 111)], **parts)


def test_included_tax_that_differs_is_told_in_a_notice() -> None:
    bench = shop("JPY", "8", inclusive=True)
    made = submit(bench, with_another_tax())
    assert made.notices == (SEEN_98,)


def test_tax_that_differs_is_told_of_an_order_that_is_looked_up() -> None:
    bench = shop("JPY", "8", inclusive=True)
    order = with_another_tax()
    made = submit(bench, order)
    found = bench.run(bench.adapter.find(order, None), order)
    assert isinstance(found, PosOrder)
    assert found.notices == (SEEN_98,)
    verified = bench.run(bench.adapter.verify(order, made.id), order)
    assert isinstance(verified, PosOrder)
    assert verified.notices == (SEEN_98,)


def test_tax_that_differs_is_told_of_a_draft_that_is_paid() -> None:
    bench = shop("JPY", "8", inclusive=True)
    order = with_another_tax()
    bench.spoil = lambda request, carry_out: (
        Fault(Applied.MAYBE, "connection reset") if request.path == "/v2/payments" else carry_out()
    )
    with pytest.raises(OutageError):
        submit(bench, order)
    bench.spoil = None
    draft = bench.run(bench.adapter.find(order, None), order)
    assert isinstance(draft, Draft)
    assert bench.run(bench.adapter.finish(order, draft), order).notices == (SEEN_98,)


def test_rounding_that_is_made_up_for_names_both_amounts_of_tax() -> None:
    bench = shop("AUD", "10")
    bench.simulator.change_price("5312", 545)
    line = TOASTIE | {"unit_price": 545}
    parts = {"lines": [line], "prices_include_tax": False, "tax": 55}
    made = submit(bench, order_of(600, "AUD", **parts))
    seen = "The register has 0.54 AUD of tax on this order, the ordering site has 0.55 AUD"
    assert seen in made.notices
    assert len(made.notices) == 2
