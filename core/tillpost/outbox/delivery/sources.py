"""The connections of the TOML file, of the database and of plugins as one source.

Workers use it by default: `default_source`. A connection of a plugin's source (the hook
`tillpost_connections`) counts where neither file nor database has one of its name.

Where file and database both know a connection:

* tokens in the database win over the file's, with what belongs to them: the refresh token, the
  client's id and secret;
* for all other settings the file counts;
* tokens that were refreshed from the file's own count until the file has other tokens.

A connection that only the database knows needs no file. Changes are seen within `POLL_INTERVAL`.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from tillpost.adapter.settings import Credentials
from tillpost.client.base import adapter_for
from tillpost.config import ConnectionSettings, config_path, load_connections
from tillpost.errors import ConfigError, UnreadableConfigError
from tillpost.models.safe_text import listing, log_value, safe_logger, shell_word
from tillpost.outbox.connections.credentials import CredentialStore, Mark, StoredConnection
from tillpost.outbox.connections.encryption import KEY_VARIABLE
from tillpost.outbox.connections.token_refresh import (
    RefreshMarks,
    SharedCredentials,
    warn_of_unsaved_tokens,
)
from tillpost.outbox.connections.vault_tokens import CurrentTokens, VaultTokens
from tillpost.outbox.delivery.connections import (
    ConnectionSource,
    FromFile,
    OutboxConnection,
    Outline,
    outbox_options,
)
from tillpost.outbox.delivery.plugin_connections import PluginConnections
from tillpost.plugins.manager import adapter_named
from tillpost.submission.address import address_of
from tillpost.submission.policy import Policy

__all__ = [
    "FromFileAndDatabase",
    "KnownConnections",
    "UnknownConnectionError",
    "default_source",
    "merge_settings",
    "tokens_fingerprint",
]

log = safe_logger("tillpost.outbox")

POLL_INTERVAL = 1.0
"""How often the database is asked whether a connection has changed, in seconds."""

_TOKENS = ("access_token", "refresh_token")


class UnknownConnectionError(ConfigError):
    """Neither the file nor the database has a connection of this name."""


class Known(NamedTuple):
    """What the TOML file and the database say of one connection."""

    configured: ConnectionSettings | None
    stored: StoredConnection | None

    @property
    def platform(self) -> str:
        """The adapter's name."""
        if self.configured:
            return self.configured.platform
        if not self.stored:
            return ""
        return self.stored.platform

    @property
    def file_tokens(self) -> str:
        """The fingerprint of the file's tokens.

        It is "" where the file doesn't know the connection.
        """
        if not self.configured:
            return ""
        return tokens_fingerprint(self.configured.settings)

    @property
    def granted_by(self) -> str:
        """Who granted the tokens that count, "" where that isn't known."""
        if self.stored and self.stored.counts_with(self.file_tokens):
            return self.stored.grant.granted_by
        return ""


class KnownConnections:
    """What the TOML file and the database say of connections, before any is opened."""

    def __init__(self, store: CredentialStore, path: str | Path | None = None) -> None:
        """Take the credentials in the database, and the TOML file."""
        self.store = store
        self.path = path
        self._in_file: Mapping[str, ConnectionSettings] | None = None

    def may_be_in_file(self, name: str) -> bool:
        """Return whether the file has a connection of that name.

        If it can't be read now, what it had counts; one that was never read may have it.
        """
        in_file: Mapping[str, ConnectionSettings] | None
        try:
            in_file = self._load_file()
        except UnreadableConfigError:
            in_file = self._in_file
        return in_file is None or name in in_file

    def names(self) -> Collection[str]:
        """Return the names of all connections, as far as they are known now."""
        try:
            in_file: Collection[str] = self._load_file()
        except UnreadableConfigError:
            in_file = self._in_file or ()
        return sorted({*in_file, *self.store.names()})

    def all(self) -> Mapping[str, Known]:
        """Return all connections, by name. Raises `UnreadableConfigError`."""
        configured = self._load_file()
        stored = self.store.all()
        known: dict[str, Known] = {}
        for name in sorted({*configured, *stored}):
            known[name] = Known(configured.get(name), stored.get(name))
        return known

    def get(self, name: str) -> Known:
        """Return one connection.

        Raises:
            UnknownConnectionError: Neither knows it.
            ConfigError: They disagree on its platform.
            UnreadableConfigError: The file can't be read now, and may have the connection.
        """
        stored = self.store.get(name)
        configured = self.configured(name, is_stored=stored is not None)
        if configured is None and stored is None:
            path = config_path(self.path)
            raise UnknownConnectionError(
                f"no connection {name!r}; {path} has: {listing(self._load_file())};"
                f" the database has: {listing(self.store.names())}"
            )
        if configured and stored and configured.platform != stored.platform:
            where = f"{configured.source}: [connections.{name}]"
            raise ConfigError(
                f"{where} is at {configured.platform},"
                f" but was connected at {stored.platform}:"
                f" `tillpost disconnect {shell_word(name)}` first"
            )
        return Known(configured, stored)

    def configured(self, name: str, *, is_stored: bool) -> ConnectionSettings | None:
        """Return what the file says of a connection, None if it has none of that name.

        Raises `UnreadableConfigError` if the file can't be read now, and may have the connection.
        """
        try:
            return self._load_file().get(name)
        except UnreadableConfigError:
            # What the file says of a store counts, such as the address that its tokens go to.
            if not is_stored or self.may_be_in_file(name):
                raise
            return None

    def current(
        self, configured: ConnectionSettings | None, stored: StoredConnection
    ) -> CurrentTokens | None:
        """Return the tokens that count, None if nothing has the connection.

        Raises `ConfigError`.
        """
        if configured is None and not stored.encrypted_secrets:
            return None
        known = Known(configured, stored)
        adapter = adapter_for(known.platform, self.settings(configured, stored))
        return CurrentTokens(adapter.config.credentials(), address_of(adapter), known.file_tokens)

    def _load_file(self) -> Mapping[str, ConnectionSettings]:
        """Return the file's connections.

        Raises:
            UnreadableConfigError: The file can't be read now. One that had connections, and is
                empty or gone, is being saved by a program that doesn't do so at once.
        """
        configured = load_connections(self.path, needed=False)
        if self._in_file and not configured and _is_blank(config_path(self.path)):
            raise UnreadableConfigError(f"{config_path(self.path)}: it is empty, or gone")
        self._in_file = configured
        return configured

    def settings(
        self, configured: ConnectionSettings | None, stored: StoredConnection | None
    ) -> dict[str, object]:
        """Return the adapter's settings, secrets among them.

        Raises:
            ConfigError: A setting, or the key that the secrets are encrypted with, is missing or
                wrong.
        """
        file_tokens = Known(configured, stored).file_tokens
        secrets: Mapping[str, SecretStr] = {}
        # Decrypted before the file's settings are read, so that no traceback holds those.
        if stored and stored.counts_with(file_tokens):
            secrets = self.store.open(stored)
        in_file = configured.settings if configured else {}
        return merge_settings(in_file, stored, secrets)


class FromFileAndDatabase:
    """The connections of the TOML file and of the database.

    Refreshed tokens of both are stored in the database, if there is an encryption key.
    """

    def __init__(
        self,
        store: CredentialStore,
        path: str | Path | None = None,
        marks: RefreshMarks | None = None,
    ) -> None:
        """Take the credentials in the database, the file, and this worker's marks.

        Without `marks`, nothing is refreshed with the connections.
        """
        self._known = KnownConnections(store, path)
        self._file = FromFile(path)
        self._refresh_marks = marks
        self._digest: object = None
        self._marks: Mapping[str, Mark] = {}
        self._polled_at = 0.0
        self._lock = threading.Lock()

    def get(self, name: str) -> OutboxConnection:
        """Return the connection of that name. Raises `ConfigError`."""
        known = self._known.get(name)
        configured, stored = known
        adapter = adapter_for(known.platform, self._known.settings(configured, stored))
        credentials: SharedCredentials | None = None
        if self._refresh_marks and self._can_encrypt():
            credentials = SharedCredentials(
                name,
                VaultTokens(
                    self._known.store,
                    self._known,
                    name,
                    known.platform,
                    address_of(adapter),
                    follows=known.file_tokens,
                    version=stored.version if stored else 0,
                ),
                self._refresh_marks,
                current=adapter.config.credentials(),
            )
        return OutboxConnection(
            adapter,
            name=name,
            policy=configured.policy if configured else Policy(),
            granted_by=known.granted_by,
            outbox=outbox_options(configured) if configured else None,
            credentials=credentials,
        )

    def names(self) -> Collection[str]:
        """Return the names of all connections, as far as they are known now."""
        return self._known.names()

    def save(self, name: str, tokens: Credentials) -> None:
        """Warn that refreshed tokens aren't stored, since there is no key to encrypt them.

        With a key, the connection's own credentials store them.
        """
        old = self.get(name).adapter.config.credentials()
        remedy = f"Set {KEY_VARIABLE}, otherwise the next start uses the old tokens."
        warn_of_unsaved_tokens(name, old, remedy)(tokens)

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return a value that changes when the file or the connection's row does."""
        return self._file.mark(name), self._row_marks(now=now).get(name)

    def outline(self, name: str) -> Outline:
        """Return a connection's outline, without an adapter and without its secrets."""
        row = self._row_marks().get(name)
        configured = self._known.configured(name, is_stored=row is not None)
        if configured:
            platform, in_file = configured.platform, configured.setting("base_url")
        elif row:
            platform, in_file = row.platform, None
        else:
            raise ConfigError(f"no connection {name!r}")
        in_database = row.setting("base_url") if row else None
        fields = adapter_named(platform).settings.model_fields
        base_url = in_file or in_database or fields["base_url"].get_default()
        return Outline.of(
            base_url if isinstance(base_url, str) else "",
            outbox_options(configured) if configured else None,
        )

    def has(self, name: str) -> bool:
        """Return whether file or database has a connection of that name, or may have it."""
        return self._known.may_be_in_file(name) or name in self._row_marks()

    def _row_marks(self, *, now: bool = False) -> Mapping[str, Mark]:
        """Return the marks of the rows, by name. They are a second old at most."""
        with self._lock:
            age = time.monotonic() - self._polled_at
            if now or age >= POLL_INTERVAL:
                digest = self._known.store.digest()
                if digest != self._digest:
                    self._marks = self._known.store.marks()
                    self._digest = digest
                self._polled_at = time.monotonic()
            return self._marks

    def _can_encrypt(self) -> bool:
        """Return whether there is an encryption key.

        Raises `ConfigError` for one that is invalid.
        """
        try:
            self._known.store.keyring()
        except ConfigError:
            if os.environ.get(KEY_VARIABLE, "").strip():
                raise
            return False
        return True


class _AllConnections:
    """The connections of file and database, and those that only plugins have."""

    def __init__(self, first: FromFileAndDatabase, plugins: PluginConnections) -> None:
        self._first = first
        self._plugins = plugins
        self._twice: frozenset[str] = frozenset()

    def get(self, name: str) -> OutboxConnection:
        return self._with_source(name)[1]

    def names(self) -> Collection[str]:
        first = frozenset(self._first.names())
        others = self._plugins.names()
        twice = first.intersection(others)
        if twice - self._twice:
            log.warning(
                "connection_defined_twice connections=%s remedy=%s",
                log_value(listing(sorted(twice))),
                log_value("What the file or the database says counts; remove one of them."),
            )
        self._twice = twice
        return [*first, *(name for name in others if name not in first)]

    def save(self, name: str, tokens: Credentials) -> None:
        self._with_source(name)[0].save(name, tokens)

    def mark(self, name: str, *, now: bool = False) -> object:
        if self._first.has(name):
            return self._first.mark(name, now=now)
        return self._plugins.mark(name, now=now)

    def has(self, name: str) -> bool:
        return self._first.has(name)

    def outline(self, name: str) -> Outline:
        return self._first.outline(name)

    def _with_source(self, name: str) -> tuple[ConnectionSource, OutboxConnection]:
        try:
            return self._first, self._first.get(name)
        except UnreadableConfigError as error:
            if self._first.has(name):
                raise
            unknown: ConfigError = error
        except UnknownConnectionError as error:
            unknown = error
        found = self._plugins.find(name)
        if found is None:
            raise ConfigError(f"{unknown}; {self._plugins.listing()}")
        return found


def default_source(
    store: CredentialStore, path: str | Path | None, marks: RefreshMarks | None = None
) -> ConnectionSource:
    """Return all connections that are known here, of file, database and plugins.

    Args:
        store: The credentials in the database.
        path: The TOML file, as for `config.config_path`.
        marks: The marks of this worker's token refreshes; None where nothing is refreshed.
    """
    first = FromFileAndDatabase(store, path, marks)
    plugins = PluginConnections.installed()
    return _AllConnections(first, plugins) if plugins.plugins else first


def merge_settings(
    configured: Mapping[str, object],
    stored: StoredConnection | None,
    secrets: Mapping[str, SecretStr],
) -> dict[str, object]:
    """Return a connection's settings from what the file and the database say. Pure.

    >>> row = StoredConnection("cafe-42", settings={"location_id": "L1", "client_id": "new"})
    >>> file = {"location_id": "L2", "client_id": "old", "refresh_token": "old"}
    >>> merge_settings(file, row, {"access_token": SecretStr("t")})
    {'location_id': 'L2', 'client_id': 'new', 'access_token': SecretStr('**********')}
    """
    if stored is None or not secrets:
        return dict(configured)
    without_tokens = {name: value for name, value in configured.items() if name not in _TOKENS}
    merged = {**stored.settings, **without_tokens}
    if "client_id" in stored.settings:
        merged["client_id"] = stored.settings["client_id"]
    return {**merged, **secrets}


def _is_blank(file: Path) -> bool:
    try:
        return not file.read_bytes().strip()
    except OSError:
        return True


def tokens_fingerprint(settings: Mapping[str, object]) -> str:
    """Return a digest of the tokens among a file's settings."""
    tokens = [str(settings.get(name, "")) for name in _TOKENS]
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest()
