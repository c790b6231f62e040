"""A company's own table of connections, in a SQLite file of its own, as a `ConnectionSource`."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path

from tillpost import ConfigError
from tillpost.adapter.settings import Credentials
from tillpost.outbox import OutboxConnection

__all__ = ["OwnTable"]


class OwnTable:
    """Connections by name in a table `stores`.

    Attributes:
        gets: How often each connection was got.
        saves: The names of the connections whose tokens were to be saved.
        slow: How long saving takes, in seconds.
        before_saving: Called before tokens are saved; it may raise.
    """

    def __init__(self, file: Path, platform: str = "square") -> None:
        self.file = file
        self._platform = platform
        self.gets: list[str] = []
        self.saves: list[str] = []
        self.slow = 0.0
        self.before_saving: Callable[[], object] = lambda: None
        with closing(self._db()) as db, db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS stores (name TEXT PRIMARY KEY, settings, options)"
            )

    def _db(self) -> sqlite3.Connection:
        return sqlite3.connect(self.file, timeout=10)

    def put(
        self, name: str, settings: Mapping[str, object], options: Mapping[str, object] | None = None
    ) -> None:
        """Write a connection."""
        with closing(self._db()) as db, db:
            db.execute(
                "REPLACE INTO stores VALUES (?, ?, ?)",
                (name, json.dumps(dict(settings)), json.dumps(options or {})),
            )

    def settings(self, name: str) -> dict[str, object]:
        """Return a connection's settings."""
        return self._row(name)[0]

    def _row(self, name: str) -> tuple[dict[str, object], dict[str, object]]:
        with closing(self._db()) as db:
            row = db.execute("SELECT settings, options FROM stores WHERE name = ?", (name,))
            found = row.fetchone()
        if found is None:
            raise ConfigError(f"no store {name!r}")
        return json.loads(found[0]), json.loads(found[1])

    def get(self, name: str) -> OutboxConnection:
        """Return a connection."""
        self.gets.append(name)
        settings, options = self._row(name)
        return OutboxConnection.of(self._platform, settings, outbox=options)

    def names(self) -> Collection[str]:
        """Return all names."""
        with closing(self._db()) as db:
            return [name for (name,) in db.execute("SELECT name FROM stores")]

    def save(self, name: str, tokens: Credentials) -> None:
        """Store tokens."""
        self.saves.append(name)
        self.before_saving()
        time.sleep(self.slow)
        refresh = tokens.refresh_token
        settings = self.settings(name) | {
            "access_token": tokens.access_token.get_secret_value(),
            "refresh_token": refresh.get_secret_value() if refresh else None,
        }
        _, options = self._row(name)
        self.put(name, settings, options)

    def remove(self, name: str) -> None:
        """Delete a connection."""
        with closing(self._db()) as db, db:
            db.execute("DELETE FROM stores WHERE name = ?", (name,))
