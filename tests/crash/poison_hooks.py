"""Plugins that do harm in a worker: their hooks and importer raise `SystemExit`, or hang."""

from __future__ import annotations

import threading

from tillpost import hookimpl
from tillpost.outbox.db.database import SILENCE_SECONDS

__all__ = ["HANGING_EVENTS", "HANGING_IMPORTS", "HUNG_FOR", "PATIENCE", "Exits", "Hangs"]

HANGING_EVENTS = "generic-1"
"""The connection whose event hooks hang. It is a good store."""

HANGING_IMPORTS = "hanging-import"
"""The connection whose importer hangs."""

HUNG_FOR = 20.0
"""How long a hook hangs, in seconds: longer than anything waits for it, so that workers end."""

PATIENCE = SILENCE_SECONDS + 4.0
"""How long a worker waits beyond a step's own limit until an order is stuck, in seconds.

It is longer than a command waits for a silent database, which isn't the order's fault.
"""


class Exits:
    """Raises `SystemExit` in each event, and in the importer."""

    @hookimpl
    def order_submitted(self) -> None:
        raise SystemExit("order_submitted")

    @hookimpl
    def order_failed(self) -> None:
        raise SystemExit("order_failed")

    @hookimpl
    def menu_error(self) -> None:
        raise SystemExit("menu_error")

    @hookimpl
    def menu_imported(self) -> None:
        raise SystemExit("menu_imported")

    @hookimpl
    def outage_began(self) -> None:
        raise SystemExit("outage_began")

    @hookimpl
    def reimport_menu(self) -> None:
        raise SystemExit("reimport_menu")


class Hangs:
    """Hangs in an event of one connection, and in the importer of another."""

    @hookimpl
    def order_submitted(self, connection: str) -> None:
        if connection == HANGING_EVENTS:
            threading.Event().wait(HUNG_FOR)

    @hookimpl
    def reimport_menu(self, connection: str) -> None:
        if connection == HANGING_IMPORTS:
            threading.Event().wait(HUNG_FOR)
