"""The connections of an outbox, and where they come from.

They come from the TOML file (`FromFile`), from a mapping in code (`from_mapping`), or from file and
database: `sources.FromFileAndDatabase`, which workers use by default. `OpenConnections` opens what
a source gives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import httpx
from pydantic import ValidationError

from tillpost.client.base import adapter_for
from tillpost.client.credentials import CredentialSource
from tillpost.config import ConnectionSettings, config_path, load_connection, load_connections
from tillpost.errors import ConfigError
from tillpost.models.arguments import require_type
from tillpost.models.base import explain_settings
from tillpost.outbox.settings import ConnectionOptions
from tillpost.submission.context import Connection

__all__ = [
    "FromFile",
    "ListableSource",
    "OutboxConnection",
    "ReloadableSource",
    "Source",
    "from_mapping",
    "outbox_clock",
    "outbox_options",
]


def outbox_clock() -> float:
    """Return the time in epoch seconds.

    A worker uses its own clock in place of this one.
    """
    return time.time()


@dataclass(slots=True)
class OutboxConnection(Connection):
    """A connection whose orders an outbox delivers.

    Attributes:
        clock: Returns the time in epoch seconds; by default the worker's clock does.
        outbox: How the outbox treats its orders; the outbox's own settings by default.
        http_client: Your own httpx client, with your proxies and certificates. It isn't closed
            here.
        credentials: Signs the requests; the adapter's settings by default.
    """

    clock: Callable[[], float] = outbox_clock
    outbox: ConnectionOptions | None = None
    http_client: httpx.Client | None = None
    credentials: CredentialSource | None = None

    def __post_init__(self) -> None:
        """Raise `TypeError` for a part of a wrong type."""
        Connection.__post_init__(self)
        if self.outbox is not None:
            require_type("outbox", self.outbox, ConnectionOptions)


Source: TypeAlias = Callable[[str], OutboxConnection]
"""A function that returns a connection by its name.

Raises `ConfigError` if there is none, or if it is wrong.
"""


@runtime_checkable
class ReloadableSource(Protocol):
    """A source whose connections may change while a worker runs."""

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return a value that changes when the connection does.

        It may be a second old, unless `now` asks for the current one.
        """
        ...


@runtime_checkable
class ListableSource(Protocol):
    """A source that can list its connections."""

    def names(self) -> Collection[str]:
        """Return the names of all connections. Raises `ConfigError`."""
        ...


class FromFile:
    """The connections of the TOML file alone."""

    def __init__(self, path: str | Path | None = None) -> None:
        self._path = path

    def __call__(self, name: str) -> OutboxConnection:
        """Return the connection of that name."""
        configured = load_connection(name, self._path)
        return OutboxConnection(
            adapter_for(configured.platform, configured.settings),
            name=name,
            policy=configured.policy,
            outbox=outbox_options(configured),
        )

    def names(self) -> Collection[str]:
        """Return the names of the file's connections."""
        return load_connections(self._path).keys()

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return a value that changes when the file does."""
        try:
            status = config_path(self._path).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def outbox_options(configured: ConnectionSettings) -> ConnectionOptions | None:
    """Return the table `[connections.NAME.outbox]`; None without one.

    Raises `ConfigError`.
    """
    if not configured.outbox:
        return None
    try:
        return ConnectionOptions.model_validate(configured.outbox)
    except ValidationError as error:
        fault = explain_settings(error, ConnectionOptions.model_fields)
    where = f"{configured.source}: [connections.{configured.name}.outbox]"
    raise ConfigError(f"{where} {fault}")


def from_mapping(connections: Mapping[str, OutboxConnection]) -> Source:
    """Return a source of connections that are made in code."""
    return _FromMapping(connections)


class _FromMapping:
    def __init__(self, connections: Mapping[str, OutboxConnection]) -> None:
        self._connections = connections

    def __call__(self, name: str) -> OutboxConnection:
        if name not in self._connections:
            known = ", ".join(self._connections) or "none"
            raise ConfigError(f"no connection {name!r}; there are: {known}")
        return self._connections[name]

    def names(self) -> Collection[str]:
        return self._connections.keys()
