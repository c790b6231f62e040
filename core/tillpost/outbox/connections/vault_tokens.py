"""The tokens of one connection in the outbox's database, encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import SecretStr

from tillpost.adapter.settings import Credentials
from tillpost.outbox.connections.credentials import CredentialStore, StoredConnection

__all__ = ["VaultTokens"]


@dataclass
class VaultTokens:
    """The tokens of one connection, as `token_refresh.TokenStorage` describes.

    Attributes:
        store: The credentials in the database.
        name: The connection's name.
        platform: Its platform.
        follows: The fingerprint of the TOML file's tokens; see `StoredConnection`.
        version: The version of the row that the current tokens are from, 0 for none.
    """

    store: CredentialStore
    name: str
    platform: str
    follows: str
    version: int | None = 0

    def newer(self, expired: Credentials) -> Credentials | None:
        """Return credentials that were stored since, if any."""
        stored = self.store.get(self.name)
        if not stored:
            return None
        return self._newer_in(stored, expired)

    def write(self, expired: Credentials, new: Credentials) -> Credentials:
        """Store new credentials, unless others were stored meanwhile: those count."""
        keys = self.store.keyring()
        with self.store.database.writing() as db:
            stored = self.store.locked(db, self.name)
            newer = self._newer_in(stored, expired)
            counts = stored.counts_with(self.follows)
            # A connection of the database alone isn't brought back by this if it was disconnected
            # meanwhile, or if the row isn't the one that its tokens are from.
            if newer is None and (counts or self.follows):
                secrets = self.store.open(stored) if counts else {}
                secrets |= _tokens(new)
                basis = stored if counts else replace(stored.emptied(), follows=self.follows)
                written = self.store.write(db, self._updated(basis, new), secrets, keys)
                self.version = written.version
        return newer or new

    def _newer_in(self, stored: StoredConnection, expired: Credentials) -> Credentials | None:
        if not stored.counts_with(self.follows):
            return None
        found = _with_tokens(expired, self.store.open(stored))
        if found.access_token == expired.access_token:
            return None
        self.version = stored.version
        return found

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


def _with_tokens(like: Credentials, secrets: Mapping[str, SecretStr]) -> Credentials:
    """Return the credentials with the tokens among the secrets."""
    tokens = {
        "access_token": secrets.get("access_token") or like.access_token,
        "refresh_token": secrets.get("refresh_token"),
    }
    return like.model_copy(update=tokens)
