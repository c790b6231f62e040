"""Connections to platforms: guarded, with a deadline, and marked as bytes leave.

Every connection to a platform that Tillpost opens itself goes through here. `NetworkTransport` is
an httpx transport for threads, `AsyncNetworkTransport` one for asyncio. Both open HTTP/1.1
connections with httpcore's own connection class, and do four things that httpx's transports don't:

- A guarded transport refuses addresses that aren't public (see `address_guard`).
- An exchange has one deadline, which every read and write keeps, so that endless headers or 1xx
  answers end in time.
- An exchange says whether the first byte of its request may have been written. Until then the
  request can't have had an effect.
- Idle connections are kept in a stack for each origin, so that a request costs the same whatever
  the number of connections. One on which anything has come that wasn't asked for isn't used again:
  it would be taken for the answer to the next request.

Both are httpx's own transports over another pool, so that libraries which replace
`httpx.HTTPTransport.handle_request` in tests work here too.

A name is resolved within the same deadline, and its addresses are tried in turn: each gets its
share of the time. A proxy over HTTP is spoken to under the same promises. Any other proxy of the
environment is refused: through SOCKS, httpcore would write outside of the exchange's deadline.
"""

from __future__ import annotations

import asyncio
import logging
import os
import selectors
import ssl
import time
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing, closing, suppress
from functools import cache
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeAlias, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from tillpost.errors import ConfigError
from tillpost.transport.address_guard import require_public
from tillpost.transport.name_lookup import addresses_of, async_addresses_of
from tillpost.transport.slots import RECHECK, Exchanges, Timed

__all__ = [
    "EXCHANGE",
    "AsyncNetworkTransport",
    "Exchange",
    "NetworkTransport",
    "may_hide_data",
    "new_async_client",
    "new_client",
]

EXCHANGE = "tillpost_exchange"
"""The name of the request extension under which an `Exchange` travels."""

MAX_CONNECTIONS = 100
"""How many connections a transport may have at once.

A request beyond that waits for one.
"""

KEEPALIVE = 5.0
"""How long an idle connection is kept, in seconds."""

_MAX_WRITE = 65536

_HTTP = ("http", "https")

_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)
"""The cheapest way to look at one socket: it opens no file of its own."""


class Exchange(Timed):
    """One request and its answer, as the network sees them.

    Attributes:
        observed: Whether anything has reported on the exchange, so that `sent` can be trusted.
        sent: Whether the first byte of the request may have been written. It is set just before.
    """

    __slots__ = ("observed", "sent")

    def __init__(self, deadline: float) -> None:
        super().__init__(deadline)
        self.observed = False
        self.sent = False

    @property
    def surely_unsent(self) -> bool:
        """Whether no byte of the request has left, so that it can't have had an effect."""
        return self.observed and not self.sent

    def timeout(self, longest: float | None, error: type[Exception]) -> float:
        """Return how long the next step may take, in seconds.

        After the deadline, `error` is raised.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise error("the exchange took too long")
        if longest is None:
            return left
        return min(left, longest)

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Watch an exchange over another transport, as httpx's `trace` extension."""
        self.observed = True
        if event.endswith(".send_request_headers.complete"):
            self.sent = True
        elif event.endswith(".send_request_headers.failed"):
            # Invalid headers are found before anything is written.
            self.sent = not isinstance(info.get("exception"), httpcore.LocalProtocolError)


_Origin: TypeAlias = tuple[bytes, bytes, int | None]
_Http: TypeAlias = httpcore.ConnectionInterface | httpcore.AsyncConnectionInterface


@cache
def _ssl_context() -> ssl.SSLContext:
    """Make the process's one TLS context.

    That takes longer than anything else in connecting.
    """
    return httpx.create_ssl_context()


def _extensions(message: httpcore.Request | httpcore.Response) -> dict[str, Any]:
    """Return the extensions of a message, which httpcore's types leave open."""
    extensions: dict[str, Any] = cast("Any", message).extensions
    return extensions


def _exchange(request: httpcore.Request) -> Exchange:
    extensions = _extensions(request)
    exchange: Exchange = extensions.get(EXCHANGE) or Exchange(float("inf"))
    exchange.observed = True
    return exchange


def _pool_timeout(request: httpcore.Request) -> float | None:
    extensions = _extensions(request)
    timeouts = cast("Mapping[str, float | None]", extensions.get("timeout", {}))
    return timeouts.get("pool")


def _key(request: httpcore.Request) -> _Origin:
    origin = request.url.origin
    return origin.scheme, origin.host, origin.port


class _Carrier:
    """What both kinds of connections share.

    That is the exchange, and whether its origin is reached yet. What is written to a proxy before
    its tunnel is open isn't the request.
    """

    def __init__(
        self, origin: httpcore.Origin, exchange: Exchange, proxy: httpx.Proxy | None
    ) -> None:
        self.exchange = exchange
        self.reaches_origin = proxy is None or origin.scheme == b"http"
        self._may_hide_data = may_hide_data(origin, proxy)
        self._host = origin.host.decode("ascii")

    def is_reusable(self, http: _Http) -> bool:
        """Return whether the connection can carry another exchange after this answer."""
        return http.is_idle() and not self._may_hide_data and not _has_surplus(http)

    def note_tls(self, server_hostname: str | None) -> None:
        """Note that a TLS session was established; with the origin, the tunnel is open."""
        self.reaches_origin = self.reaches_origin or server_hostname == self._host


def _share(until: float, addresses_left: int) -> float:
    """Return how long one of several addresses may take to connect, in seconds."""
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ConnectTimeout("no connection in time")
    return left / addresses_left


def _proxy_settings(proxy: httpx.Proxy) -> dict[str, Any]:
    """Return what httpcore needs to know of a proxy, as httpx passes it on."""
    return {
        "proxy_url": httpcore.URL(
            scheme=proxy.url.raw_scheme,
            host=proxy.url.raw_host,
            port=proxy.url.port,
            target=proxy.url.raw_path,
        ),
        "proxy_auth": proxy.raw_auth,
        "proxy_headers": proxy.headers.raw,
        "ssl_context": _ssl_context(),
        "proxy_ssl_context": _ssl_context() if proxy.url.scheme == "https" else None,
        "keepalive_expiry": KEEPALIVE,
    }


def _has_surplus(http: Any) -> bool:
    """Return whether more was read from an idle connection than the last answer.

    httpcore doesn't say so. Its parser does, inside of one connection within the other. If it isn't
    where it was, no connection is used again.
    """
    while inner := getattr(http, "_connection", None):
        http = inner
    parser: Any = getattr(http, "_h11_state", None)
    return parser is None or bool(parser.trailing_data[0])


def may_hide_data(origin: httpcore.Origin, proxy: httpx.Proxy | None) -> bool:
    """Return whether a connection's buffers can't be looked into.

    That is so for TLS within TLS, through a proxy.
    """
    return proxy is not None and proxy.url.scheme == "https" and origin.scheme == b"https"


class _Outgoing:
    """What is to be written of a request: its head waits for its body.

    So both leave in one write, which halves the time that the operating system takes. httpcore
    writes something after each head, if only nothing.
    """

    def __init__(self) -> None:
        self._begins = True
        self._head = b""

    def with_head(self, part: bytes) -> bytes:
        """Return what is to be written now that the next part of a request is known."""
        if self._begins:
            self._begins = False
            self._head = part
            return b""
        whole, self._head = self._head + part, b""
        return whole

    def end(self) -> None:
        """Expect a new request, since this one is being answered."""
        self._begins = True


# ---------------------------------------------------------------------------- threads


class _Stream(httpcore.NetworkStream):
    """A stream that keeps its connection's current exchange."""

    def __init__(self, stream: httpcore.NetworkStream, connection: _Connection) -> None:
        self._stream = stream
        self._connection = connection
        self._outgoing = _Outgoing()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._outgoing.end()
        left = self._connection.exchange.timeout(timeout, httpcore.ReadTimeout)
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        exchange = self._connection.exchange
        waiting = self._outgoing.with_head(buffer)
        for start in range(0, len(waiting), _MAX_WRITE):
            left = exchange.timeout(timeout, httpcore.WriteTimeout)
            exchange.sent = exchange.sent or self._connection.reaches_origin
            self._stream.write(waiting[start : start + _MAX_WRITE], left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._connection.exchange.timeout(timeout, httpcore.ConnectTimeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, left)
        self._connection.note_tls(server_hostname)
        return _Stream(stream, self._connection)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Connection(_Carrier, httpcore.NetworkBackend):
    """One connection to an origin, and the exchange that it carries now."""

    def __init__(
        self,
        origin: httpcore.Origin,
        exchange: Exchange,
        *,
        guarded: bool,
        proxy: httpx.Proxy | None = None,
    ) -> None:
        super().__init__(origin, exchange, proxy)
        self._guarded = guarded
        self._network = httpcore.SyncBackend()
        self.http: httpcore.ConnectionInterface
        if proxy:
            pool = httpcore.HTTPProxy(**_proxy_settings(proxy), network_backend=self)
            self.http = pool.create_connection(origin)
            return
        self.http = httpcore.HTTPConnection(
            origin,
            ssl_context=_ssl_context(),
            keepalive_expiry=KEEPALIVE,
            network_backend=self,
        )

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        until = time.monotonic() + self.exchange.timeout(timeout, httpcore.ConnectTimeout)
        addresses = addresses_of(host, until - time.monotonic())
        for tried, address in enumerate(addresses, start=1):
            share = _share(until, len(addresses) - tried + 1)
            try:
                stream = self._network.connect_tcp(
                    address, port, share, local_address, socket_options
                )
                break
            except (httpcore.ConnectTimeout, httpcore.ConnectError):
                if tried == len(addresses):
                    raise
        else:
            raise httpcore.ConnectError("the name has no address")
        if self._guarded:
            try:
                require_public(_peer(stream))
            except BaseException:
                stream.close()
                raise
        return _Stream(stream, self)


def _peer(stream: httpcore.NetworkStream) -> object:
    try:
        return stream.get_extra_info("server_addr")
    except OSError as reset:
        raise httpcore.ConnectError("the connection broke") from reset


class _AnswerStream:
    """An answer's body. Closing it gives its connection back."""

    def __init__(self, stream: Iterable[bytes], release: Callable[[bool], None]) -> None:
        self._stream = stream
        self._release: Callable[[bool], None] | None = release

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        """Close the body, and give the connection back. Safe to call again."""
        release, self._release = self._release, None
        if release is None:
            return
        is_intact = False  # an interruption may leave locks behind
        try:
            cast("httpcore.ConnectionInterface", self._stream).close()
            is_intact = True
        finally:
            release(is_intact)


def _popped(pop: Callable[[], _Connection]) -> _Connection | None:
    """Return what `pop` removes from a deque, None if there is nothing."""
    try:
        return pop()
    except IndexError:
        return None


def _close_all(connections: Mapping[_Origin, deque[_Connection]]) -> None:
    for idle in tuple(connections.values()):
        while connection := _popped(idle.pop):
            connection.http.close()


class _ProcessPool:
    """What both kinds of pools share.

    That is their settings, and the process whose connections they hold.
    """

    def __init__(self, *, guarded: bool, max_connections: int, proxy: httpx.Proxy | None) -> None:
        self._guarded = guarded
        self._proxy = proxy
        self._max_connections = max_connections
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """Begin without connections, as the pool of this process."""
        self._process = os.getpid()
        self._exchanges = Exchanges(self._max_connections)

    def _is_inherited(self) -> bool:
        """Return whether this is a fork's child, with its parent's connections."""
        return os.getpid() != self._process


class _Pool(_ProcessPool):
    """Connections for threads: what `httpcore.ConnectionPool` is to httpx.

    It holds no lock, which an interruption could leave behind: each step on shared data is one
    operation of a set, a deque or a dict.
    """

    def _begin(self) -> None:
        super()._begin()
        self._freed: SimpleQueue[None] = SimpleQueue()
        self._idle: dict[_Origin, deque[_Connection]] = {}

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request; return its answer, whose body is still to be read."""
        if self._is_inherited():
            # The parent would read the answers on these connections, too.
            inherited = self._idle
            self._begin()
            _close_all(inherited)
        exchange = _exchange(request)
        wait = exchange.timeout(_pool_timeout(request), httpcore.PoolTimeout)
        connection: _Connection | None = None
        try:
            self._enter(exchange, time.monotonic() + wait)
            connection = self._take(request, exchange)
            answer = connection.http.handle_request(request)
        except BaseException:
            if connection:
                connection.http.close()
            self._leave(exchange)
            raise
        used = connection

        def release(is_intact: bool) -> None:
            try:
                self._give_back(_key(request), used, is_intact=is_intact)
            finally:
                self._leave(exchange)

        return httpcore.Response(
            answer.status,
            headers=answer.headers,
            content=_AnswerStream(cast("Iterable[bytes]", answer.stream), release),
            extensions=_extensions(answer),
        )

    def _enter(self, exchange: Exchange, until: float) -> None:
        """Wait for a slot. Raises `PoolTimeout` at that time."""
        while not self._exchanges.add(exchange):
            left = until - time.monotonic()
            if left <= 0:
                raise httpcore.PoolTimeout("no free connection in time")
            with suppress(Empty):
                self._freed.get(timeout=min(left, RECHECK))

    def _leave(self, exchange: Exchange) -> None:
        """Free the slot, and wake one request that waits for it."""
        self._exchanges.remove(exchange)
        if self._freed.empty():
            self._freed.put(None)

    def _take(self, request: httpcore.Request, exchange: Exchange) -> _Connection:
        """Return the origin's latest idle connection that is still open, or a new one."""
        idle = self._idle.get(_key(request), deque())
        # Other threads take from it as well: only the attempt shows whether one is left.
        while connection := _popped(idle.pop):
            if not connection.http.has_expired():
                connection.exchange = exchange
                return connection
            connection.http.close()
        return _Connection(request.url.origin, exchange, guarded=self._guarded, proxy=self._proxy)

    def _give_back(self, key: _Origin, connection: _Connection, *, is_intact: bool) -> None:
        """Keep a connection that can be used again; close any other, and expired ones."""
        if not is_intact or self._closed or not connection.is_reusable(connection.http):
            connection.http.close()
            return
        idle = self._idle.setdefault(key, deque())
        idle.append(connection)
        while oldest := _popped(idle.popleft):
            if not oldest.http.has_expired():
                idle.appendleft(oldest)
                break
            oldest.http.close()
        if self._closed:  # meanwhile
            self.close()

    def close(self) -> None:
        """Close the idle connections; the others are closed as their answers are."""
        self._closed = True
        _close_all(self._idle)

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the pool."""
        self.close()


class NetworkTransport(httpx.HTTPTransport):
    """An httpx transport for threads, with the promises of this module.

    Args:
        guarded: Whether only public addresses may be connected to.
        max_connections: The most connections at once; a request beyond that waits.
        proxy: A proxy over HTTP, through which all connections go.
    """

    def __init__(
        self,
        *,
        guarded: bool = False,
        max_connections: int = MAX_CONNECTIONS,
        proxy: httpx.Proxy | None = None,
    ) -> None:
        # httpx's own constructor isn't called: it would make a TLS context and another pool.
        pool = _Pool(guarded=guarded, max_connections=max_connections, proxy=proxy)
        self._pool = cast("httpcore.ConnectionPool", pool)


# ---------------------------------------------------------------------------- asyncio


class _Reader(asyncio.StreamReader):
    """A reader that counts the bytes that it was fed.

    `asyncio` doesn't report what is unread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received = 0

    def feed_data(self, data: Any) -> None:
        """Take data from the transport."""
        self.received += len(data)
        super().feed_data(data)


async def _open_connection(address: str, port: int) -> tuple[_Reader, asyncio.StreamWriter]:
    """Do as `asyncio.open_connection` does, with a reader of our own."""
    loop = asyncio.get_running_loop()
    reader = _Reader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.create_connection(lambda: protocol, address, port)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _is_readable(sock: Any) -> bool:
    """Return whether a socket has data, or has ended, by the operating system."""
    with _Selector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


class _AsyncStream(httpcore.AsyncNetworkStream):
    """A stream of asyncio that keeps its connection's current exchange."""

    def __init__(
        self,
        reader: _Reader,
        writer: asyncio.StreamWriter,
        connection: _AsyncConnection,
    ) -> None:
        self._reader = reader
        self._taken = 0
        self._writer = writer
        self._connection = connection
        self._outgoing = _Outgoing()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._outgoing.end()
        left = self._connection.exchange.timeout(timeout, httpcore.ReadTimeout)
        try:
            async with asyncio.timeout(left):
                data = await self._reader.read(max_bytes)
        except TimeoutError as failure:
            raise httpcore.ReadTimeout(str(failure)) from failure
        except OSError as failure:
            raise httpcore.ReadError(str(failure)) from failure
        self._taken += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        exchange = self._connection.exchange
        waiting = self._outgoing.with_head(buffer)
        if not waiting:
            return
        left = exchange.timeout(timeout, httpcore.WriteTimeout)
        exchange.sent = exchange.sent or self._connection.reaches_origin
        try:
            self._writer.write(waiting)
            if self._writer.transport.get_write_buffer_size():
                async with asyncio.timeout(left):
                    await self._writer.drain()
        except TimeoutError as failure:
            raise httpcore.WriteTimeout(str(failure)) from failure
        except OSError as failure:
            raise httpcore.WriteError(str(failure)) from failure

    async def aclose(self) -> None:
        # Waiting for a peer that doesn't answer the TLS closure would hold the task up.
        self._writer.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left = self._connection.exchange.timeout(timeout, httpcore.ConnectTimeout)
        try:
            async with asyncio.timeout(left):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except TimeoutError as failure:
            self._writer.close()
            raise httpcore.ConnectTimeout(str(failure)) from failure
        except OSError as failure:  # ssl.SSLError is one
            self._writer.close()
            raise httpcore.ConnectError(str(failure)) from failure
        except BaseException:
            self._writer.close()
            raise
        self._connection.note_tls(server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._is_readable()
        names = {"server_addr": "peername", "client_addr": "sockname"}
        return self._writer.get_extra_info(names.get(info, info))

    def _is_readable(self) -> bool:
        """Return whether the connection ended, or data waits.

        Data waits in the reader or in the system's buffer.
        """
        if self._reader.at_eof() or self._writer.is_closing():
            return True
        if self._reader.received > self._taken:
            return True
        return _is_readable(self._writer.get_extra_info("socket"))


class _AsyncConnection(_Carrier, httpcore.AsyncNetworkBackend):
    """One connection to an origin, and the exchange that it carries now."""

    def __init__(
        self,
        origin: httpcore.Origin,
        exchange: Exchange,
        *,
        guarded: bool,
        proxy: httpx.Proxy | None = None,
    ) -> None:
        super().__init__(origin, exchange, proxy)
        self._guarded = guarded
        self.http: httpcore.AsyncConnectionInterface
        if proxy:
            pool = httpcore.AsyncHTTPProxy(**_proxy_settings(proxy), network_backend=self)
            self.http = pool.create_connection(origin)
            return
        self.http = httpcore.AsyncHTTPConnection(
            origin,
            ssl_context=_ssl_context(),
            keepalive_expiry=KEEPALIVE,
            network_backend=self,
        )

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del local_address, socket_options
        until = time.monotonic() + self.exchange.timeout(timeout, httpcore.ConnectTimeout)
        addresses = await async_addresses_of(host, until - time.monotonic())
        for tried, address in enumerate(addresses, start=1):
            share = _share(until, len(addresses) - tried + 1)
            try:
                async with asyncio.timeout(share):
                    reader, writer = await _open_connection(address, port)
                break
            except TimeoutError as failure:
                if tried == len(addresses):
                    raise httpcore.ConnectTimeout(str(failure)) from failure
            except OSError as failure:
                if tried == len(addresses):
                    raise httpcore.ConnectError(str(failure)) from failure
        else:
            raise httpcore.ConnectError("the name has no address")
        if self._guarded:
            try:
                require_public(writer.get_extra_info("peername"))
            except BaseException:
                writer.close()
                raise
        return _AsyncStream(reader, writer, self)


class _AsyncAnswerStream:
    """An answer's body. Closing it gives its connection back."""

    def __init__(
        self,
        stream: AsyncIterable[bytes],
        release: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._stream = stream
        self._release: Callable[[bool], Awaitable[None]] | None = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        """Close the body, and give the connection back. Safe to call again."""
        release, self._release = self._release, None
        if release is None:
            return
        is_intact = False
        try:
            await cast("httpcore.AsyncConnectionInterface", self._stream).aclose()
            is_intact = True
        finally:
            await release(is_intact)


_inherited: list[object] = []


class _AsyncPool(_ProcessPool):
    """Connections for asyncio: what `httpcore.AsyncConnectionPool` is to httpx."""

    def _begin(self) -> None:
        super()._begin()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: dict[_Origin, deque[_AsyncConnection]] = {}

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request; return its answer, whose body is still to be read."""
        if self._is_inherited():
            # See `_Pool`. The inherited ones aren't closed, nor collected as garbage, which closes
            # them as well: the child shares the selector of its parent's loop.
            _inherited.append(self._idle)
            self._begin()
        exchange = _exchange(request)
        wait = exchange.timeout(_pool_timeout(request), httpcore.PoolTimeout)
        connection: _AsyncConnection | None = None
        try:
            await self._enter(exchange, time.monotonic() + wait)
            connection = await self._take(request, exchange)
            answer = await connection.http.handle_async_request(request)
        except BaseException:
            self._leave(exchange)
            if connection:
                await connection.http.aclose()
            raise
        used = connection

        async def release(is_intact: bool) -> None:
            self._leave(exchange)
            await self._give_back(_key(request), used, is_intact=is_intact)

        return httpcore.Response(
            answer.status,
            headers=answer.headers,
            content=_AsyncAnswerStream(cast("AsyncIterable[bytes]", answer.stream), release),
            extensions=_extensions(answer),
        )

    async def _enter(self, exchange: Exchange, until: float) -> None:
        """Wait for a slot. Raises `PoolTimeout` at that time."""
        while not self._exchanges.add(exchange):
            left = until - time.monotonic()
            if left <= 0:
                raise httpcore.PoolTimeout("no free connection in time")
            freed = asyncio.get_running_loop().create_future()
            self._waiting.append(freed)
            try:
                await asyncio.wait([freed], timeout=min(left, RECHECK))
            finally:
                with suppress(ValueError):  # it was woken
                    self._waiting.remove(freed)

    def _leave(self, exchange: Exchange) -> None:
        """Free the slot, and wake one request that waits for it."""
        self._exchanges.remove(exchange)
        if self._waiting:
            freed = self._waiting.popleft()
            freed.set_result(None)

    async def _take(self, request: httpcore.Request, exchange: Exchange) -> _AsyncConnection:
        """Return the origin's latest idle connection that is still open, or a new one."""
        idle = self._idle.get(_key(request))
        while idle:
            connection = idle.pop()
            if not connection.http.has_expired():
                connection.exchange = exchange
                return connection
            await connection.http.aclose()
        return _AsyncConnection(
            request.url.origin, exchange, guarded=self._guarded, proxy=self._proxy
        )

    async def _give_back(
        self, key: _Origin, connection: _AsyncConnection, *, is_intact: bool
    ) -> None:
        """Keep a connection that can be used again; close any other, and expired ones."""
        if not is_intact or self._closed or not connection.is_reusable(connection.http):
            await connection.http.aclose()
            return
        idle = self._idle.setdefault(key, deque())
        idle.append(connection)
        while idle and idle[0].http.has_expired():
            await idle.popleft().http.aclose()

    async def aclose(self) -> None:
        """Close the idle connections; the others are closed as their answers are."""
        self._closed = True
        connections = [connection for idle in self._idle.values() for connection in idle]
        self._idle.clear()
        for connection in connections:
            await connection.http.aclose()

    async def __aenter__(self) -> Self:
        """Return the pool."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the pool."""
        await self.aclose()


class AsyncNetworkTransport(httpx.AsyncHTTPTransport):
    """An httpx transport for asyncio, with the promises of this module.

    See `NetworkTransport`.
    """

    def __init__(
        self,
        *,
        guarded: bool = False,
        max_connections: int = MAX_CONNECTIONS,
        proxy: httpx.Proxy | None = None,
    ) -> None:
        # httpx's own constructor isn't called: it would make a TLS context and another pool.
        pool = _AsyncPool(guarded=guarded, max_connections=max_connections, proxy=proxy)
        self._pool = cast("httpcore.AsyncConnectionPool", pool)


# ---------------------------------------------------------------------------- clients


class _Client(httpx.Client):
    """A client that sends each request as it is, over a network of ours.

    It looks for no redirect, cookie or authentication, which would take a third of the time of a
    request. All of these are settled before a request comes here.
    """

    def __init__(self, network: NetworkTransport) -> None:
        super().__init__(transport=network, trust_env=False)
        self._network = network

    def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: object = None,
        follow_redirects: object = None,
    ) -> httpx.Response:
        """Send a request, and read its answer unless it is to be streamed."""
        del auth, follow_redirects
        if self.is_closed:
            raise RuntimeError("the client is closed")
        answer = self._network.handle_request(request)
        answer.request = request
        _log_request(request, answer)
        if not stream:
            with closing(answer):
                answer.read()
        return answer


class _AsyncClient(httpx.AsyncClient):
    """The same for asyncio."""

    def __init__(self, network: AsyncNetworkTransport) -> None:
        super().__init__(transport=network, trust_env=False)
        self._network = network

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: object = None,
        follow_redirects: object = None,
    ) -> httpx.Response:
        """Send a request, and read its answer unless it is to be streamed."""
        del auth, follow_redirects
        if self.is_closed:
            raise RuntimeError("the client is closed")
        answer = await self._network.handle_async_request(request)
        answer.request = request
        _log_request(request, answer)
        if not stream:
            async with aclosing(answer):
                await answer.aread()
        return answer


_LOG = logging.getLogger("httpx")


def _log_request(request: httpx.Request, answer: httpx.Response) -> None:
    """Log a request as httpx's own clients do."""
    _LOG.info(
        'HTTP Request: %s %s "%s %d %s"',
        request.method,
        request.url,
        answer.http_version,
        answer.status_code,
        answer.reason_phrase,
    )


def new_client(
    base_url: str, *, guarded: bool = False, max_connections: int = MAX_CONNECTIONS
) -> httpx.Client:
    """Return a client for a platform's address.

    A proxy that the environment names is used, but never for the loopback, nor when only public
    addresses are allowed: the proxy would choose the address then. The client sends what it is
    given: redirects, cookies and authentication are its user's.

    Raises:
        ConfigError: The environment names a proxy that isn't spoken to over HTTP.
    """
    proxy = None if guarded else _environment_proxy(base_url)
    return _Client(NetworkTransport(guarded=guarded, max_connections=max_connections, proxy=proxy))


def new_async_client(base_url: str, *, guarded: bool = False) -> httpx.AsyncClient:
    """Return an async client for a platform's address. See `new_client`."""
    proxy = None if guarded else _environment_proxy(base_url)
    return _AsyncClient(AsyncNetworkTransport(guarded=guarded, proxy=proxy))


def _environment_proxy(base_url: str) -> httpx.Proxy | None:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if _is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    kind = parts.scheme if parts.scheme in proxies else "all"
    if kind not in proxies:
        return None
    try:
        proxy = httpx.Proxy(_with_scheme(proxies[kind]))
    except (ValueError, httpx.InvalidURL):
        proxy = None
    if proxy is None or proxy.url.scheme not in _HTTP:
        # The address isn't shown: a password may be in it.
        raise ConfigError(
            f"{_variable(kind)} names a proxy that Tillpost can't use: only proxies over http and "
            "https are. Name one of these, add the host to NO_PROXY, or pass a client of your own "
            "as http_client"
        )
    return proxy


def _variable(kind: str) -> str:
    """Return the name of the environment variable for a kind of proxy.

    `getproxies` reads the proxy from it.
    """
    name = f"{kind}_proxy"
    if os.environ.get(name):
        return name
    return name.upper() if os.environ.get(name.upper()) else "the system's setting"


def _with_scheme(address: str) -> str:
    if "://" in address:
        return address
    return f"http://{address}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
