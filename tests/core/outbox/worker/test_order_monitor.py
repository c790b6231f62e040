"""Polling of orders, reports of unconfirmed ones, escalation: on time, once, by one worker."""

from __future__ import annotations

import itertools
import logging
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.outbox.asking import Asking
from core.outbox.hooked import Heard, Square, Store, column, stored
from core.outbox.stores import Clock
from tillpost.errors import Outcome
from tillpost.models.order import Pickup, Progress
from tillpost.outbox import Maintenance, OrderState, Outbox, Worker
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.outbox.webhooks.effects import MENU_SETTLES_IN
from tillpost.outbox.worker import order_monitor
from tillpost.outbox.worker.menu_sync import RETRY_IMPORT, MenuSync
from tillpost.outbox.worker.order_monitor import RETRY_POLL, OrderMonitor
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule


def fetches(store: Store) -> int:
    """How often a single order was fetched."""
    requests = store.simulator.requests
    gets = [request for request in requests if request.method == "GET"]
    return sum("orders/" in request.path for request in gets)


def run_tasks(outbox: Outbox, store: Store, clock: Clock, heard: Heard | None = None) -> None:
    """Run all tasks of a worker once."""
    with store.processing(outbox, heard, clock) as processor:
        Maintenance(processor).tend()


# ---------------------------------------------------------------------- polling


def test_order_without_webhooks_is_polled(outbox: Outbox, store: Store) -> None:
    clock = Clock()
    heard = Heard()
    store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    before = fetches(store)
    run_tasks(outbox, store, clock, heard)
    assert fetches(store) == before, "its time hasn't come"
    clock.ahead = 31
    run_tasks(outbox, store, clock, heard)
    assert stored(outbox).state is OrderState.ACCEPTED
    assert heard.names == ["order_status_changed"]
    store.simulator.staff_complete("ord-1")
    clock.ahead = 31 + 121
    run_tasks(outbox, store, clock, heard)
    assert stored(outbox).progress is Progress.COMPLETED
    assert column(outbox, "poll_at") is None


def test_slow_database_leaves_time_for_one_poll(
    outbox: Outbox, square: Square, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading which orders are due may take all of a run's time."""
    monkeypatch.setattr(order_monitor, "POLL_SECONDS", 0.0)
    clock = Clock()
    square.bring(outbox)
    square.simulator.staff_accept("ord-1")
    clock.ahead = 301
    with square.processing(outbox, clock=clock) as processor:
        OrderMonitor(processor).poll()
    assert stored(outbox).state is OrderState.ACCEPTED
    heard = Heard()
    square.bring(outbox, "ord-2")
    square.simulator.staff_accept("ord-2")
    clock.ahead = 602
    with square.processing(outbox, heard, clock) as processor:
        OrderMonitor(processor).report_unseen()
    assert heard.names == ["order_status_changed"]


def test_rejection_is_found_by_polling(
    outbox: Outbox, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    heard = Heard()
    store.bring(outbox)
    store.simulator.staff_reject("ord-1")
    clock.ahead = 31
    for _ in range(3):
        run_tasks(outbox, store, clock, heard)
    assert stored(outbox).state is OrderState.REJECTED
    assert heard.named("order_rejected")[0]["pos_order"].state == "rejected"
    assert heard.names == ["order_status_changed", "order_rejected"]
    assert (
        "order_updated id=ord-1 connection=cafe by=poll state=rejected progress=cancelled"
        in caplog.text
    )


class StoppedClock(Clock):
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_poll_interval_grows_until_polling_ends(outbox: Outbox, square: Square) -> None:
    clock = StoppedClock()
    began = time.time()
    square.bring(outbox)
    ended = time.time()
    before = fetches(square)
    times: list[float] = []
    with square.processing(outbox, clock=clock) as processor:
        for _ in range(1000):
            at = column(outbox, "poll_at")
            if at is None:
                break
            assert isinstance(at, float)
            clock.now = at + 0.5
            times.append(at)
            OrderMonitor(processor).poll()
    pauses = [after - earlier for earlier, after in itertools.pairwise(times)]
    assert began + 30 <= times[0] <= ended + 30
    assert pauses[0] == pytest.approx(30, abs=2)
    assert pauses[-1] == pytest.approx(300, abs=2)
    assert began + 4 * 3600 - 310 < times[-1] < ended + 4 * 3600
    assert fetches(square) - before == len(times) < 90


def test_one_of_two_workers_polls(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    square.bring(outbox)
    before = fetches(square)
    clock.ahead = 31.0
    with (
        square.processing(outbox, clock=clock) as one,
        square.processing(outbox, clock=clock) as other,
    ):
        OrderMonitor(one).poll()
        OrderMonitor(other).poll()
    assert fetches(square) == before + 1


def test_one_order_of_each_connection_is_polled_in_a_run(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    for number in range(3):
        square.bring(outbox, f"ord-{number}")
    before = fetches(square)
    clock.ahead = 31.0
    with square.processing(outbox, clock=clock) as processor:
        for polls in (1, 2, 3, 3):
            OrderMonitor(processor).poll()
            assert fetches(square) == before + polls


def test_failing_platform_is_polled_again_after_a_minute(outbox: Outbox, store: Store) -> None:
    clock = Clock()
    for number in range(3):
        store.bring(outbox, f"ord-{number}")
    store.simulator.set_outage()
    clock.ahead = 31
    with store.processing(outbox, clock=clock) as processor:
        before = len(store.simulator.requests)
        for _ in range(4):
            OrderMonitor(processor).poll()
        assert len(store.simulator.requests) == before + 1
        store.simulator.set_outage(down=False)
        store.simulator.staff_accept("ord-0")
        clock.ahead += RETRY_POLL + 1
        for _ in range(3):
            OrderMonitor(processor).poll()
    assert stored(outbox, "ord-0").state is OrderState.ACCEPTED
    with outbox.database.reading() as db:
        assert not db.scalar(sa.select(t.connections.c.opened_at))


def test_rate_limit_of_a_poll_holds_the_orders_back(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    square.bring(outbox)
    limited = Fault(kind=FaultKind.RATE_LIMITED, retry_after=120)
    square.simulator.set_faults(
        FaultPlan(rules=(FaultRule(method="GET", fault=limited, times=None),))
    )
    clock.ahead = 31
    run_tasks(outbox, square, clock)
    with outbox.database.reading() as db:
        assert db.scalar(sa.select(t.connections.c.not_before)) == pytest.approx(
            clock() + 120, abs=5
        )
    before = len(square.simulator.requests)
    clock.ahead += RETRY_POLL + 1
    run_tasks(outbox, square, clock)
    assert len(square.simulator.requests) == before, (
        "it isn't asked while it wants to be left alone"
    )


def test_paused_connection_is_not_polled(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    square.bring(outbox)
    square.simulator.revoke_authorisation()
    square.receiver(outbox).receive("cafe", *square.event("oauth.authorization.revoked"))
    before = len(square.simulator.requests)
    clock.ahead = 31.0
    with square.processing(outbox, clock=clock) as processor:
        OrderMonitor(processor).poll()
    assert len(square.simulator.requests) == before


def test_order_taken_over_is_not_polled(outbox: Outbox, store: Store) -> None:
    clock = Clock()
    store.bring(outbox)
    OrderOperations(outbox, "mia", connections=Asking(lambda _: store.connected())).manual("ord-1")
    before = fetches(store)
    clock.ahead = 400.0
    run_tasks(outbox, store, clock)
    assert fetches(store) == before
    assert (column(outbox, "poll_at"), column(outbox, "expected_at")) == (None, None)


def test_worker_until_idle_does_not_wait_for_polls(outbox: Outbox, square: Square) -> None:
    square.bring(outbox)
    before = fetches(square)
    with square.processing(outbox) as processor:
        Worker(processor).run(until_idle=True)
    assert fetches(square) == before
    assert column(outbox, "poll_at") is not None
    assert stored(outbox).state is OrderState.RECEIVED


# ---------------------------------------------------------------------- unconfirmed orders


def test_unconfirmed_order_is_reported_once_after_five_minutes(
    outbox: Outbox, store: Store
) -> None:
    clock = Clock()
    heard = Heard()
    pos_id = store.bring(outbox)
    clock.ahead = 290
    run_tasks(outbox, store, clock, heard)
    assert heard.names == []
    clock.ahead = 301
    for _ in range(3):
        run_tasks(outbox, store, clock, heard)
    assert heard.names == ["order_unseen"]
    assert heard.all[0][1]["pos_order"].id == pos_id
    assert column(outbox, "unseen_reported_at") is not None
    store.simulator.staff_accept("ord-1")
    clock.ahead = 1000
    run_tasks(outbox, store, clock, heard)
    assert stored(outbox).state is OrderState.ACCEPTED


def test_order_is_polled_once_more_before_it_is_reported(outbox: Outbox, store: Store) -> None:
    clock = Clock()
    heard = Heard()
    store.bring(outbox)
    clock.ahead = 290
    run_tasks(outbox, store, clock, heard)
    store.simulator.staff_accept("ord-1")
    clock.ahead = 301
    run_tasks(outbox, store, clock, heard)
    assert heard.names == ["order_status_changed"]


def test_unconfirmed_order_of_paused_connection_is_reported(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    heard = Heard()
    square.bring(outbox)
    square.simulator.revoke_authorisation()
    square.receiver(outbox).receive("cafe", *square.event("oauth.authorization.revoked"))
    clock.ahead = 301
    with square.processing(outbox, heard, clock) as processor:
        OrderMonitor(processor).report_unseen()
    assert heard.names == ["order_unseen"]


def test_scheduled_order_must_be_confirmed_before_it_is_due(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    heard = Heard()
    due = datetime.now(UTC) + timedelta(hours=3)
    outbox.add(square.order("ord-1", fulfilment=Pickup(due_at=due)), connection="cafe")
    with outbox.database.writing() as db:  # a store whose orders go long before
        db.execute(sa.update(t.orders).values(due_at=time.time(), eligible_at=time.time()))
    with square.processing(outbox) as processor:
        for claim in processor.claim(1):
            processor.handle(claim)
    assert stored(outbox).state is OrderState.RECEIVED
    clock.ahead = 2.5 * 3600 + 200
    run_tasks(outbox, square, clock, heard)
    assert heard.names == []
    clock.ahead = 2.5 * 3600 + 301
    run_tasks(outbox, square, clock, heard)
    assert heard.names == ["order_unseen"]


# ---------------------------------------------------------------------- escalation


def fail_order(outbox: Outbox, square: Square) -> None:
    """Add an order that ends in error, since its toastie is gone."""
    square.simulator.remove_variation("5312")
    outbox.add(square.order("ord-1"), connection="cafe")
    with square.processing(outbox) as processor:
        for claim in processor.claim(1):
            processor.handle(claim)
    assert stored(outbox).state is OrderState.ERROR


def test_problem_is_escalated_after_five_and_ten_minutes(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    heard = Heard()
    fail_order(outbox, square)
    for seconds, escalations in ((290, 0), (301, 1), (590, 1), (605, 2), (5000, 2)):
        clock.ahead = seconds
        for _ in range(2):
            run_tasks(outbox, square, clock, heard)
        times = [facts["times"] for facts in heard.named("order_escalated")]
        assert times == [1, 2][:escalations]
    assert heard.named("order_escalated")[0]["error"].outcome is Outcome.NOT_CREATED
    assert column(outbox, "escalations") == 2


def test_problem_that_somebody_acts_on_is_not_escalated(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    heard = Heard()
    fail_order(outbox, square)
    OrderOperations(outbox, "mia").accept("ord-1")
    clock.ahead = 301
    run_tasks(outbox, square, clock, heard)
    assert heard.names == []


def test_reconnection_ends_the_problem_of_waiting_orders(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    heard = Heard()
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


def test_rejection_that_nobody_acts_on_is_escalated(outbox: Outbox, store: Store) -> None:
    clock = Clock()
    heard = Heard()
    pos_id = store.bring(outbox)
    store.simulator.staff_reject("ord-1")
    store.receiver(outbox, heard).receive("cafe", *store.notification(pos_id))
    clock.ahead = 301
    run_tasks(outbox, store, clock, heard)
    assert heard.names == ["order_status_changed", "order_rejected", "order_escalated"]


def test_one_of_two_workers_escalates(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    heard = Heard()
    fail_order(outbox, square)
    clock.ahead = 301
    with (
        square.processing(outbox, heard, clock) as one,
        square.processing(outbox, heard, clock) as other,
    ):
        OrderMonitor(one).escalate()
        OrderMonitor(other).escalate()
    assert heard.names == ["order_escalated"]


# ---------------------------------------------------------------------- menus


def test_changed_menu_is_imported_once(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    heard = Heard()
    receiver = square.receiver(outbox)
    for number in range(5):
        receiver.receive("cafe", *square.event("catalog.version.updated", event_id=f"e{number}"))
    run_tasks(outbox, square, clock, heard)
    assert heard.names == []
    clock.ahead = MENU_SETTLES_IN + 1
    for _ in range(3):
        run_tasks(outbox, square, clock, heard)
    assert heard.names == ["menu_imported"]
    assert len(outbox.imports("cafe")) == 1


def test_failed_import_of_changed_menu_is_retried(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    heard = Heard()
    square.receiver(outbox).receive("cafe", *square.event("catalog.version.updated"))
    square.simulator.set_outage()
    clock.ahead = MENU_SETTLES_IN + 1
    with square.processing(outbox, heard, clock) as processor:
        MenuSync(processor).import_changed()
        square.simulator.set_outage(down=False)
        MenuSync(processor).import_changed()
        assert heard.names == []
        clock.ahead += RETRY_IMPORT + 1
        MenuSync(processor).import_changed()
    assert heard.names == ["menu_imported"]
