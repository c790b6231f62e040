from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from core.simulator.counter import Counter
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running, serve_in_thread
from tillpost.simulator.faults import FaultInjector, When, every_kind


@pytest.fixture
def running() -> Iterator[Running[Counter]]:
    with serve_in_thread(Counter()) as served:
        yield served


def strike(running: Running[Counter], fault: Fault) -> httpx.Response:
    """Send one POST that `fault` strikes."""
    running.simulator.set_faults(FaultPlan(rules=(FaultRule(fault=fault),)))
    return httpx.post(f"{running.url}/count", timeout=60)


NO_ANSWER = [
    (FaultKind.LOST_ANSWER, httpx.RemoteProtocolError),
    (FaultKind.RESET, httpx.ReadError),
    (FaultKind.TIMEOUT, httpx.RemoteProtocolError),
    (FaultKind.TRUNCATED, httpx.RemoteProtocolError),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "error"), NO_ANSWER)
def test_connection_breaks_before_or_after_the_effect(
    running: Running[Counter], kind: FaultKind, error: type[Exception], when: When
) -> None:
    with pytest.raises(error):
        strike(running, Fault(kind=kind, when=when, hang_seconds=0.05))
    assert running.simulator.value == (1 if when == "after" else 0)
    assert httpx.get(f"{running.url}/count").status_code == 200


def test_impatient_client_sees_a_timeout(running: Running[Counter]) -> None:
    running.simulator.set_faults(
        FaultPlan(rules=(FaultRule(fault=Fault(kind=FaultKind.TIMEOUT, hang_seconds=60)),))
    )
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{running.url}/count", timeout=httpx.Timeout(60, read=0.1))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault(kind=FaultKind.SERVER_ERROR), 500, b'{"failure": 500}'),
        (Fault(kind=FaultKind.SERVER_ERROR, status=503), 503, b'{"failure": 503}'),
        (Fault(kind=FaultKind.RATE_LIMITED), 429, b'{"failure": 429}'),
        (Fault(kind=FaultKind.EMPTY), 200, b""),
        (Fault(kind=FaultKind.NULL), 200, b"null"),
    ],
)
def test_answer_is_replaced_before_or_after_the_effect(
    running: Running[Counter], fault: Fault, status: int, body: bytes, when: When
) -> None:
    answer = strike(running, fault.model_copy(update={"when": when}))
    assert (answer.status_code, answer.content) == (status, body)
    assert running.simulator.value == (1 if when == "after" else 0)


@pytest.mark.parametrize("status", [200, 502])
def test_html_page_replaces_json(running: Running[Counter], status: int) -> None:
    answer = strike(running, Fault(kind=FaultKind.HTML, status=status))
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (
        status,
        "text/html",
    )


def test_json_of_wrong_type_keeps_the_keys(running: Running[Counter]) -> None:
    assert strike(running, Fault(kind=FaultKind.WRONG_TYPE)).json() == {"value": 7}
    assert strike(running, Fault(kind=FaultKind.WRONG_TYPE, when="before")).json() == [7]


def test_slow_answer_is_complete_with_its_headers(running: Running[Counter]) -> None:
    began = time.monotonic()
    answer = strike(running, Fault(kind=FaultKind.SLOW_DRIP, drip_seconds=0.2))
    assert answer.json() == {"value": 1}
    assert (answer.headers["x-next"], answer.headers["content-type"]) == (
        "/count",
        "application/json",
    )
    assert time.monotonic() - began >= 0.15


def test_rate_limit_sends_retry_after_only_if_set(running: Running[Counter]) -> None:
    assert (
        strike(running, Fault(kind=FaultKind.RATE_LIMITED, retry_after=7)).headers["retry-after"]
        == "7"
    )
    assert "retry-after" not in strike(running, Fault(kind=FaultKind.RATE_LIMITED)).headers


def test_rule_skips_and_strikes_as_often_as_set() -> None:
    rule = FaultRule(method="POST", path="/a$", skip=1, times=2, fault=Fault(kind=FaultKind.RESET))
    injector = FaultInjector(FaultPlan(rules=(rule,)))
    asked = [
        ("POST", "/a"),
        ("GET", "/a"),
        ("POST", "/ab"),
        ("POST", "/a"),
        ("POST", "/a"),
        ("POST", "/a"),
    ]
    assert [injector.draw(*request) is not None for request in asked] == [
        False,
        False,
        False,
        True,
        True,
        False,
    ]
    assert [(fault.number, fault.path) for fault in injector.injected] == [(4, "/a"), (5, "/a")]


def test_rule_without_times_strikes_every_request() -> None:
    injector = FaultInjector(
        FaultPlan(rules=(FaultRule(times=None, fault=Fault(kind=FaultKind.NULL)),))
    )
    assert all(injector.draw("GET", "/") for _ in range(100))


def test_same_seed_draws_the_same_faults() -> None:
    def storm(seed: int) -> list[Fault | None]:
        injector = FaultInjector(FaultPlan(rate=0.25, seed=seed))
        return [injector.draw("POST", "/a") for _ in range(400)]

    first = storm(7)
    assert first == storm(7) != storm(8)
    assert 60 < sum(fault is not None for fault in first) < 140
    assert {fault.kind for fault in first if fault} == set(FaultKind)


def test_rate_is_limited_to_matching_requests() -> None:
    injector = FaultInjector(FaultPlan(rate=1, method="POST", path="^/orders", faults=every_kind()))
    asked = [("GET", "/orders"), ("POST", "/menu"), ("POST", "/orders")]
    assert [injector.draw(*request) is not None for request in asked] == [False, False, True]
