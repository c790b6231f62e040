"""The outbox's own exceptions. None of them means that anything stored was lost."""

from __future__ import annotations

__all__ = ["DatabaseError", "MenuImportRunning"]


class DatabaseError(RuntimeError):
    """A database that can't be opened, read or written.

    It is full, locked, gone, or of another version. The text is one line. `transient`: it may work
    in a moment, so a worker tries again. `local`: it is about the rows at hand, such as a lock that
    somebody else holds on one or a value that the database can't store, so that other rows may be
    well.
    """

    def __init__(self, text: str, *, transient: bool = False, local: bool = False) -> None:
        super().__init__(text)
        self.transient = transient
        self.local = local


class MenuImportRunning(Exception):
    """Another worker is importing this connection's menu."""
