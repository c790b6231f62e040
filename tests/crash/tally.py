"""Compares the outbox with the registers after a crash test: the end of each order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from crash.world import End, Placed, World
from tillpost.outbox import OrderState, Outbox, StoredOrder
from tillpost.simulator import Ledger

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


def tally(world: World, outbox: Outbox, placed: Sequence[Placed]) -> Tally:
    """Compare each order with the outbox and with the ledger of its platform."""
    result = Tally()
    ledgers = {name: store.ledger() for name, store in world.stores.items()}
    stored = {each.id: each for each in outbox.orders(most=len(placed) + 1)}
    for name, ledger in ledgers.items():
        for reference in ledger.twice:
            result.wrong["twice"].append(f"{name} {reference}")
        for entry in ledger.half_done:
            result.wrong["half done"].append(
                f"{name} {entry.reference} ({entry.state}, {entry.order_id})"
            )
            result.suspects.append(entry.reference)
    shown = {name: _shown(ledger) for name, ledger in ledgers.items()}
    for each in placed:
        there = shown[each.store].get(each.order.id, [])
        for kind, text in _faults_of(each, stored.get(each.order.id), there):
            result.wrong[kind].append(f"{each.store} {each.order.id}: {text}")
            result.suspects.append(each.order.id)
    result.states.update(each.state.value for each in stored.values())
    if extra := set(stored) - {each.order.id for each in placed}:
        result.wrong["never added"].extend(sorted(extra))
    return result


def _shown(ledger: Ledger) -> Mapping[str, list[tuple[str, int]]]:
    found: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for entry in ledger.shown:
        found[entry.reference].append((entry.order_id, entry.total))
    return found


def _faults_of(
    placed: Placed, stored: StoredOrder | None, there: Sequence[tuple[str, int]]
) -> Iterable[tuple[str, str]]:
    """Yield what is wrong with one order. `there`: the id and total of each on the register."""
    if stored is None:
        yield "lost", "it isn't in the outbox"
        return
    state = f"{stored.state}"
    if stored.error:
        state = f"{stored.state} {stored.error.kind}: {stored.error.detail}"
    if stored.state is OrderState.SENDING:
        yield "in sending", f"claimed by {stored.worker}"
        return
    if placed.end is End.ARRIVES:
        if not there:
            yield "lost", f"the register doesn't show it, the outbox says: {state}"
        elif (
            stored.state not in (OrderState.RECEIVED, OrderState.ACCEPTED)
            or stored.due_at is not None
        ):
            yield "disagree", f"the register shows it, the outbox says: {state}"
        elif stored.pos_order is None or stored.pos_order.id not in [pos_id for pos_id, _ in there]:
            yield "disagree", "the outbox has another order of the platform than the register"
        elif {total for _, total in there} != {placed.order.total}:
            yield "another total", f"{there} instead of {placed.order.total}"
    elif there:
        yield "disagree", "it couldn't be sold, and is on the register"
    elif (
        stored.state is not OrderState.ERROR
        or stored.error is None
        or stored.error.kind != "MenuError"
    ):
        yield "disagree", f"it couldn't be sold, the outbox says: {state}"
