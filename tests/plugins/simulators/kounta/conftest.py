from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from plugins.simulators.kounta.caller import Caller, Start
from tillpost.simulator import serve_in_thread
from tillpost_simulators.kounta import KountaSettings, KountaSimulator


@contextmanager
def served(settings: KountaSettings) -> Generator[Caller]:
    with serve_in_thread(KountaSimulator(settings)) as running:
        caller = Caller(running)
        yield caller
        caller.client.close()


@pytest.fixture
def start() -> Start:
    """Serves a simulator with given settings."""
    return served


@pytest.fixture
def cafe() -> Iterator[Caller]:
    """A new simulator and its caller."""
    with served(KountaSettings()) as caller:
        yield caller
