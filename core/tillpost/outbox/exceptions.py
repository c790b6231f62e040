"""The outbox's one exception of its own: the store itself can't do what is asked. Nothing that was kept is lost."""

from __future__ import annotations

__all__ = ["DatabaseError"]


class DatabaseError(RuntimeError):
    """The store can't be opened, read or written: it is full, locked, read-only, gone, or of another version.

    The text is one line. `passing`: it may work in a moment (locked, restarted), so a worker tries
    again.
    """

    def __init__(self, text: str, *, passing: bool = False) -> None:
        super().__init__(text)
        self.passing = passing


class MenuImportRunning(Exception):
    """Another worker is importing this connection's menu."""
