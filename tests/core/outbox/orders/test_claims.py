"""Who has an order in hand: one worker, in due order, as many as there is room for; what the dead held is free."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from core.outbox.stores import Clock, Opening, processing, work_off
from core.toy import toy_order
from core.toy_server import ToyServer, answer
from tillpost.outbox import Connected, ConnectionOptions, OrderState, Outbox, WaitsFor
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.claims import ISOLATE_AFTER, SET_ASIDE_AFTER, Claim, LeaseLostError
from tillpost.submission.journal import SubmissionRequested


def add(outbox: Outbox, *names: str, connection: str = "cafe") -> None:
    for name in names:
        outbox.add(toy_order(name), connection=connection)


def change(outbox: Outbox, name: str, **values: object) -> None:
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).where(t.orders.c.id == name).values(**values))


def take(
    outbox: Outbox, worker: str, *, limit: int = 100, most: int = 100, isolated: bool = False
) -> list[Claim]:
    now = time.time() + 1
    return outbox.claims.claim("cafe", worker, now, limit=limit, most=most, isolated=isolated)


def names(claims: list[Claim]) -> list[str]:
    return [claim.order.id for claim in claims]


@pytest.fixture
def worker(outbox: Outbox) -> str:
    outbox.prepare()
    return outbox.workers.enlist(0)


def test_the_orders_of_a_connection_are_taken_as_they_fall_due(outbox: Outbox, worker: str) -> None:
    add(outbox, "third", "first", "second", "later")
    for name, due in (
        ("first", 10.0),
        ("second", 20.0),
        ("third", 30.0),
        ("later", time.time() + 600),
    ):
        change(outbox, name, due_at=due)
    assert names(take(outbox, worker, most=2)) == ["first", "second"]
    assert names(take(outbox, worker)) == ["third"]


def test_those_that_fall_due_together_are_taken_as_they_came(outbox: Outbox, worker: str) -> None:
    add(outbox, "b", "a", "c")
    for added, name in enumerate(("b", "a", "c")):
        change(outbox, name, due_at=10.0, added_at=float(added))
    assert names(take(outbox, worker)) == ["b", "a", "c"]


def test_no_more_of_a_connection_are_in_hand_than_its_limit_over_all_workers(
    outbox: Outbox,
) -> None:
    outbox.prepare()
    one, other = outbox.workers.enlist(0), outbox.workers.enlist(0)
    add(outbox, *(f"ord-{n}" for n in range(6)))
    add(outbox, "elsewhere", connection="bar")
    first = take(outbox, one, limit=4, most=3)
    assert (len(first), len(take(outbox, other, limit=4)), take(outbox, one, limit=4)) == (3, 1, [])
    assert names(outbox.claims.claim("bar", one, time.time() + 1, limit=4, most=9)) == ["elsewhere"]
    outbox.claims.release(first[0], time.time(), due_in=0, crashes=0)
    assert len(take(outbox, other, limit=4)) == 1


def test_an_order_that_waits_holds_up_none_behind_it(outbox: Outbox, server: ToyServer) -> None:
    server.on("POST /orders", answer(503))
    add(outbox, "waits", "goes", "goes-too")
    with processing(outbox, server) as processor:
        assert work_off(processor, most=1) == ["waits", "goes", "goes-too"]
    stood = outbox.get("waits")
    assert stood
    assert (stood.state, stood.waits_for) == (OrderState.DUE, WaitsFor.RETRY)
    assert [outbox.get(name).state for name in ("goes", "goes-too")] == [OrderState.RECEIVED] * 2  # type: ignore[union-attr]


@pytest.mark.parametrize("what", [{"paused": "authorisation"}, {"not_before": 9e12}])
def test_a_connection_that_is_held_back_gives_nothing(
    what: dict[str, object], outbox: Outbox, worker: str
) -> None:
    add(outbox, "ord-1")
    with outbox.database.writing() as db:
        outbox.connection_rows.lock(db, "cafe")
        outbox.connection_rows.update(db, "cafe", what)
    assert take(outbox, worker) == []


def test_an_open_circuit_lets_one_order_through_and_then_none_for_a_while(
    outbox: Outbox, worker: str
) -> None:
    add(outbox, "ord-1", "ord-2")
    with outbox.database.writing() as db:
        outbox.connection_rows.lock(db, "cafe")
        outbox.connection_rows.update(
            db, "cafe", {"opened_at": 1.0, "probe_at": 2.0, "failures": 5}
        )
    assert names(take(outbox, worker)) == ["ord-1"]
    assert take(outbox, worker) == []


def test_two_workers_never_take_the_same_order(open_outbox: Opening) -> None:
    outboxes = [open_outbox(), open_outbox()]
    add(outboxes[0], *(f"ord-{n}" for n in range(10)))
    workers = [outbox.workers.enlist(0) for outbox in outboxes]
    taken = [names(take(outboxes[n % 2], workers[n % 2], most=1)) for n in range(12)]
    assert sorted(name for some in taken for name in some) == sorted(f"ord-{n}" for n in range(10))


Losing = Callable[[Outbox, Claim], object]


def retired_keys(outbox: Outbox, claim: Claim) -> None:
    assert outbox.workers.reap(claim.worker, 0, time.time()) == 1


def taken_over(outbox: Outbox, claim: Claim) -> None:
    retired_keys(outbox, claim)
    assert len(take(outbox, outbox.workers.enlist(0))) == 1


def taken_again_by_the_same(outbox: Outbox, claim: Claim) -> None:
    outbox.claims.release(claim, time.time(), due_in=0, crashes=0)
    assert len(take(outbox, claim.worker)) == 1


@pytest.mark.parametrize("lose", [retired_keys, taken_over, taken_again_by_the_same])
def test_who_has_lost_an_order_writes_nothing_of_it(
    lose: Losing, outbox: Outbox, worker: str
) -> None:
    add(outbox, "ord-1")
    (claim,) = take(outbox, worker)
    lose(outbox, claim)
    before = outbox.get("ord-1")
    with (
        pytest.raises(LeaseLostError),
        outbox.claims.recording(
            claim, [(SubmissionRequested(1.0, "d"), None)], 1.0, state="received"
        ),
    ):
        pass
    outbox.claims.release(claim, 5e9, due_in=0, crashes=1)
    assert outbox.get("ord-1") == before
    assert outbox.journal("ord-1") == []


def test_what_a_block_raises_keeps_nothing(outbox: Outbox, worker: str) -> None:
    add(outbox, "ord-1")
    (claim,) = take(outbox, worker)
    with (
        pytest.raises(ZeroDivisionError),
        outbox.claims.recording(
            claim, [(SubmissionRequested(1.0, "d"), None)], 1.0, state="received"
        ),
    ):
        raise ZeroDivisionError
    assert outbox.journal("ord-1") == []
    with outbox.claims.recording(claim, [(SubmissionRequested(1.0, "d"), None)], 1.0):
        pass
    with outbox.claims.recording(claim, [(SubmissionRequested(2.0, "d"), None)], 1.0):
        pass
    assert [event.at for event in outbox.journal("ord-1")] == [1.0, 2.0]


def test_a_worker_that_gave_a_sign_of_life_isnt_buried(outbox: Outbox, worker: str) -> None:
    add(outbox, "ord-1")
    take(outbox, worker)
    assert outbox.workers.beat(worker)
    assert outbox.workers.reap(worker, 0, time.time()) == 0
    assert outbox.workers.reap(worker, 1, time.time()) == 1
    assert not outbox.workers.beat(worker)
    freed = outbox.get("ord-1")
    assert freed
    assert (freed.worker, freed.crash_count) == (None, 1)


def test_who_retires_leaves_what_is_in_hand_to_others_and_counts_for_no_death(
    outbox: Outbox, worker: str
) -> None:
    add(outbox, "ord-1")
    take(outbox, worker)
    outbox.workers.retire(worker, time.time())
    freed = outbox.get("ord-1")
    assert freed
    assert (freed.worker, freed.crash_count) == (None, 0)
    assert outbox.workers.beats() == {}


def test_an_order_in_hand_at_two_deaths_is_taken_only_alone(outbox: Outbox) -> None:
    add(outbox, "deadly", "other")
    change(outbox, "deadly", due_at=1.0)
    for _ in range(ISOLATE_AFTER):
        assert not outbox.claims.is_isolated_due(time.time())
        worker = outbox.workers.enlist(0)
        assert names(take(outbox, worker, most=1)) == ["deadly"]
        outbox.workers.reap(worker, 0, 1.0)
    assert outbox.claims.is_isolated_due(time.time())
    worker = outbox.workers.enlist(0)
    assert names(take(outbox, worker)) == ["other"]
    assert names(take(outbox, worker, isolated=True)) == ["deadly"]


def test_an_order_runs_alone_once_the_hands_are_empty_and_then_the_others_go_on(
    outbox: Outbox, server: ToyServer
) -> None:
    add(outbox, "other", "deadly", "another")
    with processing(outbox, server) as processor:
        (other,) = processor.claim(1)
        change(outbox, "deadly", crash_count=ISOLATE_AFTER)
        assert processor.claim(9) == []
        processor.handle(other)
        (deadly,) = processor.claim(9)
        assert processor.claim(9) == []
        processor.handle(deadly)
        assert work_off(processor) == ["another"]
    assert {stored.state for stored in outbox.orders()} == {OrderState.RECEIVED}


@pytest.mark.parametrize(
    "place",
    [{"paused": "authorisation"}, {"not_before": 9e12}, {"opened_at": 1.0, "probe_at": 9e12}],
)
def test_an_order_that_must_run_alone_but_cant_now_holds_up_no_other_connection(
    place: dict[str, object], outbox: Outbox, server: ToyServer
) -> None:
    add(outbox, "deadly")
    add(outbox, "elsewhere", connection="bar")
    with processing(outbox, server, bar=Connected(server.adapter())) as processor:
        change(outbox, "deadly", crash_count=ISOLATE_AFTER)
        with outbox.database.writing() as db:
            outbox.connection_rows.lock(db, "cafe")
            outbox.connection_rows.update(db, "cafe", place)
        assert work_off(processor) == ["elsewhere"]


def test_an_order_with_which_workers_keep_dying_is_set_aside_for_a_person(
    outbox: Outbox, server: ToyServer
) -> None:
    add(outbox, "deadly")
    change(outbox, "deadly", crash_count=SET_ASIDE_AFTER)
    with processing(outbox, server) as processor:
        assert work_off(processor) == ["deadly"]
    stood = outbox.get("deadly")
    assert stood
    assert stood.error
    assert stood.remedy
    assert (stood.state, stood.due_at) == (OrderState.ERROR, None)
    assert "5 workers in a row died" in stood.error.detail
    assert server.seen == []


def test_process_does_what_fell_due_before_and_says_when_more_is_due(
    outbox: Outbox, server: ToyServer
) -> None:
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
    assert {stored.state for stored in outbox.orders()} == {OrderState.RECEIVED}


def test_each_connection_has_its_own_limit(outbox: Outbox, server: ToyServer) -> None:
    add(outbox, *(f"a-{n}" for n in range(6)))
    add(outbox, *(f"b-{n}" for n in range(6)), connection="bar")
    bar = Connected(server.adapter(), outbox=ConnectionOptions(concurrency=1))
    with processing(outbox, server, bar=bar) as processor:
        assert sorted(name[0] for name in names(processor.claim(100))) == ["a"] * 4 + ["b"]
