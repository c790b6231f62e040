"""Interrupted at any place, a writer of SQLite leaves nothing behind that stops the others."""

from __future__ import annotations

import contextlib
import dis
import sqlite3
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from sqlalchemy.engine import base as sqlalchemy_engine

from core.outbox.corner_shop import lunch
from tillpost import Outbox
from tillpost.outbox import DatabaseError
from tillpost.outbox.db import database, write_queue
from tillpost.outbox.db.write_queue import WriteQueue

SOON = 10.0
FILES = {database.__file__, write_queue.__file__, contextlib.__file__}
COMMITTING = {*FILES, sqlalchemy_engine.__file__}

# Where CPython looks for signals: after calls, where a function begins or goes on, in loops.
LOOKS = ("CALL", "RESUME", "JUMP_BACKWARD")


class TimeLimit(Exception):
    """What a task queue's time limit raises."""


class Interrupting:
    """Raises an exception at one place of those where a signal's handler could."""

    def __init__(self, place: int, files: set[str], kind: type[BaseException]) -> None:
        self.left = place
        self.files = files
        self.kind = kind
        self.fired = ""
        self._instructions: dict[CodeType, dict[int, str]] = {}
        self._previous: dict[FrameType, str] = {}

    def run(self, call: Callable[[], object]) -> None:
        """Call a function; the exception leaves it, if the place is reached."""
        sys.settrace(self._enter)
        try:
            call()
        finally:
            sys.settrace(None)
            self._previous.clear()

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in self.files:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, frame: FrameType, event: str, _: Any) -> Any:
        if event != "opcode" or self.fired:
            return self._step
        previous = self._previous.get(frame, "")
        self._previous[frame] = self._name(frame)
        if not previous.startswith(LOOKS):
            return self._step
        self.left -= 1
        if self.left < 0:
            self.fired = f"{frame.f_code.co_name}, line {frame.f_lineno}"
            raise self.kind
        return self._step

    def _name(self, frame: FrameType) -> str:
        code = frame.f_code
        if code not in self._instructions:
            instructions = dis.get_instructions(code)
            self._instructions[code] = {each.offset: each.opname for each in instructions}
        return self._instructions[code].get(frame.f_lasti, "")


def interrupted_everywhere(
    outbox: Outbox, files: set[str], kind: type[BaseException]
) -> tuple[int, list[str]]:
    """Add an order for each place; return their number, and what went wrong at which."""
    place = 0
    faults: list[str] = []
    while True:
        interrupting = Interrupting(place, files, kind)
        order = lunch(f"ord-{place}")
        seen: list[str] = []
        try:
            interrupting.run(partial(outbox.add, order, connection="cafe"))
        except kind:
            seen.append("interrupted")
        except (AssertionError, RuntimeError) as error:
            faults.append(f"{interrupting.fired}: {error!r}")
        if not interrupting.fired:
            return place, faults
        thread = threading.Thread(target=add_after, args=(outbox, f"after-{place}", seen))
        thread.start()
        thread.join(SOON)
        if seen[-1:] != ["added"]:
            faults.append(f"{interrupting.fired}: {seen}")
        place += 1


def add_after(outbox: Outbox, order_id: str, seen: list[str]) -> None:
    try:
        outbox.add(lunch(order_id), connection="cafe")
    except DatabaseError as error:
        seen.append(str(error))
    else:
        seen.append("added")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeLimit])
@pytest.mark.parametrize("files", [FILES, COMMITTING], ids=["ours", "and SQLAlchemy's engine"])
def test_interrupted_writer_lets_others_write(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: set[str],
    kind: type[BaseException],
) -> None:
    monkeypatch.setattr("tillpost.outbox.db.database.BUSY_SECONDS", 0.5)
    file = tmp_path / "orders.db"
    with Outbox(f"sqlite:///{file}") as outbox:
        outbox.add(lunch("first"), connection="cafe")
        places, faults = interrupted_everywhere(outbox, files, kind)
        assert places > 20
        assert faults == []
    with contextlib.closing(sqlite3.connect(file)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_turns_come_in_sequence() -> None:
    queue = WriteQueue()
    came: list[int] = []
    threads: list[threading.Thread] = []
    joined = threading.Event()

    def write(number: int) -> None:
        joined.set()
        with queue.turn(SOON) as has_come:
            assert has_come
            came.append(number)

    with queue.turn(SOON):
        for number in range(3):
            joined.clear()
            last = queue._last  # pyright: ignore[reportPrivateUsage]
            threads.append(threading.Thread(target=write, args=(number,)))
            threads[-1].start()
            assert joined.wait(SOON)
            while queue._last is last:  # pyright: ignore[reportPrivateUsage]
                pass
        assert came == []
    for thread in threads:
        thread.join(SOON)
    assert came == [0, 1, 2]


def test_turn_that_does_not_come_in_time_is_given_up() -> None:
    queue = WriteQueue()
    with queue.turn(SOON), queue.turn(0.01) as has_come:
        assert not has_come
    with queue.turn(0.01) as has_come:
        assert has_come


def test_error_of_a_turn_that_is_kept_holds_nothing() -> None:
    queue = WriteQueue()
    with pytest.raises(TimeLimit) as kept, queue.turn(SOON):
        raise TimeLimit
    with queue.turn(0.01) as has_come:
        assert has_come
    assert kept.value.__traceback__
