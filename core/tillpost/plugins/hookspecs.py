"""What can be plugged into Tillpost, readable in a minute.

A plugin marks its functions with `@tillpost.hookimpl`, takes the arguments that it wants by name,
and registers its module under the entry-point group `tillpost` (or hands an object to
`Till.connect(hooks=[...])`). A hook that raises is logged; it changes neither an order's fate nor
another plugin's turn. Under `AsyncTill` a hook may be async. A hook runs while its order is being
submitted, so it must not submit the same order or import the menu itself: it would wait for its own
end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pluggy

from tillpost.adapter.base import Adapter
from tillpost.adapter.registration import hookimpl
from tillpost.errors import PosError
from tillpost.menus.diff import MenuChanges
from tillpost.models.availability import Availability
from tillpost.models.menu import Menu
from tillpost.models.order import Order, PosOrder, Progress
from tillpost.models.outage import Outage

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("tillpost")


@hookspec
def tillpost_adapters() -> Sequence[type[Adapter[Any]]]:  # type: ignore[empty-body]
    """Return the adapter classes that this plugin brings."""


@hookspec
def register_commands(cli: object) -> None:
    """Add commands to the `tillpost` command; `cli` is its Typer application."""


@hookspec
def outbox_engines() -> Mapping[str, Callable[[], object]]:  # type: ignore[empty-body]
    """Return what makes each outbox engine that this plugin brings, by name (see `tillpost.outbox.engine.Engine`)."""


@hookspec
def platform_simulators() -> Mapping[str, Callable[..., object]]:  # type: ignore[empty-body]
    """Return what makes each platform's simulator, by the platform's name.

    It is called with `faults`, a `FaultPlan` or None, and returns a `tillpost.simulator.Simulator`.
    """


@hookspec
def demo_scenarios() -> Mapping[str, Callable[[], Sequence[object]]]:  # type: ignore[empty-body]
    """Return what makes each platform's scenarios for `tillpost demo`, by the platform's name.

    A scenario is a `tillpost.demo.scenarios.Scenario`. The platform needs a simulator, too.
    """


@hookspec
def reimport_menu(connection: str) -> Menu | None:
    """Run your own menu import and return the menu; None leaves it to the adapter. The first result counts."""


@hookspec
def order_submitted(connection: str, order: Order, pos_order: PosOrder) -> None:
    """The platform has the order."""


@hookspec
def order_failed(connection: str, order: Order, error: PosError) -> None:
    """The order can't be delivered for now; `error` says who must act."""


@hookspec
def menu_error(connection: str, order: Order, error: PosError) -> None:
    """The order and the menu don't fit. A menu import follows by itself."""


@hookspec
def menu_imported(connection: str, menu: Menu, changes: MenuChanges) -> None:
    """The menu was imported; `changes` says what differs from the one before."""


@hookspec
def menu_import_held(connection: str, menu: Menu, changes: MenuChanges) -> None:
    """An import would have removed so much that it waits for a person."""


@hookspec
def outage_began(connection: str, outage: Outage) -> None:
    """Orders of this connection fail in a row because of an outage; `outage` says whose it is, with the evidence."""


@hookspec
def outage_ended(connection: str, outage: Outage) -> None:
    """The outage is over; the orders that waited go now."""


@hookspec
def order_parked(connection: str, order: Order, error: PosError) -> None:
    """The order waits for a person: to connect the store again, or to look at an order that workers died with."""


@hookspec
def order_status_changed(
    connection: str, order: Order | None, state: str, progress: Progress
) -> None:
    """The order stands elsewhere at the POS, or the customer may be told something new. `order` is None once erased.

    `state` is an `OrderState`'s word. Called by whoever learns it: by a person's act, a webhook or
    a look.
    """


@hookspec
def ticket_made(connection: str, order: Order, ticket: PosOrder) -> None:
    """An attention ticket at the register spells out an order that can't be delivered. The order stays in error."""


@hookspec
def ticket_left(connection: str, order: Order, ticket: PosOrder | None) -> None:
    """The order's ticket isn't needed any more and couldn't be withdrawn: staff see to it that it is cooked once.

    `ticket` is None when it isn't known whether it was made.
    """


@hookspec
def order_rejected(connection: str, order: Order | None, pos_order: PosOrder) -> None:
    """Staff turned the order down at the register, or cancelled it there: the customer's money has to go back."""


@hookspec
def order_unseen(connection: str, order: Order | None, pos_order: PosOrder) -> None:
    """The platform has had the order for `[outbox] unseen_after`, and the register has shown no sign of it. Once.

    Of a scheduled order that is counted from 30 minutes before it is due, since it may not be shown
    any earlier.
    """


@hookspec
def order_escalated(
    connection: str, order: Order | None, error: PosError | None, times: int
) -> None:
    """Nobody has acted on the order's problem for `[outbox] escalate_after` (`times` 1), or for twice as long (2)."""


@hookspec
def store_availability_changed(connection: str, availability: Availability) -> None:
    """The store takes online orders now, or takes none any more."""


@hookspec
def connection_restored(connection: str) -> None:
    """The connection works again, and its orders go on."""


@hookspec
def reauthorisation_needed(connection: str, error: PosError) -> None:
    """The platform no longer lets us in; somebody has to connect it again."""
