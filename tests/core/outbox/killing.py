"""A shop, an outbox over it on SQLite or PostgreSQL, and workers that can be stopped at each of their steps.

    life = Life(at=3)                                # ends before its step with the number 3
    site = Site(database, shop, life)                # one process: its outbox, its worker
    site.add(order); site.work()                     # raises Stopped at that step

A step is a moment at which a process can die so that it shows: before and after each transaction
that writes, before each request and after the platform has carried it out. Once it has ended, a
life writes and sends nothing more. Waits move the clock on, the shop's as well, instead of passing.
A plugin of the suite: see `conftest`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, event

from adapters.in_process import InProcess, Twist, untouched
from core.stand_in import BROKEN, Keyed, Platform, StandInSettings, refusal, success
from tillpost import Order, Policy
from tillpost.adapter.base import Adapter
from tillpost.adapter.exchange import Request, Response, nothing
from tillpost.client.base import Options
from tillpost.outbox import Connected, Outbox, OutboxSettings, Processor
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.db.database import Database
from tillpost.outbox.orders.claims import OrderClaims
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.simulator import Simulator


class Stopped(BaseException):
    """The process ended here."""


@dataclass
class Heartbeat:
    """A process's life: it ends at the step numbered `at`, or never. `steps` counts those that it has made."""

    at: int | None = None
    steps: int = 0
    over: bool = False
    names: list[str] = field(default_factory=list[str])

    def step(self, name: str) -> None:
        """Make a step, or end."""
        self.over = self.over or self.steps == self.at
        if self.over:
            raise Stopped(name)
        self.steps += 1
        self.names.append(name)


def unsynced(url: str) -> Database:
    """Return a database that doesn't wait for the disk: a process that ends takes nothing with it that was written."""
    database = Database(url)
    hurry = "PRAGMA synchronous = OFF" if database.is_sqlite else "SET synchronous_commit = off"

    def make_haste(connection: Any, _: object) -> None:
        connection.execute(hurry)
        connection.commit()

    event.listen(database.engine, "connect", make_haste)
    return database


class MortalDatabase(Database):
    """A database whose user may end before and after each transaction. It shares the connections of another one."""

    def __init__(self, database: Database, life: Heartbeat) -> None:
        vars(self).update(vars(database))
        self.life = life

    @contextmanager
    def writing(self) -> Generator[Connection]:
        self.life.step("before a write")
        with super().writing() as db:
            yield db
        self.life.step("after a write")


class MortalTransport(httpx.BaseTransport):
    """A way to a platform whose user may end before each request, and before its answer has come."""

    def __init__(self, inner: httpx.BaseTransport, life: Heartbeat) -> None:
        self._inner = inner
        self._life = life

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._life.step(f"before {request.method} {request.url.path}")
        answer = self._inner.handle_request(request)
        self._life.step(f"after {request.method} {request.url.path}")
        return answer


class Clock:
    """Tells epoch seconds; it can be set, and whoever goes along with it is told."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.along: list[Callable[[float], object]] = []

    def __call__(self) -> float:
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass, for all who go along."""
        self.ahead += seconds
        for advance in self.along:
            advance(seconds)


@dataclass
class Shop:
    """A platform in this process: what answers, how an adapter for it is made, and what the answers are twisted to."""

    answering: Callable[[], httpx.BaseTransport]
    adapter: Callable[[], Adapter[Any]]
    clock: Clock = field(default_factory=Clock)
    policy: Policy = field(default_factory=lambda: Policy(import_cooldown=0))
    settings: OutboxSettings = field(default_factory=lambda: OutboxSettings(lease=3600.0))

    def connected(self, life: Heartbeat) -> Connected:
        """Return the connection of one process."""
        client = httpx.Client(transport=MortalTransport(self.answering(), life), trust_env=False)
        return Connected(
            self.adapter(), Options(policy=self.policy, clock=self.clock), http_client=client
        )


def shop_of(
    simulator: Simulator, adapter: Callable[[], Adapter[Any]], twist: Twist = untouched, **more: Any
) -> Shop:
    """Return the shop that a simulator plays; its clock goes along with the shop's."""

    def twisted(
        request: httpx.Request, number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        if simulator.down():
            answer = simulator.failure(503)
            return httpx.Response(
                503, headers={"Content-Type": answer.content_type}, content=answer.body
            )
        return twist(request, number, carry_out)

    shop = Shop(lambda: InProcess(simulator, twisted), adapter, **more)
    shop.clock.along.append(lambda seconds: simulator.actions()["advance_clock"](seconds=seconds))
    return shop


class Site:
    """One process: an outbox and a worker for one connection of the shop, sharing a life.

    Its steps count from when it has taken up work and has buried all others.
    """

    def __init__(
        self,
        database: Database,
        shop: Shop,
        life: Heartbeat | None = None,
        connection: str = "cafe",
        hooks: Iterable[object] = (),
    ) -> None:
        life = life or Heartbeat()
        self.shop, self.connection, self.clock = shop, connection, shop.clock
        self.database = MortalDatabase(database, Heartbeat())
        self.outbox = Outbox("sqlite:///nowhere.db", settings=shop.settings)
        self.outbox.database = self.database
        self.outbox.workers = WorkerRegistry(self.database)
        self.outbox.connection_rows = ConnectionRows(self.database)
        self.outbox.claims = OrderClaims(
            self.database, self.outbox.workers, self.outbox.connection_rows, shop.settings
        )
        self.processor = Processor(
            self.outbox, connections=lambda _: shop.connected(life), clock=self.clock, hooks=hooks
        )
        self.processor.__enter__()
        self.bury_others()
        self.database.life = life

    def add(self, order: Order, **more: Any) -> None:
        """Hand an order over."""
        self.outbox.add(order, connection=self.connection, **more)

    def work(self, on_wait: Callable[[], object] = lambda: None) -> None:
        """Do all that falls due by itself, as time goes by. `on_wait` is called before each wait."""
        for _ in range(500):
            claims = self.processor.claim(16)
            for claim in claims:
                self.processor.handle(claim)
            if claims:
                continue
            due_at = self.processor.claims.next_due_by_connection().get(self.connection)
            if due_at is None:
                return
            on_wait()
            # One that is due already waits for its connection's circuit.
            self.clock.advance(wait if (wait := due_at - self.clock()) > 0 else 3.0)
        raise AssertionError("the order never comes to an end")

    def bury_others(self) -> int:
        """Take everybody else for dead, and return how many orders they had in hand."""
        workers, mine = self.processor.workers, self.processor._life.worker  # pyright: ignore[reportPrivateUsage]
        return sum(
            workers.reap(name, beat, self.clock())
            for name, beat in workers.beats().items()
            if name != mine
        )

    def end(self) -> None:
        """End: properly while alive; a dead process only gives back what it had of this machine."""
        try:
            self.processor.__exit__(None, None, None)
        except Stopped:
            self.processor.tills.close()


def every_step(run: Callable[[Heartbeat, int], None], most: int = 400) -> int:
    """Call `run` with a life that ends at step 0, then at step 1 and so on, up to one that ends by itself.

    Returns how many steps that is.
    """
    for number in itertools.count():
        life = Heartbeat(at=number)
        run(life, number)
        if not life.over:
            return number
        assert number < most
    raise AssertionError


def until_stopped(act: Callable[[], object], *then: Callable[[], object]) -> None:
    """Do one thing after the other, up to the end of the process."""
    try:
        for each in (act, *then):
            each()
    except Stopped:
        return


@dataclass
class Counter:
    """The platform in memory of `stand_in`, behind httpx.

    `down`: it answers 503; `tokens`: those that it honours; `instead`: what it answers first,
    having done nothing. `loses`: so many answers to what changes something get lost; `hides`: a
    search finds nothing yet."""

    platform: Platform = field(default_factory=Platform)
    tokens: set[str] = field(default_factory=lambda: {"token-0"})
    down: bool = False
    instead: list[Response] = field(default_factory=list[Response])
    loses: int = 0
    hides: bool = False
    requests: list[str] = field(default_factory=list[str])

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the platform does."""
        self.requests.append(f"{request.method} {request.url.path}")
        if self.instead:
            return _http(self.instead.pop(0))
        if self.down:
            return _http(BROKEN)
        if request.headers["Authorization"].removeprefix("Bearer ") not in self.tokens:
            return _http(refusal(401, "REVOKED"))
        if self.hides and request.url.path.startswith("/search/"):
            return _http(success({"orders": []}))
        answer = self.platform.answer(
            Request(request.method, request.url.path, nothing, request.read())
        )
        if self.loses and request.method == "POST":
            self.loses -= 1
            raise httpx.ReadTimeout("late")
        return _http(answer)

    def shop(self, kind: type[Keyed] = Keyed, *, token: str = "token-0", **more: Any) -> Shop:
        """Return the shop that this platform serves, as an adapter of that kind sees it."""
        adapter = lambda: kind(StandInSettings(access_token=SecretStr(token)))  # noqa: E731
        self.platform.needs_payment = kind.keyed
        return Shop(lambda: httpx.MockTransport(self.answer), adapter, **more)


def _http(answer: Response) -> httpx.Response:
    return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


def ready(url: str) -> Database:
    """Make a store ready, and return it."""
    with Outbox(url) as outbox:
        outbox.prepare()
    return unsynced(url)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty store in a SQLite file."""
    opened = ready(f"sqlite:///{tmp_path / 'orders.db'}")
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty store, once in a SQLite file and once in PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("database")
        return
    opened = ready(request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()
