"""An order in doubt whose connection was moved to another store, or whose worker's clock errs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from adapters.kounta.bench import SUBSTITUTES
from core.outbox.corner_shop import QUICK, connected, lunch, work_off
from core.outbox.database_time import DatabaseTime
from tillpost import Policy
from tillpost.client.base import adapter_for
from tillpost.errors import ErrorRecord, Outcome
from tillpost.outbox import (
    OrderState,
    Outbox,
    OutboxConnection,
    Processor,
    Worker,
    from_mapping,
)
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.diagnosis import diagnose_order
from tillpost.outbox.operations.orders import ActError, OrderOperations
from tillpost.outbox.orders.models import StoredOrder
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running, serve_in_thread
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator

PLAIN = Policy()
OTHER = "LOTHER"
BLT = "5312"

Shop = Running[SquareSimulator]
Connections = dict[str, OutboxConnection]


@pytest.fixture
def known(shop: Shop) -> Connections:
    """The connection "cafe"."""
    return {"cafe": replace(connected(shop), policy=PLAIN)}


@pytest.fixture
def operations(shop_outbox: Outbox, known: Connections) -> OrderOperations:
    return OrderOperations(shop_outbox, "mia", connections=from_mapping(known))


def move(shop: Shop, known: Connections, location: str, policy: Policy = PLAIN) -> None:
    """Set the connection's location."""
    hooks = known["cafe"].hooks
    known["cafe"] = replace(connected(shop, location_id=location), policy=policy, hooks=hooks)


def stored(outbox: Outbox) -> StoredOrder:
    order = outbox.get("ord-1")
    assert order
    return order


def is_active(shop: Shop) -> bool:
    (entry,) = shop.simulator.ledger().entries
    return entry.fulfilment_state != "CANCELED"


def location_of(shop: Shop) -> str:
    return str(shop.settings["location_id"])


def add_in_doubt(shop: Shop, outbox: Outbox, known: Connections) -> None:
    """Process an order once: its create works, but the answer is lost."""
    lost = Fault(kind=FaultKind.LOST_ANSWER, when="after")
    create = FaultRule(fault=lost, method="POST", path="/v2/orders", times=1)
    shop.simulator.set_faults(FaultPlan(rules=(create,)))
    outbox.add(lunch("ord-1"), connection="cafe")
    with Processor(outbox, connections=from_mapping(known)) as processor:
        (claim,) = processor.claim(1)
        processor.handle(claim)
    error = stored(outbox).error
    assert error
    assert error.outcome is Outcome.UNKNOWN


def error_of_address(shop: Shop, outbox: Outbox) -> ErrorRecord:
    """Return the order's error, which must name the setting."""
    order = stored(outbox)
    assert order.state is OrderState.ERROR
    assert order.error
    assert (order.error.kind, order.error.reason) == ("DoubtError", "address")
    change = f"location_id was {location_of(shop)} then and is {OTHER} now"
    assert change in order.error.detail
    assert order.error.outcome is Outcome.UNKNOWN
    return order.error


def test_doubt_at_another_location_waits_until_it_is_set_back(
    shop: Shop, shop_outbox: Outbox, known: Connections, operations: OrderOperations
) -> None:
    add_in_doubt(shop, shop_outbox, known)
    move(shop, known, OTHER)
    requests = shop.simulator.count()
    work_off(shop_outbox, known)
    error_of_address(shop, shop_outbox)
    remedy = stored(shop_outbox).remedy
    assert remedy
    assert "Set the connection back" in remedy.developer
    assert shop.simulator.count() == requests

    move(shop, known, location_of(shop))
    operations.resubmit("ord-1")
    work_off(shop_outbox, known)
    assert stored(shop_outbox).state is OrderState.RECEIVED
    assert len(shop.simulator.ledger().entries) == 1


def test_doubt_at_another_location_can_be_taken_over_by_hand(
    shop: Shop, shop_outbox: Outbox, known: Connections, operations: OrderOperations
) -> None:
    add_in_doubt(shop, shop_outbox, known)
    move(shop, known, OTHER)
    with pytest.raises(ActError, match="the platform may already have ord-1"):
        operations.cancel("ord-1")
    requests = shop.simulator.count()
    taken = operations.manual("ord-1", even_in_doubt=True)
    assert taken.copy_may_appear
    assert shop.simulator.count() == requests


def test_order_at_another_location_is_not_cancelled(
    shop: Shop, shop_outbox: Outbox, known: Connections, operations: OrderOperations
) -> None:
    shop_outbox.add(lunch("ord-1"), connection="cafe")
    work_off(shop_outbox, known)
    move(shop, known, OTHER)
    with pytest.raises(ActError, match=f"location_id was {location_of(shop)} then"):
        operations.cancel("ord-1")
    assert stored(shop_outbox).state is OrderState.RECEIVED
    assert is_active(shop)

    move(shop, known, location_of(shop))
    operations.cancel("ord-1")
    assert not is_active(shop)


def test_ticket_at_another_location_is_left_and_reported(
    shop: Shop, shop_outbox: Outbox, known: Connections, operations: OrderOperations
) -> None:
    making_tickets = Policy(attention_ticket=True)
    move(shop, known, location_of(shop), making_tickets)
    shop.simulator.remove_variation(BLT)
    shop_outbox.add(lunch("ord-1"), connection="cafe")
    work_off(shop_outbox, known)
    ticket = stored(shop_outbox).ticket
    assert ticket

    move(shop, known, OTHER, making_tickets)
    requests = shop.simulator.count()
    taken = operations.manual("ord-1")
    assert taken.copy_may_appear
    assert shop.simulator.count() == requests
    assert stored(shop_outbox).ticket == ticket


def test_diagnosis_of_doubt_elsewhere_asks_nothing(
    shop: Shop, shop_outbox: Outbox, known: Connections
) -> None:
    add_in_doubt(shop, shop_outbox, known)
    move(shop, known, OTHER)
    work_off(shop_outbox, known)
    requests = shop.simulator.count("POST", "/v2/orders/search")
    diagnosis = diagnose_order(shop_outbox, "ord-1", connections=from_mapping(known))
    assert f"location_id was {location_of(shop)} then" in diagnosis.model_dump_json()
    assert shop.simulator.count("POST", "/v2/orders/search") == requests


PATIENT = QUICK.model_copy(update={"give_up_after": 86_400.0})
"""To a worker whose clock is ahead an order has waited for hours, but isn't given up yet."""


def lose_an_answer(outbox: Outbox, now: float, clock: Callable[[], float] | None = None) -> None:
    """Submit an order whose answer is lost; assert that it is looked up and found."""
    kounta = serve_in_thread(KountaSimulator())
    with kounta as running:
        settings: dict[str, object] = {
            **running.settings,
            **SUBSTITUTES,
            "look_after": (0.02, 0.02),
        }
        connections = {"cafe": OutboxConnection(adapter_for("kounta", settings))}
        lost = Fault(kind=FaultKind.LOST_ANSWER, when="after")
        create = FaultRule(fault=lost, method="POST", path="/orders.json$", times=1)
        running.simulator.set_faults(FaultPlan(rules=(create,)))
        order = lunch("ord-1", placed_at=datetime.fromtimestamp(now, UTC))
        outbox.add(order, connection="cafe", is_new=True)
        source = from_mapping(connections)
        with Processor(outbox, connections=source, clock=clock) as processor:
            Worker(processor).run(until_idle=True)
        assert stored(outbox).state is OrderState.RECEIVED
        assert len(running.simulator.ledger().entries) == 1


def test_clock_set_back_after_adding_shortens_no_schedule(
    shop: Shop, shop_outbox: Outbox, known: Connections
) -> None:
    """The events of the first attempt aren't older than the request, from which the next counts."""
    lost = Fault(kind=FaultKind.LOST_ANSWER, when="after")
    shop.simulator.set_faults(FaultPlan(rules=(FaultRule(fault=lost, method="POST"),)))
    shop_outbox.add(lunch("ord-1"), connection="cafe")
    ten_minutes_ahead = sa.update(t.orders).values(eligible_at=t.orders.c.eligible_at + 600)
    with shop_outbox.database.writing() as db:
        db.execute(ten_minutes_ahead)
    with Processor(shop_outbox, connections=from_mapping(known)) as processor:
        (claim,) = processor.claim(1)
        processor.handle(claim)
    times = [event.at for event in shop_outbox.journal("ord-1")]
    assert len(times) > 2
    assert times == sorted(times)


def skews(caplog: pytest.LogCaptureFixture) -> int:
    """Return how often a wrong clock was reported."""
    return sum(text.startswith("clock_skew connection=cafe") for text in caplog.messages)


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [3 * 3600.0, 20 * 3600.0])
def test_worker_whose_clock_is_ahead_finds_the_lost_order(
    sqlite_url: str, ahead: float, caplog: pytest.LogCaptureFixture
) -> None:
    def now() -> float:
        return time.time() + ahead

    with Outbox(sqlite_url, settings=PATIENT) as outbox:
        lose_an_answer(outbox, now(), now)
    assert skews(caplog) == 1


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [3 * 3600.0, -3 * 3600.0])
def test_lost_order_is_found_though_the_databases_clock_is_wrong(
    prepared_postgres_url: str, ahead: float, caplog: pytest.LogCaptureFixture
) -> None:
    """The correction by the platform's clock is that of the clock that wrote the intent."""
    with Outbox(prepared_postgres_url, settings=PATIENT) as outbox:
        DatabaseTime(outbox.database.engine).ahead = ahead
        lose_an_answer(outbox, outbox.clock())
    assert skews(caplog) == 1
