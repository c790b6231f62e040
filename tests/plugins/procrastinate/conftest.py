"""A simulated Square to submit orders to."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator


@pytest.fixture
def square() -> Generator[Running[SquareSimulator]]:
    """A new Square for each test."""
    with serve_in_thread(SquareSimulator()) as running:
        yield running
