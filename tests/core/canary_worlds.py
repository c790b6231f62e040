"""Platforms all of whose secrets are canaries, as the fixture `world`; see `canaries`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from conformance.generic_world import GenericWorld
from conformance.kounta_world import KountaWorld
from conformance.square_world import SquareWorld
from core.canaries import ACCESS, CLIENT, HOOK, REFRESH
from tillpost.simulator import serve_in_thread
from tillpost.testing.world import World
from tillpost_simulators.generic import GenericSimulator, WorldSettings
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square import WorldSettings as SquareSettings


@contextmanager
def square() -> Generator[World[Any]]:
    chosen = SquareSettings(access_token=ACCESS, refresh_token=REFRESH, client_secret=CLIENT)
    with serve_in_thread(SquareSimulator(chosen)) as running:
        world = SquareWorld(running)
        world.webhook_secret = HOOK
        yield world


@contextmanager
def kounta() -> Generator[World[Any]]:
    chosen = KountaSettings(
        access_token=ACCESS, refresh_token=REFRESH, client_secret=CLIENT, webhook_secret=HOOK
    )
    with serve_in_thread(KountaSimulator(chosen)) as running:
        yield KountaWorld(running)


@contextmanager
def generic() -> Generator[World[Any]]:
    with serve_in_thread(
        GenericSimulator(WorldSettings(access_token=ACCESS, signing_key=CLIENT))
    ) as running:
        yield GenericWorld(running)


OPENERS: list[Callable[[], AbstractContextManager[World[Any]]]] = [square, kounta, generic]


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__name__)
def world(request: pytest.FixtureRequest) -> Iterator[World[Any]]:
    """A platform whose secrets are all canaries."""
    with request.param() as world:
        yield world
