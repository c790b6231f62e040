"""Why isn't this order on the register? Gathers what is known of it, so that `diagnosis` can say which hop failed.

    found = diagnose_order(outbox, "ord_1")
    print(found.hop, found.evidence[0])
    for step in found.steps: print(step.number, step.who, step.do)

The facts are the order's row, its connection's, the workers' signs of life and, unless
`live=False`, what the platform says of the order and of the store at this moment. It only looks:
the order is as it was, whatever the platform says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import RowMapping, select

from tillpost.adapter.base import Adapter
from tillpost.client.sync import Till
from tillpost.errors import ConfigError, OutageError, PosError, SetupError
from tillpost.models.order import PosOrder
from tillpost.models.outage import Outage
from tillpost.outbox.circuit_breaker import Circuit, Reach, whose_fault
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import LONG_COLUMNS
from tillpost.outbox.delivery.sources import FromFileAndDatabase
from tillpost.outbox.delivery.tills import Source
from tillpost.outbox.orders.heartbeat import BEATS_A_LEASE
from tillpost.outbox.orders.models import OrderState, StoredOrder
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.worker.processor import Processor
from tillpost.support.diagnosis import Diagnosis, Facts, diagnose

__all__ = ["diagnose_order", "gather_facts"]

_PLACE = t.connections.c
_OUTAGE = OutageError.__name__

LOOK_AGAIN = 0.1
"""While a worker's sign of life is waited for, it is looked for so often, in seconds."""


def diagnose_order(
    outbox: Outbox, order_id: str, *, connections: Source | None = None, live: bool = True
) -> Diagnosis:
    """Say which hop of an order failed, on what evidence, and what to do, in order. See `gather_facts`."""
    return diagnose(gather_facts(outbox, order_id, connections=connections, live=live))


def gather_facts(
    outbox: Outbox,
    order_id: str,
    *,
    connections: Source | None = None,
    live: bool = True,
    clock: Callable[[], float] = time.time,
) -> Facts:
    """Return what is known of an order. `live` also asks the platform, which takes as long as it takes to answer.

    `connections` gives a connection by its name; the TOML file and the database do by default. A
    platform that can't be asked is a fact like any other. Raises `LookupError` when there is no
    such order, `DatabaseError` as the outbox does.
    """
    stored = outbox.get(order_id)
    if stored is None:
        raise LookupError(f"no order {order_id!r} in the outbox")
    now = clock()
    adapter = _adapter(outbox, stored.connection, connections)
    facts = Facts(
        order_id=order_id,
        title=_title(stored, adapter),
        state=stored.state.value,
        connection=stored.connection,
        waits_for=stored.waits_for.value,
        added_at=stored.added_at,
        due_at=stored.due_at,
        now=now,
        error=stored.error,
        pos_order=stored.pos_order,
        settled=stored.problem_at is None,
        expected_at=stored.expected_at,
        workers=_workers(outbox, stored, now),
        register_steps=adapter.register_steps if adapter else (),
    )
    with outbox.database.reading() as db:
        places = {row["name"]: row for row in db.execute(select(*_COLUMNS)).mappings()}
    if place := places.pop(stored.connection, None):
        others = [_reach(row) for row in places.values()]
        facts = replace(facts, paused=bool(place["paused"]), outage=_outage(place, stored, others))
    return _asked(outbox, stored, facts, connections) if live else facts


_COLUMNS = [column for column in _PLACE if column.name not in LONG_COLUMNS]


def _reach(row: RowMapping) -> Reach:
    return Reach(row["platform"], row["reached_at"], row["unreachable_at"])


def _outage(place: RowMapping, stored: StoredOrder, others: list[Reach]) -> Outage | None:
    """Return the outage that holds the order up: its connection's, or one that nothing but this order has met yet."""
    circuit = Circuit.of(place)
    met = stored.error is not None and stored.error.kind == _OUTAGE and bool(circuit.evidence)
    if circuit.opened_at is None and not met:
        return None
    began_at = min(
        at for at in (circuit.opened_at, *(x.at for x in circuit.evidence)) if at is not None
    )
    whose = whose_fault(_reach(place), began_at, others)
    return Outage(began_at=began_at, whose=whose, evidence=circuit.evidence)


def _adapter(outbox: Outbox, connection: str, connections: Source | None) -> Adapter[Any] | None:
    known = connections or FromFileAndDatabase(
        CredentialStore(outbox.database), outbox.config, lambda: ""
    )
    try:
        return known(connection).adapter
    except ConfigError:
        return None


def _title(stored: StoredOrder, adapter: Adapter[Any] | None) -> str:
    return adapter.title if adapter else (stored.error.title if stored.error else "") or "the POS"


def _workers(outbox: Outbox, stored: StoredOrder, now: float) -> int:
    """Return how many workers there are; 0 as well when an order lies there and none of them gives a sign of life.

    One that died isn't told from the others by its row alone, which stays until another worker
    takes its orders over.
    """
    before = outbox.workers.beats()
    lies = stored.state is OrderState.DUE and stored.due_at is not None and stored.due_at <= now
    if not before or not (lies or stored.state is OrderState.SENDING):
        return len(before)
    until = time.monotonic() + 2 * outbox.settings.lease / BEATS_A_LEASE
    while time.monotonic() < until:
        later = outbox.workers.beats()
        if later.keys() - before.keys() or any(
            later[w] != beat for w, beat in before.items() if w in later
        ):
            return len(later)
        time.sleep(LOOK_AGAIN)
    return 0


def _asked(outbox: Outbox, stored: StoredOrder, facts: Facts, connections: Source | None) -> Facts:
    """Ask the platform of the order and of the store, as a worker of its own: a token may have to be renewed for it."""
    with Processor(outbox, connections=connections) as processor:
        try:
            till = processor.tills[stored.connection]
        except ConfigError as wrong:
            return replace(facts, live_error=SetupError(str(wrong)).record())
        try:
            facts = replace(facts, live=_seen(till, stored, facts))
            return replace(facts, readiness=till.check())
        except PosError as error:
            return replace(facts, live=facts.live or error.pos_order, live_error=error.record())


def _seen(till: Till, stored: StoredOrder, facts: Facts) -> PosOrder | None:
    """Return the order as the platform has it; None where it isn't known to have it, and has nothing of it to show."""
    if stored.pos_order:
        return till.fetch(stored.pos_order.id)
    found = till.find(stored.order) if facts.in_doubt and stored.order else None
    return found if isinstance(found, PosOrder) else None
