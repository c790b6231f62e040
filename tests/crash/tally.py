"""Compares the outbox with the registers after a crash test: the end of each order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from crash.world import End, Placed, World
from tillpost.outbox import OrderState, Outbox, StoredOrder
from tillpost.simulator import Ledger, LedgerEntry

MOST_SHOWN = 5


@dataclass(slots=True)
class Tally:
    """What is wrong, by kind, with a line for each order; `suspects` are the orders' ids."""

    states: Counter[str] = field(default_factory=Counter[str])
    suspects: list[str] = field(default_factory=list[str])
    wrong: defaultdict[str, list[str]] = field(
        default_factory=lambda: defaultdict[str, list[str]](list)
    )

    def count(self, kind: str) -> int:
        """Return how many orders are wrong in that way."""
        return len(self.wrong.get(kind, ()))

    def __str__(self) -> str:
        """The figures, and some of what is wrong."""
        zeros = ", ".join(
            f"{self.count(kind)} {kind}" for kind in ("lost", "twice", "half done", "in sending")
        )
        ends = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        lines = [f"{zeros}; states: {ends}"]
        for kind, orders in self.wrong.items():
            lines += [f"{kind}: {text}" for text in orders[:MOST_SHOWN]]
        return "\n".join(lines)


def tally(
    world: World, outbox: Outbox, placed: Sequence[Placed], spoiled: Sequence[str] = ()
) -> Tally:
    """Compare each order with the outbox and with the ledger of its platform.

    `spoiled` are the ids of orders whose rows were made unreadable: they must end in an error.
    """
    result = Tally()
    most = len(placed) + len(spoiled) + 1
    stored = {each.id: each for each in outbox.orders(most=most)}
    shown: dict[str, Mapping[str, list[LedgerEntry]]] = {}
    for name, store in world.stores.items():
        ledger = store.ledger()
        shown[name] = _by_reference(ledger.shown)
        _count_faults_of_ledger(result, name, ledger)
    for each in placed:
        order_id = each.order.id
        entries = shown[each.store].get(order_id, [])
        fault = _fault_of(each, stored.get(order_id), entries)
        if fault is not None:
            result.wrong[fault.kind].append(f"{each.store} {order_id}: {fault.text}")
            result.suspects.append(order_id)
    result.states.update(each.state.value for each in stored.values())
    for order_id in spoiled:
        found = stored.get(order_id)
        if found is None or found.state is not OrderState.ERROR:
            result.wrong["unreadable"].append(f"{order_id}: {found and found.state}")
    extra = stored.keys() - {each.order.id for each in placed} - set(spoiled)
    if extra:
        result.wrong["never added"].extend(sorted(extra))
    return result


def _count_faults_of_ledger(result: Tally, name: str, ledger: Ledger) -> None:
    for reference in ledger.twice:
        result.wrong["twice"].append(f"{name} {reference}")
    for entry in ledger.half_done:
        text = f"{name} {entry.reference} ({entry.state}, {entry.order_id})"
        result.wrong["half done"].append(text)
        result.suspects.append(entry.reference)


def _by_reference(entries: Iterable[LedgerEntry]) -> Mapping[str, list[LedgerEntry]]:
    found: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        found[entry.reference].append(entry)
    return found


class Fault(NamedTuple):
    """What is wrong with an order: its kind, and a text."""

    kind: str
    text: str


def _fault_of(
    placed: Placed, stored: StoredOrder | None, entries: Sequence[LedgerEntry]
) -> Fault | None:
    """Return what is wrong with one order. `entries` are those of it on the register."""
    if stored is None:
        return Fault("lost", "it isn't in the outbox")
    if stored.state is OrderState.SENDING:
        return Fault("in sending", f"claimed by {stored.worker}")
    if placed.end is End.ARRIVES:
        return _fault_of_arrival(placed, stored, entries)
    return _fault_of_refusal(stored, entries)


def _fault_of_arrival(
    placed: Placed, stored: StoredOrder, entries: Sequence[LedgerEntry]
) -> Fault | None:
    state = _state_of(stored)
    if not entries:
        return Fault("lost", f"the register doesn't show it, the outbox says: {state}")
    arrived = stored.state in (OrderState.RECEIVED, OrderState.ACCEPTED)
    if not arrived or stored.due_at is not None:
        return Fault("disagree", f"the register shows it, the outbox says: {state}")
    pos_ids = [entry.order_id for entry in entries]
    if stored.pos_order is None or stored.pos_order.id not in pos_ids:
        return Fault("disagree", "the outbox has another order of the platform than the register")
    totals = {entry.total for entry in entries}
    if totals != {placed.order.total}:
        return Fault("another total", f"{totals} instead of {placed.order.total}")
    return None


def _fault_of_refusal(stored: StoredOrder, entries: Sequence[LedgerEntry]) -> Fault | None:
    if entries:
        return Fault("disagree", "it couldn't be sold, and is on the register")
    is_refused = stored.state is OrderState.ERROR
    if not is_refused or stored.error is None or stored.error.kind != "MenuError":
        return Fault("disagree", f"it couldn't be sold, the outbox says: {_state_of(stored)}")
    return None


def _state_of(stored: StoredOrder) -> str:
    if stored.error is None:
        return stored.state.value
    return f"{stored.state} {stored.error.kind}: {stored.error.detail}"
