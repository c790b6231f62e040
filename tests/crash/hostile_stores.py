"""Stores whose server is hostile: each answer is another of `tillpost.testing.adversary`."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from crash.world import Store, World
from tillpost.testing.adversary import BEHAVIOURS, Incoming, hostile_server


@dataclass
class Hostility:
    """Answers each request by the next behaviour, in an order that the seed decides.

    Attributes:
        met: How many requests met each behaviour.
    """

    seed: int
    met: Counter[str] = field(default_factory=Counter[str])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _left: list[str] = field(default_factory=list[str])

    def __call__(self, incoming: Incoming) -> None:
        """Answer a request, in whatever way is next."""
        BEHAVIOURS[self._next()](incoming)

    def _next(self) -> str:
        with self._lock:
            if not self._left:
                self._left = sorted(BEHAVIOURS)
                random.Random(f"{self.seed} {self.met.total()}").shuffle(self._left)
            name = self._left.pop()
            self.met[name] += 1
            return name


@contextmanager
def hostile_stores(
    seed: int, world: World, each: int
) -> Generator[tuple[Mapping[str, Store], Hostility]]:
    """Serve so many hostile stores of each platform, beside those of a world.

    No platform is behind them, so no order of theirs can arrive.
    """
    hostility = Hostility(seed)
    stores: dict[str, Store] = {}
    with ExitStack() as stack:
        for like in [name for name in world.stores if name.endswith("-0")]:
            good = world.stores[like]
            for number in range(each):
                server = stack.enter_context(hostile_server(hostility))
                settings = {**good.settings, "base_url": server.url}
                name = f"hostile-{good.platform}-{number}"
                stores[name] = replace(good, settings=settings)
        yield stores, hostility
