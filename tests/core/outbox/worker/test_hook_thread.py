"""A hook of the worker's loop that never returns stops no order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator

import pytest

from core.outbox.corner_shop import connected, lunch
from core.outbox.stores import in_thread
from tillpost import Outbox, hookimpl
from tillpost.models.availability import Availability
from tillpost.models.order import Order
from tillpost.outbox import OrderState, OutboxSettings, Processor, Worker, from_mapping
from tillpost.outbox.event_log import HookCall
from tillpost.outbox.worker.hook_thread import HookThread
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator
from waiting import eventually


class Blocking:
    """Hooks that return once they are released."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.released = threading.Event()

    @hookimpl
    def order_escalated(self, order: Order) -> None:
        self.called.set()
        self.released.wait()

    @hookimpl
    def store_availability_changed(self, availability: Availability) -> None:
        self.called.set()
        self.released.wait()


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    hooks = Blocking()
    yield hooks
    hooks.released.set()


@pytest.mark.slow
def test_escalation_that_blocks_stops_no_other_order(
    sqlite_url: str, shop: Running[SquareSimulator], blocking: Blocking
) -> None:
    settings = OutboxSettings(escalate_after=0.1, first_wait=0.05)
    source = from_mapping({"cafe": connected(shop)})
    with (
        Outbox(sqlite_url, settings=settings) as outbox,
        Processor(outbox, connections=source, hooks=[blocking]) as processor,
        in_thread(Worker(processor)),
    ):
        outbox.add(lunch("in-error"), connection="nowhere")
        assert blocking.called.wait(60)
        outbox.add(lunch("ord-1"), connection="cafe")

        def arrived() -> bool:
            found = outbox.get("ord-1")
            return found is not None and found.state is OrderState.RECEIVED

        eventually(arrived)


def test_calls_beyond_the_queue_are_dropped_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tillpost.outbox.worker.hook_thread.MOST_WAITING", 2)
    released = threading.Event()
    called: list[str] = []

    def call(connection: str, hook_calls: Iterable[HookCall]) -> None:
        released.wait()
        called.extend(hook for hook, _ in hook_calls)

    thread = HookThread(call)
    with caplog.at_level(logging.ERROR):
        thread.call("cafe", [(name, {}) for name in ("one", "two", "three", "four")])
    assert "hooks_dropped connection=cafe hooks=four" in caplog.text
    released.set()
    thread.close(30)
    assert called == ["one", "two", "three"]


def test_calls_behind_a_blocked_one_are_dropped_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    released = threading.Event()

    def call(connection: str, hook_calls: Iterable[HookCall]) -> None:
        released.wait()

    thread = HookThread(call)
    thread.call("cafe", [("one", {}), ("two", {})])
    thread.close(0.05)
    released.set()
    assert "waiting_hooks_dropped" in caplog.text
