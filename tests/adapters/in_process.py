"""An httpx transport that calls a simulator's handlers without a server, for fast tests.

`twist` may replace any answer, or raise what a network would.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx

from tillpost.simulator import Answer, Call, Simulator

Twist = Callable[[httpx.Request, int, Callable[[], httpx.Response]], httpx.Response]
"""Takes a request, its number from 0, and a function that carries it out; returns the answer."""


def untouched(
    _request: httpx.Request, _number: int, carry_out: Callable[[], httpx.Response]
) -> httpx.Response:
    """Change nothing."""
    return carry_out()


class InProcess(httpx.BaseTransport):
    """Carries requests to a simulator in this process."""

    def __init__(self, simulator: Simulator, twist: Twist = untouched) -> None:
        self.simulator = simulator
        self.twist = twist
        self.requests = 0
        self._routes = [
            (
                route.method,
                re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)),
                route.handler,
            )
            for route in simulator.routes()
        ]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request as the simulator does, or as the twist does."""
        number = self.requests
        self.requests += 1
        return self.twist(request, number, lambda: self._carry_out(request))

    def _carry_out(self, request: httpx.Request) -> httpx.Response:
        for method, pattern, handler in self._routes:
            if method == request.method and (hit := pattern.fullmatch(request.url.path)):
                headers = {name.lower(): value for name, value in request.headers.items()}
                query = dict(request.url.params)
                target = request.url.raw_path.decode()
                call = Call(
                    method,
                    request.url.path,
                    request.read(),
                    headers,
                    query,
                    hit.groupdict(),
                    target,
                )
                with self.simulator.lock:
                    return _response(handler(call))
        return _response(self.simulator.failure(404))


def _response(answer: Answer) -> httpx.Response:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    return httpx.Response(answer.status, headers=headers, content=answer.body)
