"""The menu as one order sees it.

It is what is known of the menu, how the order fits it, and how it is read anew. A whole import can
take minutes, so a first order reads only what it names (`Adapter.menu_for`). That part of the menu
serves later orders too, until one names something that it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence

from tillpost.errors import PermissionsError, PosError
from tillpost.menus.diff import MenuChanges
from tillpost.menus.matching import Binding, fit
from tillpost.models.menu import Menu
from tillpost.models.order import Order
from tillpost.submission.commands import Flow, ImportMenu
from tillpost.submission.context import Connection
from tillpost.submission.menu_import import MenuImport
from tillpost.submission.operation import OperationContext, run_operation
from tillpost.submission.order_journal import OrderJournal
from tillpost.submission.outgoing import bound
from tillpost.submission.prechecks import misfits

__all__ = ["OrderMenu"]


class OrderMenu:
    """What one order knows of its connection's menu.

    Attributes:
        bound_at: When the menu that the order was bound to last had been imported, in epoch
            seconds; 0 for none.
    """

    def __init__(self, connection: Connection, order: Order, journal: OrderJournal) -> None:
        """Take the order's journal, which says where the order may be read."""
        self.bound_at = connection.menu_cache.imported_at
        self._connection = connection
        self._cache = connection.menu_cache
        self._order = order
        self._journal = journal
        self._completed: Menu | None = None

    @property
    def known(self) -> Menu | None:
        """The menu as far as it is known: the whole, or what orders have named."""
        return self._completed or self._cache.known

    # ------------------------------------------------------------------ the order on the menu

    def bind(self) -> Binding:
        """Bind the order to the known menu."""
        # The time is read first: a menu that is cached in between counts as newer.
        self.bound_at = self._cache.imported_at
        return bound(self._connection, self._order, self.known)

    def fit(self) -> tuple[Binding, Sequence[str]]:
        """Return how the order is bound to the known menu, and how it doesn't fit."""
        binding = self.bind()
        menu = self.known
        found = misfits(self._connection, binding.order, menu) if menu else ()
        return binding, [str(misfit) for misfit in found]

    # ------------------------------------------------------------------ reading it

    def know(self) -> Flow[None]:
        """Read what the order names of the menu.

        The whole menu is imported if that doesn't have all of it.
        """
        cache = self._cache
        if cache.menu is not None:
            return
        if self._can_look_up and self._is_missing():
            looked_up = yield from self._look_up()
            known = cache.part
            cache.part = known.completed_by(looked_up) if known and looked_up else looked_up
        if self._is_missing():
            yield ImportMenu()

    def renew(self) -> Flow[MenuImport]:
        """Read what the order names anew, or import the whole menu if that isn't enough.

        It is enough if nothing but a part of the menu is known, and nothing of the order is missing
        in what is read: the whole menu would bind it to the same items.
        """
        knows_only_a_part = self._cache.menu is None and self._cache.part is not None
        if knows_only_a_part and self._can_look_up:
            # Nothing read earlier is kept: it may be gone by now.
            self._cache.part = yield from self._look_up()
            if not self._is_missing():
                return MenuImport(self._cache.part, MenuChanges())
        self._completed = None
        result: MenuImport = yield ImportMenu()
        yield from self._look_for_skipped_items()
        return result

    def _look_for_skipped_items(self) -> Flow[None]:
        """Look for items of the order that the new menu lacks.

        Its pages may have skipped them.
        """
        menu = self._cache.menu
        if menu is None or not self._can_look_up or not self._is_missing():
            return
        looked_up = yield from self._look_up()
        if looked_up is not None:
            self._completed = menu.completed_by(looked_up)

    @property
    def _can_look_up(self) -> bool:
        return "menu_for" in self._connection.adapter.capabilities()

    def _is_missing(self) -> bool:
        """Return whether the known menu lacks an item or an option of the order."""
        menu = self.known
        if menu is None:
            return True
        fits = fit(self._order, menu)
        return any(not found.is_on_menu for found in fits if not found.line.is_open)

    def _look_up(self) -> Flow[Menu | None]:
        """Read what the order names of the menu.

        A platform that refuses this knows none of it.
        """
        context = OperationContext(self._connection, "menu_for", self._order, self._journal)
        menu_for = self._connection.adapter.menu_for
        try:
            return (yield from run_operation(context, menu_for, self._order))
        except PosError as error:
            if error.transient or isinstance(error, PermissionsError):
                raise
            return None
