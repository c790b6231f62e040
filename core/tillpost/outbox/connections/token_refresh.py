"""Refreshes an expired access token once for all workers of a database.

`StoredCredentials` is the credential source of one connection of the database. A worker that
refreshes marks the connection's row first; the mark is removed when that worker is done, or is
reaped. The other workers wait and use the new token.

A new token is on disk, encrypted, before it is used. If the process is killed before that, the old
token remains: where the provider's refresh tokens can be used again the connection goes on,
otherwise it has to be reconnected.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from pydantic import SecretStr

from tillpost.adapter.settings import Credentials
from tillpost.errors import ConfigError, OutageError, PosError, SetupError
from tillpost.models.safe_text import safe_logger
from tillpost.outbox.connections.credentials import CredentialStore, StoredConnection
from tillpost.outbox.orders.workers import WorkerRegistry

__all__ = ["StoredCredentials", "warn_of_unsaved_tokens"]

log = safe_logger("tillpost.outbox")

POLL_INTERVAL = 0.1
"""How often a worker checks whether another worker's refresh is done, in seconds."""

PATIENCE = 60.0
"""For how many seconds it does so.

Then the order that needs the token is tried again later.
"""


class StoredCredentials:
    """The credentials of one connection, shared by all workers of a database.

    Safe for threads. `version` is the version of the row that the current credentials are from.
    """

    def __init__(
        self,
        store: CredentialStore,
        name: str,
        platform: str,
        *,
        current: Credentials,
        follows: str,
        version: int,
        worker: Callable[[], str],
    ) -> None:
        """Take the connection's current credentials.

        Args:
            store: The credentials in the database.
            name: The connection's name.
            platform: Its platform.
            current: The credentials to begin with.
            follows: The fingerprint of the TOML file's tokens; see `StoredConnection`.
            version: The version of the row that `current` is from, 0 for none.
            worker: Returns the name of this worker.
        """
        self.current = current
        self.version = version
        self._store = store
        self._name = name
        self._platform = platform
        self._follows = follows
        self._worker = worker
        self._workers = WorkerRegistry(store.database)
        self._lock = threading.Lock()
        self._unwritten: Credentials | None = None

    def refresh(self, expired: Credentials, ask: Callable[[], Credentials]) -> bool:
        """Replace expired credentials, by another worker's or by new ones.

        Args:
            expired: The credentials that a request was signed with.
            ask: Asks the authorisation server for new ones.

        Returns:
            Whether newer credentials are in use; False when the server refuses.

        Raises:
            PosError: A transient failure; an `OutageError` if another worker takes too long; a
                `SetupError` if the stored credentials can't be decrypted.
            DatabaseError: The new credentials can't be written. They are kept in memory, and
                written before anything else is tried.
        """
        with self._lock:
            if self.current is not expired:
                return True
            try:
                self.current = self._refreshed(expired, ask)
            except PosError as error:
                if error.transient:
                    raise
                return False
            except ConfigError as error:
                fault = str(error)
            else:
                return True
        # Raised outside of the handler, so that its traceback holds no ciphertext.
        raise SetupError(fault)

    def _refreshed(self, expired: Credentials, ask: Callable[[], Credentials]) -> Credentials:
        with self._store.turns.hold(self._name):
            if expired.refresh_token is None:
                # Without a refresh token, `ask` raises the error that says so.
                return self._newer(expired) or ask()
            give_up_at = time.monotonic() + PATIENCE
            while not (refresher := self._begin_refresh()):
                newer = self._newer(expired)
                if newer:
                    return newer
                if time.monotonic() >= give_up_at:
                    raise OutageError(
                        "another worker has been refreshing the access token for too long"
                    )
                time.sleep(POLL_INTERVAL)
            try:
                return self._newer(expired) or self._write(expired, self._ask(expired, ask))
            finally:
                self._end_refresh(refresher)

    def _begin_refresh(self) -> str:
        """Mark the row as being refreshed by this worker, and return the worker's id.

        Returns "" while another worker refreshes, or while this one has been reaped and isn't
        enlisted again: nobody would remove its mark.
        """
        worker = self._worker()
        with self._store.database.writing() as db:
            if not self._workers.is_enlisted(db, worker):
                return ""
            if self._store.locked(db, self._name).refresher not in (None, worker):
                return ""
            self._store.set_refresher(db, self._name, worker)
        return worker

    def _end_refresh(self, refresher: str) -> None:
        """Remove the mark of the worker that began, which may have another id by now.

        A mark that can't be removed goes when the worker is reaped.
        """
        with self._store.database.writing() as db:
            if self._store.locked(db, self._name).refresher == refresher:
                self._store.set_refresher(db, self._name, None)

    def _newer(self, expired: Credentials) -> Credentials | None:
        """Return credentials that another worker or a person has written since, if any."""
        stored = self._store.get(self._name)
        if not stored:
            return None
        return self._newer_in(stored, expired)

    def _newer_in(self, stored: StoredConnection, expired: Credentials) -> Credentials | None:
        if not stored.counts_with(self._follows):
            return None
        found = _with_tokens(expired, self._store.open(stored))
        if found.access_token == expired.access_token:
            return None
        self.version = stored.version
        return found

    def _ask(self, expired: Credentials, ask: Callable[[], Credentials]) -> Credentials:
        """Return new credentials, or those that couldn't be written before."""
        if self._unwritten is None:
            try:
                self._unwritten = ask()
            except PosError:
                # A worker that was taken for dead may have been faster.
                newer = self._newer(expired)
                if newer:
                    return newer
                raise
        return self._unwritten

    def _write(self, expired: Credentials, new: Credentials) -> Credentials:
        """Write new credentials, unless others were written meanwhile: those count."""
        keys = self._store.keyring()
        with self._store.database.writing() as db:
            stored = self._store.locked(db, self._name)
            newer = self._newer_in(stored, expired)
            counts = stored.counts_with(self._follows)
            # A connection of the database alone isn't brought back by this if it was disconnected
            # meanwhile, or if the row isn't the one that its tokens are from.
            if newer is None and (counts or self._follows):
                secrets = self._store.open(stored) if counts else {}
                secrets |= _tokens(new)
                basis = stored if counts else replace(stored.emptied(), follows=self._follows)
                written = self._store.write(db, self._updated(basis, new), secrets, keys)
                self.version = written.version
        self._unwritten = None
        return newer or new

    def _updated(self, stored: StoredConnection, new: Credentials) -> StoredConnection:
        expires_at = new.expires_at.timestamp() if new.expires_at else None
        grant = replace(stored.grant, expires_at=expires_at)
        return replace(stored, platform=self._platform, grant=grant)


def warn_of_unsaved_tokens(name: str, old: Credentials) -> Callable[[Credentials], None]:
    """Return a callback that warns that refreshed tokens need a key to be saved."""

    def warn(new: Credentials) -> None:
        if new.refresh_token != old.refresh_token:
            log.warning(
                "tokens_unsaved connection=%s"
                ' remedy="Set TILLPOST_KEY, otherwise the next start uses the old tokens."',
                name,
            )

    return warn


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
