"""The connections of whoever processes: a Till for each name, made when it is first needed.

They come from the TOML file and the database (see `merging`), or are made in code. One whose source
says something else is made again, so a new token or another setting counts from the next order on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import httpx
from pydantic import ValidationError

from tillpost.adapter.base import Adapter
from tillpost.client.base import Options, adapter_for
from tillpost.config import ConnectionSettings, config_path, load_connections
from tillpost.errors import ConfigError
from tillpost.models.base import explain
from tillpost.outbox.connections.token_refresh import Renewal
from tillpost.outbox.delivery.runner import OutboxTill
from tillpost.outbox.settings import ConnectionOptions, OutboxSettings

__all__ = [
    "Changing",
    "Connected",
    "FromFile",
    "Listing",
    "Source",
    "Tills",
    "from_mapping",
    "options_of",
]


@dataclass(frozen=True, slots=True)
class Connected:
    """What is known of one connection: its adapter, a Till's options, and how the outbox treats its orders.

    `http_client` is your own httpx client, with your proxies and certificates. It isn't closed
    here. `renewal` renews its tokens for all workers of the database, where that can keep them.
    """

    adapter: Adapter[Any]
    options: Options = field(default_factory=Options)
    outbox: ConnectionOptions | None = None
    http_client: httpx.Client | None = None
    renewal: Renewal | None = None


Source: TypeAlias = Callable[[str], Connected]
"""Returns a connection by its name; raises `ConfigError` when there is none, or when it is wrong."""


@runtime_checkable
class Changing(Protocol):
    """A source whose connections may change while a worker runs."""

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return what changes when the connection does. It may be a moment old, unless it is asked for as of `now`."""
        ...


@runtime_checkable
class Listing(Protocol):
    """A source that can say which connections there are."""

    def names(self) -> Collection[str]:
        """Return the names of all connections. Raises `ConfigError`."""
        ...


class FromFile:
    """The connections of the TOML file alone."""

    def __init__(self, path: str | Path | None = None) -> None:
        self._path = path

    def __call__(self, name: str) -> Connected:
        """Return the connection of that name."""
        known = load_connections(self._path)
        if name not in known:
            raise ConfigError(
                f"no connection {name!r}; {config_path(self._path)} has: {', '.join(known)}"
            )
        found = known[name]
        return Connected(
            adapter_for(found.platform, found.settings),
            Options(policy=found.policy),
            options_of(found),
        )

    def names(self) -> Collection[str]:
        """Return the names of the file's connections."""
        return load_connections(self._path).keys()

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return what changes when the file does."""
        try:
            status = config_path(self._path).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def options_of(found: ConnectionSettings) -> ConnectionOptions | None:
    """Return what a connection's table says for the outbox, None when it says nothing. Raises `ConfigError`."""
    try:
        return ConnectionOptions.model_validate(found.outbox) if found.outbox else None
    except ValidationError as error:
        raise ConfigError(
            f"{found.source}: [connections.{found.name}.outbox] {explain(error)}"
        ) from None


class Tills:
    """A Till for each connection, kept while its source says the same. Safe for threads."""

    def __init__(
        self, source: Source, settings: OutboxSettings, hooks: Iterable[object] = ()
    ) -> None:
        self._source = source
        self._settings = settings
        self._hooks = tuple(hooks)
        self._tills: dict[str, OutboxTill] = {}
        self._outbox: dict[str, ConnectionOptions] = {}
        self._marks: dict[str, object] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> OutboxTill:
        """Return the connection's Till. Raises `ConfigError`."""
        return self.of(name)

    def of(self, name: str, version: int = 0) -> OutboxTill:
        """Return the connection's Till, with credentials of the database's `version` or later. Raises `ConfigError`."""
        with self._lock:
            known = self._tills.get(name)
            stale = known is not None and known.version is not None and known.version < version
            self._forget_if_changed(name, now=stale)
            if name not in self._tills:
                found = self._source(name)
                policy = self._settings.policy(found.options.policy)
                options = replace(
                    found.options,
                    name=name,
                    policy=policy,
                    hooks=(*found.options.hooks, *self._hooks),
                )
                self._tills[name] = OutboxTill(
                    found.adapter, options, found.renewal, http_client=found.http_client
                )
                self._outbox[name] = self._settings.of(found.outbox)
            return self._tills[name]

    def options(self, name: str) -> ConnectionOptions:
        """Return how the connection's orders go; one that can't be made has the defaults."""
        try:
            self[name]
        except ConfigError:
            return self._settings.of(None)
        return self._outbox[name]

    def fingerprint(self, name: str) -> str:
        """Return a mark of the connection's credentials, by which new ones are told from those that were refused."""
        try:
            return self[name].fingerprint()
        except ConfigError:
            return ""

    def names(self) -> Collection[str]:
        """Return the names of all connections, as far as the source can list them."""
        try:
            return self._source.names() if isinstance(self._source, Listing) else ()
        except ConfigError:
            return ()

    def close(self) -> None:
        """Close all connections."""
        for till in self._tills.values():
            till.close()
        self._tills.clear()

    def _forget_if_changed(self, name: str, *, now: bool) -> None:
        mark = self._source.mark(name, now=now) if isinstance(self._source, Changing) else None
        if mark != self._marks.get(name):
            # Orders in hand keep the Till that they have; it is closed by nobody, and ends with
            # them.
            self._tills.pop(name, None)
            self._marks[name] = mark


def from_mapping(known: Mapping[str, Connected]) -> Source:
    """Return a source of connections that are made in code."""
    return _FromMapping(known)


class _FromMapping:
    def __init__(self, known: Mapping[str, Connected]) -> None:
        self._known = known

    def __call__(self, name: str) -> Connected:
        if name not in self._known:
            raise ConfigError(
                f"no connection {name!r}; there are: {', '.join(self._known) or 'none'}"
            )
        return self._known[name]

    def names(self) -> Collection[str]:
        return self._known.keys()
