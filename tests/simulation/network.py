"""The network of a scenario: carries requests to the simulators, and does what networks do.

A request has three phases: it is about to leave, it takes effect, its answer comes back. Processes
switch between them, and a fault may strike in each. Nothing is done that the page "Never twice"
names as an open gap: a request is never paused between the check of the lease and its first byte,
and takes effect before the look-up schedule ends; no platform refuses in its own words what it has
done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import httpx

from simulation.clocks import Stage
from tillpost.simulator import Answer, Call, Simulator

if TYPE_CHECKING:
    from simulation.scenario import Scenario
    from simulation.stores import Store

READ_TIMEOUT = 15.0
"""Seconds that a process waits for an answer (`Limits.read`)."""

LATEST_EFFECT = 27.0
"""A request takes effect so many seconds after it was sent at the latest.

That is 12 after its sender gave it up, or before the last look-up of a platform's schedule if that
is shorter.
"""

EARLY_EFFECT = 13.0
"""The same where a sender may die or lose its lease, and another counts from then."""

PAGE = b"<!DOCTYPE html><html><body><h1>Access denied</h1></body></html>"

NO_PAYMENT = {
    "errors": [
        {
            "category": "INVALID_REQUEST_ERROR",
            "code": "BAD_REQUEST",
            "detail": "This location can't take payments.",
        }
    ]
}
"""How Square refuses a payment in its own words."""

BEFORE = ("refused", "reset before", "never answered", "503 before", "429", "403 page before")
AFTER = (
    "reset after",
    "answer lost",
    "answer late",
    "answer hangs",
    "effect late",
    "503 after",
    "502 page after",
    "403 page after",
    "200 empty",
    "200 cut",
    "body cut off",
    "another's answer",
    "odd redirect",
)
FAULTS = (*BEFORE, *AFTER, "sent twice")


class Network(httpx.BaseTransport):
    """The network between the processes of the scenario that runs now and the platforms."""

    scenario: Scenario

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request."""
        scenario = self.scenario
        schedule = scenario.schedule
        store = scenario.store_at(request.url.host)
        carry_out = _Effect(scenario, store, request)
        fault = scenario.draw_network_fault(store, request)
        if fault:
            schedule.note(f"  {request.method} {request.url.path}: {fault}")
        # No pause may strike here: see "What remains open".
        process = schedule.task.process
        process.sending += 1
        schedule.sleep(schedule.random.uniform(0.001, 0.05))
        process.sending -= 1
        if fault == "refused":
            raise httpx.ConnectError("connection refused")
        trace = request.extensions.get("trace")
        if trace:
            trace("http11.send_request_headers.complete", {})
        if fault in BEFORE or fault == "payment refused":
            return self._fail_before(fault)
        stale = (
            scenario.earlier_answer(store, request) if fault == "another's answer instead" else None
        )
        if stale is not None:
            scenario.step("answer")
            return stale
        answer = self._take_effect(fault, store, carry_out)
        scenario.step("answer")
        return self._answer(fault, request, store, answer)

    def _fail_before(self, fault: str) -> httpx.Response:
        scenario = self.scenario
        if fault == "never answered":
            scenario.schedule.sleep(READ_TIMEOUT)
            raise httpx.ReadTimeout("timed out")
        scenario.step("answer")
        if fault == "reset before":
            raise httpx.ReadError("connection reset")
        if fault == "payment refused":
            return httpx.Response(400, json=NO_PAYMENT)
        if fault == "403 page before":
            return _page(403)
        if fault == "429":
            return httpx.Response(429, headers={"Retry-After": "2"}, content=b"")
        return httpx.Response(503, content=b"")

    def _take_effect(self, fault: str, store: Store, carry_out: _Effect) -> httpx.Response:
        """Let the request take effect, now or later; raise if its sender gives up before that."""
        scenario = self.scenario
        schedule = scenario.schedule
        if fault == "effect late":
            last_lookup = READ_TIMEOUT + sum(store.adapter().look_after)
            latest = min(scenario.latest_effect, last_lookup - 1.0)
            delay = schedule.random.uniform(READ_TIMEOUT * 0.6, latest)
            schedule.call(delay, carry_out)
            schedule.sleep(min(delay, READ_TIMEOUT))
            if delay >= READ_TIMEOUT or carry_out.answer is None:
                raise httpx.ReadTimeout("timed out")
            return carry_out.answer
        answer = carry_out()
        if fault == "sent twice":
            answer = carry_out()
        elif fault.startswith("line dropped") and answer.status_code < 300:
            scenario.drop_line(store)
        return answer

    def _answer(
        self, fault: str, request: httpx.Request, store: Store, answer: httpx.Response
    ) -> httpx.Response:
        schedule = self.scenario.schedule
        match fault:
            case "reset after":
                raise httpx.ReadError("connection reset")
            case "answer lost" | "line dropped, answer lost":
                raise httpx.RemoteProtocolError("server disconnected without sending a response")
            case "body cut off":
                raise httpx.RemoteProtocolError("peer closed connection with an incomplete body")
            case "answer hangs":
                schedule.sleep(READ_TIMEOUT)
                raise httpx.ReadTimeout("timed out")
            case "answer late":
                schedule.sleep(schedule.random.uniform(1, READ_TIMEOUT - 1))
            case "503 after":
                return httpx.Response(503, content=b"")
            case "502 page after":
                return _page(502)
            case "403 page after":
                return _page(403)
            case "200 empty":
                return httpx.Response(200, content=b"")
            case "200 cut":
                return httpx.Response(200, content=answer.content[: len(answer.content) // 2])
            case "another's answer":
                return self.scenario.earlier_answer(store, request) or answer
            case "odd redirect":
                raise httpx.InvalidURL("http:orders/1")
            case _:
                schedule.sleep(schedule.random.uniform(0.001, 0.1))
        self.scenario.remember_answer(store, request, answer)
        return answer


class _Effect:
    """What a request does at its platform, when it is called; it may be called twice."""

    def __init__(self, scenario: Scenario, store: Store, request: httpx.Request) -> None:
        self._scenario = scenario
        self._store = store
        self._request = request
        self.answer: httpx.Response | None = None

    def __call__(self) -> httpx.Response:
        simulator = self._store.hosts[self._request.url.host]
        self.answer = carried_out(simulator, self._request)
        self._scenario.took_effect(self._store, self._request, self.answer)
        return self.answer


def _page(status: int) -> httpx.Response:
    return httpx.Response(status, headers={"Content-Type": "text/html"}, content=PAGE)


# ---------------------------------------------------------------------------- platforms


@lru_cache(512)
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


_ROUTES: dict[int, list[tuple[str, re.Pattern[str], Callable[[Call], Answer]]]] = {}


def _routes(simulator: Simulator) -> list[tuple[str, re.Pattern[str], Callable[[Call], Answer]]]:
    """Return a simulator's addresses. They outlive its resets."""
    known = _ROUTES.get(id(simulator))
    if known is None:
        known = [(it.method, _pattern(it.path), it.handler) for it in simulator.routes()]
        _ROUTES[id(simulator)] = known
    return known


def carried_out(simulator: Simulator, request: httpx.Request) -> httpx.Response:
    """Return a simulator's answer."""
    url = request.url
    path = url.path
    headers = {name.decode().lower(): it.decode("latin-1") for name, it in request.headers.raw}
    for method, pattern, handler in _routes(simulator):
        hit = pattern.fullmatch(path) if method == request.method else None
        if hit:
            query: dict[str, Any] = dict(url.params) if url.query else {}
            target = url.raw_path.decode()
            call = Call(method, path, request.content, headers, query, hit.groupdict(), target)
            return _response(handler(call))
    return _response(simulator.failure(404))


def _response(answer: Answer) -> httpx.Response:
    date = _date(int(Stage.true_time()))
    headers = {"Content-Type": answer.content_type, "Date": date, **answer.headers}
    return httpx.Response(answer.status, headers=headers, content=answer.body)


@lru_cache(512)
def _date(time: int) -> str:
    return formatdate(time, usegmt=True)
