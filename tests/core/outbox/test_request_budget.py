"""What workers send besides orders stays within a rate for each host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillpost.outbox import OutboxSettings
from tillpost.outbox.request_budget import (
    BURST,
    CHECK,
    MENU_IMPORT,
    POLL,
    RECHECK,
    SHARES,
    RequestBudget,
    check_interval,
)

KINDS = (POLL, CHECK, MENU_IMPORT)


def begin_all(budget: RequestBudget, now: list[float], seconds: float, kind: str) -> int:
    """Begin each task as soon as it may; return how many began."""
    begun = 0
    for _ in range(round(seconds / 0.05)):
        now[0] += 0.05
        while budget.allows(kind, "pos.example"):
            budget.spend(kind, "pos.example")
            begun += 1
    return begun


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [1, 3])
def test_each_kind_keeps_to_its_share_of_the_rate(kind: str, workers: int) -> None:
    now = [0.0]
    budget = RequestBudget(40.0, lambda: now[0])
    budget.workers = workers
    part, requests = SHARES[kind]
    rate = 40.0 * part / workers
    begun = begin_all(budget, now, 100.0, kind)
    assert rate * 100 - requests <= begun * requests <= rate * (100 + BURST) + requests


def test_shares_of_tasks_add_up_to_the_budget() -> None:
    assert sum(SHARES[kind].part for kind in KINDS) == pytest.approx(1.0)
    assert SHARES[RECHECK].part < SHARES[CHECK].part


def test_kinds_and_hosts_wait_for_no_other() -> None:
    budget = RequestBudget(1.0, lambda: 0.0)
    budget.spend(POLL, "pos.example", 100)
    assert not budget.allows(POLL, "pos.example")
    assert budget.allows(CHECK, "pos.example")
    assert budget.allows(POLL, "other.example")


@given(st.integers(1, 50_000), st.floats(0.1, 10_000), st.floats(1, 3600))
def test_regular_checks_leave_room_for_those_of_failing_stores(
    connections: int, rate: float, check_every: float
) -> None:
    settings = OutboxSettings(background_rate=rate, check_every=check_every)
    interval = check_interval(settings, connections)
    assert interval >= check_every
    sent = connections * SHARES[CHECK].requests / interval
    room = (SHARES[CHECK].part - SHARES[RECHECK].part) * rate
    assert sent <= room * 1.001
