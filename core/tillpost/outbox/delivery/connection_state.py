"""Updates a connection's row after a run of an order or a check of its store.

An outage begins or ends, the platform asks for patience, or it refuses access and the connection is
paused. The update is part of the transaction that releases the order, so that all workers see it at
once, and each change is announced once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from tillpost.errors import ErrorRecord, PosError, RegisterOfflineError, StoreClosedError
from tillpost.models.outage import Whose
from tillpost.outbox.circuit_breaker import (
    Circuit,
    Reachability,
    is_unreachable,
    next_pause_probe,
    outage_cause,
)
from tillpost.outbox.connections.availability import StoreCheck
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.delivery.open_connections import OpenConnection
from tillpost.outbox.event_log import HookCall
from tillpost.outbox.orders.models import WaitsFor
from tillpost.outbox.request_budget import check_interval
from tillpost.outbox.rows import Row
from tillpost.outbox.settings import LONGEST_RETRY_AFTER, OutboxSettings

__all__ = ["ConnectionEvidence", "ConnectionUpdate", "is_about_opening"]

REACHED_EVERY = 10.0
"""How often the row notes that the platform answers, in seconds."""

_ABOUT_OPENING = (StoreClosedError.__name__, RegisterOfflineError.__name__)
_CONNECTION = t.connections.c
_HEALTH = select(
    _CONNECTION.failures,
    _CONNECTION.opened_at,
    _CONNECTION.recovery_limit,
    _CONNECTION.reached_at,
).where(_CONNECTION.name == bindparam("connection"))


@dataclass(slots=True)
class ConnectionEvidence:
    """What a run or a check showed of a connection as a whole.

    Attributes:
        outage: How the last request failed, if the platform as a whole failed.
        answered: Whether the last request was answered.
        hold: For how many seconds the platform asks not to be sent anything.
        access_refused: The error with which the platform refused access.
        may_be_closed: Whether an error says that the store takes no orders.
    """

    outage: ErrorRecord | None = None
    answered: bool = False
    hold: float = 0.0
    access_refused: ErrorRecord | None = None
    may_be_closed: bool = False


def is_about_opening(error: ErrorRecord) -> bool:
    """Return whether an error says something of the store's opening.

    The opening is then checked at once.
    """
    return error.kind in _ABOUT_OPENING


class ConnectionUpdate:
    """Updates to one connection's row within a transaction.

    Each method returns hooks to call.
    """

    def __init__(
        self,
        rows: ConnectionRows,
        db: Connection,
        opened: OpenConnection,
        settings: OutboxSettings,
        now: float,
    ) -> None:
        """Take the open transaction, the connection, and the time in epoch seconds."""
        self._rows = rows
        self._db = db
        self._opened = opened
        self._name = opened.connection.name
        self._settings = settings
        self._now = now

    def apply(self, evidence: ConnectionEvidence) -> Sequence[HookCall]:
        """Write what the evidence says of the connection."""
        hook_calls: list[HookCall] = []
        if evidence.outage:
            hook_calls += self._record_failure(evidence.outage)
        elif evidence.answered and not self._is_known_to_answer():
            hook_calls += self._record_answer()
        if evidence.hold:
            hold = min(evidence.hold, LONGEST_RETRY_AFTER)
            self._set({"not_before": self._now + hold})
        if evidence.access_refused:
            error = PosError.from_record(evidence.access_refused)
            hook_calls += self.pause(error)
        if evidence.may_be_closed and not self._is_known_to_be_closed():
            self._set({"check_at": self._now})
        return hook_calls

    def pause(self, error: PosError) -> Sequence[HookCall]:
        """Pause the connection until it has other credentials, or a probe is let in.

        Nothing is announced if it was paused, or reconnected meanwhile.
        """
        row = self._rows.lock(self._db, self._name)
        if row["paused"] or self._was_reconnected():
            return ()
        self._set(
            {
                "paused": WaitsFor.AUTHORISATION.value,
                "paused_at": self._now,
                "pause_probe_at": next_pause_probe(self._now, self._now),
                "refused_credentials": self._opened.fingerprint(),
                "platform": self._opened.platform,
            }
        )
        return (("reauthorisation_needed", {"error": error}),)

    def _record_failure(self, outage: ErrorRecord) -> Sequence[HookCall]:
        """Count a failure of the platform; announce the outage that begins with it."""
        row = self._rows.lock(self._db, self._name)
        before = Circuit.from_row(row)
        after = before.failed(
            outage,
            self._now,
            self._settings.outage_after,
            self._settings.first_wait,
        )
        unreached = is_unreachable(outage)
        values = {
            **after.columns(),
            "platform": self._opened.platform,
            "unreachable_at" if unreached else "reached_at": self._now,
        }
        hook_calls: list[HookCall] = []
        if before.opened_at is None and after.opened_at is not None:
            whose = self._whose_fault(after, unreached=unreached)
            values["outage_cause"] = whose.value
            hook_calls.append(("outage_began", {"outage": after.outage(whose)}))
        self._set(values)
        return hook_calls

    def _record_answer(self) -> Sequence[HookCall]:
        """Note that the platform answers; announce the outage that ends with it."""
        row = self._rows.lock(self._db, self._name)
        before = Circuit.from_row(row)
        values = {
            **before.succeeded().columns(),
            "platform": self._opened.platform,
            "reached_at": self._now,
            "check_at": self._postponed_check(row),
        }
        self._set(values)
        if before.opened_at is None:
            return ()
        whose = Row(t.connections, row).one_of("outage_cause", Whose, Whose.UNKNOWN)
        outage = before.outage(whose, self._now)
        return (("outage_ended", {"outage": outage}),)

    def _postponed_check(self, row: Mapping[str, Any]) -> float:
        """Return when a store is next checked that has just answered an order.

        A store that answers is as good as checked. But a platform may take the orders of a store
        that has closed, so the last check counts for twice the interval at most. A check that is
        due stays so.
        """
        check_at: float = row["check_at"]
        check = StoreCheck.of(row)
        if check is None or check.stop or check_at <= self._now:
            return check_at
        interval = check_interval(self._settings, self._rows.count(self._db))
        return max(check_at, min(self._now + interval, check.at + 2 * interval))

    def _whose_fault(self, circuit: Circuit, *, unreached: bool) -> Whose:
        """Return whose fault an outage is.

        It depends on whether other connections reach their platforms.
        """
        reached_at, unreached_at = (0.0, self._now) if unreached else (self._now, 0.0)
        here = Reachability(self._opened.platform, reached_at, unreached_at)
        return outage_cause(here, circuit.evidence[0].at, self._others())

    def _others(self) -> Iterator[Reachability]:
        """Read when the other connections were reached, once that is asked for."""
        columns = select(
            _CONNECTION.platform,
            _CONNECTION.reached_at,
            _CONNECTION.unreachable_at,
        )
        rows = self._db.execute(columns.where(_CONNECTION.name != self._name))
        for values in rows.mappings():
            row = Row(t.connections, values)
            yield Reachability(row["platform"], row["reached_at"], row["unreachable_at"])

    def _was_reconnected(self) -> bool:
        """Whether the connection has newer credentials than those that were refused.

        The row must be locked: a reconnection writes the credentials before that row.
        """
        version = self._opened.credentials_version
        if version is None:
            return False
        stored_version = self._rows.credentials_version(self._db, self._name)
        return stored_version > version

    def _is_known_to_be_closed(self) -> bool:
        wanted = select(_CONNECTION.takes_orders)
        takes_orders = self._db.scalar(wanted.where(_CONNECTION.name == self._name))
        return takes_orders is False

    def _is_known_to_answer(self) -> bool:
        """Return whether the row needs no update when the platform answers.

        That is nearly always so.
        """
        found = self._db.execute(_HEALTH, {"connection": self._name}).mappings().one_or_none()
        if found is None:
            return False
        row = Row(t.connections, found)
        if row["failures"] or row["opened_at"] is not None or row["recovery_limit"]:
            return False
        noted_at: float = row["reached_at"]
        return noted_at > self._now - REACHED_EVERY

    def _set(self, values: dict[str, object]) -> None:
        self._rows.update(self._db, self._name, values)
