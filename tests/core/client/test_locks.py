"""Locks by name: one holder for each name, and no entry left behind."""

from __future__ import annotations

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from core.interrupting import Interruption, in_a_thread
from tillpost.client.locks import NamedAsyncLocks, NamedLocks


def test_one_thread_at_a_time_holds_a_name() -> None:
    locks, inside, most = NamedLocks(), 0, 0

    def work(_: int) -> None:
        nonlocal inside, most
        with locks.hold("ord-1"):
            inside += 1
            most = max(most, inside)
            threading.Event().wait(0.002)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
    assert most == 1
    assert not any(vars(locks)[name] for name in ("_locks", "_users"))


def test_threads_with_other_names_do_not_wait() -> None:
    locks, both = NamedLocks(), threading.Barrier(2)

    def work(name: str) -> None:
        with locks.hold(name):
            both.wait(60)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ("ord-1", "ord-2")))
    assert not both.broken


def test_thread_that_fails_releases_its_lock() -> None:
    locks = NamedLocks()
    with pytest.raises(KeyboardInterrupt), locks.hold("ord-1"):
        raise KeyboardInterrupt
    with locks.hold("ord-1"):
        assert vars(locks)["_locks"]
    assert not vars(locks)["_locks"]


def test_interruption_at_any_moment_leaves_the_lock_free() -> None:
    locks, moments = NamedLocks(), 0

    def hold() -> None:
        with locks.hold("ord-1"):
            pass

    def interrupt_everywhere() -> None:
        nonlocal moments
        for at in itertools.count(1):
            interruption = Interruption(at, "tillpost/client/locks.py", "contextlib.py")
            with suppress(KeyboardInterrupt), interruption:
                hold()
            if interruption.is_still_ahead:
                return
            moments += 1
            hold()
            in_a_thread(hold)

    in_a_thread(interrupt_everywhere)
    assert moments > 20


def test_one_task_at_a_time_holds_a_name() -> None:
    locks, inside, most = NamedAsyncLocks(), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with locks.hold("ord-1"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    async def all_of_them() -> None:
        await asyncio.gather(*(work() for _ in range(16)))

    asyncio.run(all_of_them())
    assert most == 1
    assert not any(vars(locks)[name] for name in ("_locks", "_users"))


def test_tasks_with_other_names_do_not_wait() -> None:
    locks, both = NamedAsyncLocks(), asyncio.Barrier(2)

    async def work(name: str) -> None:
        async with locks.hold(name):
            await asyncio.wait_for(both.wait(), 60)

    async def the_two() -> None:
        await asyncio.gather(work("ord-1"), work("ord-2"))

    asyncio.run(the_two())
    assert not both.broken


def test_task_cancelled_while_waiting_disturbs_no_other() -> None:
    locks, done = NamedAsyncLocks(), list[str]()

    async def work(name: str) -> None:
        async with locks.hold("ord-1"):
            await asyncio.sleep(0.01)
            done.append(name)

    async def one_is_cancelled() -> None:
        tasks = [asyncio.create_task(work(name)) for name in "abc"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(one_is_cancelled())
    assert done == ["a", "c"]
    assert not any(vars(locks)[name] for name in ("_locks", "_users"))


def test_holder_that_wants_its_own_lock_gets_an_error() -> None:
    locks = NamedLocks("submitting the order")
    with locks.hold("ord-1"):
        with pytest.raises(RuntimeError, match="submitting the order ord-1 is under way"):
            locks.hold("ord-1").__enter__()
        with locks.hold("ord-2"), NamedLocks().hold("ord-1"):
            pass
    with locks.hold("ord-1"):
        pass
    assert not any(vars(locks)[name] for name in ("_locks", "_users"))


def test_task_that_wants_its_own_lock_gets_an_error() -> None:
    locks = NamedAsyncLocks("submitting the order")

    async def inner(name: str) -> None:
        async with locks.hold(name):
            pass

    async def outer() -> None:
        async with locks.hold("ord-1"):
            with pytest.raises(RuntimeError, match="submitting the order ord-1 is under way"):
                await inner("ord-1")
            with pytest.raises(RuntimeError):
                await asyncio.create_task(inner("ord-1"))
            await inner("ord-2")
            later = asyncio.create_task(wait_and_hold())
        over.set()
        await later

    over = asyncio.Event()

    async def wait_and_hold() -> None:
        await over.wait()
        await inner("ord-1")

    asyncio.run(outer())
    assert not any(vars(locks)[name] for name in ("_locks", "_users"))


def test_thread_of_the_holder_gets_an_error() -> None:
    locks = NamedLocks()

    def inner() -> None:
        with locks.hold("ord-1"):
            pass

    async def outer() -> None:
        with locks.hold("ord-1"), pytest.raises(RuntimeError):
            await asyncio.to_thread(inner)
        await asyncio.to_thread(inner)

    asyncio.run(outer())
