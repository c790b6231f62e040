"""Webhooks over HTTP: a small ASGI application to be mounted in FastAPI, Starlette or any other. It needs none of them.

    app.mount("/hooks", webhooks_app(outbox, base_url="https://shop.example/hooks"))

A platform calls `POST /hooks/cafe-42`. It is answered 200 once the event's effect is on disk, or
when it has come before; 4xx for what isn't the platform's; 503 when it should be sent again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

from tillpost.adapter.webhooks import LARGEST, WebhookError, WebhookEvent, WebhookFault
from tillpost.errors import ConfigError, PosError, UnsupportedError
from tillpost.outbox.exceptions import DatabaseError

__all__ = ["Receives", "webhooks_app"]

log = logging.getLogger("tillpost.outbox")

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

AGAIN_AFTER = 30
"""In how many seconds a platform may send again what couldn't be taken."""

_STATUS = {
    WebhookFault.REPEATED: 200,
    WebhookFault.UNSIGNED: 401,
    WebhookFault.FORGED: 401,
    WebhookFault.TOO_LARGE: 413,
}
"""What a webhook that is refused is answered with; 400 for all other faults."""


class Receives(Protocol):
    """What takes webhooks: an `Outbox`, or a `receiving.Receiver` with connections or hooks of your own."""

    def receive(
        self, connection: str, headers: Mapping[str, str], body: bytes, url: str
    ) -> Sequence[WebhookEvent]:
        """Take a webhook; see `Outbox.receive`."""
        ...


def webhooks_app(outbox: Receives, *, base_url: str) -> App:
    """Return the application. `POST /NAME` takes a webhook of the connection of that name.

    `base_url` is the address under which platforms reach it, as they know it: behind a proxy the
    application itself sees another, and Square and the generic format sign the address.
    """
    base = base_url.rstrip("/")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            status, fault = await _answer(outbox, base, scope, receive)
            await _say(send, status, fault)
        else:
            await send({"type": "websocket.close", "code": 1008})

    return app


async def _answer(outbox: Receives, base: str, scope: Scope, receive: Receive) -> tuple[int, str]:
    """Return the status, and the fault where there is one."""
    name = _name(scope)
    if name is None:
        return 404, "unknown"
    if scope["method"] != "POST":
        return 405, "method"
    headers = {
        key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]
    }
    body = await _body(headers, receive)
    if body is None:
        return 413, WebhookFault.TOO_LARGE.value
    query = scope.get("query_string", b"").decode("latin-1")
    url = f"{base}/{quote(name, safe=':@!$,;~+')}{f'?{query}' if query else ''}"
    try:
        await asyncio.to_thread(outbox.receive, name, headers, body, url)
    except WebhookError as refused:
        return _STATUS.get(refused.fault, 400), refused.fault.value
    except (ConfigError, UnsupportedError):
        return 404, "unknown"
    except (PosError, DatabaseError) as trouble:
        log.warning("a webhook of %s can't be taken now: %s", name, type(trouble).__name__)
        return 503, "again"
    return 200, ""


def _name(scope: Scope) -> str | None:
    """Return the connection's name: the one step of the path below where the application is mounted."""
    path, mounted = scope["path"], scope.get("root_path", "")
    below = path[len(mounted) :] if mounted and path.startswith(f"{mounted}/") else path
    name: str = below.removeprefix("/")
    return name if name and "/" not in name else None


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes | None:
    """Return the body; None when it is larger than any webhook. It isn't read any further then."""
    told = headers.get("content-length", "")
    if told.isdecimal() and int(told[:20]) > LARGEST:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)


async def _say(send: Send, status: int, fault: str) -> None:
    told = json.dumps({"fault": fault} if fault else {}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(told)).encode())]
    # Whoever sends too much is hung up on: else the server reads all of it, and throws it away.
    more = {
        405: (b"allow", b"POST"),
        413: (b"connection", b"close"),
        503: (b"retry-after", str(AGAIN_AFTER).encode()),
    }
    headers += [more[status]] if status in more else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": told})


async def _live(receive: Receive, send: Send) -> None:
    """Begin and end with the server, where the application is its own."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
