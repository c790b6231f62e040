"""A platform that forgets idempotency keys is searched before an old order is sent again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.stand_in import LOST, Keyed, Platform, Run, StandInSettings, an_order, fail_on
from tillpost import OutageError, Outcome, Policy
from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied
from tillpost.submission.history import ZONE_ERROR, History
from tillpost.submission.journal import Intended, Sent

HOUR = 3600.0
PLACED_AT = an_order().placed_at.timestamp()
ONCE = Policy(retries=0)


class Forgetful(Keyed):
    """A platform that knows a key for a day."""

    key_lifetime = 24 * HOUR


def process(platform: Platform, *, hours: float, keyed: type[Keyed] = Forgetful) -> Run:
    """Return a process without a journal, so many hours after the order was placed."""
    return Run(
        platform,
        adapter=keyed(StandInSettings()),
        policy=ONCE,
        now=PLACED_AT + hours * HOUR,
    )


def is_searched(run: Run) -> bool:
    return any(request.path.startswith("/search") for request in run.requests)


@pytest.mark.parametrize("hours", [25, 24 * 30])
def test_old_order_of_a_process_that_died_is_not_sent_again(hours: float) -> None:
    platform = Platform()
    died = process(platform, hours=0)
    first = died.submit(an_order())
    platform.keys.clear()
    later = process(platform, hours=hours)
    assert later.submit(an_order()) == first
    assert len(platform.orders) == 1


def test_order_whose_placed_at_is_in_another_zone_is_looked_up() -> None:
    """It was sent a day ago, and its time says ten hours."""
    platform = Platform()
    died = process(platform, hours=-ZONE_ERROR / HOUR)
    died.submit(an_order())
    platform.keys.clear()
    later = process(platform, hours=10)
    later.submit(an_order())
    assert len(platform.orders) == 1


@pytest.mark.parametrize("hours", [-1, 0, 9])
def test_recent_order_is_protected_by_its_key_alone(hours: float) -> None:
    run = process(Platform(), hours=hours)
    run.submit(an_order())
    assert not is_searched(run)


def test_old_order_that_is_new_is_sent_at_once() -> None:
    run = process(Platform(), hours=48)
    run.submit(an_order(), is_new=True)
    assert not is_searched(run)


def test_old_order_is_sent_at_once_where_keys_last_for_ever() -> None:
    run = process(Platform(), hours=24 * 365, keyed=Keyed)
    run.submit(an_order())
    assert not is_searched(run)


def test_old_order_that_is_not_there_is_sent_after_one_look_up() -> None:
    run = process(Platform(), hours=48)
    run.submit(an_order())
    look_up, create, *_ = run.requests
    assert look_up.path == "/search/ord_1"
    assert create.path == "/orders"


def test_old_order_that_cannot_be_looked_up_stays_unknown() -> None:
    run = process(Platform(), hours=48)
    run.failing = fail_on("/search", ("before", LOST))
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert error.outcome is Outcome.UNKNOWN
    assert run.platform.orders == {}


@pytest.mark.parametrize(("when", "generation"), [("after", 0), ("before", 1)])
def test_old_doubt_is_looked_up_instead_of_sent_again(when: str, generation: int) -> None:
    """Only the schedule's last empty look-up lets it be sent, under the next key."""
    run = process(Platform(), hours=0)
    run.failing = fail_on("/orders", (when, LOST))
    error = run.attempt(an_order(), is_new=True)
    assert isinstance(error, OutageError)
    run.now += 25 * HOUR
    run.platform.keys.clear()
    run.submit(an_order())
    assert len(run.platform.orders) == 1
    assert run.requests[1].path == "/search/ord_1"
    creates = [request for request in run.requests if request.effect is Effect.CREATE]
    assert creates[-1].key == f"ord_1-{generation}"


def test_key_is_known_for_its_lifetime_from_the_oldest_doubt() -> None:
    first_intent = Intended(
        100.0,
        Effect.CREATE,
        0,
        "k",
        "d",
    )
    doubt = Sent(first_intent, applied=Applied.MAYBE)
    later_intent = replace(first_intent, at=150.0)
    later = Sent(later_intent, applied=Applied.MAYBE)
    earlier_intent = replace(first_intent, at=50.0)
    refused = Sent(earlier_intent, applied=Applied.NO)
    history = History(sent=(refused, later, doubt))
    is_known = history.is_key_known
    assert is_known(109.0, placed_at=0.0, lifetime=10.0)
    assert not is_known(110.0, placed_at=1e9, lifetime=10.0)
    assert is_known(1e12, placed_at=0.0, lifetime=None)
