"""Serving a simulator: in a thread for tests, in the foreground for people.

with serve_in_thread(simulator) as running:
    Till.connect("...", **running.settings)
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web

from tillpost.simulator.application import application
from tillpost.simulator.simulator import Simulator

S = TypeVar("S", bound=Simulator)

_STARTS_WITHIN = 30.0
_STOPS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Running(Generic[S]):
    """A simulator that answers at `url` (no slash at its end)."""

    simulator: S
    url: str

    @property
    def settings(self) -> dict[str, Any]:
        """What a till needs to connect to it: `Till.connect(platform, **running.settings)`."""
        return dict(self.simulator.connection_settings(self.url))


@contextmanager
def serve_in_thread(simulator: S, host: str = "127.0.0.1", port: int = 0) -> Generator[Running[S]]:
    """Serves `simulator` in a thread of its own until the block ends. Port 0 takes any free one.

    Raises OSError when the address can't be bound.
    """
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        try:
            async with _listening(simulator, host, port) as url:
                started.set_result((url, asyncio.get_running_loop(), stop))
                await stop.wait()
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="simulator", daemon=True)
    thread.start()
    url, loop, stop = started.result(timeout=_STARTS_WITHIN)
    try:
        yield Running(simulator, url)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=_STOPS_WITHIN)


async def serve(
    simulator: Simulator,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serves `simulator` until SIGINT or SIGTERM, or until `stop` is set. Calls `ready(url)` once it listens.

    Raises OSError when the address can't be bound.
    """
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    handled: list[signal.Signals] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError, ValueError):
            break  # not the main thread, or a system without them: `stop` is what is left
        handled.append(number)
    try:
        async with _listening(simulator, host, port) as url:
            if ready is not None:
                ready(url)
            await stop.wait()
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _listening(simulator: Simulator, host: str, port: int) -> AsyncGenerator[str]:
    # A fault that hangs must not hold up the end, hence the short shutdown.
    runner = web.AppRunner(application(simulator), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=512)
        await site.start()
        where = runner.addresses[0]
        name = f"[{where[0]}]" if ":" in where[0] else where[0]
        yield f"http://{name}:{where[1]}"
    finally:
        await runner.cleanup()
