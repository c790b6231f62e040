"""What must be true at the end of a scenario.

Nothing is lost, doubled, half done or silently altered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulation.clocks import Stage
from simulation.stores import is_live
from tillpost.errors import Outcome
from tillpost.models.order import Progress
from tillpost.outbox.operations.orders import ActError, OrderOperations
from tillpost.outbox.orders.models import OrderState, StoredOrder

if TYPE_CHECKING:
    from simulation.scenario import Added, Scenario
    from simulation.stores import Store
    from tillpost.simulator import LedgerEntry

LEAVE_NO_DOUBT = {"payments refused", "menus", "prunes", "webhooks", "locked", "leaps", "skew"}
"""The kinds of trouble during which each request is answered, and its sender goes on."""


def wrongs(scenario: Scenario) -> list[str]:
    """Return how a scenario's end breaks the promises."""
    found: list[str] = []
    for order_id, added in scenario.orders.items():
        stored = _stored(scenario, order_id)
        if isinstance(stored, str):
            found.append(f"lost: {order_id} {stored}")
            continue
        store = scenario.stores[added.store]
        entries = store.entries(order_id)
        live = [entry for entry in entries if is_live(entry)]
        wrong = _half_done(added, stored, entries) or _wrong(scenario, added, stored, store, live)
        if wrong:
            found.append(f"{wrong} [{order_id} {describe(stored)}]")
    return found


def _half_done(added: Added, stored: StoredOrder, entries: Sequence[LedgerEntry]) -> str:
    """Return whether a draft is left that no person is asked to look for.

    An order that is given up in doubt may leave one: its error says that it may exist, and sending
    it again finishes the draft. So may one that a person took over in doubt, and one whose row
    can't be read.
    """
    is_left = any(entry.half_done for entry in entries)
    is_in_doubt = stored.error is not None and stored.error.outcome is Outcome.UNKNOWN
    may_be_left = stored.state is OrderState.ERROR or added.poisoned
    is_known = stored.state is OrderState.MANUAL or (may_be_left and is_in_doubt)
    return "half done" if is_left and not is_known else ""


def states(scenario: Scenario) -> list[str]:
    """Return the state in which each order ended."""
    rows = scenario.runner.raw.execute("SELECT state FROM tillpost_orders").fetchall()
    return [state for (state,) in rows]


def describe(stored: StoredOrder) -> str:
    """Describe an order in a line."""
    error = stored.error
    if error is None:
        return stored.state.value
    return f"{stored.state.value} {error.kind} {error.outcome.value}: {error.detail}"


def _stored(scenario: Scenario, order_id: str) -> StoredOrder | str:
    try:
        stored = scenario.web.outbox.get(order_id)
    except Exception as failure:  # noqa: BLE001  whatever it is, nobody can see the order
        return f"can't be read: {type(failure).__name__}"
    return stored or "isn't in the outbox"


def _wrong(
    scenario: Scenario, added: Added, stored: StoredOrder, store: Store, live: list[LedgerEntry]
) -> str:
    was_ended = stored.id in store.ended
    if len(live) > 1:
        return "twice"
    match stored.state:
        case OrderState.SENDING:
            return "lost: it is claimed for good"
        case OrderState.DUE:
            return "lost: it stays due"
        case OrderState.RECEIVED | OrderState.ACCEPTED:
            if live:
                return _wrong_content(added, stored, live[0]) or _held_up(scenario, added, store)
            return "" if was_ended or added.lost_at_pos else "lost: the register has nothing"
        case OrderState.ERROR:
            return _needless_doubt(scenario, stored) or _wrong_error(
                stored, live, was_ended=was_ended
            )
        case OrderState.MANUAL:
            if live and not _may_appear(scenario, stored.id):
                return "twice: made by hand, and nobody is told of the copy"
            return ""
        case OrderState.CANCELLED | OrderState.REJECTED:
            # A row that can't be read is closed as it is, and the person is told so.
            is_left = live and not added.poisoned
            return "cancelled, but the register has it" if is_left else ""


def _wrong_content(added: Added, stored: StoredOrder, live: LedgerEntry) -> str:
    order = added.order
    assert stored.pos_order
    if stored.pos_order.id != live.order_id:
        return "it is said to be another order than the register's"
    if stored.pos_order.notices or stored.error:
        return ""
    if live.total not in (order.total, order.total - order.tip):
        return f"altered: {live.total} instead of {order.total}"
    ordered = Counter({line.name: line.quantity for line in order.lines})
    made = Counter({line.name.strip(): int(line.quantity) for line in live.lines})
    missing = [name for name, count in ordered.items() if _count(made, name) != count]
    return f"altered: {missing} isn't as it was ordered" if missing else ""


def _count(made: Counter[str], name: str) -> int:
    return sum(count for known, count in made.items() if known.startswith(name[:10]))


def _wrong_error(stored: StoredOrder, live: list[LedgerEntry], *, was_ended: bool) -> str:
    error = stored.error
    if error is None:
        return "silent: an error without a reason"
    if stored.problem_at is None and stored.progress is not Progress.COMPLETED:
        return "silent: an error that no list of problems shows"
    if error.outcome is Outcome.NOT_CREATED and live:
        return "silent: it is said not to exist, but the register has it"
    if error.outcome is Outcome.CREATED and not live and not was_ended:
        return "lost: it is said to exist, but the register has nothing"
    return ""


def _needless_doubt(scenario: Scenario, stored: StoredOrder) -> str:
    """Return whether an order is left in doubt, although its platform has answered everything."""
    is_in_doubt = stored.error is not None and stored.error.outcome is Outcome.UNKNOWN
    had_reason = not scenario.troubles <= LEAVE_NO_DOUBT
    return "in doubt, although no answer was lost" if is_in_doubt and not had_reason else ""


def _may_appear(scenario: Scenario, order_id: str) -> bool:
    """Return whether people were told that a copy of an order may appear."""
    operations = OrderOperations(
        scenario.person.outbox, "mia", connections=scenario.person.connections, clock=Stage.wall
    )
    try:
        return operations.manual(order_id).copy_may_appear
    except ActError:
        return True  # its content was erased, so there is no docket any more


def _held_up(scenario: Scenario, added: Added, store: Store) -> str:
    """Return whether an order of a good store waited for the troubles of another."""
    from simulation.scenario import HELD_UP_AFTER

    slowing = {"kills", "pauses", "stalls", "database", "locked", "leaps", "skew", "leases"}
    hindered = slowing | {"people", "late refusals"}
    if not store.calm or hindered & scenario.troubles or added.arrived_at is None:
        return ""
    waited = added.arrived_at - added.at
    return f"held up for {waited:.0f} s" if waited > HELD_UP_AFTER else ""
