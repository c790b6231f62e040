"""The gaps that `docs/explanation/never-twice.md` names, each with its size.

These tests show where a second order can't be avoided, and that just inside of that it is. Those of
a worker that is paused, of clocks and of an answer that is sent twice are in
`test_paused_worker.py`, `test_waits.py`, `tests/adapters/test_addresses.py` and
`tests/adapters/kounta/test_kounta_gaps.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from core.stand_in import (
    LOST,
    Dropped,
    Keyed,
    Keyless,
    Platform,
    Run,
    StandInSettings,
    an_order,
    menu_of,
    refusal,
)
from tillpost.adapter.base import Adapter
from tillpost.adapter.exchange import Fault, Request, Response
from tillpost.errors import OrderError, Outcome
from tillpost_kounta.settings import KountaSettings
from tillpost_square.settings import SquareSettings

NOTHING_FOUND = Response(200, {}, b'{"orders": []}')
KEYLESS = Keyless(StandInSettings())


KOUNTA: Sequence[float] = KountaSettings.model_fields["look_after"].default
SQUARE: Sequence[float] = SquareSettings.model_fields["look_after"].default


def scheduled(kind: type[Keyed], look_after: Sequence[float]) -> Keyed:
    """Return an adapter of that kind with that look-up schedule."""
    adapter = kind(StandInSettings())
    adapter.look_after = look_after
    return adapter


@pytest.mark.parametrize(
    ("look_after", "lag", "made"),
    [
        (Adapter.look_after, 3.9, 1),
        (Adapter.look_after, 4.1, 2),
        (KOUNTA, 15.9, 1),
        (KOUNTA, 16.1, 2),
    ],
    ids=["default, inside", "default, outside", "Kounta, inside", "Kounta, outside"],
)
def test_search_that_lags_behind_the_schedule_duplicates(
    look_after: Sequence[float], lag: float, made: int
) -> None:
    """Without keys; the schedules take 4 seconds by default and 16 at Kounta."""
    run = Run(Platform(needs_payment=False), adapter=scheduled(Keyless, look_after))
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
    ("other_body", "lag", "made"), [(True, 13.9, 1), (True, 14.1, 2), (False, 60.0, 1)]
)
def test_slow_search_duplicates_under_a_key_with_two_bodies(
    *, other_body: bool, lag: float, made: int
) -> None:
    """With keys; Square's schedule takes 14 seconds. Another process sent the first body."""
    first = Run(Platform())
    first.submit(an_order())
    run = Run(first.platform, adapter=scheduled(Keyed, SQUARE))
    visible_at = 0.0

    def lagging(request: Request[Any], number: int) -> tuple[str, Response] | None:
        nonlocal visible_at
        if number == 0:
            visible_at = run.now + lag
        is_hidden = "search" in request.path and run.now < visible_at
        return ("before", NOTHING_FOUND) if is_hidden else None

    run.failing = lagging
    if other_body:
        run.platform.items["i2"] = ("S1", 1000)
        run.connection.menu_cache.menu = menu_of({"i2": ("S1", 1000)})
        run.connection.menu_cache.imported_at = run.now
    run.submit(an_order())
    assert len(run.platform.shown("ord_1")) == made


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


@pytest.mark.parametrize(("later", "made"), [(1.9, 2), (2.1, 1)])
def test_programs_that_share_nothing_see_each_others_order_late(later: float, made: int) -> None:
    """Without keys; an order can be found 2 seconds after it was sent."""
    first = Run(Platform(needs_payment=False), adapter=KEYLESS)
    first.submit(an_order())
    visible_at = first.now + 2.0
    other = Run(first.platform, adapter=KEYLESS, now=first.now + later - 0.01)

    def lagging(request: Request[Any], _: int) -> tuple[str, Response] | None:
        is_hidden = "search" in request.path and other.now < visible_at
        return ("before", NOTHING_FOUND) if is_hidden else None

    other.failing = lagging
    other.submit(an_order())
    assert len(first.platform.orders) == made


@pytest.mark.parametrize(
    ("status", "code", "made"),
    [
        (400, "BAD", 2),
        (404, "BAD", 2),
        (422, "NEVER_HEARD_OF", 1),
        (200, "BAD", 1),
        (202, "BAD", 1),
        (408, "BAD", 1),
        (409, "BAD", 1),
        (500, "BAD", 1),
        (503, "BAD", 1),
    ],
)
def test_only_a_known_refusal_of_a_created_order_duplicates(
    status: int, code: str, made: int
) -> None:
    """Without keys; the order is submitted once more after the error."""
    run = Run(Platform(needs_payment=False), adapter=KEYLESS)
    run.failing = lambda _, number: (
        ("after", refusal(status, code, "no such customer")) if number == 0 else None
    )
    run.attempt(an_order(), is_new=True)
    run.submit(an_order(), is_new=True)
    assert len(run.platform.orders) == made


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
