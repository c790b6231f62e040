"""Workers in this process that can be crashed at each of their steps. A plugin of the test suite.

    life = Lifetime(at=3)               # ends before the step with the number 3
    site = Site(database, shop, life)   # one simulated process: its outbox and its worker
    site.add(order)
    site.work()                         # raises Stopped at that step

A step is a moment at which a crash makes a difference: before and after each transaction that
writes, before each request and after the platform has carried it out. After its end a process
writes and sends nothing. Waits advance the clock, the platform's too, instead of passing.
"""

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
from core.outbox.asking import Asking
from core.stand_in import BROKEN, Keyed, Platform, StandInSettings, refusal, success
from tillpost import Order, Policy
from tillpost.adapter.base import Adapter
from tillpost.adapter.exchange import Request, Response, nothing
from tillpost.outbox import Outbox, OutboxConnection, OutboxSettings, Processor
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.db.database import Database
from tillpost.outbox.orders.claims import OrderClaims
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.simulator import Simulator


class Stopped(KeyboardInterrupt):
    """The simulated process crashed here. Nothing in the product may take it for a failure."""


@dataclass
class Lifetime:
    """How long a simulated process lives: up to the step numbered `at`, or for ever.

    `steps` counts the steps so far.
    """

    at: int | None = None
    steps: int = 0
    over: bool = False
    names: list[str] = field(default_factory=list[str])

    def step(self, name: str) -> None:
        """Count a step, or crash."""
        self.over = self.over or self.steps == self.at
        if self.over:
            raise Stopped(name)
        self.steps += 1
        self.names.append(name)


def unsynced(url: str) -> Database:
    """Return a database that doesn't wait for the disk.

    A process that crashes loses nothing that it had written, only a machine would.
    """
    database = Database(url)
    setting = "PRAGMA synchronous = OFF" if database.is_sqlite else "SET synchronous_commit = off"

    def set_up(connection: Any, _: object) -> None:
        connection.execute(setting)
        connection.commit()

    event.listen(database.engine, "connect", set_up)
    return database


class MortalDatabase(Database):
    """A database whose process may crash before and after each transaction that writes.

    It shares the connections of another database.
    """

    def __init__(self, database: Database, life: Lifetime) -> None:
        vars(self).update(vars(database))
        self.life = life

    @contextmanager
    def writing(self) -> Generator[Connection]:
        self.life.step("before a write")
        with super().writing() as db:
            yield db
        self.life.step("after a write")


class MortalTransport(httpx.BaseTransport):
    """A transport whose process may crash before each request and before its answer."""

    def __init__(self, inner: httpx.BaseTransport, life: Lifetime) -> None:
        self._inner = inner
        self._life = life

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._life.step(f"before {request.method} {request.url.path}")
        answer = self._inner.handle_request(request)
        self._life.step(f"after {request.method} {request.url.path}")
        return answer


class Clock:
    """A clock that can be set, with other clocks that advance with it."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.followers: list[Callable[[float], object]] = []

    def __call__(self) -> float:
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass, on the followers too."""
        self.ahead += seconds
        for advance in self.followers:
            advance(seconds)


class StillClock(Clock):
    """A clock on which time passes only when it is advanced, so that steps take none."""

    def __init__(self) -> None:
        super().__init__()
        self._now = time.time()

    def __call__(self) -> float:
        return self._now + self.ahead


@dataclass
class Shop:
    """A platform in this process: its transport, and how an adapter for it is made."""

    answering: Callable[[], httpx.BaseTransport]
    adapter: Callable[[], Adapter[Any]]
    clock: Clock = field(default_factory=Clock)
    policy: Policy = field(default_factory=lambda: Policy(import_cooldown=0))
    settings: OutboxSettings = field(default_factory=lambda: OutboxSettings(lease=3600.0))

    def connected(self, life: Lifetime) -> OutboxConnection:
        """Return the connection as one process has it."""
        client = httpx.Client(transport=MortalTransport(self.answering(), life), trust_env=False)
        return OutboxConnection(
            self.adapter(), policy=self.policy, clock=self.clock, http_client=client
        )


def shop_of(
    simulator: Simulator, adapter: Callable[[], Adapter[Any]], twist: Twist = untouched, **more: Any
) -> Shop:
    """Return a shop with a simulator, whose clock follows the shop's."""

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
    shop.clock.followers.append(
        lambda seconds: simulator.actions()["advance_clock"](seconds=seconds)
    )
    return shop


class Site:
    """One simulated process: an outbox, and a worker for one connection of the shop.

    Its steps count from when it has enlisted and reaped all other workers.
    """

    def __init__(
        self,
        database: Database,
        shop: Shop,
        life: Lifetime | None = None,
        connection: str = "cafe",
        hooks: Iterable[object] = (),
    ) -> None:
        life = life or Lifetime()
        self.shop, self.connection, self.clock = shop, connection, shop.clock
        self.database = MortalDatabase(database, Lifetime())
        self.outbox = Outbox("sqlite:///nowhere.db", settings=shop.settings)
        self.outbox.database = self.database
        self.outbox.workers = WorkerRegistry(self.database)
        self.outbox.connection_rows = ConnectionRows(self.database)
        self.outbox.claims = OrderClaims(
            self.database, self.outbox.workers, self.outbox.connection_rows, shop.settings
        )
        self.processor = Processor(
            self.outbox,
            connections=Asking(lambda _: shop.connected(life)),
            clock=self.clock,
            hooks=hooks,
        )
        self.processor.__enter__()
        self.reap_others()
        self.database.life = life

    def add(self, order: Order, **more: Any) -> None:
        """Add an order to the outbox."""
        self.outbox.add(order, connection=self.connection, **more)

    def work(self, on_wait: Callable[[], object] = lambda: None) -> None:
        """Process everything that becomes due. `on_wait` is called before each wait."""
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
            wait = due_at - self.clock()
            # An order that is due already waits for its connection's circuit.
            self.clock.advance(wait if wait > 0 else 3.0)
        raise AssertionError("the orders are never finished")

    def reap_others(self) -> int:
        """Reap all other workers, and return how many orders were released."""
        workers = self.processor.workers
        own_id = self.processor._heartbeat.worker  # pyright: ignore[reportPrivateUsage]
        return sum(
            workers.reap(name, beat, self.clock())
            for name, beat in workers.beats().items()
            if name != own_id
        )

    def end(self) -> None:
        """Close properly, or after a crash only release what this machine lent."""
        try:
            self.processor.__exit__(None, None, None)
        except Stopped:
            self.processor.connections.close()


def every_step(run: Callable[[Lifetime, int], None], most: int = 400) -> int:
    """Call `run` with a lifetime that ends at step 0, then 1 and so on, until one suffices.

    Returns:
        How many steps that is.
    """
    for number in itertools.count():
        life = Lifetime(at=number)
        run(life, number)
        if not life.over:
            return number
        assert number < most
    raise AssertionError


def until_stopped(act: Callable[[], object], *then: Callable[[], object]) -> None:
    """Do one thing after the other, until the process crashes."""
    try:
        for each in (act, *then):
            each()
    except Stopped:
        return


@dataclass
class Counter:
    """The platform in memory of `stand_in`, behind httpx.

    Attributes:
        tokens: The tokens that it accepts.
        down: It answers 503.
        instead: Answers to give first, without doing anything.
        loses: How many answers to a POST are lost.
        hides: A search finds nothing yet.
    """

    platform: Platform = field(default_factory=Platform)
    tokens: set[str] = field(default_factory=lambda: {"token-0"})
    down: bool = False
    instead: list[Response] = field(default_factory=list[Response])
    loses: int = 0
    hides: bool = False
    requests: list[str] = field(default_factory=list[str])

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Return the platform's answer."""
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
        """Return a shop with this platform, for an adapter of that kind."""
        adapter = lambda: kind(StandInSettings(access_token=SecretStr(token)))  # noqa: E731
        self.platform.needs_payment = kind.keyed
        return Shop(lambda: httpx.MockTransport(self.answer), adapter, **more)


def _http(answer: Response) -> httpx.Response:
    return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


def ready(url: str) -> Database:
    """Create the tables of a database, and return it."""
    with Outbox(url) as outbox:
        outbox.prepare()
    return unsynced(url)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    opened = ready(f"sqlite:///{tmp_path / 'orders.db'}")
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database, once SQLite and once PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("database")
        return
    opened = ready(request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()
