"""Run demo scenarios on a platform's simulator, and describe how they went.

`tillpost demo` calls it. Each order goes through a real `Till` over HTTP. Afterwards the
simulator's ledger shows what happened to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tillpost.adapter.base import Adapter
from tillpost.client.hooks import Watcher
from tillpost.client.sync import Till
from tillpost.demo.scenarios import Scenario
from tillpost.errors import Outcome, PosError, RegisterOfflineError
from tillpost.errors.remedies import ACTORS, Remedy
from tillpost.models.base import FrozenModel
from tillpost.models.menu import Menu
from tillpost.models.money import format_money
from tillpost.models.order import PosOrder
from tillpost.simulator import FaultPlan, LedgerEntry, Running, Simulator
from tillpost.submission.context import Connection

__all__ = ["Hop", "ScenarioResult", "hop_of", "run_scenarios"]

S = TypeVar("S", bound=Simulator)


class Hop(FrozenModel):
    """Where an order is stuck; `number` is None when it isn't.

    The hops are 1 on the site, 2 from the site to the platform, 3 from the platform to the
    register.
    """

    number: int | None = None
    text: str


class ScenarioResult(FrozenModel):
    """How a scenario went.

    `error` is the name of the error's class, or empty. `remedy` and `acts` say who must act.
    """

    name: str
    provoked: str
    expected: str
    happened: str
    hop: Hop
    error: str = ""
    remedy: Remedy | None = None
    acts: str
    as_expected: bool


def run_scenarios(
    adapter: type[Adapter[Any]], running: Running[S], scenarios: Sequence[Scenario[S]]
) -> Iterator[ScenarioResult]:
    """Run the scenarios one after the other, in the same simulated store.

    An adapter that needs a menu for every order gets the one that was imported last, as on a site
    that stores it.
    """
    menu: Menu | None = None
    for scenario in scenarios:
        observed = _run(adapter, running, scenario, menu)
        menu = observed.menu if adapter.needs_menu else None
        yield _result(scenario, observed)


def hop_of(error: PosError | None, *, shown: bool) -> Hop:
    """Return where an order is stuck.

    Args:
        error: The error that the submission ended with, or None.
        shown: Whether the register shows the order.
    """
    if shown:
        return Hop(text="none: it is on the register")
    if isinstance(error, RegisterOfflineError):
        return Hop(number=3, text="3: the register is offline, so the order isn't on it")
    if error is None:
        return Hop(number=3, text="3: the platform has it, the register doesn't show it")
    if error.operation == "precheck":
        text = "2: it doesn't fit the platform's menu, so it isn't on the register"
    elif error.outcome is Outcome.NOT_CREATED:
        text = "2: the platform doesn't have it, so it can't be on the register"
    else:
        text = "2: it isn't certain that the platform has it; the register doesn't show it"
    return Hop(number=2, text=text)


# --- running ---


@dataclass(frozen=True)
class _Observed:
    """What was observed while a scenario ran.

    `entries` are the ledger's entries of the order, `requests` and `faults` count the requests of
    its submission and the faults among them.
    """

    pos_order: PosOrder | None
    error: PosError | None
    entries: Sequence[LedgerEntry]
    requests: int
    faults: int
    menu_imported: bool
    menu: Menu | None

    @property
    def shown(self) -> list[LedgerEntry]:
        """The entries that the register shows."""
        return [entry for entry in self.entries if entry.shown]

    @property
    def withdrawn(self) -> bool:
        """Whether the order was created and then withdrawn before staff saw it."""
        return any(entry.cancelled and not entry.shown for entry in self.entries)


def _run(
    adapter: type[Adapter[Any]], running: Running[S], scenario: Scenario[S], menu: Menu | None
) -> _Observed:
    """Run one scenario, with the menu that was imported last."""
    simulator = running.simulator
    watcher = Watcher()
    settings = adapter.settings.model_validate({**running.settings, **scenario.settings})
    connection = Connection(adapter(settings), policy=scenario.policy, hooks=[watcher])
    pos_order: PosOrder | None = None
    error: PosError | None = None
    with Till(connection) as till:
        till.menu = menu
        if adapter.needs_menu and menu is None:
            till.import_menu()
        scenario.provoke(simulator)
        if scenario.import_menu_first:
            till.import_menu()
        # Only imports that the submission itself starts count.
        watcher.imports.clear()
        simulator.set_faults(FaultPlan(rules=scenario.faults))
        requests_before = simulator.count()
        try:
            pos_order = till.submit(scenario.order)
        except PosError as submit_error:
            error = submit_error
        requests = simulator.count() - requests_before
        faults = len(simulator.faults)
        simulator.set_faults(FaultPlan())
        if pos_order and scenario.staff:
            scenario.staff(simulator)
            pos_order = till.fetch(pos_order)
        entries = simulator.ledger().for_reference(scenario.order.id)
        scenario.restore(simulator)
        return _Observed(
            pos_order=pos_order,
            error=error,
            entries=entries,
            requests=requests,
            faults=faults,
            menu_imported=bool(watcher.imports),
            menu=till.menu,
        )


# --- describing ---


def _result(scenario: Scenario[S], observed: _Observed) -> ScenarioResult:
    error = observed.error
    acts = scenario.acts
    if error:
        acts = f"{ACTORS[error.remedy.actor]}: {error.remedy.manager}"
    return ScenarioResult(
        name=scenario.name,
        provoked=scenario.provoked,
        expected=scenario.expected,
        happened=_happened(scenario, observed),
        hop=hop_of(error, shown=bool(observed.shown)),
        error=type(error).__name__ if error else "",
        remedy=error.remedy if error else None,
        acts=acts,
        as_expected=_is_as_expected(scenario, observed),
    )


def _is_as_expected(scenario: Scenario[S], observed: _Observed) -> bool:
    error_type = type(observed.error) if observed.error else None
    if error_type is not scenario.error:
        return False
    expected_shown = scenario.error is None if scenario.shown is None else scenario.shown
    if len(observed.shown) != int(expected_shown):
        return False
    if observed.faults != len(scenario.faults):
        return False
    readable = _readable_for_staff(observed)
    return all(text in readable for text in scenario.staff_reads)


def _happened(scenario: Scenario[S], observed: _Observed) -> str:
    pos_order = observed.pos_order
    facts: list[str] = []
    if observed.shown:
        facts.append(_on_register(observed.shown))
    if observed.error:
        facts.append(str(observed.error))
    if not facts:
        facts.append("Not on the register")
    if observed.faults:
        facts.append(f"{observed.faults} of {observed.requests} requests went wrong")
    if observed.menu_imported:
        facts.append("the menu was re-imported automatically")
    if observed.withdrawn:
        facts.append("the order was created and withdrawn again")
    if pos_order and scenario.staff:
        facts.append(f"staff act, and its status is then {pos_order.status}")
    if pos_order:
        facts += pos_order.notices
    return "; ".join(fact for fact in facts if fact)


def _on_register(shown: Sequence[LedgerEntry]) -> str:
    paid = ", ".join(f"{format_money(entry.paid, entry.currency)} paid" for entry in shown)
    times = "once" if len(shown) == 1 else f"{len(shown)} times"
    return f"On the register {times}, {paid}"


def _readable_for_staff(observed: _Observed) -> str:
    """Return the order's texts on the register, its status, and the remedy's text."""
    texts: list[str] = []
    for entry in observed.shown:
        texts += [entry.ticket_name, entry.note]
        texts += [line.name for line in entry.lines]
    if observed.error:
        texts.append(observed.error.remedy.manager)
    if observed.pos_order:
        texts.append(observed.pos_order.status)
    return "\n".join(texts)
