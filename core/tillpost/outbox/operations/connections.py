"""What people do with connections: connect a store, disconnect it, and see how all of them stand.

    known = Connections(outbox) known.keep("cafe-42", "square", settings, Grant(granted_by="Mia
    Chen"))     # its paused orders go on by themselves for state in known.states():
    print(state.name, state.fault or "fine")

The command line is a thin layer over this, and a page could be. Nothing here is sent to a provider.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import RowMapping, func, select

from tillpost.client.base import adapter_for
from tillpost.config import ConnectionSettings
from tillpost.errors import ConfigError
from tillpost.models.base import Aware, FrozenModel
from tillpost.outbox.connections.availability import COLUMNS, availability_of
from tillpost.outbox.connections.credentials import CredentialStore, Grant, StoredConnection
from tillpost.outbox.db import schema as t
from tillpost.outbox.delivery.sources import KnownConnections
from tillpost.outbox.outbox import Outbox
from tillpost.plugins.manager import Hooks

__all__ = ["ConnectionState", "Connections"]

_ORDER = t.orders.c


class ConnectionState(FrozenModel):
    """How a connection stands.

    `of` says who knows it. `fault` is why no Till can be made of it: a setting or a key that is
    missing or wrong. `paused` since `paused_at` means that the platform doesn't let us in;
    `waiting` counts the orders that will go by themselves. `takes_orders` is what was last told of
    the store, None when nobody has looked; `closed_for` says why it takes none now.
    """

    name: str
    platform: str
    of: Literal["file", "database", "both"]
    granted_by: str = ""
    scopes: tuple[str, ...] = ()
    connected_at: Aware | None = None
    expires_at: Aware | None = None
    renews: bool = False
    fault: str = ""
    paused: str = ""
    paused_at: Aware | None = None
    outage_since: Aware | None = None
    waiting: int = 0
    takes_orders: bool | None = None
    closed_for: str = ""

    @property
    def expired(self) -> bool:
        """Whether its token has run out and nothing renews it."""
        return (
            self.expires_at is not None and not self.renews and self.expires_at <= datetime.now(UTC)
        )

    @property
    def healthy(self) -> bool:
        """Whether orders can go, as far as is known here."""
        broken = self.fault or self.paused or self.outage_since or self.expired
        return not broken and self.takes_orders is not False


class Connections:
    """The connections of an outbox, and of the TOML file that it was made from."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.vault = CredentialStore(outbox.database)
        self.known = KnownConnections(self.vault, outbox.config)

    def keep(self, name: str, platform: str, settings: Mapping[str, object], grant: Grant) -> bool:
        """Keep a connection with its secrets sealed, and let its paused orders go on; return whether it was paused.

        Raises `ConfigError` without a key.
        """
        self.outbox.prepare()
        self.vault.keep(name, platform, settings, grant)
        paused = self.outbox.resume(name)
        if paused:
            Hooks(name).call("connection_restored", {})
        return paused

    def forget(self, name: str) -> bool:
        """Delete a connection's tokens; return whether there were any."""
        self.outbox.prepare()
        return self.vault.forget(name)

    def states(self) -> Sequence[ConnectionState]:
        """Return how all connections stand, by name."""
        self.outbox.prepare()
        known = self.known.all()
        places, waiting = self._places()
        return [
            self._state(name, *of, places.get(name), waiting.get(name, 0))
            for name, of in known.items()
        ]

    def _places(self) -> tuple[Mapping[str, RowMapping], Mapping[str, int]]:
        due = (
            select(_ORDER.connection, func.count())
            .where(_ORDER.due_at.is_not(None))
            .group_by(_ORDER.connection)
        )
        with self.outbox.database.reading() as db:
            places = {row["name"]: row for row in db.execute(select(*COLUMNS)).mappings()}
            return places, {row[0]: row[1] for row in db.execute(due)}

    def _state(
        self,
        name: str,
        of_file: ConnectionSettings | None,
        stored: StoredConnection | None,
        place: RowMapping | None,
        waiting: int,
    ) -> ConnectionState:
        grant = stored.grant if stored else Grant()
        platform, renews, fault = self._made(of_file, stored)
        asked = availability_of(name, place, time.time())
        return ConnectionState(
            name=name,
            platform=platform,
            of="both" if of_file and stored else "file" if of_file else "database",
            granted_by=grant.granted_by,
            scopes=grant.scopes,
            connected_at=_time(stored.connected_at or None) if stored else None,
            expires_at=_time(grant.expires_at),
            renews=renews,
            fault=fault,
            paused=place["paused"] if place else "",
            paused_at=_time(place["paused_at"]) if place else None,
            outage_since=_time(place["opened_at"]) if place else None,
            waiting=waiting,
            takes_orders=place["takes_orders"] if place else None,
            closed_for=asked.text if asked.reason else "",
        )

    def _made(
        self, of_file: ConnectionSettings | None, stored: StoredConnection | None
    ) -> tuple[str, bool, str]:
        """Return a connection's platform, whether its token can be renewed, and why no Till can be made of it."""
        platform = stored.platform if stored else ""
        try:
            platform = of_file.platform if of_file else platform
            adapter = adapter_for(platform, self.known.settings(of_file, stored))
        except ConfigError as wrong:
            return platform, False, str(wrong)
        held = adapter.config.credentials()
        return platform, held.refresh_token is not None and "refresh" in adapter.capabilities(), ""


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
