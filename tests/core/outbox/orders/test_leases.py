"""One worker processes an order at a time; an order that crashes workers is isolated.

A worker whose lease was lost writes and sends nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import pytest

from core.outbox.killing import Counter, Lifetime, Shop, Site, Stopped
from core.stand_in import Keyed, Keyless, an_order
from tillpost import Outcome
from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied
from tillpost.outbox import OrderState, OutboxSettings, StoredOrder, WaitsFor
from tillpost.outbox.db.clock import steady
from tillpost.outbox.db.database import Database
from tillpost.outbox.orders.claims import ISOLATE_AFTER, SET_ASIDE_AFTER, Claim, LeaseLostError
from tillpost.outbox.orders.heartbeat import Heartbeat
from tillpost.outbox.orders.workers import Pulse, WorkerRegistry
from tillpost.plugins.hookspecs import hookimpl
from tillpost.submission.journal import Failed, Intended
from waiting import eventually

INTENT = Intended(1.0, Effect.CREATE, 0, "key", "digest")


def stored(site: Site, order_id: str = "ord_1") -> StoredOrder:
    order = site.outbox.get(order_id)
    assert order
    return order


def crash_workers(database: Database, shop: Shop, count: int, connection: str = "cafe") -> None:
    """Crash so many workers, each just before the first request of an order that is due."""
    for _ in range(count):
        site = Site(database, shop, Lifetime(), connection)
        site.database.life.at = 2  # a claim is one write: before and after
        with pytest.raises(Stopped):
            site.work()
        site.end()
    Site(database, shop, Lifetime(), connection).end()


def write_intent(site: Site, claim: Claim) -> None:
    """Write the intent to create an order, as the runner does before it sends one."""
    processor = site.processor
    with processor.claims.recording(claim, [(INTENT, None)], site.clock(), new_request=False):
        pass


def test_old_holder_writes_nothing_over_new_holder(either: Database) -> None:
    counter = Counter()
    shop = counter.shop()
    first = Site(either, shop)
    first.add(an_order())
    (lost,) = first.processor.claim(1)
    second = Site(either, shop)
    (mine,) = second.processor.claim(1)

    with pytest.raises(LeaseLostError):
        write_intent(first, lost)
    first.processor.handle(lost)

    assert counter.requests == []
    assert second.outbox.journal("ord_1") == []
    second.processor.handle(mine)
    assert stored(second).state is OrderState.RECEIVED
    first.processor.handle(lost)
    assert stored(second).state is OrderState.RECEIVED
    assert len(counter.platform.shown("ord_1")) == 1
    first.end()
    second.end()


def test_reclaiming_an_order_raises_its_fencing_token(
    database: Database,
) -> None:
    site = Site(database, Counter().shop())
    site.add(an_order())
    (lost,) = site.processor.claim(1)
    site.processor.claims.release(lost, site.clock(), due_in=0.0, crashes=0)
    (again,) = site.processor.claim(1)

    with pytest.raises(LeaseLostError):
        write_intent(site, lost)
    write_intent(site, again)

    assert again.fencing_token == lost.fencing_token + 1
    site.end()


def hurried(counter: Counter, lease: float) -> Shop:
    return counter.shop(settings=OutboxSettings(lease=lease))


def test_worker_with_expired_lease_sends_nothing(
    either: Database,
) -> None:
    """It sends nothing even if there is no other worker that could take the order over."""
    counter = Counter()
    site = Site(either, hurried(counter, lease=0.5))
    site.add(an_order())
    # It beats no more, as if it were paused.
    site.processor._heartbeat._stop.set()  # pyright: ignore[reportPrivateUsage]
    time.sleep(0.5)
    (claim,) = site.processor.claim(1)

    with pytest.raises(LeaseLostError):
        site.processor._heartbeat.check(claim.worker)  # pyright: ignore[reportPrivateUsage]
    site.processor.handle(claim)

    assert counter.requests == []
    order = stored(site)
    assert (order.state, order.worker, order.crash_count) == (OrderState.DUE, None, 0)
    assert order.due_at is not None
    site.end()


def test_lease_clock_counts_while_machine_is_suspended() -> None:
    """Compared with the clock that stops while a machine is suspended: no test suspends one."""
    first, since = steady(), time.monotonic()
    time.sleep(0.05)
    now = time.monotonic()
    assert steady() - first >= now - since - 0.01
    assert sys.platform != "linux" or steady() >= since


class FailingOnce(WorkerRegistry):
    """A registry that fails once, with an error that nothing expects."""

    failures = 1

    def pulses(self) -> Mapping[str, Pulse]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("unexpected")
        return super().pulses()


def test_heartbeat_survives_unexpected_error(database: Database) -> None:
    workers = FailingOnce(database)
    with Heartbeat(workers, lease=3.0) as heartbeat:
        eventually(lambda: workers.failures == 0)
        before = workers.beats()[heartbeat.worker]
        eventually(lambda: workers.beats()[heartbeat.worker] > before)
        heartbeat.check(heartbeat.worker)


def test_workers_are_reaped_after_their_own_leases(either: Database) -> None:
    """However short the observer's lease is: a web app's may have other settings."""
    workers = WorkerRegistry(either)
    patient = workers.enlist(0.0, lease=60.0)
    hasty = workers.enlist(0.0, lease=0.3)
    with Heartbeat(workers, lease=0.5) as observer:
        eventually(lambda: hasty not in workers.pulses())
        beat = workers.pulses()[observer.worker].beat
        eventually(lambda: workers.pulses()[observer.worker].beat > beat + 2)
        assert workers.pulses()[patient].lease == 60.0


def test_observer_with_a_long_lease_reaps_after_a_short_one(either: Database) -> None:
    workers = WorkerRegistry(either)
    hasty = workers.enlist(0.0, lease=0.3)
    with Heartbeat(workers, lease=600.0) as observer:

        def is_reaped() -> bool:
            observer._reap_dead_workers()  # pyright: ignore[reportPrivateUsage]
            return hasty not in workers.pulses()

        eventually(is_reaped)


def test_processor_writes_its_lease_and_a_receiver_its_own(either: Database) -> None:
    counter = Counter()
    site = Site(either, hurried(counter, lease=33.0))
    receiver = Heartbeat(WorkerRegistry(either), OutboxSettings().lease)
    leases = {worker: pulse.lease for worker, pulse in site.processor.workers.pulses().items()}
    assert set(leases.values()) == {33.0}
    with receiver:
        pulses = site.processor.workers.pulses()
        assert pulses[receiver.worker].lease == OutboxSettings().lease
    site.end()


def test_retired_worker_sends_nothing(database: Database) -> None:
    site = Site(database, Counter().shop())
    site.add(an_order())
    (claim,) = site.processor.claim(1)
    site.processor._heartbeat.check(claim.worker)  # pyright: ignore[reportPrivateUsage]

    site.end()

    with pytest.raises(LeaseLostError):
        site.processor._heartbeat.check(claim.worker)  # pyright: ignore[reportPrivateUsage]


class FailedOrders:
    """A plugin that records the ids of failed orders."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    @hookimpl
    def order_failed(self, order: Any, error: Any) -> None:
        self.failed.append(order.id)


def test_order_in_flight_at_two_crashes_runs_alone(either: Database) -> None:
    shop = Counter().shop()
    site = Site(either, shop)
    site.add(an_order("crashing"))
    crash_workers(either, shop, ISOLATE_AFTER)
    site.end()

    site = Site(either, shop)
    site.add(an_order("harmless"))
    site.add(an_order("harmless-too"))
    (isolated,) = site.processor.claim(16)
    assert (isolated.order.id, isolated.crash_count) == ("crashing", ISOLATE_AFTER)
    assert site.processor.claim(16) == []
    site.processor.handle(isolated)

    assert stored(site, "crashing").crash_count == 0
    assert {claim.order.id for claim in site.processor.claim(16)} == {"harmless", "harmless-too"}
    site.end()


def test_isolated_order_waits_for_claimed_orders(database: Database) -> None:
    shop = Counter().shop()
    site = Site(database, shop)
    site.add(an_order("crashing"))
    crash_workers(database, shop, ISOLATE_AFTER)
    site.end()

    site = Site(database, shop)
    (crashing,) = site.processor.claim(1)
    site.processor.claims.release(crashing, site.clock(), due_in=5.0, crashes=0)
    site.processor.handle(crashing)  # its claim was lost
    site.add(an_order("harmless"))
    (harmless,) = site.processor.claim(16)
    site.clock.advance(5.0)

    assert site.processor.claim(16) == []
    site.processor.handle(harmless)
    assert [claim.order.id for claim in site.processor.claim(16)] == ["crashing"]
    site.end()


@pytest.mark.parametrize("kind", [Keyed, Keyless])
def test_five_crashes_leave_the_order_to_a_person(either: Database, kind: type[Keyed]) -> None:
    counter = Counter()
    plugin = FailedOrders()
    shop = counter.shop(kind)
    site = Site(either, shop)
    site.add(an_order())
    crash_workers(either, shop, SET_ASIDE_AFTER)
    site.end()

    site = Site(either, shop, hooks=[plugin])
    site.work()

    order = stored(site)
    assert (order.state, order.due_at, order.worker) == (OrderState.ERROR, None, None)
    assert order.error
    assert "5 workers in a row died" in order.error.detail
    assert order.remedy
    assert order.error.outcome is (Outcome.NOT_CREATED if kind is Keyed else Outcome.UNKNOWN)
    assert plugin.failed == ["ord_1"]
    assert counter.requests == []
    site.end()


def test_paused_isolated_order_delays_no_other_order(either: Database) -> None:
    """Its connection waits for a person to connect it again; the others continue."""
    counter = Counter()
    shop = counter.shop()
    paused = Site(either, shop, connection="paused")
    paused.add(an_order("crashing"))
    crash_workers(either, shop, ISOLATE_AFTER, "paused")
    rows = paused.processor.connection_rows
    with either.writing() as db:
        rows.lock(db, "paused")
        rows.update(db, "paused", {"paused": WaitsFor.AUTHORISATION.value, "paused_at": 0.0})
    paused.end()

    site = Site(either, shop, connection="open")
    site.add(an_order("harmless"))
    site.work()

    assert stored(site, "harmless").state is OrderState.RECEIVED
    assert stored(site, "crashing").state is OrderState.DUE
    site.end()


def test_next_worker_looks_up_what_dead_worker_sent(
    database: Database,
) -> None:
    """A worker that dies between the intent and the answer leaves the order in doubt."""
    counter = Counter()
    shop = counter.shop(Keyless)
    life = Lifetime()
    site = Site(database, shop, life)
    site.add(an_order(), is_new=True)
    life.at = life.steps + 5  # the claim, the intent, and before the create; then after it
    with pytest.raises(Stopped):
        site.work()
    site.end()
    assert counter.requests == ["POST /orders"]

    site = Site(database, shop)
    site.work()

    assert [type(event).__name__ for event in site.outbox.journal("ord_1")][:4] == [
        "SubmissionRequested",
        "Intended",
        "Settled",
        "LookedUp",
    ]
    assert len(counter.platform.shown("ord_1")) == 1
    assert stored(site).state is OrderState.RECEIVED
    site.end()


def test_database_failure_adds_no_crash_to_the_order(database: Database) -> None:
    counter = Counter()
    site = Site(database, counter.shop())
    site.add(an_order())
    (claim,) = site.processor.claim(1)
    with database.writing() as db:
        db.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON tillpost_events "
            "BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    site.processor.handle(claim)
    with database.writing() as db:
        db.exec_driver_sql("DROP TRIGGER full")

    order = stored(site)
    assert (order.state, order.worker, order.crash_count) == (OrderState.DUE, None, 0)
    assert counter.requests == []
    site.work()
    assert stored(site).state is OrderState.RECEIVED
    assert not [
        e
        for e in site.outbox.journal("ord_1")
        if isinstance(e, Failed) and e.error.applied is Applied.MAYBE
    ]
    site.end()
