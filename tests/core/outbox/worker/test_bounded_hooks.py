"""A hook of an order that never returns holds up no other order, and is reported."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping

import pytest

from core.outbox.corner_shop import connected, lunch
from core.outbox.stores import in_thread
from tillpost import Outbox, hookimpl
from tillpost.models.order import Order
from tillpost.outbox import OrderState, OutboxSettings, Processor, Worker, from_mapping
from tillpost.outbox.worker import bounded_hooks
from tillpost.outbox.worker.bounded_hooks import BoundedHooks
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator
from waiting import eventually


class Blocking:
    """A hook that returns for the first order once it is released."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.released = threading.Event()

    @hookimpl
    def order_submitted(self, order: Order) -> None:
        if order.id == "ord-1":
            self.called.set()
            self.released.wait()


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    hooks = Blocking()
    yield hooks
    hooks.released.set()


def test_hook_that_blocks_holds_up_no_order_of_its_host(
    sqlite_url: str, shop: Running[SquareSimulator], blocking: Blocking
) -> None:
    """With one thread, one slow order would be the whole share of its host."""
    source = from_mapping({"cafe": connected(shop), "bar": connected(shop)})
    with (
        Outbox(sqlite_url, settings=OutboxSettings(threads=1)) as outbox,
        Processor(outbox, connections=source, hooks=[blocking]) as processor,
        in_thread(Worker(processor)),
    ):
        outbox.add(lunch("ord-1"), connection="cafe")
        assert blocking.called.wait(30)
        for order_id, connection in (("ord-2", "cafe"), ("ord-3", "bar")):
            outbox.add(lunch(order_id), connection=connection)

        def arrived() -> bool:
            found = [outbox.get(order_id) for order_id in ("ord-1", "ord-2", "ord-3")]
            return all(order and order.state is OrderState.RECEIVED for order in found)

        eventually(arrived)


def test_hook_that_blocks_is_reported_and_later_ones_are_called(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bounded_hooks, "PATIENCE", 0.05)
    released = threading.Event()
    called: list[str] = []

    def call(hook: str, facts: Mapping[str, object]) -> None:
        if hook == "blocks":
            released.wait()
        called.append(hook)

    hooks = BoundedHooks()
    hooks.call("cafe", [("blocks", {}), ("after it", {})], call)
    assert 'hooks_timed_out connection=cafe hooks="blocks,after it"' in caplog.text
    hooks.call("cafe", [("another order's", {})], call)
    eventually(lambda: called == ["another order's"])
    released.set()
    hooks.close(30)
    assert called == ["another order's", "blocks", "after it"]


def test_too_many_hooks_that_block_are_dropped_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection's share is a quarter; the hooks of another one are still called."""
    monkeypatch.setattr(bounded_hooks, "PATIENCE", 0.01)
    monkeypatch.setattr(bounded_hooks, "MOST_RUNNING", 8)
    released = threading.Event()
    called: list[str] = []
    hooks = BoundedHooks()
    for _ in range(2):
        hooks.call("cafe", [("blocks", {})], lambda _hook, _facts: released.wait())
    with caplog.at_level(logging.ERROR):
        hooks.call("cafe", [("third", {})], lambda hook, _: called.append(hook))
    assert "hooks_dropped connection=cafe hooks=third" in caplog.text
    monkeypatch.setattr(bounded_hooks, "PATIENCE", 30)
    hooks.call("bar", [("good", {})], lambda hook, _: called.append(hook))
    assert called == ["good"]
    released.set()
    hooks.close(30)
