"""Whether a store takes orders, by its connection's row alone: each cause, its order, and what is too old to count."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import RowMapping

from tillpost.adapter.readiness import Finding, Readiness
from tillpost.errors import (
    Applied,
    MenuError,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)
from tillpost.errors.remedies import Actor
from tillpost.models.availability import Availability, Reason
from tillpost.models.outage import Whose
from tillpost.outbox.connections.availability import OVERDUE, Seen, availability_of, seen_now

NOW = 1_000_000.0
FINE = Finding(what="store", ok=True, text="open")


def found(reason: Reason, text: str = "so it says") -> Finding:
    return Finding(what="store", ok=False, text=text, actor=Actor.STORE, reason=reason)


def seen(*findings: Finding, at: float = NOW - 30, since: float = NOW - 500) -> str:
    return Seen(findings=findings or (FINE,), at=at, since=since).model_dump_json()


def row(**values: Any) -> RowMapping:
    calm = {
        "name": "cafe",
        "paused": "",
        "paused_at": None,
        "opened_at": None,
        "probe_at": 0.0,
        "whose": "",
    }
    told = {
        "readiness": seen(),
        "check_at": NOW + 30,
        "takes_orders": None,
        "takes_orders_since": None,
    }
    return cast(RowMapping, {**calm, **told, **values})


def asked(**values: Any) -> Availability:
    return availability_of("cafe", row(**values), NOW)


PAUSED = {"paused": "authorisation", "paused_at": NOW - 60}
DOWN = {"opened_at": NOW - 40, "probe_at": NOW + 5, "whose": Whose.PLATFORM.value}


@pytest.mark.parametrize(
    ("values", "reason", "since", "until"),
    [
        ({}, Reason.OPEN, NOW - 500, NOW + 30),
        ({"takes_orders": True, "takes_orders_since": NOW - 900}, Reason.OPEN, NOW - 900, NOW + 30),
        (PAUSED, Reason.UNAUTHORISED, NOW - 60, None),
        (DOWN, Reason.OUTAGE, NOW - 40, NOW + 5),
        ({**DOWN, "probe_at": NOW - 1}, Reason.OUTAGE, NOW - 40, None),
        ({**DOWN, "whose": Whose.OURS.value}, Reason.UNREACHED, NOW - 40, NOW + 5),
        ({**DOWN, "whose": Whose.UNKNOWN.value}, Reason.UNREACHED, NOW - 40, NOW + 5),
        ({**DOWN, **PAUSED}, Reason.UNAUTHORISED, NOW - 60, None),
        ({**DOWN, "readiness": seen(found(Reason.CLOSED))}, Reason.OUTAGE, NOW - 40, NOW + 5),
        *(
            ({"readiness": seen(FINE, found(reason))}, reason, NOW - 500, NOW + 30)
            for reason in Reason
            if reason is not Reason.OPEN
        ),
        (
            {"readiness": seen(found(Reason.OPEN), found(Reason.CLOSED))},
            Reason.CLOSED,
            NOW - 500,
            NOW + 30,
        ),
        ({"readiness": seen(found(Reason.OPEN))}, Reason.OPEN, NOW - 500, NOW + 30),
    ],
)
def test_each_cause_is_told_with_since_when_and_until_when(
    values: dict[str, Any], reason: Reason, since: float | None, until: float | None
) -> None:
    told = asked(**values)
    assert (told.takes_orders, told.reason) == (reason is Reason.OPEN, reason)
    assert (told.since, told.until) == (since, until)
    assert bool(told.text) is not told.takes_orders


@pytest.mark.parametrize("closed", [True, False])
def test_what_was_seen_counts_until_the_next_check_is_long_overdue_and_then_nobody_knows(
    closed: bool,
) -> None:
    last = seen(found(Reason.CLOSED) if closed else FINE, at=NOW - 600)
    just = asked(readiness=last, check_at=NOW - OVERDUE)
    assert (just.takes_orders, just.text == "") == (not closed, not closed)
    later = asked(readiness=last, check_at=NOW - OVERDUE - 1)
    assert later.takes_orders
    assert "for a while" in later.text
    assert later.since is None


def test_a_store_that_nobody_has_looked_at_takes_orders_and_the_text_says_that_nobody_knows() -> (
    None
):
    of_another_version = '{"findings": [], "at": 1.0, "mood": "fine"}'
    unread = (asked(readiness=text, check_at=0.0) for text in (None, of_another_version))
    for told in (availability_of("cafe", None, NOW), *unread):
        assert told.takes_orders
        assert "yet" in told.text
        assert told.since is told.until is None


def test_the_text_holds_what_the_check_found() -> None:
    text = asked(readiness=seen(found(Reason.REGISTER_OFFLINE, "register online: no"))).text
    assert text == "The store's register isn't online (register online: no)"


NOBODY_THERE, FAILING = (
    OutageError("refused"),
    OutageError("down", status_code=503, applied=Applied.MAYBE),
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionsError("x"), Reason.UNAUTHORISED),
        (RegisterOfflineError("x", status_code=503), Reason.REGISTER_OFFLINE),
        (StoreClosedError("x"), Reason.CLOSED),
        (SetupError("x"), Reason.UNCONNECTED),
        (NOBODY_THERE, Reason.UNREACHED),
        (FAILING, Reason.OUTAGE),
        (OutageError("no answer in time", applied=Applied.MAYBE), Reason.OUTAGE),
        *(
            (kind("x"), Reason.OPEN)
            for kind in (RateLimitError, MenuError, TaxError, UnknownPosError)
        ),
    ],
)
def test_what_cant_be_looked_at_stops_orders_as_its_error_would(
    error: PosError, reason: Reason
) -> None:
    assert Finding.unseen("store", error).stops is reason


def test_a_finding_without_a_reason_stops_orders_by_who_has_to_move() -> None:
    stops = {
        actor: Finding(what="x", ok=False, text="no", actor=actor).stops
        for actor in (None, Actor.STORE, Actor.OPERATIONS, Actor.DEVELOPER, Actor.SUPPORT)
    }
    assert stops == {
        None: Reason.CLOSED,
        Actor.STORE: Reason.CLOSED,
        Actor.OPERATIONS: Reason.OUTAGE,
        Actor.DEVELOPER: Reason.UNCONNECTED,
        Actor.SUPPORT: Reason.UNCONNECTED,
    }
    assert FINE.stops is Reason.OPEN
    assert Finding(what="x", ok=True, text="yes", reason=Reason.CLOSED).stops is Reason.OPEN


# ---------------------------------------------------------------------- one check after another


def checked(
    error: PosError | None, before: Seen | None, now: float, reached_elsewhere: float = 0.0
) -> Seen:
    finding = FINE if error is None else Finding.unseen("connection", error)
    return seen_now(Readiness(findings=(finding,)), before, now, reached_elsewhere)


def reason_of(one: Seen) -> Reason:
    return one.stop.stops if one.stop else Reason.OPEN


def test_a_provider_is_accused_only_when_another_was_reached_since_it_couldnt_be() -> None:
    first = checked(NOBODY_THERE, None, NOW, reached_elsewhere=NOW - 5)
    assert reason_of(first) is Reason.UNREACHED, "the others may be unreachable too by now"
    again = checked(NOBODY_THERE, first, NOW + 15, reached_elsewhere=NOW - 5)
    assert (reason_of(again), again.since) == (Reason.UNREACHED, NOW)
    theirs = checked(NOBODY_THERE, again, NOW + 30, reached_elsewhere=NOW + 20)
    assert (reason_of(theirs), theirs.unreached_since, theirs.since) == (
        Reason.OUTAGE,
        NOW,
        NOW + 30,
    )
    back = checked(None, theirs, NOW + 45)
    assert (reason_of(back), back.unreached_since, back.since) == (Reason.OPEN, None, NOW + 45)


ERRORS = st.sampled_from(
    [None, NOBODY_THERE, FAILING, StoreClosedError("x"), PermissionsError("x"), MenuError("x")]
)


@given(st.lists(st.tuples(ERRORS, st.floats(0.1, 100), st.floats(0, 200)), min_size=1, max_size=12))
def test_since_is_when_the_reason_last_changed_and_no_provider_is_accused_too_soon(
    looks: list[tuple[PosError | None, float, float]],
) -> None:
    now, before, began = NOW, None, NOW
    for error, later, ago in looks:
        now += later
        one = checked(error, before, now, now - ago)
        if before is None or reason_of(one) is not reason_of(before):
            began = now
        assert (one.at, one.since) == (now, began)
        assert (one.unreached_since is None) is (error is not NOBODY_THERE)
        if error is NOBODY_THERE and one.unreached_since is not None:
            assert (reason_of(one) is Reason.OUTAGE) is (now - ago > one.unreached_since)
        assert Seen.of(row(readiness=one.model_dump_json())) == one
        before = one


@given(
    paused=st.booleans(),
    opened=st.booleans(),
    whose=st.sampled_from(["", *(w.value for w in Whose)]),
    reasons=st.lists(st.sampled_from(list(Reason)), max_size=3),
    late=st.floats(-100, 1000),
    told=st.sampled_from([None, True, False]),
)
def test_orders_are_refused_for_a_reason_that_stands_in_the_row_or_not_at_all(
    paused: bool, opened: bool, whose: str, reasons: list[Reason], late: float, told: bool | None
) -> None:
    answer = asked(
        paused="authorisation" if paused else "",
        opened_at=NOW - 5 if opened else None,
        whose=whose,
        readiness=seen(*map(found, reasons)),
        check_at=NOW - late,
        takes_orders=told,
    )
    fresh = max(NOW - 30, NOW - late) + OVERDUE >= NOW
    stops = paused or opened or (fresh and any(reasons))
    assert answer.takes_orders is not stops
    assert answer.takes_orders is (answer.reason is Reason.OPEN)
    assert answer.until is None or answer.until > NOW
    if answer.reason is Reason.OUTAGE and opened and not paused:
        assert whose == Whose.PLATFORM.value
