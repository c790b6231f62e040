"""What can be plugged into Tillpost, readable in a minute.

A plugin marks its functions with `@tillpost.hookimpl`, takes the arguments that it wants by name, and registers its
module under the entry-point group `tillpost` (or hands an object to `Till.connect(hooks=[...])`). A hook that raises is
logged; it changes neither an order's fate nor another plugin's turn. Under `AsyncTill` a hook may be async. A hook runs
while its order is being submitted, so it must not submit the same order or import the menu itself: it would wait for
its own end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from tillpost.adapter import Adapter
from tillpost.errors import PosError
from tillpost.menu import Menu
from tillpost.menu_changes import MenuChanges
from tillpost.order import Order, PosOrder

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("tillpost")
hookimpl = pluggy.HookimplMarker("tillpost")


@hookspec
def tillpost_adapters() -> Sequence[type[Adapter[Any]]]:  # type: ignore[empty-body]
    """Return the adapter classes that this plugin brings."""


@hookspec
def register_commands(cli: object) -> None:
    """Add commands to the `tillpost` command; `cli` is its Typer application."""


@hookspec
def reimport_menu(connection: str) -> Menu | None:
    """Run your own menu import and return the menu; None leaves it to the adapter. The first result counts."""


@hookspec
def order_submitted(connection: str, order: Order, pos_order: PosOrder) -> None:
    """The platform has the order."""


@hookspec
def order_failed(connection: str, order: Order, error: PosError) -> None:
    """The order can't be delivered for now; `error` says who must act."""


@hookspec
def menu_error(connection: str, order: Order, error: PosError) -> None:
    """The order and the menu don't fit. A menu import follows by itself."""


@hookspec
def menu_imported(connection: str, menu: Menu, changes: MenuChanges) -> None:
    """The menu was imported; `changes` says what differs from the one before."""


@hookspec
def menu_import_held(connection: str, menu: Menu, changes: MenuChanges) -> None:
    """An import would have removed so much that it waits for a person."""


@hookspec
def reauthorisation_needed(connection: str, error: PosError) -> None:
    """The platform no longer lets us in; somebody has to connect it again."""
