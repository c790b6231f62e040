"""A Till on the Kounta simulator without a network, by the simulator's clock.

    bench = Bench()
    bench.till.submit(an_order())
    bench.sent                                     # the requests, in their order
    bench.answer = lambda request, carry_out: ...  # another answer, before or after the effect

Waits move the clock, so orders that show late and scheduled look-ups take no time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from adapters import sample_orders
from adapters.in_process import InProcess
from adapters.sample_orders import an_order as an_order
from tillpost import Order, Policy, PosError, PosOrder, Till
from tillpost.submission.context import Connection
from tillpost.submission.journal import Journal
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.settings import KountaSettings
from tillpost_simulators.kounta import KountaSettings as World
from tillpost_simulators.kounta import KountaSimulator

QUICK = Policy(first_wait=0.001, longest_wait=0.001, retry_seconds=600, import_cooldown=0)
SUBSTITUTES: Mapping[str, Any] = {
    "charge_products": {"surcharge": 9001, "delivery": 9002, "rounding": 6103},
    "tip_product": 9003,
    "discount_product": 9004,
    "open_item_product": 6105,
}
URL = "http://127.0.0.1"
Spoil = Callable[[httpx.Request, Callable[[], httpx.Response]], httpx.Response]


class Bench:
    """A shop at Kounta, and a Till connected to it."""

    def __init__(
        self,
        world: World | None = None,
        *,
        policy: Policy = QUICK,
        journal: Journal | None = None,
        **settings: Any,
    ) -> None:
        self.simulator = KountaSimulator(world or World(oauth_limit=100_000))
        self.sent: list[httpx.Request] = []
        self.waits: list[float] = []
        self.answer: Spoil = lambda _, carry_out: carry_out()
        self.policy = policy
        self.settings = settings
        self.till = self.connect(journal)

    def connect(self, journal: Journal | None = None, kind: type[Till] = Till) -> Any:
        """Connect another process to the same shop."""
        known = {
            **self.simulator.connection_settings(URL),
            "import_pace": 0.0,
            **SUBSTITUTES,
            **self.settings,
        }
        adapter = Kounta(KountaSettings.model_validate(known))
        connection = Connection(adapter, policy=self.policy, clock=self.now)
        client = httpx.Client(transport=InProcess(self.simulator, self._twist))
        return kind(
            connection,
            journal=journal,
            http_client=client,
            sleep=self.wait,
        )

    def connect_with_menu(self) -> Any:
        """Connect another process that has the menu already."""
        till = self.connect()
        till.menu = self.till.menu
        return till

    def now(self) -> float:
        """The simulator's time, in epoch seconds."""
        return self.simulator.world.clock.now().timestamp()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.waits.append(seconds)
        self.simulator.world.clock.advance(seconds)

    def attempt(self, order: Order, **how: Any) -> PosOrder | PosError:
        """Submit, and return the error if there is one."""
        try:
            submitted: PosOrder = self.till.submit(order, **how)
            return submitted
        except PosError as error:
            return error

    def refused(self, order: Order, **how: Any) -> PosError:
        """Submit what has to be refused."""
        error = self.attempt(order, **how)
        assert isinstance(error, PosError), error
        return error

    def paths(self, contains: str = "") -> list[str]:
        """Method and path of what was sent, without its query."""
        made = [f"{r.method} {r.url.path.removeprefix('/v1/companies/5678')}" for r in self.sent]
        return [path for path in made if contains in path]

    def creates(self) -> list[dict[str, Any]]:
        """The bodies of the orders that were sent."""
        return [json.loads(r.content) for r in self.sent if is_create(r)]

    def _twist(
        self, request: httpx.Request, _: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        self.sent.append(request)
        return self.answer(request, carry_out)


def is_create(request: httpx.Request) -> bool:
    """Whether the request makes an order."""
    return request.method == "POST" and request.url.path.endswith("/orders.json")


def on_create(first: httpx.Response | Exception, *, done: bool) -> Spoil:
    """Answer the first create so; `done` says whether Kounta has made the order all the same."""
    left = [first]

    def spoil(request: httpx.Request, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        if not (left and is_create(request)):
            return carry_out()
        if done:
            carry_out()
        instead = left.pop()
        if isinstance(instead, Exception):
            raise instead
        return instead

    return spoil


def plain_order(order_id: str = "ord_1", unit_price: int = 1450, **changes: Any) -> Order:
    """Return one BLT toastie, paid in full."""
    return sample_orders.plain_order(order_id, unit_price, **changes)
