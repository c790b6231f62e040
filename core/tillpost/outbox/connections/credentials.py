"""The connections that are kept in the outbox's database: who granted them, their settings, and their secrets, sealed.

    vault = Vault(outbox.database) vault.keep("cafe-42", "square", {"location_id": "L123",
    "access_token": token}, Grant(granted_by="Mia Chen")) stored = vault.get("cafe-42")
    vault.open(stored)["access_token"]           # a SecretStr; takes the key in TILLPOST_KEY

A row can stand beside a connection of the TOML file: then it has that one's token, and the file has
the rest. What is on disk after a method returned is on disk. `ConfigError`, one line, when the key
is missing or isn't the right one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast, get_args

from pydantic import SecretStr
from pydantic_core import to_jsonable_python
from sqlalchemy import Connection, RowMapping, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tillpost.client.locks import NamedLocks
from tillpost.errors import ConfigError
from tillpost.outbox.connections.encryption import EncryptionKeys
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import Database
from tillpost.plugins.manager import adapter_named

__all__ = ["CredentialStore", "Grant", "StoredConnection", "secret_settings"]

_ROW = t.credentials.c


@dataclass(frozen=True, slots=True)
class Grant:
    """What is known of an access: who granted it (a person or a business), which scopes, until when (epoch seconds)."""

    granted_by: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection as the database has it. `settings` hold no secrets; those are in `sealed`, "" when there are none.

    `version` rises whenever it is written. `follows` is a fingerprint of the TOML file's tokens
    that these were renewed from, "" when a person connected the store. `refresher` is the worker
    that is renewing the token now.
    """

    name: str
    platform: str = ""
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    sealed: str = field(default="", repr=False)
    sealed_with: str = ""
    grant: Grant = field(default_factory=Grant)
    connected_at: float = 0.0
    version: int = 0
    follows: str = ""
    refresher: str | None = None

    def counts_with(self, tokens: str) -> bool:
        """Whether its secrets win over the TOML file's, whose tokens have this fingerprint.

        What a person connected here does. What was renewed from the file's does until the file has
        others.
        """
        return bool(self.sealed) and self.follows in ("", tokens)


class CredentialStore:
    """The connections in the database. `keyring` gives the keys when they are needed. Safe for threads.

    `turns` are for what one thread at a time may do for a connection.
    """

    def __init__(
        self,
        database: Database,
        keyring: Callable[[], EncryptionKeys] = EncryptionKeys.from_environment,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self.keyring = keyring
        self._clock = clock
        self.turns = NamedLocks()
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    # ------------------------------------------------------------------ reading

    def all(self) -> Mapping[str, StoredConnection]:
        """Return the connections that have secrets here, by name."""
        with self.database.reading() as db:
            rows = db.execute(
                select(t.credentials).where(_ROW.encrypted_secrets != "").order_by(_ROW.connection)
            ).mappings()
            return {row["connection"]: _stored(row) for row in rows}

    def get(self, name: str) -> StoredConnection | None:
        """Return the connection of that name; None when it has no secrets here."""
        with self.database.reading() as db:
            row = (
                db.execute(select(t.credentials).where(_ROW.connection == name))
                .mappings()
                .one_or_none()
            )
        return _stored(row) if row and row["encrypted_secrets"] else None

    def marks(self) -> Mapping[str, object]:
        """Return for each connection what changes when it does."""
        with self.database.reading() as db:
            rows = db.execute(select(_ROW.connection, _ROW.version, _ROW.connected_at))
            return {row.connection: (row.version, row.connected_at) for row in rows}

    def open(self, stored: StoredConnection) -> dict[str, SecretStr]:
        """Return the connection's secrets. Raises `ConfigError` without the key that they were sealed with."""
        if not stored.sealed:
            return {}
        try:
            return self.keyring().open(stored.sealed, stored.sealed_with)
        except ConfigError as wrong:
            fault = f"connection {stored.name!r}: {wrong}"
        raise ConfigError(fault)

    # ------------------------------------------------------------------ writing

    def keep(self, name: str, platform: str, settings: Mapping[str, object], grant: Grant) -> None:
        """Keep a connection, in place of what stands under its name. Its secret settings are sealed.

        Raises `ConfigError` without a key, and for a platform that has no adapter.
        """
        secret = secret_settings(platform)
        public = {
            key: to_jsonable_python(value) for key, value in settings.items() if key not in secret
        }
        secrets = {
            key: _as_secret(settings[key])
            for key in sorted(secret & settings.keys())
            if settings[key]
        }
        keyring = self.keyring()
        with self.database.writing() as db:
            before = self.locked(db, name)
            new = replace(before, platform=platform, settings=public, grant=grant, follows="")
            self.write(db, replace(new, connected_at=self._clock()), secrets, keyring)

    def forget(self, name: str) -> bool:
        """Delete a connection with its secrets; return whether it was here."""
        with self.database.writing() as db:
            return db.execute(delete(t.credentials).where(_ROW.connection == name)).rowcount == 1

    def rotate(self) -> int:
        """Seal all secrets with the newest key; return how many connections have some. One that can't be opened stops
        it, and nothing is changed.
        """
        keyring, done = self.keyring(), 0
        with self.database.writing() as db:
            for name in list(
                db.scalars(select(_ROW.connection).where(_ROW.encrypted_secrets != ""))
            ):
                stored = self.locked(db, name)
                self.write(db, stored, self.open(stored), keyring)
                done += 1
        return done

    # ------------------------------------------------------------------ within a transaction of the
    # caller's

    def locked(self, db: Connection, name: str) -> StoredConnection:
        """Return the connection's row, locked to the end of the transaction; an empty one is made where none is."""
        wanted = select(t.credentials).where(_ROW.connection == name).with_for_update()
        row = db.execute(wanted).mappings().one_or_none()
        if row is None:
            db.execute(
                self._insert(t.credentials)
                .values(**_values(StoredConnection(name)))
                .on_conflict_do_nothing()
            )
            row = db.execute(wanted).mappings().one()
        return _stored(row)

    def write(
        self,
        db: Connection,
        stored: StoredConnection,
        secrets: Mapping[str, SecretStr],
        keyring: EncryptionKeys,
    ) -> StoredConnection:
        """Write a connection that was locked, with these secrets; return it as it stands then."""
        now = replace(
            stored,
            sealed=keyring.seal(secrets),
            sealed_with=keyring.mark,
            version=stored.version + 1,
        )
        db.execute(
            update(t.credentials).where(_ROW.connection == stored.name).values(**_values(now))
        )
        return now

    def set_refresher(self, db: Connection, name: str, worker: str | None) -> None:
        """Say who is renewing the token now."""
        db.execute(update(t.credentials).where(_ROW.connection == name).values(refresher=worker))


def secret_settings(platform: str) -> frozenset[str]:
    """Return the names of the settings of a platform that are secrets. Raises `ConfigError` for an unknown one.

    >>> sorted(secret_settings("generic"))
    ['access_token', 'client_secret', 'refresh_token', 'signing_key', 'webhook_secret']
    """
    fields = adapter_named(platform).settings.model_fields
    return frozenset(name for name, about in fields.items() if _is_secret(about.annotation))


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def _as_secret(value: object) -> SecretStr:
    return value if isinstance(value, SecretStr) else SecretStr(str(value))


def _stored(row: RowMapping) -> StoredConnection:
    return StoredConnection(
        name=row["connection"],
        platform=row["platform"],
        settings=cast("dict[str, object]", json.loads(row["settings"])),
        sealed=row["encrypted_secrets"],
        sealed_with=row["key_fingerprint"],
        grant=Grant(row["granted_by"], tuple(row["scopes"].split()), row["expires_at"]),
        connected_at=row["connected_at"],
        version=row["version"],
        follows=row["file_tokens_fingerprint"],
        refresher=row["refresher"],
    )


def _values(stored: StoredConnection) -> dict[str, object]:
    return {
        "connection": stored.name,
        "platform": stored.platform,
        "settings": json.dumps(stored.settings),
        "encrypted_secrets": stored.sealed,
        "key_fingerprint": stored.sealed_with,
        "granted_by": stored.grant.granted_by,
        "scopes": " ".join(stored.grant.scopes),
        "expires_at": stored.grant.expires_at,
        "connected_at": stored.connected_at,
        "version": stored.version,
        "file_tokens_fingerprint": stored.follows,
        "refresher": stored.refresher,
    }
