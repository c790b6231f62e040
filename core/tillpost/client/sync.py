"""`Till`: one store's POS, connected, for threads.

`AsyncTill` is the same for tasks.

    with Till.connect("square", location_id="L123", access_token=token) as till:
        pos_order = till.submit(order)

All logic is in the flows of `submission`; an executor carries out their commands. What was done for
an order is recorded in a journal in memory, so a second `submit` of the same order, also after an
interruption, never makes a second one. To survive the process, use an outbox.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from tillpost.adapter.readiness import Readiness
from tillpost.adapter.settings import Account, Credentials
from tillpost.adapter.webhooks import SeenEvents, WebhookEvent
from tillpost.client.base import BaseTill, adapter_for, connection_from_config
from tillpost.client.credentials import CredentialSource, MemoryCredentials
from tillpost.client.executor import SyncExecutor
from tillpost.client.locks import NamedLocks
from tillpost.models.arguments import require_order
from tillpost.models.order import Draft, Order, PosOrder
from tillpost.submission.commands import Flow
from tillpost.submission.context import Connection
from tillpost.submission.journal import Journal
from tillpost.submission.menu_import import MenuImport
from tillpost.submission.policy import Policy
from tillpost.transport.http import HttpTransport, Limits
from tillpost.transport.network import new_client

__all__ = ["Till"]

T = TypeVar("T")


class Till(BaseTill):
    """A store's POS, for threads.

    A context manager. Keep it open for as long as the store is served, because it pools
    connections. Every operation raises a `PosError` when the platform refuses or can't be reached.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        journal: Journal | None = None,
        credentials: CredentialSource | None = None,
        http_client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open a connection that is made already. `connect` is the usual way.

        Args:
            connection: The adapter and how to work with it.
            journal: Stores the orders' events; in memory by default.
            credentials: Signs the requests; the adapter's settings by default.
            http_client: Your own httpx client. It isn't closed here.
            sleep: Waits for some seconds.
        """
        super().__init__(connection, journal)
        if not isinstance(http_client, httpx.Client | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            given = type(http_client).__name__
            raise TypeError(f"{type(self).__name__} needs an httpx.Client, not {given}")
        adapter = connection.adapter
        self._owns_client = http_client is None
        self._client = http_client or new_client(
            adapter.config.base_url, guarded=adapter.public_only
        )
        self._credentials = credentials or MemoryCredentials(adapter.config.credentials())
        self._executor = SyncExecutor(
            self._connection,
            self._clock,
            HttpTransport(
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
        self._order_locks = NamedLocks("submitting or cancelling the order")

    @classmethod
    def connect(
        cls,
        platform: str,
        *,
        name: str = "",
        policy: Policy | None = None,
        limits: Limits | None = None,
        http_client: httpx.Client | None = None,
        hooks: Iterable[object] = (),
        support_contact: str = "",
        on_tokens: Callable[[Credentials], object] | None = None,
        **settings: object,
    ) -> Self:
        """Connect to a store's POS. Nothing is sent yet.

        Args:
            platform: The adapter's name, such as "square"; `tillpost adapters` lists those
                installed.
            name: What plugins and logs show; the platform's name by default.
            policy: How failures are dealt with: retries, prices, imports.
            limits: How long and how large an answer may be.
            http_client: Your own httpx client, with your proxies and certificates. It isn't closed
                here.
            hooks: Objects whose hooks are called besides those of the installed plugins.
            support_contact: A sentence that every remedy ends with.
            on_tokens: Receives refreshed credentials, to save them, before they are used.
            settings: What the platform needs, such as `access_token` and `location_id`.

        Raises:
            ConfigError: There is no such adapter, or a setting is wrong.
            TypeError: `policy`, `limits`, `http_client` or `hooks` is of another type.
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
        cls, name: str, path: str | Path | None = None, *, http_client: httpx.Client | None = None
    ) -> Self:
        """Open a connection of the TOML file, with its policy.

        The file is `path`, else what `TILLPOST_CONFIG` names, else `tillpost.toml`.

        Raises:
            ConfigError: The file or the connection doesn't exist, or a setting is wrong.
        """
        return cls(connection_from_config(name, path), http_client=http_client)

    def submit(self, order: Order, *, is_new: bool = False) -> PosOrder:
        """Bring a paid order to the register, once, and return it as the platform has it.

        Blocks until the order has arrived or is given up, for about the policy's budget at most.

        Args:
            order: The order.
            is_new: A promise that nobody sent the order before. It saves a look-up on platforms
                without idempotency keys, which may cook an order twice if the promise is wrong.

        Raises:
            PosError: A subclass says what to do; `outcome` says whether the order may exist all
                the same.
            TypeError: It isn't an `Order`.
        """
        require_order(order)
        with self._order_locks.hold(order.id):
            return self._run(self._submission(order, is_new=is_new), order.id)

    def find(self, order: Order) -> PosOrder | Draft | None:
        """Look up an order at the platform by its reference.

        Returns:
            The order; a draft, which staff can't see; or None when the platform has neither.
        """
        return self._run(self._lookup(order))

    def fetch(self, pos_order: PosOrder | str) -> PosOrder:
        """Return an order, given as such or by the platform's id, as it is there now."""
        pos_id = pos_order if isinstance(pos_order, str) else pos_order.id
        return self._run(self._flows.fetch(pos_id))

    def cancel(self, pos_order: PosOrder) -> PosOrder:
        """Cancel an order at the platform.

        After that, the same order isn't submitted again.
        """
        with self._order_locks.hold(pos_order.reference):
            return self._run(self._cancellation(pos_order), pos_order.reference)

    def quote(self, order: Order) -> int:
        """Return the total in minor units that the platform would compute.

        Nothing is created.
        """
        require_order(order)
        return self._run(self._flows.quote(order))

    def import_menu(self, *, accept: bool = False) -> MenuImport:
        """Import the store's menu now. `accept` accepts one that would be held for review."""
        self._refuse_if_closed()
        return self._executor.import_menu(forced=True, accept=accept)

    def check(self) -> Readiness:
        """Return whether the store can take orders now, and if not, who has to act.

        An imported menu is checked too: whether anything on it can be ordered, and its setup.
        """
        return self._run(self._flows.check())

    def parse_webhook(
        self,
        headers: Mapping[str, str],
        body: bytes,
        url: str,
        *,
        seen: SeenEvents | None = None,
    ) -> tuple[WebhookEvent, ...]:
        """Return a webhook's events, once it is proved to be the platform's.

        Where the platform's signature proves little, an order is fetched before its state is
        trusted. An order that staff turned down becomes an `OrderRefused`.

        Args:
            headers: The request's headers.
            body: The request's body.
            url: The address that the platform called, as the platform knows it.
            seen: Remembers event ids, so that a repeated webhook is refused.

        Raises:
            WebhookError: It isn't the platform's, or can't be read; answer it with a 4xx.
            PosError: The order couldn't be fetched; answer with a 5xx, so that it is sent again.
        """
        events = self._webhooks.read(headers, body, url)
        fetched = {pos_id: self.fetch(pos_id) for pos_id in self._webhooks.ids_to_fetch(events)}
        return self._webhooks.settle(events, fetched, seen)

    def exchange_code(self) -> Credentials:
        """Exchange the authorisation code among the credentials for an access token.

        `tillpost.authorization.exchange_code` is the usual way.
        """
        return self._run(self._flows.exchange_code(self._credentials.current))

    def account(self) -> Account:
        """Return who granted access, and what can be chosen there.

        Locations and payment methods can be chosen.
        """
        return self._run(self._flows.account())

    def revoke(self) -> None:
        """Give up the access that the store granted.

        Nothing works until it is connected again.
        """
        self._run(self._flows.revoke(self._credentials.current))

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's."""
        if self._owns_client:
            self._client.close()

    def __enter__(self) -> Self:
        """Return the Till itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def _run(self, flow: Flow[T], order_id: str = "") -> T:
        """Run a flow to its end, recording the events of the order that it is about."""
        self._refuse_if_closed()
        return self._executor.run(flow, self._recorder(order_id))

    def _refuse_if_closed(self) -> None:
        if self._client.is_closed:
            raise RuntimeError(f"{self!r} is closed")
