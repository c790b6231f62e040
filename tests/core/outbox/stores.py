"""An outbox on each database, and workers whose clock the test moves. A plugin of the suite."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.toy_server import ToyServer
from databases import PostgresServer, database_on
from tillpost import hookimpl
from tillpost.outbox import Outbox, OutboxConnection, OutboxSettings, Processor, from_mapping
from tillpost.outbox.worker.worker import Runs
from waiting import AGES

DATABASES = ("sqlite", "postgresql")

Opening = Callable[..., Outbox]
"""Opens an outbox over the test's database, with connections of its own; closed after the test."""


@pytest.fixture(scope="session")
def prepared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with the outbox's tables, to copy: making them takes 0.1 s."""
    file = tmp_path_factory.mktemp("prepared") / "orders.db"
    with Outbox(f"sqlite:///{file}") as outbox:
        outbox.prepare()
    return file


@pytest.fixture(scope="session")
def prepared_template(postgres: PostgresServer) -> str:
    """Return the name of a PostgreSQL database with the outbox's tables, to copy."""
    name = postgres.create_database()
    with Outbox(postgres.url(name)) as outbox:
        outbox.prepare()
    return name


@pytest.fixture
def sqlite_url(prepared_file: Path, tmp_path: Path) -> str:
    """Return the address of a new SQLite file that has the outbox's tables."""
    shutil.copyfile(prepared_file, tmp_path / "orders.db")
    return f"sqlite:///{tmp_path / 'orders.db'}"


@pytest.fixture
def prepared_postgres_url(postgres: PostgresServer, prepared_template: str) -> Iterator[str]:
    """Return the address of a new PostgreSQL database that has the outbox's tables."""
    with database_on(postgres, prepared_template) as url:
        yield url


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    """Run a test once on each database, which has the outbox's tables and no order."""
    kind = "sqlite_url" if request.param == "sqlite" else "prepared_postgres_url"
    address: str = request.getfixturevalue(kind)
    return address


@pytest.fixture(params=DATABASES)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Run a test once on each database, which has no tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'orders.db'}"
    address: str = request.getfixturevalue("postgres_url")
    return address


@pytest.fixture
def open_outbox(url: str) -> Generator[Opening]:
    opened: list[Outbox] = []

    def open_it(**settings: Any) -> Outbox:
        opened.append(Outbox(url, settings=OutboxSettings(**settings)))
        return opened[-1]

    yield open_it
    for outbox in opened:
        outbox.close()


@pytest.fixture
def outbox(open_outbox: Opening) -> Outbox:
    return open_outbox()


class Clock:
    """A clock that a test moves. It stands still from when it is first read."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._now = 0.0

    def __call__(self) -> float:
        self._now = self._now or time.time()
        return self._now + self.ahead


class Heard:
    """A plugin that records each hook call: its name, with its arguments."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Mapping[str, Any]]] = []

    def named(self, hook: str) -> list[Mapping[str, Any]]:
        return [facts for name, facts in self.all if name == hook]

    @hookimpl
    def outage_began(self, connection: str, outage: object) -> None:
        self.all.append(("outage_began", {"connection": connection, "outage": outage}))

    @hookimpl
    def outage_ended(self, connection: str, outage: object) -> None:
        self.all.append(("outage_ended", {"connection": connection, "outage": outage}))

    @hookimpl
    def reauthorisation_needed(self, connection: str, error: object) -> None:
        self.all.append(("reauthorisation_needed", {"connection": connection, "error": error}))

    @hookimpl
    def connection_restored(self, connection: str) -> None:
        self.all.append(("connection_restored", {"connection": connection}))

    @hookimpl
    def store_availability_changed(self, connection: str, availability: object) -> None:
        self.all.append(
            ("store_availability_changed", {"connection": connection, "availability": availability})
        )

    @hookimpl
    def order_failed(self, connection: str, order: object, error: object) -> None:
        self.all.append(
            ("order_failed", {"connection": connection, "order": order, "error": error})
        )

    @hookimpl
    def menu_imported(self, connection: str, menu: object, changes: object) -> None:
        self.all.append(
            ("menu_imported", {"connection": connection, "menu": menu, "changes": changes})
        )

    @hookimpl
    def menu_import_held(self, connection: str, menu: object, changes: object) -> None:
        self.all.append(
            ("menu_import_held", {"connection": connection, "menu": menu, "changes": changes})
        )


@contextmanager
def processing(
    outbox: Outbox,
    server: ToyServer,
    *,
    clock: Callable[[], float] | None = None,
    heard: Heard | None = None,
    **connections: OutboxConnection,
) -> Generator[Processor]:
    """Run a worker that knows the toy platform as `cafe`, beside other `connections`."""
    source = from_mapping({"cafe": OutboxConnection(server.adapter()), **connections})
    hooks = (heard,) if heard else ()
    with Processor(outbox, connections=source, hooks=hooks, clock=clock) as processor:
        yield processor


@contextmanager
def in_thread(worker: Runs) -> Generator[None]:
    """Run a worker in a thread during the block, and see that it ends when it is stopped."""
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(2 * AGES)
        assert not thread.is_alive()


def work_off(processor: Processor, most: int = 100) -> list[str]:
    """Process what is due; return the orders' ids in the sequence in which they were claimed."""
    claimed: list[str] = []
    while claims := processor.claim(most):
        for claim in claims:
            claimed.append(claim.order.id)
            processor.handle(claim)
    return claimed
