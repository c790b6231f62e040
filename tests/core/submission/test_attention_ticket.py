"""The attention ticket, over a platform in memory.

It is made once, only for an order that surely doesn't exist, and withdrawn when the order arrives.
It changes nothing for the order: not its error, nor whether and how it is sent again.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.stand_in import (
    BROKEN,
    LOST,
    REFUSED,
    Dropped,
    Failing,
    Keyed,
    Keyless,
    Made,
    Platform,
    Run,
    StandInSettings,
    an_order,
    fail_on,
    refusal,
    success,
)
from tillpost import MenuError, OrderError, Outcome, Policy, PosError, PosOrder
from tillpost.adapter.base import ticket_reference
from tillpost.adapter.exchange import (
    Effect,
    Exchange,
    Fault,
    Request,
    Response,
    ask,
    reading,
    to_body,
)
from tillpost.errors import StoreClosedError
from tillpost.models.order import Order
from tillpost.submission.attention_ticket import TICKET_REMAINS
from tillpost.submission.history import fold
from tillpost.submission.journal import OfTicket, Submitted

ON = Policy(attention_ticket=True, import_cooldown=0)
TICKET = ticket_reference(an_order())


class Ticketed(Keyed):
    """Makes and cancels tickets, with keys."""

    def attention(self, order: Order, number: int) -> Exchange[PosOrder]:
        key = f"{order.id}-{number}-ticket"
        body = to_body(
            key=key, ref=ticket_reference(order), items=[], counts=[], note=order.lines[0].name
        )
        made = yield from ask(Request("POST", "/orders", reading(Made), body, Effect.CREATE, key))
        yield from ask(
            Request(
                "POST",
                f"/pay/{made.id}",
                reading(Made),
                to_body(amount=0),
                Effect.ADVANCE,
                f"pay-{made.id}",
            )
        )
        return PosOrder(id=made.id, reference=made.ref)

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        cancelled = yield from ask(
            Request("POST", f"/cancel/{pos_id}", reading(Made), effect=Effect.UNDO)
        )
        return PosOrder(id=cancelled.id, reference=cancelled.ref)


class TicketedKeyless(Keyless):
    """Makes tickets without a key, after a look-up; cancels nothing."""

    def attention(self, order: Order, number: int) -> Exchange[PosOrder]:
        mine = order.model_copy(update={"id": ticket_reference(order)})
        if isinstance(found := (yield from self.find(mine, None)), PosOrder):
            return found
        body = to_body(ref=mine.id, items=[], counts=[])
        made = yield from ask(Request("POST", "/orders", reading(Made), body, Effect.CREATE))
        return PosOrder(id=made.id, reference=made.ref)


def keyed(policy: Policy = ON, **more: Any) -> Run:
    """A shop whose menu lacks what is ordered."""
    return Run(Platform(items={}), adapter=Ticketed(StandInSettings()), policy=policy, **more)


def keyless(policy: Policy = ON, **more: Any) -> Run:
    """The same, on a platform without keys."""
    platform = Platform(items={}, needs_payment=False)
    return Run(platform, adapter=TicketedKeyless(StandInSettings()), policy=policy, **more)


WORLDS = {"keyed": keyed, "keyless": keyless}


def mend(run: Run) -> None:
    run.platform.items["i1"] = ("S1", 1000)


def refused(run: Run, order: Order | None = None) -> PosError:
    with pytest.raises(PosError) as caught:
        run.submit(order or an_order())
    return caught.value


def tickets(run: Run) -> list[dict[str, Any]]:
    """Return the tickets that staff see."""
    return run.platform.shown(TICKET)


def paths(run: Run) -> list[str]:
    return [f"{r.method} {r.path}" for r in run.requests]


@pytest.mark.parametrize("world", WORLDS)
def test_refused_order_leaves_a_ticket_and_stays_in_error(
    world: str,
) -> None:
    run = WORLDS[world]()
    error = refused(run)
    assert isinstance(error, MenuError)
    assert error.outcome is Outcome.NOT_CREATED
    assert [ticket["total"] for ticket in tickets(run)] == [0]
    assert run.platform.shown("ord_1") == []
    assert run.announced == ["menu_error", "menu_imported", "order_failed", "ticket_made"]


@pytest.mark.parametrize("world", WORLDS)
def test_no_ticket_without_the_policy(world: str) -> None:
    run = WORLDS[world](Policy(import_cooldown=0))
    refused(run)
    assert run.platform.orders == {}


def test_no_ticket_if_the_adapter_lacks_the_operation() -> None:
    run = Run(Platform(items={}), adapter=Keyed(StandInSettings()), policy=ON)
    assert isinstance(refused(run), MenuError)
    assert run.announced[-1] == "order_failed"


@pytest.mark.parametrize("world", WORLDS)
def test_second_refusal_makes_no_second_ticket(world: str) -> None:
    run = WORLDS[world]()
    refused(run)
    refused(run)
    assert len(tickets(run)) == 1
    assert run.announced.count("ticket_made") == 1


@pytest.mark.parametrize("world", WORLDS)
def test_process_without_journal_makes_no_second_ticket(world: str) -> None:
    run = WORLDS[world]()
    refused(run)
    refused(Run(run.platform, adapter=run.adapter, policy=ON))
    assert len(run.platform.orders) == 1


def test_ticket_is_withdrawn_before_the_order_is_recorded() -> None:
    run = keyed()
    refused(run)
    mend(run)
    pos_order = run.submit(an_order())
    assert (tickets(run), len(run.platform.shown("ord_1"))) == ([], 1)
    assert pos_order.notices == ()
    assert paths(run)[-1] == "POST /cancel/o1"
    assert (
        fold(run.journal.read("ord_1")).ticket is None
    )  # of an order that arrived only that is kept


def test_order_notes_a_ticket_that_cannot_be_withdrawn() -> None:
    run = keyless()
    refused(run)
    mend(run)
    pos_order = run.submit(an_order())
    assert pos_order.notices == (TICKET_REMAINS,)
    assert run.announced[-2:] == ["ticket_left", "order_submitted"]


def test_failed_withdrawal_does_not_fail_the_order() -> None:
    run = keyed(failing=fail_on("/cancel/", ("before", LOST)))
    refused(run)
    mend(run)
    assert run.submit(an_order()).notices == (TICKET_REMAINS,)
    assert len(run.platform.shown("ord_1")) == 1


@pytest.mark.parametrize("world", WORLDS)
def test_failed_ticket_is_retried_with_the_order(world: str) -> None:
    clear = WORLDS[world](Policy(import_cooldown=0))
    plain = refused(clear)
    run = WORLDS[world]()
    ticket_failing(run, "before", refusal(400, "NO_NOTES"))
    error = refused(run)
    assert (type(error), str(error), error.outcome) == (type(plain), str(plain), plain.outcome)
    assert tickets(run) == []
    assert isinstance(run.journal.read("ord_1")[-1], OfTicket)
    run.failing = lambda _request, _number: None
    refused(run)
    assert len(tickets(run)) == 1


def ticket_failing(run: Run, when: str, instead: Response | Fault) -> None:
    """Make every request that creates a ticket fail."""

    def failing(request: Request[Any], _: int) -> tuple[str, Response | Fault] | None:
        return (
            (when, instead) if request.path == "/orders" and b'"ticket ' in request.body else None
        )

    run.failing = failing


@pytest.mark.parametrize("answered", [LOST, BROKEN])
@pytest.mark.parametrize("world", WORLDS)
def test_ticket_with_lost_answer_is_made_once(world: str, answered: Response | Fault) -> None:
    run = WORLDS[world]()
    ticket_failing(run, "after", answered)
    assert refused(run).outcome is Outcome.NOT_CREATED
    run.failing = lambda _request, _number: None
    refused(run)
    assert [o["ref"] for o in run.platform.orders.values()] == [TICKET]
    assert len(tickets(run)) == 1


def test_keyless_ticket_in_doubt_is_not_sent_again() -> None:
    run = keyless()
    ticket_failing(run, "before", LOST)
    refused(run)
    run.failing = lambda _request, _number: None
    refused(run)
    assert run.platform.orders == {}
    sent = [r for r in run.requests if r.path == "/orders" and b'"ticket ' in r.body]
    assert len(sent) == 1
    mend(run)
    assert run.submit(an_order()).notices == (TICKET_REMAINS,)


def test_ticket_in_doubt_is_withdrawn_when_the_order_arrives() -> None:
    run = keyed()
    ticket_failing(run, "after", LOST)
    refused(run)
    run.failing = lambda _request, _number: None
    mend(run)
    assert run.submit(an_order()).notices == ()
    assert [o["state"] for o in run.platform.orders.values() if o["ref"] == TICKET] == ["DEAD"]


def test_new_content_replaces_the_ticket() -> None:
    run = keyed()
    refused(run)
    refused(run, an_order(sku="S9", item="i9"))
    assert [o["state"] for o in run.platform.orders.values()] == ["DEAD", "OPEN"]
    refused(run, an_order(sku="S9", item="i9"))
    assert len(run.platform.orders) == 2


def test_outdated_ticket_that_cannot_be_withdrawn_stays_alone() -> None:
    run = keyless()
    refused(run)
    refused(run, an_order(sku="S9", item="i9"))
    assert len(run.platform.orders) == 1
    assert run.announced[-1] == "ticket_left"


def test_new_content_is_not_sent_under_the_doubtful_tickets_key() -> None:
    run = keyed()
    ticket_failing(run, "after", LOST)
    refused(run)
    run.failing = lambda _request, _number: None
    refused(run, an_order(sku="S9", item="i9"))
    assert [o["ref"] for o in run.platform.orders.values()] == [TICKET]
    assert run.announced[-1] == "ticket_left"


def test_order_with_wrong_total_withdraws_its_ticket() -> None:
    class Wrong(Ticketed):
        def finish(self, order: Order, draft: Any) -> Exchange[PosOrder]:
            raise OrderError("another total", pos_order=PosOrder(id=draft.id))

    run = Run(Platform(items={}), adapter=Wrong(StandInSettings()), policy=ON)
    refused(run)
    assert len(tickets(run)) == 1
    mend(run)
    assert refused(run).outcome is Outcome.CREATED
    assert tickets(run) == []


class Closed(Ticketed):
    """A closed store."""

    def submit(self, order: Order, attempt: Any) -> Exchange[PosOrder]:
        raise StoreClosedError("closed")


def always(instead: Response | Fault) -> Failing:
    """Make every request fail without an effect."""
    return lambda _request, _number: ("before", instead)


@pytest.mark.parametrize(
    "run",
    [
        keyed(failing=always(REFUSED)),
        keyed(failing=always(LOST)),
        keyed(failing=always(refusal(401, "REVOKED"))),
        keyed(failing=always(refusal(302, "NEW_WORDS"))),
        Run(Platform(), adapter=Closed(StandInSettings()), policy=ON),
    ],
    ids=["unreachable", "in doubt", "revoked", "unknown words", "closed"],
)
def test_no_ticket_for_waiting_or_doubtful_orders(run: Run) -> None:
    refused(run)
    assert run.platform.orders == {}
    assert "ticket_made" not in run.announced
    assert not any(isinstance(event, OfTicket) for event in run.journal.read("ord_1"))


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("mended", [False, True])
def test_stop_at_any_command_never_makes_two_tickets(world: str, mended: bool) -> None:
    whole = WORLDS[world]()
    refused(whole)
    mend(whole)
    whole.submit(an_order())
    for drop_at in range(whole.commands):
        run = WORLDS[world](drop_at=drop_at)
        try:
            refused(run)
            mend(run)
            run.submit(an_order())
        except Dropped:
            pass
        run.drop_at = None
        if mended:
            mend(run)
        result = run.attempt(an_order())
        made = [o for o in run.platform.orders.values() if o["ref"] == TICKET]
        assert len(made) <= 1, drop_at
        assert run.platform.half_done() == [], drop_at
        if isinstance(result, PosOrder):
            assert len(run.platform.shown("ord_1")) == 1, drop_at
            assert tickets(run) == [] or TICKET_REMAINS in result.notices, drop_at
        elif (
            result.outcome is Outcome.NOT_CREATED
        ):  # without a key, one that was in doubt isn't sent again
            assert len(tickets(run)) in ((1,) if world == "keyed" else (0, 1)), drop_at
        else:
            assert tickets(run) == [], drop_at


def test_ticket_answered_about_another_order_is_not_believed() -> None:
    run = keyed()
    other = success({"id": "o1", "ref": "ord_9", "total": 0, "state": "OPEN", "paid": True})
    run.failing = lambda request, _: (
        ("after", other) if TICKET.encode() in (request.body or b"") else None
    )
    assert isinstance(run.attempt(an_order()), MenuError)
    assert not any(
        isinstance(event, OfTicket) and isinstance(event.event, Submitted)
        for event in run.journal.read("ord_1")
    )


def test_cancelled_ticket_with_another_id_is_not_believed() -> None:
    run = keyed()
    assert isinstance(run.attempt(an_order()), MenuError)
    other = success({"id": "o9", "ref": TICKET, "total": 0, "state": "DEAD", "paid": True})
    run.failing = lambda request, _: (
        ("before", other) if request.path.startswith("/cancel") else None
    )
    mend(run)
    result = run.submit(an_order())
    assert TICKET_REMAINS in result.notices


ANSWERS = st.sampled_from(
    [None, None, ("before", LOST), ("after", LOST), ("before", BROKEN), ("before", REFUSED)]
)


def assert_tickets_only_for_missing_orders(data: st.DataObject, world: str) -> None:
    def failing(request: Request[Any], number: int) -> tuple[str, Response | Fault] | None:
        return data.draw(ANSWERS) if number < 25 else None

    run = WORLDS[world](failing=failing)
    for attempt in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans(), label=f"mended before attempt {attempt}"):
            mend(run)
        before = len([o for o in run.platform.orders.values() if o["ref"] == TICKET])
        result = run.attempt(an_order())
        made = [o for o in run.platform.orders.values() if o["ref"] == TICKET]
        shown = run.platform.shown("ord_1")
        assert len(made) <= 1
        assert len(shown) <= 1
        if isinstance(result, PosError) and result.outcome is not Outcome.NOT_CREATED:
            assert len(made) == before
        if isinstance(result, PosOrder):
            assert len(shown) == 1
            assert tickets(run) == [] or TICKET_REMAINS in result.notices
            break


DRAWN = {"data": st.data(), "world": st.sampled_from(list(WORLDS))}


@settings(max_examples=60, deadline=None)
@given(**DRAWN)
def test_any_failure_makes_tickets_only_for_missing_orders(data: st.DataObject, world: str) -> None:
    assert_tickets_only_for_missing_orders(data, world)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(**DRAWN)
def test_any_failure_of_many_makes_tickets_only_if_missing(data: st.DataObject, world: str) -> None:
    assert_tickets_only_for_missing_orders(data, world)
