"""What an adapter's demo is made of: a table of scenarios, and the loop that plays them on the platform's simulator.

An adapter names a function that returns its table in `Adapter.demo` ("package.module:function"). A
scenario says what is provoked and what is expected; `play` submits its order through a real Till
over HTTP, looks at the simulator's ledger, and tells what happened, at which hop, and who must act.
Nothing here is about any one platform. `paid` makes the orders, of what every simulated café sells;
`drifted` and `sold_out` are the scenarios that are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from tillpost.adapter.base import Adapter
from tillpost.client.hooks import Watcher
from tillpost.client.sync import Till
from tillpost.errors import MenuError, Outcome, PosError, RegisterOfflineError
from tillpost.errors.remedies import ACTORS, Remedy
from tillpost.models.base import FrozenModel
from tillpost.models.menu import Menu
from tillpost.models.money import format_money
from tillpost.models.order import Customer, Line, Modifier, Order, Payment, PosOrder
from tillpost.simulator import (
    Fault,
    FaultKind,
    FaultPlan,
    FaultRule,
    LedgerEntry,
    Running,
    Simulator,
)
from tillpost.submission.context import Connection
from tillpost.submission.policy import Policy

__all__ = [
    "LUNCH",
    "Hop",
    "Played",
    "Scenario",
    "drifted",
    "hop_of",
    "paid",
    "play",
    "post_fault",
    "sold_out",
]

S = TypeVar("S", bound=Simulator)


def _nothing(_: Any) -> None:
    """Leave the simulator as it is."""


@dataclass(frozen=True)
class Scenario(Generic[S]):
    """One order and the trouble on its way.

    `provoked` and `expected` are sentences. `provoke` brings the trouble about, `menu_first` has
    the menu imported after that, `faults` strike the order's requests, `staff` is what people do
    with the order once it was sent, and `mend` ends what the next order shouldn't meet. Without an
    `error` the order has to arrive; `shown` says whether the register shows it in the end, where
    that doesn't follow. `tells` are words that staff must be able to read: on the order or in the
    remedy; or the platform's own word for the order's status. `acts` says who must act where there
    is no error to say so. `settings` differ from the usual ones.
    """

    name: str
    provoked: str
    expected: str
    order: Order
    provoke: Callable[[S], object] = _nothing
    staff: Callable[[S], object] | None = None
    mend: Callable[[S], object] = _nothing
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    faults: tuple[FaultRule, ...] = ()
    menu_first: bool = False
    policy: Policy = field(default_factory=Policy)
    error: type[PosError] | None = None
    shown: bool | None = None
    tells: tuple[str, ...] = ()
    acts: str = "nobody"


class Hop(FrozenModel):
    """Where an order is stuck: 1 on the site, 2 from the site to the platform, 3 from the platform to the register.

    `number` is None when it isn't stuck.
    """

    number: int | None = None
    text: str


class Played(FrozenModel):
    """How a scenario went. `error` is the kind of error, empty for none; `remedy` and `acts` say who must act."""

    name: str
    provoked: str
    expected: str
    happened: str
    hop: Hop
    error: str = ""
    remedy: Remedy | None = None
    acts: str
    as_expected: bool


def hop_of(error: PosError | None, *, shown: bool) -> Hop:
    """Say where an order is stuck, given the error it ended with and whether the register shows it."""
    if shown:
        return Hop(text="none: it is on the register")
    if isinstance(error, RegisterOfflineError):
        return Hop(number=3, text="3: the register is offline, so the order isn't on it")
    if error is None:
        return Hop(number=3, text="3: the platform has it, the register doesn't show it")
    if error.operation == "precheck":
        return Hop(
            number=2, text="2: it doesn't fit the platform's menu, so it isn't on the register"
        )
    if error.outcome is Outcome.NOT_CREATED:
        return Hop(number=2, text="2: the platform doesn't have it, so it can't be on the register")
    return Hop(
        number=2, text="2: it isn't certain that the platform has it; the register doesn't show it"
    )


def play(
    adapter: type[Adapter[Any]], running: Running[S], scenarios: Sequence[Scenario[S]]
) -> Iterator[Played]:
    """Play the scenarios one after the other, all in the same simulated store.

    An adapter that needs a menu for every order is handed the one that was imported last, as a site
    would keep it.
    """
    kept: Menu | None = None
    for scenario in scenarios:
        played, menu = _played(adapter, running, scenario, kept)
        kept = menu if adapter.needs_menu else None
        yield played


def _played(
    adapter: type[Adapter[Any]], running: Running[S], scenario: Scenario[S], kept: Menu | None
) -> tuple[Played, Menu | None]:
    """Return how the scenario went, and the menu as it was last imported."""
    simulator, watcher = running.simulator, Watcher()
    connected = adapter(adapter.settings.model_validate({**running.settings, **scenario.settings}))
    pos_order: PosOrder | None = None
    error: PosError | None = None
    with Till(Connection(connected, policy=scenario.policy, hooks=[watcher])) as till:
        till.menu = kept
        if adapter.needs_menu and kept is None:
            till.import_menu()
            watcher.imports.clear()
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
        if pos_order and scenario.staff:
            scenario.staff(simulator)
            pos_order = till.fetch(pos_order)
        entries = simulator.ledger().for_reference(scenario.order.id)
        scenario.mend(simulator)
        menu = till.menu
    shown = [entry for entry in entries if entry.shown]
    right = (
        (type(error) if error else None) is scenario.error
        and len(shown) == int(not scenario.error if scenario.shown is None else scenario.shown)
        and struck == len(scenario.faults)
        and all(words in _for_staff(shown, error, pos_order) for words in scenario.tells)
    )
    facts = (
        _ending(error, shown),
        f"{struck} of {sent} requests went wrong" if struck else "",
        "the menu was imported again by itself" if watcher.imports else "",
        "what had been made was withdrawn"
        if any(entry.cancelled and not entry.shown for entry in entries)
        else "",
        f"staff act, and its status is then {pos_order.status}"
        if pos_order and scenario.staff
        else "",
        *(pos_order.notices if pos_order else ()),
    )
    told = Played(
        name=scenario.name,
        provoked=scenario.provoked,
        expected=scenario.expected,
        happened="; ".join(fact for fact in facts if fact),
        hop=hop_of(error, shown=bool(shown)),
        error=type(error).__name__ if error else "",
        remedy=error.remedy if error else None,
        acts=f"{ACTORS[error.remedy.actor]}: {error.remedy.manager}" if error else scenario.acts,
        as_expected=right,
    )
    return told, menu


def _ending(error: PosError | None, shown: Sequence[LedgerEntry]) -> str:
    there = ", ".join(f"{format_money(entry.paid, entry.currency)} paid" for entry in shown)
    times = (
        f"On the register {'once' if len(shown) == 1 else f'{len(shown)} times'}, {there}"
        if shown
        else ""
    )
    return (
        "; ".join(part for part in (times, str(error) if error else "") if part)
        or "Not on the register"
    )


def _for_staff(
    shown: Sequence[LedgerEntry], error: PosError | None, pos_order: PosOrder | None
) -> str:
    on_order = [
        text
        for entry in shown
        for text in (entry.ticket_name, entry.note, *(line.name for line in entry.lines))
    ]
    return "\n".join(
        (*on_order, error.remedy.manager if error else "", pos_order.status if pos_order else "")
    )


LUNCH = (
    Line(
        item_id="7302",
        sku="FW-R",
        name="Flat white",
        quantity=2,
        unit_price=550,
        modifiers=(Modifier(modifier_id="228", name="Oat milk", unit_price=80),),
    ),
    Line(item_id="5312", sku="BLT", name="BLT toastie", quantity=1, unit_price=1450),
)
"""Two flat whites with oat milk and a toastie, which every simulated café sells."""


def paid(number: int, lines: tuple[Line, ...] = LUNCH, **more: Any) -> Order:
    """Return an order for these lines, placed now and paid in full; `more` are its other fields."""
    added = sum(charge.amount for charge in more.get("charges", ())) + more.get("tip", 0)
    off = sum(discount.amount for discount in more.get("discounts", ()))
    return Order(
        id=f"demo-{number}",
        code=f"D{number}",
        placed_at=datetime.now(UTC),
        currency="AUD",
        customer=Customer(name="Mia Chen", phone="+61400111222"),
        lines=lines,
        payments=(Payment(method="card", amount=sum(line.total for line in lines) + added - off),),
        **more,
    )


def drifted(number: int, provoke: Callable[[S], object], **more: Any) -> Scenario[S]:
    """Return the scenario in which the store makes its long black anew, as `provoke` does; `more` are other fields."""
    return Scenario(
        name="A menu that has drifted",
        provoked="The store makes its long black anew, so the id that the order names is gone.",
        expected="The menu is imported, the line is bound to the new id, and the order is sent once more.",
        order=paid(
            number,
            (Line(item_id="7310", sku="LB-R", name="Long black", quantity=1, unit_price=500),),
        ),
        provoke=provoke,
        tells=("Long black",),
        **more,
    )


def sold_out(number: int, sell_out: Callable[[S, bool], object]) -> Scenario[S]:
    """Return the scenario in which muffins are sold out, as `sell_out` has it, and then available again."""
    return Scenario(
        name="Something sold out",
        provoked="The store marks its muffins as sold out.",
        expected="The order isn't sent, and a MenuError names the muffin.",
        order=paid(
            number, (Line(item_id="6105", name="Blueberry muffin", quantity=1, unit_price=520),)
        ),
        provoke=lambda simulator: sell_out(simulator, True),
        mend=lambda simulator: sell_out(simulator, False),
        menu_first=True,
        error=MenuError,
        tells=("Blueberry muffin (line 1)", "sold out"),
    )


def post_fault(kind: FaultKind, path: str, **more: Any) -> FaultRule:
    """Return the rule that hits the next POST to the path; `more` are the fault's other fields."""
    return FaultRule(method="POST", path=path, fault=Fault(kind=kind, **more))
