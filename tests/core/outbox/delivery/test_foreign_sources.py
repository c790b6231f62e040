"""A source of connections that hangs, fails or answers nonsense stops nothing but its stores."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import pytest

from core.outbox.corner_shop import lunch
from core.outbox.stores import in_thread, work_off
from tillpost import ConfigError, Outbox
from tillpost.adapter.settings import Credentials
from tillpost.errors import UnreadableConfigError
from tillpost.outbox import (
    DatabaseError,
    OrderState,
    OutboxConnection,
    Processor,
    StoredOrder,
    WaitsFor,
    Worker,
    from_mapping,
)
from tillpost.outbox.delivery import open_connections
from tillpost.outbox.operations.diagnosis import diagnose_order
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.outbox.worker import maintenance
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator
from waiting import eventually


class Stores:
    """A company's source, whose store `odd` behaves as a test says."""

    def __init__(self, shop: Running[SquareSimulator]) -> None:
        self._shop = shop
        self.odd: Callable[[], object] = self.well
        self.listed: Callable[[], object] = lambda: ["odd", "cafe"]
        self.threads: set[str] = set()

    def well(self) -> OutboxConnection:
        return OutboxConnection.of("square", self._shop.settings)

    def get(self, name: str) -> Any:
        self.threads.add(threading.current_thread().name)
        return self.odd() if name.startswith("odd") else self.well()

    def names(self) -> Any:
        self.threads.add(threading.current_thread().name)
        return self.listed()

    def save(self, name: str, tokens: Credentials) -> None:
        raise NotImplementedError


class Markers(Stores):
    """The same, with a method `mark` that behaves so, too."""

    def __init__(self, shop: Running[SquareSimulator]) -> None:
        super().__init__(shop)
        self.marked: Callable[[], object] = lambda: 1

    def mark(self, name: str, *, now: bool = False) -> object:
        del now
        return self.marked() if name.startswith("odd") else 1


@pytest.fixture
def stores(shop: Running[SquareSimulator]) -> Stores:
    return Stores(shop)


@pytest.fixture
def processor(shop_outbox: Outbox, stores: Stores) -> Iterator[Processor]:
    with Processor(shop_outbox, connections=stores) as processor:
        yield processor


@pytest.fixture
def hanging() -> Iterator[Callable[[], object]]:
    """Hangs until the test ends."""
    ended = threading.Event()
    yield ended.wait
    ended.set()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "PATIENCE", 0.3)


def stored(outbox: Outbox, order_id: str) -> StoredOrder:
    found = outbox.get(order_id)
    assert found
    return found


def detail(outbox: Outbox, order_id: str) -> str:
    error = stored(outbox, order_id).error
    return error.detail if error else ""


def is_received(outbox: Outbox, order_id: str) -> bool:
    return stored(outbox, order_id).state is OrderState.RECEIVED


def make_due(outbox: Outbox) -> None:
    with outbox.database.writing() as db:
        db.exec_driver_sql("UPDATE tillpost_orders SET due_at = 1 WHERE due_at IS NOT NULL")


def raising(failure: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise failure

    return fail


# ---------------------------------------------------------------------- hangs


@pytest.mark.parametrize("number", [1, 50])
def test_store_whose_get_hangs_holds_up_no_other(
    shop_outbox: Outbox,
    stores: Stores,
    processor: Processor,
    hanging: Callable[[], object],
    number: int,
) -> None:
    """Its orders come first, and there are more of such stores than a worker has threads."""
    stores.odd = hanging
    for each in range(number):
        shop_outbox.add(lunch(f"odd-{each}"), connection=f"odd-{each}")
    shop_outbox.add(lunch("ord-1"), connection="cafe")
    began_at = time.monotonic()
    with in_thread(Worker(processor)):
        eventually(lambda: is_received(shop_outbox, "ord-1"))
        assert time.monotonic() - began_at < open_connections.PATIENCE


@pytest.mark.usefixtures("impatient")
def test_store_whose_get_hangs_counts_as_unreadable(
    shop_outbox: Outbox,
    stores: Stores,
    processor: Processor,
    hanging: Callable[[], object],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores.odd = hanging
    shop_outbox.add(lunch("ord-1"), connection="odd-alone")
    with in_thread(Worker(processor)):
        eventually(lambda: detail(shop_outbox, "ord-1"))
    assert stored(shop_outbox, "ord-1").waits_for is WaitsFor.RETRY
    text = "the connection odd-alone can't be read now: get hasn't returned for 0.3 s"
    assert detail(shop_outbox, "ord-1") == text
    # Threads of tests before may log of their own stores.
    failures = [line for line in caplog.messages if "connection=odd-alone " in line]
    assert failures == [f'connection_source_failed method=get connection=odd-alone error="{text}"']

    monkeypatch.setattr(open_connections, "FILE_PATIENCE", 0.0)
    make_due(shop_outbox)
    work_off(processor)
    assert stored(shop_outbox, "ord-1").state is OrderState.ERROR


@pytest.mark.usefixtures("impatient")
def test_late_answer_of_a_slow_get_is_used(
    shop_outbox: Outbox, stores: Stores, processor: Processor
) -> None:
    """A `get` that always takes longer than the worker waits still delivers its orders."""

    def slow() -> OutboxConnection:
        time.sleep(1.0)
        return stores.well()

    stores.odd = slow
    shop_outbox.add(lunch("ord-1"), connection="odd")
    with in_thread(Worker(processor)):
        for _ in range(100):
            make_due(shop_outbox)
            time.sleep(0.2)
            if is_received(shop_outbox, "ord-1"):
                break
    assert is_received(shop_outbox, "ord-1")


@pytest.mark.usefixtures("impatient")
def test_open_connection_is_kept_while_get_hangs(
    stores: Stores,
    processor: Processor,
    hanging: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_connections, "CHECK_INTERVAL", 0.0)
    opened = processor.connections["odd"]
    stores.odd = hanging
    assert processor.connections["odd"] is opened


@pytest.mark.parametrize("method", ["names", "mark", "paused"])
def test_worker_goes_on_while_another_method_hangs(
    shop_outbox: Outbox,
    shop: Running[SquareSimulator],
    hanging: Callable[[], object],
    method: str,
) -> None:
    """`paused`: the worker looks whether a paused store was reconnected."""
    source = Markers(shop)
    if method == "names":
        source.listed = hanging
    elif method == "mark":
        source.marked = hanging
    else:
        source.odd = hanging
    with Processor(shop_outbox, connections=source) as processor:
        if method == "paused":
            with shop_outbox.database.writing() as db:
                processor.connection_rows.add(db, ["odd"])
                db.exec_driver_sql("UPDATE tillpost_connections SET paused = 'x', paused_at = 1")
        else:
            shop_outbox.add(lunch("odd-1"), connection="odd")
        began_at = time.monotonic()
        with in_thread(Worker(processor)):
            for number in range(3):
                order_id = f"ord-{number}"
                shop_outbox.add(lunch(order_id), connection="cafe")
                eventually(partial(is_received, shop_outbox, order_id))
            assert time.monotonic() - began_at < open_connections.PATIENCE


def test_loop_asks_a_source_for_nothing_itself(
    shop_outbox: Outbox, stores: Stores, processor: Processor
) -> None:
    shop_outbox.add(lunch("ord-1"), connection="cafe")
    worker = Worker(processor)
    thread = threading.Thread(target=worker.run, name="the loop")
    thread.start()
    eventually(lambda: is_received(shop_outbox, "ord-1"))
    worker.stop()
    thread.join()
    assert stores.threads
    assert "the loop" not in stores.threads


# ---------------------------------------------------------------------- raises


@pytest.mark.parametrize(
    "failure",
    [
        OSError("could not connect to server"),
        DatabaseError("the company's table is locked"),
        SystemExit(),
        StopIteration(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_source_that_is_down_at_first_delays_its_orders(
    shop_outbox: Outbox,
    stores: Stores,
    processor: Processor,
    caplog: pytest.LogCaptureFixture,
    failure: BaseException,
) -> None:
    stores.odd = raising(failure)
    shop_outbox.add(lunch("odd-1"), connection="odd")
    shop_outbox.add(lunch("ord-1"), connection="cafe")
    work_off(processor)
    for _ in range(3):
        make_due(shop_outbox)
        work_off(processor)
    assert is_received(shop_outbox, "ord-1")
    waiting = stored(shop_outbox, "odd-1")
    assert (waiting.state, waiting.waits_for) == (OrderState.DUE, WaitsFor.RETRY)
    kind = type(failure).__name__
    assert detail(shop_outbox, "odd-1") == (
        f"the connection odd can't be read now: get raised {kind}"
    )
    failures = [
        record
        for record in caplog.records
        if record.getMessage().startswith("connection_source_failed ")
    ]
    assert len(failures) == 1
    assert failures[0].exc_info
    assert failures[0].levelno == logging.WARNING

    stores.odd = stores.well
    make_due(shop_outbox)
    work_off(processor)
    assert is_received(shop_outbox, "odd-1")


def test_patience_with_a_store_is_its_own(
    shop_outbox: Outbox,
    stores: Stores,
    processor: Processor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That another store can be read doesn't begin the five minutes again."""
    stores.odd = raising(OSError())
    shop_outbox.add(lunch("odd-1"), connection="odd")
    work_off(processor)
    assert processor.connections["cafe"]
    monkeypatch.setattr(open_connections, "FILE_PATIENCE", 0.0)
    make_due(shop_outbox)
    work_off(processor)
    assert stored(shop_outbox, "odd-1").state is OrderState.ERROR


def test_outage_of_a_source_is_logged_once_for_each_store(
    stores: Stores, processor: Processor, caplog: pytest.LogCaptureFixture
) -> None:
    stores.odd = raising(OSError("down"))
    for name in ("odd-1", "odd-2", "odd-1"):
        with pytest.raises(UnreadableConfigError):
            processor.connections[name]
    records = [each for each in caplog.records if "connection_source_failed" in each.message]
    assert [bool(each.exc_info) for each in records] == [True, False]

    stores.odd = stores.well
    assert processor.connections["odd-1"]
    assert processor.connections["odd-2"]
    stores.odd = raising(OSError("down again"))
    with pytest.raises(UnreadableConfigError):
        processor.connections["odd-3"]
    assert "down again" in caplog.text


@pytest.mark.parametrize(
    "listed",
    [
        raising(OSError("down")),
        lambda: None,
        lambda: "cafe",
        lambda: ["cafe", 7, "odd"],
        lambda: ["x" * 500, "odd", "cafe"],
    ],
    ids=["raises", "None", "text", "number", "long"],
)
def test_names_that_fail_are_logged_once_and_known_stores_stay(
    stores: Stores,
    processor: Processor,
    caplog: pytest.LogCaptureFixture,
    listed: Callable[[], object],
) -> None:
    assert set(processor.connections.names()) == {"odd", "cafe"}
    stores.listed = listed
    for _ in range(2):
        assert set(processor.connections.names()) == {"odd", "cafe"}
    failures = [line for line in caplog.messages if line.startswith("connection_source_failed ")]
    assert len(failures) == 1
    assert failures[0].startswith("connection_source_failed method=names ")


# ---------------------------------------------------------------------- answers nonsense


async def _coroutine() -> None: ...


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: None, "NoneType"),
        (lambda: {"platform": "square"}, "dict"),
        (lambda: OutboxConnection, "type"),
        (_coroutine, "coroutine"),
    ],
    ids=["None", "dict", "class", "coroutine"],
)
def test_wrong_answer_of_get_is_named(
    shop_outbox: Outbox,
    stores: Stores,
    processor: Processor,
    answer: Callable[[], object],
    kind: str,
) -> None:
    stores.odd = answer
    shop_outbox.add(lunch("odd-1"), connection="odd")
    work_off(processor)
    assert stored(shop_outbox, "odd-1").state is OrderState.ERROR
    assert detail(shop_outbox, "odd-1") == (
        f"the connection odd: get must return an OutboxConnection, not {kind}"
    )


class OnlyGets:
    def get(self, name: str) -> OutboxConnection:
        raise NotImplementedError(name)


class Asynchronous:
    async def get(self, name: str) -> OutboxConnection:
        raise NotImplementedError(name)

    async def names(self) -> Collection[str]:
        raise NotImplementedError

    def save(self, name: str, tokens: Credentials) -> None:
        raise NotImplementedError


WRONG: list[tuple[object, str]] = [
    (OnlyGets(), "it has no names and no save"),
    (Stores, "it is the class Stores; pass an instance of it"),
    (Asynchronous(), "its get and names are async; it is called from threads"),
    ({"cafe": {}}, "it has no names and no save; from_mapping(...) makes one of a dict"),
    ({}, "it has no names and no save; from_mapping(...) makes one of a dict"),
    ("stores.db", "it has no get and no names and no save"),
]


@pytest.mark.parametrize(("source", "text"), WRONG, ids=lambda value: type(value).__name__)
def test_what_is_no_source_is_refused_at_once(shop_outbox: Outbox, source: Any, text: str) -> None:
    uses: list[Callable[..., object]] = [
        partial(Processor, shop_outbox),
        shop_outbox.receiver,
        partial(OrderOperations, shop_outbox, "Mia"),
        partial(diagnose_order, shop_outbox, "ord-1"),
    ]
    for use in uses:
        with pytest.raises(TypeError) as refused:
            use(connections=source)
        assert str(refused.value) == f"connections isn't a ConnectionSource: {text}"


def test_worker_and_processor_say_what_they_take(shop_outbox: Outbox) -> None:
    url: Any = "sqlite:///orders.db"
    given: Any = shop_outbox
    with pytest.raises(TypeError, match=r"^outbox must be an Outbox, not str$"):
        Processor(url)
    for made in (Worker, maintenance.Maintenance):
        with pytest.raises(TypeError, match=r"^processor must be a Processor, not Outbox$"):
            made(given)


def test_source_of_a_mapping_takes_connections_alone() -> None:
    wrong: Any = {"cafe": {"platform": "square"}}
    text = r"^connections\['cafe'\] must be an OutboxConnection, not dict$"
    with pytest.raises(TypeError, match=text):
        from_mapping(wrong)


def test_order_is_new_or_not(shop_outbox: Outbox) -> None:
    text: Any = "yes"
    with pytest.raises(TypeError, match=r"^is_new must be a bool, not str$"):
        shop_outbox.add(lunch("ord-1"), connection="cafe", is_new=text)


def test_diagnosis_does_without_a_source_that_fails(shop_outbox: Outbox, stores: Stores) -> None:
    stores.odd = raising(OSError("down"))
    shop_outbox.add(lunch("odd-1"), connection="odd")
    assert diagnose_order(shop_outbox, "odd-1", connections=stores, live=False).hop


def test_config_error_of_a_source_is_its_own(
    shop_outbox: Outbox, stores: Stores, processor: Processor
) -> None:
    stores.odd = raising(ConfigError("we have no such store"))
    shop_outbox.add(lunch("odd-1"), connection="odd")
    work_off(processor)
    assert stored(shop_outbox, "odd-1").state is OrderState.ERROR
    assert detail(shop_outbox, "odd-1") == "we have no such store"
