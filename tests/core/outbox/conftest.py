"""Simulated stores, and an outbox in a SQLite file of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.outbox.corner_shop import QUICK
from core.outbox.hooked import Generic, Kounta, Square, Store
from tillpost.outbox import Outbox
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator


@pytest.fixture
def shop() -> Iterator[Running[SquareSimulator]]:
    """A store's platform and register."""
    with serve_in_thread(SquareSimulator()) as running:
        yield running


@pytest.fixture
def shop_outbox(sqlite_url: str) -> Iterator[Outbox]:
    """Return an outbox with short waits."""
    with Outbox(sqlite_url, settings=QUICK) as outbox:
        yield outbox


@pytest.fixture(params=[Square, Kounta], ids=["square", "kounta"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store on each platform whose webhooks are signed."""
    opened: Store = request.param()
    yield opened
    opened.close()


@pytest.fixture
def square() -> Iterator[Square]:
    """A store at Square that sends webhooks."""
    opened = Square()
    yield opened
    opened.close()


@pytest.fixture
def kounta() -> Iterator[Kounta]:
    """A store at Kounta that sends webhooks."""
    opened = Kounta()
    yield opened
    opened.close()


@pytest.fixture
def generic() -> Iterator[Generic]:
    """A store of the generic format that sends webhooks."""
    opened = Generic()
    yield opened
    opened.close()
