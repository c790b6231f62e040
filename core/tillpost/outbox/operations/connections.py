"""Connects and disconnects stores, and lists the state of all connections.

    connections = Connections(outbox)
    connections.connect("cafe-42", "square", settings, Grant(granted_by="Mia Chen"))
    for state in connections.states():
        print(state.name, state.fault or "ok")

The command line calls this, and so may a web page. Nothing is sent to a provider.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import func, select

from tillpost.adapter.base import Adapter
from tillpost.client.base import adapter_for
from tillpost.errors import ConfigError
from tillpost.models.base import Aware, FrozenModel
from tillpost.outbox.connections.availability import availability_of, read_rows
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.db import schema as t
from tillpost.outbox.delivery.plugin_connections import PluginConnections
from tillpost.outbox.delivery.sources import Known, KnownConnections, UnknownConnectionError
from tillpost.outbox.outbox import Outbox
from tillpost.plugins.manager import Hooks

__all__ = ["ConnectionState", "Connections"]

_ORDER = t.orders.c


class ConnectionState(FrozenModel):
    """The state of a connection.

    Attributes:
        name: The name of the connection.
        platform: The name of its adapter.
        defined_in: Where it is defined: in the TOML file, in the database, in both, or by a plugin.
        plugin: The plugin whose source has a connection of this name, "" for none. What the file or
            the database says of it counts first.
        granted_by: The person or business that authorised us; "" if that isn't known.
        scopes: The permissions that were granted.
        connected_at: When the store was connected.
        expires_at: When the access token expires.
        renews: Whether the token is refreshed automatically.
        expired: Whether the token has expired and isn't refreshed.
        fault: Why the connection can't be used, such as a missing setting or a wrong key; "" if it
            can.
        paused: Why its orders are held back; "" if they aren't.
        paused_at: Since when they are.
        outage_since: Since when its platform fails or can't be reached.
        waiting: How many orders will be sent automatically.
        takes_orders: What was last reported of the store; None if it was never checked.
        closed_for: Why the store takes no orders now; "" if it does.
    """

    name: str
    platform: str
    defined_in: Literal["file", "database", "both", "plugin"]
    plugin: str = ""
    granted_by: str = ""
    scopes: tuple[str, ...] = ()
    connected_at: Aware | None = None
    expires_at: Aware | None = None
    renews: bool = False
    expired: bool = False
    fault: str = ""
    paused: str = ""
    paused_at: Aware | None = None
    outage_since: Aware | None = None
    waiting: int = 0
    takes_orders: bool | None = None
    closed_for: str = ""

    @property
    def healthy(self) -> bool:
        """Whether its orders can be sent, as far as is known."""
        has_problem = self.fault or self.paused or self.outage_since or self.expired
        return not has_problem and self.takes_orders is not False


@dataclass(frozen=True, slots=True)
class _Usability:
    """Whether a connection can be opened.

    `renews` and `fault` are as in `ConnectionState`.
    """

    platform: str
    renews: bool = False
    fault: str = ""


class Connections:
    """The connections of an outbox: of its database, its TOML file, and of plugins."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.credentials = CredentialStore(outbox.database)
        self.known = KnownConnections(self.credentials, outbox.config)
        self.plugins = PluginConnections.installed()

    def get(self, name: str) -> Known:
        """Return what the TOML file and the database say of a connection.

        Raises `ConfigError` if neither knows it; the text says so of one that a plugin has.
        """
        try:
            return self.known.get(name)
        except UnknownConnectionError:
            plugin = self.plugins.owners().get(name)
            if plugin is None:
                raise
            fault = f"the connection {name!r} is of the plugin {plugin}: change it there"
        raise ConfigError(fault)

    def names(self) -> Collection[str]:
        """Return the names of all connections."""
        return {*self.known.names(), *self.plugins.names()}

    def connect(
        self,
        name: str,
        platform: str,
        settings: Mapping[str, object],
        grant: Grant,
    ) -> bool:
        """Store a connection with its secrets encrypted, and resume it if it was paused.

        Args:
            name: The name of the connection; one with this name is replaced.
            platform: The name of its adapter.
            settings: The adapter's settings, including the secret ones.
            grant: The store's authorisation.

        Returns:
            Whether it was paused.

        Raises:
            ConfigError: the encryption key is missing.
        """
        self.outbox.prepare()
        self.credentials.save(name, platform, settings, grant)
        was_paused = self.outbox.resume(name)
        if was_paused:
            Hooks(name).call("connection_restored", {})
        return was_paused

    def disconnect(self, name: str) -> bool:
        """Delete the tokens of a connection; return whether it had any."""
        self.outbox.prepare()
        return self.credentials.delete(name)

    def states(self) -> Sequence[ConnectionState]:
        """Return the state of each connection, sorted by name."""
        self.outbox.prepare()
        known = self.known.all()
        owners = self.plugins.owners()
        rows = self._rows()
        waiting = self._count_waiting()
        return [
            self._state(
                name,
                known.get(name, Known(None, None)),
                owners.get(name, ""),
                rows.get(name),
                waiting.get(name, 0),
            )
            for name in sorted({*known, *owners})
        ]

    def _rows(self) -> Mapping[str, Mapping[str, Any]]:
        with self.outbox.database.reading() as db:
            return read_rows(db)

    def _count_waiting(self) -> Mapping[str, int]:
        due = select(_ORDER.connection, func.count()).where(_ORDER.due_at.is_not(None))
        with self.outbox.database.reading() as db:
            rows = db.execute(due.group_by(_ORDER.connection))
            return {row[0]: row[1] for row in rows}

    def _state(
        self,
        name: str,
        known: Known,
        plugin: str,
        row: Mapping[str, Any] | None,
        waiting: int,
    ) -> ConnectionState:
        now = self.outbox.clock()
        usability = self._usability(name, known)
        expires_at = known.stored.grant.expires_at if known.stored else None
        has_expired = expires_at is not None and expires_at <= now
        state = ConnectionState(
            name=name,
            platform=usability.platform,
            defined_in=_origin(known),
            plugin=plugin,
            renews=usability.renews,
            expired=has_expired and not usability.renews,
            fault=usability.fault,
            waiting=waiting,
        )
        return state.model_copy(update={**_grant_values(known), **_row_values(name, row, now)})

    def _usability(self, name: str, known: Known) -> _Usability:
        """Find out whether a connection can be opened."""
        platform = known.stored.platform if known.stored else ""
        try:
            if known == Known(None, None):
                adapter = self._of_plugin(name)
                platform = adapter.platform
            else:
                platform = known.platform
                settings = self.known.settings(known.configured, known.stored)
                adapter = adapter_for(platform, settings)
        except ConfigError as error:
            return _Usability(platform, fault=str(error))
        has_refresh_token = adapter.config.credentials().refresh_token is not None
        can_refresh = "refresh" in adapter.capabilities()
        return _Usability(platform, renews=has_refresh_token and can_refresh)

    def _of_plugin(self, name: str) -> Adapter[Any]:
        found = self.plugins.find(name)
        if found is None:
            raise ConfigError("its plugin lists it, but doesn't know it")
        return found[1].adapter


def _origin(known: Known) -> Literal["file", "database", "both", "plugin"]:
    if known.configured and known.stored:
        return "both"
    if known == Known(None, None):
        return "plugin"
    return "file" if known.configured else "database"


def _grant_values(known: Known) -> dict[str, object]:
    """Return the fields of a state that the store's authorisation determines."""
    stored = known.stored
    if stored is None:
        return {}
    return {
        "granted_by": stored.grant.granted_by,
        "scopes": stored.grant.scopes,
        "connected_at": _to_datetime(stored.connected_at or None),
        "expires_at": _to_datetime(stored.grant.expires_at),
    }


def _row_values(name: str, row: Mapping[str, Any] | None, now: float) -> dict[str, object]:
    """Return the fields of a state that workers determine."""
    if row is None:
        return {}
    availability = availability_of(name, row, now)
    return {
        "paused": row["paused"],
        "paused_at": _to_datetime(row["paused_at"]),
        "outage_since": _to_datetime(row["opened_at"]),
        "takes_orders": row["takes_orders"],
        "closed_for": availability.text if availability.reason else "",
    }


def _to_datetime(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # no time that a calendar has
