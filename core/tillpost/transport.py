"""Carries a request out over httpx and brings back an answer or a fault: never an exception, never a token's frame.

`Line` is sync, `AsyncLine` is async; both are the same few steps around httpx. What the network did is said in terms of
the request: a connection that was refused never carried it (`applied` NO), a timeout or a reset after it left may have
(`MAYBE`). Answers are bounded in size and time, and redirects aren't followed, so no other host ever sees the token.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

from tillpost.adapter import Adapter, Credentials
from tillpost.errors import Applied
from tillpost.exchange import Fault, Request, Response

__all__ = ["AsyncLine", "Limits", "Line"]

SHORTEST_SECRET = 8
"""Scrubbing a shorter text out of answers would spoil what has nothing to do with it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an answer may cost. Times are in seconds; `answer_bytes` counts the unpacked body.

    `connect` and `read` bound each single wait of the network; `answer` bounds the whole exchange, so that a server
    that drips can't hold an order up for ever.
    """

    connect: float = 5.0
    read: float = 15.0
    answer: float = 30.0
    answer_bytes: int = 16 * 1024 * 1024

    def timeout(self) -> httpx.Timeout:
        """Return the bounds that httpx keeps."""
        return httpx.Timeout(self.read, connect=self.connect)


class _Wire:
    """What both lines share: making the httpx request, reading what came of it."""

    def __init__(self, adapter: Adapter[Any], limits: Limits) -> None:
        self._adapter = adapter
        self._base_url: str = adapter.config.base_url
        self._limits = limits

    def _outgoing(
        self, client: httpx.Client | httpx.AsyncClient, request: Request[Any], credentials: Credentials
    ) -> httpx.Request:
        """Return the request as it goes on the wire. It alone holds the credentials."""
        signed = self._adapter.sign(request, credentials)
        return client.build_request(
            request.method,
            self._base_url + request.path,
            content=request.body if signed.body is None else signed.body,
            headers={**signed.headers, **request.headers},
            timeout=self._limits.timeout(),
        )

    def _answer(self, request: Request[Any], credentials: Credentials, answer: httpx.Response, body: bytes) -> Response:
        """Return the answer, without any of our secrets that a server may have echoed."""
        if not request.private:
            for secret in credentials.secrets():
                if len(secret) >= SHORTEST_SECRET:
                    body = body.replace(secret.encode(), b"***")
        return Response(answer.status_code, answer.headers, body)

    def _too_much(self, size: int, began: float) -> Fault | None:
        if size > self._limits.answer_bytes:
            return Fault(Applied.MAYBE, f"the answer is larger than {self._limits.answer_bytes} bytes")
        if time.monotonic() - began > self._limits.answer:
            return Fault(Applied.MAYBE, f"the answer took longer than {self._limits.answer:g} s")
        return None


class Line(_Wire):
    """A connection to the platform, for threads. The client is closed by whoever made it."""

    def __init__(self, client: httpx.Client, adapter: Adapter[Any], limits: Limits) -> None:
        super().__init__(adapter, limits)
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
        began = time.monotonic()
        answer = self._client.send(
            self._outgoing(self._client, request, credentials), stream=True, auth=None, follow_redirects=False
        )
        try:
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if fault := self._too_much(len(body), began):
                    return fault
            return self._answer(request, credentials, answer, bytes(body))
        finally:
            answer.close()


class AsyncLine(_Wire):
    """A connection to the platform, for tasks. The client is closed by whoever made it."""

    def __init__(self, client: httpx.AsyncClient, adapter: Adapter[Any], limits: Limits) -> None:
        super().__init__(adapter, limits)
        self._client = client

    async def send(self, request: Request[Any], credentials: Credentials) -> Response | Fault:
        """Send the request once. A cancellation goes on, stripped of the frames that hold the token."""
        interruption: BaseException
        try:
            return await self._exchange(request, credentials)
        except Exception as failure:  # noqa: BLE001  whatever a transport raises becomes a value
            return fault_of(failure)
        except BaseException as stop:  # noqa: BLE001  see `_bare`
            interruption = _bare(stop)
        raise interruption

    async def _exchange(self, request: Request[Any], credentials: Credentials) -> Response | Fault:
        began = time.monotonic()
        answer = await self._client.send(
            self._outgoing(self._client, request, credentials), stream=True, auth=None, follow_redirects=False
        )
        try:
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if fault := self._too_much(len(body), began):
                    return fault
            return self._answer(request, credentials, answer, bytes(body))
        finally:
            await answer.aclose()


# What each exception of httpx says of the request, most special first. What isn't listed may have carried it.
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
    for kind, applied, text in _FAULTS:
        if isinstance(failure, kind):
            return Fault(applied, f"{text}{_reason(failure)}")
    return Fault(Applied.MAYBE, f"the transport failed ({type(failure).__name__})")


def _reason(failure: BaseException) -> str:
    """Return the operating system's own words for a failure, where it had any (": Connection refused")."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f": {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return ""


def _bare(stop: BaseException) -> BaseException:
    """Return an interruption without its traceback and context, whose frames hold the signed request."""
    stop.__cause__ = stop.__context__ = None
    return stop.with_traceback(None)
