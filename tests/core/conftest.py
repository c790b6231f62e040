"""Fixtures of core's tests: a toy platform over real HTTP, and both kinds of Till over it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

import httpx
import pytest

from core.both import KINDS, BlockingTill, Kind, blocking
from core.sending import Sender, sender
from core.toy_server import ToyServer
from tillpost import Policy
from tillpost.adapter.base import Adapter

QUICK = Policy(retries=3, retry_seconds=5, first_wait=0.005, longest_wait=0.02)
"""A policy with waits that a test can afford."""


class Opening(Protocol):
    """Opens a Till of the kind at hand; it is closed after the test."""

    def __call__(
        self,
        adapter: Adapter[Any],
        *,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        **options: Any,
    ) -> BlockingTill: ...


@pytest.fixture
def server() -> Generator[ToyServer, None, None]:
    with ToyServer() as running:
        yield running


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Runs a test once with Till, once with AsyncTill."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def send(kind: Kind, server: ToyServer) -> Sender:
    """Sends one request over a line of the kind at hand."""
    return sender(kind, server)


@pytest.fixture
def opening(kind: Kind) -> Generator[Opening, None, None]:
    opened: list[BlockingTill] = []

    def open_it(
        adapter: Adapter[Any],
        *,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        **options: Any,
    ) -> BlockingTill:
        till = blocking(
            kind,
            adapter,
            client=client,
            async_client=async_client,
            **(options or {"policy": QUICK}),
        )
        opened.append(till)
        return till

    yield open_it
    for till in opened:
        till.close()
