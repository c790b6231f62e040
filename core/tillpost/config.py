"""Reads connections from a TOML file: which platform, with which settings, under which policy. Nothing is sent.

    [connections.cafe-42]
    platform = "square"
    location_id = "L123"
    access_token = "env:SQUARE_TOKEN"       # read from the environment when the connection is used

    [connections.cafe-42.policy]
    prices = "keep_paid"

`load_connections` gives them by name; `load_table` gives another table of the file, such as
`[outbox]`. A connection's repr holds no settings, since those are secrets; and a variable that is
missing fails the connection that needs it, not the others. All that is wrong raises `ConfigError`,
one line.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from tillpost.errors import ConfigError
from tillpost.models.base import explain
from tillpost.submission.policy import Policy

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_CONFIG",
    "ConnectionSettings",
    "config_path",
    "load_connections",
    "load_table",
]

CONFIG_VARIABLE = "TILLPOST_CONFIG"
"""The environment variable that names the file."""

DEFAULT_CONFIG = Path("tillpost.toml")
"""The file when nothing names one: in the working directory."""

_FROM_ENVIRONMENT = "env:"


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """One `[connections.NAME]` table. What it says is read when it is asked for, and then raises `ConfigError`.

    An adapter is made of it by `till.adapter_for(connection.platform, connection.settings)`.
    """

    name: str
    source: Path
    table: Mapping[str, object] = field(repr=False)

    @property
    def platform(self) -> str:
        """The adapter's name."""
        platform = self._resolved("platform", self.table.get("platform"))
        if not isinstance(platform, str) or not platform:
            raise self._wrong(
                "platform is missing; it names the adapter (`tillpost adapters` lists them)"
            )
        return platform

    @property
    def settings(self) -> dict[str, Any]:
        """The adapter's own settings, secrets in clear: hand them to it, and keep them nowhere else."""
        own = {
            key: value
            for key, value in self.table.items()
            if key not in ("platform", "policy", "outbox")
        }
        return {key: self._resolved(key, value) for key, value in own.items()}

    @property
    def policy(self) -> Policy:
        """How trouble is dealt with; the default policy where the table says nothing."""
        try:
            return Policy.model_validate(self._resolved("policy", self.table.get("policy", {})))
        except ValidationError as error:
            raise self._wrong(f"policy: {explain(error)}") from None

    @property
    def outbox(self) -> Mapping[str, object]:
        """How the outbox treats the connection's orders, as the file has it."""
        table = self._resolved("outbox", self.table.get("outbox", {}))
        if not isinstance(table, dict):
            raise self._wrong("outbox must be a table: [connections.NAME.outbox]")
        return cast("dict[str, object]", table)

    def _resolved(self, key: str, value: object) -> object:
        return _resolved(f"{self.source}: [connections.{self.name}]", key, value)

    def _wrong(self, text: str) -> ConfigError:
        return ConfigError(f"{self.source}: [connections.{self.name}] {text}")


def _resolved(where: str, key: str, value: object) -> object:
    """Return the value with every "env:VAR" in it read from the environment."""
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return {name: _resolved(where, f"{key}.{name}", inner) for name, inner in table.items()}
    if isinstance(value, list):
        return [_resolved(where, key, inner) for inner in cast("list[object]", value)]
    if not isinstance(value, str) or not value.startswith(_FROM_ENVIRONMENT):
        return value
    variable = value.removeprefix(_FROM_ENVIRONMENT)
    if not (found := os.environ.get(variable, "")):
        what = f"{key} is read from the environment, but {variable or 'a variable'} isn't set there"
        raise ConfigError(f"{where} {what}")
    return found


def config_path(path: str | Path | None = None) -> Path:
    """Return the file to read: the one given, else `TILLPOST_CONFIG`, else `tillpost.toml` in the working directory."""
    return Path(path or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)


def load_connections(
    path: str | Path | None = None, *, needed: bool = True
) -> Mapping[str, ConnectionSettings]:
    """Return the file's connections by name, at least one. See `config_path` for which file.

    Where none is `needed`, a file without any is fine, and so is no file, unless one was named.

    Other top-level tables are left alone: they belong to somebody else.

    Raises:
        ConfigError: the file isn't there, can't be read, isn't TOML, or has no connections.
    """
    source = config_path(path)
    if not needed and source == DEFAULT_CONFIG and not source.exists():
        return {}
    tables = _content(source).get("connections")
    if not needed and tables is None:
        return {}
    if not isinstance(tables, dict) or not tables:
        raise ConfigError(f"{source}: there is no [connections.NAME] table")
    found: dict[str, ConnectionSettings] = {}
    for name, table in cast("dict[str, object]", tables).items():
        if not isinstance(table, dict):
            raise ConfigError(f"{source}: connections.{name} must be a table: [connections.{name}]")
        found[name] = ConnectionSettings(name, source, cast("dict[str, object]", table))
    return found


def load_table(name: str, path: str | Path | None = None) -> Mapping[str, object]:
    """Return a top-level table of the file; an empty one when there is none, or no file and none was named.

    Raises `ConfigError` as `load_connections` does, and for a variable of the environment that is
    missing.
    """
    source = config_path(path)
    if source == DEFAULT_CONFIG and not source.exists():
        return {}
    table = _content(source).get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: {name} must be a table: [{name}]")
    where = f"{source}: [{name}]"
    return {
        key: _resolved(where, key, value) for key, value in cast("dict[str, object]", table).items()
    }


def _content(source: Path) -> dict[str, object]:
    try:
        return tomllib.loads(source.read_text(encoding="utf-8-sig"))
    except OSError as error:
        why = error.strerror or "cannot be read"
        raise ConfigError(
            f"{source}: {why} (the file with the connections; {CONFIG_VARIABLE} names another)"
        ) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{source}: not TOML: {' '.join(str(error).split())}") from None
