"""An outbox on each database, and workers whose clock the test moves. A plugin of the suite."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.toy_server import ToyServer
from tillpost import hookimpl
from tillpost.outbox import Outbox, OutboxConnection, OutboxSettings, Processor, from_mapping

DATABASES = ("sqlite", "postgresql")

Opening = Callable[..., Outbox]
"""Opens an outbox over the test's database, with connections of its own; closed after the test."""


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database; a test runs once on each kind."""
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
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


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
    clock: Callable[[], float] = time.time,
    heard: Heard | None = None,
    **connections: OutboxConnection,
) -> Generator[Processor]:
    """Run a worker that knows the toy platform as `cafe`, beside other `connections`."""
    source = from_mapping({"cafe": OutboxConnection(server.adapter()), **connections})
    hooks = (heard,) if heard else ()
    with Processor(outbox, connections=source, hooks=hooks, clock=clock) as processor:
        yield processor


def work_off(processor: Processor, most: int = 100) -> list[str]:
    """Process what is due; return the orders' ids in the sequence in which they were claimed."""
    claimed: list[str] = []
    while claims := processor.claim(most):
        for claim in claims:
            claimed.append(claim.order.id)
            processor.handle(claim)
    return claimed
