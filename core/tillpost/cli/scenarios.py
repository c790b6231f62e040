"""What an adapter's demo is made of: a table of scenarios, and the loop that plays them on the platform's simulator.

An adapter names a function that returns its table in `Adapter.demo` ("package.module:function"). A scenario says what
is provoked and what is expected; `play` submits its order through a real Till over HTTP, looks at the simulator's
ledger, and tells what happened, at which hop, and who must act. Nothing here is about any one platform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tillpost.adapter import Adapter
from tillpost.cli.connecting import Watcher
from tillpost.errors import Outcome, PosError, RegisterOfflineError
from tillpost.money import format_money
from tillpost.order import Order, PosOrder
from tillpost.recovery import Policy
from tillpost.remedies import Remedy
from tillpost.simulator import FaultPlan, FaultRule, LedgerEntry, Running, Simulator
from tillpost.till import Options, Till
from tillpost.words import Word

__all__ = ["Hop", "Played", "Scenario", "hop_of", "play"]

S = TypeVar("S", bound=Simulator)


def _nothing(_: Any) -> None:
    """Leave the simulator as it is."""


@dataclass(frozen=True)
class Scenario(Generic[S]):
    """One order and the trouble on its way.

    `provoked` and `expected` are sentences. `provoke` brings the trouble about, `menu_first` has the menu imported
    after that, `faults` strike the order's requests, and `mend` ends what the next order shouldn't meet. Without an
    `error` the order has to arrive. `tells` are words that staff must be able to read: on the order or in the remedy.
    """

    name: str
    provoked: str
    expected: str
    order: Order
    provoke: Callable[[S], object] = _nothing
    mend: Callable[[S], object] = _nothing
    faults: tuple[FaultRule, ...] = ()
    menu_first: bool = False
    policy: Policy = field(default_factory=Policy)
    error: type[PosError] | None = None
    tells: tuple[str, ...] = ()


class Hop(Word):
    """Where an order is stuck: 1 on the site, 2 from the site to the platform, 3 from the platform to the register.

    `number` is None when it isn't stuck.
    """

    number: int | None = None
    text: str


class Played(Word):
    """How a scenario went. `remedy` is None when nobody has to act; `error` is the kind of error, empty for none."""

    name: str
    provoked: str
    expected: str
    happened: str
    hop: Hop
    error: str = ""
    remedy: Remedy | None = None
    as_expected: bool


def hop_of(error: PosError | None, *, shown: bool) -> Hop:
    """Say where an order is stuck, given the error it ended with and whether the register shows it."""
    if shown:
        return Hop(text="none: it is on the register")
    if error is None or isinstance(error, RegisterOfflineError):
        return Hop(number=3, text="3: the platform has it, the register doesn't show it")
    if error.operation == "precheck":
        return Hop(number=2, text="2: it doesn't fit the platform's menu, so it isn't on the register")
    if error.outcome is Outcome.NOT_CREATED:
        return Hop(number=2, text="2: the platform doesn't have it, so it can't be on the register")
    return Hop(number=2, text="2: it isn't certain that the platform has it; the register doesn't show it")


def play(adapter: type[Adapter[Any]], running: Running[S], scenarios: Sequence[Scenario[S]]) -> Iterator[Played]:
    """Play the scenarios one after the other, all in the same simulated store."""
    for scenario in scenarios:
        yield _played(adapter, running, scenario)


def _played(adapter: type[Adapter[Any]], running: Running[S], scenario: Scenario[S]) -> Played:
    simulator, watcher = running.simulator, Watcher()
    connected = adapter(adapter.settings.model_validate(dict(running.settings)))
    pos_order: PosOrder | None = None
    error: PosError | None = None
    with Till(connected, Options(policy=scenario.policy, hooks=[watcher])) as till:
        scenario.provoke(simulator)
        if scenario.menu_first:
            till.import_menu()
            watcher.imports.clear()
        simulator.set_faults(FaultPlan(rules=scenario.faults))
        before = simulator.count()
        try:
            pos_order = till.submit(scenario.order)
        except PosError as refused:
            error = refused
        sent, struck = simulator.count() - before, len(simulator.faults)
        simulator.set_faults(FaultPlan())
        scenario.mend(simulator)
    entries = simulator.ledger().for_reference(scenario.order.id)
    shown = [entry for entry in entries if entry.shown]
    right = (
        (type(error) if error else None) is scenario.error
        and len(shown) == (0 if scenario.error else 1)
        and struck == len(scenario.faults)
        and all(words in _for_staff(shown, error) for words in scenario.tells)
    )
    facts = (
        _ending(error, shown),
        f"{struck} of {sent} requests went wrong" if struck else "",
        "the menu was imported again by itself" if watcher.imports else "",
        "what had been made was withdrawn" if any(entry.cancelled for entry in entries) else "",
        *(pos_order.notices if pos_order else ()),
    )
    return Played(
        name=scenario.name,
        provoked=scenario.provoked,
        expected=scenario.expected,
        happened="; ".join(fact for fact in facts if fact),
        hop=hop_of(error, shown=bool(shown)),
        error=type(error).__name__ if error else "",
        remedy=error.remedy if error else None,
        as_expected=right,
    )


def _ending(error: PosError | None, shown: Sequence[LedgerEntry]) -> str:
    there = ", ".join(f"{format_money(entry.paid, entry.currency)} paid" for entry in shown)
    times = f"On the register {'once' if len(shown) == 1 else f'{len(shown)} times'}, {there}" if shown else ""
    return " ".join(part for part in (times, str(error) if error else "") if part) or "Not on the register"


def _for_staff(shown: Sequence[LedgerEntry], error: PosError | None) -> str:
    on_order = [
        text for entry in shown for text in (entry.ticket_name, entry.note, *(line.name for line in entry.lines))
    ]
    return "\n".join((*on_order, error.remedy.manager if error else ""))
