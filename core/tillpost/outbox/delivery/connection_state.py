"""What a handled order says of its connection: an outage begins or ends, a platform asks for patience, a pause is due.

Called within the transaction that lays the order down, so that all workers learn it at once and
each turn is told once.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from tillpost.errors import PosError, RegisterOfflineError, StoreClosedError
from tillpost.models.outage import Whose
from tillpost.outbox.circuit_breaker import Circuit, Reach, is_unreached, whose_fault
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.delivery.runner import OutboxTill, RunResult
from tillpost.outbox.event_log import HookCall
from tillpost.outbox.orders.models import WaitsFor
from tillpost.outbox.settings import LONGEST_RETRY_AFTER, OutboxSettings

__all__ = ["HookCall", "pause_place", "tell_place"]


REACHED_EVERY = 10.0
"""A platform that answers is noted so often, in seconds."""

_CLOSED = (StoreClosedError.__name__, RegisterOfflineError.__name__)
"""Refusals that say something of the store: it is checked at once."""

_PLACE = t.connections.c
_CALM = select(_PLACE.failures, _PLACE.opened_at, _PLACE.recovery_limit, _PLACE.reached_at).where(
    _PLACE.name == bindparam("of")
)


def tell_place(
    connection_rows: ConnectionRows,
    db: Connection,
    connection: str,
    till: OutboxTill,
    ending: RunResult,
    now: float,
    settings: OutboxSettings,
) -> Sequence[HookCall]:
    """Write what the ending says of the connection; return the hooks to be called for it."""
    told: list[HookCall] = []
    if ending.outage:
        place = connection_rows.lock(db, connection)
        before = Circuit.of(place)
        after = before.failed(ending.outage, now, settings.outage_after, settings.first_wait)
        unreached = is_unreached(ending.outage)
        values = {
            **after.values(),
            "platform": till.platform,
            "unreachable_at" if unreached else "reached_at": now,
        }
        if before.opened_at is None and after.opened_at is not None:
            here = Reach(till.platform, *((0.0, now) if unreached else (now, 0.0)))
            whose = whose_fault(here, after.evidence[0].at, _reaches(db, connection))
            values["outage_cause"] = whose.value
            told.append(("outage_began", {"outage": after.outage(whose)}))
        connection_rows.update(db, connection, values)
    elif ending.answered and not _known_to_answer(db, connection, now):
        place = connection_rows.lock(db, connection)
        before = Circuit.of(place)
        connection_rows.update(
            db,
            connection,
            {**before.passed().values(), "platform": till.platform, "reached_at": now},
        )
        if before.opened_at is not None:
            outage = before.outage(Whose(place["outage_cause"] or Whose.UNKNOWN), now)
            told.append(("outage_ended", {"outage": outage}))
    if ending.hold:
        connection_rows.update(
            db, connection, {"not_before": now + min(ending.hold, LONGEST_RETRY_AFTER)}
        )
    if ending.pause and ending.error:
        told += pause_place(
            connection_rows, db, connection, till, PosError.from_record(ending.error), now
        )
    if ending.error and ending.error.kind in _CLOSED and not _is_closed(db, connection):
        connection_rows.update(db, connection, {"check_at": now})
    return told


def pause_place(
    connection_rows: ConnectionRows,
    db: Connection,
    connection: str,
    till: OutboxTill,
    error: PosError,
    now: float,
) -> Sequence[HookCall]:
    """Hold a connection's orders back until it has other credentials; return the hooks to be called: none if it was."""
    if connection_rows.lock(db, connection)["paused"] or _reconnected(
        connection_rows, db, connection, till
    ):
        return ()
    paused = {
        "paused": WaitsFor.AUTHORISATION.value,
        "paused_at": now,
        "refused_credentials": till.fingerprint(),
    }
    connection_rows.update(db, connection, {**paused, "platform": till.platform})
    return (("reauthorisation_needed", {"error": error}),)


def _reconnected(
    connection_rows: ConnectionRows, db: Connection, connection: str, till: OutboxTill
) -> bool:
    """Whether the connection has other credentials by now than those that were refused.

    To be asked once the connection's row is locked: who reconnects writes the credentials before
    that row.
    """
    return (
        till.version is not None
        and connection_rows.credentials_version(db, connection) > till.version
    )


def _is_closed(db: Connection, connection: str) -> bool:
    """Whether the store is known to take no orders: then a refusal says nothing new."""
    return db.scalar(select(_PLACE.takes_orders).where(_PLACE.name == connection)) is False


def _known_to_answer(db: Connection, connection: str, now: float) -> bool:
    """Whether there is nothing to write of a platform that answers, which is nearly always so."""
    row = db.execute(_CALM, {"of": connection}).one_or_none()
    calm = row and not row.failures and row.opened_at is None and not row.recovery_limit
    return bool(calm) and row is not None and row.reached_at > now - REACHED_EVERY


def _reaches(db: Connection, but: str) -> Sequence[Reach]:
    others = select(_PLACE.platform, _PLACE.reached_at, _PLACE.unreachable_at).where(
        _PLACE.name != but
    )
    return [Reach(row.platform, row.reached_at, row.unreachable_at) for row in db.execute(others)]
