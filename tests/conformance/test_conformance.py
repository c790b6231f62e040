"""The conformance suite over every bundled adapter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.generic_world import GenericWorld
from conformance.kounta_world import KountaWorld
from conformance.square_world import SquareWorld
from tillpost.simulator import serve_in_thread
from tillpost.testing.conformance import Conformance
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator


class TestSquare(Conformance):
    world_class = SquareWorld

    @pytest.fixture
    def world(self) -> Iterator[SquareWorld]:
        with serve_in_thread(SquareSimulator()) as running:
            yield SquareWorld(running)


class TestKounta(Conformance):
    world_class = KountaWorld

    @pytest.fixture
    def world(self) -> Iterator[KountaWorld]:
        with serve_in_thread(KountaSimulator(KountaSettings(oauth_limit=100_000))) as running:
            yield KountaWorld(running)


class TestGeneric(Conformance):
    world_class = GenericWorld

    @pytest.fixture
    def world(self) -> Iterator[GenericWorld]:
        with serve_in_thread(GenericSimulator()) as running:
            yield GenericWorld(running)
