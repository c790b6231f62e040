"""A TCP relay between a client and a server, which can fall silent or turn hostile.

with Relay(server_port) as relay:
    connect_to(relay.port)
    relay.fall_silent()  # open connections carry nothing any more, without FIN or RST
    relay.recover()  # new connections pass; those that fell silent stay so
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeAlias

Streams: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What answers a connection in place of the server."""


class Relay:
    """Listens on a port of 127.0.0.1 and passes what it gets to another."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._accepted = 0
        self._silent = False
        self._ended = False
        self._impostors: Sequence[Streams] = ()
        self._numbers = itertools.count()
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="relay", daemon=True)

    def fall_silent(self) -> None:
        """Carry nothing any more over the connections open now, and over new ones."""
        self._silent = True
        self._loop.call_soon_threadsafe(self._freeze)

    def turn_hostile(self, impostors: Sequence[Streams]) -> None:
        """Have these answer new connections in turn, and freeze those that are open."""
        self._impostors = impostors
        self._loop.call_soon_threadsafe(self._freeze)

    def recover(self) -> None:
        """Pass new connections on. Those that are frozen stay so."""
        self._silent = False
        self._impostors = ()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        listening = asyncio.start_server(self._accept, "127.0.0.1", 0)
        server = self._loop.run_until_complete(listening)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._ended = True
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        for writer in self._writers:
            writer.transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))  # closes what was aborted
        self._loop.close()

    def _freeze(self) -> None:
        for pump in self._pumps:
            pump.cancel()

    @property
    def connections(self) -> int:
        """How many connections it has accepted."""
        return self._accepted

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted += 1
        self._writers.append(writer)
        if self._silent:
            await asyncio.Event().wait()
        if self._impostors:
            impostor = self._impostors[next(self._numbers) % len(self._impostors)]
            with suppress(OSError):
                await impostor(reader, writer)
            writer.close()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(
                "127.0.0.1", self._target_port
            )
        except OSError:
            writer.transport.abort()
            return
        self._writers.append(server_writer)
        pumps = {
            asyncio.create_task(_pump(reader, server_writer)),
            asyncio.create_task(_pump(server_reader, writer)),
        }
        self._pumps |= pumps
        try:
            await asyncio.gather(*pumps)
        except asyncio.CancelledError:
            if not self._ended:
                await asyncio.Event().wait()  # frozen: the sockets stay open
        finally:
            self._pumps -= pumps
            server_writer.close()
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what is read, to its end."""
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


# ------------------------------------------------------------------ impostors


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the request and never answer."""
    while await reader.read(65_536):
        pass


async def drips_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with headers without an end, a byte at a time."""
    await reader.read(65_536)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for byte in itertools.cycle(b"X-Slow: 1\r\n"):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def continues_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with informational answers without an end."""
    await reader.read(65_536)
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def shows_a_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with a 403 of something that isn't the platform."""
    await reader.read(65_536)
    page = b"<html><body>Blocked by your firewall</body></html>"
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(page) + page)
    await writer.drain()


def passing_to(port: int) -> Streams:
    """Return an impostor that passes a connection on to another server."""

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_pump(reader, other_writer), _pump(other_reader, writer))
        finally:
            other_writer.close()

    return impostor


IMPOSTORS: Sequence[Streams] = (says_nothing, drips_headers, continues_for_ever, shows_a_page)
