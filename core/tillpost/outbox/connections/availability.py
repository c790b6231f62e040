"""Whether a store takes orders now, by all that its connection's row holds. Pure.

In this order: the POS lets us in (the connection isn't paused), it isn't failing (the circuit is
closed), and the last check found nothing that stops orders. A store that nobody has looked at, or
whose check is overdue for longer than `OVERDUE` (no worker runs), isn't known to be closed, so it
takes orders, and the text says that nobody knows. An order that it takes wrongly waits in the
outbox, where people see it; a sale that is refused wrongly is lost.
"""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy import RowMapping

from tillpost.adapter.readiness import Readiness
from tillpost.models.availability import Availability, Reason
from tillpost.models.outage import Whose
from tillpost.outbox.db import schema as t

__all__ = ["COLUMNS", "OVERDUE", "Seen", "availability_of", "seen_now", "unconnected"]

OVERDUE = 120.0
"""A check that is so many seconds late means that nobody checks, so what the last one saw counts no more."""

COLUMNS = tuple(
    t.connections.c[name]
    for name in (
        "name",
        *("paused", "paused_at", "opened_at", "probe_at", "outage_cause"),
        *("readiness", "check_at", "takes_orders", "takes_orders_since"),
    )
)
"""What `availability_of` reads of a connection's row."""


class Seen(Readiness):
    """What a check saw, as it is kept: when (`at`), and since when the store has been as it is now (`since`).

    `unreached_since` is since when no connection to the platform has come about, None while one
    does. All are epoch seconds.
    """

    at: float
    since: float
    unreached_since: float | None = None

    @classmethod
    def of(cls, row: RowMapping) -> Seen | None:
        """Return what stands in a connection's row; None too for what another version of Tillpost wrote there."""
        try:
            return cls.model_validate_json(row["readiness"]) if row["readiness"] else None
        except ValidationError:
            return None


def seen_now(
    readiness: Readiness, before: Seen | None, now: float, reached_elsewhere: float
) -> Seen:
    """Return what is kept of a check, which continues what the one before saw.

    `reached_elsewhere` is when any other connection was last answered. A platform that can't be
    connected to is said to be failing only if another was reached since this one hasn't been: until
    then our own network may be at fault.
    """
    reason = _stops(readiness)
    unreached_since = None
    if reason is Reason.UNREACHED:
        known = before.unreached_since if before else None
        unreached_since = now if known is None else known
        if reached_elsewhere > unreached_since:
            readiness, reason = _theirs(readiness), Reason.OUTAGE
    same = before is not None and _stops(before) is reason
    return Seen(
        findings=readiness.findings,
        at=now,
        since=before.since if before and same else now,
        unreached_since=unreached_since,
    )


def availability_of(connection: str, row: RowMapping | None, now: float) -> Availability:
    """Return whether the store takes orders, by its connection's row (None: it has none yet)."""
    if row is None:
        return Availability(connection=connection, takes_orders=True, text=_UNSEEN)
    if row["paused"]:
        return _closed(connection, Reason.UNAUTHORISED, since=row["paused_at"])
    if row["opened_at"] is not None:
        reason = Reason.OUTAGE if row["outage_cause"] == Whose.PLATFORM.value else Reason.UNREACHED
        return _closed(
            connection, reason, since=row["opened_at"], until=_ahead(row["probe_at"], now)
        )
    seen, until = Seen.of(row), _ahead(row["check_at"], now)
    if seen is None:
        return Availability(connection=connection, takes_orders=True, text=_UNSEEN, until=until)
    if now > max(seen.at, row["check_at"]) + OVERDUE:
        return Availability(connection=connection, takes_orders=True, text=_OVERDUE, until=until)
    if stop := seen.stop:
        return _closed(connection, stop.stops, stop.text, since=seen.since, until=until)
    since = row["takes_orders_since"] if row["takes_orders"] else seen.since
    return Availability(connection=connection, takes_orders=True, since=since, until=until)


def unconnected(connection: str) -> Availability:
    """Return that nobody knows a connection of that name."""
    return _closed(connection, Reason.UNCONNECTED, f"no connection {connection!r}")


_UNSEEN = "Nobody has looked at the store yet, so it is taken to be open"
_OVERDUE = "Nobody has looked at the store for a while, so it is taken to be open"

_SAID = {
    Reason.UNAUTHORISED: "The POS no longer lets us in: the store has to be connected again",
    Reason.OUTAGE: "The POS provider's servers fail",
    Reason.UNREACHED: "The POS can't be reached, and our own network may be at fault",
    Reason.REGISTER_OFFLINE: "The store's register isn't online",
    Reason.CLOSED: "The store takes no online orders now",
    Reason.UNCONNECTED: "The store isn't connected, or is set up wrongly",
}


def _closed(
    connection: str,
    reason: Reason,
    found: str = "",
    *,
    since: float | None = None,
    until: float | None = None,
) -> Availability:
    text = f"{_SAID[reason]} ({found})" if found else _SAID[reason]
    return Availability(
        connection=connection,
        takes_orders=False,
        reason=reason,
        text=text,
        since=since,
        until=until,
    )


def _stops(readiness: Readiness) -> Reason:
    return readiness.stop.stops if readiness.stop else Reason.OPEN


def _theirs(readiness: Readiness) -> Readiness:
    """Return the findings with the platform at fault where it can't be reached."""
    changed = (
        f.model_copy(update={"reason": Reason.OUTAGE}) if f.stops is Reason.UNREACHED else f
        for f in readiness.findings
    )
    return Readiness(findings=tuple(changed))


def _ahead(at: float, now: float) -> float | None:
    return at if at > now else None
