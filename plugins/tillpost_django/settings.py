"""Django's settings for Tillpost, and the address of its database.

    TILLPOST = {"USING": "default", "CONFIG": BASE_DIR / "tillpost.toml"}

Both keys may be left out. The file has the connections and the outbox's settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.connection import ConnectionDoesNotExist
from pydantic import SecretStr
from sqlalchemy import URL

__all__ = ["TillpostSettings", "database_url", "load_settings"]

_KEYS = ("USING", "CONFIG")


class TillpostSettings(NamedTuple):
    """The settings in `TILLPOST`.

    Attributes:
        using: The alias of the database that has the outbox's tables.
        config: The path of the TOML file; None for the usual one, which may be missing.
    """

    using: str = DEFAULT_DB_ALIAS
    config: Path | None = None


def load_settings() -> TillpostSettings:
    """Return the settings.

    Raises:
        ImproperlyConfigured: one of them is wrong; the text, one line, names it.
    """
    given: object = getattr(settings, "TILLPOST", {})
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured("TILLPOST must be a dictionary")
    found: dict[str, Any] = dict(given)  # pyright: ignore[reportUnknownArgumentType]
    unknown = sorted(str(key) for key in found if key not in _KEYS)
    if unknown:
        raise ImproperlyConfigured(
            f"TILLPOST has no key {unknown[0]!r}; it has: {', '.join(_KEYS)}"
        )
    using = found.get("USING", DEFAULT_DB_ALIAS)
    if using not in connections:
        raise ImproperlyConfigured(f"TILLPOST['USING']: DATABASES has no {using!r}")
    config = found.get("CONFIG")
    return TillpostSettings(using, Path(config) if config else None)


def database_url(alias: str) -> SecretStr:
    """Return the URL of a database of Django's for Tillpost.

    Raises:
        ImproperlyConfigured: there is none of this alias, or it is neither a SQLite file nor
            PostgreSQL.
    """
    try:
        database: Any = connections[alias]
    except ConnectionDoesNotExist:
        raise ImproperlyConfigured(f"DATABASES has no {alias!r}") from None
    if database.vendor == "sqlite":
        url = _sqlite_url(alias, database)
    elif database.vendor == "postgresql":
        url = _postgresql_url(database.get_connection_params())
    else:
        raise ImproperlyConfigured(
            f"DATABASES[{alias!r}]: Tillpost needs SQLite or PostgreSQL, not {database.vendor}"
        )
    return SecretStr(url.render_as_string(hide_password=False))


def _sqlite_url(alias: str, database: Any) -> URL:
    if database.is_in_memory_db():
        raise ImproperlyConfigured(
            f"DATABASES[{alias!r}] is in memory, where Tillpost's workers can't find it: name a "
            "file, for tests in its TEST['NAME']"
        )
    return URL.create("sqlite", database=str(database.settings_dict["NAME"]))


def _postgresql_url(parameters: Mapping[str, object]) -> URL:
    """Return the URL of the database that Django's parameters for psycopg name."""
    try:
        from psycopg.pq import Conninfo
    except ModuleNotFoundError:
        raise ImproperlyConfigured(
            "Tillpost needs psycopg 3, which Django then uses too: pip install 'tillpost[postgres]'"
        ) from None
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    query = {
        name: str(value)
        for name, value in parameters.items()
        if name in known and value not in (None, "")
    }
    host = query.get("host", "")
    # The others are shown when the URL is; the directory of a socket has no place there.
    in_url = {"user": "username", "password": "password", "dbname": "database"}
    if host and not host.startswith(("/", "@")) and "," not in host:
        in_url |= {"host": "host", "port": "port"}
    parts: dict[str, Any] = {
        part: query.pop(name) for name, part in in_url.items() if name in query
    }
    if "port" in parts:
        parts["port"] = int(parts["port"])
    return URL.create("postgresql+psycopg", query=query, **parts)
