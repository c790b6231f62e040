"""A Till whose process ends before a given command of its flows."""

from __future__ import annotations

from typing import Any

from tillpost import Till
from tillpost.client.executor import Recorder, discard
from tillpost.submission.commands import Command

__all__ = ["Mortal", "Stopped"]


class Stopped(BaseException):
    """The process ended here."""


class Mortal(Till):
    """A Till that ends before the command with the number `dies_at`."""

    dies_at: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.executed = 0
        execute = self._executor.execute

        def execute_or_die(command: Command, record: Recorder = discard) -> object:
            if self.executed == self.dies_at:
                raise Stopped
            self.executed += 1
            return execute(command, record)

        self._executor.execute = execute_or_die  # type: ignore[method-assign]
