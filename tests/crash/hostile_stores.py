"""Stores whose server is hostile: each answer is another of `tillpost.testing.adversary`.

Some answers say in due form that there is nothing, as an empty list does. After a lost answer no
client can know better. So a server that turns hostile before a platform gives `UNPROVING` only.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from crash.world import Store, World
from tillpost.testing.adversary import BEHAVIOURS, Incoming, hostile_server

UNPROVING = (
    "silence",
    "drip_headers",
    "drip_body",
    "drip_chunks",
    "drip_trailers",
    "endless_informational",
    "reset",
    "close",
    "truncated_head",
    "truncated_body",
    "not_http",
    "two_lengths",
    "huge_header",
    "gzip_bomb",
    "not_utf8",
    "wrong_type",
    "html_page",
    "html_refusal",
)
"""The behaviours that say nothing of an order, not even that it isn't there."""


@dataclass
class Hostility:
    """Answers each request by the next behaviour, in an order that the seed decides.

    Attributes:
        names: The behaviours.
        met: How many requests met each of them.
    """

    seed: int
    names: Sequence[str] = tuple(BEHAVIOURS)
    met: Counter[str] = field(default_factory=Counter[str])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _left: list[str] = field(default_factory=list[str])

    def __call__(self, incoming: Incoming) -> None:
        """Answer a request, in whatever way is next."""
        BEHAVIOURS[self._next()](incoming)

    def _next(self) -> str:
        with self._lock:
            if not self._left:
                self._left = sorted(self.names)
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
