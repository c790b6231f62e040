"""The processes of a scenario, which run the outbox's real code: workers, a web app, people.

`SimulatedDatabase` is the outbox's own `Database` over a real SQLite, with a switch point before
and after each transaction. A transaction itself is never interrupted by another process:
SQLite lets one write at a time.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import Connection, StaticPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from simulation.clocks import Stage
from simulation.schedule import Process
from simulation.sql import DirectConnection
from simulation.stores import Delivery, Store
from tillpost import hookimpl
from tillpost.adapter.settings import Credentials
from tillpost.adapter.webhooks import WebhookError
from tillpost.errors import ConfigError, PosError
from tillpost.models.order import Order
from tillpost.outbox import Outbox, OutboxConnection, Processor
from tillpost.outbox.db.clock import MachineClock
from tillpost.outbox.db.database import Database, _set_up_sqlite, translated_errors
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.operations.orders import ActError, OrderOperations
from tillpost.outbox.orders.claims import Claim, LeaseLostError
from tillpost.outbox.settings import OutboxSettings
from tillpost.outbox.thread_pool import DaemonThreadPool
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.worker import Worker as OutboxWorker
from tillpost.transport.http import Limits

if TYPE_CHECKING:
    from simulation.scenario import Scenario

THREADS = 3
"""How many orders a worker handles at once."""

LONGEST_IDLE = 30.0
"""For how long a worker sleeps at most, in seconds, when it knows that nothing is due."""

LIMITS = Limits(connect=5.0, read=15.0, answer=30.0)


class SimulatedDatabase(Database):
    """The outbox's database as one process sees it. All share one connection to SQLite."""

    def __init__(self, shared: SharedDatabase, scenario: Scenario) -> None:
        self.engine = shared.engine
        self.is_sqlite = True
        self.clock = MachineClock()
        self._shared = shared
        self._scenario = scenario

    def writing(self) -> AbstractContextManager[Connection]:  # type: ignore[override]
        return _Transaction(self._shared, self._scenario, "BEGIN IMMEDIATE")

    def reading(self) -> AbstractContextManager[Connection]:  # type: ignore[override]
        return _Transaction(self._shared, self._scenario, "BEGIN")

    def close(self) -> None:
        """Leave the database open: it belongs to all."""


class _Transaction:
    """A transaction of one process. A class opens in half of a generator's time."""

    __slots__ = ("_begin", "_scenario", "_shared")

    def __init__(self, shared: SharedDatabase, scenario: Scenario, begin: str) -> None:
        self._shared = shared
        self._scenario = scenario
        self._begin = begin

    def __enter__(self) -> Connection:
        self._scenario.before_transaction()
        return self._shared.begin(self._begin)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shared.end(failure)
        if failure is None and self._begin == "BEGIN IMMEDIATE":
            self._scenario.after_transaction()


class SharedDatabase:
    """A SQLite database in memory, with the outbox's tables.

    Attributes:
        engine: SQLAlchemy's engine. It runs the statements unless `is_direct`.
        driver: The connection.
    """

    def __init__(self, template: Database, *, is_direct: bool = True) -> None:
        """Copy a database that is ready."""
        self.driver = sqlite3.connect(":memory:", cached_statements=1000, check_same_thread=False)
        with template.reading() as connection:
            source: Any = connection.connection.driver_connection
            source.backup(self.driver)
        _set_up_sqlite(self.driver, None)
        if is_direct:
            self.driver.text_factory = str  # no scenario damages a text, and this reads it faster
        self.engine = create_engine(
            "sqlite://", creator=lambda: self.driver, poolclass=StaticPool, hide_parameters=True
        )
        self._direct: Any = DirectConnection(self.engine, self.driver) if is_direct else None
        self._connection: Connection | None = None

    def begin(self, command: str) -> Connection:
        """Begin a transaction. It ends before any other process goes on.

        So a reader needs none: nothing changes what it reads.
        """
        direct: Connection | None = self._direct
        if direct is not None and command == "BEGIN":
            return direct
        try:
            self.driver.execute(command)
            if direct is not None:
                return direct
            self._connection = self.engine.connect()
        except (sqlite3.Error, SQLAlchemyError):
            with translated_errors():
                raise
        return self._connection

    def end(self, failure: BaseException | None) -> None:
        """End the transaction: commit it, or roll it back because of a failure."""
        try:
            if self._connection:
                self._close(self._connection, failure)
            if self.driver.in_transaction:
                self.driver.execute("ROLLBACK" if failure else "COMMIT")
            if isinstance(failure, sqlite3.Error | SQLAlchemyError):
                raise failure
        except (sqlite3.Error, SQLAlchemyError):
            with translated_errors():
                raise

    def _close(self, connection: Connection, failure: BaseException | None) -> None:
        self._connection = None
        with connection:
            if failure is None:
                connection.commit()

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()
        self.driver.close()


class Connections:
    """The connections of the scenario's stores, for one process."""

    def __init__(self, scenario: Scenario, process: Process) -> None:
        self._scenario = scenario
        self._process = process

    def get(self, name: str) -> OutboxConnection:
        store = self._scenario.stores.get(name)
        if store is None:
            raise ConfigError(f"no connection {name!r}")
        return OutboxConnection(
            store.adapter(),
            name=name,
            policy=self._scenario.policy,
            limits=LIMITS,
            hooks=(self._scenario.plugin,),
            clock=Stage.wall,
            http_client=self._scenario.client,
        )

    def names(self) -> Collection[str]:
        return self._scenario.stores.keys()

    def save(self, name: str, tokens: Credentials) -> None:
        raise AssertionError("no token of a scenario expires")

    def mark(self, name: str, *, now: bool = False) -> object:
        store = self._scenario.stores.get(name)
        return store and store.revision


class Plugin:
    """A plugin that may raise anything. It is the same one in all scenarios of a run."""

    scenario: Scenario

    @hookimpl
    def order_submitted(self, order: Order) -> None:
        self.scenario.maybe_raise("order_submitted")

    @hookimpl
    def order_failed(self, order: Order) -> None:
        self.scenario.maybe_raise("order_failed")

    @hookimpl
    def menu_error(self, order: Order) -> None:
        self.scenario.maybe_raise("menu_error")

    @hookimpl
    def reimport_menu(self, connection: str) -> None:
        self.scenario.maybe_raise("reimport_menu")


class Site:
    """A process that has the outbox open."""

    def __init__(self, scenario: Scenario, process: Process, settings: OutboxSettings) -> None:
        self.scenario = scenario
        self.process = process
        self.outbox = Outbox("sqlite:///unused", settings=settings)
        self.outbox._is_prepared = True
        self.connections = Connections(scenario, process)


class Worker(Site):
    """A worker: what `tillpost worker` runs."""

    def start(self, after: float = 0.0) -> None:
        """Start the process."""
        self.scenario.schedule.spawn(self.process, self._run, after=after)

    def _run(self) -> None:
        processor = Processor(self.outbox, connections=self.connections, clock=Stage.wall)
        try:
            processor.__enter__()
            Loop(processor, self.scenario).run()
        except Exception as failure:  # the program ends with a traceback
            self.scenario.died(self, failure)
            raise


class Loop(OutboxWorker):
    """The worker's own loop, without most of the polls that would find nothing."""

    def __init__(self, processor: Processor, scenario: Scenario) -> None:
        super().__init__(processor)
        self._thread_count = THREADS
        self._scenario = scenario
        maintenance = SparingMaintenance(self._maintenance, processor, scenario)  # pyright: ignore
        self._maintenance = maintenance  # type: ignore[assignment]  # pyright: ignore

    def _claim(self, threads: DaemonThreadPool) -> list[Claim]:
        claims = super()._claim(threads) if self._scenario.is_due() else []
        for claim in claims:
            self._scenario.schedule.note(f"claimed {claim.order.id}")
        return claims

    def _wait(self, threads: DaemonThreadPool) -> None:
        if threads.busy:
            Stage.sleep(1.0)
        else:
            self._scenario.idle()


class SparingMaintenance:
    """A worker's recurring tasks, which take half of a scenario if they are done each time."""

    def __init__(self, maintenance: Maintenance, processor: Processor, scenario: Scenario) -> None:
        self._maintenance = maintenance
        self._processor = processor
        self._scenario = scenario

    def tend(self) -> None:
        """Do what is due, now and then; release what couldn't be released each time."""
        if self._scenario.tends():
            self._maintenance.tend()
        else:
            self._processor.release_unfinished()

    def close(self) -> None:
        """Do nothing: a process that ends doesn't close anything."""


class WebApp(Site):
    """Receives webhooks, and adds orders."""

    def add(self, order: Order, store: str, *, is_new: bool) -> None:
        """Add an order, again until the database takes it."""
        while True:
            try:
                self.outbox.add(order, connection=store, is_new=is_new)
            except DatabaseError:
                Stage.sleep(0.5)
            else:
                self.scenario.added(order, store)
                return

    def receive(self, store: Store, delivery: Callable[[], Delivery | None]) -> bool:
        """Receive a webhook, again after a 503; return whether it took effect."""
        scenario = self.scenario
        scenario.deliveries += 1
        try:
            return any(self._receive(store, delivery) for _ in range(5))
        except WebhookError as refused:
            scenario.schedule.note(f"webhook: {refused.fault}")
            return False
        finally:
            scenario.deliveries -= 1

    def _receive(self, store: Store, delivery: Callable[[], Delivery | None]) -> bool:
        receiver = self.outbox.receiver(connections=self.connections, clock=Stage.wall)
        try:
            sent = delivery()
            if sent is not None:
                receiver.receive(store.name, *sent)
        except (PosError, DatabaseError, ConfigError) as again:
            self.scenario.schedule.note(f"webhook: 503 {type(again).__name__}")
            Stage.sleep(self.scenario.schedule.random.uniform(1, 20))
            return False
        self.scenario.schedule.note("webhook: received")
        return True


class Person(Site):
    """A person who acts on orders."""

    def act(self, action: str, order_id: str, *, even_in_doubt: bool) -> None:
        operations = OrderOperations(
            self.outbox, "mia", connections=self.connections, clock=Stage.wall
        )
        try:
            if action == "manual":
                operations.manual(order_id, even_in_doubt=even_in_doubt)
            else:
                getattr(operations, action)(order_id)
        except (ActError, DatabaseError, LeaseLostError) as refused:
            self.scenario.schedule.note(f"{action} {order_id}: {type(refused).__name__}: {refused}")
            if "cancel it at the register" in str(refused):
                # Its cancellation may have taken effect; the person sees to it now.
                self.scenario.store_of(order_id).ended.add(order_id)
        else:
            self.scenario.schedule.note(f"{action} {order_id}: done")
            self.scenario.nudge()


class DirectClient(httpx.Client):
    """A client that hands each request to the network, and does nothing else.

    Left out are redirects, authentication, cookies and log events, of which the outbox uses none.
    """

    def __init__(self, network: httpx.BaseTransport) -> None:
        super().__init__(transport=network, trust_env=False, verify=False)
        self._network = network

    def send(self, request: httpx.Request, **_: object) -> httpx.Response:
        """Carry one request."""
        answer = self._network.handle_request(request)
        answer.request = request
        return answer


def new_client(network: httpx.BaseTransport, *, is_direct: bool = True) -> httpx.Client:
    """Return the one client of a run."""
    if is_direct:
        return DirectClient(network)
    return httpx.Client(transport=network, trust_env=False, verify=False)
