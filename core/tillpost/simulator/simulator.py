"""The class that a platform's simulator extends.

It has routes, a ledger, actions and a request log. One lock guards the state. The server holds it
while a handler runs, and each `@action` holds it while it changes something, so a test may change
the state from its own thread while requests are in progress.
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
from tillpost.simulator.ledger import Ledger, LedgerEntry
from tillpost.simulator.register_view import Section, render, rows_of

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Simulator")

_ACTION_MARK = "__simulator_action__"


def action(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Mark a method as an action, which changes the simulated state.

    An action runs under the simulator's lock, and the control address offers it by name.
    """

    def locked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            result = method(self, *args, **kwargs)
            self.after_action()
            return result

    functools.update_wrapper(locked, method)
    setattr(locked, _ACTION_MARK, True)
    return locked


class SeenRequest(BaseModel):
    """A request in the log.

    The log holds no query, headers or body, and so no personal data and no tokens.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    method: str
    path: str
    status: int
    """The status that was sent, or 0 when a fault left the request without an answer."""
    fault: str = ""


class Simulator(ABC):
    """A simulated platform.

    Extend it with the platform's routes and state, then serve it.

    Args:
        faults: The fault plan to start with; no faults by default.
    """

    def __init__(self, faults: FaultPlan | None = None) -> None:
        self.lock = threading.RLock()
        self._injector = FaultInjector(faults)
        self._requests: list[SeenRequest] = []

    # --- what a subclass provides ---

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Return the platform's addresses. Called once, when the server is created."""

    @abstractmethod
    def ledger(self) -> Ledger:
        """Return the orders as staff see them now."""

    @abstractmethod
    def start_afresh(self) -> None:
        """Restore the initial state. `reset` calls it under the lock."""

    @abstractmethod
    def connection_settings(self, url: str) -> Mapping[str, str]:
        """Return the settings that connect a till to this simulator at `url`.

        They are what `Till.connect(platform, **settings)` takes: addresses, tokens, ids.
        """

    def application(self) -> Mapping[str, str]:
        """Return the known OAuth application, `client_id` and `client_secret`.

        A platform without OAuth returns an empty mapping.
        """
        return {}

    @abstractmethod
    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        """Return the platform's answer for a status that no handler chose.

        Args:
            status: 404, 405, 429 or 5xx.
            retry_after: Seconds for the header `Retry-After`; None leaves it out.
        """

    def down(self) -> Answer | None:
        """Return the answer to every request during an outage, or None when there is none."""
        return None

    # --- the register ---

    def register_view(self, order: str) -> str:
        """Return an order as the person at the till reads it, whole, as text.

        Args:
            order: The platform's id of the order, or the caller's reference, which means the latest
                of the orders with it.

        Raises:
            LookupError: The register shows no such order.
        """
        with self.lock:
            return self._view(self.ledger().shown_as(order))

    def register_views(self) -> str:
        """Return every order that the register shows, as text, oldest first."""
        with self.lock:
            return "\n".join(map(self._view, self.ledger().shown))

    def register_rows(self, entry: LedgerEntry) -> Sequence[Section]:
        """Return the sections of an order's view.

        By default they have what the ledger has; a platform's simulator adds the rest. It is called
        under the lock.
        """
        return rows_of(entry)

    def _view(self, entry: LedgerEntry) -> str:
        return render(self.register_rows(entry), entry.exponent)

    # --- control ---

    @action
    def reset(self) -> None:
        """Restore the initial state, clear the request log and restart the fault plan."""
        self.start_afresh()
        self._requests.clear()
        self._injector = FaultInjector(self._injector.plan)

    @action
    def set_faults(self, plan: FaultPlan) -> None:
        """Replace the fault plan and clear the list of injected faults.

        `FaultPlan()` injects no faults.
        """
        self._injector = FaultInjector(plan)

    def after_action(self) -> None:  # noqa: B027 - by default nothing follows
        """Do what follows from a change, such as sending webhooks.

        It is called after each action, under the lock.
        """

    def actions(self) -> Mapping[str, Callable[..., object]]:
        """Return every method marked with `@action`, by name."""
        members = inspect.getmembers(type(self))
        names = sorted(name for name, member in members if hasattr(member, _ACTION_MARK))
        return {name: getattr(self, name) for name in names}

    # --- the request log ---

    @property
    def faults(self) -> tuple[InjectedFault, ...]:
        """The faults injected under the current plan, in order."""
        with self.lock:
            return tuple(self._injector.injected)

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """Every request since the start or the last reset, except to the control address."""
        with self.lock:
            return tuple(self._requests)

    def count(self, method: str | None = None, path: str | None = None) -> int:
        """Count the requests with this method and this exact path; None matches any."""
        matching = [
            seen
            for seen in self.requests
            if method in (None, seen.method) and path in (None, seen.path)
        ]
        return len(matching)

    def counts(self) -> dict[str, int]:
        """Count the requests by method and path."""
        return dict(Counter(f"{seen.method} {seen.path}" for seen in self.requests))

    # --- what the server calls ---

    def draw_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault for a request that has just arrived, or None."""
        with self.lock:
            return self._injector.draw(method, path)

    def note_request(self, method: str, path: str, status: int, fault: Fault | None) -> None:
        """Add a request to the log."""
        with self.lock:
            seen = SeenRequest(
                number=len(self._requests) + 1,
                method=method,
                path=path,
                status=status,
                fault=fault.kind.value if fault else "",
            )
            self._requests.append(seen)
