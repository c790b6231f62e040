"""A plugin whose hooks raise what a test chooses, an `Exception` or not."""

from __future__ import annotations

from tillpost import hookimpl

__all__ = ["Poison"]


class Poison:
    """Raises in an event, and in the decision that an importer makes."""

    def __init__(self, failure: type[BaseException]) -> None:
        self.failure = failure

    @hookimpl
    def order_submitted(self) -> None:
        raise self.failure

    @hookimpl
    def reimport_menu(self) -> None:
        raise self.failure
