"""Till and AsyncTill behind one blocking face, so that one suite runs both.

    till = blocking("async", adapter)      # or "sync"
    till.submit(order)
    till.together(lambda t: t.submit(order), 8)      # in 8 threads, or in 8 tasks

A call that is awaited under AsyncTill runs in an event loop of its own thread; errors come out as
they were raised."""

from __future__ import annotations

import asyncio
import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias, TypeVar, cast

import httpx

from tillpost import AsyncTill, Till
from tillpost.adapter.base import Adapter
from tillpost.adapter.readiness import Readiness
from tillpost.adapter.settings import Credentials
from tillpost.client.credentials import MemoryCredentials
from tillpost.models.order import Order, PosOrder
from tillpost.submission.context import Connection
from tillpost.submission.journal import Journal
from tillpost.submission.menu_import import MenuImport

Kind: TypeAlias = Literal["sync", "async"]
KINDS: tuple[Kind, ...] = ("sync", "async")
T = TypeVar("T")
Work: TypeAlias = Callable[[Any], Any]
"""What is done with a Till: returns a result, or under AsyncTill an awaitable of it."""


class BlockingTill(ABC):
    """The uniform face. `till` is the Till or AsyncTill itself."""

    @property
    @abstractmethod
    def till(self) -> Till | AsyncTill: ...

    @abstractmethod
    def do(self, work: Work) -> Any:
        """Do something with the Till, and wait for what it returns."""

    @abstractmethod
    def together(self, work: Work, times: int) -> list[Any]:
        """Run the same work concurrently; return results, with errors in their places."""

    def submit(self, order: Order, *, is_new: bool = False) -> PosOrder:
        return cast(PosOrder, self.do(lambda till: till.submit(order, is_new=is_new)))

    def fetch(self, pos_order: PosOrder | str) -> PosOrder:
        return cast(PosOrder, self.do(lambda till: till.fetch(pos_order)))

    def cancel(self, pos_order: PosOrder) -> PosOrder:
        return cast(PosOrder, self.do(lambda till: till.cancel(pos_order)))

    def quote(self, order: Order) -> int:
        return cast(int, self.do(lambda till: till.quote(order)))

    def import_menu(self, *, accept: bool = False) -> MenuImport:
        return cast(MenuImport, self.do(lambda till: till.import_menu(accept=accept)))

    def check(self) -> Readiness:
        return cast(Readiness, self.do(lambda till: till.check()))

    @abstractmethod
    def close(self) -> None:
        """Leave the Till's context."""


class BlockingSync(BlockingTill):
    """Over `Till`: only the names."""

    def __init__(self, make: Callable[[], Till]) -> None:
        self._till = make().__enter__()

    @property
    def till(self) -> Till:
        return self._till

    def do(self, work: Work) -> Any:
        return work(self._till)

    def together(self, work: Work, times: int) -> list[Any]:
        with ThreadPoolExecutor(times) as pool:
            futures = [pool.submit(work, self.till) for _ in range(times)]
            return [future.exception() or future.result() for future in futures]

    def close(self) -> None:
        self.till.__exit__(None, None, None)


class BlockingAsync(BlockingTill):
    """Over `AsyncTill`, in a loop that runs in its own thread."""

    def __init__(self, make: Callable[[], AsyncTill]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._till = self.wait(_entered(make))

    @property
    def till(self) -> AsyncTill:
        return self._till

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine in the Till's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def do(self, work: Work) -> Any:
        return self.wait(_awaited(work, self.till))

    def together(self, work: Work, times: int) -> list[Any]:
        async def all_of_them() -> Sequence[Any]:
            return await asyncio.gather(
                *(_awaited(work, self.till) for _ in range(times)), return_exceptions=True
            )

        return list(self.wait(all_of_them()))

    def close(self) -> None:
        self.wait(self.till.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


async def _entered(make: Callable[[], AsyncTill]) -> AsyncTill:
    return await make().__aenter__()


async def _awaited(work: Work, till: AsyncTill) -> Any:
    result = work(till)
    return await result if inspect.isawaitable(result) else result


def blocking(
    kind: Kind,
    adapter: Adapter[Any],
    *,
    client: httpx.Client | None = None,
    async_client: httpx.AsyncClient | None = None,
    journal: Journal | None = None,
    on_tokens: Callable[[Credentials], object] | None = None,
    **options: Any,
) -> BlockingTill:
    """Return a Till of that kind over the adapter. `options` are the connection's.

    An HTTP client is used by its own kind alone.
    """
    connection = Connection(adapter, **options)

    def credentials() -> MemoryCredentials:
        return MemoryCredentials(adapter.config.credentials(), on_tokens)

    if kind == "sync":
        return BlockingSync(
            lambda: Till(connection, journal=journal, credentials=credentials(), http_client=client)
        )
    return BlockingAsync(
        lambda: AsyncTill(
            connection, journal=journal, credentials=credentials(), http_client=async_client
        )
    )


def connected(kind: Kind, platform: str, **arguments: Any) -> BlockingTill:
    """Return what `Till.connect` or `AsyncTill.connect` returns for the same arguments."""
    if kind == "sync":
        return BlockingSync(lambda: Till.connect(platform, **arguments))
    return BlockingAsync(lambda: AsyncTill.connect(platform, **arguments))
