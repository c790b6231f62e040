"""The import of a connection's menu, for all workers of a database.

One worker imports at a time, and none if the menu in force is young enough (`menus.shared`).
"""

from __future__ import annotations

from functools import partial

from tillpost.outbox.delivery.open_connections import OpenConnection
from tillpost.outbox.event_log import log_event
from tillpost.outbox.menus.shared import Menus
from tillpost.submission.menu_import import MenuImport

__all__ = ["import_shared_menu"]


def import_shared_menu(
    opened: OpenConnection, menus: Menus, worker: str, *, forced: bool = False
) -> MenuImport:
    """Import a connection's menu as `worker`, unless the one in force is young enough.

    Args:
        opened: The connection.
        menus: The menus of the database.
        worker: The worker's name.
        forced: Import however young the menu in force is.

    Raises:
        PosError: The platform's.
        MenuImportRunning: Another worker is importing the menu.
    """
    name = opened.connection.name
    run = partial(opened.import_menu, forced=forced)
    result = menus.importing(name, worker, opened.menu_cache, run)
    if result.fresh:
        log_event("menu_import_held" if result.held else "menu_imported", connection=name)
    return result
