"""A stranger chooses the names that webhooks come with: none leaves anything behind."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

from tillpost import ConfigError, Outbox
from tillpost.outbox.webhooks.asgi import webhooks_app

ODD_NAMES = ["a\0b", "a\nb", "\ud800", "x" * 100_000, "\x1b[2J", "\u202e"]


def receive_unknown(outbox: Outbox, name: str) -> None:
    with pytest.raises(ConfigError):
        outbox.receive(name, {}, b"{}", "https://shop.example/hooks")


def test_unknown_names_keep_no_state(url: str) -> None:
    with Outbox(url) as outbox:
        for number in range(50):
            receive_unknown(outbox, f"warm-{number}")
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(300):
            receive_unknown(outbox, f"unknown-{number}" + "x" * 150)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert after - before < 60_000


@pytest.mark.parametrize("name", ODD_NAMES, ids=range(len(ODD_NAMES)))
def test_impossible_name_is_no_connection(url: str, name: str) -> None:
    with Outbox(url) as outbox:
        receive_unknown(outbox, name)
        assert answered(outbox, name) == 404


def answered(outbox: Outbox, name: str) -> int:
    """Return the status with which the application answers a webhook."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        app = webhooks_app(outbox, base_url="https://shop.example/hooks")
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": f"/{name}"}
        await app({**scope, "headers": []}, receive, send)

    asyncio.run(main())
    status: int = sent[0]["status"]
    return status
