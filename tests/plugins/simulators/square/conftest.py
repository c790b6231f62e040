from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.square.spec import SquareSpec, square_spec
from plugins.simulators.square.shop import Shop
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator


@pytest.fixture(scope="session")
def optional_spec() -> SquareSpec | None:
    try:
        return square_spec()
    except pytest.skip.Exception:
        return None


@pytest.fixture
def shop(optional_spec: SquareSpec | None) -> Iterator[Shop]:
    """A new simulator and its caller, which checks answers against Square's document if present."""
    with serve_in_thread(SquareSimulator()) as running:
        caller = Shop(running, optional_spec)
        yield caller
        caller.client.close()
