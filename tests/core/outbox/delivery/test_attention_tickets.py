"""The attention ticket in the outbox: stored with its order, made once, withdrawn by an action."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from adapters.kounta.bench import SUBSTITUTES
from adapters.square.shop_orders import TOASTIE, paid
from core.outbox.asking import Asking
from core.outbox.corner_shop import connected, lunch, work_off
from core.outbox.delivery.test_kill_points import TOASTIES
from core.outbox.killing import Lifetime, Shop, Site, every_step, ready, shop_of, until_stopped
from tillpost import Order, Policy
from tillpost.client.base import adapter_for
from tillpost.models.order import PosOrder
from tillpost.outbox import OrderState, Outbox, OutboxConnection, OutboxSettings, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import Database
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.outbox.orders.models import event_of, event_row, stored_order
from tillpost.plugins.hookspecs import hookimpl
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Ledger, Running, Simulator
from tillpost.submission.attention_ticket import TICKET_REMAINS
from tillpost.submission.journal import OfTicket
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator

BLT = "5312"
ON = Policy(attention_ticket=True)
TICKET = "ticket ord-1"


class TicketHooks:
    """A plugin that notes which ticket hooks were called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None]] = []

    @hookimpl
    def ticket_made(self, order: Order, ticket: PosOrder) -> None:
        self.calls.append(("made", ticket.id))

    @hookimpl
    def ticket_left(self, order: Order, ticket: PosOrder | None) -> None:
        self.calls.append(("left", ticket.id if ticket else None))


@pytest.fixture
def ticket_hooks() -> TicketHooks:
    return TicketHooks()


@pytest.fixture
def known(shop: Running[SquareSimulator], ticket_hooks: TicketHooks) -> dict[str, OutboxConnection]:
    """The connection "cafe", which makes tickets."""
    return {"cafe": replace(connected(shop), policy=ON, hooks=[ticket_hooks])}


@pytest.fixture
def operations(shop_outbox: Outbox, known: dict[str, OutboxConnection]) -> OrderOperations:
    return OrderOperations(shop_outbox, "mia", connections=from_mapping(known))


def add_refused_order(
    shop: Running[SquareSimulator], outbox: Outbox, known: dict[str, OutboxConnection]
) -> str:
    """Bring an order into error by removing its toastie; return its ticket's id."""
    shop.simulator.remove_variation(BLT)
    outbox.add(lunch("ord-1"), connection="cafe")
    work_off(outbox, known)
    stored = outbox.get("ord-1")
    assert stored
    assert stored.ticket
    assert (stored.state, stored.pos_order) == (OrderState.ERROR, None)
    return stored.ticket.id


def is_withdrawn(shop: Running[SquareSimulator]) -> bool:
    (entry,) = shop.simulator.ledger().for_reference(TICKET)
    return entry.cancelled


def test_order_in_error_has_a_ticket_that_is_announced(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, OutboxConnection],
    ticket_hooks: TicketHooks,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "tillpost.outbox")
    ticket = add_refused_order(shop, shop_outbox, known)
    (entry,) = shop.simulator.ledger().shown
    assert (entry.order_id, entry.reference, entry.total) == (ticket, TICKET, 0)
    assert ticket_hooks.calls == [("made", ticket)]
    assert any(entry.of_ticket for entry in shop_outbox.entries("ord-1"))
    assert any(f"state=error ticket={ticket} " in record.getMessage() for record in caplog.records)


def test_second_refusal_makes_no_second_ticket(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, OutboxConnection],
    operations: OrderOperations,
    ticket_hooks: TicketHooks,
) -> None:
    ticket = add_refused_order(shop, shop_outbox, known)
    operations.resubmit("ord-1")
    work_off(shop_outbox, known)
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.ticket
    assert (stored.state, stored.ticket.id) == (OrderState.ERROR, ticket)
    assert len(shop.simulator.ledger().entries) == 1
    assert ticket_hooks.calls == [("made", ticket)]


def test_ticket_is_withdrawn_when_the_order_arrives(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, OutboxConnection],
    operations: OrderOperations,
) -> None:
    add_refused_order(shop, shop_outbox, known)
    shop.simulator.add_item("5312-NEW", "BLT toastie", 1450, sku="BLT")
    operations.resubmit("ord-1")
    work_off(shop_outbox, known)
    stored = shop_outbox.get("ord-1")
    assert stored
    assert (stored.state, stored.ticket) == (OrderState.RECEIVED, None)
    assert is_withdrawn(shop)


@pytest.mark.parametrize("act", ["manual", "cancel"])
def test_ticket_is_withdrawn_when_a_person_ends_the_order(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, OutboxConnection],
    operations: OrderOperations,
    act: str,
) -> None:
    add_refused_order(shop, shop_outbox, known)
    ended: Any = getattr(operations, act)("ord-1")
    assert is_withdrawn(shop)
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.ticket is None
    if act == "manual":
        assert not ended.copy_may_appear


@pytest.mark.parametrize("act", ["manual", "cancel"])
def test_ticket_that_cannot_be_withdrawn_stops_nobody(
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    known: dict[str, OutboxConnection],
    operations: OrderOperations,
    act: str,
    ticket_hooks: TicketHooks,
) -> None:
    ticket = add_refused_order(shop, shop_outbox, known)
    fault = FaultRule(
        method="PUT", path="^/v2/orders/", fault=Fault(kind=FaultKind.SERVER_ERROR), times=None
    )
    shop.simulator.set_faults(FaultPlan(rules=(fault,)))
    ended: Any = getattr(operations, act)("ord-1")
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.ticket
    assert ticket_hooks.calls[-1] == ("left", ticket)
    if act == "manual":
        assert ended.copy_may_appear
        assert "COOK IT ONCE" in ended.docket
        assert operations.manual("ord-1").copy_may_appear
    else:
        assert stored.state is OrderState.CANCELLED


def test_ticket_without_connection_is_noted_on_the_docket(
    shop: Running[SquareSimulator], shop_outbox: Outbox, known: dict[str, OutboxConnection]
) -> None:
    add_refused_order(shop, shop_outbox, known)
    assert (
        OrderOperations(shop_outbox, "mia", connections=from_mapping({}))
        .manual("ord-1")
        .copy_may_appear
    )


def test_ticket_events_are_apart_from_the_orders(
    shop: Running[SquareSimulator], shop_outbox: Outbox, known: dict[str, OutboxConnection]
) -> None:
    add_refused_order(shop, shop_outbox, known)
    events = shop_outbox.journal("ord-1")
    assert [event_of(*event_row(event)) for event in events] == list(events)
    assert max(len(event_row(event)[0]) for event in events) <= 20  # the column's width
    assert any(isinstance(event, OfTicket) for event in events)


def test_no_ticket_while_waiting_for_opening_or_reconnection(
    shop: Running[SquareSimulator], shop_outbox: Outbox, known: dict[str, OutboxConnection]
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


def order_off_the_menu(order_id: str) -> Order:
    """Return an order for an item that is on no menu."""
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
    known = {**simulator.connection_settings("http://127.0.0.1"), "import_pace": 0.0, **SUBSTITUTES}
    adapter = lambda: adapter_for("kounta", {**known, "attention_product": "9005"})  # noqa: E731
    return simulator, shop_of(simulator, adapter, settings=SETTINGS, policy=NO_COOLDOWN)


SHOPS: dict[str, Callable[[], tuple[Simulator, Shop]]] = {
    "square": square_shop,
    "kounta": kounta_shop,
}


def checked(database: Database, ledger: Ledger, order: Order) -> tuple[str, int]:
    """Check that outbox and register agree on the ticket.

    Returns the order's outcome or state, and how many tickets staff see.
    """
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
def test_process_stopped_anywhere_never_makes_two_tickets(
    platform: str, database: Database
) -> None:
    """With keys there is one in the end; without keys, a ticket in doubt isn't sent again."""
    stop_at_every_step(platform, database)


@pytest.mark.slow
def test_postgresql_process_stopped_anywhere_never_makes_two(postgres_url: str) -> None:
    database = ready(postgres_url)
    stop_at_every_step("square", database)
    database.close()


def stop_at_every_step(platform: str, database: Database) -> None:
    """Stop a process at each of its steps, continue with another one, and count the tickets."""
    ended: list[tuple[str, int]] = []

    def run(life: Lifetime, number: int) -> None:
        simulator, shop = SHOPS[platform]()
        order = order_off_the_menu(f"ord_{number}")
        for each in (life, Lifetime()):
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
def test_process_stopped_anywhere_withdraws_the_ticket(platform: str, database: Database) -> None:
    def run(life: Lifetime, number: int) -> None:
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
            first.outbox,
            "mia",
            connections=Asking(lambda _: shop.connected(Lifetime())),
            clock=shop.clock,
        ).resubmit(order.id)
        first.end()
        for each in (life, Lifetime()):
            site = Site(database, shop, each, name)
            until_stopped(site.work, site.end)
            site.end()
        state, tickets = checked(database, simulator.ledger(), order)
        assert (state, tickets) == ("received", 0 if platform == "square" else 1), life.names[-1:]
        (entry,) = simulator.ledger().for_reference(order.id)
        assert entry.total == order.total
        stored = site.outbox.get(order.id)
        assert stored
        assert stored.pos_order
        assert (TICKET_REMAINS in stored.pos_order.notices) == (platform == "kounta")

    assert every_step(run) > 5
