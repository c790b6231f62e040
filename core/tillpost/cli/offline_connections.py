"""Connections with which nothing is sent, for commands that only look at an order.

They need no token: a secret that the environment doesn't have is replaced. With a platform's name
alone, so is every setting without a default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tillpost.adapter.base import Adapter
from tillpost.cli.connection_option import listed
from tillpost.cli.exit_codes import CliError
from tillpost.cli.stored_connections import (
    StoredSettings,
    plugin_connection,
    plugin_owners,
    stored_settings,
)
from tillpost.client.base import adapter_for
from tillpost.config import ConnectionSettings, load_connections
from tillpost.errors import ConfigError
from tillpost.models.menu import Menu
from tillpost.plugins.manager import adapter_named
from tillpost.submission.context import Connection, MenuCache
from tillpost.submission.policy import Policy

__all__ = ["KnownSettings", "known_settings", "offline_connection", "platform_connection"]

_PLACEHOLDER = "0"
"""What is set for a setting that isn't known: it is an id, a number and a secret."""

_NO_ADDRESS = "https://localhost"


@dataclass(frozen=True, slots=True)
class KnownSettings:
    """What the TOML file and the database say of a connection.

    A plugin has it if neither says anything.

    Attributes:
        name: Its name.
        configured: What the file says, if anything.
        stored: What the database says, if anything.
    """

    name: str
    configured: ConnectionSettings | None = None
    stored: StoredSettings | None = None


def known_settings(name: str, config: str, db: str) -> Sequence[KnownSettings]:
    """Return the connections of the TOML file, of the database and of plugins.

    With a name it is only that one.

    Raises:
        CliError: There is none with this name, or the database can't be read.
        ConfigError: The file can't be read, or it was named and is missing.
    """
    stored = stored_settings(db, config) or {}
    owners = plugin_owners()
    file_needed = bool(config or (name and not stored and not owners))
    configured = load_connections(config or None, needed=file_needed)
    names = list(dict.fromkeys((*configured, *stored, *owners)))
    if name and name not in names:
        shown = listed(config, configured, stored, owners)
        raise CliError(f"no connection {name!r}; {shown}")
    if name:
        names = [name]
    connections: list[KnownSettings] = []
    for each in names:
        known = KnownSettings(
            name=each,
            configured=configured.get(each),
            stored=stored.get(each),
        )
        connections.append(known)
    return connections


def offline_connection(known: KnownSettings, menu: Menu | None) -> Connection:
    """Return a connection with which nothing is sent, with a menu if one is at hand.

    What the file says of it counts before what the database has.

    Raises:
        ConfigError: Its settings are wrong.
    """
    configured = known.configured
    stored = known.stored
    if not configured and not stored:
        found = plugin_connection(known.name)[1]
        return _connection(found.adapter, menu, name=known.name, policy=found.policy)
    platform = _platform_of(known)
    secrets = _secrets(adapter_named(platform).settings.model_fields)
    values: dict[str, Any] = {}
    missing: set[str] = set()
    if stored:
        values.update(stored.settings)
        missing |= secrets
    if configured:
        values |= configured.available_settings
        missing |= secrets & configured.table.keys()
    missing -= values.keys()
    values |= dict.fromkeys(missing, _PLACEHOLDER)
    try:
        adapter = adapter_for(platform, values)
    except ConfigError:
        if configured:
            _ = configured.settings  # a variable that isn't set is the better reason
        raise
    policy = configured.policy if configured else Policy()
    return _connection(adapter, menu, name=known.name, policy=policy)


def _platform_of(known: KnownSettings) -> str:
    """Return the platform on which the file and the database agree."""
    configured = known.configured
    stored = known.stored
    if stored and stored.fault:
        raise ConfigError(f"its row in the database can't be read ({stored.fault})")
    platform = configured.platform if configured else ""
    if stored is None:
        return platform
    if platform and platform != stored.platform:
        raise ConfigError(f"it is at {platform}, but was connected at {stored.platform}")
    return stored.platform


def platform_connection(platform: str, menu: Menu | None) -> Connection:
    """Return a connection to no store in particular.

    Raises:
        ConfigError: There is no such adapter.
    """
    adapter = adapter_named(platform)
    fields = adapter.settings.model_fields
    required = [name for name, field in fields.items() if field.is_required()]
    values: dict[str, Any] = dict.fromkeys(required, _PLACEHOLDER)
    if "base_url" in values:
        values["base_url"] = _NO_ADDRESS
    settings = adapter.settings.model_construct(None, **values)
    return _connection(adapter(settings), menu)


def _connection(adapter: Adapter[Any], menu: Menu | None, **more: Any) -> Connection:
    imported_at = menu.imported_at.timestamp() if menu else 0.0
    cache = MenuCache(menu=menu, imported_at=imported_at)
    return Connection(adapter, menu_cache=cache, **more)


def _secrets(fields: Mapping[str, FieldInfo]) -> set[str]:
    """Return the names of the settings that are secret texts, or may be."""
    secrets: set[str] = set()
    for name, field in fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        if SecretStr in kinds:
            secrets.add(name)
    return secrets
