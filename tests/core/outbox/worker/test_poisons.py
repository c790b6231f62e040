"""Foreign code that raises anything: the order ends visibly, and the worker goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from core.outbox.asking import Asking
from core.outbox.stores import Heard, Opening, in_thread, work_off
from core.poison_plugin import Poison
from core.toy import Toy, ToySettings, toy_order
from core.toy_server import ToyServer
from tillpost import Order, hookimpl
from tillpost.adapter.base import Attempt, Credentials, Signed
from tillpost.adapter.exchange import Exchange, Request
from tillpost.models.order import PosOrder
from tillpost.outbox import (
    OrderState,
    Outbox,
    OutboxConnection,
    Processor,
    Worker,
    from_mapping,
)
from tillpost.outbox.delivery import open_connections
from waiting import eventually


class Strange(BaseException):
    """Not an `Exception`."""


POISONS = [SystemExit, GeneratorExit, KeyboardInterrupt, Strange, RuntimeError]


class PoisonOfOutbox(Poison):
    """Raises in the event of a menu error as well."""

    @hookimpl
    def menu_error(self) -> None:
        raise self.failure


class PoisonToy(Toy):
    """A platform whose adapter raises."""

    failure: type[BaseException]

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        raise self.failure


class UnsignedToy(PoisonToy):
    """A platform whose adapter raises when it signs."""

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        return Toy.submit(self, order, attempt)

    def sign(self, request: Request[object], credentials: Credentials) -> Signed:
        raise self.failure


def poisonous(
    kind: type[PoisonToy], server: ToyServer, failure: type[BaseException]
) -> OutboxConnection:
    poisoned = type("Poisoned", (kind,), {"failure": failure})
    return OutboxConnection(poisoned(ToySettings(base_url=server.url)))


@contextmanager
def working(outbox: Outbox, *hooks: object, **connections: OutboxConnection) -> Generator[None]:
    """Run a worker in threads of its own."""
    with (
        Processor(outbox, connections=from_mapping(connections), hooks=hooks) as processor,
        in_thread(Worker(processor)),
    ):
        yield


def state(outbox: Outbox, order_id: str) -> OrderState:
    stored = outbox.get(order_id)
    assert stored
    return stored.state


@pytest.mark.parametrize("failure", POISONS)
def test_poisonous_code_stops_only_its_own_orders(
    outbox: Outbox, server: ToyServer, failure: type[BaseException]
) -> None:
    heard = Heard()
    orders = {"ord-hook": "cafe", "ord-adapter": "adapter", "ord-sign": "sign", "ord-good": "good"}
    for order_id, connection in orders.items():
        outbox.add(toy_order(order_id), connection=connection)
    with working(
        outbox,
        heard,
        PoisonOfOutbox(failure),
        cafe=OutboxConnection(server.adapter()),
        adapter=poisonous(PoisonToy, server, failure),
        sign=poisonous(UnsignedToy, server, failure),
        good=OutboxConnection(server.adapter()),
    ):
        eventually(lambda: state(outbox, "ord-adapter") is OrderState.ERROR)
        eventually(lambda: state(outbox, "ord-hook") is OrderState.RECEIVED)
        eventually(lambda: state(outbox, "ord-good") is OrderState.RECEIVED)
        eventually(lambda: state(outbox, "ord-sign") is OrderState.DUE)
    assert [facts["order"].id for facts in heard.named("order_failed")] == ["ord-adapter"]


@pytest.mark.parametrize("failure", POISONS)
def test_source_that_raises_leaves_a_visible_error(
    outbox: Outbox,
    server: ToyServer,
    failure: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order waits for the source at first, then for a person."""
    ahead = 0.0
    good = OutboxConnection(server.adapter())

    def source(name: str) -> OutboxConnection:
        if name == "good":
            return good
        raise failure if failure is not KeyboardInterrupt else SystemExit

    outbox.add(toy_order("ord-1"), connection="broken")
    outbox.add(toy_order("ord-2"), connection="good")
    clock = lambda: time.time() + ahead  # noqa: E731
    with Processor(outbox, connections=Asking(source), clock=clock) as processor:
        work_off(processor)
        assert state(outbox, "ord-1") is OrderState.DUE
        assert state(outbox, "ord-2") is OrderState.RECEIVED
        stored = outbox.get("ord-1")
        assert stored
        assert stored.error
        assert "the connection broken can't be read now" in stored.error.detail
        monkeypatch.setattr(open_connections, "FILE_PATIENCE", 0.0)
        ahead = 60.0
        work_off(processor)
    assert state(outbox, "ord-1") is OrderState.ERROR


class PoisonCredentials:
    """An embedder's source of credentials, which raises."""

    def __init__(self, failure: type[BaseException]) -> None:
        self.failure = failure

    @property
    def current(self) -> Credentials:
        raise self.failure

    def refresh(self, expired: Credentials, ask: Callable[[], Credentials]) -> bool:
        raise self.failure


def test_order_that_breaks_down_each_time_is_left_to_a_person(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox = open_outbox(threads=4)
    ahead = [0.0]
    heard = Heard()
    broken = OutboxConnection(server.adapter(), credentials=PoisonCredentials(SystemExit))
    sources = {"broken": broken, "good": OutboxConnection(server.adapter())}
    outbox.add(toy_order("ord-1"), connection="broken")
    with Processor(
        outbox,
        connections=from_mapping(sources),
        hooks=[heard],
        clock=lambda: time.time() + ahead[0],
    ) as processor:
        for number in range(5):
            outbox.add(toy_order(f"good-{number}"), connection="good")
            work_off(processor)
            assert state(outbox, f"good-{number}") is OrderState.RECEIVED
            stored = outbox.get("ord-1")
            assert stored
            assert stored.worker is None
            ahead[0] += 60.0
    stored = outbox.get("ord-1")
    assert stored
    assert stored.state is OrderState.ERROR
    assert stored.error
    assert "can't be processed" in stored.error.detail
    assert len(heard.named("order_failed")) == 1


def test_interrupted_processing_releases_its_order(outbox: Outbox, server: ToyServer) -> None:
    interrupting = PoisonCredentials(KeyboardInterrupt)
    connection = OutboxConnection(server.adapter(), credentials=interrupting)
    outbox.add(toy_order(), connection="cafe")
    with Processor(outbox, connections=from_mapping({"cafe": connection})) as processor:
        (claim,) = processor.claim(1)
        with pytest.raises(KeyboardInterrupt):
            processor.handle(claim)
        stored = outbox.get("ord-1")
        assert stored
        assert (stored.worker, stored.state, stored.crash_count) == (None, OrderState.DUE, 0)
