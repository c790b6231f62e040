from __future__ import annotations

from collections.abc import Iterator

import pytest

from plugins.simulators.square.shop import Shop
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Return a caller of a new simulator, which checks every answer by what Square publishes."""
    with serve_in_thread(SquareSimulator()) as running:
        caller = Shop(running)
        yield caller
        caller.client.close()
