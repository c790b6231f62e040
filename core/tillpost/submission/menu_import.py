"""The menu import as a flow: cooldown, a plugin's importer or the adapter's, brake, announcement.

`submission` asks for it through `ImportMenu`; whoever drives the flows sees to it that one import
runs at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tillpost.errors import PosError
from tillpost.menus.diff import MenuChanges, compare
from tillpost.models.menu import Menu
from tillpost.submission.commands import Announce, Flow, Reimport
from tillpost.submission.context import Connection
from tillpost.submission.operation import OperationContext, drive

__all__ = ["MenuImport", "importing"]


@dataclass(frozen=True, slots=True)
class MenuImport:
    """How an import ended: the menu in force, what changed, and whether a newer one is `held` because of the brake.

    `fresh` is false when an earlier import served, because it was young enough.
    """

    menu: Menu | None
    changes: MenuChanges
    held: bool = False
    fresh: bool = True


def importing(
    connection: Connection,
    *,
    forced: bool = False,
    accept: bool = False,
    asked_at: float = math.inf,
) -> Flow[MenuImport]:
    """Import the menu, unless the one on the shelf is younger than the cooldown. Raises the platform's `PosError`.

    `forced` imports in any case; `accept` lets a menu pass that the brake would hold. Whoever had
    to wait for another import says since when (`asked_at`, epoch seconds): how that one ended
    serves him too, a failure as well.
    """
    menu_cache, policy = connection.menu_cache, connection.policy
    old = menu_cache.menu
    if old and not forced and (_young(connection) or menu_cache.imported_at > asked_at):
        return MenuImport(old, MenuChanges(), held=menu_cache.held is not None, fresh=False)
    if menu_cache.failure and not forced and menu_cache.failed_at > asked_at:
        raise PosError.from_record(menu_cache.failure)
    menu: Menu | None = yield Reimport()
    if menu is None:
        try:
            menu = yield from drive(
                OperationContext(connection, "import_menu"), connection.adapter.import_menu
            )
        except PosError as error:
            menu_cache.failure, menu_cache.failed_at = error.record(), connection.clock()
            raise
    changes = compare(old, menu)
    news = {"menu": menu, "changes": changes}
    if changes.removed_share > policy.import_brake and not accept:
        menu_cache.held, menu_cache.imported_at = menu, connection.clock()
        yield Announce("menu_import_held", news)
        return MenuImport(old, changes, held=True)
    menu_cache.menu, menu_cache.held, menu_cache.imported_at = (
        menu,
        None,
        connection.clock(),
    )  # its time last: see `Submission._bound`
    yield Announce("menu_imported", news)
    return MenuImport(menu, changes)


def _young(connection: Connection) -> bool:
    return (
        connection.clock() - connection.menu_cache.imported_at < connection.policy.import_cooldown
    )
