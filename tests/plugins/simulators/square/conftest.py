from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.square.spec import SquareSpec, square_spec
from plugins.simulators.square.shop import Shop
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator


@pytest.fixture(scope="session")
def spec_if_any() -> SquareSpec | None:
    try:
        return square_spec()
    except pytest.skip.Exception:
        return None


@pytest.fixture
def shop(spec_if_any: SquareSpec | None) -> Iterator[Shop]:
    """A fresh simulator and a caller of it; every answer is judged by Square's document where that is at hand."""
    with serve_in_thread(SquareSimulator()) as running:
        caller = Shop(running, spec_if_any)
        yield caller
        caller.client.close()
