"""How a test waits: for a condition, never for a time, so that a busy machine is only slower."""

from __future__ import annotations

import time
from collections.abc import Callable

AGES = 60.0
"""Seconds in which what has a deadline of a few seconds has ended, on however busy a machine.

For what ends by a deadline and by nothing else: without one it would take minutes, or never end.
"""


def eventually(condition: Callable[[], object], within: float = 120.0) -> None:
    """Wait until a condition holds; fail after so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"it didn't come true within {within:g} s"
        time.sleep(0.01)
