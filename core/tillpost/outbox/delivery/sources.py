"""The connections of the TOML file and of the database as one source.

Workers use it by default.

Where both know a connection:

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
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from tillpost.client.base import adapter_for
from tillpost.client.credentials import CredentialSource, MemoryCredentials
from tillpost.config import ConnectionSettings, config_path, load_connections
from tillpost.errors import ConfigError, UnreadableConfigError
from tillpost.models.safe_text import shell_word
from tillpost.outbox.connections.credentials import CredentialStore, StoredConnection
from tillpost.outbox.connections.encryption import KEY_VARIABLE
from tillpost.outbox.connections.token_refresh import StoredCredentials, warn_of_unsaved_tokens
from tillpost.outbox.delivery.connections import FromFile, OutboxConnection, outbox_options
from tillpost.submission.policy import Policy

__all__ = ["FromFileAndDatabase", "KnownConnections", "merge_settings", "tokens_fingerprint"]

POLL_INTERVAL = 1.0
"""How often the database is asked whether a connection has changed, in seconds."""

_TOKENS = ("access_token", "refresh_token")


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
        self._in_file: frozenset[str] | None = None

    @property
    def in_file(self) -> frozenset[str]:
        """The names that the file had when it was last read."""
        return self._in_file or frozenset()

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
            ConfigError: Neither knows it, or they disagree on its platform.
            UnreadableConfigError: The file can't be read now, and may have the connection.
        """
        stored = self.store.get(name)
        all_configured: Mapping[str, ConnectionSettings] = {}
        try:
            all_configured = self._load_file()
        except UnreadableConfigError:
            # What the file says of a store counts, such as the address that its tokens go to.
            if stored is None or self._in_file is None or name in self._in_file:
                raise
        configured = all_configured.get(name)
        if configured is None and stored is None:
            in_file = ", ".join(all_configured) or "none"
            in_database = ", ".join(self.store.all()) or "none"
            path = config_path(self.path)
            raise ConfigError(
                f"no connection {name!r}; {path} has: {in_file}; the database has: {in_database}"
            )
        if configured and stored and configured.platform != stored.platform:
            where = f"{configured.source}: [connections.{name}]"
            raise ConfigError(
                f"{where} is at {configured.platform},"
                f" but was connected at {stored.platform}:"
                f" `tillpost disconnect {shell_word(name)}` first"
            )
        return Known(configured, stored)

    def _load_file(self) -> Mapping[str, ConnectionSettings]:
        """Return the file's connections.

        Raises:
            UnreadableConfigError: The file can't be read now. One that had connections, and is
                empty or gone, is being saved by a program that doesn't do so at once.
        """
        configured = load_connections(self.path, needed=False)
        if self._in_file and not configured and _is_blank(config_path(self.path)):
            raise UnreadableConfigError(f"{config_path(self.path)}: it is empty, or gone")
        self._in_file = frozenset(configured)
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
    """The source of connections of a worker. `worker` returns the worker's name."""

    def __init__(
        self, store: CredentialStore, path: str | Path | None, worker: Callable[[], str]
    ) -> None:
        self._known = KnownConnections(store, path)
        self._file = FromFile(path)
        self._worker = worker
        self._marks: Mapping[str, object] = {}
        self._polled_at = 0.0
        self._lock = threading.Lock()

    def __call__(self, name: str) -> OutboxConnection:
        """Return the connection of that name. Raises `ConfigError`."""
        known = self._known.get(name)
        configured, stored = known
        file_tokens = known.file_tokens
        adapter = adapter_for(known.platform, self._known.settings(configured, stored))
        current = adapter.config.credentials()
        credentials: CredentialSource
        if self._can_encrypt():
            credentials = StoredCredentials(
                self._known.store,
                name,
                known.platform,
                current=current,
                follows=file_tokens,
                version=stored.version if stored else 0,
                worker=self._worker,
            )
        else:
            credentials = MemoryCredentials(current, warn_of_unsaved_tokens(name, current))
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
        try:
            return self._known.all().keys()
        except UnreadableConfigError:
            return self._known.in_file | self._known.store.all().keys()

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return a value that changes when the file or the connection's row does."""
        with self._lock:
            age = time.monotonic() - self._polled_at
            if now or age >= POLL_INTERVAL:
                self._marks = self._known.store.marks()
                self._polled_at = time.monotonic()
            return self._file.mark(name), self._marks.get(name)

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
