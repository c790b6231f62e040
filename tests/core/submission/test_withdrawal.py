"""The withdrawal of an order that a person took over while it was in doubt."""

from __future__ import annotations

import pytest

from core.stand_in import (
    Keyless,
    Platform,
    Run,
    StandInSettings,
    an_order,
)
from tillpost import OutageError
from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied, Outcome
from tillpost.submission.journal import (
    DoubtResolved,
    Event,
    Intended,
    LookedUp,
    Settled,
    Sighted,
    SubmissionRequested,
)
from tillpost.submission.withdrawal import Withdrawal

KEYLESS = Keyless(StandInSettings())


def in_doubt(run: Run) -> list[Event]:
    """Return the journal of an order whose create was given up."""
    address = run.connection.address
    intent = Intended(run.now, Effect.CREATE, 0, None, "body", address)
    requested = SubmissionRequested(run.now, an_order().digest)
    return [requested, intent, Settled(run.now, Applied.MAYBE)]


def test_absent_order_is_looked_up_by_the_whole_schedule() -> None:
    run = Run(Platform(needs_payment=False), adapter=KEYLESS)
    withdrawal = Withdrawal(run.connection, an_order(), in_doubt(run))
    run.drive(withdrawal.flow(), "ord_1")
    events = run.journal.read("ord_1")
    assert [type(event) for event in events] == [LookedUp] * 4 + [DoubtResolved]
    assert all(event.address == run.connection.address for event in events[:4])  # type: ignore[union-attr]


def test_order_that_the_platform_named_but_hides_is_an_error() -> None:
    run = Run(Platform(needs_payment=False), adapter=KEYLESS)
    journal = [*in_doubt(run), Sighted(run.now, "o9", made=True)]
    withdrawal = Withdrawal(run.connection, an_order(), journal)
    run.failing = lambda _request, number: pytest.fail("it never ends") if number > 20 else None
    with pytest.raises(OutageError, match="o9") as raised:
        run.drive(withdrawal.flow(), "ord_1")
    assert raised.value.outcome is Outcome.UNKNOWN
    assert 0 < len(run.requests) <= 20
