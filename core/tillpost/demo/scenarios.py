"""What a demo scenario is, and building blocks for plugins' tables of scenarios.

A plugin returns its table by the hook `demo_scenarios`. A scenario is one order, and the trouble
that is provoked on its way; `tillpost.demo.run` submits the order. Nothing here is about any one
platform: `paid_order` makes orders for what every simulated café sells, and `stale_menu` and
`sold_out` are the scenarios that all platforms share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from tillpost.errors import MenuError, PosError
from tillpost.models.order import Customer, Line, Modifier, Order, Payment
from tillpost.simulator import Fault, FaultKind, FaultRule, Simulator
from tillpost.submission.policy import Policy

__all__ = ["LUNCH", "Scenario", "paid_order", "post_fault", "sold_out", "stale_menu"]

S = TypeVar("S", bound=Simulator)


def _do_nothing(_: Any) -> None:
    """Leave the simulator as it is."""


@dataclass(frozen=True)
class Scenario(Generic[S]):
    """One order, and the trouble on its way.

    Attributes:
        name: The title.
        provoked: A sentence that says what is provoked.
        expected: A sentence that says what is expected.
        order: The order.
        provoke: Provokes the trouble, before the order is submitted.
        staff: What staff do with the order once it was submitted.
        restore: Ends the trouble, so that the next order doesn't meet it.
        settings: Settings of the connection that differ from the usual ones.
        faults: Faults that strike the order's requests.
        import_menu_first: Whether the menu is imported after the trouble was provoked.
        policy: The policy of the connection.
        error: The error that is expected, or None when the order must arrive.
        shown: Whether the register shows the order in the end; None when that follows from `error`.
        staff_reads: Texts that staff must be able to read, on the order or in the remedy, or the
            platform's own term for the order's status.
        acts: Who must act, where no error says so.
    """

    name: str
    provoked: str
    expected: str
    order: Order
    provoke: Callable[[S], object] = _do_nothing
    staff: Callable[[S], object] | None = None
    restore: Callable[[S], object] = _do_nothing
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    faults: tuple[FaultRule, ...] = ()
    import_menu_first: bool = False
    policy: Policy = field(default_factory=Policy)
    error: type[PosError] | None = None
    shown: bool | None = None
    staff_reads: tuple[str, ...] = ()
    acts: str = "nobody"


# --- orders ---

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

_LONG_BLACK = Line(item_id="7310", sku="LB-R", name="Long black", quantity=1, unit_price=500)
_MUFFIN = Line(item_id="6105", name="Blueberry muffin", quantity=1, unit_price=520)


def paid_order(number: int, lines: tuple[Line, ...] = LUNCH, **fields: Any) -> Order:
    """Return an order that is placed now and paid in full.

    Args:
        number: The number in its reference, `demo-NUMBER`.
        lines: Its lines.
        **fields: Its other fields.
    """
    total = sum(line.total for line in lines)
    total += sum(charge.amount for charge in fields.get("charges", ()))
    total += fields.get("tip", 0)
    total -= sum(discount.amount for discount in fields.get("discounts", ()))
    return Order(
        id=f"demo-{number}",
        code=f"D{number}",
        placed_at=datetime.now(UTC),
        currency="AUD",
        customer=Customer(name="Mia Chen", phone="+61400111222"),
        lines=lines,
        payments=(Payment(method="card", amount=total),),
        **fields,
    )


# --- scenarios that platforms share ---


def stale_menu(number: int, recreate: Callable[[S], object], **fields: Any) -> Scenario[S]:
    """Return the scenario of a stale menu.

    Args:
        number: The order's number.
        recreate: Gives the long black another id.
        **fields: Other fields of the scenario.
    """
    return Scenario(
        name="A stale menu",
        provoked="The store recreates its long black, so the id in the order no longer exists.",
        expected="The menu is imported, the line gets the new id, and the order is sent again.",
        order=paid_order(number, (_LONG_BLACK,)),
        provoke=recreate,
        staff_reads=("Long black",),
        **fields,
    )


def sold_out(number: int, set_sold_out: Callable[[S, bool], object]) -> Scenario[S]:
    """Return the scenario of an item that is sold out.

    Args:
        number: The order's number.
        set_sold_out: Marks the muffins as sold out, or as available again.
    """
    return Scenario(
        name="Something sold out",
        provoked="The store marks its muffins as sold out.",
        expected="The order isn't sent, and a MenuError names the muffin.",
        order=paid_order(number, (_MUFFIN,)),
        provoke=lambda simulator: set_sold_out(simulator, True),
        restore=lambda simulator: set_sold_out(simulator, False),
        import_menu_first=True,
        error=MenuError,
        staff_reads=("Blueberry muffin (line 1)", "sold out"),
    )


def post_fault(kind: FaultKind, path: str, **fields: Any) -> FaultRule:
    """Return a rule that strikes the next POST to the path.

    Args:
        kind: The kind of fault.
        path: A regular expression for the path.
        **fields: Other fields of the fault.
    """
    return FaultRule(method="POST", path=path, fault=Fault(kind=kind, **fields))
