"""Calls of foreign code are waited for with a limit, and late results aren't lost."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from tillpost.outbox.delivery import patient_calls
from tillpost.outbox.delivery.patient_calls import LateError, PatientCalls
from waiting import eventually


@pytest.fixture
def calls() -> Iterator[PatientCalls]:
    calls = PatientCalls("patient")
    yield calls
    calls.close()


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    """Ends the calls that wait for it, at the end of the test at the latest."""
    ended = threading.Event()
    yield ended
    ended.set()


def test_call_returns_or_raises_as_the_function_does(calls: PatientCalls) -> None:
    assert calls.ask("a", lambda: 7, 60.0) == 7
    with pytest.raises(ZeroDivisionError):
        calls.ask("a", lambda: 1 // 0, 60.0)
    with pytest.raises(RuntimeError, match="raised KeyboardInterrupt"):
        calls.ask("a", interrupted, 60.0)


def interrupted() -> None:
    """Raise what only the main thread is interrupted by."""
    raise KeyboardInterrupt


def test_late_call_is_made_once_and_its_result_kept(
    calls: PatientCalls, ended: threading.Event
) -> None:
    made: list[int] = []

    def late() -> int:
        made.append(1)
        ended.wait()
        return 7

    for _ in range(3):
        with pytest.raises(LateError):
            calls.ask("a", late, 0.05)
    ended.set()
    assert calls.ask("a", lambda: 8, 60.0) == 7
    assert calls.ask("a", lambda: 8, 60.0) == 8
    assert made == [1]


def test_late_result_is_used_for_a_while(
    calls: PatientCalls, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_calls, "KEPT", 0.0)
    with pytest.raises(LateError):
        calls.ask("a", ended.wait, 0.0)
    ended.set()
    eventually(lambda: calls.ask("a", lambda: "new", 60.0) == "new")


def test_loop_waits_for_one_late_call_and_not_for_each(
    calls: PatientCalls, ended: threading.Event
) -> None:
    began_at = time.monotonic()
    for number in range(50):
        with pytest.raises(LateError):
            calls.ask_briefly(number, ended.wait)
    assert time.monotonic() - began_at < 25 * patient_calls.BRIEFLY


def test_calls_that_hang_keep_no_other_from_its_turn(
    calls: PatientCalls, ended: threading.Event
) -> None:
    """There are more than threads, and what came after them has waited all along."""
    for number in range(2 * patient_calls.THREADS):
        with pytest.raises(LateError):
            calls.ask(number, ended.wait, 0.0)
    eventually(lambda: is_answered(calls))


def is_answered(calls: PatientCalls) -> bool:
    try:
        return calls.ask("quick", lambda: True, 0.05)
    except LateError:
        return False


def test_failure_is_let_go_without_a_garbage_collection(calls: PatientCalls) -> None:
    class Failure(Exception):
        pass

    def fail() -> None:
        raise Failure

    gc.disable()
    try:
        with pytest.raises(Failure) as caught:
            calls.ask("a", fail, 60.0)
        failure = weakref.ref(caught.value)
        del caught
        calls.ask("b", lambda: None, 60.0)
        assert failure() is None
    finally:
        gc.enable()


def test_call_after_the_end_is_made(calls: PatientCalls) -> None:
    """An order's own thread may outlive its worker's loop."""
    assert calls.ask("a", lambda: 1, 60.0) == 1
    calls.close()
    assert calls.ask("b", lambda: 2, 5.0) == 2
