"""The tokens of one connection of a `ConnectionSource`, shared by all workers.

`credentials_of` returns what signs a connection's requests, whatever source it is from.
`save_unsaved_tokens` stores what couldn't be stored when it came, before a process ends.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pydantic import SecretStr

from tillpost.adapter.settings import Credentials
from tillpost.client.credentials import CredentialSource, MemoryCredentials
from tillpost.errors import ConfigError, PosError, as_exception
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.connections.token_refresh import (
    RefreshMarks,
    SharedCredentials,
    newer_tokens,
)
from tillpost.outbox.delivery.connections import ConnectionSource, OutboxConnection
from tillpost.outbox.exceptions import DatabaseError
from tillpost.submission.address import address_of

__all__ = ["SourceTokens", "credentials_of", "save_unsaved_tokens"]

log = safe_logger("tillpost.outbox")


class SourceTokens:
    """Tokens that a source gets and saves, as `token_refresh.TokenStorage` describes."""

    version = None

    def __init__(self, source: ConnectionSource, name: str, address: str) -> None:
        self.address = address
        self._source = source
        self._name = name

    def newer(self, outdated: Collection[SecretStr]) -> Credentials | None:
        """Return credentials that were saved since, if any."""
        try:
            adapter = self._source.get(self._name).adapter
        except ConfigError:
            raise
        except BaseException as failure:  # noqa: BLE001  a source of somebody else's
            fault = self._fault("read", failure)
        else:
            found = adapter.config.credentials()
            return newer_tokens(found, address_of(adapter), outdated, self.address)
        # Raised out here: a source's frames may show tokens.
        raise fault

    def write(self, outdated: Collection[SecretStr], new: Credentials) -> Credentials:
        """Save new credentials, unless others were saved meanwhile: those count."""
        newer = self.newer(outdated)
        if newer:
            return newer
        try:
            self._source.save(self._name, new)
        except BaseException as failure:  # noqa: BLE001  a source of somebody else's
            fault = self._fault("saved", failure)
        else:
            return new
        raise fault

    def _fault(self, done: str, failure: BaseException) -> DatabaseError:
        """Return the error for what a source raised. Raises an interruption again."""
        as_exception(failure)
        if isinstance(failure, DatabaseError):
            return failure
        kind = type(failure).__name__
        return DatabaseError(f"the tokens of {self._name} can't be {done} now ({kind})")


def credentials_of(
    source: ConnectionSource, connection: OutboxConnection, marks: RefreshMarks | None
) -> CredentialSource:
    """Return what signs a connection's requests.

    Args:
        source: The connection's source.
        connection: The connection, under the name that the source knows.
        marks: The marks of this process's refreshes; None without an outbox, when nobody else
            refreshes.
    """
    if connection.credentials:
        return connection.credentials
    current = connection.adapter.config.credentials()
    tokens = SourceTokens(source, connection.name, address_of(connection.adapter))
    if marks:
        return SharedCredentials(connection.name, tokens, marks, current=current)

    def save(new: Credentials) -> None:
        tokens.write([memory.current.access_token], new)

    memory = MemoryCredentials(current, save)
    return memory


def save_unsaved_tokens(source: ConnectionSource, marks: RefreshMarks) -> None:
    """Store new tokens that couldn't be stored when they came.

    Only this process knows them, and the old ones may be used up. It doesn't matter whether their
    connections are still open. What fails is logged.
    """
    for name in list(marks.unsaved):
        try:
            connection = replace(source.get(name), name=name)
            credentials = credentials_of(source, connection, marks)
            if not isinstance(credentials, SharedCredentials):
                raise ConfigError("the connection has credentials of its own now")
            credentials.save()
        except BaseException as failure:  # noqa: BLE001  a source of somebody else's
            error = as_exception(failure)
            known = isinstance(error, (PosError, ConfigError, DatabaseError))
            text = log_value(error if known else type(error).__name__)
            lost = 'tokens_lost connection=%s error=%s remedy="reconnect it"'
            log.error(lost, name, text)
