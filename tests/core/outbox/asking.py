"""A source of connections that is one function."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tillpost.adapter.settings import Credentials
from tillpost.outbox import OutboxConnection

__all__ = ["Asking"]


class Asking:
    """A source that asks a function for each connection, lists none, and stores no tokens."""

    def __init__(self, ask: Callable[[str], OutboxConnection]) -> None:
        self._ask = ask

    def get(self, name: str) -> OutboxConnection:
        """Return what the function does."""
        return self._ask(name)

    def names(self) -> Collection[str]:
        """Return nothing."""
        return ()

    def save(self, name: str, tokens: Credentials) -> None:
        """Do nothing."""
