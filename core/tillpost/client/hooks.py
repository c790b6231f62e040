"""A view of what a Till does automatically, for programs that show it to people."""

from __future__ import annotations

from rich.status import Status
from rich.text import Text

from tillpost.menus.diff import MenuChanges
from tillpost.plugins.hookspecs import hookimpl

__all__ = ["Watcher"]


class Watcher:
    """Hooks that show menu imports while they run.

    `imports` holds what each import changed.
    """

    def __init__(self) -> None:
        self.imports: list[MenuChanges] = []
        self.status: Status | None = None

    def say(self, text: str) -> None:
        """Show what is being done now."""
        if self.status:
            self.status.update(Text(text))

    @hookimpl
    def menu_error(self) -> None:
        """Show that an import follows."""
        self.say("The order doesn't fit the menu. Importing the menu")

    @hookimpl
    def menu_imported(self, changes: MenuChanges) -> None:
        """Note what an import changed."""
        self.imports.append(changes)
