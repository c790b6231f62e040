"""Claims: one worker an order, in due order, within limits; dead workers' claims are released."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from core.outbox.stores import Clock, Opening, processing, work_off
from core.toy import toy_order
from core.toy_server import ToyServer, answer
from tillpost.outbox import (
    ConnectionOptions,
    OrderState,
    Outbox,
    OutboxConnection,
    StoredOrder,
    WaitsFor,
)
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.claims import ISOLATE_AFTER, SET_ASIDE_AFTER, Claim, LeaseLostError
from tillpost.submission.journal import SubmissionRequested


def add(outbox: Outbox, *names: str, connection: str = "cafe") -> None:
    for name in names:
        outbox.add(toy_order(name), connection=connection)


def change(outbox: Outbox, name: str, **values: object) -> None:
    statement = sa.update(t.orders).where(t.orders.c.id == name)
    with outbox.database.writing() as db:
        db.execute(statement.values(**values))


def set_connection(outbox: Outbox, **values: object) -> None:
    with outbox.database.writing() as db:
        outbox.connection_rows.lock(db, "cafe")
        outbox.connection_rows.update(db, "cafe", values)


def numbered(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def find(outbox: Outbox, name: str) -> StoredOrder:
    stored = outbox.get(name)
    assert stored
    return stored


def claim_due(
    outbox: Outbox,
    worker: str,
    *,
    connection: str = "cafe",
    limit: int = 100,
    most: int = 100,
    isolated: bool = False,
) -> list[Claim]:
    return outbox.claims.claim(
        connection,
        worker,
        time.time() + 1,
        limit=limit,
        most=most,
        isolated=isolated,
    )


def give_up(outbox: Outbox, claim: Claim) -> None:
    """Release a claim, so that its order is due at once."""
    outbox.claims.release(
        claim,
        time.time(),
        due_in=0,
        crashes=0,
    )


def end(outbox: Outbox, worker: str) -> int:
    """Release the claims of a worker as if it had died, and return their number."""
    return outbox.workers.reap(worker, 0, time.time())


def names(claims: list[Claim]) -> list[str]:
    return [claim.order.id for claim in claims]


@pytest.fixture
def worker(outbox: Outbox) -> str:
    outbox.prepare()
    return outbox.workers.enlist(0)


def test_orders_are_claimed_in_due_order(outbox: Outbox, worker: str) -> None:
    add(outbox, "third", "first", "second", "later")
    change(outbox, "first", due_at=10.0)
    change(outbox, "second", due_at=20.0)
    change(outbox, "third", due_at=30.0)
    change(outbox, "later", due_at=time.time() + 600)
    assert names(claim_due(outbox, worker, most=2)) == ["first", "second"]
    assert names(claim_due(outbox, worker)) == ["third"]


def test_orders_due_at_once_are_claimed_as_added(outbox: Outbox, worker: str) -> None:
    add(outbox, "b", "a", "c")
    for added, name in enumerate(("b", "a", "c")):
        change(outbox, name, due_at=10.0, added_at=float(added))
    assert names(claim_due(outbox, worker)) == ["b", "a", "c"]


def test_claims_of_all_workers_stay_within_connection_limit(outbox: Outbox, worker: str) -> None:
    other = outbox.workers.enlist(0)
    add(outbox, *numbered("ord", 6))
    add(outbox, "elsewhere", connection="bar")
    first = claim_due(outbox, worker, limit=4, most=3)
    assert len(first) == 3
    assert len(claim_due(outbox, other, limit=4)) == 1
    assert claim_due(outbox, worker, limit=4) == []
    elsewhere = claim_due(
        outbox,
        worker,
        connection="bar",
        limit=4,
        most=9,
    )
    assert names(elsewhere) == ["elsewhere"]
    give_up(outbox, first[0])
    assert len(claim_due(outbox, other, limit=4)) == 1


def test_waiting_order_does_not_delay_later_orders(outbox: Outbox, server: ToyServer) -> None:
    server.on("POST /orders", answer(503))
    add(outbox, "waits", "goes", "goes-too")
    now = (
        time.time() + 1
    )  # the clock stands still: the retry isn't due, however long the rest takes
    with processing(outbox, server, clock=lambda: now) as processor:
        assert work_off(processor, most=1) == ["waits", "goes", "goes-too"]
    waiting = find(outbox, "waits")
    assert waiting.state is OrderState.DUE
    assert waiting.waits_for is WaitsFor.RETRY
    assert find(outbox, "goes").state is OrderState.RECEIVED
    assert find(outbox, "goes-too").state is OrderState.RECEIVED


@pytest.mark.parametrize("what", [{"paused": "authorisation"}, {"not_before": 9e12}])
def test_blocked_connection_gives_no_claims(
    what: dict[str, object], outbox: Outbox, worker: str
) -> None:
    add(outbox, "ord-1")
    set_connection(outbox, **what)
    assert claim_due(outbox, worker) == []


def test_open_circuit_allows_one_probe(outbox: Outbox, worker: str) -> None:
    add(outbox, "ord-1", "ord-2")
    set_connection(outbox, opened_at=1.0, probe_at=2.0, failures=5)
    assert names(claim_due(outbox, worker)) == ["ord-1"]
    assert claim_due(outbox, worker) == []


def test_two_workers_never_claim_the_same_order(open_outbox: Opening) -> None:
    one = open_outbox()
    other = open_outbox()
    order_ids = numbered("ord", 10)
    add(one, *order_ids)
    one_worker = one.workers.enlist(0)
    other_worker = other.workers.enlist(0)
    claims: list[Claim] = []
    for _ in range(6):
        claims += claim_due(one, one_worker, most=1)
        claims += claim_due(other, other_worker, most=1)
    assert sorted(names(claims)) == sorted(order_ids)


EVENT = SubmissionRequested(1.0, "d")
LATER_EVENT = SubmissionRequested(2.0, "d")

LoseClaim = Callable[[Outbox, Claim], object]


def reap_holder(outbox: Outbox, claim: Claim) -> None:
    assert end(outbox, claim.worker) == 1


def let_another_worker_claim(outbox: Outbox, claim: Claim) -> None:
    reap_holder(outbox, claim)
    another = outbox.workers.enlist(0)
    assert len(claim_due(outbox, another)) == 1


def let_the_same_worker_claim_again(outbox: Outbox, claim: Claim) -> None:
    give_up(outbox, claim)
    assert len(claim_due(outbox, claim.worker)) == 1


@pytest.mark.parametrize(
    "lose",
    [
        reap_holder,
        let_another_worker_claim,
        let_the_same_worker_claim_again,
    ],
)
def test_lost_claim_writes_nothing(lose: LoseClaim, outbox: Outbox, worker: str) -> None:
    add(outbox, "ord-1")
    (claim,) = claim_due(outbox, worker)
    lose(outbox, claim)
    before = outbox.get("ord-1")
    with (
        pytest.raises(LeaseLostError),
        outbox.claims.recording(claim, [(EVENT, None)], 1.0, state="received"),
    ):
        pass
    outbox.claims.release(
        claim,
        5e9,
        due_in=0,
        crashes=1,
    )
    assert outbox.get("ord-1") == before
    assert outbox.journal("ord-1") == []


def test_exception_in_recording_block_rolls_back(outbox: Outbox, worker: str) -> None:
    add(outbox, "ord-1")
    (claim,) = claim_due(outbox, worker)
    with (
        pytest.raises(ZeroDivisionError),
        outbox.claims.recording(claim, [(EVENT, None)], 1.0, state="received"),
    ):
        raise ZeroDivisionError
    assert outbox.journal("ord-1") == []
    with outbox.claims.recording(claim, [(EVENT, None)], 1.0):
        pass
    with outbox.claims.recording(claim, [(LATER_EVENT, None)], 1.0):
        pass
    assert outbox.journal("ord-1") == [EVENT, LATER_EVENT]


def test_worker_that_beat_is_not_reaped(outbox: Outbox, worker: str) -> None:
    add(outbox, "ord-1")
    claim_due(outbox, worker)
    assert outbox.workers.beat(worker)
    assert outbox.workers.reap(worker, 0, time.time()) == 0
    assert outbox.workers.reap(worker, 1, time.time()) == 1
    assert not outbox.workers.beat(worker)
    released = find(outbox, "ord-1")
    assert released.worker is None
    assert released.crash_count == 1


def test_retiring_releases_claims_without_crash_count(outbox: Outbox, worker: str) -> None:
    add(outbox, "ord-1")
    claim_due(outbox, worker)
    outbox.workers.retire(worker, time.time())
    released = find(outbox, "ord-1")
    assert released.worker is None
    assert released.crash_count == 0
    assert outbox.workers.beats() == {}


def test_order_with_two_crashes_is_claimed_only_alone(outbox: Outbox) -> None:
    add(outbox, "crashing", "other")
    change(outbox, "crashing", due_at=1.0)
    for _ in range(ISOLATE_AFTER):
        assert not outbox.claims.is_isolated_due(time.time())
        worker = outbox.workers.enlist(0)
        assert names(claim_due(outbox, worker, most=1)) == ["crashing"]
        outbox.workers.reap(worker, 0, 1.0)
    assert outbox.claims.is_isolated_due(time.time())
    worker = outbox.workers.enlist(0)
    assert names(claim_due(outbox, worker)) == ["other"]
    assert names(claim_due(outbox, worker, isolated=True)) == ["crashing"]


def test_isolated_order_waits_for_orders_in_flight(outbox: Outbox, server: ToyServer) -> None:
    add(outbox, "other", "crashing", "another")
    with processing(outbox, server) as processor:
        (other,) = processor.claim(1)
        change(outbox, "crashing", crash_count=ISOLATE_AFTER)
        assert processor.claim(9) == []
        processor.handle(other)
        (crashing,) = processor.claim(9)
        assert processor.claim(9) == []
        processor.handle(crashing)
        assert work_off(processor) == ["another"]
    assert {order.state for order in outbox.orders()} == {OrderState.RECEIVED}


PAUSED = {"paused": "authorisation"}
HELD_BACK = {"not_before": 9e12}
CIRCUIT_OPEN = {"opened_at": 1.0, "probe_at": 9e12}


@pytest.mark.parametrize("blocked", [PAUSED, HELD_BACK, CIRCUIT_OPEN])
def test_blocked_isolated_order_delays_no_other_connection(
    blocked: dict[str, object], outbox: Outbox, server: ToyServer
) -> None:
    add(outbox, "crashing")
    add(outbox, "elsewhere", connection="bar")
    bar = OutboxConnection(server.adapter())
    with processing(outbox, server, bar=bar) as processor:
        change(outbox, "crashing", crash_count=ISOLATE_AFTER)
        set_connection(outbox, **blocked)
        assert work_off(processor) == ["elsewhere"]


def test_order_that_keeps_crashing_workers_is_set_aside(outbox: Outbox, server: ToyServer) -> None:
    add(outbox, "crashing")
    change(outbox, "crashing", crash_count=SET_ASIDE_AFTER)
    with processing(outbox, server) as processor:
        assert work_off(processor) == ["crashing"]
    stored = find(outbox, "crashing")
    assert stored.error
    assert stored.remedy
    assert stored.state is OrderState.ERROR
    assert stored.due_at is None
    assert "5 workers in a row died" in stored.error.detail
    assert server.seen == []


def test_process_returns_when_the_order_is_due_again(outbox: Outbox, server: ToyServer) -> None:
    clock = Clock()
    server.on("POST /orders", answer(503))
    add(outbox, "first", "second")
    with processing(outbox, server, clock=clock) as processor:
        assert processor.process("second") is None
        due = processor.process("first")
        assert due is not None
        assert 0.4 < due - clock() <= 1.0
        assert processor.process("nobody's") is None
        clock.ahead += 2
        assert processor.process("first") is None
    assert {order.state for order in outbox.orders()} == {OrderState.RECEIVED}


def test_each_connection_has_its_own_limit(outbox: Outbox, server: ToyServer) -> None:
    add(outbox, *numbered("a", 6))
    add(outbox, *numbered("b", 6), connection="bar")
    bar = OutboxConnection(server.adapter(), outbox=ConnectionOptions(concurrency=1))
    with processing(outbox, server, bar=bar) as processor:
        claimed = names(processor.claim(100))
    prefixes = sorted(name[0] for name in claimed)
    assert prefixes == ["a", "a", "a", "a", "b"]
