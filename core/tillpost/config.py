"""Reads connections and other tables from a TOML file. Nothing is sent.

    [connections.cafe-42]
    platform = "square"
    location_id = "L123"
    access_token = "env:SQUARE_TOKEN"       # read from the environment when the connection is used

    [connections.cafe-42.policy]
    prices = "keep_paid"

`load_connections` returns the connections by name; `load_table` returns another table of the file,
such as `[outbox]`. A connection's repr holds no settings, because those are secrets. An environment
variable that is missing fails the connection that needs it, not the others. Whatever is wrong
raises `ConfigError`, with a text of one line.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

from pydantic import ValidationError

from tillpost.errors import ConfigError
from tillpost.models.base import explain
from tillpost.submission.policy import Policy

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_CONFIG",
    "ConnectionSettings",
    "config_path",
    "load_connection",
    "load_connections",
    "load_table",
]

CONFIG_VARIABLE = "TILLPOST_CONFIG"
"""The environment variable that names the file."""

DEFAULT_CONFIG = Path("tillpost.toml")
"""The file in the working directory that is used when nothing names one."""

_FROM_ENVIRONMENT = "env:"
_NOT_THE_ADAPTERS = ("platform", "policy", "outbox")

Table: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """A connection as the TOML file configures it: one `[connections.NAME]` table.

    The table is read when a property is asked for, which raises `ConfigError` if it is wrong.
    """

    name: str
    source: Path
    table: Mapping[str, object] = field(repr=False)

    @property
    def platform(self) -> str:
        """The adapter's name."""
        platform = self._resolved("platform", self.table.get("platform"))
        if not isinstance(platform, str) or not platform:
            raise self._error(
                "platform is missing; it names the adapter (`tillpost adapters` lists them)"
            )
        return platform

    @property
    def settings(self) -> dict[str, Any]:
        """The adapter's own settings. Secrets are in clear text: don't store them anywhere."""
        settings: dict[str, Any] = {}
        for key, value in self.table.items():
            if key not in _NOT_THE_ADAPTERS:
                settings[key] = self._resolved(key, value)
        return settings

    @property
    def policy(self) -> Policy:
        """How failures are dealt with; the default policy where the table says nothing."""
        configured = self.table.get("policy", {})
        table = self._resolved("policy", configured)
        try:
            return Policy.model_validate(table)
        except ValidationError as error:
            raise self._error(f"policy: {explain(error)}") from None

    @property
    def outbox(self) -> Mapping[str, object]:
        """How the outbox treats the connection's orders, not validated yet."""
        configured = self.table.get("outbox", {})
        table = self._resolved("outbox", configured)
        if not isinstance(table, dict):
            raise self._error("outbox must be a table: [connections.NAME.outbox]")
        return cast(Table, table)

    def _resolved(self, key: str, value: object) -> object:
        return _resolved(self._where, key, value)

    def _error(self, text: str) -> ConfigError:
        return ConfigError(f"{self._where} {text}")

    @property
    def _where(self) -> str:
        return f"{self.source}: [connections.{self.name}]"


def config_path(path: str | Path | None = None) -> Path:
    """Return the file to read: `path`, else what `TILLPOST_CONFIG` names, else `tillpost.toml`."""
    from_environment = os.environ.get(CONFIG_VARIABLE)
    return Path(path or from_environment or DEFAULT_CONFIG)


def load_connections(
    path: str | Path | None = None, *, needed: bool = True
) -> Mapping[str, ConnectionSettings]:
    """Return the file's connections by name. Tables of other programs are ignored.

    Args:
        path: The file; see `config_path`.
        needed: Whether there must be a connection. If not, a file without any is fine, and so is a
            missing file that nothing named.

    Raises:
        ConfigError: The file is missing, can't be read, isn't TOML, or has no connections.
    """
    source = config_path(path)
    if not needed and _is_absent(source):
        return {}
    content = _read(source)
    tables = content.get("connections")
    if not needed and tables is None:
        return {}
    if not isinstance(tables, dict) or not tables:
        raise ConfigError(f"{source}: there is no [connections.NAME] table")

    connections: dict[str, ConnectionSettings] = {}
    for name, table in cast(Table, tables).items():
        if not isinstance(table, dict):
            raise ConfigError(f"{source}: connections.{name} must be a table: [connections.{name}]")
        connections[name] = ConnectionSettings(name, source, cast(Table, table))
    return connections


def load_connection(name: str, path: str | Path | None = None) -> ConnectionSettings:
    """Return one of the file's connections; see `load_connections`.

    Raises:
        ConfigError: There is no such connection, or the file can't be used.
    """
    connections = load_connections(path)
    if name not in connections:
        known = ", ".join(connections)
        raise ConfigError(f"no connection {name!r}; {config_path(path)} has: {known}")
    return connections[name]


def load_table(name: str, path: str | Path | None = None) -> Mapping[str, object]:
    """Return a top-level table of the file; an empty one if the file or the table is missing.

    Raises:
        ConfigError: A file was named and is missing; it can't be read; it isn't TOML; or a
            variable of the environment is missing.
    """
    source = config_path(path)
    if _is_absent(source):
        return {}
    content = _read(source)
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: {name} must be a table: [{name}]")
    where = f"{source}: [{name}]"
    resolved: dict[str, object] = {}
    for key, value in cast(Table, table).items():
        resolved[key] = _resolved(where, key, value)
    return resolved


def _is_absent(source: Path) -> bool:
    """Whether the file is missing and nothing named one."""
    return source == DEFAULT_CONFIG and not source.exists()


def _read(source: Path) -> Table:
    try:
        text = source.read_text(encoding="utf-8-sig")
        return tomllib.loads(text)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        hint = f"(the file with the connections; {CONFIG_VARIABLE} names another)"
        raise ConfigError(f"{source}: {reason} {hint}") from None
    except ValueError as error:
        # Not TOML, or not UTF-8.
        reason = " ".join(str(error).split())
        raise ConfigError(f"{source}: not TOML: {reason}") from None


def _resolved(where: str, key: str, value: object) -> object:
    """Return a value with every "env:VARIABLE" in it read from the environment."""
    if isinstance(value, dict):
        table: Table = {}
        for name, inner in cast(Table, value).items():
            table[name] = _resolved(where, f"{key}.{name}", inner)
        return table
    if isinstance(value, list):
        members = cast("list[object]", value)
        return [_resolved(where, key, inner) for inner in members]
    if not isinstance(value, str) or not value.startswith(_FROM_ENVIRONMENT):
        return value

    variable = value.removeprefix(_FROM_ENVIRONMENT)
    resolved = os.environ.get(variable, "")
    if not resolved:
        missing = variable or "a variable"
        raise ConfigError(
            f"{where} {key} is read from the environment, but {missing} isn't set there"
        )
    return resolved
