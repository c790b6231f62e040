"""Runs one operation of the Square adapter without a network, on a simulator or scripted answers.

    bench = Bench()
    pos_order = bench.run(bench.adapter.submit(order, Attempt()), order)
    bench.sent                                     # the requests, in their order

With a `spec`, every request and every answer is checked by what Square publishes.
`spoil` may replace the simulator's answer, before or after its effect.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from adapters.sample_orders import an_order as an_order
from adapters.sample_orders import plain_order as plain_order
from adapters.square.spec import SquareSpec, square_spec
from tillpost.adapter.exchange import Exchange, Fault, Request, Response, Wait
from tillpost.adapter.verdicts import judge
from tillpost.errors import PosError
from tillpost.models.menu import Menu
from tillpost.models.order import Order
from tillpost.simulator import Call
from tillpost_simulators.square import SquareSimulator, WorldSettings
from tillpost_square.adapter import Square
from tillpost_square.settings import SquareSettings

T = TypeVar("T")
Spoil = Callable[[Request[Any], Callable[[], Response]], Response | Fault]
"""Given a request and how to have it carried out: what comes back."""


class Bench:
    """An adapter and a simulator, and what went between them."""

    def __init__(
        self, world: WorldSettings | None = None, *, spec: SquareSpec | None = None, **settings: Any
    ) -> None:
        self.simulator = SquareSimulator(world)
        known = self.simulator.connection_settings("http://127.0.0.1")
        self.adapter = Square(SquareSettings.model_validate({**known, **settings}))
        self.routes = [
            (
                r.method,
                re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", r.path) + "$"),
                r.handler,
            )
            for r in self.simulator.routes()
        ]
        self.spec = spec
        self.sent: list[Request[Any]] = []
        self.spoil: Spoil | None = None

    def run(self, exchange: Exchange[T], order: Order | None = None) -> T:
        """Run an operation to its end and return its result; raise its error."""
        return drive(self.adapter, exchange, self._answer, order)

    def menu(self) -> Menu:
        """Import the menu; its requests aren't among those that were sent."""
        menu = self.run(self.adapter.import_menu())
        self.sent.clear()
        return menu

    def paths(self) -> list[str]:
        """What was sent: method and path of each, ids left out."""
        known = "|".join(re.escape(entry.order_id) for entry in self.simulator.ledger().entries)
        hidden = re.compile(known) if known else re.compile("(?!)")
        return [f"{r.method} {hidden.sub('*', r.path.partition('?')[0])}" for r in self.sent]

    def bodies(self, path: str) -> list[Any]:
        """The bodies that were sent to a path."""
        return [json.loads(r.body) for r in self.sent if r.path == path]

    def _answer(self, request: Request[Any]) -> Response | Fault:
        self.sent.append(request)
        if self.spec:
            self.spec.check_request(request.method, request.path, request.body)
        return (
            self.spoil(request, lambda: self._carry_out(request))
            if self.spoil
            else self._carry_out(request)
        )

    def _carry_out(self, request: Request[Any]) -> Response:
        path, _, query = request.path.partition("?")
        signed = self.adapter.sign(request, self.adapter.config.credentials())
        for method, pattern, handler in self.routes:
            hit = pattern.match(path)
            if hit and method == request.method:
                call = Call(
                    method=method,
                    path=path,
                    body=request.body,
                    headers={name.lower(): value for name, value in signed.headers.items()},
                    query=dict(parse_qsl(query)),
                    path_values=hit.groupdict(),
                )
                answer = handler(call)
                if self.spec:
                    self.spec.check_answer(request.method, request.path, answer.status, answer.body)
                return Response(answer.status, dict(answer.headers), answer.body)
        raise LookupError(f"no route for {request.method} {path}")


def checked_bench(**settings: Any) -> Bench:
    """Return a bench that checks everything by what Square publishes."""
    return Bench(spec=square_spec(), **settings)


def drive(
    adapter: Square,
    exchange: Exchange[T],
    answer: Callable[[Request[Any]], Response | Fault],
    order: Order | None,
) -> T:
    """Run an exchange: classify each answer, and send in its reply or throw in its error."""
    reply: Any = None
    error: PosError | None = None
    while True:
        try:
            step = exchange.throw(error) if error else exchange.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        reply = error = None
        if not isinstance(step, Wait):
            verdict = judge(adapter, step, order, answer(step), time.time())
            reply, error = verdict.reply, verdict.error


def scripted(*answers: Response | Fault) -> Callable[[Request[Any]], Response | Fault]:
    """Answers that come one after the other, whatever is asked."""
    waiting = iter(answers)

    def answer(_: Request[Any]) -> Response | Fault:
        return next(waiting)

    return answer


def json_response(content: object, status: int = 200) -> Response:
    """An answer with a JSON body."""
    return Response(status, {}, json.dumps(content).encode())


def refused(code: str, detail: str = "", field: str = "", status: int = 400) -> Response:
    """Square's refusal in its own form."""
    return json_response(
        {
            "errors": [
                {
                    "category": "INVALID_REQUEST_ERROR",
                    "code": code,
                    "detail": detail,
                    "field": field,
                }
            ]
        },
        status,
    )
