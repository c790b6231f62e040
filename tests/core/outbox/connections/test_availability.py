"""Availability from a connection's row: each cause, their precedence, and expired checks."""

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
from tillpost.outbox.connections.availability import (
    OVERDUE,
    StoreCheck,
    availability_of,
    store_check,
)

NOW = 1_000_000.0
OPEN = Finding(what="store", ok=True, text="open")


def stopping(reason: Reason, text: str = "some detail") -> Finding:
    """A finding that stops orders for that reason."""
    return Finding(what="store", ok=False, text=text, actor=Actor.STORE, reason=reason)


def check_json(*findings: Finding, at: float = NOW - 30, since: float = NOW - 500) -> str:
    return StoreCheck(findings=findings or (OPEN,), at=at, since=since).model_dump_json()


def row(**values: Any) -> RowMapping:
    """A connection's row: open, checked 30 seconds ago, but for `values`."""
    calm = {
        "name": "cafe",
        "paused": "",
        "paused_at": None,
        "opened_at": None,
        "probe_at": 0.0,
        "outage_cause": "",
        "readiness": check_json(),
        "check_at": NOW + 30,
        "takes_orders": None,
        "takes_orders_since": None,
    }
    return cast(RowMapping, {**calm, **values})


def availability(**values: Any) -> Availability:
    return availability_of("cafe", row(**values), NOW)


PAUSED = {"paused": "authorisation", "paused_at": NOW - 60}
OUTAGE = {"opened_at": NOW - 40, "probe_at": NOW + 5, "outage_cause": Whose.PLATFORM.value}

STOPPING_REASONS = [reason for reason in Reason if reason is not Reason.OPEN]
FOUND_BY_CHECK = [
    ({"readiness": check_json(OPEN, stopping(reason))}, reason, NOW - 500, NOW + 30)
    for reason in STOPPING_REASONS
]


@pytest.mark.parametrize(
    ("values", "reason", "since", "until"),
    [
        ({}, Reason.OPEN, NOW - 500, NOW + 30),
        ({"takes_orders": True, "takes_orders_since": NOW - 900}, Reason.OPEN, NOW - 900, NOW + 30),
        (PAUSED, Reason.UNAUTHORISED, NOW - 60, None),
        (OUTAGE, Reason.OUTAGE, NOW - 40, NOW + 5),
        ({**OUTAGE, "probe_at": NOW - 1}, Reason.OUTAGE, NOW - 40, None),
        ({**OUTAGE, "outage_cause": Whose.OURS.value}, Reason.UNREACHED, NOW - 40, NOW + 5),
        ({**OUTAGE, "outage_cause": Whose.UNKNOWN.value}, Reason.UNREACHED, NOW - 40, NOW + 5),
        ({**OUTAGE, **PAUSED}, Reason.UNAUTHORISED, NOW - 60, None),
        (
            {**OUTAGE, "readiness": check_json(stopping(Reason.CLOSED))},
            Reason.OUTAGE,
            NOW - 40,
            NOW + 5,
        ),
        *FOUND_BY_CHECK,
        (
            {"readiness": check_json(stopping(Reason.OPEN), stopping(Reason.CLOSED))},
            Reason.CLOSED,
            NOW - 500,
            NOW + 30,
        ),
        ({"readiness": check_json(stopping(Reason.OPEN))}, Reason.OPEN, NOW - 500, NOW + 30),
    ],
)
def test_each_cause_has_reason_since_and_until(
    values: dict[str, Any], reason: Reason, since: float | None, until: float | None
) -> None:
    found = availability(**values)
    assert (found.takes_orders, found.reason) == (reason is Reason.OPEN, reason)
    assert (found.since, found.until) == (since, until)
    assert bool(found.text) is not found.takes_orders


@pytest.mark.parametrize("closed", [True, False])
def test_check_result_expires_once_next_check_is_overdue(closed: bool) -> None:
    last = check_json(stopping(Reason.CLOSED) if closed else OPEN, at=NOW - 600)
    valid = availability(readiness=last, check_at=NOW - OVERDUE)
    assert (valid.takes_orders, valid.text == "") == (not closed, not closed)
    expired = availability(readiness=last, check_at=NOW - OVERDUE - 1)
    assert expired.takes_orders
    assert "for a while" in expired.text
    assert expired.since is None


def test_unchecked_store_is_assumed_open_and_text_says_so() -> None:
    of_another_version = '{"findings": [], "at": 1.0, "mood": "fine"}'
    unchecked = [
        availability_of("cafe", None, NOW),
        availability(readiness=None, check_at=0.0),
        availability(readiness=of_another_version, check_at=0.0),
    ]
    for found in unchecked:
        assert found.takes_orders
        assert "yet" in found.text
        assert found.since is found.until is None


def test_text_holds_what_the_check_found() -> None:
    finding = stopping(Reason.REGISTER_OFFLINE, "register online: no")
    text = availability(readiness=check_json(finding)).text
    assert text == (
        "The store's register is offline (register online: no). "
        "Switch it on, and check its internet connection."
    )


REFUSED = OutageError("refused")
FAILING = OutageError("down", status_code=503, applied=Applied.MAYBE)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionsError("x"), Reason.UNAUTHORISED),
        (RegisterOfflineError("x", status_code=503), Reason.REGISTER_OFFLINE),
        (StoreClosedError("x"), Reason.CLOSED),
        (SetupError("x"), Reason.UNCONNECTED),
        (REFUSED, Reason.UNREACHED),
        (FAILING, Reason.OUTAGE),
        (OutageError("no answer in time", applied=Applied.MAYBE), Reason.OUTAGE),
        (RateLimitError("x"), Reason.OPEN),
        (MenuError("x"), Reason.OPEN),
        (TaxError("x"), Reason.OPEN),
        (UnknownPosError("x"), Reason.OPEN),
    ],
)
def test_failed_check_stops_orders_as_its_error_would(error: PosError, reason: Reason) -> None:
    assert Finding.unseen("store", error).stops is reason


def test_finding_without_reason_stops_orders_by_actor() -> None:
    actors = (None, Actor.STORE, Actor.OPERATIONS, Actor.DEVELOPER, Actor.SUPPORT)
    stops = {actor: Finding(what="x", ok=False, text="no", actor=actor).stops for actor in actors}
    assert stops == {
        None: Reason.CLOSED,
        Actor.STORE: Reason.CLOSED,
        Actor.OPERATIONS: Reason.OUTAGE,
        Actor.DEVELOPER: Reason.UNCONNECTED,
        Actor.SUPPORT: Reason.UNCONNECTED,
    }
    assert OPEN.stops is Reason.OPEN
    assert Finding(what="x", ok=True, text="yes", reason=Reason.CLOSED).stops is Reason.OPEN


# ---------------------------------------------------------------------- successive checks


def check(
    error: PosError | None,
    previous: StoreCheck | None,
    now: float,
    reached_elsewhere: float = 0.0,
) -> StoreCheck:
    finding = OPEN if error is None else Finding.unseen("connection", error)
    return store_check(Readiness(findings=(finding,)), previous, now, lambda: reached_elsewhere)


def reason_of(result: StoreCheck) -> Reason:
    return result.stop.stops if result.stop else Reason.OPEN


def test_platform_is_blamed_only_if_another_was_reached_since() -> None:
    first = check(REFUSED, None, NOW, reached_elsewhere=NOW - 5)
    assert reason_of(first) is Reason.UNREACHED, "the others may be unreachable by now, too"

    second = check(REFUSED, first, NOW + 15, reached_elsewhere=NOW - 5)
    assert (reason_of(second), second.since) == (Reason.UNREACHED, NOW)

    third = check(REFUSED, second, NOW + 30, reached_elsewhere=NOW + 20)
    assert reason_of(third) is Reason.OUTAGE
    assert (third.unreached_since, third.since) == (NOW, NOW + 30)

    recovered = check(None, third, NOW + 45)
    assert reason_of(recovered) is Reason.OPEN
    assert (recovered.unreached_since, recovered.since) == (None, NOW + 45)


ERRORS = st.sampled_from(
    [None, REFUSED, FAILING, StoreClosedError("x"), PermissionsError("x"), MenuError("x")]
)
CHECKS = st.tuples(ERRORS, st.floats(0.1, 100), st.floats(0, 200))
"""The check's error, the seconds since the check before, and since another platform was reached."""


@given(st.lists(CHECKS, min_size=1, max_size=12))
def test_since_is_when_the_reason_last_changed(
    checks: list[tuple[PosError | None, float, float]],
) -> None:
    """And no platform is blamed before another was reached."""
    now = NOW
    changed_at = NOW
    previous = None
    for error, seconds_later, reached_ago in checks:
        now += seconds_later
        reached_elsewhere = now - reached_ago
        result = check(error, previous, now, reached_elsewhere)
        if previous is None or reason_of(result) is not reason_of(previous):
            changed_at = now
        assert (result.at, result.since) == (now, changed_at)
        assert (result.unreached_since is None) is (error is not REFUSED)
        if error is REFUSED and result.unreached_since is not None:
            blamed = reason_of(result) is Reason.OUTAGE
            assert blamed is (reached_elsewhere > result.unreached_since)
        assert StoreCheck.of(row(readiness=result.model_dump_json())) == result
        previous = result


@given(
    paused=st.booleans(),
    circuit_open=st.booleans(),
    cause=st.sampled_from(["", *(w.value for w in Whose)]),
    reasons=st.lists(st.sampled_from(list(Reason)), max_size=3),
    seconds_late=st.floats(-100, 1000),
    takes_orders=st.sampled_from([None, True, False]),
)
def test_orders_are_refused_only_for_a_reason_in_the_row(
    paused: bool,
    circuit_open: bool,
    cause: str,
    reasons: list[Reason],
    seconds_late: float,
    takes_orders: bool | None,
) -> None:
    found = availability(
        paused="authorisation" if paused else "",
        opened_at=NOW - 5 if circuit_open else None,
        outage_cause=cause,
        readiness=check_json(*map(stopping, reasons)),
        check_at=NOW - seconds_late,
        takes_orders=takes_orders,
    )
    valid = max(NOW - 30, NOW - seconds_late) + OVERDUE >= NOW
    stopped = paused or circuit_open or (valid and any(reasons))
    assert found.takes_orders is not stopped
    assert found.takes_orders is (found.reason is Reason.OPEN)
    assert found.until is None or found.until > NOW
    if found.reason is Reason.OUTAGE and circuit_open and not paused:
        assert cause == Whose.PLATFORM.value
