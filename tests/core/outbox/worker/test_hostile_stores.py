"""Hostile stores hang their own orders only: a good store's go out meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from core.outbox.stores import Opening, in_thread
from core.raw_server import CHUNKED, drip, drip_after, served, silent
from core.toy import TOKEN, Toy, ToySettings, toy_order
from core.toy_server import ToyServer, hang
from tillpost import Limits
from tillpost.outbox import (
    ConnectionSource,
    Outbox,
    OutboxConnection,
    Processor,
    Worker,
    from_mapping,
)
from tillpost.outbox.request_budget import CHECK, POLL, RequestBudget
from tillpost.outbox.thread_pool import SPARE, DaemonThreadPool
from tillpost.outbox.worker import thread_shares
from tillpost.outbox.worker.connection_tasks import ConnectionTasks
from tillpost.outbox.worker.thread_shares import ThreadShares
from waiting import AGES, eventually

HOSTILE = {
    "silent": silent,
    "dripping": drip_after(CHUNKED, b"1\r\nx\r\n"),
    "informing": drip(b"103 Early Hints\r\n\r\nHTTP/1.1 "),
    "trailing": drip_after(CHUNKED + b"0\r\nX-A: b", b"b"),
}

HANGS = 10 * AGES
"""How long a hostile store holds an order, in seconds: longer than any test waits."""


def connection(url: str) -> OutboxConnection:
    adapter = Toy(ToySettings.model_validate({"base_url": url.rstrip("/"), "access_token": TOKEN}))
    return OutboxConnection(adapter, limits=Limits(connect=AGES, read=HANGS, answer=HANGS))


@contextmanager
def working(outbox: Outbox, source: ConnectionSource) -> Generator[Processor]:
    with Processor(outbox, connections=source) as processor, in_thread(Worker(processor)):
        yield processor


def is_received(outbox: Outbox, order_id: str) -> bool:
    stored = outbox.get(order_id)
    return stored is not None and stored.state == "received"


@pytest.mark.slow
def test_good_store_is_served_beside_hostile_ones(sqlite_url: str, server: ToyServer) -> None:
    with ExitStack() as stack, Outbox(sqlite_url) as outbox:
        known = {"good": connection(server.url)}
        for name, handler in HOSTILE.items():
            known[name] = connection(stack.enter_context(served(handler)).url)
            for number in range(20):
                outbox.add(toy_order(f"{name}-{number}"), connection=name)
        processor = stack.enter_context(working(outbox, from_mapping(known)))
        eventually(lambda: processor.in_flight == 16)
        for number in range(8):
            order_id = f"good-{number}"
            outbox.add(toy_order(order_id), connection="good")
            eventually(partial(is_received, outbox, order_id), within=AGES)
            assert processor.in_flight <= 32
    assert all(len(server.made(f"good-{number}")) == 1 for number in range(8))


@pytest.mark.slow
def test_slow_orders_leave_a_thread_for_others(
    open_outbox: Opening, server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread, three stores that hang at one host each, and one that doesn't."""
    monkeypatch.setattr(thread_shares, "SLOW_AFTER", 0.1)
    outbox = open_outbox(threads=1)
    with ExitStack() as stack:
        known = {"good": connection(server.url)}
        for number in range(3):
            hanging = stack.enter_context(served(silent))
            known[f"bad-{number}"] = connection(hanging.url)
            for order in range(3):
                outbox.add(toy_order(f"bad-{number}-{order}"), connection=f"bad-{number}")
        processor = stack.enter_context(working(outbox, from_mapping(known)))
        eventually(lambda: processor.slow == 3)
        outbox.add(toy_order("good-1"), connection="good")
        eventually(lambda: is_received(outbox, "good-1"), within=AGES)
        eventually(lambda: processor.in_flight == 3)


def test_share_is_a_quarter_for_a_connection_and_half_for_a_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares = ThreadShares[int](8)
    for number in range(3):
        shares.begin(number, f"cafe-{number // 2}", "pos.example")
    assert shares.may_begin("cafe-0", "pos.example")
    assert shares.is_quick(0)
    monkeypatch.setattr(thread_shares, "SLOW_AFTER", 0.0)
    assert (shares.running, shares.slow) == (3, 3)
    assert not shares.is_quick(0)
    assert not shares.may_begin("cafe-0", "pos.example")
    assert shares.may_begin("cafe-1", "pos.example")
    shares.begin(3, "cafe-2", "pos.example")
    assert not shares.may_begin("cafe-3", "pos.example")
    assert shares.may_begin("cafe-3", "other.example")
    shares.end(3)
    assert shares.may_begin("cafe-3", "pos.example")
    assert not shares.is_quick(3)


def test_pool_grows_by_slow_tasks_up_to_a_limit() -> None:
    release, slow = threading.Event(), [0]
    pool = DaemonThreadPool(2, "test-pool", lambda: slow[0])
    futures = [pool.submit(release.wait) for _ in range(2)]
    assert pool.idle_threads == 0
    slow[0] = 1
    assert pool.idle_threads == 1
    done = pool.submit(lambda: None)
    done.result(AGES)
    slow[0] = 100
    assert pool.idle_threads == 2 + 2 * SPARE - 2
    release.set()
    for future in futures:
        future.result(AGES)
    pool.shutdown()


def test_connection_has_one_task_of_a_kind_at_a_time() -> None:
    release, ran = threading.Event(), list[str]()
    tasks = ConnectionTasks(2, "test-task", lambda name: name, RequestBudget(1e3))
    tasks.start(CHECK, "cafe", release.wait)
    tasks.start(CHECK, "cafe", lambda: ran.append("twice"))
    assert not tasks.may_start(CHECK, "cafe")
    tasks.start(POLL, "cafe", lambda: ran.append("poll"))
    eventually(lambda: ran == ["poll"])
    release.set()
    eventually(lambda: not tasks.busy)
    tasks.start(CHECK, "cafe", lambda: ran.append("again"))
    eventually(lambda: ran == ["poll", "again"])
    tasks.close(1.0)


def test_polls_of_a_hanging_store_hold_no_claims_up(
    open_outbox: Opening, server: ToyServer
) -> None:
    """Its status isn't reported; new orders are claimed meanwhile."""
    outbox = open_outbox()
    known = {"cafe": connection(server.url)}
    with Processor(outbox, connections=from_mapping(known)) as processor:
        outbox.add(toy_order("ord-1"), connection="cafe")
        (claim,) = processor.claim(1)
        processor.handle(claim)
    server.always("GET /orders/o1", hang())
    with outbox.database.writing() as db:
        db.exec_driver_sql("UPDATE tillpost_orders SET poll_at = 1")
    with working(outbox, from_mapping(known)):
        assert server.hanging.wait(AGES)
        outbox.add(toy_order("ord-2"), connection="cafe")
        eventually(lambda: is_received(outbox, "ord-2"), within=AGES)
