"""The tokens of one connection in the outbox's database, encrypted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from tillpost.adapter.settings import Credentials
from tillpost.config import ConnectionSettings
from tillpost.outbox.connections.credentials import CredentialStore, StoredConnection
from tillpost.outbox.connections.token_refresh import newer_tokens

__all__ = ["CurrentTokens", "KnownTokens", "VaultTokens"]


class CurrentTokens(NamedTuple):
    """The tokens of a connection that count now.

    Attributes:
        credentials: The tokens.
        address: The address that they are for, as `submission.address` gives it.
        follows: The fingerprint of the TOML file's tokens; see `StoredConnection`.
    """

    credentials: Credentials
    address: str
    follows: str


class KnownTokens(Protocol):
    """Says which tokens count, those of the TOML file or of the database."""

    def configured(self, name: str, *, is_stored: bool) -> ConnectionSettings | None:
        """Return what the file says of a connection, None if it has none of that name."""
        ...

    def current(
        self, configured: ConnectionSettings | None, stored: StoredConnection
    ) -> CurrentTokens | None:
        """Return the tokens that count, None if neither knows the connection."""
        ...


@dataclass
class VaultTokens:
    """The tokens of one connection, as `token_refresh.TokenStorage` describes.

    Attributes:
        store: The credentials in the database.
        known: Says which tokens count.
        name: The connection's name.
        platform: Its platform.
        address: The address that the connection was opened for.
        follows: The fingerprint of the TOML file's tokens; see `StoredConnection`.
        version: The version of the row that the current tokens are from, 0 for none.
    """

    store: CredentialStore
    known: KnownTokens
    name: str
    platform: str
    address: str
    follows: str
    version: int | None = 0

    def newer(self, outdated: Collection[SecretStr]) -> Credentials | None:
        """Return credentials that were stored since, if any."""
        stored = self.store.get(self.name)
        configured = self.known.configured(self.name, is_stored=stored is not None)
        stored = stored or StoredConnection(self.name)
        return self._newer_in(self.known.current(configured, stored), stored, outdated)

    def write(self, outdated: Collection[SecretStr], new: Credentials) -> Credentials:
        """Store new credentials, unless others were stored meanwhile: those count."""
        keys = self.store.keyring()
        configured = self.known.configured(self.name, is_stored=True)
        with self.store.database.writing() as db:
            stored = self.store.locked(db, self.name)
            current = self.known.current(configured, stored)
            newer = self._newer_in(current, stored, outdated)
            # A connection of the database alone isn't brought back by this if it was disconnected
            # meanwhile.
            if newer is None and current:
                counts = stored.counts_with(current.follows)
                secrets = self.store.open(stored) if counts else {}
                secrets |= _tokens(new)
                basis = stored if counts else replace(stored.emptied(), follows=current.follows)
                written = self.store.write(db, self._updated(basis, new), secrets, keys)
                self.version, self.follows = written.version, current.follows
        return newer or new

    def _newer_in(
        self,
        current: CurrentTokens | None,
        stored: StoredConnection,
        outdated: Collection[SecretStr],
    ) -> Credentials | None:
        if current is None:
            return None
        newer = newer_tokens(current.credentials, current.address, outdated, self.address)
        if newer:
            self.version, self.follows = stored.version, current.follows
        return newer

    def _updated(self, stored: StoredConnection, new: Credentials) -> StoredConnection:
        expires_at = new.expires_at.timestamp() if new.expires_at else None
        grant = replace(stored.grant, expires_at=expires_at)
        return replace(stored, platform=self.platform, grant=grant)


def _tokens(credentials: Credentials) -> dict[str, SecretStr]:
    tokens = {
        "access_token": credentials.access_token,
        "refresh_token": credentials.refresh_token,
    }
    return {name: token for name, token in tokens.items() if token is not None}
