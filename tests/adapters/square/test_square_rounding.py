"""A tax that Square rounds otherwise than the site is made up for, or named as rounding."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.square.bench import Bench, checked_bench, refused
from adapters.square.bench import plain_order as an_order
from tillpost.adapter.base import Attempt
from tillpost.adapter.exchange import Effect, Fault, Request
from tillpost.errors import Applied, MenuError, OrderError, OutageError, PosError, TaxError
from tillpost.errors.remedies import Actor
from tillpost.models.order import Draft, Order, PosOrder
from tillpost.simulator import LedgerEntry
from tillpost_simulators.square import WorldSettings
from tillpost_simulators.square.catalogue import Item, Variation


def bench_with(percentage: str, price: int, **world: Any) -> Bench:
    """A store that adds a tax, and sells a toastie at this price."""
    settings = WorldSettings(tax_percentage=percentage, tax_inclusive=False, **world)
    bench = checked_bench(world=settings)
    bench.simulator.change_price("5312", price)
    return bench


def net_order(price: int, tax: int, quantity: int = 1, **changes: Any) -> Order:
    """Toasties at a price without tax, and the tax that a site charged."""
    line = {"item_id": "5312", "name": "BLT", "quantity": quantity, "unit_price": price}
    payments = [{"method": "card", "amount": quantity * price + tax}]
    parts: dict[str, Any] = {
        "prices_include_tax": False,
        "lines": [line],
        "tax": tax,
        "payments": payments,
    }
    return an_order(**(parts | changes))


def submit(bench: Bench, order: Order, *, with_menu: bool = False) -> PosOrder:
    attempt = Attempt(menu=bench.menu() if with_menu else None)
    return bench.run(bench.adapter.submit(order, attempt), order)


def refusal(bench: Bench, order: Order) -> PosError:
    with pytest.raises(PosError) as caught:
        submit(bench, order)
    return caught.value


def shown(bench: Bench) -> LedgerEntry:
    (entry,) = bench.simulator.ledger().shown
    return entry


@pytest.mark.parametrize("with_menu", [True, False], ids=["menu", "no menu"])
@pytest.mark.parametrize(
    ("percentage", "price", "tax"),
    [
        ("10", 545, 55),  # half to even is 54
        ("9.75", 600, 59),  # half to even is 58
        ("8.875", 1200, 107),  # 106.5: half to even is 106
        ("10", 555, 55),  # half to even is 56: the site rounded down
        ("10", 615, 61),
    ],
)
def test_tax_that_a_site_rounds_otherwise_arrives_as_paid(
    percentage: str, price: int, tax: int, with_menu: bool
) -> None:
    bench = bench_with(percentage, price)
    order = net_order(price, tax)
    made = submit(bench, order, with_menu=with_menu)
    entry = shown(bench)
    assert made.total == entry.total == entry.paid == order.total
    assert any("Rounding" in notice for notice in made.notices)
    assert bench.simulator.ledger().half_done == ()


def test_discount_that_lowers_the_tax_as_well_is_made_up_for() -> None:
    bench = bench_with("150", 3)
    order = net_order(3, tax=3)  # 4.5 is 4 at Square; a discount of 1 makes it 2 + 3
    made = submit(bench, order)
    entry = shown(bench)
    assert made.total == entry.total == entry.paid == order.total
    assert {each.name for each in (*entry.charges, *entry.discounts)} == {"Rounding"}


def test_tax_of_a_charge_is_made_up_for_where_lines_are_free() -> None:
    bench = bench_with("10", 545)
    free = {"item_id": "5312", "name": "BLT", "quantity": 1, "unit_price": 545}
    free |= {"discounts": [{"name": "FREE", "amount": 545}]}
    delivery = {"kind": "delivery", "name": "Delivery", "amount": 155, "taxed": True}
    payments = [{"method": "card", "amount": 170}]  # 15.5 is 16 at Square: half to even
    order = net_order(545, 15, lines=[free], charges=[delivery], payments=payments)
    made = submit(bench, order, with_menu=True)
    entry = shown(bench)
    assert made.total == entry.total == entry.paid == order.total
    assert {charge.name for charge in entry.charges} == {"Delivery", "Rounding"}
    assert any("Rounding" in notice for notice in made.notices)


def test_two_lawful_taxes_arrive_with_and_without_a_menu() -> None:
    for with_menu in (True, False):
        bench = bench_with("5", 1450)
        bench.simulator.add_tax("PST", "7")
        order = net_order(1450, tax=174)  # 72.5 and 101.5, both rounded up by the site: 175
        submit(bench, order, with_menu=with_menu)
        assert shown(bench).total == order.total


def test_two_taxes_rounded_by_tax_arrive() -> None:
    bench = bench_with("5", 1450)
    bench.simulator.add_tax("PST", "7")
    order = net_order(1450, tax=175)
    made = submit(bench, order)
    assert shown(bench).total == made.total == order.total


def test_two_rates_in_yen_arrive() -> None:
    bench = checked_bench(
        world=WorldSettings(currency="JPY", tax_percentage="10", tax_inclusive=False)
    )
    reduced = bench.simulator.add_tax("Reduced", "8", on_every_item=False)
    catalogue = bench.simulator.world.catalogue
    toastie = catalogue.get(Item, catalogue.get(Variation, "5312").item_id)
    toastie.tax_ids = [reduced]
    bench.simulator.change_price("5312", 105)
    bench.simulator.change_price("7302", 105)
    lines = [
        {"item_id": item, "name": item, "quantity": 1, "unit_price": 105}
        for item in ("5312", "7302")
    ]
    payments = [{"method": "card", "amount": 229}]  # 8.4 and 10.5, rounded up to 8 and 11
    order = net_order(105, 19, currency="JPY", lines=lines, payments=payments)
    made = submit(bench, order)
    assert shown(bench).total == made.total == order.total


def test_fils_arrive() -> None:
    bench = bench_with("5", 1250, currency="KWD")
    order = net_order(1250, 63, currency="KWD")  # 62.5: half to even is 62
    made = submit(bench, order)
    assert shown(bench).total == made.total == order.total


def test_larger_difference_is_a_tax_error_by_amounts() -> None:
    bench = bench_with("5", 1450)
    bench.simulator.add_tax("PST", "7")
    error = refusal(bench, net_order(1450, tax=72))
    assert type(error) is TaxError
    assert error.detail == (
        "Square's total is 16.24 AUD, not 15.22 AUD: "
        "Square has 1.74 AUD of tax (GST, PST), the order has 0.72 AUD"
    )
    assert bench.simulator.ledger().shown == ()
    assert bench.simulator.ledger().half_done == ()


def is_adjustment(request: Request[Any]) -> bool:
    """Whether the request is the UpdateOrder that makes up for a rounding."""
    return request.method == "PUT" and b"Rounding" in request.body


def test_refused_adjustment_is_named_as_rounding() -> None:
    bench = bench_with("10", 545)
    bench.spoil = lambda request, carry_out: (
        refused("BAD_REQUEST") if is_adjustment(request) else carry_out()
    )
    error = refusal(bench, net_order(545, 55))
    assert (type(error), error.reason) == (TaxError, "rounding")
    assert "rounded differently" in error.detail
    assert error.remedy.actor is Actor.DEVELOPER
    assert "The taxes in the POS are right" in error.remedy.manager
    assert bench.simulator.ledger().half_done == ()


@pytest.mark.parametrize("applied", [True, False])
def test_lost_answer_to_an_adjustment_is_finished(applied: bool) -> None:
    bench = bench_with("10", 545)
    order = net_order(545, 55)
    lost = [Fault(Applied.MAYBE, "the connection was reset")]

    def spoil(request: Request[Any], carry_out: Any) -> Any:
        if not (lost and is_adjustment(request)):
            return carry_out()
        if applied:
            carry_out()
        return lost.pop()

    bench.spoil = spoil
    assert isinstance(refusal(bench, order), OutageError)
    draft = bench.run(bench.adapter.find(order, None), order)
    assert isinstance(draft, Draft)
    made = bench.run(bench.adapter.finish(order, draft), order)
    assert shown(bench).total == shown(bench).paid == made.total == order.total
    assert any("Rounding" in notice for notice in made.notices)


def test_adjustment_is_recorded_as_a_step_of_the_order() -> None:
    bench = bench_with("10", 545)
    submit(bench, net_order(545, 55))
    (adjustment,) = filter(is_adjustment, bench.sent)
    assert (adjustment.effect, bool(adjustment.key)) == (Effect.ADVANCE, True)


def test_quote_of_a_rounded_order_is_its_total() -> None:
    bench = bench_with("10", 545)
    order = net_order(545, 55)
    assert bench.run(bench.adapter.quote(order, Attempt()), order) == order.total


def test_other_currency_of_the_total_is_refused_and_undone() -> None:
    bench = checked_bench()
    order = an_order(currency="JPY")
    error = refusal(bench, order)
    assert bench.simulator.ledger().shown == ()
    assert bench.simulator.ledger().half_done == ()
    assert (type(error), error.reason) == (OrderError, "currency")


@pytest.mark.parametrize(("price", "tax"), [(1318, 132), (1319, 132), (1318, 131)])
def test_prices_without_tax_arrive_where_square_includes_it(price: int, tax: int) -> None:
    """13.18 and 1.32 of tax are 14.50, Square's own price."""
    for with_menu in (True, False):
        bench = checked_bench()
        order = net_order(price, tax)
        made = submit(bench, order, with_menu=with_menu)
        assert shown(bench).total == shown(bench).paid == made.total == order.total


def test_menu_price_to_which_tax_is_added_again_is_named() -> None:
    error = refusal(checked_bench(), net_order(1450, 145))
    assert (type(error), error.reason) == (MenuError, "net_price")
    assert "14.50 AUD, and tax, which Square's price includes" in error.detail
    assert error.remedy.actor is Actor.DEVELOPER


def test_kept_price_without_tax_is_sent_with_it() -> None:
    bench = checked_bench()
    order = net_order(1200, 240, quantity=2)
    attempt = Attempt(menu=bench.menu(), keep_paid=True)
    bench.run(bench.adapter.submit(order, attempt), order)
    assert shown(bench).lines[0].unit_price == 1320
    assert shown(bench).total == order.total


@pytest.mark.parametrize("with_menu", [True, False], ids=["menu", "no menu"])
@pytest.mark.parametrize(("quantity", "tax"), [(1, 132), (10, 1318), (50, 6590), (1000, 131_800)])
def test_rounded_prices_of_many_pieces_arrive_as_paid(
    quantity: int, tax: int, with_menu: bool
) -> None:
    """13.18 is 14.50 without tax, rounded: 50 pieces are 0.10 away from Square's total."""
    bench = checked_bench()
    order = net_order(1318, tax, quantity)
    made = submit(bench, order, with_menu=with_menu)
    assert shown(bench).total == shown(bench).paid == made.total == order.total
    adjusted = order.total != quantity * 1450
    names = [each.name for each in (*shown(bench).charges, *shown(bench).discounts)]
    assert names == ["Rounding"] * adjusted
    assert any("prices that are rounded" in notice for notice in made.notices) == adjusted


@pytest.mark.parametrize("quantity", [1, 7, 50])
def test_prices_with_tax_arrive_where_square_adds_it(quantity: int) -> None:
    bench = bench_with("8.875", 1325)  # 14.43 with tax, rounded
    lines = [{"item_id": "5312", "name": "BLT", "quantity": quantity, "unit_price": 1443}]
    payments = [{"method": "card", "amount": quantity * 1443}]
    order = an_order(lines=lines, payments=payments)
    made = submit(bench, order)
    assert shown(bench).total == shown(bench).paid == made.total == order.total


def test_rounded_prices_of_modifiers_count_for_each_piece() -> None:
    bench = checked_bench()
    oat = {"modifier_id": "228", "name": "Oat milk", "unit_price": 73, "quantity": 1}  # 0.80
    line = {"item_id": "7302", "name": "Flat white", "quantity": 40, "unit_price": 500}
    lines = [{**line, "modifiers": [oat]}]
    payments = [{"method": "card", "amount": 22_920 + 2292}]
    order = net_order(500, 2292, lines=lines, payments=payments)
    made = submit(bench, order)
    assert shown(bench).total == shown(bench).paid == made.total == order.total == 25_212


def test_other_price_is_no_rounding_however_many_pieces() -> None:
    bench = checked_bench()
    error = refusal(bench, net_order(1316, 6580, quantity=50))  # 14.48 with tax
    assert (type(error), error.reason, error.lines) == (MenuError, "price", (0,))


def test_rounded_prices_that_cannot_be_made_up_for_are_named() -> None:
    bench = checked_bench()
    bench.spoil = lambda request, carry_out: (
        refused("BAD_REQUEST") if is_adjustment(request) else carry_out()
    )
    error = refusal(bench, net_order(1318, 6590, quantity=50))
    assert (type(error), error.reason) == (TaxError, "rounding")
    assert "prices with and without tax are rounded differently" in error.detail
    assert error.remedy.actor is Actor.DEVELOPER
    assert bench.simulator.ledger().half_done == ()


COUPON = {"name": "COUPON", "amount": 500}
CORKAGE = {"name": "Corkage", "quantity": 1, "unit_price": 500}
TOASTIE = {"item_id": "5312", "name": "BLT", "quantity": 1, "unit_price": 1318}
VAN = {"kind": "delivery", "name": "Van", "amount": 500, "taxed": True}


@pytest.mark.parametrize(
    ("parts", "tax", "field", "name"),
    [
        ({"discounts": [COUPON]}, 82, "discounts", "the discount on the order"),
        (
            {"lines": [TOASTIE | {"discounts": [COUPON]}]},
            82,
            "lines[0].discounts",
            "the discount on BLT",
        ),
        ({"charges": [VAN]}, 182, "charges[0]", "Van"),
        ({"lines": [TOASTIE, CORKAGE]}, 182, "lines[1]", "Corkage"),
    ],
)
def test_amount_that_square_reads_with_tax_names_the_field(
    parts: dict[str, Any], tax: int, field: str, name: str
) -> None:
    """The store's taxes are right: 5.00 off is without tax here, and with it at Square."""
    bench = checked_bench()
    beside = -500 if "discount" in name else 500
    payments = [{"method": "card", "amount": 1318 + beside + tax}]
    error = refusal(bench, net_order(1318, tax, payments=payments, **parts))
    assert (type(error), error.reason, error.subjects) == (OrderError, "tax_terms", (name,))
    assert error.detail == (
        "prices_include_tax: the order's prices exclude tax and Square's include it, so "
        f"{field} would come to another amount there"
    )
    assert error.remedy.actor is Actor.DEVELOPER
    assert "nothing to correct in the POS" in error.remedy.manager
    assert bench.simulator.ledger().shown == ()
    assert bench.simulator.ledger().half_done == ()


def test_free_line_among_converted_prices_is_not_called_changed() -> None:
    """Square taxes no line that is free, so it doesn't say how its price is meant."""
    bench = checked_bench()
    free = {"name": "FREE", "amount": 1318}
    lines = [TOASTIE | {"discounts": [free]}, TOASTIE]
    payments = [{"method": "card", "amount": 1450}]
    error = refusal(bench, net_order(1318, 132, lines=lines, payments=payments))
    assert (type(error), error.reason) == (OrderError, "tax_terms")


def test_discount_does_not_excuse_a_tax_that_the_store_adds() -> None:
    bench = checked_bench()
    bench.simulator.add_tax("Surcharge", "10")
    payments = [{"method": "card", "amount": 950}]
    order = an_order(discounts=[COUPON], payments=payments)
    assert type(refusal(bench, order)) is TaxError
