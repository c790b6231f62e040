"""The hooks that a plugin may implement, readable in a minute.

A plugin marks its functions with `@tillpost.hookimpl` and takes the arguments that it wants by
name. It registers its module under the entry-point group `tillpost`, or is handed to
`Till.connect(hooks=[...])`. An exception in a hook is logged; it changes neither an order's fate
nor another plugin's turn. Under `AsyncTill` a hook may be async.

A hook runs while its order is being submitted, so it can't submit or cancel the same order through
the same Till, and one that is called for a menu import can't import the menu: that would wait for
itself, and raises `RuntimeError`. Other orders may be submitted.

A hook should return within a second: hand what takes longer to a queue of your own. One that blocks
holds what calls it, such as a submission by a `Till`. A worker waits for the hooks of an order for
a second, logs those that haven't returned, and goes on: a hook that never returns stops no other
order. Of one connection 16 calls run at once, of all connections 64; others are dropped, and
logged. Only hooks of a menu import are waited for, as a part of the import.
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
    """Return the adapter classes that this plugin provides."""


@hookspec
def tillpost_connections() -> object:
    """Return a `tillpost.outbox.ConnectionSource`: connections from your own database.

    Every worker, webhook receiver and command knows them then, beside those of the TOML file and of
    the outbox's database. If one of these has a connection of the same name, that one counts, and a
    warning says so. Called once a process; if it raises, orders of its connections wait, and it is
    called again.
    """


@hookspec
def register_commands(cli: object) -> None:
    """Add commands to the `tillpost` command; `cli` is its Typer application."""


@hookspec
def outbox_engines() -> Mapping[str, Callable[[], object]]:  # type: ignore[empty-body]
    """Return a factory for each outbox engine of this plugin, by the engine's name.

    A factory returns a `tillpost.outbox.engine.Engine`.
    """


@hookspec
def platform_simulators() -> Mapping[str, Callable[..., object]]:  # type: ignore[empty-body]
    """Return a factory for each platform's simulator, by the platform's name.

    A factory takes `faults`, a `FaultPlan` or None, and returns a `tillpost.simulator.Simulator`.
    It may take `items`, too: how many items the menu has beside its usual ones. And it may take
    `settings`: texts by the settings' names. It raises a `ValueError` for one that isn't right.
    """


@hookspec
def demo_scenarios() -> Mapping[str, Callable[[], Sequence[object]]]:  # type: ignore[empty-body]
    """Return a factory for each platform's `tillpost demo`, by the platform's name.

    A factory returns a sequence of `tillpost.demo.scenarios.Scenario`. The platform needs a
    simulator, too.
    """


@hookspec
def reimport_menu(connection: str) -> Menu | None:
    """Return a menu from your own import; None leaves it to the adapter.

    The first menu counts.
    """


@hookspec
def order_submitted(connection: str, order: Order, pos_order: PosOrder) -> None:
    """The platform has the order."""


@hookspec
def order_failed(connection: str, order: Order, error: PosError) -> None:
    """The order can't be delivered for now. `error.remedy` says who must act."""


@hookspec
def menu_error(connection: str, order: Order, error: PosError) -> None:
    """The order doesn't fit the menu. A menu import follows automatically."""


@hookspec
def menu_imported(connection: str, menu: Menu, changes: MenuChanges) -> None:
    """The menu was imported. `changes` lists the differences from the previous one."""


@hookspec
def menu_import_held(connection: str, menu: Menu, changes: MenuChanges) -> None:
    """A menu import would remove so much that it waits for a person's review."""


@hookspec
def outage_began(connection: str, outage: Outage) -> None:
    """Orders of this connection keep failing. `outage` has its owner and the evidence."""


@hookspec
def outage_ended(connection: str, outage: Outage) -> None:
    """The outage is over. The waiting orders are sent now."""


@hookspec
def order_parked(connection: str, order: Order, error: PosError) -> None:
    """The order waits for a person.

    Either the store has to be reconnected, or workers crashed while they processed the order.
    """


@hookspec
def order_status_changed(
    connection: str, order: Order | None, state: str, progress: Progress
) -> None:
    """The order's state at the POS or its progress has changed.

    Called after a person's action, a webhook, or a poll. `state` is a value of `OrderState`;
    `order` is None once the customer's data was erased.
    """


@hookspec
def ticket_made(connection: str, order: Order, ticket: PosOrder) -> None:
    """An attention ticket was made at the register. The order itself stays in error."""


@hookspec
def ticket_left(connection: str, order: Order, ticket: PosOrder | None) -> None:
    """The order's attention ticket is no longer needed, but couldn't be withdrawn.

    Staff have to make sure that the order is cooked once. `ticket` is None when it isn't known
    whether a ticket was made.
    """


@hookspec
def order_rejected(connection: str, order: Order | None, pos_order: PosOrder) -> None:
    """Staff rejected or cancelled the order at the register.

    Inform the customer, and refund `order.paid`: the whole of a paid order, the payments of one
    that has an `amount_due` too, and nothing of an unpaid one.
    """


@hookspec
def order_unseen(connection: str, order: Order | None, pos_order: PosOrder) -> None:
    """The platform has the order, but the register hasn't shown it.

    That has lasted for `[outbox] unseen_after`. Called once for an order. For a scheduled order,
    time counts from 30 minutes before it is due, since a register may not show it any earlier.
    """


@hookspec
def order_escalated(
    connection: str, order: Order | None, error: PosError | None, times: int
) -> None:
    """Nobody has acted on the order's problem for `[outbox] escalate_after`.

    `times` is 1 then, and 2 after twice as long.
    """


@hookspec
def store_availability_changed(connection: str, availability: Availability) -> None:
    """The store has started or stopped taking online orders."""


@hookspec
def connection_restored(connection: str) -> None:
    """The connection works again. Its waiting orders are sent."""


@hookspec
def reauthorisation_needed(connection: str, error: PosError) -> None:
    """The platform refuses our credentials. The store has to be reconnected."""
