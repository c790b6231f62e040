"""Raises an interruption at any chosen moment, as a signal handler may."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType

MOMENTS = ("call", "c_return")
"""Where CPython lets signal handlers run: as a function begins, and after a call of one in C.

Not so at the end of a `with`, before the lock is released, where a tracer of lines would stop.
"""


class Interruption:
    """Raises `KeyboardInterrupt` at the moment numbered `at` that the current thread comes to.

    Only moments in files count whose path contains one of `files`.
    """

    def __init__(self, at: int, *files: str) -> None:
        self._left = at
        self._files = files

    def __enter__(self) -> Interruption:
        sys.setprofile(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    @property
    def is_still_ahead(self) -> bool:
        """Whether the moment wasn't come to."""
        return self._left > 0

    def _watch(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename.replace("\\", "/")
        if event not in MOMENTS or not any(part in name for part in self._files):
            return
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


def in_a_thread(work: Callable[[], object]) -> None:
    """Run this in a thread of its own, and raise what it raises: a profiler is a thread's."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001  it is raised in the test's thread
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
