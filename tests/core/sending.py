"""Sends one request over a transport of either kind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx
from pydantic import SecretStr

from core.both import Kind
from core.toy import TOKEN, Toy
from core.toy_server import ToyServer
from tillpost import Limits
from tillpost.adapter.base import Credentials
from tillpost.adapter.exchange import Fault, Request, Response, nothing
from tillpost.transport.http import AsyncHttpTransport, HttpTransport
from tillpost.transport.network import new_async_client, new_client

PATIENT = Limits(connect=60, read=60, answer=60, answer_bytes=10_000)
SHORT = Limits(connect=0.5, read=0.15, answer=0.25, answer_bytes=10_000)
"""For tests of what takes too long. A busy machine may exceed it by itself."""

TRUST = ssl.create_default_context()
"""Reading the certificates anew for each client is what takes longest."""
CREDENTIALS = Credentials(access_token=SecretStr(TOKEN))

Sender: TypeAlias = Callable[..., Response | Fault]


def sender(kind: Kind, server: ToyServer) -> Sender:
    """Return what sends one request over a line of the kind and returns what came of it."""

    def send_it(
        path: str = "/menu",
        *,
        limits: Limits = PATIENT,
        adapter: Toy | None = None,
        client: Any = None,
        credentials: Credentials = CREDENTIALS,
        **more: Any,
    ) -> Response | Fault:
        request = Request("GET", path, nothing, **more)
        adapter = adapter or server.adapter()
        own = client is None
        base_url = adapter.config.base_url
        guarded = adapter.public_only
        if kind == "sync":
            with client or new_client(base_url, guarded=guarded) as opened:
                transport = HttpTransport(opened, adapter, limits, own_network=own)
                return transport.send(request, credentials)

        async def sent() -> Response | Fault:
            async with client or new_async_client(base_url, guarded=guarded) as opened:
                transport = AsyncHttpTransport(opened, adapter, limits, own_network=own)
                return await transport.send(request, credentials)

        return asyncio.run(sent())

    return send_it


def client_over(kind: Kind, handler: Callable[[httpx.Request], httpx.Response], **more: Any) -> Any:
    """A client of that kind whose transport is a function."""
    transport = httpx.MockTransport(handler)
    return (
        httpx.Client(transport=transport, **more)
        if kind == "sync"
        else httpx.AsyncClient(transport=transport, **more)
    )
