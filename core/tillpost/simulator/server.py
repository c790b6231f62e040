"""Serve a simulator: in a thread for tests, in the foreground for people.

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

from tillpost.simulator.simulator import Simulator
from tillpost.simulator.web_app import web_application

S = TypeVar("S", bound=Simulator)

_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Running(Generic[S]):
    """A simulator that is being served at `url`, which has no trailing slash."""

    simulator: S
    url: str

    @property
    def settings(self) -> dict[str, Any]:
        """The settings to connect to it with.

        Call `Till.connect(platform, **running.settings)`.
        """
        return dict(self.simulator.connection_settings(self.url))


@contextmanager
def serve_in_thread(simulator: S, host: str = "127.0.0.1", port: int = 0) -> Generator[Running[S]]:
    """Serve `simulator` in its own thread until the block ends.

    Args:
        simulator: The simulator.
        host: The address to listen at.
        port: The port; 0 takes any free one.

    Raises:
        OSError: The address can't be bound.
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
    url, loop, stop = started.result(timeout=_START_TIMEOUT)
    try:
        yield Running(simulator, url)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=_STOP_TIMEOUT)


async def serve(
    simulator: Simulator,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve `simulator` until SIGINT or SIGTERM, or until `stop` is set.

    Args:
        simulator: The simulator.
        host: The address to listen at.
        port: The port; 0 takes any free one.
        ready: Called with the URL once the server listens.
        stop: Ends the server when it is set.

    Raises:
        OSError: The address can't be bound.
    """
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    handled: list[signal.Signals] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError, ValueError):
            # Not the main thread, or a system without signal handlers: only `stop` ends it.
            break
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
    # A short shutdown, so that a fault that hangs doesn't delay the end.
    runner = web.AppRunner(web_application(simulator), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=512)
        await site.start()
        bound_host, bound_port = runner.addresses[0][:2]
        url_host = f"[{bound_host}]" if ":" in bound_host else bound_host
        yield f"http://{url_host}:{bound_port}"
    finally:
        await runner.cleanup()
