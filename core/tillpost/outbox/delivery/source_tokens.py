"""The tokens of one connection of a `ConnectionSource`, shared by all workers.

`credentials_of` returns what signs a connection's requests, whatever source it is from.
"""

from __future__ import annotations

from tillpost.adapter.settings import Credentials
from tillpost.client.credentials import CredentialSource, MemoryCredentials
from tillpost.errors import ConfigError, UnreadableConfigError, as_exception
from tillpost.outbox.connections.token_refresh import RefreshMarks, SharedCredentials
from tillpost.outbox.delivery.connections import ConnectionSource, OutboxConnection
from tillpost.outbox.exceptions import DatabaseError

__all__ = ["SourceTokens", "credentials_of"]


class SourceTokens:
    """Tokens that a source gets and saves, as `token_refresh.TokenStorage` describes."""

    version = None

    def __init__(self, source: ConnectionSource, name: str) -> None:
        self._source = source
        self._name = name

    def newer(self, expired: Credentials) -> Credentials | None:
        """Return credentials that were saved since, if any."""
        try:
            found = self._source.get(self._name).adapter.config.credentials()
        except UnreadableConfigError as error:
            fault = DatabaseError(str(error))
        except ConfigError:
            raise
        except BaseException as failure:  # noqa: BLE001  a source of somebody else's
            fault = self._fault("read", failure)
        else:
            return found if found.access_token != expired.access_token else None
        # Raised out here: a source's frames may show tokens.
        raise fault

    def write(self, expired: Credentials, new: Credentials) -> Credentials:
        """Save new credentials, unless others were saved meanwhile: those count."""
        newer = self.newer(expired)
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
    tokens = SourceTokens(source, connection.name)
    if marks:
        return SharedCredentials(connection.name, tokens, marks, current=current)

    def save(new: Credentials) -> None:
        source.save(connection.name, new)

    return MemoryCredentials(current, save)
