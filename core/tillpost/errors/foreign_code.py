"""The distinction of foreign code's failures from interruptions of this program.

Foreign code is what others wrote: adapters, plugins and their hooks, and what an embedder hands in,
such as a clock, a callback or a source of connections. It may raise anything, also what isn't an
`Exception`: `sys.exit()` raises `SystemExit`. Code that calls it catches `BaseException`, and asks
here whether that was an interruption. If not, it is that one call's failure and stops nothing else.

    try:
        hook()
    except BaseException as failure:
        if is_interruption(failure):
            raise
        log.exception("the hook failed")
"""

from __future__ import annotations

import asyncio
import threading

__all__ = ["as_exception", "is_interruption"]


def is_interruption(failure: BaseException) -> bool:
    """Return whether this program is being interrupted.

    If it is, the failure must be raised again. Python raises `KeyboardInterrupt` (Ctrl-C) in the
    main thread only, and asyncio raises `CancelledError` only in a task that is being cancelled.
    All else comes from foreign code.
    """
    if isinstance(failure, KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()
    if isinstance(failure, asyncio.CancelledError):
        task = _current_task()
        return task is not None and task.cancelling() > 0
    return False


def as_exception(failure: BaseException) -> Exception:
    """Return a failure of foreign code as an `Exception`.

    It is raised again if it interrupts us.
    """
    if is_interruption(failure):
        raise failure
    if isinstance(failure, Exception):
        return failure
    return RuntimeError(f"foreign code raised {type(failure).__name__}")


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None
