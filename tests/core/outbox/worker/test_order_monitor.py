"""What no webhook tells is asked for, and what nobody acts on is told: on time, once, by one worker."""

from __future__ import annotations

import itertools
import logging
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.outbox.hooked import Heard, Square, Store, column, stored
from core.outbox.stores import Clock
from tillpost.errors import Outcome
from tillpost.models.order import Pickup, Progress
from tillpost.outbox import Maintenance, OrderState, Outbox, Worker
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.outbox.webhooks.receiver import SETTLES
from tillpost.outbox.worker.order_monitor import IMPORT_AGAIN, PUT_OFF, OrderMonitor
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule


def fetches(store: Store) -> int:
    """How often a single order was asked for."""
    return sum(
        "orders/" in request.path and request.method == "GET"
        for request in store.simulator.requests
    )


def turn(outbox: Outbox, store: Store, clock: Clock, heard: Heard | None = None) -> None:
    """One turn of all chores of a worker."""
    with store.processing(outbox, heard, clock) as processor:
        Maintenance(processor).tend()


# ---------------------------------------------------------------------- asking


def test_an_order_that_no_webhook_tells_of_is_asked_for(outbox: Outbox, store: Store) -> None:
    clock, heard = Clock(), Heard()
    store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    before = fetches(store)
    turn(outbox, store, clock, heard)
    assert fetches(store) == before, "its time hasn't come"
    clock.ahead = 31
    turn(outbox, store, clock, heard)
    assert stored(outbox).state is OrderState.ACCEPTED
    assert heard.names == ["order_status_changed"]
    store.simulator.staff_complete("ord-1")
    clock.ahead = 31 + 121
    turn(outbox, store, clock, heard)
    assert stored(outbox).progress is Progress.COMPLETED
    assert column(outbox, "poll_at") is None


def test_an_order_that_staff_turned_down_is_found_by_asking(
    outbox: Outbox, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock, heard = Clock(), Heard()
    store.bring(outbox)
    store.simulator.staff_reject("ord-1")
    clock.ahead = 31
    for _ in range(3):
        turn(outbox, store, clock, heard)
    assert stored(outbox).state is OrderState.REJECTED
    assert heard.named("order_rejected")[0]["pos_order"].state == "rejected"
    assert heard.names == ["order_status_changed", "order_rejected"]
    assert (
        "order_seen id=ord-1 connection=cafe by=look state=rejected progress=cancelled"
        in caplog.text
    )


def test_it_is_asked_for_ever_more_rarely_and_no_longer_once_it_is_long_due(
    outbox: Outbox, square: Square
) -> None:
    clock = Clock()
    square.bring(outbox)
    before, times = fetches(square), list[float]()
    for _ in range(1000):
        at = column(outbox, "poll_at")
        if at is None:
            break
        assert isinstance(at, float)
        clock.ahead = at - time.time() + 0.5
        times.append(clock.ahead)
        with square.processing(outbox, clock=clock) as processor:
            OrderMonitor(processor).look()
    pauses = [after - earlier for earlier, after in itertools.pairwise(times)]
    assert times[0] == pytest.approx(30, abs=5)
    assert pauses[0] == pytest.approx(30, abs=2)
    assert pauses[-1] == pytest.approx(300, abs=2)
    assert 4 * 3600 - 310 < times[-1] < 4 * 3600 + 10
    assert fetches(square) - before == len(times) < 90


def test_of_two_workers_one_asks(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    square.bring(outbox)
    before, clock.ahead = fetches(square), 31.0
    with (
        square.processing(outbox, clock=clock) as one,
        square.processing(outbox, clock=clock) as other,
    ):
        OrderMonitor(one).look()
        OrderMonitor(other).look()
    assert fetches(square) == before + 1


def test_one_order_of_a_connection_is_asked_for_in_a_turn(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    for number in range(3):
        square.bring(outbox, f"ord-{number}")
    before, clock.ahead = fetches(square), 31.0
    with square.processing(outbox, clock=clock) as processor:
        for looks in (1, 2, 3, 3):
            OrderMonitor(processor).look()
            assert fetches(square) == before + looks


def test_a_platform_that_fails_is_left_alone_for_a_minute_and_its_circuit_isnt_touched(
    outbox: Outbox, store: Store
) -> None:
    clock = Clock()
    for number in range(3):
        store.bring(outbox, f"ord-{number}")
    store.simulator.set_outage()
    clock.ahead = 31
    with store.processing(outbox, clock=clock) as processor:
        before = len(store.simulator.requests)
        for _ in range(4):
            OrderMonitor(processor).look()
        assert len(store.simulator.requests) == before + 1
        store.simulator.set_outage(down=False)
        store.simulator.staff_accept("ord-0")
        clock.ahead += PUT_OFF + 1
        for _ in range(3):
            OrderMonitor(processor).look()
    assert stored(outbox, "ord-0").state is OrderState.ACCEPTED
    with outbox.database.reading() as db:
        assert not db.scalar(sa.select(t.connections.c.opened_at))


def test_a_rate_limit_that_a_look_meets_holds_the_orders_back_too(
    outbox: Outbox, square: Square
) -> None:
    clock = Clock()
    square.bring(outbox)
    limited = Fault(kind=FaultKind.RATE_LIMITED, retry_after=120)
    square.simulator.set_faults(
        FaultPlan(rules=(FaultRule(method="GET", fault=limited, times=None),))
    )
    clock.ahead = 31
    turn(outbox, square, clock)
    with outbox.database.reading() as db:
        assert db.scalar(sa.select(t.connections.c.not_before)) == pytest.approx(
            clock() + 120, abs=5
        )
    before = len(square.simulator.requests)
    clock.ahead += PUT_OFF + 1
    turn(outbox, square, clock)
    assert len(square.simulator.requests) == before, (
        "it isn't asked while it wants to be left alone"
    )


def test_a_paused_connection_isnt_asked(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    square.bring(outbox)
    square.receiver(outbox).receive("cafe", *square.event("oauth.authorization.revoked"))
    before, clock.ahead = len(square.simulator.requests), 31.0
    with square.processing(outbox, clock=clock) as processor:
        OrderMonitor(processor).look()
    assert len(square.simulator.requests) == before


def test_what_is_over_is_watched_no_more(outbox: Outbox, store: Store) -> None:
    clock = Clock()
    store.bring(outbox)
    OrderOperations(outbox, "mia", connections=lambda _: store.connected()).manual("ord-1")
    before, clock.ahead = fetches(store), 400.0
    turn(outbox, store, clock)
    assert fetches(store) == before
    assert (column(outbox, "poll_at"), column(outbox, "expected_at")) == (None, None)


def test_a_worker_that_works_until_idle_doesnt_wait_for_orders_to_be_watched(
    outbox: Outbox, square: Square
) -> None:
    square.bring(outbox)
    begun = time.monotonic()
    with square.processing(outbox) as processor:
        Worker(processor).run(until_idle=True)
    assert time.monotonic() - begun < 25
    assert stored(outbox).state is OrderState.RECEIVED


# ---------------------------------------------------------------------- no proof


def test_an_order_that_the_register_shows_no_sign_of_is_told_once_after_five_minutes(
    outbox: Outbox, store: Store
) -> None:
    clock, heard = Clock(), Heard()
    pos_id = store.bring(outbox)
    clock.ahead = 290
    turn(outbox, store, clock, heard)
    assert heard.names == []
    clock.ahead = 301
    for _ in range(3):
        turn(outbox, store, clock, heard)
    assert heard.names == ["order_unseen"]
    assert heard.all[0][1]["pos_order"].id == pos_id
    assert column(outbox, "unseen_reported_at") is not None
    store.simulator.staff_accept("ord-1")
    clock.ahead = 1000
    turn(outbox, store, clock, heard)
    assert stored(outbox).state is OrderState.ACCEPTED


def test_it_is_looked_at_once_more_before_it_is_told(outbox: Outbox, store: Store) -> None:
    clock, heard = Clock(), Heard()
    store.bring(outbox)
    clock.ahead = 290
    turn(outbox, store, clock, heard)
    store.simulator.staff_accept("ord-1")
    clock.ahead = 301
    turn(outbox, store, clock, heard)
    assert heard.names == ["order_status_changed"]


def test_it_is_told_while_the_platform_cant_be_asked_too(outbox: Outbox, square: Square) -> None:
    clock, heard = Clock(), Heard()
    square.bring(outbox)
    square.receiver(outbox).receive("cafe", *square.event("oauth.authorization.revoked"))
    clock.ahead = 301
    with square.processing(outbox, heard, clock) as processor:
        OrderMonitor(processor).tell_unseen()
    assert heard.names == ["order_unseen"]


def test_of_a_scheduled_order_a_sign_is_expected_shortly_before_it_is_due(
    outbox: Outbox, square: Square
) -> None:
    clock, heard = Clock(), Heard()
    due = datetime.now(UTC) + timedelta(hours=3)
    outbox.add(square.order("ord-1", fulfilment=Pickup(due_at=due)), connection="cafe")
    with outbox.database.writing() as db:  # a store whose orders go long before
        db.execute(sa.update(t.orders).values(due_at=time.time(), eligible_at=time.time()))
    with square.processing(outbox) as processor:
        for claim in processor.claim(1):
            processor.handle(claim)
    assert stored(outbox).state is OrderState.RECEIVED
    clock.ahead = 2.5 * 3600 + 200
    turn(outbox, square, clock, heard)
    assert heard.names == []
    clock.ahead = 2.5 * 3600 + 301
    turn(outbox, square, clock, heard)
    assert heard.names == ["order_unseen"]


# ---------------------------------------------------------------------- nobody acts


def stuck(outbox: Outbox, square: Square) -> None:
    """An order in error, since its toastie is gone."""
    square.simulator.remove_variation("5312")
    outbox.add(square.order("ord-1"), connection="cafe")
    with square.processing(outbox) as processor:
        for claim in processor.claim(1):
            processor.handle(claim)
    assert stored(outbox).state is OrderState.ERROR


def test_a_problem_that_nobody_acts_on_is_told_after_five_and_ten_minutes(
    outbox: Outbox, square: Square
) -> None:
    clock, heard = Clock(), Heard()
    stuck(outbox, square)
    for ahead, times in ((290, 0), (301, 1), (590, 1), (605, 2), (5000, 2)):
        clock.ahead = ahead
        turn(outbox, square, clock, heard)
        turn(outbox, square, clock, heard)
        assert [told["times"] for told in heard.named("order_escalated")] == [1, 2][:times]
    assert heard.named("order_escalated")[0]["error"].outcome is Outcome.NOT_CREATED
    assert column(outbox, "escalations") == 2


def test_a_problem_that_somebody_acts_on_is_told_to_nobody_else(
    outbox: Outbox, square: Square
) -> None:
    clock, heard = Clock(), Heard()
    stuck(outbox, square)
    OrderOperations(outbox, "mia").accept("ord-1")
    clock.ahead = 301
    turn(outbox, square, clock, heard)
    assert heard.names == []


def test_an_order_that_goes_on_after_a_reconnection_is_no_problem_any_more(
    outbox: Outbox, square: Square
) -> None:
    clock, heard = Clock(), Heard()
    square.simulator.revoke_authorisation()
    outbox.add(square.order("ord-1"), connection="cafe")
    with square.processing(outbox) as processor:
        for claim in processor.claim(1):
            processor.handle(claim)
    assert column(outbox, "escalate_at") is not None
    outbox.resume("cafe")
    clock.ahead = 301
    with square.processing(outbox, heard, clock) as processor:
        OrderMonitor(processor).escalate()
    assert heard.names == []
    assert column(outbox, "escalate_at") is None


def test_an_order_that_was_turned_down_is_told_again_when_nobody_pays_back(
    outbox: Outbox, store: Store
) -> None:
    clock, heard = Clock(), Heard()
    pos_id = store.bring(outbox)
    store.simulator.staff_reject("ord-1")
    store.receiver(outbox, heard).receive("cafe", *store.told(pos_id))
    clock.ahead = 301
    turn(outbox, store, clock, heard)
    assert heard.names == ["order_status_changed", "order_rejected", "order_escalated"]


def test_of_two_workers_one_tells(outbox: Outbox, square: Square) -> None:
    clock, heard = Clock(), Heard()
    stuck(outbox, square)
    clock.ahead = 301
    with (
        square.processing(outbox, heard, clock) as one,
        square.processing(outbox, heard, clock) as other,
    ):
        OrderMonitor(one).escalate()
        OrderMonitor(other).escalate()
    assert heard.names == ["order_escalated"]


# ---------------------------------------------------------------------- menus


def test_a_menu_that_was_changed_is_imported_by_a_worker_once(
    outbox: Outbox, square: Square
) -> None:
    clock, heard = Clock(), Heard()
    receiver = square.receiver(outbox)
    for number in range(5):
        receiver.receive("cafe", *square.event("catalog.version.updated", event_id=f"e{number}"))
    turn(outbox, square, clock, heard)
    assert heard.names == []
    clock.ahead = SETTLES + 1
    for _ in range(3):
        turn(outbox, square, clock, heard)
    assert heard.names == ["menu_imported"]
    assert len(outbox.imports("cafe")) == 1


def test_a_menu_that_couldnt_be_imported_is_imported_later(outbox: Outbox, square: Square) -> None:
    clock, heard = Clock(), Heard()
    square.receiver(outbox).receive("cafe", *square.event("catalog.version.updated"))
    square.simulator.set_outage()
    clock.ahead = SETTLES + 1
    with square.processing(outbox, heard, clock) as processor:
        OrderMonitor(processor).import_changed()
        square.simulator.set_outage(down=False)
        OrderMonitor(processor).import_changed()
        assert heard.names == []
        clock.ahead += IMPORT_AGAIN + 1
        OrderMonitor(processor).import_changed()
    assert heard.names == ["menu_imported"]
