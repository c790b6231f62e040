"""The toy platform over real HTTP, which misbehaves on demand.

`ToyServer` stores orders, keys, a menu and tokens. `on` scripts its behaviour for the next requests
of a kind, instead of carrying them out, or afterwards:

    with ToyServer() as server:
        server.on("POST /orders", reset(), answer(503))
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from core.toy import (
    CLIENT_SECRET,
    REFRESH_TOKEN,
    TOKEN,
    KeylessToy,
    Toy,
    ToyItem,
    ToyMade,
    ToySettings,
)


@dataclass(frozen=True)
class Seen:
    """A request as it reached the server. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answered:
    """An answer about to be sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def head(self, length: int | None = None) -> bytes:
        """The status line and the headers; `length` is what Content-Length says."""
        size = len(self.body) if length is None else length
        lines = [
            f"HTTP/1.1 {self.status} X",
            f"Content-Length: {size}",
            *(f"{k}: {v}" for k, v in self.headers.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


Act = Callable[["ToyServer", Seen, asyncio.StreamWriter], Awaitable[bool]]
"""What the server does with one request; returns whether the connection can be used again."""


def passing(*, delay: float = 0.0) -> Act:
    """Do what the request asks and answer properly, after `delay` seconds."""

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(delay)
        answered = server.do(seen)
        writer.write(answered.head() + answered.body)
        return True

    return act


def answer(
    status: int = 200, content: object = b"", *, effect: bool = False, **headers: str
) -> Act:
    """Answer with this. `content` that isn't bytes is sent as JSON; `effect` carries it out.

    Header names are given with underscores: `retry_after="1"`.
    """
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if effect:
            server.do(seen)
        answered = Answered(status, named, body)
        writer.write(answered.head() + body)
        return True

    return act


def refuse(
    code: str, text: str = "", *, status: int = 400, field: str = "", effect: bool = False
) -> Act:
    """Refuse in the toy platform's own form."""
    return answer(status, {"errors": [{"code": code, "text": text, "field": field}]}, effect=effect)


def redirect(to: str, status: int = 307) -> Act:
    """Send the client to another address."""
    return answer(status, b"", location=to)


def raw(data: bytes) -> Act:
    """Send these bytes as they are, and close."""

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        return False

    return act


def reset(*, effect: bool = True) -> Act:
    """Reset the connection without an answer, before or after the effect."""

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if effect:
            server.do(seen)
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False

    return act


def hangup(*, effect: bool = True) -> Act:
    """Close the connection politely, without an answer."""

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if effect:
            server.do(seen)
        return False

    return act


def vanish() -> Act:
    """Do it, close without an answer, and refuse all connections from then on."""

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        server.do(seen)
        server.listener.close()
        return False

    return act


def truncate() -> Act:
    """Do it, and close in the middle of the answer."""

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        answered = server.do(seen)
        writer.write(answered.head() + answered.body[: len(answered.body) // 2])
        return False

    return act


def drip_for_ever(beginning: bytes, data: bytes) -> Act:
    """Send a beginning, then the same bytes again and again, one by one."""

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(beginning)
        for byte in itertools.cycle(data):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)
        return False

    return act


def hang(*, effect: bool = True) -> Act:
    """Never answer. Ends when the client gives up or the server stops."""

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if effect:
            server.do(seen)
        server.hanging.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.stopping.wait(), 600)
        return False

    return act


def meet(barrier: asyncio.Barrier, then: Act) -> Act:
    """Wait until all requests of the barrier are here: they all see the same state."""

    async def act(server: ToyServer, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        async with asyncio.timeout(60):
            await barrier.wait()
        return await then(server, seen, writer)

    return act


@dataclass
class ToyServer:
    """The toy platform over HTTP on the loopback, in a thread of its own. A context manager.

    Attributes: items: the menu; `orders`: by platform id, in the order in which they were made;
        `keys`: answers given. token, refresh_token: what is accepted now; None accepts anything.
        seen: every request that came. `hanging` is set once a request hangs.
    """

    items: list[ToyItem] = field(
        default_factory=lambda: [ToyItem(id="i1", sku="S1", name="Toast", price=1000)]
    )
    token: str | None = None
    refresh_token: str = REFRESH_TOKEN
    open: bool = True
    orders: dict[str, ToyMade] = field(default_factory=dict[str, ToyMade])
    keys: dict[str, Answered] = field(default_factory=dict[str, Answered])
    seen: list[Seen] = field(default_factory=list[Seen])
    hanging: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    _script: defaultdict[str, list[Act]] = field(
        default_factory=lambda: defaultdict[str, list[Act]](list)
    )

    def on(self, what: str, *acts: Act) -> None:
        """Script the next requests of a method and path (without query), one act each."""
        self._script[what].extend(acts)

    def always(self, what: str, act: Act) -> None:
        """Do this with every request of that method and path."""
        self.on(what, *[act] * 100)

    def forget(self, what: str) -> None:
        """Answer that method and path as a healthy platform again."""
        self._script[what].clear()

    def gather(self, what: str, count: int, then: Act | None = None) -> None:
        """Hold the next `count` requests of a kind until all are here, then act on each."""
        barrier = asyncio.Barrier(count)
        self.on(what, *[meet(barrier, then or passing())] * count)

    def count(self, what: str) -> int:
        """How many requests of that method and path (without query) came."""
        return sum(_what(seen) == what for seen in self.seen)

    def made(self, ref: str) -> list[ToyMade]:
        """The uncancelled orders of that reference. There must never be more than one."""
        return [o for o in self.orders.values() if o.ref == ref and o.status == "OPEN"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **more: object) -> ToySettings:
        """Settings that fit this server, with all three secrets."""
        known = {
            "base_url": self.url,
            "access_token": TOKEN,
            "refresh_token": REFRESH_TOKEN,
            "client_secret": CLIENT_SECRET,
        }
        return ToySettings.model_validate({**known, **more})

    def adapter(self, *, keyed: bool = True, **more: object) -> Toy:
        """An adapter for this server."""
        return (Toy if keyed else KeylessToy)(self.settings(**more))

    def do(self, seen: Seen) -> Answered:
        """Do what the request asks, once for each key."""
        key = seen.headers.get("idempotency-key", "")
        if key in self.keys:
            return self.keys[key]
        answered = self._do(seen)
        if key and answered.status < 300:
            self.keys[key] = answered
        return answered

    def _do(self, seen: Seen) -> Answered:
        if seen.path == "/token":
            return self._refresh(json.loads(seen.body))
        if self.token is not None and seen.headers.get("authorization") != f"Bearer {self.token}":
            return _refused("EXPIRED", 401)
        url = urlsplit(seen.path)
        match seen.method, url.path.split("/")[1:]:
            case "POST", ["orders"]:
                return self._create(json.loads(seen.body))
            case "GET", ["orders"]:
                ref = parse_qs(url.query)["ref"][0]
                return _ok({"orders": [o.model_dump() for o in self.made(ref)]})
            case "GET", ["orders", pos_id] if pos_id in self.orders:
                return _ok(self.orders[pos_id].model_dump())
            case "DELETE", ["orders", pos_id] if pos_id in self.orders:
                self.orders[pos_id].status = "CANCELLED"
                return _ok(self.orders[pos_id].model_dump())
            case "GET", ["menu"]:
                return _ok({"items": [x.model_dump() for x in self.items]})
            case "GET", ["status"]:
                return _ok({"open": self.open})
            case _:
                return _refused("NOT_FOUND", 404)

    def _create(self, asked: dict[str, Any]) -> Answered:
        known = {item.id for item in self.items}
        for index, item in enumerate(asked["items"]):
            if item not in known:
                return _refused("GONE", 400, f"line {index}")
        pos_id = f"o{len(self.orders) + 1}"
        self.orders[pos_id] = ToyMade(
            id=pos_id, ref=asked["ref"], total=asked["total"], status="OPEN"
        )
        return _ok(self.orders[pos_id].model_dump())

    def _refresh(self, asked: dict[str, Any]) -> Answered:
        if asked.get("refresh_token") != self.refresh_token:
            return _refused("REVOKED", 401)
        self.token = f"toy-access-token-{sum(s.path == '/token' for s in self.seen) + 1}"
        return _ok({"access_token": self.token, "refresh_token": self.refresh_token})

    def __enter__(self) -> Self:
        started: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), daemon=True
        )
        self._thread.start()
        self.port = started.result(60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self.stopping.set)
        self._thread.join(60)

    async def _serve(self, started: Future[int]) -> None:
        self._loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()
        self.listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        started.set_result(self.listener.sockets[0].getsockname()[1])
        await self.stopping.wait()
        self.listener.close()
        await asyncio.sleep(
            0.01
        )  # a connection that was accepted just now gets its task, which closes it
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        seen = Seen(method, path, headers, body)
        self.seen.append(seen)
        script = self._script[_what(seen)]
        kept = await (script.pop(0) if script else passing())(self, seen, writer)
        if kept:
            await writer.drain()
        return kept


def _what(seen: Seen) -> str:
    return f"{seen.method} {urlsplit(seen.path).path}"


def _ok(content: object) -> Answered:
    return Answered(
        200,
        {"Content-Type": "application/json", "X-Request-Id": "req-1"},
        json.dumps(content).encode(),
    )


def _refused(code: str, status: int, text: str = "") -> Answered:
    body = json.dumps({"errors": [{"code": code, "text": text}]}).encode()
    return Answered(status, {"Content-Type": "application/json", "X-Request-Id": "req-1"}, body)
