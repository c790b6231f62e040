"""Transports that send a request over httpx and return an answer or a `Fault`.

Only interruptions are raised. `HttpTransport` is for threads, `AsyncHttpTransport` for tasks; both
are the same few steps around httpx, and both are driven by the clients and the outbox's runner. A
fault says whether the request may have had an effect: a refused connection never carried it
(`applied` NO), a timeout or a reset after it was written may have (`MAYBE`). Answers are bounded in
size and time. Redirects aren't followed, so no other host sees the token.

Secrets that an answer echoes are masked in it (`adapter.echoes`). They aren't masked in httpcore's
log, which at DEBUG quotes the head of each answer (never of a request). httpx logs our requests
without the values of their queries (`request_log`).

Answers are decompressed here, not by httpx: httpx decompresses a whole chunk, and nested encodings,
before its size can be checked, so that a few kilobytes could fill the memory.
"""

from __future__ import annotations

import asyncio
import math
import time
import zlib
from base64 import b64decode
from codecs import BOM_UTF8
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import httpx

from tillpost.adapter.base import Adapter, Credentials, Signed
from tillpost.adapter.echoes import without_secrets
from tillpost.adapter.exchange import Fault, Request, Response
from tillpost.errors import Applied, ConfigError, as_exception
from tillpost.transport.address_guard import (
    NOT_PUBLIC,
    UNPROVED,
    AddressProof,
    BarredError,
    over_public,
)
from tillpost.transport.gzip_stream import GzipStream
from tillpost.transport.network import EXCHANGE, Exchange
from tillpost.transport.request_log import QuietUrl

__all__ = ["AsyncHttpTransport", "HttpTransport", "Limits", "largest_body"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the time and size of an answer. Times are in seconds.

    Attributes:
        connect: The longest wait for a connection.
        read: The longest wait for the next bytes.
        answer: The longest time for the whole exchange, so that a server that sends slowly can't
            hold an order up for ever. With an `http_client` of your own, `Till` checks it with each
            chunk of the body only, and each wait for headers is bounded by `read` alone.
        answer_bytes: The largest body, decompressed.
        menu_bytes: The same for a page of a menu.
        menu_import: The longest time for a menu import, however many pages the menu has. It ends
            with the page that is being read. Kounta lists the options of each product on a page of
            its own, and takes 180 requests a minute: a menu of 10,000 products takes an hour.
        operation: The same for any other operation, such as a search of many pages.
    """

    connect: float = 5.0
    read: float = 15.0
    answer: float = 30.0
    answer_bytes: int = 4 * 1024 * 1024
    menu_bytes: int = 8 * 1024 * 1024
    menu_import: float = 5400.0
    operation: float = 120.0

    def __post_init__(self) -> None:
        """Raise `ConfigError` for what is no limit: 0, a negative number, NaN, infinity."""
        for limit in fields(self):
            value = getattr(self, limit.name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"limits: {limit.name} must be a number above 0, not {value!r}")

    def timeout(self) -> httpx.Timeout:
        """Return the limits that httpx applies."""
        read = min(self.read, self.answer)
        connect = min(self.connect, self.answer)
        return httpx.Timeout(read, connect=connect)

    @property
    def too_slow(self) -> Fault:
        """The fault of an exchange that takes too long."""
        return Fault(Applied.MAYBE, f"the answer took longer than {self.answer:g} s")


def largest_body(limits: Limits, request: Request[Any]) -> int:
    """Return how many bytes the body of a request's answer may have."""
    return limits.menu_bytes if request.is_menu else limits.answer_bytes


class _Body:
    """An answer's body as it is received: decompressed, and bounded in size and time."""

    def __init__(
        self,
        answer: httpx.Response,
        limits: Limits,
        deadline: float,
        *,
        largest: int,
        public_only: bool,
    ) -> None:
        self._limits = limits
        self._largest = largest
        self._deadline = deadline
        self._body: bytes | bytearray = bytearray()
        self._fault: Fault | None = None
        self._gzip: GzipStream | None = None
        if public_only and not over_public(answer):
            is_known = "network_stream" in answer.extensions
            text = NOT_PUBLIC if is_known else UNPROVED
            self._fault = Fault(Applied.MAYBE, text, barred=True)
            return
        if answer.is_stream_consumed:  # a mock transport has the whole body, decompressed
            self._body = answer.content
            self._check_limits()
            return
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("gzip", "x-gzip"):
            self._gzip = GzipStream()
        elif encoding not in ("", "identity"):
            text = "the answer is packed in a way that wasn't asked for"
            self._fault = Fault(Applied.MAYBE, text)

    def add(self, chunk: bytes) -> Fault | None:
        """Add a chunk as received; return a fault when no more is to be read."""
        try:
            if self._gzip is None:
                self._body += chunk
            else:
                # One byte more than allowed is enough to know that the body is too large.
                room = self._largest + 1 - len(self._body)
                self._body += self._gzip.decompress(chunk, room)
        except zlib.error:
            self._fault = _NOT_DECOMPRESSED
        return self._check_limits()

    def _check_limits(self) -> Fault | None:
        if len(self._body) > self._largest:
            text = f"the answer is larger than {self._largest} bytes"
            self._fault = Fault(Applied.MAYBE, text)
        elif time.monotonic() > self._deadline:
            self._fault = self._limits.too_slow
        return self._fault

    def whole(self) -> bytes | Fault:
        """Return the body, once all of it was added, without a byte order mark.

        JSON has none, but some servers send it, and a reader may ignore it (RFC 8259, section 8.1).
        """
        if self._fault:
            return self._fault
        if self._gzip and not self._gzip.is_whole:
            return _NOT_DECOMPRESSED
        return bytes(self._body).removeprefix(BOM_UTF8)


_NOT_DECOMPRESSED = Fault(Applied.MAYBE, "the answer can't be unpacked")

_SIGNED = httpx.Auth()
"""Adds nothing to a request, since that is signed already.

This is so whatever credentials the client has.
"""


class _BaseTransport:
    """What both transports share: making the httpx request, and reading its answer."""

    def __init__(
        self,
        client: httpx.Client | httpx.AsyncClient,
        adapter: Adapter[Any],
        limits: Limits,
        *,
        own_network: bool,
        clock: Callable[[], float],
    ) -> None:
        self._adapter = adapter
        self._clock = clock
        self._own_network = own_network
        # None rather than no cookies: httpx would look for those of the request's host.
        self._cookies = None if own_network else _cookies_before_answers(client) or None
        self._base_url: str = adapter.config.base_url
        self._limits = limits
        self._timeout = limits.timeout().as_dict()

    def _new_exchange(self) -> Exchange:
        return Exchange(time.monotonic() + self._limits.answer)

    def _fault(self, failure: Exception, exchange: Exchange) -> Fault:
        is_late = time.monotonic() >= exchange.deadline
        if is_late and not exchange.surely_unsent:
            return self._limits.too_slow
        return fault_of(failure, exchange)

    @property
    def _guards(self) -> bool:
        """Whether addresses are guarded here. A client of our own does it by itself."""
        return self._adapter.public_only and not self._own_network

    def _build(
        self,
        client: httpx.Client | httpx.AsyncClient,
        request: Request[Any],
        credentials: Credentials,
        extensions: dict[str, Any],
    ) -> httpx.Request | Fault:
        """Return the signed request. It alone holds the credentials."""
        try:
            url = _request_url(self._base_url, request.path)
        except ValueError:
            return _NO_PATH
        try:
            signed = self._signed(request, credentials)
            headers = {"Accept-Encoding": "gzip", **signed.headers, **request.headers}
            if self._guards:  # a connection that is kept could be used again without a check
                headers["Connection"] = "close"
            outgoing = httpx.Request(
                request.method,
                url,
                params=client.params or None,
                cookies=self._cookies,
                content=request.body if signed.body is None else signed.body,
                headers=_merged(client.headers, headers),
                extensions=extensions,
            )
            outgoing.url = QuietUrl(outgoing.url)
            return outgoing
        except Exception as failure:  # noqa: BLE001  an invalid header or URL: nothing was sent
            return Fault(Applied.NO, f"the request can't be made ({type(failure).__name__})")

    def _signed(self, request: Request[Any], credentials: Credentials) -> Signed:
        """Return what the adapter adds to a request; whatever it raises is an `Exception`."""
        try:
            leaving = replace(request, sent_at=self._clock())
            return self._adapter.sign(leaving, credentials)
        except BaseException as failure:  # noqa: BLE001  see `as_exception`
            raise as_exception(failure) from None

    def _secrets(self, credentials: Credentials, outgoing: httpx.Request) -> Iterator[str]:
        """Yield all secrets that a server may echo, as known and as sent."""
        yield from credentials.secrets()
        yield from self._adapter.config.secrets()
        _, _, sent = outgoing.headers.get("Authorization", "").partition(" ")
        yield sent
        with suppress(ValueError):  # not what basic authentication sends
            _, _, password = b64decode(sent, validate=True).decode().partition(":")
            yield password

    def _new_body(self, answer: httpx.Response, request: Request[Any], exchange: Exchange) -> _Body:
        return _Body(
            answer,
            self._limits,
            exchange.deadline,
            largest=largest_body(self._limits, request),
            public_only=self._guards,
        )

    def _read(
        self,
        request: Request[Any],
        credentials: Credentials,
        outgoing: httpx.Request,
        answer: httpx.Response,
        body: bytes | Fault,
    ) -> Response | Fault:
        """Return the answer, with our own secrets masked where the server echoed them."""
        if isinstance(body, Fault):
            return body
        names = [name.lower().decode("latin-1") for name, _ in answer.headers.raw]
        lines = b"\n".join(value for _, value in answer.headers.raw)  # no value has a line break
        # They are collected each time: if they were stored, a traceback's locals would show them.
        secrets = self._secrets(credentials, outgoing)
        # The answer to a private request may well consist of a secret, even an unchanged one.
        is_grant = request.private and answer.is_success
        if is_grant:
            (lines,) = without_secrets(secrets, lines)
        else:
            lines, body = without_secrets(secrets, lines, body)
        shown = lines.decode("latin-1").split("\n")
        decoded = dict(zip(names, shown, strict=bool(names)))
        return Response(answer.status_code, decoded, body)


_own_cookies: WeakKeyDictionary[httpx.Client | httpx.AsyncClient, httpx.Cookies] = (
    WeakKeyDictionary()
)


def _cookies_before_answers(client: httpx.Client | httpx.AsyncClient) -> httpx.Cookies:
    """Return the cookies that a given client had when it was first given to us.

    Those that answers add aren't sent. Several stores may share the client; and what a proxy adds
    may grow beyond what a server takes, or can't be sent at all.
    """
    return _own_cookies.setdefault(client, httpx.Cookies(client.cookies))


def _merged(
    client_headers: httpx.Headers, overrides: Mapping[str, str]
) -> list[tuple[bytes, bytes]]:
    """Return the client's headers overridden by ours.

    `build_request` does the same in twice the time.
    """
    encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in overrides.items()]
    overridden = {name.lower() for name, _ in encoded}
    others = [header for header in client_headers.raw if header[0].lower() not in overridden]
    return [*others, *encoded]


_NO_PATH = Fault(
    Applied.NO,
    "the request's path could lead to another host or resource, so nothing was sent: an id or an "
    "address in it isn't one",
    barred=True,
)


@lru_cache(256)
def _request_url(base_url: str, path: str) -> httpx.URL:
    """Return the URL of a request, whose origin is the platform's.

    Each is parsed once: most requests go to a few, and parsing is half of making a request.

    Raises:
        ValueError: The path isn't plain, or leads to another host. Ids and addresses in it may be
            the platform's or a caller's, who could choose where the token goes.
    """
    quoted = path.partition("?")[0]
    resource = unquote(quoted)  # some servers split a path after they have unquoted it
    first, *segments = resource.split("/")
    if first or not segments or {"", ".", ".."} & {*segments[:-1], segments[-1] or "-"}:
        raise ValueError("not a path, or one that leads elsewhere")
    if "@" in quoted or "#" in path or " " in path or "\\" in resource:
        raise ValueError("parsers disagree on these")
    if not path.isprintable() or not resource.isprintable():
        raise ValueError("control characters")
    url = httpx.URL(base_url + path)
    if _origin(url) != _origin(httpx.URL(base_url)):
        raise ValueError("another origin")
    return url


def _origin(url: httpx.URL) -> tuple[object, ...]:
    return url.scheme, url.host, url.port, url.userinfo


class HttpTransport(_BaseTransport):
    """A transport for threads. Its creator closes the client.

    `own_network` says that the client is one of `network.new_client`; any other is watched through
    httpx's `trace` extension. `clock` returns the time of signatures, in epoch seconds.
    """

    def __init__(
        self,
        client: httpx.Client,
        adapter: Adapter[Any],
        limits: Limits,
        *,
        own_network: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(client, adapter, limits, own_network=own_network, clock=clock)
        self._client = client

    def send(self, request: Request[Any], credentials: Credentials) -> Response | Fault:
        """Send the request once.

        An interruption (Ctrl-C) is raised without the frames that hold the token.
        """
        interruption: BaseException
        exchange = self._new_exchange()
        try:
            return self._exchange(request, credentials, exchange)
        except Exception as failure:  # noqa: BLE001  any exception of the transport becomes a fault
            return self._fault(failure, exchange)
        except BaseException as stop:  # noqa: BLE001  see `_without_frames`
            interruption = _without_frames(stop)
        finally:
            # Whatever was interrupted on the way here, the exchange holds no connection any more.
            exchange.ended = True
        raise interruption

    def _exchange(
        self,
        request: Request[Any],
        credentials: Credentials,
        exchange: Exchange,
    ) -> Response | Fault:
        extensions: dict[str, Any] = {"timeout": self._timeout, EXCHANGE: exchange}
        if not self._own_network:
            extensions["trace"] = self._tracer(exchange)
        outgoing = self._build(self._client, request, credentials, extensions)
        if isinstance(outgoing, Fault):
            return outgoing
        answer = self._client.send(outgoing, stream=True, auth=_SIGNED, follow_redirects=False)
        try:
            body = self._new_body(answer, request, exchange)
            if not answer.is_stream_consumed:
                for chunk in cast("Iterable[bytes]", answer.stream):
                    if body.add(chunk):
                        break
            return self._read(request, credentials, outgoing, answer, body.whole())
        finally:
            answer.close()

    def _tracer(self, exchange: Exchange) -> Callable[[str, Mapping[str, Any]], None]:
        """Return a `trace` callback that watches the exchange, and guards its address."""
        proof = AddressProof() if self._guards else None

        def trace(event: str, info: Mapping[str, Any]) -> None:
            exchange.trace(event, info)
            if proof:
                proof.trace(event, info)

        return trace


class AsyncHttpTransport(_BaseTransport):
    """A transport for tasks. Its creator closes the client. See `HttpTransport`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        adapter: Adapter[Any],
        limits: Limits,
        *,
        own_network: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(client, adapter, limits, own_network=own_network, clock=clock)
        self._client = client

    async def send(self, request: Request[Any], credentials: Credentials) -> Response | Fault:
        """Send the request once.

        A cancellation is raised without the frames that hold the token.
        """
        interruption: BaseException
        exchange = self._new_exchange()
        try:
            async with asyncio.timeout(self._limits.answer):
                return await self._exchange(request, credentials, exchange)
        except Exception as failure:  # noqa: BLE001  any exception of the transport becomes a fault
            return self._fault(failure, exchange)
        except BaseException as stop:  # noqa: BLE001  see `_without_frames`
            interruption = _without_frames(stop)
        finally:
            # Whatever was interrupted on the way here, the exchange holds no connection any more.
            exchange.ended = True
        raise interruption

    async def _exchange(
        self,
        request: Request[Any],
        credentials: Credentials,
        exchange: Exchange,
    ) -> Response | Fault:
        extensions: dict[str, Any] = {"timeout": self._timeout, EXCHANGE: exchange}
        if not self._own_network:
            extensions["trace"] = self._tracer(exchange)
        outgoing = self._build(self._client, request, credentials, extensions)
        if isinstance(outgoing, Fault):
            return outgoing
        answer = await self._client.send(
            outgoing,
            stream=True,
            auth=_SIGNED,
            follow_redirects=False,
        )
        try:
            body = self._new_body(answer, request, exchange)
            if not answer.is_stream_consumed:
                async for chunk in cast("AsyncIterable[bytes]", answer.stream):
                    if body.add(chunk):
                        break
            return self._read(request, credentials, outgoing, answer, body.whole())
        finally:
            await answer.aclose()

    def _tracer(self, exchange: Exchange) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
        """Return a `trace` callback that watches the exchange, and guards its address."""
        proof = AddressProof() if self._guards else None

        async def trace(event: str, info: Mapping[str, Any]) -> None:
            exchange.trace(event, info)
            if proof:
                await proof.atrace(event, info)

        return trace


# What each exception of httpx says of the request, subclasses first. What became of the request is
# taken from the exchange where anything watched it.
_FAULTS: tuple[tuple[type[Exception], Applied, str], ...] = (
    (httpx.ConnectTimeout, Applied.NO, "no connection in time"),
    (httpx.PoolTimeout, Applied.NO, "no free connection in time"),
    (httpx.ConnectError, Applied.NO, "no connection"),
    (httpx.ProxyError, Applied.NO, "the proxy refused"),
    (httpx.UnsupportedProtocol, Applied.NO, "no such protocol"),
    (httpx.LocalProtocolError, Applied.NO, "the request can't be written as HTTP"),
    # The request's own URL was parsed before: this one is the platform's, of a redirect.
    (httpx.InvalidURL, Applied.MAYBE, "the answer names an invalid address"),
    (httpx.ReadTimeout, Applied.MAYBE, "no answer in time"),
    (TimeoutError, Applied.MAYBE, "no answer in time"),  # asyncio's, for the whole exchange
    (httpx.WriteTimeout, Applied.MAYBE, "the request wasn't taken in time"),
    (httpx.RemoteProtocolError, Applied.MAYBE, "the connection ended before the answer was whole"),
    (httpx.DecodingError, Applied.MAYBE, "the answer can't be unpacked"),
    (httpx.NetworkError, Applied.MAYBE, "the connection broke"),
)


def fault_of(failure: Exception, exchange: Exchange) -> Fault:
    """Return what a transport's exception means for the request.

    Whether the request may have had an effect follows from whether its first byte was written, not
    from the exception. The exception's own text is left out, since it may quote a header.
    """
    if isinstance(failure, BarredError):
        return Fault(Applied.NO, str(failure), barred=True)
    applied = Applied.MAYBE
    text = f"the transport failed ({type(failure).__name__})"
    for kind, by_type, words in _FAULTS:
        if isinstance(failure, kind):
            applied = Applied.MAYBE if _is_http2(failure) else by_type
            text = f"{words}{_reason(failure)}"
            break
    if exchange.observed:
        applied = Applied.MAYBE if exchange.sent else Applied.NO
    return Fault(applied, text)


def _chain(failure: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_http2(failure: BaseException) -> bool:
    """Return whether the failure is one of HTTP/2.

    httpx reports it as a local error even when the platform caused it and has the request.
    """
    return any(type(cause).__module__.startswith("h2.") for cause in _chain(failure))


def _reason(failure: BaseException) -> str:
    """Return the operating system's words for a failure, if it has any.

    Such words are ": Connection refused".
    """
    for cause in _chain(failure):
        if isinstance(cause, OSError) and cause.strerror:
            return f": {cause.strerror}"
    return ""


def _without_frames(stop: BaseException) -> BaseException:
    """Return an interruption without traceback and context.

    Their frames hold the request.
    """
    group: tuple[BaseException, ...] = getattr(stop, "exceptions", ())
    for part in group:
        _without_frames(part)
    stop.__cause__ = None
    stop.__context__ = None
    return stop.with_traceback(None)
