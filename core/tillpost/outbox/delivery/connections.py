"""The connections of an outbox, and where they come from.

Wherever connections are, a `ConnectionSource` gives them: the TOML file (`FromFile`), a mapping in
code (`from_mapping`), or a class of your own over your own table. Workers use all that are known by
default: `sources.default_source`. `OpenConnections` opens what a source gives.
"""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from tillpost.adapter.base import Adapter
from tillpost.adapter.settings import Credentials
from tillpost.client.base import adapter_for
from tillpost.client.credentials import CredentialSource
from tillpost.config import ConnectionSettings, config_path, load_connection, load_connections
from tillpost.errors import ConfigError, as_exception
from tillpost.models.arguments import require_list, require_type
from tillpost.models.base import explain, explain_settings
from tillpost.models.safe_text import listing, safe_logger
from tillpost.outbox.connections.token_refresh import warn_of_unsaved_tokens
from tillpost.outbox.settings import ConnectionOptions
from tillpost.plugins.manager import Hooks
from tillpost.submission.context import Connection
from tillpost.submission.policy import Policy

__all__ = [
    "ConnectionSource",
    "FromFile",
    "MarkedSource",
    "OutboxConnection",
    "Outline",
    "OutlinedSource",
    "adapter_in",
    "from_mapping",
    "is_ours",
    "outbox_clock",
    "outbox_options",
    "require_source",
    "same_but_tokens",
    "source_fault",
]

log = safe_logger("tillpost.outbox")


def outbox_clock() -> float:
    """Return the time in epoch seconds.

    A worker uses its own clock in place of this one.
    """
    return time.time()


@dataclass(slots=True)
class OutboxConnection(Connection):
    """A connection whose orders an outbox delivers.

    `OutboxConnection.of("square", settings)` makes one of a platform's name and settings.

    Attributes:
        clock: Returns the time in epoch seconds; by default the worker's clock does.
        outbox: How the outbox treats its orders; the outbox's own settings by default.
        http_client: Your own httpx client, with your proxies and certificates. It isn't closed
            here.
        credentials: Signs the requests. By default the adapter's settings do, and refreshed tokens
            go to the source's `save`.
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
        if self.http_client is not None:
            require_type("http_client", self.http_client, httpx.Client)

    @classmethod
    def of(
        cls,
        platform: str,
        settings: Mapping[str, object],
        *,
        policy: Policy | Mapping[str, object] | None = None,
        outbox: ConnectionOptions | Mapping[str, object] | None = None,
        granted_by: str = "",
        support_contact: str = "",
        hooks: Iterable[object] = (),
        http_client: httpx.Client | None = None,
    ) -> Self:
        """Return a connection to a store of a platform. Nothing is sent.

        Args:
            platform: The adapter's name, such as "square"; `tillpost adapters` lists those
                installed.
            settings: What the platform needs, such as `access_token` and `location_id`.
            policy: How failures are dealt with: prices, imports. The outbox's settings say how it
                retries.
            outbox: How the outbox treats its orders; the outbox's own settings by default.
            granted_by: The person or account that granted access, where that is known.
            support_contact: A sentence that every remedy ends with.
            hooks: Objects whose hooks are called besides those of the installed plugins.
            http_client: Your own httpx client. It isn't closed here.

        Raises:
            ConfigError: There is no such adapter, a setting is wrong, or one of the objects has a
                hook that doesn't exist.
            TypeError: A part has a wrong type.
        """
        adapter = adapter_for(platform, dict(settings))
        require_list("hooks", hooks, "objects")
        hooks = tuple(hooks)
        if hooks:
            Hooks("", hooks)  # refused now, and not when the connection is opened
        try:
            return cls(
                adapter,
                policy=Policy.model_validate(policy or {}),
                outbox=ConnectionOptions.model_validate(outbox) if outbox else None,
                granted_by=granted_by,
                support_contact=support_contact,
                hooks=hooks,
                http_client=http_client,
            )
        except ValidationError as error:
            fault = explain(error)
        # Raised out here, because the ValidationError holds the values that it refused.
        raise ConfigError(f"{platform}: {fault}")


def same_but_tokens(one: OutboxConnection, other: OutboxConnection) -> bool:
    """Return whether two connections differ in nothing but their tokens.

    What signs their requests isn't compared either.
    """
    alike = replace(
        other,
        adapter=one.adapter,
        name=one.name,
        menu_cache=one.menu_cache,
        platform_clock=one.platform_clock,
        credentials=one.credentials,
    )
    return (
        one == alike
        and type(one.adapter) is type(other.adapter)
        and _without_tokens(one.adapter) == _without_tokens(other.adapter)
    )


def _without_tokens(adapter: Adapter[Any]) -> dict[str, object]:
    settings: dict[str, object] = dict(adapter.config)
    for token in ("access_token", "refresh_token"):
        settings.pop(token, None)
    return settings


class ConnectionSource(Protocol):
    """Where an outbox's connections come from.

    These are three methods, over whatever holds the connections.

    `Processor(outbox, connections=source)` and `Outbox.receiver(connections=source)` take one, and
    the hook `tillpost_connections` gives one to every worker and command. Its methods aren't
    `async`. They are called from several threads, and should return within 0.2 seconds: set the
    timeouts of your database's driver, since a thread whose call never returns is lost.

    While a connection is used, `get` is called again about once a second. If it returns an equal
    one (settings, policy, options), the open one is kept. So a change counts within a second or
    two, and there is nothing to notify.

    What a method raises, or how long it takes, stops nothing but that connection. If `get` raises
    anything but a `ConfigError`, or takes more than 5 seconds, the connection can't be read now. A
    source may have a method `mark`, too: see `MarkedSource`.
    """

    def get(self, name: str) -> OutboxConnection:
        """Return a connection, with its current tokens; `OutboxConnection.of` makes one.

        Raises:
            ConfigError: There is no such connection, or it is wrong. Its orders wait for a person.
            UnreadableConfigError: It can't be read now. Its orders are tried again for 5 minutes.
                Whatever else is raised counts as this, and is logged.
        """
        ...

    def names(self) -> Collection[str]:
        """Return the names of all connections."""
        ...

    def save(self, name: str, tokens: Credentials) -> None:
        """Store a connection's refreshed tokens; when this returns, `get` returns them.

        It is called once for a refresh, whatever the number of processes, and before the tokens
        are used. Of `tokens` store `access_token`, `refresh_token` and, if you like, `expires_at`:
        a platform may have replaced the refresh token, and then the old one is worthless. If this
        raises, the tokens are kept in memory, and saved before anything else is tried.
        """
        ...


@runtime_checkable
class MarkedSource(Protocol):
    """A source that can say cheaply whether a connection has changed."""

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return a value that changes when the connection does.

        It may be a second old, unless `now` asks for the current one. None says nothing: then `get`
        is called again about once a second.
        """
        ...


class Outline(NamedTuple):
    """What the planning of requests needs to know of a connection.

    Attributes:
        host: The host that its requests go to; "" if that isn't known.
        options: How the outbox treats its orders; None for the outbox's own settings.
    """

    host: str = ""
    options: ConnectionOptions | None = None

    @classmethod
    def of(cls, base_url: str, options: ConnectionOptions | None) -> Outline:
        """Return the outline of a connection at this address."""
        return cls(urlsplit(base_url).netloc, options)


@runtime_checkable
class OutlinedSource(Protocol):
    """A source that outlines connections of file and database at less cost than `get`."""

    def has(self, name: str) -> bool:
        """Return whether file or database has the connection, or may have it."""
        ...

    def outline(self, name: str) -> Outline:
        """Return the outline of such a connection. Raises `ConfigError`."""
        ...


class FromFile:
    """The connections of the TOML file alone."""

    def __init__(self, path: str | Path | None = None) -> None:
        self._path = path

    def get(self, name: str) -> OutboxConnection:
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

    def save(self, name: str, tokens: Credentials) -> None:
        """Warn that a refreshed token isn't stored: the file is yours."""
        old = self.get(name).adapter.config.credentials()
        remedy = "Leave out connections=FromFile(...), so that the database stores the tokens."
        warn_of_unsaved_tokens(name, old, remedy)(tokens)

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return a value that changes when the file does."""
        del name, now
        try:
            status = config_path(self._path).stat()
        except OSError:
            return "missing"
        return status.st_mtime_ns, status.st_size, status.st_ino


def is_ours(source: ConnectionSource) -> bool:
    """Return whether a source is one of this module."""
    return type(source) in (FromFile, _FromMapping)


def adapter_in(source: ConnectionSource, name: str) -> Adapter[Any] | None:
    """Return a connection's adapter.

    None: there is none, it is wrong, or the source fails.
    """
    try:
        return source.get(name).adapter
    except ConfigError:
        return None
    except BaseException as failure:
        as_exception(failure)
        log.exception("connection_source_failed method=get connection=%s", name)
        return None


_METHODS = ("get", "names", "save")


def require_source(value: object) -> None:
    """Raise `TypeError` for what is no `ConnectionSource`."""
    fault = source_fault(value)
    if fault:
        raise TypeError(f"connections isn't a ConnectionSource: {fault}")


def source_fault(value: object) -> str:
    """Return why something is no `ConnectionSource`; "" if it is one.

    >>> source_fault({})
    'it has no names and no save; from_mapping(...) makes one of a dict'
    """
    if isinstance(value, type):
        return f"it is the class {value.__name__}; pass an instance of it"
    methods = {name: getattr(value, name, None) for name in _METHODS}
    missing = [name for name, method in methods.items() if not callable(method)]
    if missing:
        hint = "; from_mapping(...) makes one of a dict" if isinstance(value, Mapping) else ""
        return f"it has no {' and no '.join(missing)}{hint}"
    asynchronous = [name for name, method in methods.items() if _is_async(method)]
    if asynchronous:
        are = "is" if len(asynchronous) == 1 else "are"
        return f"its {' and '.join(asynchronous)} {are} async; it is called from threads"
    return ""


def _is_async(method: object) -> bool:
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


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


def from_mapping(connections: Mapping[str, OutboxConnection]) -> ConnectionSource:
    """Return a source of connections that are made in code.

    Refreshed tokens are kept in memory, for all workers that use this source. A program that starts
    again has the old ones: with tokens that expire, write a `ConnectionSource` that stores them.

    Raises:
        TypeError: One is no `OutboxConnection`.
    """
    for name, connection in connections.items():
        require_type(f"connections[{name!r}]", connection, OutboxConnection)
    return _FromMapping(connections)


class _FromMapping:
    def __init__(self, connections: Mapping[str, OutboxConnection]) -> None:
        self._connections = connections
        self._refreshed: dict[str, tuple[OutboxConnection, OutboxConnection]] = {}
        """What the mapping has, and the same with refreshed tokens, by name."""

    def get(self, name: str) -> OutboxConnection:
        if name not in self._connections:
            raise ConfigError(f"no connection {name!r}; there are: {listing(self._connections)}")
        connection = self._connections[name]
        basis, refreshed = self._refreshed.get(name, (None, connection))
        return refreshed if basis is connection else connection

    def names(self) -> Collection[str]:
        return self._connections.keys()

    def save(self, name: str, tokens: Credentials) -> None:
        before = self.get(name)
        remedy = "Write a ConnectionSource, otherwise the next start uses the old tokens."
        warn_of_unsaved_tokens(name, before.adapter.config.credentials(), remedy)(tokens)
        adapter = copy.copy(before.adapter)
        adapter.config = before.adapter.config.model_copy(
            update={"access_token": tokens.access_token, "refresh_token": tokens.refresh_token}
        )
        refreshed = replace(before, adapter=adapter)
        self._refreshed[name] = (self._connections[name], refreshed)

    def mark(self, name: str, *, now: bool = False) -> object:
        del now
        # Whoever holds a mark holds what it was given, so its id is no other's.
        return id(self.get(name)) if name in self._connections else None
