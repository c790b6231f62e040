"""Refreshes an expired access token once for all workers of a database.

`SharedCredentials` is the credential source of one connection. A worker that refreshes marks the
connection's row first (`RefreshMarks`); the mark is removed when that worker is done, or is reaped.
The other workers wait and use the new token. Where the tokens are read and written is a
`TokenStorage`: Tillpost's vault (`vault_tokens`), or a `ConnectionSource` of somebody else's.

A new token is stored before it is used. If the process is killed before that, the old token
remains: where the provider's refresh tokens can be used again the connection goes on, otherwise it
has to be reconnected.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from pydantic import SecretStr

from tillpost.adapter.settings import Credentials
from tillpost.errors import ConfigError, OutageError, PosError, SetupError
from tillpost.models.safe_text import safe_logger
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.orders.workers import WorkerRegistry

__all__ = ["RefreshMarks", "SharedCredentials", "TokenStorage", "warn_of_unsaved_tokens"]

log = safe_logger("tillpost.outbox")

POLL_INTERVAL = 0.1
"""How often a worker checks whether another worker's refresh is done, in seconds."""

PATIENCE = 60.0
"""For how many seconds it does so.

Then the order that needs the token is tried again later.
"""


class TokenStorage(Protocol):
    """Where the tokens of one connection are read and written, by all workers."""

    @property
    def version(self) -> int | None:
        """The version of the tokens in the database; None if they are elsewhere."""
        ...

    def newer(self, expired: Credentials) -> Credentials | None:
        """Return credentials that were stored since, if any.

        Raises:
            ConfigError: They can't be used.
            DatabaseError: They can't be read now.
        """
        ...

    def write(self, expired: Credentials, new: Credentials) -> Credentials:
        """Store new credentials, unless others were stored meanwhile.

        Returns those that count.

        Raises:
            ConfigError: They can't be stored.
            DatabaseError: They can't be stored now.
        """
        ...


class RefreshMarks:
    """The marks of this process's refreshes, on the connections' rows.

    Safe for threads.

    Attributes:
        store: The rows.
        unsaved: New credentials that couldn't be stored yet, by connection name.
        replaced: The access token that this process replaced last, by connection name.
    """

    def __init__(self, store: CredentialStore, worker: Callable[[], str]) -> None:
        """Take the rows, and what returns the name of this worker."""
        self.store = store
        self.unsaved: dict[str, Credentials] = {}
        self.replaced: dict[str, SecretStr] = {}
        self._worker = worker
        self._workers = WorkerRegistry(store.database)

    def begin(self, name: str) -> str:
        """Mark the row as being refreshed by this worker, and return the worker's id.

        Returns "" while another worker refreshes, or while this one has been reaped and isn't
        enlisted again: nobody would remove its mark.
        """
        worker = self._worker()
        with self.store.database.writing() as db:
            if not self._workers.is_enlisted(db, worker):
                return ""
            if self.store.locked(db, name).refresher not in (None, worker):
                return ""
            self.store.set_refresher(db, name, worker)
        return worker

    def end(self, name: str, refresher: str) -> None:
        """Remove the mark of the worker that began, which may have another id by now.

        A mark that can't be removed goes when the worker is reaped.
        """
        with self.store.database.writing() as db:
            if self.store.locked(db, name).refresher == refresher:
                self.store.set_refresher(db, name, None)


class SharedCredentials:
    """The credentials of one connection, shared by all workers of a database.

    Safe for threads.
    """

    def __init__(
        self,
        name: str,
        tokens: TokenStorage,
        marks: RefreshMarks,
        *,
        current: Credentials,
    ) -> None:
        """Take the connection's current credentials.

        Args:
            name: The connection's name.
            tokens: Where its tokens are read and written.
            marks: The marks of this process.
            current: The credentials to begin with.
        """
        self.current = current
        self.tokens = tokens
        self._name = name
        self._marks = marks
        self._lock = threading.Lock()

    def is_outdated(self, found: Credentials) -> bool:
        """Return whether credentials that were read have been replaced by this process.

        A copy of the embedder's database may lag behind.
        """
        return found.access_token == self._marks.replaced.get(self._name)

    def refresh(self, expired: Credentials, ask: Callable[[], Credentials]) -> bool:
        """Replace expired credentials, by another worker's or by new ones.

        Args:
            expired: The credentials that a request was signed with.
            ask: Asks the authorisation server for new ones.

        Returns:
            Whether newer credentials are in use; False when the server refuses.

        Raises:
            PosError: A transient failure; an `OutageError` if another worker takes too long; a
                `SetupError` if the stored credentials can't be used.
            DatabaseError: The new credentials can't be stored. They are kept in memory, and stored
                before anything else is tried.
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

    def save(self) -> None:
        """Store new credentials that couldn't be stored when they came, if there are any.

        Raises:
            PosError: As `refresh` does.
            DatabaseError: They still can't be stored.
        """
        unsaved = self._marks.unsaved.get(self._name)
        if unsaved:
            self.refresh(self.current, lambda: unsaved)

    def _refreshed(self, expired: Credentials, ask: Callable[[], Credentials]) -> Credentials:
        with self._marks.store.turns.hold(self._name):
            if expired.refresh_token is None:
                # Without a refresh token, `ask` raises the error that says so.
                return self._newer(expired) or ask()
            give_up_at = time.monotonic() + PATIENCE
            while not (refresher := self._marks.begin(self._name)):
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
                # While new tokens aren't stored, no other worker may ask with the old ones.
                if self._name not in self._marks.unsaved:
                    self._marks.end(self._name, refresher)

    def _newer(self, expired: Credentials) -> Credentials | None:
        """Return credentials that another worker or a person has stored since, if any."""
        newer = self.tokens.newer(expired)
        if newer is None or self.is_outdated(newer):
            return None
        self._marks.unsaved.pop(self._name, None)
        return newer

    def _ask(self, expired: Credentials, ask: Callable[[], Credentials]) -> Credentials:
        """Return new credentials, or those that couldn't be stored before."""
        unsaved = self._marks.unsaved.get(self._name)
        if unsaved:
            return unsaved
        try:
            new = ask()
        except PosError:
            # A worker that was taken for dead may have been faster.
            newer = self._newer(expired)
            if newer:
                return newer
            raise
        self._marks.unsaved[self._name] = new
        return new

    def _write(self, expired: Credentials, new: Credentials) -> Credentials:
        written = self.tokens.write(expired, new)
        self._marks.unsaved.pop(self._name, None)
        self._marks.replaced[self._name] = expired.access_token
        return written


def warn_of_unsaved_tokens(
    name: str, old: Credentials, remedy: str
) -> Callable[[Credentials], None]:
    """Return a callback that warns that refreshed tokens aren't stored."""

    def warn(new: Credentials) -> None:
        if new.refresh_token != old.refresh_token:
            log.warning('tokens_unsaved connection=%s remedy="%s"', name, remedy)

    return warn
