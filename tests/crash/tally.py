"""Compares the outbox with the registers after a crash test: the end of each order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from crash.world import End, Placed, World
from tillpost.outbox import OrderState, Outbox, StoredOrder
from tillpost.simulator import Ledger, LedgerEntry

MOST_SHOWN = 5
WORST = ("lost", "twice", "half done", "in sending")
"""The kinds of faults whose number is always shown."""

ByKind: TypeAlias = defaultdict[str, list[str]]
"""Lines of text by the kind of fault."""

ByReference: TypeAlias = Mapping[str, list[LedgerEntry]]
"""The entries of a ledger by the order's id."""


def _nothing_wrong() -> ByKind:
    return defaultdict(list)


@dataclass(slots=True)
class Tally:
    """What is wrong, by kind, with a line for each order; `suspects` are the orders' ids."""

    states: Counter[str] = field(default_factory=Counter[str])
    suspects: list[str] = field(default_factory=list[str])
    wrong: ByKind = field(default_factory=_nothing_wrong)

    def count(self, kind: str) -> int:
        """Return how many orders are wrong in that way."""
        return len(self.wrong.get(kind, ()))

    def add(self, kind: str, text: str) -> None:
        """Record that an order is wrong in that way."""
        self.wrong[kind].append(text)

    def __str__(self) -> str:
        """The figures, and some of what is wrong."""
        counts = [f"{self.count(kind)} {kind}" for kind in WORST]
        states = sorted(self.states.items())
        ends = [f"{count} {state}" for state, count in states]
        lines = [f"{', '.join(counts)}; states: {', '.join(ends)}"]
        for kind, texts in self.wrong.items():
            lines += [f"{kind}: {text}" for text in texts[:MOST_SHOWN]]
        return "\n".join(lines)


def tally(
    world: World,
    outbox: Outbox,
    placed: Sequence[Placed],
    spoiled: Sequence[str] = (),
) -> Tally:
    """Compare each order with the outbox and with the ledger of its platform.

    `spoiled` are the ids of orders whose rows were made unreadable: they must end in an error.
    """
    result = Tally()
    most = len(placed) + len(spoiled) + 1
    found = outbox.orders(most=most)
    stored = {each.id: each for each in found}
    shown: dict[str, ByReference] = {}
    for name, store in world.stores.items():
        ledger = store.ledger()
        reference_entries = _by_reference(ledger.shown)
        shown[name] = reference_entries
        _add_faults_of_ledger(result, name, ledger)
    for each in placed:
        order_id = each.order.id
        entries = shown[each.store].get(order_id, [])
        order = stored.get(order_id)
        fault = _fault_of(each, order, entries)
        if fault is not None:
            text = f"{each.store} {order_id}: {fault.text}"
            result.add(fault.kind, text)
            result.suspects.append(order_id)
    result.states.update(each.state.value for each in stored.values())
    for order_id in spoiled:
        order = stored.get(order_id)
        state = order and order.state
        if state is not OrderState.ERROR:
            result.add("unreadable", f"{order_id}: {state}")
    placed_ids = {each.order.id for each in placed}
    added = placed_ids.union(spoiled)
    for order_id in sorted(stored):
        if order_id not in added:
            result.add("never added", order_id)
    return result


def _add_faults_of_ledger(result: Tally, name: str, ledger: Ledger) -> None:
    for reference in ledger.twice:
        result.add("twice", f"{name} {reference}")
        result.suspects.append(reference)
    for entry in ledger.half_done:
        reference = entry.reference
        text = f"{name} {reference} ({entry.state}, {entry.order_id})"
        result.add("half done", text)
        result.suspects.append(reference)


def _by_reference(entries: Iterable[LedgerEntry]) -> ByReference:
    found: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        found[entry.reference].append(entry)
    return found


class Fault(NamedTuple):
    """What is wrong with an order: its kind, and a text."""

    kind: str
    text: str


def _fault_of(
    placed: Placed,
    stored: StoredOrder | None,
    entries: Sequence[LedgerEntry],
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
    placed: Placed,
    stored: StoredOrder,
    entries: Sequence[LedgerEntry],
) -> Fault | None:
    outbox_says = f"the outbox says: {_state_of(stored)}"
    if not entries:
        return Fault("lost", f"the register doesn't show it, {outbox_says}")
    arrived = stored.state in (OrderState.RECEIVED, OrderState.ACCEPTED)
    if not arrived or stored.due_at is not None:
        return Fault("disagree", f"the register shows it, {outbox_says}")
    pos_id = stored.pos_order and stored.pos_order.id
    pos_ids = [entry.order_id for entry in entries]
    if pos_id not in pos_ids:
        return Fault("disagree", "the outbox has another order of the platform than the register")
    total = placed.order.total
    totals = {entry.total for entry in entries}
    if totals != {total}:
        return Fault("another total", f"{totals} instead of {total}")
    return None


def _fault_of_refusal(stored: StoredOrder, entries: Sequence[LedgerEntry]) -> Fault | None:
    if entries:
        return Fault("disagree", "it couldn't be sold, and is on the register")
    is_refused = stored.state is OrderState.ERROR
    error_kind = stored.error and stored.error.kind
    if is_refused and error_kind == "MenuError":
        return None
    state = _state_of(stored)
    return Fault("disagree", f"it couldn't be sold, the outbox says: {state}")


def _state_of(stored: StoredOrder) -> str:
    error = stored.error
    if error is None:
        return stored.state.value
    return f"{stored.state} {error.kind}: {error.detail}"
