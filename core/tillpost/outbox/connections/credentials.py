"""The connections in the outbox's database: settings, grants, encrypted secrets.

    store = CredentialStore(outbox.database)
    settings = {"location_id": "L123", "access_token": token}
    store.save("cafe-42", "square", settings, Grant("Mia Chen"))
    stored = store.get("cafe-42")
    store.open(stored)["access_token"]           # a SecretStr

Encrypting and decrypting needs the key in `TILLPOST_KEY`; without it, or with a wrong one, methods
raise `ConfigError`. A connection of the TOML file may have a row too: then the tokens come from the
row, and all other settings from the file. The secrets are bound to the connection's name, platform
and other settings: changed in the database by anything but this module, they make the secrets
unusable. When a method has returned, its changes are on disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, get_args

from pydantic import SecretStr, TypeAdapter
from pydantic_core import to_jsonable_python
from sqlalchemy import Connection, RowMapping, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tillpost.client.locks import NamedLocks
from tillpost.errors import ConfigError
from tillpost.models.safe_text import one_line
from tillpost.outbox.connections.encryption import EncryptionKeys
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.database import Database
from tillpost.outbox.rows import Row, is_name
from tillpost.plugins.manager import adapter_named

__all__ = ["CredentialStore", "Grant", "Mark", "Rotation", "StoredConnection", "secret_settings"]

_ROW = t.credentials.c

_MARKS = select(
    _ROW.connection, _ROW.version, _ROW.connected_at, _ROW.platform, _ROW.settings
).where(_ROW.encrypted_secrets != "")

_DIGEST = select(func.count(), func.sum(_ROW.version), func.sum(_ROW.connected_at)).where(
    _ROW.encrypted_secrets != ""
)

_SETTINGS: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


@dataclass(frozen=True, slots=True)
class Grant:
    """An authorisation by a store.

    Attributes:
        granted_by: The person or business that granted it.
        scopes: The permissions that it includes.
        expires_at: When it expires, in epoch seconds; None if that isn't known.
    """

    granted_by: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection as stored in the database.

    Attributes:
        name: The name of the connection.
        platform: The name of its adapter.
        settings: The adapter's settings that aren't secret.
        encrypted_secrets: The secret settings; "" if there are none.
        key_fingerprint: Identifies the key that they were encrypted with.
        grant: The store's authorisation.
        connected_at: When a person connected the store, in epoch seconds.
        version: Rises with each change.
        follows: A fingerprint of the TOML file's tokens that these were refreshed from; "" if a
            person connected the store.
        refresher: The worker that is refreshing the token now.
        unreadable: The columns of its row that can't be read: damaged, or of a newer version.
    """

    name: str
    platform: str = ""
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    encrypted_secrets: str = field(default="", repr=False)
    key_fingerprint: str = ""
    grant: Grant = field(default_factory=Grant)
    connected_at: float = 0.0
    version: int = 0
    follows: str = ""
    refresher: str | None = None
    unreadable: tuple[str, ...] = ()

    @property
    def bound_to(self) -> str:
        """What its secrets are bound to: all that says whose they are and where they go."""
        bound = [self.name, self.platform, self.settings, self.follows]
        return json.dumps(bound, sort_keys=True)

    def counts_with(self, tokens: str) -> bool:
        """Return whether its tokens take precedence over those of the TOML file.

        Those of a store that a person connected do. Those that were refreshed from the file's do
        until the file has other ones.

        Args:
            tokens: A fingerprint of the file's tokens.
        """
        return bool(self.encrypted_secrets) and self.follows in ("", tokens)

    def emptied(self) -> StoredConnection:
        """Return it as a row that holds nothing yet.

        New secrets are bound to what the row holds, and what it holds is proved by its own secrets
        alone: an attacker who writes to the database could have put it there.
        """
        return StoredConnection(self.name, version=self.version, refresher=self.refresher)


class Mark(NamedTuple):
    """What of a connection's row changes with it, as the row has it.

    Attributes:
        version: Rises with each change.
        connected_at: When a person connected the store, in epoch seconds.
        platform: The name of its adapter.
        settings: The adapter's settings that aren't secret, as JSON.
    """

    version: int
    connected_at: float
    platform: str
    settings: str

    def setting(self, name: str) -> object:
        """Return one of the settings; None if there is none, or they can't be read."""
        try:
            return _SETTINGS.validate_json(self.settings).get(name)
        except ValueError:
            return None


class Rotation(NamedTuple):
    """The result of encrypting all secrets with another key.

    Attributes:
        encrypted: How many connections have secrets under the newest key now.
        unreadable: The names of the connections whose secrets couldn't be read. They stay as they
            were: under another key than those that are set, or damaged.
    """

    encrypted: int
    unreadable: tuple[str, ...]


class CredentialStore:
    """The connections stored in a database. Thread-safe.

    Attributes:
        database: The database.
        keyring: Returns the encryption keys; called when they are needed.
        turns: Locks by connection, for what only one thread at a time may do.
    """

    def __init__(
        self,
        database: Database,
        keyring: Callable[[], EncryptionKeys] = EncryptionKeys.from_environment,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.database = database
        self.keyring = keyring
        self._clock = clock or database.clock
        self.turns = NamedLocks()
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    # ------------------------------------------------------------------ read

    def all(self) -> Mapping[str, StoredConnection]:
        """Return the connections that have secrets here, by name."""
        query = select(t.credentials).where(_ROW.encrypted_secrets != "")
        with self.database.reading() as db:
            rows = db.execute(query.order_by(_ROW.connection)).mappings()
            return {row["connection"]: _stored_connection(row) for row in rows}

    def get(self, name: str) -> StoredConnection | None:
        """Return a connection; None if it has no secrets here."""
        query = select(t.credentials).where(_ROW.connection == name)
        with self.database.reading() as db:
            row = db.execute(query).mappings().one_or_none()
        if row is None or not row["encrypted_secrets"]:
            return None
        return _stored_connection(row)

    def names(self) -> Sequence[str]:
        """Return the names of the connections that have secrets here."""
        query = select(_ROW.connection).where(_ROW.encrypted_secrets != "")
        with self.database.reading() as db:
            return db.scalars(query.order_by(_ROW.connection)).all()

    def marks(self) -> Mapping[str, Mark]:
        """Return a value for each connection here that changes when the connection does."""
        with self.database.reading() as db:
            return {row.connection: Mark(*row[1:]) for row in db.execute(_MARKS)}

    def digest(self) -> object:
        """Return a value that changes when any of the marks does.

        It is one short row, whatever the number of connections: it is read every second.
        """
        with self.database.reading() as db:
            return tuple(db.execute(_DIGEST).one())

    def open(self, stored: StoredConnection) -> dict[str, SecretStr]:
        """Decrypt the secrets of a connection.

        Raises:
            ConfigError: the key is missing, or isn't the one that encrypted them; the connection's
                settings were changed without it; or the row can't be read.
        """
        if stored.unreadable:
            columns = ", ".join(stored.unreadable)
            raise ConfigError(
                f"connection {stored.name!r}: its row in the database can't be read ({columns}):"
                " connect the store again"
            )
        if not stored.encrypted_secrets:
            return {}
        try:
            keys = self.keyring()
            return keys.decrypt(
                stored.encrypted_secrets, stored.key_fingerprint, bound_to=stored.bound_to
            )
        except ConfigError as error:
            text = f"connection {stored.name!r}: {error}"
        # Raised outside of the handler, so that its traceback holds no ciphertext.
        raise ConfigError(text)

    # ------------------------------------------------------------------ write

    def save(self, name: str, platform: str, settings: Mapping[str, object], grant: Grant) -> None:
        """Store a connection in place of the one with the same name. Encrypts its secrets.

        Raises:
            ConfigError: the key is missing, or the platform has no adapter.
        """
        secret_names = secret_settings(platform)
        public = {
            key: to_jsonable_python(value)
            for key, value in settings.items()
            if key not in secret_names
        }
        secrets = {
            key: _as_secret(settings[key])
            for key in sorted(secret_names & settings.keys())
            if settings[key]
        }
        keys = self.keyring()
        with self.database.writing() as db:
            saved = replace(
                self.locked(db, name),
                platform=platform,
                settings=public,
                grant=grant,
                follows="",
                connected_at=self._clock(),
            )
            self.write(db, saved, secrets, keys)

    def delete(self, name: str) -> bool:
        """Delete a connection with its secrets; return whether it existed."""
        row = delete(t.credentials).where(_ROW.connection == name)
        with self.database.writing() as db:
            return db.execute(row).rowcount == 1

    def rotate(self) -> Rotation:
        """Encrypt all secrets with the newest key, except those that can't be read.

        Raises:
            ConfigError: The key is missing, or is none.
        """
        keys = self.keyring()
        unreadable: list[str] = []
        encrypted = 0
        with self.database.writing() as db:
            query = select(_ROW.connection).where(_ROW.encrypted_secrets != "")
            for name in list(db.scalars(query.order_by(_ROW.connection))):
                if not is_name(name):
                    # No query finds the row again by this name.
                    unreadable.append(one_line(str(name)))
                    continue
                stored = self.locked(db, name)
                try:
                    secrets = self.open(stored)
                except ConfigError:
                    unreadable.append(name)
                    continue
                self.write(db, stored, secrets, keys)
                encrypted += 1
        return Rotation(encrypted, tuple(unreadable))

    # ------------------------------------------------------------------ within a transaction

    def locked(self, db: Connection, name: str) -> StoredConnection:
        """Return a connection's row, locked to the end of the transaction.

        Creates an empty row if it doesn't exist.
        """
        query = select(t.credentials).where(_ROW.connection == name).with_for_update()
        row = db.execute(query).mappings().one_or_none()
        if row is None:
            insert = self._insert(t.credentials).values(**_columns(StoredConnection(name)))
            db.execute(insert.on_conflict_do_nothing())
            row = db.execute(query).mappings().one()
        return _stored_connection(row)

    def write(
        self,
        db: Connection,
        stored: StoredConnection,
        secrets: Mapping[str, SecretStr],
        keyring: EncryptionKeys,
    ) -> StoredConnection:
        """Write a locked connection with these secrets; return it as it was written."""
        written = replace(
            stored,
            encrypted_secrets=keyring.encrypt(secrets, bound_to=stored.bound_to),
            key_fingerprint=keyring.fingerprint,
            version=stored.version + 1,
            unreadable=(),
        )
        row = update(t.credentials).where(_ROW.connection == stored.name)
        db.execute(row.values(**_columns(written)))
        return written

    def set_refresher(self, db: Connection, name: str, worker: str | None) -> None:
        """Write which worker is refreshing the token of a connection."""
        row = update(t.credentials).where(_ROW.connection == name)
        db.execute(row.values(refresher=worker))


def secret_settings(platform: str) -> frozenset[str]:
    """Return the names of a platform's secret settings.

    Raises `ConfigError` if the platform is unknown.

    >>> sorted(secret_settings("generic"))
    ['access_token', 'client_secret', 'refresh_token', 'signing_key', 'webhook_secret']
    """
    fields = adapter_named(platform).settings.model_fields
    return frozenset(name for name, field in fields.items() if _is_secret(field.annotation))


def _is_secret(annotation: object) -> bool:
    """Whether a type is `SecretStr`, or contains it, such as `SecretStr | None`."""
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def _as_secret(value: object) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    return SecretStr(str(value))


def _stored_connection(found: RowMapping) -> StoredConnection:
    """Return a row's connection; of one that can't be read, its name and why."""
    row = Row(t.credentials, found)
    settings = row.parse("settings", _SETTINGS.validate_json)
    return StoredConnection(
        name=row["connection"],
        platform=row["platform"],
        settings=settings or {},
        encrypted_secrets=row["encrypted_secrets"],
        key_fingerprint=row["key_fingerprint"],
        grant=Grant(row["granted_by"], tuple(row["scopes"].split()), row["expires_at"]),
        connected_at=row["connected_at"],
        version=row["version"],
        follows=row["file_tokens_fingerprint"],
        refresher=row["refresher"],
        unreadable=tuple(row.faults),
    )


def _columns(stored: StoredConnection) -> dict[str, object]:
    return {
        "connection": stored.name,
        "platform": stored.platform,
        "settings": json.dumps(stored.settings),
        "encrypted_secrets": stored.encrypted_secrets,
        "key_fingerprint": stored.key_fingerprint,
        "granted_by": stored.grant.granted_by,
        "scopes": " ".join(stored.grant.scopes),
        "expires_at": stored.grant.expires_at,
        "connected_at": stored.connected_at,
        "version": stored.version,
        "file_tokens_fingerprint": stored.follows,
        "refresher": stored.refresher,
    }
