"""A simulated store and a Till for it, in this process or over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx

from adapters.generic.spec import judged
from adapters.in_process import InProcess, Twist
from tillpost import Order, Policy, PosError, PosOrder, Till
from tillpost.simulator import Running
from tillpost.submission.context import Connection
from tillpost.submission.journal import MemoryJournal
from tillpost_generic.adapter import Generic
from tillpost_generic.settings import GenericSettings
from tillpost_simulators.generic import GenericSimulator, WorldSettings

T = TypeVar("T")
Change = Callable[[GenericSimulator], object]
"""Something that happens to a store."""

NO_WAIT = Policy(first_wait=0, longest_wait=0, import_cooldown=0)
ONCE = Policy(retries=0, import_cooldown=0)
ADDRESS = "https://pos.example"


def adapter_for(simulator: GenericSimulator, url: str = ADDRESS, **changed: Any) -> Generic:
    """The adapter with the settings that the simulator reports, and changes to them."""
    known: dict[str, Any] = {**simulator.connection_settings(url), "look_after": (0.001, 0.002)}
    return Generic(GenericSettings.model_validate(known | changed))


class Store:
    """A simulator in this process and a Till. Exchanges are compared with the OpenAPI document."""

    def __init__(
        self,
        settings: WorldSettings | None = None,
        *,
        policy: Policy = NO_WAIT,
        twist: Twist = judged,
        journal: MemoryJournal | None = None,
        simulator: GenericSimulator | None = None,
        **changed: Any,
    ) -> None:
        self.simulator = simulator or GenericSimulator(settings)
        self.sent: list[httpx.Request] = []
        self.misfits: list[str] = []

        def noted(request: httpx.Request, number: int, carry_out: Any) -> httpx.Response:
            self.sent.append(request)
            try:
                return twist(request, number, carry_out)
            except AssertionError as misfit:  # which core would make an outage of
                self.misfits.append(str(misfit))
                raise

        self.adapter = adapter_for(self.simulator, **changed)
        client = httpx.Client(transport=InProcess(self.simulator, noted), verify=False)
        self.till = Till(
            Connection(self.adapter, policy=policy),
            journal=journal,
            http_client=client,
            sleep=_no_sleep,
        )

    def do(self, work: Callable[[Till], T]) -> T:
        """Do something with the Till, and see that all that was said is as the document says."""
        try:
            return work(self.till)
        finally:
            assert self.misfits == []

    def submit(self, order: Order) -> PosOrder:
        """Submit an order."""
        return self.do(lambda till: till.submit(order))

    def refusal(self, work: Callable[[Till], object]) -> PosError:
        """Return the error that comes of it."""
        try:
            self.do(work)
        except PosError as error:
            return error
        raise AssertionError("it wasn't refused")

    def refused(self, order: Order) -> PosError:
        """Return the error with which an order is refused."""
        return self.refusal(lambda till: till.submit(order))

    @property
    def paths(self) -> list[str]:
        """What was sent, in its order."""
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.sent]


def always(status: int, body: bytes = b"") -> Twist:
    """A POS that answers everything with this."""

    def twist(
        _request: httpx.Request, _number: int, _carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        return httpx.Response(status, content=body)

    return twist


def _no_sleep(_: float) -> None:
    """Go on at once."""


@contextmanager
def till_over_http(
    running: Running[GenericSimulator], policy: Policy = NO_WAIT, **changed: Any
) -> Generator[Till, None, None]:
    """A Till on a simulator that is served."""
    with Till(
        Connection(adapter_for(running.simulator, running.url, **changed), policy=NO_WAIT)
    ) as till:
        yield till
