"""What `Till` and `AsyncTill` share: a doubt's address, its look-ups' clock, nested calls."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from core.both import Kind, Work
from core.conftest import QUICK, Opening
from core.toy import toy_order
from core.toy_server import ToyServer, answer, hangup, refuse
from tillpost import AsyncTill, DoubtError, Order, OrderError, OutageError, Outcome, Policy, Till
from tillpost.adapter.base import Adapter, Attempt
from tillpost.adapter.exchange import Request
from tillpost.plugins.hookspecs import hookimpl
from tillpost.submission.context import Connection
from tillpost.submission.journal import Event, Intended, MemoryJournal, SubmissionRequested

NO_RETRY = Policy(retries=0)
PATIENT = Policy(first_wait=0.005, longest_wait=0.02)
HOUR = 3600.0

# A doubt has an address


def leave_doubt(opening: Opening, server: ToyServer, journal: MemoryJournal, keyed: bool) -> None:
    """Submit an order whose answer is lost."""
    server.on("POST /orders", hangup())
    first = opening(server.adapter(keyed=keyed), journal=journal, policy=NO_RETRY)
    with pytest.raises(OutageError):
        first.do(lambda till: till.submit(toy_order(), is_new=True))


CHANGES: list[tuple[str, Callable[[ToyServer], dict[str, str]]]] = [
    ("shop was shop-1 then and is shop-2 now", lambda _: {"shop": "shop-2"}),
    ("base_url was", lambda server: {"base_url": server.url.replace("127.0.0.1", "localhost")}),
]


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize(("text", "change"), CHANGES, ids=["shop", "host"])
def test_doubt_at_another_address_stops_until_set_back(
    opening: Opening,
    server: ToyServer,
    keyed: bool,
    text: str,
    change: Callable[[ToyServer], dict[str, str]],
) -> None:
    journal = MemoryJournal()
    leave_doubt(opening, server, journal, keyed)
    asked = len(server.seen)

    moved = opening(server.adapter(keyed=keyed, **change(server)), journal=journal, policy=QUICK)
    submit: Work = lambda till: till.submit(toy_order())  # noqa: E731
    find: Work = lambda till: till.find(toy_order())  # noqa: E731
    for work in (submit, find):
        with pytest.raises(DoubtError, match=text) as caught:
            moved.do(work)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert "Set the connection back" in caught.value.remedy.developer
    assert len(server.seen) == asked

    back = opening(server.adapter(keyed=keyed), journal=journal, policy=QUICK)
    assert back.submit(toy_order()).id == "o1"
    assert len(server.made("ord-1")) == 1


def test_refused_order_goes_to_the_new_address_under_its_key(
    opening: Opening, server: ToyServer
) -> None:
    journal = MemoryJournal()
    server.on("POST /orders", refuse("BAD_TIME", status=422))
    with pytest.raises(OrderError):
        opening(server.adapter(), journal=journal).submit(toy_order())
    moved = opening(server.adapter(shop="shop-2"), journal=journal)
    assert moved.submit(toy_order()).id == "o1"
    sent = [seen for seen in server.seen if seen.method == "POST"]
    assert [seen.headers["idempotency-key"] for seen in sent] == ["ord-1-0"] * 2


def test_order_is_not_cancelled_at_another_address(opening: Opening, server: ToyServer) -> None:
    journal = MemoryJournal()
    made = opening(server.adapter(), journal=journal).submit(toy_order())
    moved = opening(server.adapter(shop="shop-2"), journal=journal)
    with pytest.raises(DoubtError, match="shop was shop-1") as caught:
        moved.cancel(made)
    assert caught.value.outcome is Outcome.CREATED
    assert server.count("DELETE /orders") == 0
    assert moved.submit(toy_order()) == made


# The clock of the look-ups


class JumpingClock:
    """A clock that is set by an hour, forward or back, each time it is read."""

    def __init__(self, step: float) -> None:
        self._jumps = itertools.count()
        self._step = step

    def __call__(self) -> float:
        return time.time() + next(self._jumps) * self._step


class SimulatedSteady:
    """The steady clock of all connections. It stands still, but for waits that are skipped."""

    now = 1_000.0


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> SimulatedSteady:
    simulated = SimulatedSteady()
    monkeypatch.setattr(
        "tillpost.client.clock.time",
        SimpleNamespace(time=time.time, monotonic=lambda: simulated.now),
    )
    return simulated


def submit_on(
    kind: Kind,
    connection: Connection,
    journal: MemoryJournal,
    waits: list[float] | None = None,
) -> str:
    """Submit an order with a new Till, and return its id at the platform. Waits take no time."""
    slept = [] if waits is None else waits

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def tasks() -> str:
        async with AsyncTill(connection, journal=journal, sleep=sleep) as till:
            return (await till.submit(toy_order(), is_new=True)).id

    if kind == "async":
        return asyncio.run(tasks())
    with Till(connection, journal=journal, sleep=slept.append) as till:
        return till.submit(toy_order(), is_new=True).id


def keyless(server: ToyServer, *look_after: float) -> Adapter[Any]:
    adapter = server.adapter(keyed=False)
    adapter.look_after = look_after
    return adapter


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["set forward", "set back"])
def test_clock_that_is_set_neither_stretches_nor_skips_look_ups(
    kind: Kind, server: ToyServer, step: float, steady: SimulatedSteady
) -> None:
    server.on("POST /orders", hangup(effect=False))
    waits: list[float] = []
    connection = Connection(keyless(server, 5, 3, 4), policy=PATIENT, clock=JumpingClock(step))
    submit_on(kind, connection, MemoryJournal(), waits)
    assert server.count("GET /orders") == 3
    assert sum(waits) == pytest.approx(12)
    assert len(server.made("ord-1")) == 1


def test_till_begun_again_looks_up_by_the_whole_schedule(
    kind: Kind, server: ToyServer, steady: SimulatedSteady
) -> None:
    """The process was killed an hour ago, between the intent and the answer."""
    adapter = keyless(server, 5, 3, 4)
    connection = Connection(adapter, policy=PATIENT)
    journal, then = MemoryJournal(), time.time() - HOUR
    order = toy_order()
    journal.append("ord-1", SubmissionRequested(then, order.digest, is_new=True))
    intent = journal_of_a_create(connection, then)
    journal.append("ord-1", intent)
    waits: list[float] = []
    submit_on(kind, connection, journal, waits)
    assert server.count("GET /orders") == 3
    assert sum(waits) == pytest.approx(12)


def journal_of_a_create(connection: Connection, at: float) -> Intended:
    """Return the intent of a create that nobody knows the end of."""
    create = next(connection.adapter.submit(toy_order(), Attempt()))
    assert isinstance(create, Request)
    return Intended(at, create.effect, 0, None, create.digest, connection.address)


class SlowJournal(MemoryJournal):
    """A journal whose database is locked for ten seconds before each request."""

    def __init__(self, steady: SimulatedSteady) -> None:
        super().__init__()
        self._steady = steady

    def append(self, order_id: str, event: Event) -> None:
        super().append(order_id, event)
        if isinstance(event, Intended):
            self._steady.now += 10.0


def test_slow_journal_does_not_eat_the_schedule(
    kind: Kind, server: ToyServer, steady: SimulatedSteady
) -> None:
    server.on("POST /orders", hangup(effect=False))
    waits: list[float] = []
    connection = Connection(keyless(server, 5, 5), policy=PATIENT)
    submit_on(kind, connection, SlowJournal(steady), waits)
    assert server.count("GET /orders") == 2
    assert sum(waits) == pytest.approx(10)


def test_clock_that_differs_from_the_platforms_is_reported(
    opening: Opening, server: ToyServer, caplog: pytest.LogCaptureFixture
) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 2 * HOUR))
    server.always("GET /status", answer(200, {"open": True}, date=date))
    till = opening(server.adapter(), name="cafe-42")
    (store, clock) = till.check().findings
    assert store.ok
    assert (clock.what, clock.ok, bool(clock.stops)) == ("clock", False, False)
    assert clock.text.startswith("our clock is 2:00:0")
    assert "ahead of Toy's" in clock.text
    till.check()
    assert [text.partition(" seconds")[0] for text in caplog.messages] == [
        "clock_skew connection=cafe-42"
    ]


def test_clock_that_is_right_is_no_finding(opening: Opening, server: ToyServer) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    server.always("GET /status", answer(200, {"open": True}, date=date))
    assert len(opening(server.adapter()).check().findings) == 1


# Hooks that use the Till


class Nested:
    """A plugin that calls the Till from within its hook."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work
        self.till: Any = None
        self.errors: list[str] = []


class SyncNested(Nested):
    @hookimpl
    def order_submitted(self, order: Order) -> None:
        try:
            if order.id == "ord-1":
                self.work(self.till)
        except RuntimeError as error:
            self.errors.append(str(error))


class AsyncNested(Nested):
    @hookimpl
    async def order_submitted(self, order: Order) -> None:
        try:
            if order.id == "ord-1":
                await self.work(self.till)
        except RuntimeError as error:
            self.errors.append(str(error))


def nested(kind: Kind, opening: Opening, server: ToyServer, work: Callable[[Any], Any]) -> Nested:
    """Submit an order whose hook does something with the same Till."""
    plugin = SyncNested(work) if kind == "sync" else AsyncNested(work)
    till = opening(server.adapter(), hooks=[plugin], policy=QUICK)
    plugin.till = till.till
    assert till.submit(toy_order()).id == "o1"
    return plugin


def test_hook_that_submits_its_own_order_gets_an_error(
    kind: Kind, opening: Opening, server: ToyServer
) -> None:
    plugin = nested(kind, opening, server, lambda till: till.submit(toy_order()))
    (error,) = plugin.errors
    assert error.startswith("submitting or cancelling the order ord-1 is under way")
    assert len(server.made("ord-1")) == 1


def test_hook_may_submit_another_order(kind: Kind, opening: Opening, server: ToyServer) -> None:
    plugin = nested(kind, opening, server, lambda till: till.submit(toy_order("ord-2")))
    assert plugin.errors == []
    assert len(server.made("ord-2")) == 1


class Importer:
    """A plugin whose menu import asks the same Till for one."""

    def __init__(self) -> None:
        self.till: Any = None
        self.errors: list[str] = []

    @hookimpl
    def menu_imported(self) -> None:
        try:
            self.till.import_menu()
        except RuntimeError as error:
            self.errors.append(str(error))


def test_hook_that_imports_within_an_import_gets_an_error(server: ToyServer) -> None:
    plugin = Importer()
    with Till(Connection(server.adapter(), hooks=[plugin], policy=QUICK)) as till:
        plugin.till = till
        assert till.import_menu().menu
    assert len(plugin.errors) == 1
    assert plugin.errors[0].startswith("importing the menu is under way")
