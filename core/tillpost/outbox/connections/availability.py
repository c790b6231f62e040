"""Decides from a connection's row whether its store takes orders now. Pure.

Called by `Outbox.availability`, by the store monitor and by the connection list. The first of these
that applies is the answer:

1. The connection is paused: the POS rejects our access.
2. The circuit breaker is open: the platform fails, or can't be reached.
3. The last check of the store found something that stops orders.

A store that was never checked, or whose check is overdue by more than `OVERDUE` seconds (no worker
is running), counts as open, and the text says that this is an assumption. An order that is taken
wrongly waits in the outbox, where people see it; a sale that is refused wrongly is lost. When a
check is due is in the row: with thousands of stores checks are further apart than `OVERDUE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, select

from tillpost.adapter.readiness import Finding, Readiness
from tillpost.models.availability import Availability, Reason
from tillpost.models.outage import Whose
from tillpost.outbox.db import schema as t
from tillpost.outbox.rows import Row, parsed

__all__ = [
    "COLUMNS",
    "OVERDUE",
    "StoreCheck",
    "availability_of",
    "read_page",
    "read_row",
    "read_rows",
    "store_check",
    "unconnected",
]

OVERDUE = 120.0
"""Seconds by which a check may be late before the result of the last one expires."""

_COLUMN_NAMES = (
    "name",
    "paused",
    "paused_at",
    "opened_at",
    "probe_at",
    "outage_cause",
    "readiness",
    "check_at",
    "takes_orders",
    "takes_orders_since",
)
COLUMNS = tuple(t.connections.c[name] for name in _COLUMN_NAMES)
"""The columns that `availability_of` reads."""

_ALL_ROWS = select(*COLUMNS)
_PAGE = (
    _ALL_ROWS.order_by(t.connections.c.name).limit(bindparam("most")).offset(bindparam("skipped"))
)


class StoreCheck(Readiness):
    """The result of one check of a store, as stored in the connection's row.

    Attributes:
        at: When the check was made, in epoch seconds.
        since: Since when the result has been the same, in epoch seconds.
        unreached_since: Since when the platform can't be connected to, in epoch seconds; None
            when it can.
    """

    at: float
    since: float
    unreached_since: float | None = None

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> StoreCheck | None:
        """Parse a connection's row; None when it can't be read."""
        return parsed(cls.model_validate_json, row["readiness"])


def store_check(
    readiness: Readiness,
    previous: StoreCheck | None,
    now: float,
    reached_elsewhere: Callable[[], float],
) -> StoreCheck:
    """Return the result of a check, given the result of the previous one.

    Args:
        readiness: What the check found.
        previous: The result of the check before; None when this is the first.
        now: When the check was made, in epoch seconds.
        reached_elsewhere: Returns when any other connection was last answered, in epoch seconds. A
            platform that can't be connected to counts as failing only if another platform was
            reached since then; until that our own network may be at fault.
    """
    reason = _reason(readiness)
    unreached_since = None
    if reason is Reason.UNREACHED:
        unreached_since = _unreached_since(previous, now)
        if reached_elsewhere() > unreached_since:
            readiness = _blame_platform(readiness)
            reason = Reason.OUTAGE
    unchanged = previous is not None and _reason(previous) is reason
    return StoreCheck(
        findings=readiness.findings,
        at=now,
        since=previous.since if previous and unchanged else now,
        unreached_since=unreached_since,
    )


def read_row(db: Connection, connection: str) -> Mapping[str, Any] | None:
    """Read the columns that `availability_of` needs.

    Returns None when the connection has no row.
    """
    query = select(*COLUMNS).where(t.connections.c.name == connection)
    row = db.execute(query).mappings().one_or_none()
    if not row:
        return None
    return Row(t.connections, row).values


def read_rows(db: Connection) -> Mapping[str, Mapping[str, Any]]:
    """Read the same columns of all connections, by name."""
    rows = db.execute(_ALL_ROWS).mappings()
    return {row["name"]: Row(t.connections, row).values for row in rows}


def read_page(db: Connection, skipped: int, most: int) -> Mapping[str, Mapping[str, Any]]:
    """Read the same columns of `most` connections after those skipped, by name."""
    rows = db.execute(_PAGE, {"skipped": skipped, "most": most}).mappings()
    return {row["name"]: Row(t.connections, row).values for row in rows}


def availability_of(connection: str, row: Mapping[Any, Any] | None, now: float) -> Availability:
    """Return whether the store takes orders.

    Args:
        connection: The name of the connection.
        row: Its row with at least `COLUMNS`; None when it has none yet.
        now: The time in epoch seconds.
    """
    if row is None:
        return _assumed_open(connection, _NEVER_CHECKED)
    if row["paused"]:
        return _closed(connection, Reason.UNAUTHORISED, since=row["paused_at"])
    if row["opened_at"] is not None:
        at_fault = row["outage_cause"] == Whose.PLATFORM.value
        reason = Reason.OUTAGE if at_fault else Reason.UNREACHED
        next_probe = _if_ahead(row["probe_at"], now)
        return _closed(connection, reason, since=row["opened_at"], until=next_probe)
    check = StoreCheck.of(row)
    next_check = _if_ahead(row["check_at"], now)
    if check is None:
        return _assumed_open(connection, _NEVER_CHECKED, next_check)
    if now > max(check.at, row["check_at"]) + OVERDUE:
        return _assumed_open(connection, _CHECK_OVERDUE, next_check)
    if check.stop:
        return _closed_by(connection, check.stop, since=check.since, until=next_check)
    since = row["takes_orders_since"] if row["takes_orders"] else check.since
    return Availability(connection=connection, takes_orders=True, since=since, until=next_check)


def unconnected(connection: str) -> Availability:
    """Return the availability of a connection that doesn't exist."""
    return _closed(connection, Reason.UNCONNECTED, f"no connection {connection!r}")


_NEVER_CHECKED = (
    "The store hasn't been checked yet, and is assumed to be open. "
    "Make sure that a worker is running."
)
_CHECK_OVERDUE = (
    "The store hasn't been checked for a while, and is assumed to be open. "
    "Make sure that a worker is running."
)

_PROBLEMS = {
    Reason.UNAUTHORISED: "The POS rejects our access to the store",
    Reason.OUTAGE: "The POS provider has an outage",
    Reason.UNREACHED: "The POS can't be reached; the cause isn't known yet",
    Reason.REGISTER_OFFLINE: "The store's register is offline",
    Reason.CLOSED: "The store takes no online orders now",
    Reason.UNCONNECTED: "The store isn't connected, or its connection is set up wrongly",
}
"""What is wrong, for staff."""

_ACTIONS = {
    Reason.UNAUTHORISED: "Connect the store again.",
    Reason.OUTAGE: "Waiting orders are sent when it is over.",
    Reason.UNREACHED: "Check the network of this server, then the POS provider's status.",
    Reason.REGISTER_OFFLINE: "Switch it on, and check its internet connection.",
    Reason.CLOSED: "Switch online ordering on again when the kitchen is ready.",
    Reason.UNCONNECTED: "Ask the developer to correct the connection.",
}
"""What to do about it."""


def _assumed_open(connection: str, text: str, until: float | None = None) -> Availability:
    return Availability(connection=connection, takes_orders=True, text=text, until=until)


def _closed_by(
    connection: str, finding: Finding, since: float, until: float | None
) -> Availability:
    return _closed(connection, finding.stops, finding.text, since=since, until=until)


def _closed(
    connection: str,
    reason: Reason,
    detail: str = "",
    *,
    since: float | None = None,
    until: float | None = None,
) -> Availability:
    problem = f"{_PROBLEMS[reason]} ({detail})" if detail else _PROBLEMS[reason]
    return Availability(
        connection=connection,
        takes_orders=False,
        reason=reason,
        text=f"{problem}. {_ACTIONS[reason]}",
        since=since,
        until=until,
    )


def _reason(readiness: Readiness) -> Reason:
    if not readiness.stop:
        return Reason.OPEN
    return readiness.stop.stops


def _unreached_since(previous: StoreCheck | None, now: float) -> float:
    if previous is None or previous.unreached_since is None:
        return now
    return previous.unreached_since


def _blame_platform(readiness: Readiness) -> Readiness:
    """Return the findings with an outage in place of "can't be reached"."""
    findings = [
        finding.model_copy(update={"reason": Reason.OUTAGE})
        if finding.stops is Reason.UNREACHED
        else finding
        for finding in readiness.findings
    ]
    return Readiness(findings=tuple(findings))


def _if_ahead(at: float, now: float) -> float | None:
    return at if at > now else None
