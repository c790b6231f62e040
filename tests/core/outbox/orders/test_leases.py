"""One worker has an order in hand at a time: who lost it writes and sends nothing more, and what kills is set aside."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import pytest

from core.outbox.killing import Counter, Shop, Site, Stopped
from core.outbox.killing import Heartbeat as Mortal
from core.stand_in import Keyed, Keyless, an_order
from tillpost import Outcome
from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied
from tillpost.outbox import OrderState, OutboxSettings, StoredOrder, WaitsFor
from tillpost.outbox.db.database import Database
from tillpost.outbox.orders.claims import ISOLATE_AFTER, SET_ASIDE_AFTER, LeaseLostError
from tillpost.outbox.orders.heartbeat import Heartbeat, steady
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.plugins.hookspecs import hookimpl
from tillpost.submission.journal import Failed, Intended
from waiting import eventually

INTENT = Intended(1.0, Effect.CREATE, 0, "key", "digest")


def stored(site: Site, order_id: str = "ord_1") -> StoredOrder:
    order = site.outbox.get(order_id)
    assert order
    return order


def die_with(database: Database, shop: Shop, crash_count: int, connection: str = "cafe") -> None:
    """Let workers die, one after the other, just before they send the first request of what is due."""
    for _ in range(crash_count):
        site = Site(database, shop, Mortal(), connection)
        site.database.life.at = 2  # a claim is one write: before and after
        with pytest.raises(Stopped):
            site.work()
        site.end()
    Site(database, shop, Mortal(), connection).end()


def test_a_worker_that_lost_its_order_writes_nothing_over_the_new_owners(either: Database) -> None:
    counter = Counter()
    shop = counter.shop()
    first = Site(either, shop)
    first.add(an_order())
    (lost,) = first.processor.claim(1)
    second = Site(either, shop)
    (mine,) = second.processor.claim(1)

    with pytest.raises(LeaseLostError):
        first.processor.keep(lost, [(INTENT, None)])
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


def test_a_worker_that_was_taken_for_dead_has_a_higher_fence_when_it_takes_the_same_order_again(
    database: Database,
) -> None:
    site = Site(database, Counter().shop())
    site.add(an_order())
    (lost,) = site.processor.claim(1)
    site.processor.claims.release(lost, site.clock(), due_in=0.0, crashes=0)
    (again,) = site.processor.claim(1)

    with pytest.raises(LeaseLostError):
        site.processor.keep(lost, [(INTENT, None)])
    site.processor.keep(again, [(INTENT, None)])

    assert again.fencing_token == lost.fencing_token + 1
    site.end()


def hurried(counter: Counter, lease: float) -> Shop:
    return counter.shop(settings=OutboxSettings(lease=lease))


def test_beyond_its_deadline_a_worker_sends_nothing_and_the_order_stays_due(
    either: Database,
) -> None:
    """Alone in the world, too: nobody takes the order over from a worker that still lives."""
    counter = Counter()
    site = Site(either, hurried(counter, lease=0.5))
    site.add(an_order())
    site.processor._life._stop.set()  # pyright: ignore[reportPrivateUsage]  no sign of life any more, as when paused
    time.sleep(0.5)
    (claim,) = site.processor.claim(1)

    with pytest.raises(LeaseLostError):
        site.processor.check(claim)
    site.processor.handle(claim)

    assert counter.requests == []
    order = stored(site)
    assert (order.state, order.worker, order.crash_count) == (OrderState.DUE, None, 0)
    assert order.due_at is not None
    site.end()


def test_the_clock_of_leases_counts_while_the_machine_is_suspended() -> None:
    """No machine is suspended for a test: so it is held against the clock that stands still meanwhile."""
    first, since = steady(), time.monotonic()
    time.sleep(0.05)
    assert steady() - first >= time.monotonic() - since - 0.01
    assert sys.platform != "linux" or steady() >= since


class Stumbling(WorkerRegistry):
    """A store over which a worker's life stumbles once, for a reason that nobody thought of."""

    stumbles = 1

    def beats(self) -> Mapping[str, int]:
        if self.stumbles:
            self.stumbles -= 1
            raise RuntimeError("nobody thought of this")
        return super().beats()


def test_a_worker_lives_on_when_its_sign_of_life_stumbles(database: Database) -> None:
    workers = Stumbling(database)
    with Heartbeat(workers, lease=3.0) as life:
        eventually(lambda: workers.stumbles == 0)
        before = workers.beats()[life.worker]
        eventually(lambda: workers.beats()[life.worker] > before)
        life.check(life.worker)


def test_a_worker_that_has_retired_sends_nothing_more(database: Database) -> None:
    site = Site(database, Counter().shop())
    site.add(an_order())
    (claim,) = site.processor.claim(1)
    site.processor.check(claim)

    site.end()

    with pytest.raises(LeaseLostError):
        site.processor.check(claim)


class HookCall:
    """Notes what plugins are told of failed orders."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    @hookimpl
    def order_failed(self, order: Any, error: Any) -> None:
        self.failed.append(order.id)


def test_an_order_that_was_in_flight_at_two_deaths_runs_alone(either: Database) -> None:
    shop = Counter().shop()
    site = Site(either, shop)
    site.add(an_order("deadly"))
    die_with(either, shop, ISOLATE_AFTER)
    site.end()

    site = Site(either, shop)
    site.add(an_order("harmless"))
    site.add(an_order("harmless-too"))
    (alone,) = site.processor.claim(16)
    assert (alone.order.id, alone.crash_count) == ("deadly", ISOLATE_AFTER)
    assert site.processor.claim(16) == []
    site.processor.handle(alone)

    assert stored(site, "deadly").crash_count == 0
    assert {claim.order.id for claim in site.processor.claim(16)} == {"harmless", "harmless-too"}
    site.end()


def test_an_order_that_has_to_run_alone_waits_for_those_in_hand(database: Database) -> None:
    shop = Counter().shop()
    site = Site(database, shop)
    site.add(an_order("deadly"))
    die_with(database, shop, ISOLATE_AFTER)
    site.end()

    site = Site(database, shop)
    (deadly,) = site.processor.claim(1)
    site.processor.claims.release(deadly, site.clock(), due_in=5.0, crashes=0)
    site.processor.handle(deadly)  # which it has lost by now
    site.add(an_order("harmless"))
    (harmless,) = site.processor.claim(16)
    site.clock.advance(5.0)

    assert site.processor.claim(16) == []
    site.processor.handle(harmless)
    assert [claim.order.id for claim in site.processor.claim(16)] == ["deadly"]
    site.end()


@pytest.mark.parametrize("kind", [Keyed, Keyless])
def test_at_three_more_deaths_alone_it_is_set_aside_for_a_person(
    either: Database, kind: type[Keyed]
) -> None:
    counter, told = Counter(), HookCall()
    shop = counter.shop(kind)
    site = Site(either, shop)
    site.add(an_order())
    die_with(either, shop, SET_ASIDE_AFTER)
    site.end()

    site = Site(either, shop, hooks=[told])
    site.work()

    order = stored(site)
    assert (order.state, order.due_at, order.worker) == (OrderState.ERROR, None, None)
    assert order.error
    assert "5 workers in a row died" in order.error.detail
    assert order.remedy
    assert order.error.outcome is (Outcome.NOT_CREATED if kind is Keyed else Outcome.UNKNOWN)
    assert told.failed == ["ord_1"]
    assert counter.requests == []
    site.end()


def test_an_order_that_has_to_run_alone_and_may_not_go_holds_up_nobody(either: Database) -> None:
    """Its connection waits for a person to connect it again, and there are other connections."""
    counter = Counter()
    shop = counter.shop()
    deadly = Site(either, shop, connection="paused")
    deadly.add(an_order("deadly"))
    die_with(either, shop, ISOLATE_AFTER, "paused")
    rows = deadly.processor.connection_rows
    with either.writing() as db:
        rows.lock(db, "paused")
        rows.update(db, "paused", {"paused": WaitsFor.AUTHORISATION.value, "paused_at": 0.0})
    deadly.end()

    site = Site(either, shop, connection="open")
    site.add(an_order("harmless"))
    site.work()

    assert stored(site, "harmless").state is OrderState.RECEIVED
    assert stored(site, "deadly").state is OrderState.DUE
    site.end()


def test_what_the_platform_did_for_an_order_is_known_after_a_worker_died(
    database: Database,
) -> None:
    """Between the intent and the answer: the new owner knows that it may be there."""
    counter = Counter()
    shop = counter.shop(Keyless)
    life = Mortal()
    site = Site(database, shop, life)
    site.add(an_order(), is_new=True)
    life.at = life.steps + 5  # the claim, the intent, and before the create; then after it
    with pytest.raises(Stopped):
        site.work()
    site.end()
    assert counter.requests == ["POST /orders"]

    site = Site(database, shop)
    site.work()

    assert [type(event).__name__ for event in site.outbox.journal("ord_1")][:3] == [
        "SubmissionRequested",
        "Intended",
        "LookedUp",
    ]
    assert len(counter.platform.shown("ord_1")) == 1
    assert stored(site).state is OrderState.RECEIVED
    site.end()


def test_a_failing_store_isnt_laid_to_the_order(database: Database) -> None:
    counter = Counter()
    site = Site(database, counter.shop())
    site.add(an_order())
    (claim,) = site.processor.claim(1)
    with database.writing() as db:
        db.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON tillpost_events BEGIN SELECT RAISE(FAIL, 'full'); END"
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
