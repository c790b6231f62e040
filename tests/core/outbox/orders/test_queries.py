"""Searching orders, and reading the journal of one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.outbox.corner_shop import connected, lunch, work_off
from tillpost.models.order import Customer, Line, Payment
from tillpost.outbox import OrderState, Outbox, StoredOrder, WaitsFor
from tillpost.simulator import Running
from tillpost.submission.journal import Intended, Submitted
from tillpost_simulators.square import SquareSimulator

Shop = Running[SquareSimulator]

WAFFLE = Line(item_id="none", name="Waffle", quantity=1, unit_price=900)


def ids(orders: Sequence[StoredOrder]) -> list[str]:
    return [order.id for order in orders]


@pytest.fixture
def orders(shop: Shop, shop_outbox: Outbox) -> Outbox:
    """Two received orders, one that doesn't fit the menu, and a due one of another connection."""
    unfit = {
        "lines": (WAFFLE,),
        "charges": (),
        "discounts": (),
        "tip": 0,
        "customer": Customer(name="Ann"),
        "payments": (Payment(method="card", amount=900),),
    }
    shop_outbox.add(
        lunch("ord-1", code="B42", customer=Customer(name="Mia Chen")), connection="cafe"
    )
    shop_outbox.add(lunch("ord-2", code="B43", customer=Customer(name="Zoë_Ng")), connection="cafe")
    shop_outbox.add(lunch("ord-3", code="100%", **unfit), connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop)})
    shop_outbox.add(
        lunch("ord-4", code="K1", customer=Customer(name="Mia Park")), connection="kiosk"
    )
    return shop_outbox


def test_orders_are_listed_newest_first(orders: Outbox) -> None:
    assert ids(orders.orders()) == ["ord-4", "ord-3", "ord-2", "ord-1"]
    assert ids(orders.orders(most=1)) == ["ord-4"]


def test_orders_are_filtered_by_state_connection_and_problem(
    orders: Outbox,
) -> None:
    assert ids(orders.orders(states=[OrderState.ERROR])) == ["ord-3"]
    assert ids(orders.orders(connection="kiosk")) == ["ord-4"]
    assert ids(orders.orders(problem=True)) == ["ord-3"]
    assert ids(orders.orders(new=True)) == ["ord-4", "ord-2", "ord-1"]
    assert ids(orders.orders(new=True, connection="cafe", states=[OrderState.RECEIVED])) == [
        "ord-2",
        "ord-1",
    ]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("mia", ["ord-4", "ord-1"]),
        ("MIA CH", ["ord-1"]),
        (" b4 ", ["ord-2", "ord-1"]),
        ("Zoë", ["ord-2"]),
        ("ord-3", ["ord-3"]),
        ("ord", []),
        ("%", ["ord-3"]),
        ("_", ["ord-2"]),
        ("nobody", []),
    ],
)
def test_search_finds_id_code_and_customer(orders: Outbox, search: str, found: list[str]) -> None:
    assert ids(orders.orders(search=search)) == found


def test_order_waiting_for_reauthorisation_is_a_problem(shop: Shop, shop_outbox: Outbox) -> None:
    shop.simulator.revoke_token()
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop)})
    (waiting,) = shop_outbox.orders(problem=True)
    assert (waiting.state, waiting.waits_for) == (OrderState.DUE, WaitsFor.AUTHORISATION)
    assert waiting.remedy
    assert waiting.remedy.actor == "store"
    assert shop_outbox.orders(new=True) == []


def test_journal_shows_exchanges_without_customer_data(orders: Outbox) -> None:
    entries = orders.entries("ord-1")
    assert [entry.number for entry in entries] == list(range(len(entries)))
    assert [entry.event for entry in entries] == orders.journal("ord-1")
    kinds = [type(entry.event) for entry in entries]
    assert Intended in kinds
    assert kinds[-1] is Submitted
    exchanges = [entry.exchange for entry in entries if entry.exchange]
    assert [(exchange.method, exchange.path) for exchange in exchanges] == [
        ("POST", "/v2/orders"),
        ("POST", "/v2/payments"),
    ]
    assert all(
        "Mia" not in exchange.request_body + exchange.response_body for exchange in exchanges
    )
    assert orders.entries("nobody's") == []
