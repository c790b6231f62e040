"""Follows what a Till does by itself, for programs that show it."""

from __future__ import annotations

from rich.status import Status
from rich.text import Text

from tillpost.menus.diff import MenuChanges
from tillpost.plugins.hookspecs import hookimpl

__all__ = ["Watcher"]


class Watcher:
    """Hears what a Till does by itself, and says so while it is under way. `imports` keeps what each import changed."""

    def __init__(self) -> None:
        self.imports: list[MenuChanges] = []
        self.status: Status | None = None

    def say(self, text: str) -> None:
        """Show what is being done now."""
        if self.status:
            self.status.update(Text(text))

    @hookimpl
    def menu_error(self) -> None:
        """The order and the menu don't fit."""
        self.say("The order and the menu don't fit; importing the menu")

    @hookimpl
    def menu_imported(self, changes: MenuChanges) -> None:
        """The menu was imported."""
        self.imports.append(changes)
