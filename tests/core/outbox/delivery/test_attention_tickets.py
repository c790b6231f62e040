"""The attention ticket in the outbox: kept with its order, made once wherever a process ends, withdrawn by an act."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from adapters.kounta.bench import STAND_INS
from adapters.square.shop_orders import TOASTIE, paid
from core.outbox.corner_shop import connected, lunch, work_off
from core.outbox.delivery.test_kill_points import TOASTIES
from core.outbox.killing import Heartbeat, Shop, Site, every_step, ready, shop_of, until_stopped
from tillpost import Order, Policy
from tillpost.client.base import Options, adapter_for
from tillpost.models.order import PosOrder
from tillpost.outbox import Connected, OrderState, Outbox, OutboxSettings, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import Database
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.outbox.orders.models import event_of, event_row, stored_order
from tillpost.plugins.hookspecs import hookimpl
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Ledger, Running, Simulator
from tillpost.submission.attention_ticket import LEFT
from tillpost.submission.journal import OfTicket
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator

BLT = "5312"
ON = Policy(attention_ticket=True)
TICKET = "ticket ord-1"


class HookCall:
    """A plugin that keeps what it is told of tickets."""

    def __init__(self) -> None:
        self.hooks: list[tuple[str, str | None]] = []

    @hookimpl
    def ticket_made(self, order: Order, ticket: PosOrder) -> None:
        self.hooks.append(("made", ticket.id))

    @hookimpl
    def ticket_left(self, order: Order, ticket: PosOrder | None) -> None:
        self.hooks.append(("left", ticket.id if ticket else None))


@pytest.fixture
def told() -> HookCall:
    return HookCall()


@pytest.fixture
def known(shop: Running[SquareSimulator], told: HookCall) -> dict[str, Connected]:
    """The connection "cafe", which makes tickets."""
    return {"cafe": replace(connected(shop), options=Options(policy=ON, hooks=[told]))}


@pytest.fixture
def desk(shop_outbox: Outbox, known: dict[str, Connected]) -> OrderOperations:
    return OrderOperations(shop_outbox, "mia", connections=from_mapping(known))


def stuck(shop: Running[SquareSimulator], outbox: Outbox, known: dict[str, Connected]) -> str:
    """An order in error, because its toastie is gone; returns its ticket's id."""
    shop.simulator.remove_variation(BLT)
    outbox.add(lunch("ord-1"), connection="cafe")
    work_off(outbox, known)
    stored = outbox.get("ord-1")
    assert stored
    assert stored.ticket
    assert (stored.state, stored.pos_order) == (OrderState.ERROR, None)
    return stored.ticket.id


def is_gone(shop: Running[SquareSimulator]) -> bool:
    (entry,) = shop.simulator.ledger().for_reference(TICKET)
    return entry.cancelled


def test_an_order_in_error_keeps_its_ticket_and_the_plugins_are_told(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, Connected],
    told: HookCall,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "tillpost.outbox")
    ticket = stuck(shop, shop_outbox, known)
    (entry,) = shop.simulator.ledger().shown
    assert (entry.order_id, entry.reference, entry.total) == (ticket, TICKET, 0)
    assert told.hooks == [("made", ticket)]
    assert any(entry.of_ticket for entry in shop_outbox.entries("ord-1"))
    assert any(f"state=error ticket={ticket} " in record.getMessage() for record in caplog.records)


def test_sent_again_and_refused_again_it_keeps_that_one(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, Connected],
    desk: OrderOperations,
    told: HookCall,
) -> None:
    ticket = stuck(shop, shop_outbox, known)
    desk.resubmit("ord-1")
    work_off(shop_outbox, known)
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.ticket
    assert (stored.state, stored.ticket.id) == (OrderState.ERROR, ticket)
    assert len(shop.simulator.ledger().entries) == 1
    assert told.hooks == [("made", ticket)]


def test_when_it_arrives_after_all_its_ticket_is_withdrawn(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, Connected],
    desk: OrderOperations,
) -> None:
    stuck(shop, shop_outbox, known)
    shop.simulator.add_item("5312-NEW", "BLT toastie", 1450, sku="BLT")
    desk.resubmit("ord-1")
    work_off(shop_outbox, known)
    stored = shop_outbox.get("ord-1")
    assert stored
    assert (stored.state, stored.ticket) == (OrderState.RECEIVED, None)
    assert is_gone(shop)


@pytest.mark.parametrize("act", ["manual", "cancel"])
def test_when_a_person_ends_the_order_its_ticket_is_withdrawn(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, Connected],
    desk: OrderOperations,
    act: str,
) -> None:
    stuck(shop, shop_outbox, known)
    ended: Any = getattr(desk, act)("ord-1")
    assert is_gone(shop)
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.ticket is None
    if act == "manual":
        assert not ended.copy_may_appear


@pytest.mark.parametrize("act", ["manual", "cancel"])
def test_a_ticket_that_cant_be_withdrawn_is_said_and_stops_nobody(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, Connected],
    desk: OrderOperations,
    act: str,
    told: HookCall,
) -> None:
    ticket = stuck(shop, shop_outbox, known)
    fault = FaultRule(
        method="PUT", path="^/v2/orders/", fault=Fault(kind=FaultKind.SERVER_ERROR), times=None
    )
    shop.simulator.set_faults(FaultPlan(rules=(fault,)))
    ended: Any = getattr(desk, act)("ord-1")
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.ticket
    assert told.hooks[-1] == ("left", ticket)
    if act == "manual":
        assert ended.copy_may_appear
        assert "COOK IT ONCE" in ended.docket
        assert desk.manual("ord-1").copy_may_appear
    else:
        assert stored.state is OrderState.CANCELLED


def test_without_its_connection_a_ticket_is_left_and_the_docket_says_so(
    shop: Running[SquareSimulator], shop_outbox: Outbox, known: dict[str, Connected]
) -> None:
    stuck(shop, shop_outbox, known)
    assert (
        OrderOperations(shop_outbox, "mia", connections=from_mapping({}))
        .manual("ord-1")
        .copy_may_appear
    )


def test_what_happened_to_a_ticket_is_kept_apart_from_what_happened_to_its_order(
    shop: Running[SquareSimulator], shop_outbox: Outbox, known: dict[str, Connected]
) -> None:
    stuck(shop, shop_outbox, known)
    events = shop_outbox.journal("ord-1")
    assert [event_of(*event_row(event)) for event in events] == list(events)
    assert max(len(event_row(event)[0]) for event in events) <= 20  # the column's width
    assert any(isinstance(event, OfTicket) for event in events)


def test_an_order_that_waits_for_the_store_to_open_or_to_be_connected_gets_no_ticket(
    shop: Running[SquareSimulator], shop_outbox: Outbox, known: dict[str, Connected]
) -> None:
    shop.simulator.revoke_token()
    shop_outbox.add(lunch("ord-1"), connection="cafe")
    work_off(shop_outbox, known)
    stored = shop_outbox.get("ord-1")
    assert stored
    assert (stored.state, stored.ticket) == (OrderState.DUE, None)
    assert not any(entry.of_ticket for entry in shop_outbox.entries("ord-1"))


# ---------------------------------------------------------------- a process may end anywhere

SETTINGS = OutboxSettings(lease=3600.0, outage_after=1)
NO_COOLDOWN = Policy(attention_ticket=True, import_cooldown=0)


def gone(order_id: str) -> Order:
    """An order for what is on no menu."""
    return paid(
        order_id, [TOASTIE.model_copy(update={"item_id": "GONE", "sku": "GONE", "name": "Pavlova"})]
    )


def square_shop() -> tuple[Simulator, Shop]:
    simulator = SquareSimulator()
    known = dict(simulator.connection_settings("http://127.0.0.1"))
    adapter = lambda: adapter_for("square", {**known})  # noqa: E731
    return simulator, shop_of(simulator, adapter, settings=SETTINGS, policy=NO_COOLDOWN)


def kounta_shop() -> tuple[Simulator, Shop]:
    simulator = KountaSimulator(KountaSettings(oauth_limit=10**9))
    for product_id in simulator.world.products.keys() - TOASTIES - {9005}:
        del simulator.world.products[product_id]
    known = {**simulator.connection_settings("http://127.0.0.1"), "import_pace": 0.0, **STAND_INS}
    adapter = lambda: adapter_for("kounta", {**known, "attention_product": "9005"})  # noqa: E731
    return simulator, shop_of(simulator, adapter, settings=SETTINGS, policy=NO_COOLDOWN)


SHOPS: dict[str, Callable[[], tuple[Simulator, Shop]]] = {
    "square": square_shop,
    "kounta": kounta_shop,
}


def checked(database: Database, ledger: Ledger, order: Order) -> tuple[str, int]:
    """See that store and register agree on the order's ticket; return its outcome and how many tickets staff see."""
    with database.reading() as db:
        row = db.execute(select(t.orders).where(t.orders.c.id == order.id)).mappings().one()
    stored = stored_order(row)
    tickets = [e for e in ledger.for_reference(f"ticket {order.id}") if e.shown and not e.cancelled]
    assert ledger.half_done == ()
    assert len(tickets) <= 1
    if stored.ticket:
        assert [stored.ticket.id] == [entry.order_id for entry in tickets]
    return (stored.error.outcome.value if stored.error else stored.state.value), len(tickets)


@pytest.mark.slow
@pytest.mark.parametrize("platform", SHOPS)
def test_wherever_its_process_ends_a_refused_order_has_never_two_tickets(
    platform: str, database: Database
) -> None:
    """On a platform that takes keys it has one in the end; without keys, one in doubt isn't sent again."""
    refused_wherever_it_ends(platform, database)


@pytest.mark.slow
def test_on_postgresql_too_it_has_never_two_tickets(postgres_url: str) -> None:
    database = ready(postgres_url)
    refused_wherever_it_ends("square", database)
    database.close()


def refused_wherever_it_ends(platform: str, database: Database) -> None:
    """End a process at each of its steps, let another one go on, and see how many tickets there are."""
    ended: list[tuple[str, int]] = []

    def run(life: Heartbeat, number: int) -> None:
        simulator, shop = SHOPS[platform]()
        order = gone(f"ord_{number}")
        for each in (life, Heartbeat()):
            site = Site(database, shop, each, f"cafe-{number}")
            until_stopped(partial(site.add, order), site.work, site.end)
            site.end()
        ended.append(checked(database, simulator.ledger(), order))

    assert every_step(run) > 12
    assert ended[-1] == ("not_created", 1)
    if platform == "square":
        assert {tickets for outcome, tickets in ended if outcome == "not_created"} == {1}
    assert {tickets for outcome, tickets in ended if outcome != "not_created"} <= {0}


@pytest.mark.slow
@pytest.mark.parametrize("platform", SHOPS)
def test_wherever_its_process_ends_an_order_that_arrives_has_its_ticket_withdrawn(
    platform: str, database: Database
) -> None:
    def run(life: Heartbeat, number: int) -> None:
        simulator, shop = SHOPS[platform]()
        name, order = f"cafe-{number}", paid(f"ord_{number}", [TOASTIE])
        blt = simulator.world.products.pop(5312) if isinstance(simulator, KountaSimulator) else None
        if isinstance(simulator, SquareSimulator):
            simulator.remove_variation(BLT)
        first = Site(database, shop, None, name)
        first.add(order)
        first.work()
        assert checked(database, simulator.ledger(), order) == ("not_created", 1)
        if blt and isinstance(simulator, KountaSimulator):
            simulator.world.products[5312] = blt
        elif isinstance(simulator, SquareSimulator):
            simulator.add_item("5312-NEW", "BLT toastie", 1450, sku="BLT")
        OrderOperations(
            first.outbox, "mia", connections=lambda _: shop.connected(Heartbeat()), clock=shop.clock
        ).resubmit(order.id)
        first.end()
        for each in (life, Heartbeat()):
            site = Site(database, shop, each, name)
            until_stopped(site.work, site.end)
            site.end()
        state, tickets = checked(database, simulator.ledger(), order)
        assert (state, tickets) == ("received", 0 if platform == "square" else 1), life.names[-1:]
        (there,) = simulator.ledger().for_reference(order.id)
        assert there.total == order.total
        stored = site.outbox.get(order.id)
        assert stored
        assert stored.pos_order
        assert (LEFT in stored.pos_order.notices) == (platform == "kounta")

    assert every_step(run) > 5
