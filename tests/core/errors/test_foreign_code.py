"""Foreign code may raise anything; only an interruption of this program is raised again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from tillpost.errors import as_exception, is_interruption


class Strange(BaseException):
    """Not an `Exception`."""


def in_thread(judge: Callable[[], bool]) -> bool:
    """Return what a function returns in another thread."""
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(judge()))
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.parametrize(
    "failure", [SystemExit(1), GeneratorExit(), Strange(), ValueError(), asyncio.CancelledError()]
)
def test_failure_of_foreign_code_is_no_interruption(failure: BaseException) -> None:
    assert not is_interruption(failure)
    assert not in_thread(lambda: is_interruption(failure))
    assert isinstance(as_exception(failure), Exception)


def test_ctrl_c_interrupts_the_main_thread_only() -> None:
    assert is_interruption(KeyboardInterrupt())
    assert not in_thread(lambda: is_interruption(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        as_exception(KeyboardInterrupt())


def test_cancellation_interrupts_a_task_that_is_being_cancelled() -> None:
    judged: list[bool] = []

    async def hook() -> None:
        try:
            raise asyncio.CancelledError
        except asyncio.CancelledError as failure:
            judged.append(is_interruption(failure))
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as failure:
            judged.append(is_interruption(failure))

    async def cancel() -> None:
        task = asyncio.create_task(hook())
        await asyncio.sleep(0)
        task.cancel()
        await task

    asyncio.run(cancel())
    assert judged == [False, True]
