"""Gathers the facts that explain why an order isn't on the register.

    diagnosis = diagnose_order(outbox, "ord_1")
    print(diagnosis.hop, diagnosis.evidence[0])
    for step in diagnosis.steps:
        print(step.number, step.who, step.do)

The facts are the rows of the order and of its connection, the workers' heartbeats and, unless
`live` is False, what the platform shows of the order and the store now. `support/diagnosis` draws
the conclusions. Nothing is changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from tillpost.adapter.base import Adapter
from tillpost.errors import ConfigError, OutageError, PosError, SetupError
from tillpost.models.order import PosOrder
from tillpost.models.outage import Outage
from tillpost.outbox.circuit_breaker import Circuit, Reachability, outage_cause
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import LONG_COLUMNS
from tillpost.outbox.delivery.connections import ConnectionSource, adapter_in, require_source
from tillpost.outbox.delivery.sources import default_source
from tillpost.outbox.delivery.store_queries import StoreQueries
from tillpost.outbox.orders.heartbeat import BEATS_PER_LEASE
from tillpost.outbox.orders.models import (
    OrderState,
    StoredOrder,
    UnreadableEventError,
    unreadable_error,
)
from tillpost.outbox.orders.unreadable import JOURNAL
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.rows import Row
from tillpost.outbox.worker.processor import Processor
from tillpost.submission.address import ADDRESS
from tillpost.submission.history import fold
from tillpost.submission.journal import Event
from tillpost.support.diagnosis import Diagnosis, Facts, diagnose

__all__ = ["diagnose_order", "gather_facts"]

HEARTBEAT_POLL = 0.1
"""Seconds between two reads of the workers' heartbeats, while waiting for one."""

_COLUMNS = [column for column in t.connections.c if column.name not in LONG_COLUMNS]


def diagnose_order(
    outbox: Outbox, order_id: str, *, connections: ConnectionSource | None = None, live: bool = True
) -> Diagnosis:
    """Return which hop of an order failed, the evidence, and what to do.

    See `gather_facts`.
    """
    return diagnose(gather_facts(outbox, order_id, connections=connections, live=live))


def gather_facts(
    outbox: Outbox,
    order_id: str,
    *,
    connections: ConnectionSource | None = None,
    live: bool = True,
    clock: Callable[[], float] | None = None,
) -> Facts:
    """Return what is known of an order.

    Args:
        outbox: The outbox.
        order_id: The order's id.
        connections: The source of connections; by default those of the TOML file, of the database
            and of the installed plugins.
        live: Query the platform too. If that fails, the error is one of the facts.
        clock: Returns the time in epoch seconds; by default `Outbox.clock`.

    Raises:
        LookupError: there is no such order.
        DatabaseError: the database fails.
        TypeError: `connections` is no source of connections.
    """
    if connections is not None:
        require_source(connections)
    stored = outbox.get(order_id)
    if stored is None:
        raise LookupError(f"no order {order_id!r} in the outbox")
    now = (clock or outbox.clock)()
    adapter = _adapter(outbox, stored.connection, connections)
    facts = Facts(
        order_id=order_id,
        title=_platform_title(stored, adapter),
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
        workers=_count_live_workers(outbox, stored, now),
        register_steps=adapter.register_steps if adapter else (),
    )
    facts = _with_connection(facts, stored, _connection_rows(outbox))
    if not live:
        return facts
    return _with_live_facts(facts, outbox, stored, connections)


def _adapter(
    outbox: Outbox, connection: str, connections: ConnectionSource | None
) -> Adapter[Any] | None:
    """Return the connection's adapter; None if it can't be made."""
    if connections is None:
        connections = default_source(CredentialStore(outbox.database), outbox.config)
    return adapter_in(connections, connection)


def _platform_title(stored: StoredOrder, adapter: Adapter[Any] | None) -> str:
    if adapter:
        return adapter.title
    title = stored.error.title if stored.error else ""
    return title or "the POS"


# ------------------------------------------------------------------ connection


def _connection_rows(outbox: Outbox) -> Mapping[str, Mapping[str, Any]]:
    with outbox.database.reading() as db:
        rows = db.execute(select(*_COLUMNS)).mappings()
        return {row["name"]: Row(t.connections, row).values for row in rows}


def _with_connection(
    facts: Facts, stored: StoredOrder, rows: Mapping[str, Mapping[str, Any]]
) -> Facts:
    """Add whether the order's connection is paused, and its outage."""
    row = rows.get(stored.connection)
    if row is None:
        return facts
    others = [_reach(other) for name, other in rows.items() if name != stored.connection]
    return replace(
        facts,
        paused=bool(row["paused"]),
        outage=_outage(row, stored, others),
    )


def _outage(
    row: Mapping[str, Any], stored: StoredOrder, others: Sequence[Reachability]
) -> Outage | None:
    """Return the outage that delays the order.

    It is that of the connection, or one that only this order has met yet.
    """
    circuit = Circuit.from_row(row)
    error_kind = stored.error.kind if stored.error else ""
    has_met_one = error_kind == OutageError.__name__ and bool(circuit.evidence)
    if circuit.opened_at is None and not has_met_one:
        return None
    times = [sample.at for sample in circuit.evidence]
    if circuit.opened_at is not None:
        times.append(circuit.opened_at)
    began_at = min(times)
    whose = outage_cause(_reach(row), began_at, others)
    return Outage(began_at=began_at, whose=whose, evidence=circuit.evidence)


def _reach(row: Mapping[str, Any]) -> Reachability:
    return Reachability(row["platform"], row["reached_at"], row["unreachable_at"])


# ------------------------------------------------------------------ workers


def _count_live_workers(outbox: Outbox, stored: StoredOrder, now: float) -> int:
    """Return how many workers are running.

    A dead worker has a row until another worker reaps it. If the order is stuck although there are
    rows, this waits for a heartbeat, and returns 0 if there is none.
    """
    pulses = outbox.workers.pulses()
    if not pulses or not _may_be_stuck(stored, now):
        return len(pulses)
    before = {worker: pulse.beat for worker, pulse in pulses.items()}
    longest_lease = max(pulse.lease for pulse in pulses.values())
    give_up_at = time.monotonic() + 2 * longest_lease / BEATS_PER_LEASE
    while time.monotonic() < give_up_at:
        after = outbox.workers.beats()
        if _shows_life(before, after):
            return len(after)
        time.sleep(HEARTBEAT_POLL)
    return 0


def _may_be_stuck(stored: StoredOrder, now: float) -> bool:
    """Return whether a live worker would soon process the order, or is processing it."""
    is_due = stored.due_at is not None and stored.due_at <= now
    if stored.state is OrderState.SENDING:
        return True
    return stored.state is OrderState.DUE and is_due


def _shows_life(before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    """Return whether a worker is new, or its heartbeat counter has changed."""
    return any(before.get(worker) != beat for worker, beat in after.items())


# ------------------------------------------------------------------ platform


def _with_live_facts(
    facts: Facts, outbox: Outbox, stored: StoredOrder, connections: ConnectionSource | None
) -> Facts:
    """Add what the platform shows of the order and the store now.

    This runs as a worker, since the token may have to be refreshed.
    """
    with Processor(outbox, connections=connections) as processor:
        try:
            queries = StoreQueries(processor.connections[stored.connection])
        except ConfigError as error:
            return replace(facts, live_error=SetupError(str(error)).record())
        try:
            facts = _with_live_order(facts, outbox, stored, queries)
            return replace(facts, readiness=queries.check())
        except PosError as error:
            live = facts.live
            if error.reason != ADDRESS:
                live = live or error.pos_order
            return replace(facts, live=live, live_error=error.record())


def _with_live_order(
    facts: Facts, outbox: Outbox, stored: StoredOrder, queries: StoreQueries
) -> Facts:
    """Add what the platform shows of the order, unless its journal can't be read.

    Then it isn't known where the order was sent, so it is looked up nowhere.
    """
    try:
        events = outbox.journal(stored.id)
    except UnreadableEventError:
        return replace(facts, live_error=unreadable_error((JOURNAL,)))
    return replace(facts, live=_fetch_order(queries, stored, events, facts))


def _fetch_order(
    queries: StoreQueries, stored: StoredOrder, events: Iterable[Event], facts: Facts
) -> PosOrder | None:
    """Fetch the order, or look it up if it may be at the platform.

    Returns None if the platform doesn't show it.
    """
    if stored.pos_order:
        return queries.fetch(stored.pos_order.id, fold(events))
    if not facts.in_doubt or stored.order is None:
        return None
    found = queries.find(stored.order, events)
    return found if isinstance(found, PosOrder) else None
