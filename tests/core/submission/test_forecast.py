"""What would become of an order is found without sending anything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.stand_in import Keyed, Run, StandInSettings, an_order, menu_of
from core.stand_in import Platform as StandIn
from tillpost.errors import MenuError, OrderError, Outcome, SetupError, TaxError
from tillpost.models.menu import Tax
from tillpost.models.order import Order
from tillpost.submission.context import Connection, MenuCache
from tillpost.submission.forecast import Forecast, forecast
from tillpost.submission.policy import Policy

NOON = 1_795_608_000.0
PAST = {"type": "pickup", "due_at": "2020-01-01T12:00:00+00:00"}


class NeedsMenu(Keyed):
    """An adapter that translates no order without a menu."""

    needs_menu = True


class LacksProduct(Keyed):
    """An adapter whose settings lack what an order needs."""

    def missing_setting(self, order: Order) -> SetupError | None:
        return SetupError(f"no product stands for the tip of {order.id}")


def changed(**changes: Any) -> Order:
    """Return an order with other fields."""
    return Order.model_validate(an_order().model_dump(mode="json") | changes)


def of(order: Order, adapter: type[Keyed] = Keyed, **more: Any) -> Forecast:
    """Return what would become of an order."""
    connection = Connection(adapter(StandInSettings()), clock=lambda: NOON, **more)
    return forecast(connection, order)


def test_order_that_would_be_sent_has_no_refusals() -> None:
    assert of(an_order()) == Forecast([], (), needs_menu=False, knows_currency=False)
    assert of(an_order(), menu_cache=MenuCache(currency="AUD")).knows_currency


def test_every_refusal_is_found_at_once() -> None:
    """By its fields, by the menu, and by its time."""
    lines = [{"item_id": "gone", "name": "Soup", "quantity": 1, "unit_price": 1000}]
    paid = [{"method": "card", "amount": 900}]
    order = changed(fulfilment=PAST, lines=lines, payments=paid, amount_due=100)
    found = of(
        order,
        menu_cache=MenuCache(menu=menu_of({"i1": ("S1", 1000)})),
        policy=Policy(past_due="refuse"),
    )
    kinds = [(type(error), error.reason) for error in found.refusals]
    assert kinds == [(OrderError, "unsupported"), (MenuError, "gone"), (OrderError, "late")]
    assert {error.outcome for error in found.refusals} == {Outcome.NOT_CREATED}
    assert found.refusals[1].subjects == ("Soup (line 1)",)


def test_missing_setting_is_found() -> None:
    order = an_order()
    (found,) = of(order, LacksProduct).refusals
    assert isinstance(found, SetupError)
    assert found.detail == f"no product stands for the tip of {order.id}"


def test_other_currency_is_found_beside_a_part_that_is_not_taken() -> None:
    order = changed(currency="USD", payments=[{"method": "card", "amount": 900}], amount_due=100)
    cache = MenuCache(menu=menu_of({"i1": ("S1", 1000)}))
    reasons = [error.reason for error in of(order, menu_cache=cache).refusals]
    assert reasons == ["unsupported", "currency"]


def test_what_is_withheld_is_told() -> None:
    (notice,) = of(changed(fulfilment=PAST)).notices
    assert "as soon as possible" in notice
    assert not of(changed(fulfilment=PAST), policy=Policy(past_due="refuse")).notices


def test_price_that_is_kept_as_paid_is_told() -> None:
    cache = MenuCache(menu=menu_of({"i1": ("S1", 1100)}))
    found = of(an_order(), menu_cache=cache, policy=Policy(prices="keep_paid"))
    assert found.notices == ("Price kept as paid: S1 10.00 AUD (menu 11.00 AUD)",)


def test_adapter_that_needs_a_menu_is_not_asked_without_one() -> None:
    assert of(an_order(), NeedsMenu).needs_menu
    cache = MenuCache(menu=menu_of({"i1": ("S1", 1000)}))
    assert not of(an_order(), NeedsMenu, menu_cache=cache).needs_menu


def test_forecast_leaves_no_trace_of_the_order() -> None:
    run = Run(StandIn())
    forecast(run.connection, an_order())
    assert not run.requests
    assert not run.journal.read("ord_1")


def test_currency_of_the_setting_counts_without_a_menu() -> None:
    connection = Connection(Keyed(StandInSettings(currency="NZD")), clock=lambda: NOON)
    (error,) = forecast(connection, an_order()).refusals
    assert error.reason == "currency"
    assert "the connection is set to" in error.detail


class ComparesTotals(Keyed):
    compares_totals = True


def test_taxes_are_left_to_a_platform_that_compares_totals() -> None:
    menu = menu_of({"i1": ("S1", 1000)})
    tax = Tax(id="t", name="GST", rate=Decimal("0.1"), included=False)
    items = [item.model_copy(update={"tax_ids": ("t",)}) for item in menu.items]
    taxed = menu.model_copy(update={"items": tuple(items), "taxes": (tax,)})
    paid = [{"method": "card", "amount": 1200}]
    order = changed(prices_include_tax=False, tax=200, payments=paid)
    cache = MenuCache(menu=taxed)
    (error,) = of(order, menu_cache=cache).refusals
    assert isinstance(error, TaxError)
    assert not of(order, ComparesTotals, menu_cache=cache).refusals
