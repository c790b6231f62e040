"""The connections of the TOML file and those of the database as one: what counts where both know a connection.

A token that is sealed in the database wins over the file's, with what belongs to it: the refresh
token, the client's id and secret. Of all else the file's word counts. Tokens that were renewed from
the file's own count until the file has others. A connection that only the database knows works
without a file. Whatever changes is seen within `LOOK_EVERY`.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from tillpost.client.base import Options, adapter_for
from tillpost.config import ConnectionSettings, config_path, load_connections
from tillpost.errors import ConfigError
from tillpost.outbox.connections.credentials import CredentialStore, StoredConnection
from tillpost.outbox.connections.encryption import KEY_VARIABLE
from tillpost.outbox.connections.token_refresh import Renewal, not_kept
from tillpost.outbox.delivery.tills import Connected, FromFile, options_of

__all__ = ["FromFileAndDatabase", "Known", "merged", "tokens_mark"]

LOOK_EVERY = 1.0
"""The database is asked so often whether a connection has changed, in seconds."""

_GRANTED = ("access_token", "refresh_token")


class Known:
    """What the file and the database say of the connections, before any is made."""

    def __init__(self, vault: CredentialStore, path: str | Path | None = None) -> None:
        self.vault = vault
        self.path = path

    def all(self) -> Mapping[str, tuple[ConnectionSettings | None, StoredConnection | None]]:
        """Return all connections by name: as the file has them, and as the database has them."""
        of_file, stored = load_connections(self.path, needed=False), self.vault.all()
        return {name: (of_file.get(name), stored.get(name)) for name in sorted({*of_file, *stored})}

    def get(self, name: str) -> tuple[ConnectionSettings | None, StoredConnection | None]:
        """Return what is known of one connection; raise `ConfigError` when that is nothing, or it doesn't fit."""
        of_file, stored = load_connections(self.path, needed=False), self.vault.get(name)
        if name not in of_file and stored is None:
            there = f"{config_path(self.path)} has: {', '.join(of_file) or 'none'}"
            kept = ", ".join(self.vault.all()) or "none"
            raise ConfigError(f"no connection {name!r}; {there}; the database has: {kept}")
        found = of_file.get(name)
        if found and stored and found.platform != stored.platform:
            wrong = f"{found.source}: [connections.{name}] is at {found.platform}"
            raise ConfigError(
                f"{wrong}, but was connected at {stored.platform}: `tillpost disconnect {name}` first"
            )
        return found, stored

    def settings(
        self, of_file: ConnectionSettings | None, stored: StoredConnection | None
    ) -> dict[str, object]:
        """Return the adapter's settings, secrets among them. Raises `ConfigError` for a missing or a wrong key."""
        tokens = tokens_mark(of_file.settings) if of_file else ""
        # Opened before the file's secrets are in hand, so that no traceback holds those.
        secrets = self.vault.open(stored) if stored and stored.counts_with(tokens) else {}
        return merged(of_file.settings if of_file else {}, stored, secrets)


class FromFileAndDatabase:
    """A source of connections for whoever processes. `worker` names the worker at hand, who renews tokens."""

    def __init__(
        self, vault: CredentialStore, path: str | Path | None, worker: Callable[[], str]
    ) -> None:
        self._known = Known(vault, path)
        self._file = FromFile(path)
        self._worker = worker
        self._marks: Mapping[str, object] = {}
        self._looked_at = 0.0
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Connected:
        """Return the connection of that name. Raises `ConfigError`."""
        of_file, stored = self._known.get(name)
        platform = of_file.platform if of_file else stored.platform if stored else ""
        follows = tokens_mark(of_file.settings) if of_file else ""
        adapter = adapter_for(platform, self._known.settings(of_file, stored))
        options = Options(
            policy=of_file.policy if of_file else Options().policy,
            granted_by=stored.grant.granted_by if stored else "",
        )
        outbox = options_of(of_file) if of_file else None
        if not self._can_seal():
            warning = replace(options, on_tokens=not_kept(name, adapter.config.credentials()))
            return Connected(adapter, warning, outbox)
        version = stored.version if stored else 0
        renewal = Renewal(self._known.vault, name, platform, follows, version, self._worker)
        return Connected(adapter, options, outbox, renewal=renewal)

    def names(self) -> Collection[str]:
        """Return the names of all connections. Raises `ConfigError`."""
        return self._known.all().keys()

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return what changes when the file or the connection's row does."""
        with self._lock:
            if now or time.monotonic() - self._looked_at >= LOOK_EVERY:
                self._marks, self._looked_at = self._known.vault.marks(), time.monotonic()
            return self._file.mark(name), self._marks.get(name)

    def _can_seal(self) -> bool:
        """Whether there is a key. One that is none is said, not passed over."""
        try:
            self._known.vault.keyring()
        except ConfigError:
            if os.environ.get(KEY_VARIABLE, "").strip():
                raise
            return False
        return True


def merged(
    of_file: Mapping[str, object], stored: StoredConnection | None, secrets: Mapping[str, SecretStr]
) -> dict[str, object]:
    """Return a connection's settings from what both sides say of them. Pure.

    >>> row = StoredConnection("cafe-42", settings={"location_id": "L1", "client_id": "new"})
    >>> merged({"location_id": "L2", "client_id": "old", "refresh_token": "old"}, row, {"access_token": SecretStr("t")})
    {'location_id': 'L2', 'client_id': 'new', 'access_token': SecretStr('**********')}
    """
    if stored is None or not secrets:
        return dict(of_file)
    kept = {name: value for name, value in of_file.items() if name not in _GRANTED}
    client = {name: value for name, value in stored.settings.items() if name == "client_id"}
    return {**stored.settings, **kept, **client, **secrets}


def tokens_mark(settings: Mapping[str, object]) -> str:
    """Return a fingerprint of the tokens among a file's settings."""
    told = "\n".join(str(settings.get(name, "")) for name in _GRANTED)
    return hashlib.sha256(told.encode()).hexdigest()
