"""An expired token is renewed once, by one of all the workers of a database; the others take what that one got.

`RenewedTill` is a Till whose tokens are renewed so. `Renewal` belongs to one connection. Whoever
renews takes the connection's place first; it is freed when its worker is buried. A renewed token is
on disk, sealed, before it is used. Killed before that, a process leaves the old one: where the
provider's refresh tokens can be used again the connection goes on, else it says that it must be
reconnected.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
from pydantic import SecretStr

from tillpost.adapter.base import Adapter
from tillpost.adapter.settings import Credentials
from tillpost.client.base import Options
from tillpost.client.sync import Till
from tillpost.errors import OutageError, PosError
from tillpost.outbox.connections.credentials import CredentialStore, StoredConnection

__all__ = ["Renewal", "RenewedTill", "not_kept"]

log = logging.getLogger("tillpost.outbox")

LOOK_EVERY = 0.1
"""Who waits for another worker's renewal looks so often whether it is done, in seconds."""

PATIENCE = 60.0
"""And for so long; then the order that needs it is tried again later."""


@dataclass(slots=True)
class Renewal:
    """The renewals of one connection's token. `worker` names the worker at hand; `follows` is as in the database.

    `version` is that of the row which the credentials in use stand in.
    """

    vault: CredentialStore
    name: str
    platform: str
    follows: str
    version: int
    worker: Callable[[], str]
    _unwritten: Credentials | None = None

    def renewed(self, expired: Credentials, ask: Callable[[], Credentials]) -> Credentials:
        """Return newer credentials than `expired`: another worker's, or what `ask` brings from the provider.

        Raises what `ask` does, `OutageError` when another worker is at it for too long, and
        `DatabaseError` when what the provider gave can't be written; it is kept in mind then, and
        written before anything else is tried.
        """
        with self.vault.turns.hold(self.name):
            if expired.refresh_token is None:
                return self._newer(expired) or ask()  # which says so
            give_up_at = time.monotonic() + PATIENCE
            while not self._take_turn():
                if found := self._newer(expired):
                    return found
                if time.monotonic() >= give_up_at:
                    raise OutageError(
                        "another worker has been renewing the access token for too long"
                    )
                time.sleep(LOOK_EVERY)
            try:
                return self._newer(expired) or self._write(expired, self._ask(expired, ask))
            finally:
                self._leave()

    def _take_turn(self) -> bool:
        me = self.worker()
        with self.vault.database.writing() as db:
            if self.vault.locked(db, self.name).refresher not in (None, me):
                return False
            self.vault.set_refresher(db, self.name, me)
        return True

    def _leave(self) -> None:
        """Let another worker try. A place that can't be left is freed with its worker."""
        me = self.worker()
        with self.vault.database.writing() as db:
            if self.vault.locked(db, self.name).refresher == me:
                self.vault.set_refresher(db, self.name, None)

    def _newer(self, expired: Credentials) -> Credentials | None:
        """Return what was written since, by another worker or a person; None when that is nothing."""
        stored = self.vault.get(self.name)
        return self._since(expired, stored) if stored else None

    def _since(self, expired: Credentials, stored: StoredConnection) -> Credentials | None:
        if not stored.counts_with(self.follows):
            return None
        found = _credentials(expired, self.vault.open(stored))
        if found.access_token == expired.access_token:
            return None
        self.version = stored.version
        return found

    def _ask(self, expired: Credentials, ask: Callable[[], Credentials]) -> Credentials:
        """Return what the provider gives now, or gave before and couldn't be written."""
        if self._unwritten is None:
            try:
                self._unwritten = ask()
            except PosError:  # a worker that was taken for dead may have been faster
                if found := self._newer(expired):
                    return found
                raise
        return self._unwritten

    def _write(self, expired: Credentials, new: Credentials) -> Credentials:
        """Write new credentials, unless somebody has connected the store or written others meanwhile: those count."""
        keyring = self.vault.keyring()
        with self.vault.database.writing() as db:
            stored = self.vault.locked(db, self.name)
            found = self._since(expired, stored)
            gone = (
                not stored.sealed and not self.follows
            )  # it was disconnected, and isn't brought back by this
            if found is None and not gone:
                secrets = self.vault.open(stored) if stored.counts_with(self.follows) else {}
                now = self._following(stored, new)
                self.version = self.vault.write(
                    db, now, {**secrets, **_tokens(new)}, keyring
                ).version
        self._unwritten = None
        return found or new

    def _following(self, stored: StoredConnection, new: Credentials) -> StoredConnection:
        expires_at = new.expires_at.timestamp() if new.expires_at else None
        return replace(
            stored,
            platform=self.platform,
            grant=replace(stored.grant, expires_at=expires_at),
            follows=stored.follows if stored.counts_with(self.follows) else self.follows,
        )


class RenewedTill(Till):
    """A Till whose tokens are renewed once for all workers of a database, and kept there. Without a renewal: a Till."""

    def __init__(
        self,
        adapter: Adapter[Any],
        options: Options,
        renewal: Renewal | None = None,
        *,
        http_client: httpx.Client | None = None,
    ) -> None:
        """Take an adapter that is set up already, and what renews its tokens for all workers."""
        super().__init__(adapter, options, http_client=http_client)
        self._renewal = renewal

    @property
    def version(self) -> int | None:
        """Which version of the connection's row in the database the credentials are of; None when they are of none."""
        return self._renewal.version if self._renewal else None

    def _refresh(self, expired: Credentials) -> bool:
        """Renew the credentials, once for all workers that found the same ones expired."""
        if self._renewal is None:
            return super()._refresh(expired)
        with self._refresh_lock:
            if self._credentials is expired:
                try:
                    self._credentials = self._renewal.renewed(
                        expired, lambda: self._run(self._refreshing(expired))
                    )
                except PosError as refused:
                    if refused.transient:
                        raise
                    return False
            return True


def not_kept(name: str, old: Credentials) -> Callable[[Credentials], None]:
    """Return what warns of a renewed token that is in this process alone, for want of a key to seal it with."""

    def warn(new: Credentials) -> None:
        if new.refresh_token != old.refresh_token:
            log.warning(
                "connection %s has new tokens that aren't kept: without TILLPOST_KEY the next start has the old ones",
                name,
            )

    return warn


def _tokens(held: Credentials) -> Mapping[str, SecretStr]:
    known = {"access_token": held.access_token, "refresh_token": held.refresh_token}
    return {name: secret for name, secret in known.items() if secret is not None}


def _credentials(like: Credentials, secrets: Mapping[str, SecretStr]) -> Credentials:
    tokens = {name: secrets.get(name) for name in ("access_token", "refresh_token")}
    return like.model_copy(
        update={**tokens, "access_token": tokens["access_token"] or like.access_token}
    )
