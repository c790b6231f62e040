"""The class that a platform's simulator extends: routes, ledger, actions, and a log of what was asked.

State is guarded by one lock. The server holds it while a handler runs, and each `@action` holds it
while it changes something, so a test may change the world from its own thread while requests are
under way.
"""

from __future__ import annotations

import functools
import inspect
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict

from tillpost.simulator.exchange import Answer, Route
from tillpost.simulator.faults import Fault, FaultInjector, FaultPlan, InjectedFault
from tillpost.simulator.ledger import Ledger

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Simulator")

_MARK = "__simulator_action__"


def action(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Marks a method that changes the world: it runs under the lock, and the control address offers it by name."""

    def locked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            return method(self, *args, **kwargs)

    functools.update_wrapper(locked, method)
    setattr(locked, _MARK, True)
    return locked


class SeenRequest(BaseModel):
    """A request as the log keeps it: no query, no headers, no body, so no people and no tokens."""

    model_config = ConfigDict(frozen=True)

    number: int
    method: str
    path: str
    status: int
    """The status that was sent, or 0 when a fault left the request without one."""
    fault: str = ""


class Simulator(ABC):
    """A platform, simulated. Extend it with the platform's routes and state, and serve it.

    `faults` is the plan to begin with; none by default.
    """

    def __init__(self, faults: FaultPlan | None = None) -> None:
        self.lock = threading.RLock()
        self._injector = FaultInjector(faults)
        self._requests: list[SeenRequest] = []

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """The platform's addresses. Asked once, when the server is made."""

    @abstractmethod
    def ledger(self) -> Ledger:
        """What staff would see now."""

    @abstractmethod
    def start_afresh(self) -> None:
        """Puts the state back to what it was at first. `reset` calls it under the lock."""

    @abstractmethod
    def connection_settings(self, url: str) -> Mapping[str, str]:
        """The settings with which a till connects to this simulator at `url`: addresses, tokens, ids."""

    def application(self) -> Mapping[str, str]:
        """The OAuth application that it knows, `client_id` and `client_secret`: nothing where there is no OAuth."""
        return {}

    @abstractmethod
    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        """The platform's own answer for a status that no handler chose: 404, 405, 429 or 5xx.

        `retry_after` is in seconds, and goes into the header of that name.
        """

    def down(self) -> Answer | None:
        """The answer that every request gets while the platform is out of order, or None when it isn't."""
        return None

    @action
    def reset(self) -> None:
        """Begins again: first state, an empty log, and the same fault plan from its start."""
        self.start_afresh()
        self._requests.clear()
        self._injector = FaultInjector(self._injector.plan)

    @action
    def set_faults(self, plan: FaultPlan) -> None:
        """Replaces the fault plan; `FaultPlan()` ends all faults. The list of faults that struck starts empty."""
        self._injector = FaultInjector(plan)

    @property
    def faults(self) -> tuple[InjectedFault, ...]:
        """The faults that have struck under the present plan, in order."""
        with self.lock:
            return tuple(self._injector.injected)

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """Every request since the start or the last reset, but for those to the control address."""
        with self.lock:
            return tuple(self._requests)

    def count(self, method: str | None = None, path: str | None = None) -> int:
        """How many requests there were, for a method, an exact path, both or neither."""
        return sum(
            1
            for seen in self.requests
            if method in (None, seen.method) and path in (None, seen.path)
        )

    def counts(self) -> dict[str, int]:
        """How many requests there were, by method and path."""
        return dict(Counter(f"{seen.method} {seen.path}" for seen in self.requests))

    def actions(self) -> Mapping[str, Callable[..., object]]:
        """What can be done to this world, by name: every method marked with `@action`."""
        marked = {name for name, member in inspect.getmembers(type(self)) if hasattr(member, _MARK)}
        return {name: getattr(self, name) for name in sorted(marked)}

    def draw_fault(self, method: str, path: str) -> Fault | None:
        """The fault for a request that has just come in. For the server."""
        with self.lock:
            return self._injector.draw(method, path)

    def note_request(self, method: str, path: str, status: int, fault: Fault | None) -> None:
        """Adds a request to the log. For the server."""
        with self.lock:
            self._requests.append(
                SeenRequest(
                    number=len(self._requests) + 1,
                    method=method,
                    path=path,
                    status=status,
                    fault=fault.kind.value if fault else "",
                )
            )
