"""The journal in memory: an event is stored whole or not at all."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied
from tillpost.models.order import PosOrder
from tillpost.submission.journal import (
    Event,
    Intended,
    MemoryJournal,
    Settled,
    SubmissionRequested,
    Submitted,
)

REQUESTED = SubmissionRequested(0, "d")
INTENDED = Intended(1, Effect.CREATE, 0, None, "body")
ARRIVED = Submitted(3, PosOrder(id="o1"))


class InterruptedAt:
    """Interrupts `MemoryJournal.append` at its line or return with this number."""

    def __init__(self, step: int) -> None:
        self.steps_left = step

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code is not MemoryJournal.append.__code__:
            return None
        if event != "call":
            self.steps_left -= 1
            if self.steps_left < 0:
                raise KeyboardInterrupt
        return self


def journal_with(*events: Event) -> MemoryJournal:
    journal = MemoryJournal()
    for event in events:
        journal.append("ord-1", event)
    return journal


def test_only_the_last_request_stays_of_an_order_that_arrived() -> None:
    journal = journal_with(REQUESTED, INTENDED, Settled(2, Applied.YES), ARRIVED)
    assert journal.read("ord-1") == (REQUESTED, ARRIVED)
    assert journal.read("ord-2") == ()


def test_interrupted_append_leaves_the_doubt() -> None:
    """An interruption may come between any two lines."""
    before = (REQUESTED, INTENDED)
    after = (REQUESTED, ARRIVED)
    for step in range(50):
        journal = journal_with(*before)
        trace = sys.gettrace()
        sys.settrace(InterruptedAt(step))
        try:
            journal.append("ord-1", ARRIVED)
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(trace)
        assert journal.read("ord-1") in (before, after)
    else:
        pytest.fail("the journal's append has no end")
    assert journal.read("ord-1") == after
    assert step >= 2
