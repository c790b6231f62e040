"""The three bundled platforms behind a hostile server."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from conformance.generic_world import GenericWorld
from conformance.kounta_world import KountaWorld
from conformance.square_world import SquareWorld
from core.both import BlockingTill, Kind, blocking
from tillpost import Limits, Policy
from tillpost.simulator import Simulator, serve_in_thread
from tillpost.testing.world import AnyWorld
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator

PLATFORMS = ("square", "kounta", "generic")
SHORT = Limits(connect=2.0, read=0.25, answer=0.4, answer_bytes=2_000_000)
ONCE = Policy(retries=0, retry_seconds=0, first_wait=0.01, longest_wait=0.02)

_SIMULATORS: Mapping[str, Callable[[], Simulator]] = {
    "square": SquareSimulator,
    # One page holds all: the next page's address would be the simulator's, not the server's before.
    "kounta": lambda: KountaSimulator(KountaSettings(oauth_limit=100_000, page_size=1_000)),
    "generic": GenericSimulator,
}
_WORLDS: Mapping[str, type[AnyWorld]] = {
    "square": SquareWorld,
    "kounta": KountaWorld,
    "generic": GenericWorld,
}

Operation: TypeAlias = Callable[[BlockingTill, AnyWorld], object]

OPERATIONS: Mapping[str, Operation] = {
    "submit": lambda till, world: till.submit(world.order("hostile-1")),
    "find": lambda till, world: till.do(lambda each: each.find(world.order("hostile-1"))),
    "fetch": lambda till, _: till.fetch("7777777"),
    "import_menu": lambda till, _: till.import_menu(),
    "check": lambda till, _: till.check(),
}
"""The operations that each platform has."""


@contextmanager
def a_world(platform: str) -> Generator[AnyWorld]:
    """Run a platform's simulator."""
    with serve_in_thread(_SIMULATORS[platform]()) as running:
        yield _WORLDS[platform](running)


@contextmanager
def connected_to(
    kind: Kind,
    world: AnyWorld,
    url: str,
    *,
    policy: Policy = ONCE,
    limits: Limits = SHORT,
    **options: Any,
) -> Generator[BlockingTill]:
    """Open a Till, or an AsyncTill, that takes the server at `url` for the platform."""
    settings = {**world.settings, "base_url": url}
    adapter = world.adapter(world.adapter.settings.model_validate(settings))
    adapter.look_after = tuple(0.02 for _ in adapter.look_after)
    till = blocking(kind, adapter, policy=policy, limits=limits, **options)
    try:
        yield till
    finally:
        till.close()


def secrets_of(world: AnyWorld) -> list[str]:
    """Return what no error may hold."""
    names = ("access_token", "signing_key")
    return [str(world.settings[name]) for name in names if name in world.settings]
