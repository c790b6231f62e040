"""The import of a menu as a flow.

It has a cooldown, the plugins' importer or the adapter's, and a brake. `flow.Submission` asks for
an import with the command `ImportMenu`, and its executor runs this flow, one import of a connection
at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tillpost.errors import PosError
from tillpost.menus.diff import MenuChanges, compare
from tillpost.models.menu import Menu
from tillpost.submission.commands import Announce, Flow, Reimport
from tillpost.submission.context import Connection
from tillpost.submission.operation import OperationContext, run_operation

__all__ = ["MenuImport", "import_menu"]


@dataclass(frozen=True, slots=True)
class MenuImport:
    """How an import ended.

    Attributes:
        menu: The menu in force.
        changes: What changed.
        held: Whether a newer menu is held for review, because of the brake.
        fresh: Whether it was really imported; otherwise an earlier import was young enough.
    """

    menu: Menu | None
    changes: MenuChanges
    held: bool = False
    fresh: bool = True


def import_menu(
    connection: Connection,
    *,
    forced: bool = False,
    accept: bool = False,
    asked_at: float = math.inf,
) -> Flow[MenuImport]:
    """Import the menu into the connection's cache.

    Nothing is imported if the cached one is young enough.

    Args:
        connection: Whose menu.
        forced: Import however young the cached menu is.
        accept: Accept a menu that the brake would hold.
        asked_at: Since when the caller has waited for another import, in epoch seconds: if that
            one ended later, its menu or its failure serves this caller too.

    Raises:
        PosError: The import failed.
    """
    cache = connection.menu_cache
    if not forced:
        if cache.menu and (_is_young(connection) or cache.imported_at > asked_at):
            held = cache.held is not None
            return MenuImport(cache.menu, MenuChanges(), held=held, fresh=False)
        if cache.failure and cache.failed_at > asked_at:
            raise PosError.from_record(cache.failure)

    before = cache.menu
    menu: Menu | None = yield Reimport()
    if menu is None:
        menu = yield from _import_by_adapter(connection)
    menu = menu.without_repetitions()
    changes = compare(before, menu)
    facts = {"menu": menu, "changes": changes}

    if changes.removed_share > connection.policy.import_brake and not accept:
        cache.held = menu
        cache.imported_at = connection.clock()
        yield Announce("menu_import_held", facts)
        return MenuImport(before, changes, held=True)

    cache.menu = menu
    cache.part = None
    cache.held = None
    # The time is set last: see `OrderMenu.bind`.
    cache.imported_at = connection.clock()
    yield Announce("menu_imported", facts)
    return MenuImport(menu, changes)


def _import_by_adapter(connection: Connection) -> Flow[Menu]:
    """Import the menu from the platform.

    A failure is remembered for those who wait for this import.
    """
    context = OperationContext(connection, "import_menu")
    try:
        menu = yield from run_operation(context, connection.adapter.import_menu)
    except PosError as error:
        connection.menu_cache.failure = error.record()
        connection.menu_cache.failed_at = connection.clock()
        raise
    return menu


def _is_young(connection: Connection) -> bool:
    # A menu of a later time was imported before our clock was set back, or by another clock.
    age = abs(connection.clock() - connection.menu_cache.imported_at)
    return age < connection.policy.import_cooldown
