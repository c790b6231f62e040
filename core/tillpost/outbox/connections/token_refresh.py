"""Refreshes an expired access token once for all workers of a database.

`SharedCredentials` is the credential source of one connection. A worker that refreshes marks the
connection's row first (`RefreshMarks`); the mark is removed when that worker is done, or is reaped.
The other workers wait and use the new token. Where the tokens are read and written is a
`TokenStorage`: Tillpost's vault (`vault_tokens`), or a `ConnectionSource` of somebody else's.

A new token is stored before it is used. If the process is killed before that, the old token
remains: where the provider's refresh tokens can be used again the connection goes on, otherwise it
has to be reconnected.

A token is used only at the address that it was stored for. Where a person has meanwhile given the
connection another address or other tokens, those of before are neither taken nor stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from tillpost.adapter.settings import Credentials
from tillpost.errors import ConfigError, OutageError, PosError, SetupError, UnreadableConfigError
from tillpost.models.safe_text import safe_logger
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.submission.address import base_url_in

__all__ = [
    "RefreshMarks",
    "SharedCredentials",
    "TokenStorage",
    "UnsavedTokens",
    "newer_tokens",
    "warn_of_unsaved_tokens",
]

log = safe_logger("tillpost.outbox")

POLL_INTERVAL = 0.1
"""How often a worker checks whether another worker's refresh is done, in seconds."""

PATIENCE = 60.0
"""For how many seconds it does so.

Then the order that needs the token is tried again later.
"""


class TokenStorage(Protocol):
    """Where the tokens of one connection are read and written, by all workers.

    It is for the address that the connection had when it was opened. `outdated` are the access
    tokens that are to be replaced: the expired one, and one that a copy of a database may still
    have.
    """

    @property
    def address(self) -> str:
        """The address that its tokens are for, as `submission.address` gives it."""
        ...

    @property
    def version(self) -> int | None:
        """The version of the tokens in the database; None if they are elsewhere."""
        ...

    def newer(self, outdated: Collection[SecretStr]) -> Credentials | None:
        """Return credentials that were stored since, if any.

        Raises:
            OutageError: The connection has another address now.
            ConfigError: They can't be used.
            UnreadableConfigError: They, or the address, can't be read now.
            DatabaseError: They can't be read now.
        """
        ...

    def write(self, outdated: Collection[SecretStr], new: Credentials) -> Credentials:
        """Store new credentials, unless others were stored meanwhile.

        Returns those that count.

        Raises:
            OutageError: The connection has another address now. Nothing is stored.
            ConfigError: They can't be stored.
            UnreadableConfigError: They, or the address, can't be read now.
            DatabaseError: They can't be stored now.
        """
        ...


@dataclass(frozen=True, slots=True)
class UnsavedTokens:
    """New tokens that couldn't be stored yet.

    Attributes:
        new: The tokens.
        replaced: The access token that they replace.
        address: The address that they are for.
    """

    new: Credentials
    replaced: SecretStr
    address: str

    def fit(self, outdated: Collection[SecretStr], address: str) -> bool:
        """Return whether they replace one of these access tokens, at the same host.

        Which store they are for doesn't matter: the token that they replace is the same.
        """
        return self.replaced in outdated and base_url_in(self.address) == base_url_in(address)


def newer_tokens(
    stored: Credentials, stored_for: str, outdated: Collection[SecretStr], address: str
) -> Credentials | None:
    """Return stored credentials if they are newer than the outdated ones. Pure.

    Args:
        stored: The credentials that are stored now.
        stored_for: The connection's address now.
        outdated: The access tokens that are to be replaced.
        address: The address that credentials are needed for.

    Raises:
        OutageError: They are for another address. The request isn't sent again there; the next
            try is at the new address.
    """
    if stored_for != address:
        raise OutageError("the connection was given another address while its token was refreshed")
    return None if stored.access_token in outdated else stored


class RefreshMarks:
    """The marks of this process's refreshes, on the connections' rows.

    Safe for threads.

    Attributes:
        store: The rows.
        unsaved: New tokens that couldn't be stored yet, by connection name.
        replaced: The access token that this process replaced last, by connection name.
    """

    def __init__(self, store: CredentialStore, worker: Callable[[], str]) -> None:
        """Take the rows, and what returns the name of this worker."""
        self.store = store
        self.unsaved: dict[str, UnsavedTokens] = {}
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

    def drop_unsaved(self, name: str, counts: Credentials) -> None:
        """Forget unsaved tokens, since others count.

        That is logged, unless they are the same.
        """
        unsaved = self.unsaved.pop(name, None)
        if unsaved and unsaved.new.access_token != counts.access_token:
            log.warning('tokens_dropped connection=%s reason="it was changed meanwhile"', name)

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
            PosError: A transient failure; an `OutageError` if another worker takes too long, or if
                the connection has another address now; a `SetupError` if the stored credentials
                can't be used.
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
            except UnreadableConfigError as error:
                fault: Exception = DatabaseError(str(error))
            except ConfigError as error:
                fault = SetupError(str(error))
            else:
                return True
        # Raised outside of the handler, so that its traceback holds no ciphertext.
        raise fault

    def save(self) -> None:
        """Store new tokens that couldn't be stored when they came, if there are any.

        Those that replace others than the current ones are dropped.

        Raises:
            PosError: As `refresh` does.
            DatabaseError: They still can't be stored.
        """
        unsaved = self._fitting_unsaved(self.current)
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

    def _outdated(self, expired: Credentials) -> Collection[SecretStr]:
        replaced = self._marks.replaced.get(self._name, expired.access_token)
        return expired.access_token, replaced

    def _newer(self, expired: Credentials) -> Credentials | None:
        """Return credentials that another worker or a person has stored since, if any."""
        newer = self.tokens.newer(self._outdated(expired))
        if newer:
            self._marks.drop_unsaved(self._name, newer)
        return newer

    def _ask(self, expired: Credentials, ask: Callable[[], Credentials]) -> Credentials:
        """Return new credentials, or those that couldn't be stored before."""
        unsaved = self._fitting_unsaved(expired)
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
        address = self.tokens.address
        self._marks.unsaved[self._name] = UnsavedTokens(new, expired.access_token, address)
        return new

    def _fitting_unsaved(self, expired: Credentials) -> Credentials | None:
        """Return the unsaved tokens if they replace expired ones, and drop others."""
        unsaved = self._marks.unsaved.get(self._name)
        if unsaved is None:
            return None
        if unsaved.fit(self._outdated(expired), self.tokens.address):
            return unsaved.new
        self._marks.drop_unsaved(self._name, expired)
        return None

    def _write(self, expired: Credentials, new: Credentials) -> Credentials:
        written = self.tokens.write(self._outdated(expired), new)
        self._marks.drop_unsaved(self._name, written)
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
