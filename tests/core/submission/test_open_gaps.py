"""The gaps that `docs/explanation/never-twice.md` names, each with its size.

These tests show where a second order can't be avoided, and that just inside of that it is. Those of
a worker that is paused, and of clocks, are in `test_two_workers.py`, `test_waits.py` and
`tests/adapters/test_addresses.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from core.stand_in import Dropped, Keyless, Platform, Run, StandInSettings, an_order, refusal
from tillpost.adapter.exchange import Fault, Request, Response
from tillpost.errors import Applied, OrderError, Outcome

LOST = Fault(Applied.MAYBE, "no answer in time")
NOTHING_FOUND = Response(200, {}, b'{"orders": []}')
KEYLESS = Keyless(StandInSettings())


@pytest.mark.parametrize(("lag", "made"), [(15.9, 1), (16.1, 2)])
def test_search_that_lags_behind_the_schedule_duplicates(lag: float, made: int) -> None:
    """Without keys; the schedule is 5 + 3 + 3 + 5 seconds."""
    run = Run(Platform(needs_payment=False), adapter=KEYLESS)
    visible_at = 0.0

    def failing(request: Request[Any], _: int) -> tuple[str, Response | Fault] | None:
        nonlocal visible_at
        if request.path == "/orders" and not visible_at:
            visible_at = run.now + lag
            return "after", LOST
        is_hidden = "search" in request.path and run.now < visible_at
        return ("before", NOTHING_FOUND) if is_hidden else None

    run.failing = failing
    run.submit(an_order(), is_new=True)
    assert len(run.platform.orders) == made


@pytest.mark.parametrize(
    ("kept", "lag", "made"), [(False, 1.9, 1), (False, 2.1, 2), (True, 15.9, 1)]
)
def test_killed_till_without_journal_looks_up_once(*, kept: bool, lag: float, made: int) -> None:
    """Without keys; the next process submits 2 seconds later. With the journal it waits."""
    killed = Run(Platform(needs_payment=False), adapter=KEYLESS)
    next_run = Run(killed.platform, adapter=KEYLESS, now=killed.now + 2.0)
    if kept:
        next_run.journal = killed.journal
    visible_at = killed.now + lag

    def losing(request: Request[Any], _: int) -> tuple[str, Fault] | None:
        if request.path != "/orders":
            return None
        killed.drop_at = killed.commands
        return "after", LOST

    def lagging(request: Request[Any], _: int) -> tuple[str, Response] | None:
        is_hidden = "search" in request.path and next_run.now < visible_at
        return ("before", NOTHING_FOUND) if is_hidden else None

    killed.failing, next_run.failing = losing, lagging
    with pytest.raises(Dropped):
        killed.submit(an_order())
    next_run.submit(an_order())
    assert len(killed.platform.orders) == made


@pytest.mark.parametrize(("other_comes", "made"), [("/search/ord_1", 1), ("/orders", 2)])
def test_programs_that_share_nothing_may_duplicate(other_comes: str, made: int) -> None:
    """Without keys; the gap lasts from one program's look-up to its create."""
    platform = Platform(needs_payment=False)
    run = Run(platform, adapter=KEYLESS)
    others: list[Run] = []

    def failing(request: Request[Any], _: int) -> None:
        if request.path == other_comes and not others:
            others.append(Run(platform, adapter=KEYLESS))
            others[0].submit(an_order())

    run.failing = failing
    run.submit(an_order())
    assert len(platform.orders) == made


def test_platform_that_refuses_what_it_created_is_believed() -> None:
    run = Run(Platform(needs_payment=False), adapter=KEYLESS)
    run.failing = lambda request, number: (
        ("after", refusal(400, "BAD", "no such customer")) if number == 0 else None
    )
    with pytest.raises(OrderError) as refused:
        run.submit(an_order(), is_new=True)
    assert refused.value.outcome is Outcome.NOT_CREATED
    assert len(run.platform.orders) == 1
    run.submit(an_order(), is_new=True)
    assert len(run.platform.orders) == 2
