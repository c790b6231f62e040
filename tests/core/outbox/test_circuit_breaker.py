"""A connection's circuit breaker, and who is at fault for an outage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillpost.errors import Applied, ErrorRecord, OutageError
from tillpost.models.outage import Whose
from tillpost.outbox.circuit_breaker import (
    FULLY_RECOVERED,
    MOST_EVIDENCE,
    Circuit,
    Reachability,
    is_unreachable,
    outage_cause,
)

NOW = 1_000_000.0
FIRST, LONGEST, THRESHOLD = 1.0, 60.0, 5


def failure(number: int = 0, status: int | None = 503) -> ErrorRecord:
    error = OutageError("down", status_code=status, applied=Applied.MAYBE)
    error.request_id = f"req-{number}"
    return error.record()


def opened(now: float = NOW) -> Circuit:
    circuit = Circuit()
    for number in range(THRESHOLD):
        circuit = circuit.failed(failure(number), now, THRESHOLD, FIRST)
    return circuit


def test_circuit_opens_at_threshold() -> None:
    circuit = Circuit()
    for number in range(THRESHOLD - 1):
        circuit = circuit.failed(failure(number), NOW, THRESHOLD, FIRST)
        assert circuit.room(4, NOW) == 4
    circuit = circuit.failed(failure(), NOW, THRESHOLD, FIRST)
    assert (circuit.opened_at, circuit.room(4, NOW)) == (NOW, 0)
    assert circuit.room(4, NOW + FIRST) == 1


def test_success_resets_the_failure_count() -> None:
    circuit = Circuit()
    for number in range(THRESHOLD * 3):
        circuit = circuit.failed(failure(), NOW, THRESHOLD, FIRST)
        if number % (THRESHOLD - 1) == 0:
            circuit = circuit.succeeded()
        assert circuit.opened_at is None


def test_probes_back_off_up_to_the_longest_wait() -> None:
    circuit, now, waits = opened(), NOW, list[float]()
    for _ in range(9):
        now = circuit.probe_at
        circuit = circuit.probing(now, FIRST, LONGEST)
        assert circuit.room(4, now) == 0
        waits.append(circuit.probe_at - now)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]


def test_limit_rises_one_by_one_after_an_outage() -> None:
    circuit, rooms = opened().succeeded(), list[int]()
    for _ in range(6):
        rooms.append(circuit.room(4, NOW))
        circuit = circuit.succeeded()
    assert rooms == [1, 2, 3, 4, 4, 4]
    for _ in range(FULLY_RECOVERED):
        circuit = circuit.succeeded()
    assert circuit == Circuit()


def test_evidence_names_the_failures_and_is_bounded() -> None:
    circuit = Circuit()
    for number in range(MOST_EVIDENCE + 5):
        circuit = circuit.failed(failure(number), NOW + number, THRESHOLD, FIRST)
    last = circuit.outage().evidence[-1]
    assert len(circuit.evidence) == MOST_EVIDENCE
    assert (last.at, last.kind, last.status_code, last.request_id) == (
        NOW + 24,
        "OutageError",
        503,
        "req-24",
    )


courses = st.lists(
    st.tuples(st.sampled_from(["failed", "succeeded", "probing"]), st.floats(0, 100)), max_size=60
)


@given(courses, st.integers(1, 10), st.integers(1, 50))
def test_any_course_stays_in_bounds_and_round_trips(
    course: list[tuple[str, float]], threshold: int, limit: int
) -> None:
    circuit, now, in_a_row = Circuit(), NOW, 0
    for what, later in course:
        now += later
        was_open = circuit.opened_at is not None
        if what == "failed":
            circuit, in_a_row = circuit.failed(failure(), now, threshold, FIRST), in_a_row + 1
        elif what == "succeeded":
            circuit, in_a_row = circuit.succeeded(), 0
        elif was_open:
            circuit = circuit.probing(now, FIRST, LONGEST)
        assert (circuit.opened_at is not None) == (in_a_row >= threshold)
        assert 0 <= circuit.room(limit, now) <= limit
        assert circuit.room(limit, now + LONGEST) >= 1
        assert circuit.probe_at <= now + LONGEST
        assert Circuit.from_row(circuit.columns()) == circuit


@pytest.mark.parametrize(
    ("status", "applied", "unreachable"),
    [
        (None, Applied.NO, True),
        (None, Applied.MAYBE, False),
        (503, Applied.NO, False),
        (503, Applied.MAYBE, False),
    ],
)
def test_unreachable_means_no_connection_was_made(
    status: int | None, applied: Applied, unreachable: bool
) -> None:
    assert (
        is_unreachable(OutageError("x", status_code=status, applied=applied).record())
        is unreachable
    )


SINCE = NOW - 300


@pytest.mark.parametrize(
    ("others", "whose"),
    [
        ((), Whose.UNKNOWN),
        ((Reachability("square", 0.0, NOW),), Whose.UNKNOWN),  # another store of the same platform
        (
            (Reachability("kounta", SINCE - 1, 0.0),),
            Whose.UNKNOWN,
        ),  # our own network may have failed since
        ((Reachability("kounta", SINCE + 1, 0.0),), Whose.PLATFORM),
        ((Reachability("square", SINCE + 1, 0.0),), Whose.PLATFORM),
        (
            (Reachability("kounta", SINCE - 9, SINCE - 5),),
            Whose.OURS,
        ),  # it has failed since just before
        ((Reachability("kounta", SINCE - 9, SINCE - 1000),), Whose.UNKNOWN),
        ((Reachability("kounta", 0.0, NOW),), Whose.OURS),
        ((Reachability("kounta", SINCE + 1, NOW),), Whose.OURS),  # it answered, and then failed too
        ((Reachability("kounta", 0.0, NOW), Reachability("generic", NOW, 0.0)), Whose.PLATFORM),
    ],
)
def test_outage_cause_ignores_answers_before_the_outage(
    others: tuple[Reachability, ...], whose: Whose
) -> None:
    assert outage_cause(Reachability("square", 0.0, NOW), SINCE, others) is whose


def test_platform_that_answers_with_failures_is_at_fault() -> None:
    assert (
        outage_cause(
            Reachability("square", NOW, NOW - 1), SINCE, [Reachability("kounta", 0.0, NOW)]
        )
        is Whose.PLATFORM
    )
