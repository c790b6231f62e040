"""The withdrawal of an order that a person took over while it was in doubt."""

from __future__ import annotations

import pytest

from core.stand_in import (
    Keyless,
    Made,
    Platform,
    Run,
    StandInSettings,
    an_order,
)
from tillpost import OrderError, OutageError
from tillpost.adapter.base import Attempt
from tillpost.adapter.exchange import Effect, Exchange, Request, ask, reading
from tillpost.errors import Applied, KeyRetiredError, Outcome
from tillpost.models.order import PosOrder
from tillpost.submission.journal import (
    Cancelled,
    DoubtResolved,
    Event,
    Intended,
    KeyRetired,
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


class Cancelling(Keyless):
    """Cancels by id."""

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        request = Request("POST", f"/cancel/{pos_id}", reading(Made), effect=Effect.UNDO)
        cancelled = yield from ask(request)
        return PosOrder(id=cancelled.id, reference=cancelled.ref)


def created_at(adapter: Keyless) -> Run:
    """Return a run over a platform at which the order exists."""
    run = Run(Platform(needs_payment=False), adapter=adapter)
    create = next(adapter.submit(an_order(), Attempt()))
    assert isinstance(create, Request)
    run.platform.answer(create)
    return run


@pytest.mark.parametrize("at_once", [True, False])
def test_existing_order_is_looked_up_and_cancelled(at_once: bool) -> None:
    run = created_at(Cancelling(StandInSettings()))
    withdrawal = Withdrawal(run.connection, an_order(), in_doubt(run))
    began = run.now
    run.drive(withdrawal.flow(at_once=at_once), "ord_1")
    assert [type(event) for event in run.journal.read("ord_1")] == [
        LookedUp,
        Intended,
        Settled,
        Cancelled,
    ]
    assert run.platform.orders["o1"]["state"] == "DEAD"
    assert (run.now - began < 1) == at_once


def test_order_found_by_an_earlier_run_is_looked_up_first() -> None:
    run = created_at(Cancelling(StandInSettings()))
    found = PosOrder(id="o1", reference="ord_1", total=1000)
    journal = [*in_doubt(run), LookedUp(run.now, found, run.connection.address)]
    run.drive(Withdrawal(run.connection, an_order(), journal).flow(), "ord_1")
    assert [request.path for request in run.requests] == ["/search/ord_1", "/cancel/o1"]


def test_existing_order_is_an_error_where_nothing_cancels() -> None:
    run = created_at(KEYLESS)
    withdrawal = Withdrawal(run.connection, an_order(), in_doubt(run))
    with pytest.raises(OrderError, match="cancel it at the register") as raised:
        run.drive(withdrawal.flow(at_once=True), "ord_1")
    assert raised.value.pos_order is not None
    assert raised.value.pos_order.id == "o1"
    assert run.platform.orders["o1"]["state"] == "OPEN"


class AlreadyUndone(Cancelling):
    """Finds that the order was undone when it cancels it."""

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        yield from super().cancel(pos_id)
        raise KeyRetiredError("it was undone")


def test_order_that_was_undone_meanwhile_ends_the_withdrawal() -> None:
    run = created_at(AlreadyUndone(StandInSettings()))
    withdrawal = Withdrawal(run.connection, an_order(), in_doubt(run))
    run.drive(withdrawal.flow(at_once=True), "ord_1")
    assert [type(event) for event in run.journal.read("ord_1")] == [
        LookedUp,
        Intended,
        Settled,
        KeyRetired,
    ]
