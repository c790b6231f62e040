"""A shop of each platform in this process, whose menu answers a test may spoil.

shop = shop_of("square")
shop.spoil = lambda path, body: ...            # changes the JSON of an answer
shop.till.submit(order)
shop.paths("catalog")                          # what was asked for
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from adapters.in_process import InProcess
from tillpost import Order, Policy, PosError, PosOrder, Till
from tillpost.models.menu import Menu
from tillpost.simulator import Simulator
from tillpost.submission.context import Connection
from tillpost_generic.adapter import Generic
from tillpost_generic.settings import GenericSettings
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.settings import KountaSettings
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings as KountaWorld
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator
from tillpost_square.adapter import Square
from tillpost_square.settings import SquareSettings

PLATFORMS = ("square", "kounta", "generic")
URL = "http://127.0.0.1"

Spoil = Callable[[str, Any], Any]
"""Given the path of a read and the JSON of its answer: the JSON that arrives, or bytes."""


class Shop:
    """A simulator in this process, and a Till for it."""

    def __init__(self, adapter: Any, simulator: Any, policy: Policy | None = None) -> None:
        self.simulator: Any = simulator
        self.adapter = adapter
        self.requests: list[httpx.Request] = []
        self.spoil: Spoil = lambda _, body: body
        self.refuse: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        self.before: Callable[[httpx.Request], None] = lambda _: None
        self.lose: Callable[[httpx.Request], bool] = lambda _: False
        self.waited = 0.0
        self.policy = policy or Policy(first_wait=0, longest_wait=0)
        self.till = self.connect()

    def connect(self) -> Till:
        """Connect another process, which knows no menu."""
        connection = Connection(self.adapter, policy=self.policy, clock=self._now)
        client = httpx.Client(transport=InProcess(self.simulator, self._twist), verify=False)
        return Till(connection, http_client=client, sleep=self.wait)

    @property
    def menu(self) -> Menu:
        """The menu, imported now."""
        menu = self.till.import_menu().menu
        assert menu is not None
        return menu

    def wait(self, seconds: float) -> None:
        """Let time pass: the shop's, and ours."""
        self.waited += seconds
        clock = getattr(self.simulator.world, "clock", None)
        if clock is not None:
            clock.advance(seconds)

    def paths(self, contains: str) -> list[str]:
        """Method and path of what was sent that contains a text."""
        sent = [f"{each.method} {each.url.raw_path.decode()}" for each in self.requests]
        return [path for path in sent if contains in path]

    def refused(self, order: Order) -> PosError:
        """Submit what has to be refused."""
        try:
            arrived: PosOrder = self.till.submit(order)
        except PosError as error:
            return error
        raise AssertionError(f"it arrived: {arrived}")

    def arrived(self) -> int:
        """How many orders the register shows."""
        return len(self.simulator.ledger().shown)

    def _now(self) -> float:
        clock = getattr(self.simulator.world, "clock", None)
        if clock is not None:
            return float(clock.now().timestamp())
        return float(self.simulator.settings.clock())

    def _twist(
        self, request: httpx.Request, _: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        self.requests.append(request)
        self.before(request)
        refusal = self.refuse(request)
        if refusal is not None:
            return refusal
        answer = carry_out()
        if self.lose(request):
            raise httpx.ReadTimeout("the answer was lost", request=request)
        path = request.url.path
        is_read = request.method == "GET" or "catalog" in path
        if not is_read or answer.status_code != 200:
            return answer
        spoiled = self.spoil(path, json.loads(answer.content))
        body = spoiled if isinstance(spoiled, bytes) else json.dumps(spoiled).encode()
        headers = {
            name: value for name, value in answer.headers.items() if name != "content-length"
        }
        return httpx.Response(200, headers=headers, content=body)


def shop_of(
    platform: str,
    *,
    policy: Policy | None = None,
    simulator: Simulator | None = None,
    **settings: Any,
) -> Shop:
    """Return a shop of a platform, with its usual menu."""
    sim: Any = simulator
    adapter: Any
    match platform:
        case "square":
            sim = sim or SquareSimulator()
            known = {**sim.connection_settings(URL), **settings}
            adapter = Square(SquareSettings.model_validate(known))
        case "kounta":
            sim = sim or KountaSimulator(KountaWorld(oauth_limit=100_000))
            known = {**sim.connection_settings(URL), "import_pace": 0.0, **settings}
            adapter = Kounta(KountaSettings.model_validate(known))
        case _:
            sim = sim or GenericSimulator()
            known = {**sim.connection_settings(URL), **settings}
            adapter = Generic(GenericSettings.model_validate(known))
    return Shop(adapter, sim, policy)
