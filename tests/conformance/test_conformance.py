"""The conformance suite over every bundled adapter: the same tests, with nothing in them about any one platform."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.square_world import SquareWorld
from tillpost.simulator import serve_in_thread
from tillpost.testing.conformance import Conformance
from tillpost_square.simulator import SquareSimulator


class TestSquare(Conformance):
    @pytest.fixture
    def world(self) -> Iterator[SquareWorld]:
        with serve_in_thread(SquareSimulator()) as running:
            yield SquareWorld(running)
