"""`AsyncTill`: one store's POS, connected, for tasks. It is `Till` with `await`.

    async with AsyncTill.connect("square", location_id="L123", access_token=token) as till:
        pos_order = await till.submit(order)

The flows and everything they decide are the same; only the executor differs. A task that is
cancelled halfway leaves its doubt in the journal, and the next `submit` of the same order looks it
up or resumes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from tillpost.adapter.readiness import Readiness
from tillpost.adapter.settings import Account, Credentials
from tillpost.adapter.webhooks import SeenEvents, WebhookEvent
from tillpost.client.base import BaseTill, adapter_for, connection_from_config
from tillpost.client.credentials import AsyncCredentialSource, MemoryCredentials
from tillpost.client.executor import AsyncExecutor
from tillpost.client.locks import NamedAsyncLocks
from tillpost.models.arguments import require_order
from tillpost.models.order import Draft, Order, PosOrder
from tillpost.submission.commands import Flow
from tillpost.submission.context import Connection
from tillpost.submission.journal import Journal
from tillpost.submission.menu_import import MenuImport
from tillpost.submission.policy import Policy
from tillpost.transport.http import AsyncHttpTransport, Limits
from tillpost.transport.network import new_async_client

__all__ = ["AsyncTill"]

T = TypeVar("T")


class AsyncTill(BaseTill):
    """A store's POS, for the tasks of one event loop.

    An async context manager. Keep it open for as long as the store is served, because it pools
    connections. Every operation raises a `PosError` when the platform refuses or can't be reached.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        journal: Journal | None = None,
        credentials: AsyncCredentialSource | None = None,
        http_client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Open a connection that is made already; the arguments are those of `Till`."""
        super().__init__(connection, journal)
        if not isinstance(http_client, httpx.AsyncClient | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            given = type(http_client).__name__
            raise TypeError(f"{type(self).__name__} needs an httpx.AsyncClient, not {given}")
        adapter = connection.adapter
        self._owns_client = http_client is None
        self._client = http_client or new_async_client(
            adapter.config.base_url, guarded=adapter.public_only
        )
        self._credentials = credentials or MemoryCredentials(adapter.config.credentials())
        self._executor = AsyncExecutor(
            self._connection,
            self._clock,
            AsyncHttpTransport(
                self._client,
                adapter,
                connection.limits,
                own_network=self._owns_client,
                clock=connection.clock,
            ),
            self._credentials,
            self._hooks,
            sleep,
        )
        self._order_locks = NamedAsyncLocks("submitting or cancelling the order")

    @classmethod
    def connect(
        cls,
        platform: str,
        *,
        name: str = "",
        policy: Policy | None = None,
        limits: Limits | None = None,
        http_client: httpx.AsyncClient | None = None,
        hooks: Iterable[object] = (),
        support_contact: str = "",
        on_tokens: Callable[[Credentials], object] | None = None,
        **settings: object,
    ) -> Self:
        """Connect to a store's POS; the arguments are those of `Till.connect`.

        It isn't awaited: nothing is sent yet. `on_tokens` may be async.
        """
        connection = Connection(
            adapter_for(platform, settings),
            name=name,
            policy=Policy() if policy is None else policy,
            limits=Limits() if limits is None else limits,
            hooks=hooks,
            support_contact=support_contact,
        )
        credentials = MemoryCredentials(connection.adapter.config.credentials(), on_tokens)
        return cls(connection, credentials=credentials, http_client=http_client)

    @classmethod
    def from_config(
        cls,
        name: str,
        path: str | Path | None = None,
        *,
        http_client: httpx.AsyncClient | None = None,
    ) -> Self:
        """Open a connection of the TOML file; see `Till.from_config`."""
        return cls(connection_from_config(name, path), http_client=http_client)

    async def submit(self, order: Order, *, is_new: bool = False) -> PosOrder:
        """Bring a paid order to the register, once; see `Till.submit`."""
        require_order(order)
        async with self._order_locks.hold(order.id):
            return await self._run(self._submission(order, is_new=is_new), order.id)

    async def find(self, order: Order) -> PosOrder | Draft | None:
        """Look up an order at the platform by its reference; see `Till.find`."""
        return await self._run(self._lookup(order))

    async def fetch(self, pos_order: PosOrder | str) -> PosOrder:
        """Return an order, given as such or by the platform's id, as it is there now."""
        pos_id = pos_order if isinstance(pos_order, str) else pos_order.id
        return await self._run(self._flows.fetch(pos_id))

    async def cancel(self, pos_order: PosOrder) -> PosOrder:
        """Cancel an order at the platform.

        After that, the same order isn't submitted again.
        """
        async with self._order_locks.hold(pos_order.reference):
            return await self._run(self._cancellation(pos_order), pos_order.reference)

    async def quote(self, order: Order) -> int:
        """Return the total in minor units that the platform would compute.

        Nothing is created.
        """
        require_order(order)
        return await self._run(self._flows.quote(order))

    async def import_menu(self, *, accept: bool = False) -> MenuImport:
        """Import the store's menu now. `accept` accepts one that would be held for review."""
        self._refuse_if_closed()
        return await self._executor.import_menu(forced=True, accept=accept)

    async def check(self) -> Readiness:
        """Return whether the store can take orders now, and if not, who has to act."""
        return await self._run(self._flows.check())

    async def parse_webhook(
        self,
        headers: Mapping[str, str],
        body: bytes,
        url: str,
        *,
        seen: SeenEvents | None = None,
    ) -> tuple[WebhookEvent, ...]:
        """Return a webhook's events, once it is proved genuine; see `Till.parse_webhook`."""
        events = self._webhooks.read(headers, body, url)
        ids = self._webhooks.ids_to_fetch(events)
        fetched = {pos_id: await self.fetch(pos_id) for pos_id in ids}
        return self._webhooks.settle(events, fetched, seen)

    async def exchange_code(self) -> Credentials:
        """Exchange the authorisation code among the credentials for an access token.

        `tillpost.authorization.aexchange_code` is the usual way.
        """
        return await self._run(self._flows.exchange_code(self._credentials.current))

    async def account(self) -> Account:
        """Return who granted access, and what can be chosen there.

        Locations and payment methods can be chosen.
        """
        return await self._run(self._flows.account())

    async def revoke(self) -> None:
        """Give up the access that the store granted.

        Nothing works until it is connected again.
        """
        await self._run(self._flows.revoke(self._credentials.current))

    async def aclose(self) -> None:
        """Close the connections, unless the HTTP client is the caller's."""
        if self._owns_client:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        """Return the Till itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def _run(self, flow: Flow[T], order_id: str = "") -> T:
        """Run a flow to its end, recording the events of the order that it is about."""
        self._refuse_if_closed()
        return await self._executor.run(flow, self._recorder(order_id))

    def _refuse_if_closed(self) -> None:
        if self._client.is_closed:
            raise RuntimeError(f"{self!r} is closed")
