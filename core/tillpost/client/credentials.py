"""Where the credentials that sign requests come from, and how they are refreshed.

`MemoryCredentials` is for `Till` and `AsyncTill`; the outbox has a source over its database, in
`outbox.connections.token_refresh`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Protocol

from tillpost.adapter.settings import Credentials
from tillpost.client.locks import NamedAsyncLocks, NamedLocks
from tillpost.errors import PosError, as_exception

__all__ = ["AsyncCredentialSource", "CredentialSource", "MemoryCredentials"]


class CredentialSource(Protocol):
    """The credentials of one connection, for threads."""

    @property
    def current(self) -> Credentials:
        """The credentials that requests are signed with now."""
        ...

    def refresh(self, expired: Credentials, ask: Callable[[], Credentials]) -> bool:
        """Replace expired credentials, once for all that found them expired.

        Args:
            expired: The credentials that a request was signed with.
            ask: Asks the authorisation server for new ones.

        Returns:
            Whether newer credentials are in use; False when the server refuses.

        Raises:
            PosError: A transient failure.
        """
        ...


class AsyncCredentialSource(Protocol):
    """The credentials of one connection, for the tasks of one event loop."""

    @property
    def current(self) -> Credentials:
        """The credentials that requests are signed with now."""
        ...

    async def arefresh(
        self, expired: Credentials, ask: Callable[[], Awaitable[Credentials]]
    ) -> bool:
        """Replace expired credentials; see `CredentialSource.refresh`."""
        ...


class MemoryCredentials:
    """Credentials in memory. `on_tokens` receives refreshed ones, to save them.

    They are handed over before they are used: a rotated token that isn't saved is lost. For
    `AsyncTill` the callback may be async.
    """

    def __init__(
        self, current: Credentials, on_tokens: Callable[[Credentials], object] | None = None
    ) -> None:
        self.current = current
        self._on_tokens = on_tokens
        self._locks = NamedLocks("refreshing the access token")
        self._async_locks = NamedAsyncLocks("refreshing the access token")

    def refresh(self, expired: Credentials, ask: Callable[[], Credentials]) -> bool:
        """Replace expired credentials; see `CredentialSource.refresh`."""
        with self._locks.hold():
            if self.current is not expired:
                return True
            try:
                refreshed = ask()
            except PosError as error:
                if error.transient:
                    raise
                return False
            if self._on_tokens:
                try:
                    self._on_tokens(refreshed)
                except BaseException as failure:
                    raise as_exception(failure) from failure
            self.current = refreshed
            return True

    async def arefresh(
        self, expired: Credentials, ask: Callable[[], Awaitable[Credentials]]
    ) -> bool:
        """Replace expired credentials; see `CredentialSource.refresh`."""
        async with self._async_locks.hold():
            if self.current is not expired:
                return True
            try:
                refreshed = await ask()
            except PosError as error:
                if error.transient:
                    raise
                return False
            if self._on_tokens:
                try:
                    saved = self._on_tokens(refreshed)
                    if inspect.isawaitable(saved):
                        await saved
                except BaseException as failure:
                    raise as_exception(failure) from failure
            self.current = refreshed
            return True
