"""Connections with which nothing is sent, for commands that only look at an order.

They need no token: a secret that the environment doesn't have is replaced. With a platform's name
alone, so is every setting without a default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tillpost.adapter.base import Adapter
from tillpost.cli.exit_codes import CliError
from tillpost.client.base import adapter_for
from tillpost.config import ConnectionSettings, config_path, load_connections
from tillpost.errors import ConfigError
from tillpost.models.menu import Menu
from tillpost.plugins.manager import adapter_named
from tillpost.submission.context import Connection, MenuCache

__all__ = ["configured", "offline_connection", "platform_connection"]

_STAND_IN = "0"
"""What is set for a setting that isn't known: it is an id, a number and a secret."""

_NO_ADDRESS = "https://localhost"


def configured(name: str, config: str) -> Sequence[ConnectionSettings]:
    """Return the TOML file's connections: all, or the one with this name.

    Raises:
        CliError: There is none with this name.
        ConfigError: The file can't be read, or it was named and is missing.
    """
    known = load_connections(config or None, needed=bool(name or config))
    if not name:
        return list(known.values())
    if name not in known:
        raise CliError(f"no connection {name!r}; {config_path(config)} has: {', '.join(known)}")
    return [known[name]]


def offline_connection(settings: ConnectionSettings, menu: Menu | None) -> Connection:
    """Return a connection of the TOML file, with a menu if one is at hand.

    Raises:
        ConfigError: Its settings are wrong.
    """
    platform = settings.platform
    values = settings.available_settings
    missing = settings.table.keys() - values.keys()
    secrets = _secrets(adapter_named(platform).settings.model_fields) & missing
    values |= dict.fromkeys(secrets, _STAND_IN)
    try:
        adapter = adapter_for(platform, values)
    except ConfigError:
        _ = settings.settings  # a variable that isn't set is the better reason
        raise
    return _connection(adapter, menu, name=settings.name, policy=settings.policy)


def platform_connection(platform: str, menu: Menu | None) -> Connection:
    """Return a connection to no store in particular.

    Raises:
        ConfigError: There is no such adapter.
    """
    adapter = adapter_named(platform)
    fields = adapter.settings.model_fields
    values: dict[str, Any] = {
        name: _STAND_IN for name, field in fields.items() if field.is_required()
    }
    if "base_url" in values:
        values["base_url"] = _NO_ADDRESS
    return _connection(adapter(adapter.settings.model_construct(None, **values)), menu)


def _connection(adapter: Adapter[Any], menu: Menu | None, **more: Any) -> Connection:
    cache = MenuCache(menu=menu, imported_at=menu.imported_at.timestamp() if menu else 0.0)
    return Connection(adapter, menu_cache=cache, **more)


def _secrets(fields: Mapping[str, FieldInfo]) -> set[str]:
    """Return the names of the settings that are secret texts, or may be."""
    return {
        name
        for name, field in fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
