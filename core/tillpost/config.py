"""The connections and other tables of a TOML file. Nothing is sent.

    [connections.cafe-42]
    platform = "square"
    location_id = "L123"
    access_token = "env:SQUARE_TOKEN"       # read from the environment when the connection is used

    [connections.cafe-42.policy]
    prices = "keep_paid"

`load_connections` returns the connections by name; `load_table` returns another table of the file,
such as `[outbox]`. A table that is neither is refused with the nearest name, except for
`[tool.NAME]`, where other programs and plugins keep theirs.

Texts of the file are kept as `SecretStr` until they are asked for, because any of them may be a
secret, which neither a repr nor a traceback should show. An environment variable that is missing
fails the connection that needs it, not the others. Whatever is wrong raises `ConfigError`, with a
text of one line.
"""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, TypeAlias, cast

from pydantic import SecretStr, ValidationError

from tillpost.errors import ConfigError, UnreadableConfigError
from tillpost.models.base import explain_settings
from tillpost.models.known_names import LONGEST_SHOWN, nearest, suggestion
from tillpost.models.safe_text import listing, plain
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

MOST_FILES = 4
"""How many files are kept as they were read."""

SETTLED_AFTER = 0.1
"""After how many seconds another change of a file gets another time.

That is so on every usual file system.
"""

_FROM_ENVIRONMENT = "env:"
_TABLES = ("connections", "outbox", "tool")
_TABLES_OF_CONNECTION = ("policy", "outbox")
_NOT_THE_ADAPTERS = ("platform", *_TABLES_OF_CONNECTION)

Table: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """A connection as the TOML file configures it: one `[connections.NAME]` table.

    The table is read when a property is asked for, which raises `ConfigError` if it is wrong. It is
    pickled by its name and its file alone, and read from there again.

    Attributes:
        name: The connection's name.
        source: The file.
        table: The table; empty if it is none.
        fault: Why it is none; every property raises that. "" if it is one.
    """

    name: str
    source: Path
    table: Mapping[str, object] = field(repr=False)
    fault: str = ""

    @property
    def platform(self) -> str:
        """The adapter's name."""
        platform = self._resolved("platform").get("platform")
        if not isinstance(platform, str) or not platform:
            raise self._error(
                "platform is missing; it names the adapter (`tillpost adapters` lists them)"
            )
        return platform

    @property
    def settings(self) -> dict[str, Any]:
        """The adapter's own settings, with secrets in clear text: don't store them."""
        self._require_table()
        table = {key: self.table[key] for key in self.table if key not in _NOT_THE_ADAPTERS}
        return _resolved_table(self._where, table)

    def setting(self, name: str) -> object:
        """Return one of the adapter's own settings in clear text, None if it isn't set."""
        return self._resolved(name).get(name)

    @property
    def available_settings(self) -> dict[str, Any]:
        """Those of the adapter's own settings whose variables are set; see `settings`."""
        available: dict[str, Any] = {}
        for key in self.table.keys() - set(_NOT_THE_ADAPTERS):
            with suppress(ConfigError):
                available |= self._resolved(key)
        return available

    @property
    def policy(self) -> Policy:
        """How failures are dealt with; the default policy where the table says nothing."""
        try:
            return Policy.model_validate(self._resolved("policy").get("policy", {}))
        except ValidationError as error:
            fault = explain_settings(error, Policy.model_fields)
        # Raised out here, because the ValidationError holds the values that it refused.
        raise self._error(f"policy: {fault}")

    @property
    def outbox(self) -> Mapping[str, object]:
        """How the outbox treats the connection's orders, not validated yet."""
        if not isinstance(self.table.get("outbox", {}), dict):
            raise self._error("outbox must be a table: [connections.NAME.outbox]")
        return cast(Table, self._resolved("outbox").get("outbox", {}))

    def _resolved(self, key: str) -> Table:
        """Return the part of the table with this key alone."""
        self._require_table()
        part: dict[str, Any] = {}
        if key in self.table:
            part[key] = self.table[key]
        return _resolved_table(self._where, part)

    def _require_table(self) -> None:
        if self.fault:
            raise ConfigError(self.fault)

    def __reduce__(self) -> tuple[Callable[..., ConnectionSettings], tuple[str, Path]]:
        """Leave the settings out."""
        return load_connection, (self.name, self.source)

    def _error(self, text: str) -> ConfigError:
        return ConfigError(f"{self._where} {text}")

    @property
    def _where(self) -> str:
        return f"{self.source}: [connections.{self.name}]"


_NO_CONNECTIONS: Mapping[str, ConnectionSettings] = {}


def config_path(path: str | Path | None = None) -> Path:
    """Return the file to read: `path`, else `TILLPOST_CONFIG`, else `tillpost.toml`."""
    from_environment = os.environ.get(CONFIG_VARIABLE)
    return Path(path or from_environment or DEFAULT_CONFIG)


def load_connections(
    path: str | Path | None = None, *, needed: bool = True
) -> Mapping[str, ConnectionSettings]:
    """Return the file's connections by name.

    Args:
        path: The file; see `config_path`.
        needed: Whether there must be a connection. If not, a file without any is fine, and so is a
            missing file that nothing named; and a connection that is no table fails alone, when it
            is used.

    Raises:
        ConfigError: A connection is no table, or has a misspelt one; or there is none.
        UnreadableConfigError: The file is missing, can't be read, isn't TOML, or has a table that
            isn't Tillpost's.
    """
    connections = _load_connections(path, needed=needed)
    for configured in connections.values():
        if needed and configured.fault:
            raise ConfigError(configured.fault)
    return connections


def _load_connections(path: str | Path | None, *, needed: bool) -> Mapping[str, ConnectionSettings]:
    source = config_path(path)
    if not needed and _is_absent(source):
        return _NO_CONNECTIONS
    file = _read(source)
    tables = file.content.get("connections")
    if not needed and tables is None:
        return _NO_CONNECTIONS
    if not isinstance(tables, dict) or not tables:
        raise ConfigError(f"{source}: there is no [connections.NAME] table")
    return file.connections


def _connections_in(source: Path, content: Table) -> Mapping[str, ConnectionSettings]:
    tables = content.get("connections")
    connections: dict[str, ConnectionSettings] = {}
    if not isinstance(tables, dict):
        return connections
    for name, table in cast(Table, tables).items():
        fault = _fault_of(name, table)
        if fault:
            connections[name] = ConnectionSettings(name, source, {}, f"{source}: {fault}")
        else:
            connections[name] = ConnectionSettings(name, source, cast(Table, table))
    return connections


def _fault_of(name: str, table: object) -> str:
    """Return why a connection can't be one; "" if it can.

    Of its tables only misspelt ones are found here: others are the adapter's to judge.
    """
    if not isinstance(table, dict):
        return f"connections.{name} must be a table: [connections.{name}]"
    for key, value in cast(Table, table).items():
        if isinstance(value, dict) and key not in _TABLES_OF_CONNECTION:
            meant = nearest(key, _TABLES_OF_CONNECTION)
            if meant:
                where = f"[connections.{name}.{key}]"
                return f"no table is called {where}; did you mean [connections.{name}.{meant}]?"
    return ""


def load_connection(name: str, path: str | Path | None = None) -> ConnectionSettings:
    """Return one of the file's connections; see `load_connections`.

    Raises:
        ConfigError: There is no such connection.
        UnreadableConfigError: The file is missing, can't be read, or isn't TOML.
    """
    connections = _load_connections(path, needed=True)
    if name not in connections:
        raise ConfigError(
            f"no connection {name!r}; {config_path(path)} has: {listing(connections)}"
        )
    return connections[name]


def load_table(name: str, path: str | Path | None = None) -> Mapping[str, object]:
    """Return a top-level table of the file, empty if file or table is missing.

    Raises:
        ConfigError: A file was named and is missing; it can't be read, isn't TOML, or has a table
            that isn't Tillpost's; or a variable of the environment is missing.
    """
    source = config_path(path)
    if _is_absent(source):
        return {}
    table = _read(source).content.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: {name} must be a table: [{name}]")
    return _resolved_table(f"{source}: [{name}]", cast(Table, table))


def _is_absent(source: Path) -> bool:
    """Return whether the file is missing and nothing named one."""
    return source == DEFAULT_CONFIG and not source.exists()


class _File:
    """A file as it was last read: its content, or why that can't be read."""

    def __init__(self, source: Path, mark: object, content: Table, fault: str) -> None:
        self.mark = mark
        self.content = content
        self.fault = fault
        self.connections = _connections_in(source, content)


_files: dict[tuple[Path, str], _File] = {}
"""The files that were read last, by their name and absolute path.

A file with thousands of connections takes seconds to parse, and each connection is asked for alone.
"""


def _read(source: Path) -> _File:
    """Return the file, read again if it has changed. Each text in it is a `SecretStr`."""
    key = source, os.path.abspath(source)  # noqa: PTH100  Path.absolute keeps ".."
    try:
        with source.open(encoding="utf-8-sig") as opened:
            status = os.fstat(opened.fileno())
            mark = status.st_mtime_ns, status.st_size, status.st_ino
            file = _files.get(key)
            if file is None or file.mark != mark:
                file = _keep(key, mark, *_parsed(opened))
        fault = file.fault
        if not fault:
            return file
    except OSError as error:
        reason = error.strerror or "cannot be read"
        fault = f"{reason} (the file with the connections; {CONFIG_VARIABLE} names another)"
    # Raised out here: the parser's frames hold the text.
    raise UnreadableConfigError(f"{source}: {fault}")


def _parsed(opened: TextIO) -> tuple[Table, str]:
    """Return a file's content, or why it can't be read."""
    try:
        content = tomllib.loads(opened.read())
    except ValueError as error:
        # Not TOML, or not UTF-8.
        reason = " ".join(str(error).split())
        return {}, f"not TOML: {reason}"
    fault = _unknown_table(content)
    if fault:
        return {}, fault
    return cast(Table, _hidden(content)), ""


def _keep(key: tuple[Path, str], mark: tuple[int, int, int], content: Table, fault: str) -> _File:
    """Keep a file that was read, unless it may change without another mark."""
    file = _File(key[0], mark, content, fault)
    age = time.time() - mark[0] / 1e9
    if age > SETTLED_AFTER:
        if len(_files) >= MOST_FILES:
            _files.clear()
        _files[key] = file
    return file


def _unknown_table(names: Iterable[str]) -> str:
    """Return what is wrong with a name at the top of the file; "" if nothing is.

    What the file says isn't known then: a whole table may be missing by a typing error.
    """
    for name in names:
        if name not in _TABLES:
            return f"no table is called [{plain(name, LONGEST_SHOWN)}]; {suggestion(name, _TABLES)}"
    return ""


def _hidden(value: object) -> object:
    """Return a value with each text in it as a `SecretStr`."""
    match value:
        case dict():
            return {key: _hidden(inner) for key, inner in cast(Table, value).items()}
        case list():
            return [_hidden(inner) for inner in cast("list[object]", value)]
        case str():
            return SecretStr(value)
        case _:
            return value


def _resolved_table(where: str, table: Mapping[str, object]) -> Table:
    """Return a table in clear text, each "env:VARIABLE" read from the environment."""
    # All are looked for before one is read, so that no traceback shows those that were found.
    for key, value in table.items():
        _require_variables(where, key, value)
    return {key: _resolved(value) for key, value in table.items()}


def _require_variables(where: str, key: str, value: object) -> None:
    """Raise `ConfigError` if a variable that the value names isn't set."""
    match value:
        case dict():
            for name, inner in cast(Table, value).items():
                _require_variables(where, f"{key}.{name}", inner)
        case list():
            for inner in cast("list[object]", value):
                _require_variables(where, key, inner)
        case SecretStr() if _variable(value) is not None:
            variable = _variable(value) or ""
            if not os.environ.get(variable):
                raise ConfigError(
                    f"{where} {key} is read from the environment, but {variable or 'a variable'} "
                    "isn't set there"
                )
        case _:
            pass


def _variable(text: SecretStr) -> str | None:
    """Return the variable that a text names, None if it isn't "env:VARIABLE"."""
    if not text.get_secret_value().startswith(_FROM_ENVIRONMENT):
        return None
    return text.get_secret_value().removeprefix(_FROM_ENVIRONMENT)


def _resolved(value: object) -> object:
    match value:
        case dict():
            return {name: _resolved(inner) for name, inner in cast(Table, value).items()}
        case list():
            return [_resolved(inner) for inner in cast("list[object]", value)]
        case SecretStr():
            variable = _variable(value)
            if variable is None:
                return value.get_secret_value()
            return os.environ[variable]
        case _:
            return value
