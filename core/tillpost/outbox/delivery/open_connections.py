"""The open connections of a worker.

They are opened when first needed, and again when their source changes. `OpenConnection` has the
parts that everything for one store runs on: the connection with its adapter, a transport,
credentials, hooks and an executor. `OrderRunner`, `StoreQueries` and the webhook receiver share
them.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tillpost.adapter.base import Adapter
from tillpost.client.clock import SkippingClock
from tillpost.client.credentials import CredentialSource, MemoryCredentials
from tillpost.client.executor import RetryCap, SyncExecutor, run_flow
from tillpost.client.webhooks import WebhookReader
from tillpost.errors import ConfigError, PosError, UnreadableConfigError, as_exception
from tillpost.models.arguments import require_list
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.connections.token_refresh import StoredCredentials
from tillpost.outbox.delivery.connections import (
    ListableSource,
    OutboxConnection,
    ReloadableSource,
    Source,
    outbox_clock,
)
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.settings import ConnectionOptions, OutboxSettings
from tillpost.plugins.manager import Hooks
from tillpost.submission.commands import Command, Flow
from tillpost.submission.context import MenuCache
from tillpost.submission.menu_import import MenuImport
from tillpost.submission.store_flows import StoreFlows
from tillpost.transport.http import HttpTransport, Limits
from tillpost.transport.network import new_client

__all__ = ["SHORT_RETRIES", "OpenConnection", "OpenConnections"]

T = TypeVar("T")

log = safe_logger("tillpost.outbox")

LONGEST_NAME = 200
"""Characters that a connection's name may have: what the database's columns hold."""

FILE_PATIENCE = 300.0
"""For how many seconds orders wait for a file that can't be read.

Then a person has to act.
"""

SHORT_RETRIES = RetryCap(retries=2, seconds=10.0)
"""How a request is retried that isn't an order's own.

It fetches a page of a menu or a further page of a search, or refreshes a token, for example.
"""


class OpenConnection:
    """One store's POS as a worker uses it. Safe for threads."""

    def __init__(self, connection: OutboxConnection) -> None:
        """Open a connection; it gets a menu cache of its own."""
        clock = SkippingClock(connection.clock)
        adapter = connection.adapter
        self.connection = replace(connection, clock=clock, menu_cache=MenuCache())
        # Signatures name the real time, also where waits are skipped.
        self._signing_clock = connection.clock
        self.credentials: CredentialSource = connection.credentials or MemoryCredentials(
            adapter.config.credentials()
        )
        self._owns_client = connection.http_client is None
        self._client = connection.http_client or new_client(
            adapter.config.base_url, guarded=adapter.public_only
        )
        self._hooks = Hooks(connection.name, connection.hooks)
        self.transport = self.limited_transport(connection.limits)
        self.flows = StoreFlows(self.connection)
        self.webhooks = WebhookReader(self.connection)
        self.executor = SyncExecutor(
            self.connection,
            clock,
            self.transport,
            self.credentials,
            self._hooks,
            time.sleep,
            retry_cap=SHORT_RETRIES,
        )

    @property
    def adapter(self) -> Adapter[Any]:
        """The platform's adapter."""
        return self.connection.adapter

    @property
    def platform(self) -> str:
        """The platform's name, such as "square"."""
        return self.adapter.platform

    @property
    def menu_cache(self) -> MenuCache:
        """The menu as this process knows it."""
        return self.connection.menu_cache

    @property
    def credentials_version(self) -> int | None:
        """The version of the database row of the credentials; None if they have none."""
        if isinstance(self.credentials, StoredCredentials):
            return self.credentials.version
        return None

    def fingerprint(self) -> str:
        """Return a digest of the credentials, which shows only whether they have changed."""
        secrets = "\n".join(self.credentials.current.secrets())
        return hashlib.sha256(secrets.encode()).hexdigest()

    def run(self, flow: Flow[T], execute: Callable[[Command], object] | None = None) -> T:
        """Run a flow to its end.

        `execute` carries out its commands instead of the executor.
        """
        if self._client.is_closed:
            raise RuntimeError(f"the connection {self.connection.name} is closed")
        return run_flow(flow, execute or self.executor.execute)

    def import_menu(self, *, forced: bool = False) -> MenuImport:
        """Import the menu into the cache, unless the cached one is young enough.

        With `forced`, its age doesn't matter.
        """
        return self.executor.import_menu(forced=forced)

    def limited_transport(self, limits: Limits) -> HttpTransport:
        """Return a transport over the connection's client, with these limits."""
        return HttpTransport(
            self._client,
            self.adapter,
            limits,
            own_network=self._owns_client,
            clock=self._signing_clock,
        )

    def call_hook(self, hook: str, facts: Mapping[str, object]) -> None:
        """Call a hook of the plugins."""
        self._hooks.call(hook, facts)

    def stamp(self, error: PosError, operation: str) -> PosError:
        """Add the platform, the operation and the contacts to an error made by core."""
        return self.flows.stamp(error, operation)

    def close(self) -> None:
        """Close the HTTP client, unless it is the caller's."""
        if self._owns_client:
            self._client.close()


class OpenConnections:
    """The open connections of a worker, by name. Safe for threads.

    A connection is opened again when its source changes, so that a new token or
    another setting counts from the next order on. While the source can't be read, connections that
    are open stay as they are.
    """

    def __init__(
        self,
        source: Source,
        settings: OutboxSettings,
        clock: Callable[[], float],
        hooks: Iterable[object] = (),
    ) -> None:
        """Take where connections come from.

        Args:
            source: Returns a connection by name.
            settings: What holds for connections that don't say otherwise.
            clock: The clock of connections that have none of their own, in epoch seconds.
            hooks: Objects whose hooks are called besides those of the connections.

        Raises:
            ConfigError: One of these objects has a hook that doesn't exist.
            TypeError: They are no list.
        """
        require_list("hooks", hooks, "objects")
        self._source = source
        # Asked for each order, and slow: `isinstance` with a protocol looks through the attributes.
        self._reloadable = source if isinstance(source, ReloadableSource) else None
        self._settings = settings
        self._clock = clock
        self._hooks = tuple(hooks)
        Hooks("", self._hooks)  # refused now, and not for each order
        self._open: dict[str, OpenConnection] = {}
        self._marks: dict[str, object] = {}
        self._unreadable_since: float | None = None
        self._unreadable = ""
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> OpenConnection:
        """Return the open connection. Raises `ConfigError`."""
        return self.get(name)

    def get(self, name: str, version: int = 0) -> OpenConnection:
        """Return the connection, with credentials of the database's `version` or later.

        Raises:
            ConfigError: There is no such connection, or it is wrong.
            UnreadableConfigError: Its source can't be read now.
        """
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise ConfigError("no connection has such a name")
        with self._lock:
            opened = self._open.get(name)
            opened_version = opened.credentials_version if opened else None
            is_stale = opened_version is not None and opened_version < version
            mark = self._mark(name, now=is_stale)
            if opened is None or mark != self._marks.get(name):
                try:
                    fresh = self._opened(name)
                except UnreadableConfigError as error:
                    self._note_unreadable(error)
                    if opened is None or is_stale:
                        raise
                    return opened
                except ConfigError:
                    # A name that opens nothing leaves nothing behind: strangers choose the names
                    # that webhooks come with.
                    self._open.pop(name, None)
                    self._marks.pop(name, None)
                    raise
                # Orders in flight keep the connection that they have. Nobody closes it; it goes
                # when they are done.
                self._open[name] = fresh
                self._marks[name] = mark
                self._unreadable_since = None
                self._unreadable = ""
            return self._open[name]

    def may_be_readable_soon(self) -> bool:
        """Return whether a source can't be read, but may be readable soon.

        It hasn't been unreadable for `FILE_PATIENCE` seconds yet.
        """
        since = self._unreadable_since
        return since is not None and time.monotonic() - since < FILE_PATIENCE

    def _note_unreadable(self, error: UnreadableConfigError) -> None:
        """Note since when the source can't be read, and log why, once."""
        if self._unreadable_since is None:
            self._unreadable_since = time.monotonic()
        if self._unreadable != str(error):
            self._unreadable = str(error)
            log.warning("connections_file_unreadable error=%s", log_value(error))

    def options(self, name: str) -> ConnectionOptions:
        """Return how a connection's orders are treated.

        Returns the defaults for a connection that is wrong.
        """
        try:
            options = self[name].connection.outbox
        except ConfigError:
            options = None
        return options or self._settings.options_of(None)

    def host(self, name: str) -> str:
        """Return the host that a connection's requests go to; "" for one that is wrong."""
        try:
            base_url: str = self[name].adapter.config.base_url
            return urlsplit(base_url).netloc
        except ConfigError:
            return ""

    def fingerprint(self, name: str) -> str:
        """Return a digest of a connection's credentials, by which new ones are recognised."""
        try:
            return self[name].fingerprint()
        except ConfigError:
            return ""

    def names(self) -> Collection[str]:
        """Return the names of all connections, as far as the source can list them."""
        if not isinstance(self._source, ListableSource):
            return ()
        try:
            return self._source.names()
        except BaseException as failure:  # noqa: BLE001  see `_raise_unless_foreign`
            _raise_unless_foreign(failure)
            return ()

    def close(self) -> None:
        """Close all connections."""
        for opened in self._open.values():
            opened.close()
        self._open.clear()

    def _opened(self, name: str) -> OpenConnection:
        """Open a connection. Whatever its source or its adapter raises is a `ConfigError`."""
        try:
            return OpenConnection(self._connection(name))
        except ConfigError:
            raise
        except BaseException as failure:  # noqa: BLE001  see `_raise_unless_foreign`
            _raise_unless_foreign(failure)
            kind = type(failure).__name__
            fault = ConfigError(f"the connection {name} can't be opened ({kind})")
        raise fault

    def _connection(self, name: str) -> OutboxConnection:
        found = self._source(name)
        policy = self._settings.policy_of(found.policy)
        options = self._settings.options_of(found.outbox)
        hooks = (*found.hooks, *self._hooks)
        clock = self._clock if found.clock is outbox_clock else found.clock
        return replace(found, name=name, policy=policy, outbox=options, hooks=hooks, clock=clock)

    def _mark(self, name: str, *, now: bool) -> object:
        source = self._reloadable
        try:
            if source is None:
                return None
            return source.mark(name, now=now)
        except BaseException as failure:
            _raise_unless_foreign(failure)
            log.exception("connection_source_failed connection=%s", name)
            return self._marks.get(name)


def _raise_unless_foreign(failure: BaseException) -> None:
    """Raise a failure again if it is the database's, or interrupts this program."""
    as_exception(failure)
    if isinstance(failure, DatabaseError):
        raise failure
