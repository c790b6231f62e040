"""An ASGI application that receives webhooks over HTTP.

    app.mount("/hooks", webhooks_app(outbox, base_url="https://shop.example/hooks"))

Mount it in FastAPI, Starlette or any other ASGI server; it depends on none of them. A platform
calls `POST /hooks/cafe-42`, where `cafe-42` is the name of a connection. The answer is

- 200 once the effect of the event is on disk, or when the event was received before;
- 4xx when the webhook isn't the platform's, or the connection is unknown;
- 503 when the platform should send it again later.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

from tillpost.adapter.webhooks import LARGEST, WebhookError, WebhookEvent, WebhookFault
from tillpost.errors import (
    ConfigError,
    PosError,
    UnreadableConfigError,
    UnsupportedError,
    is_interruption,
)
from tillpost.models.safe_text import safe_logger
from tillpost.outbox.delivery.foreign_source import LONGEST_NAME
from tillpost.outbox.exceptions import DatabaseError

__all__ = ["SupportsReceive", "webhooks_app"]

log = safe_logger("tillpost.outbox")

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

RETRY_AFTER = 30
"""Seconds after which a platform may send a webhook again that was answered 503."""

_LONGEST_LENGTH = 20
"""Digits of a Content-Length that are read.

More than that is too large in any case.
"""

_STATUS_BY_FAULT = {
    WebhookFault.REPEATED: 200,
    WebhookFault.UNSIGNED: 401,
    WebhookFault.FORGED: 401,
    WebhookFault.TOO_LARGE: 413,
}
"""The status for a refused webhook; 400 for all other faults."""

_HEADER_BY_STATUS = {
    405: (b"allow", b"POST"),
    # Without it the server would read the rest of an oversized body, only to discard it.
    413: (b"connection", b"close"),
    503: (b"retry-after", str(RETRY_AFTER).encode()),
}
"""The additional header of some answers."""


class SupportsReceive(Protocol):
    """An `Outbox`, or a `Receiver` with connections or hooks of its own."""

    def receive(
        self,
        connection: str,
        headers: Mapping[str, str],
        body: bytes,
        url: str,
    ) -> Sequence[WebhookEvent]:
        """Receive a webhook; see `Outbox.receive`."""
        ...


def webhooks_app(outbox: SupportsReceive, *, base_url: str) -> App:
    """Return an ASGI application that passes webhooks to the outbox.

    `POST /NAME` receives a webhook of the connection of that name.

    Args:
        outbox: Receives the webhooks.
        base_url: The public address of the application, as platforms call it. Square and the
            generic format sign this address; behind a proxy the application can't see it.
    """
    base = base_url.rstrip("/")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _run_lifespan(receive, send)
        elif scope["type"] == "http":
            status, fault = await _handle(outbox, base, scope, receive)
            await _respond(send, status, fault)
        else:
            await send({"type": "websocket.close", "code": 1008})

    return app


async def _handle(
    outbox: SupportsReceive, base: str, scope: Scope, receive: Receive
) -> tuple[int, str]:
    """Handle one HTTP request; return the status, and the fault or ""."""
    name = _connection_name(scope)
    if name is None:
        return 404, "unknown"
    if scope["method"] != "POST":
        return 405, "method"
    headers = _headers(scope)
    body = await _read_body(headers, receive)
    if body is None:
        return 413, WebhookFault.TOO_LARGE.value
    url = _public_url(base, name, scope)
    try:
        await asyncio.to_thread(outbox.receive, name, headers, body, url)
    except WebhookError as error:
        return _STATUS_BY_FAULT.get(error.fault, 400), error.fault.value
    except UnreadableConfigError as error:
        return _ask_again(name, error)
    except (ConfigError, UnsupportedError):
        return 404, "unknown"
    except (PosError, DatabaseError) as error:
        return _ask_again(name, error)
    except BaseException as failure:
        if is_interruption(failure):
            raise
        log.exception("webhook_failed connection=%s status=503", name)
        return 503, "again"
    return 200, ""


def _ask_again(name: str, error: Exception) -> tuple[int, str]:
    """Log why a webhook wasn't processed; return the answer that has it sent again."""
    kind = type(error).__name__
    log.warning("webhook_failed connection=%s status=503 error=%s", name, kind)
    return 503, "again"


def _connection_name(scope: Scope) -> str | None:
    """Return the only path segment below the mount point.

    Returns None when no connection can have that name.
    """
    path = scope["path"]
    mount_point = scope.get("root_path", "")
    if mount_point and path.startswith(f"{mount_point}/"):
        path = path[len(mount_point) :]
    name: str = path.removeprefix("/")
    is_name = 0 < len(name) <= LONGEST_NAME and name.isprintable() and "/" not in name
    return name if is_name else None


def _headers(scope: Scope) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }


def _public_url(base: str, name: str, scope: Scope) -> str:
    """Return the address that the platform called, and signed."""
    url = f"{base}/{quote(name, safe=':@!$,;~+')}"
    query = scope.get("query_string", b"").decode("latin-1")
    if not query:
        return url
    return f"{url}?{query}"


async def _read_body(headers: Mapping[str, str], receive: Receive) -> bytes | None:
    """Read the body; stop and return None as soon as it is larger than any webhook."""
    declared_length = headers.get("content-length", "")
    if declared_length.isdecimal() and int(declared_length[:_LONGEST_LENGTH]) > LARGEST:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)


async def _respond(send: Send, status: int, fault: str) -> None:
    body = json.dumps({"fault": fault} if fault else {}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status in _HEADER_BY_STATUS:
        headers.append(_HEADER_BY_STATUS[status])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _run_lifespan(receive: Receive, send: Send) -> None:
    """Acknowledge startup and shutdown, where the application is served on its own."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
