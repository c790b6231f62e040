"""Connections of the database and of plugins, for commands without an outbox.

Where there is a database, its tokens win over the TOML file's, and refreshed ones are stored there,
as a worker does it. No database is created here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tillpost.cli.outbox_option import has_extra, opened_if_there
from tillpost.client.sync import Till
from tillpost.errors import ConfigError

if TYPE_CHECKING:
    from tillpost.outbox import OutboxConnection
    from tillpost.outbox.connections.token_refresh import RefreshMarks
    from tillpost.outbox.delivery.connections import ConnectionSource
    from tillpost.outbox.delivery.plugin_connections import PluginSource

__all__ = [
    "StoredSettings",
    "open_plugin_till",
    "open_stored_till",
    "plugin_connection",
    "plugin_owners",
    "stored_platforms",
    "stored_settings",
]


class StoredSettings(NamedTuple):
    """What the database has of a connection, but for its secrets.

    `fault` says why it can't be read; it is empty otherwise.
    """

    platform: str
    settings: Mapping[str, object]
    fault: str


def stored_platforms(db: str, config: str, *, new: bool = False) -> Mapping[str, str] | None:
    """Return the platforms of the database's connections, by connection name.

    Returns None without a database. One that `--db` names must exist, unless it may be `new`.
    """
    stored = stored_settings(db, config, new=new)
    if stored is None:
        return None
    return {name: connection.platform for name, connection in stored.items()}


def stored_settings(
    db: str, config: str, *, new: bool = False
) -> Mapping[str, StoredSettings] | None:
    """Return what the database has of its connections, by name.

    No secret is decrypted, so no key is needed. Otherwise it is as `stored_platforms`.
    """
    with opened_if_there(db, config, new=new) as outbox:
        if outbox is None:
            return None
        from tillpost.outbox.connections.credentials import CredentialStore

        return {
            name: StoredSettings(stored.platform, stored.settings, ", ".join(stored.unreadable))
            for name, stored in CredentialStore(outbox.database).all().items()
        }


@contextmanager
def open_stored_till(name: str, db: str, config: str, hooks: Iterable[object]) -> Generator[Till]:
    """Open a connection of the file, of the database, which exists, or of a plugin.

    Raises `ConfigError`.
    """
    with opened_if_there(db, config) as outbox:
        assert outbox
        from tillpost.outbox.connections.credentials import CredentialStore
        from tillpost.outbox.connections.token_refresh import RefreshMarks
        from tillpost.outbox.delivery.source_tokens import save_unsaved_tokens
        from tillpost.outbox.delivery.sources import default_source
        from tillpost.outbox.orders.heartbeat import Heartbeat

        # A process that refreshes a token is a worker, so that it can be reaped if it dies.
        heartbeat = Heartbeat(outbox.workers, outbox.settings.lease)
        store = CredentialStore(outbox.database)
        marks = RefreshMarks(store, heartbeat.worker_id)
        source = default_source(store, outbox.config, marks)
        try:
            found = replace(source.get(name), name=name)
            with _till(source, found, hooks, marks) as till:
                yield till
        finally:
            save_unsaved_tokens(source, marks)
            heartbeat.__exit__(None, None, None)


def plugin_owners() -> Mapping[str, str]:
    """Return the plugin of each plugin's connection, by the connection's name."""
    if not has_extra():
        return {}
    from tillpost.outbox.delivery.plugin_connections import PluginConnections

    return PluginConnections.installed().owners()


def plugin_connection(name: str) -> tuple[PluginSource, OutboxConnection]:
    """Return a connection that a plugin lists, and its source. Raises `ConfigError`."""
    from tillpost.outbox.delivery.plugin_connections import PluginConnections

    found = PluginConnections.installed().find(name)
    if found is None:
        raise ConfigError(f"no connection {name!r}: its plugin lists it, but doesn't know it")
    return found


def open_plugin_till(name: str, hooks: Iterable[object]) -> Till:
    """Open a plugin's connection, where there is no database. Raises `ConfigError`."""
    source, connection = plugin_connection(name)
    return _till(source, replace(connection, name=name), hooks, None)


def _till(
    source: ConnectionSource,
    found: OutboxConnection,
    hooks: Iterable[object],
    marks: RefreshMarks | None,
) -> Till:
    from tillpost.outbox.delivery.source_tokens import credentials_of

    credentials = credentials_of(source, found, marks)
    connection = replace(found, hooks=(*found.hooks, *hooks))
    return Till(connection, credentials=credentials, http_client=found.http_client)
