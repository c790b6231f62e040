"""Connections and tasks that a worker passes over, so that all others go on.

A step of the loop fails for them. A lock that somebody else holds, or a row that the database or a
parser refuses, fails the same step each time. What failed is tried again after a wait that doubles,
up to `LONGEST_WAIT`. It is kept in memory: each worker finds out for itself.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from tillpost.errors import is_interruption
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.exceptions import DatabaseError

__all__ = ["PassedOver"]

log = safe_logger("tillpost.outbox")

FIRST_WAIT = 1.0
"""Seconds for which a connection is passed over after the first failure."""

LONGEST_WAIT = 60.0
"""Seconds for which one is passed over at most."""


@dataclass(frozen=True, slots=True)
class _Failing:
    wait: float
    until: float


class PassedOver:
    """The connections, or tasks, that failed one kind of step, by their names."""

    def __init__(self, step: str) -> None:
        """Take what the step is called in the log."""
        self._step = step
        self._failing: dict[str, _Failing] = {}

    def allows(self, name: str) -> bool:
        """Return whether the step is to be tried for a connection now."""
        failing = self._failing.get(name)
        return failing is None or time.monotonic() >= failing.until

    @contextmanager
    def attempt(self, name: str) -> Generator[None]:
        """Run the step for a connection in the block.

        If it fails, that is logged, and the loop goes on.

        Raises:
            DatabaseError: the database as a whole fails, or may.
        """
        try:
            yield
        except DatabaseError as error:
            if not error.local:
                raise
            wait = self._note(name)
            text = "step_failed step=%s name=%s retry_in=%g error=%s"
            log.warning(text, self._step, name, wait, log_value(error))
        except BaseException as failure:
            if is_interruption(failure):
                raise
            wait = self._note(name)
            log.exception("step_failed step=%s name=%s retry_in=%g", self._step, name, wait)
        else:
            self._failing.pop(name, None)

    def _note(self, name: str) -> float:
        """Note a failure; return for how many seconds the connection is passed over."""
        failing = self._failing.get(name)
        wait = min(LONGEST_WAIT, failing.wait * 2) if failing else FIRST_WAIT
        self._failing[name] = _Failing(wait, time.monotonic() + wait)
        return wait
