"""Foreign code that hangs: its order is released, although the worker that holds it gets on."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from core.outbox.stores import work_off
from core.toy import Toy, ToySettings, toy_order
from core.toy_server import ToyServer
from tillpost import Limits, Order
from tillpost.adapter.base import Attempt, Credentials, Signed
from tillpost.adapter.exchange import Exchange, Request
from tillpost.models.order import PosOrder
from tillpost.outbox import (
    OrderState,
    Outbox,
    OutboxConnection,
    Processor,
    StoredOrder,
    from_mapping,
)
from tillpost.outbox.worker import processor as processing
from tillpost.outbox.worker import stuck_orders
from waiting import eventually

QUICK = Limits(answer=0.5)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stuck_orders, "PATIENCE", 0.1)
    monkeypatch.setattr(processing, "FAILURE_RETRY", 0.0)


class HangingToy(Toy):
    """A platform whose adapter hangs until it is let go."""

    def __init__(self, settings: ToySettings) -> None:
        super().__init__(settings)
        self.hangs = threading.Event()
        self.go_on = threading.Event()

    def hang(self) -> None:
        self.hangs.set()
        assert self.go_on.wait(120)


class HangsInSubmit(HangingToy):
    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        self.hang()
        return Toy.submit(self, order, attempt)


class HangsInSign(HangingToy):
    def sign(self, request: Request[object], credentials: Credentials) -> Signed:
        self.hang()
        return Toy.sign(self, request, credentials)


def stored(outbox: Outbox) -> StoredOrder:
    order = outbox.get("ord-1")
    assert order
    return order


@contextmanager
def hung(outbox: Outbox, adapter: HangingToy, limits: Limits = QUICK) -> Generator[Processor]:
    """Handle the due order with an adapter that hangs; at the end it goes on."""
    connections = from_mapping({"cafe": OutboxConnection(adapter, limits=limits)})
    with Processor(outbox, connections=connections) as processor:
        (claim,) = processor.claim(1)
        thread = threading.Thread(target=processor.handle, args=(claim,))
        thread.start()
        try:
            assert adapter.hangs.wait(120)
            yield processor
        finally:
            adapter.go_on.set()
            thread.join()


def release(outbox: Outbox, processor: Processor, until: OrderState) -> None:
    def is_released() -> bool:
        processor.release_stuck()
        return stored(outbox).state is until

    eventually(is_released)


@pytest.mark.parametrize("kind", [HangsInSubmit, HangsInSign])
def test_order_of_a_hung_thread_is_sent_once_by_another_worker(
    outbox: Outbox, server: ToyServer, kind: type[HangingToy]
) -> None:
    adapter = kind(server.adapter().config)
    outbox.add(toy_order("ord-1"), connection="cafe")
    good = from_mapping({"cafe": OutboxConnection(server.adapter())})
    with hung(outbox, adapter) as processor:
        release(outbox, processor, OrderState.DUE)
        with Processor(outbox, connections=good) as another:
            work_off(another)
        assert stored(outbox).state is OrderState.RECEIVED
        requests = len(server.seen)
    assert len(server.seen) == requests
    assert stored(outbox).state is OrderState.RECEIVED


def test_order_that_hangs_again_is_left_to_a_person(outbox: Outbox, server: ToyServer) -> None:
    outbox.add(toy_order("ord-1"), connection="cafe")
    settings = server.adapter().config
    with hung(outbox, HangsInSubmit(settings)) as processor:
        release(outbox, processor, OrderState.DUE)
        with hung(outbox, HangsInSubmit(settings)) as another:
            release(outbox, another, OrderState.ERROR)
    error = stored(outbox).error
    assert error
    assert "can't be processed" in error.detail


def test_order_that_makes_progress_is_not_released(outbox: Outbox, server: ToyServer) -> None:
    adapter = HangsInSubmit(server.adapter().config)
    adapter.go_on.set()
    outbox.add(toy_order("ord-1"), connection="cafe")
    with hung(outbox, adapter, Limits()) as processor:
        eventually(lambda: stored(outbox).state is OrderState.RECEIVED)
        processor.release_stuck()
    assert stored(outbox).state is OrderState.RECEIVED
