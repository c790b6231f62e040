"""Carries a request out over httpx and brings back an answer or a fault: never an exception, never a token's frame.

`HttpTransport` is sync, `AsyncHttpTransport` is async; both are the same few steps around httpx.
What the network did is said in terms of the request: a connection that was refused never carried it
(`applied` NO), a timeout or a reset after it left may have (`MAYBE`). Answers are bounded in size
and time, and redirects aren't followed, so no other host ever sees the token.

Secrets that an answer echoes are scrubbed from it, not from the log of httpcore, which at DEBUG
quotes the head of each answer (never of a request).

Answers are unpacked here and not by httpx, which unpacks a whole piece, and packing within packing,
before anyone can see how large it is: a few kilobytes could fill the memory.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import httpx

from tillpost.adapter.base import Adapter, Credentials
from tillpost.adapter.exchange import Fault, Request, Response
from tillpost.errors import Applied
from tillpost.transport.address_guard import (
    NOT_PUBLIC,
    BarredError,
    guard,
    guard_async,
    over_public,
)

__all__ = ["AsyncHttpTransport", "HttpTransport", "Limits"]

SHORTEST_SECRET = 8
"""Scrubbing a shorter text out of answers would spoil what has nothing to do with it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an answer may cost. Times are in seconds; `answer_bytes` counts the unpacked body.

    `connect` and `read` bound each single wait of the network; `answer` bounds the whole exchange,
    so that a server that drips can't hold an order up for ever. `Till` looks at that clock with
    each piece of the body; the headers, of which httpx takes some 100 kB, are bounded by `read`
    alone. `AsyncTill` bounds all of it.
    """

    connect: float = 5.0
    read: float = 15.0
    answer: float = 30.0
    answer_bytes: int = 16 * 1024 * 1024

    def timeout(self) -> httpx.Timeout:
        """Return the bounds that httpx keeps."""
        return httpx.Timeout(min(self.read, self.answer), connect=min(self.connect, self.answer))

    @property
    def too_slow(self) -> Fault:
        """What an exchange that takes too long comes to."""
        return Fault(Applied.MAYBE, f"the answer took longer than {self.answer:g} s")


class _Body:
    """An answer's body as it comes in, unpacked, and no larger or later than it may be."""

    def __init__(
        self, answer: httpx.Response, limits: Limits, until: float, *, public_only: bool
    ) -> None:
        self._limits = limits
        self._until = until
        self._body: bytes | bytearray = bytearray()
        self._fault: Fault | None = None
        self._unpacker = None
        if answer.is_stream_consumed:  # a transport without a network has it ready, and unpacked
            self._body = answer.content
            self._bounded()
            return
        packed = answer.headers.get("content-encoding", "identity").strip().lower()
        if public_only and not over_public(answer):
            self._fault = Fault(Applied.MAYBE, NOT_PUBLIC, barred=True)
        elif packed in ("gzip", "x-gzip"):
            self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif packed not in ("", "identity"):
            self._fault = Fault(
                Applied.MAYBE, "the answer is packed in a way that wasn't asked for"
            )

    def take(self, piece: bytes) -> Fault | None:
        """Add a piece as it came; return why no more is to be read."""
        try:
            if self._unpacker is None:
                self._body += piece
            elif not self._unpacker.eof:  # one byte more than allowed is enough to know
                self._body += self._unpacker.decompress(
                    piece, self._limits.answer_bytes + 1 - len(self._body)
                )
        except zlib.error:
            self._fault = _NOT_UNPACKED
        return self._bounded()

    def _bounded(self) -> Fault | None:
        most = self._limits.answer_bytes
        if len(self._body) > most:
            self._fault = Fault(Applied.MAYBE, f"the answer is larger than {most} bytes")
        elif time.monotonic() > self._until:
            self._fault = self._limits.too_slow
        return self._fault

    def whole(self) -> bytes | Fault:
        """Return the body, once all of it has come."""
        cut_off = self._unpacker and self._body and not self._unpacker.eof
        return self._fault or (_NOT_UNPACKED if cut_off else bytes(self._body))


_NOT_UNPACKED = Fault(Applied.MAYBE, "the answer can't be unpacked")


_SIGNED = httpx.Auth()
"""Adds nothing to a request, which is signed already, whatever the client's own credentials are."""


class _Wire:
    """What both lines share: making the httpx request, reading what came of it."""

    def __init__(self, adapter: Adapter[Any], limits: Limits, trace: Callable[..., object]) -> None:
        self._adapter = adapter
        self._base_url: str = adapter.config.base_url
        self._limits = limits
        self._extensions: dict[str, object] = {"timeout": limits.timeout().as_dict()}
        if adapter.public_only:
            self._extensions["trace"] = trace

    def _outgoing(
        self,
        client: httpx.Client | httpx.AsyncClient,
        request: Request[Any],
        credentials: Credentials,
    ) -> httpx.Request | Fault:
        """Return the request as it goes on the wire. It alone holds the credentials."""
        try:
            signed = self._adapter.sign(request, credentials)
            headers = {"Accept-Encoding": "gzip", **signed.headers, **request.headers}
            return httpx.Request(
                request.method,
                _address(self._base_url + request.path),
                params=client.params or None,
                cookies=client.cookies,
                content=request.body if signed.body is None else signed.body,
                headers=_over(client.headers, headers),
                extensions=self._extensions,
            )
        except Exception as failure:  # noqa: BLE001  a header or an address that can't be written: nothing has left
            return Fault(Applied.NO, f"the request can't be made ({type(failure).__name__})")

    def _answer(
        self,
        request: Request[Any],
        credentials: Credentials,
        answer: httpx.Response,
        body: bytes | Fault,
    ) -> Response | Fault:
        """Return the answer, without any of our secrets that a server may have echoed."""
        if isinstance(body, Fault):
            return body
        granted = (
            request.private and answer.is_success
        )  # its very point may be a secret, and the same again
        headers = answer.headers.raw
        for secret in _spellings(credentials):
            # Looking backwards takes a quarter of the time that `replace` takes to look.
            if not granted and body.rfind(secret) >= 0:
                body = body.replace(secret, b"***")
            headers = [(name, value.replace(secret, b"***")) for name, value in headers]
        return Response(
            answer.status_code,
            {n.lower().decode("latin-1"): v.decode("latin-1") for n, v in headers},
            body,
        )


def _over(theirs: httpx.Headers, ours: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the client's own headers with ours over them, as `build_request` would, in half of its time."""
    written = [(name.encode("ascii"), value.encode("ascii")) for name, value in ours.items()]
    named = {name.lower() for name, _ in written}
    return [*[header for header in theirs.raw if header[0].lower() not in named], *written]


@lru_cache(256)
def _address(url: str) -> httpx.URL:
    """Parse an address once: most requests go to a few, and parsing costs as much as all else in making a request."""
    return httpx.URL(url)


def _spellings(credentials: Credentials) -> Iterator[bytes]:
    """Return the secrets as a server may echo them: as they are, in a JSON text, in a URL.

    They are worked out each time: kept anywhere, they would stand in the locals of a traceback.
    """
    for secret in credentials.secrets():
        if len(secret) >= SHORTEST_SECRET:
            yield secret.encode()
            if not (secret.isascii() and secret.isalnum()):
                for text in {secret.replace("/", "\\/"), quote(secret), quote(secret, safe="")} - {
                    secret
                }:
                    yield text.encode()


class HttpTransport(_Wire):
    """A connection to the platform, for threads. The client is closed by whoever made it."""

    def __init__(self, client: httpx.Client, adapter: Adapter[Any], limits: Limits) -> None:
        super().__init__(adapter, limits, guard)
        self._client = client

    def send(self, request: Request[Any], credentials: Credentials) -> Response | Fault:
        """Send the request once. An interruption (Ctrl-C) goes on, stripped of the frames that hold the token."""
        interruption: BaseException
        try:
            return self._exchange(request, credentials)
        except Exception as failure:  # noqa: BLE001  whatever a transport raises becomes a value
            return fault_of(failure)
        except BaseException as stop:  # noqa: BLE001  see `_bare`
            interruption = _bare(stop)
        raise interruption

    def _exchange(self, request: Request[Any], credentials: Credentials) -> Response | Fault:
        outgoing = self._outgoing(self._client, request, credentials)
        if isinstance(outgoing, Fault):
            return outgoing
        until = time.monotonic() + self._limits.answer
        answer = self._client.send(outgoing, stream=True, auth=_SIGNED, follow_redirects=False)
        try:
            body = _Body(answer, self._limits, until, public_only=self._adapter.public_only)
            for piece in () if answer.is_stream_consumed else answer.iter_raw():
                if body.take(piece):
                    break
            return self._answer(request, credentials, answer, body.whole())
        finally:
            answer.close()


class AsyncHttpTransport(_Wire):
    """A connection to the platform, for tasks. The client is closed by whoever made it."""

    def __init__(self, client: httpx.AsyncClient, adapter: Adapter[Any], limits: Limits) -> None:
        super().__init__(adapter, limits, guard_async)
        self._client = client

    async def send(self, request: Request[Any], credentials: Credentials) -> Response | Fault:
        """Send the request once. A cancellation goes on, stripped of the frames that hold the token."""
        interruption: BaseException
        bound = asyncio.timeout(self._limits.answer)
        try:
            async with bound:
                return await self._exchange(request, credentials)
        except Exception as failure:  # noqa: BLE001  whatever a transport raises becomes a value
            return self._limits.too_slow if bound.expired() else fault_of(failure)
        except BaseException as stop:  # noqa: BLE001  see `_bare`
            interruption = _bare(stop)
        raise interruption

    async def _exchange(self, request: Request[Any], credentials: Credentials) -> Response | Fault:
        outgoing = self._outgoing(self._client, request, credentials)
        if isinstance(outgoing, Fault):
            return outgoing
        until = time.monotonic() + self._limits.answer
        answer = await self._client.send(
            outgoing, stream=True, auth=_SIGNED, follow_redirects=False
        )
        try:
            body = _Body(answer, self._limits, until, public_only=self._adapter.public_only)
            if not answer.is_stream_consumed:
                async for piece in answer.aiter_raw():
                    if body.take(piece):
                        break
            return self._answer(request, credentials, answer, body.whole())
        finally:
            await answer.aclose()


# What each exception of httpx says of the request, most special first. What isn't listed may have
# carried it.
_FAULTS: tuple[tuple[type[Exception], Applied, str], ...] = (
    (httpx.ConnectTimeout, Applied.NO, "no connection in time"),
    (httpx.PoolTimeout, Applied.NO, "no free connection in time"),
    (httpx.ConnectError, Applied.NO, "no connection"),
    (httpx.ProxyError, Applied.NO, "the proxy refused"),
    (httpx.UnsupportedProtocol, Applied.NO, "no such protocol"),
    (httpx.LocalProtocolError, Applied.NO, "the request can't be written as HTTP"),
    (httpx.InvalidURL, Applied.NO, "not an address"),
    (httpx.ReadTimeout, Applied.MAYBE, "no answer in time"),
    (httpx.WriteTimeout, Applied.MAYBE, "the request wasn't taken in time"),
    (httpx.RemoteProtocolError, Applied.MAYBE, "the connection ended before the answer was whole"),
    (httpx.DecodingError, Applied.MAYBE, "the answer can't be unpacked"),
    (httpx.NetworkError, Applied.MAYBE, "the connection broke"),
)


def fault_of(failure: Exception) -> Fault:
    """Say what a transport's exception means for the request. Its own text is left out: it may quote a header."""
    if isinstance(failure, BarredError):
        return Fault(Applied.NO, NOT_PUBLIC, barred=True)
    for kind, applied, text in _FAULTS:
        if isinstance(failure, kind):
            return Fault(
                Applied.MAYBE if _of_http2(failure) else applied, f"{text}{_reason(failure)}"
            )
    return Fault(Applied.MAYBE, f"the transport failed ({type(failure).__name__})")


def _chain(failure: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _of_http2(failure: BaseException) -> bool:
    """Whether HTTP/2 broke down, which httpx calls our error even when the platform broke it and has the request."""
    return any(type(cause).__module__.startswith("h2.") for cause in _chain(failure))


def _reason(failure: BaseException) -> str:
    """Return the operating system's own words for a failure, where it had any (": Connection refused")."""
    return next(
        (
            f": {cause.strerror}"
            for cause in _chain(failure)
            if isinstance(cause, OSError) and cause.strerror
        ),
        "",
    )


def _bare(stop: BaseException) -> BaseException:
    """Return an interruption without its traceback and context, whose frames hold the signed request."""
    parts: tuple[BaseException, ...] = getattr(stop, "exceptions", ())  # of a group
    for part in parts:
        _bare(part)
    stop.__cause__ = stop.__context__ = None
    return stop.with_traceback(None)
