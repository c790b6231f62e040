"""A circuit breaker for each connection.

After a run of outages only a probe is sent. Pure: a `Circuit` is read from the connection's row,
and each method returns the one to write. All workers share it that way. After an outage orders are
sent one at a time at first, and each that succeeds allows one more at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from tillpost.errors import Applied, ErrorRecord
from tillpost.models.outage import Outage, Sample, Whose
from tillpost.outbox.rows import parsed

__all__ = ["Circuit", "Reachability", "is_unreachable", "next_pause_probe", "outage_cause"]

MOST_EVIDENCE = 20
"""How many failures of an outage are stored."""

FULLY_RECOVERED = 64
"""The recovery limit at which it is lifted."""

MOST_FAILURES = 10_000
"""Where the count of failures stops."""

MOST_PROBES = 30
"""Where the count of probes stops.

The wait between two has reached its longest long before.
"""

SAME_TIME = 60.0
"""Seconds within which platforms that become unreachable fail at the same time."""

FIRST_PAUSE_PROBE = 300.0
"""Seconds from a pause, because access is refused, to its first probe."""

LONGEST_PROBE_WAIT = 900.0
"""The longest wait between two probes of a pause, in seconds.

It grows with the pause.
"""

_SAMPLES: TypeAdapter[tuple[Sample, ...]] = TypeAdapter(tuple[Sample, ...])


@dataclass(frozen=True, slots=True)
class Circuit:
    """A connection's circuit breaker.

    Attributes:
        failures: How many orders in a row failed by an outage.
        opened_at: Since when the circuit is open, in epoch seconds; None: it is closed.
        probe_at: When one order may probe whether the outage is over.
        probes: How many orders have probed.
        recovery_limit: How many orders may be in flight after an outage; 0: as many as ever.
        evidence: The latest failures.
    """

    failures: int = 0
    opened_at: float | None = None
    probe_at: float = 0.0
    probes: int = 0
    recovery_limit: int = 0
    evidence: tuple[Sample, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether an outage holds the connection's orders back."""
        return self.opened_at is not None

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Circuit:
        """Return the circuit of a connection's row.

        Evidence that can't be read is left out, and no count is larger than any that is written.
        """
        evidence = parsed(_SAMPLES.validate_json, row["evidence"])
        return cls(
            failures=_count(row["failures"], MOST_FAILURES),
            opened_at=row["opened_at"],
            probe_at=row["probe_at"],
            probes=_count(row["probes"], MOST_PROBES),
            recovery_limit=_count(row["recovery_limit"], FULLY_RECOVERED),
            evidence=evidence or (),
        )

    def columns(self) -> dict[str, object]:
        """Return the columns of the connection's row."""
        evidence = _SAMPLES.dump_json(self.evidence).decode() if self.evidence else ""
        return {
            "failures": self.failures,
            "opened_at": self.opened_at,
            "probe_at": self.probe_at,
            "probes": self.probes,
            "recovery_limit": self.recovery_limit,
            "evidence": evidence,
        }

    def room(self, limit: int, now: float) -> int:
        """Return how many orders may be in flight at once.

        Args:
            limit: The connection's own limit.
            now: Epoch seconds.
        """
        if self.is_open:
            return 1 if now >= self.probe_at else 0
        if self.recovery_limit:
            return min(limit, self.recovery_limit)
        return limit

    def probing(self, now: float, first_wait: float, longest_wait: float) -> Circuit:
        """Return the circuit after an order was claimed as a probe."""
        wait = min(longest_wait, first_wait * 2.0**self.probes)
        probes = min(self.probes + 1, MOST_PROBES)
        return replace(self, probe_at=now + wait, probes=probes)

    def failed(self, error: ErrorRecord, now: float, threshold: int, first_wait: float) -> Circuit:
        """Return the circuit after an order failed by an outage.

        Args:
            error: The failure.
            now: Epoch seconds.
            threshold: How many failures in a row open the circuit.
            first_wait: Seconds until the first probe.
        """
        sample = Sample(
            at=now,
            kind=error.kind,
            detail=error.detail[:200],
            status_code=error.status_code,
            code=error.code,
            request_id=error.request_id,
        )
        evidence = (*self.evidence, sample)[-MOST_EVIDENCE:]
        failures = min(self.failures + 1, MOST_FAILURES)
        counted = replace(self, failures=failures, evidence=evidence)
        if self.is_open or counted.failures < threshold:
            return counted
        return replace(
            counted,
            opened_at=now,
            probe_at=now + first_wait,
            probes=1,
            recovery_limit=0,
        )

    def succeeded(self) -> Circuit:
        """Return the circuit after the platform answered an order, even with a refusal."""
        if self.is_open:
            return Circuit(recovery_limit=1)
        is_recovering = 0 < self.recovery_limit < FULLY_RECOVERED
        return Circuit(recovery_limit=self.recovery_limit + 1 if is_recovering else 0)

    def outage(self, whose: Whose = Whose.PLATFORM, ended_at: float | None = None) -> Outage:
        """Return the outage as plugins receive it."""
        return Outage(
            began_at=self.opened_at or 0.0,
            ended_at=ended_at,
            whose=whose,
            evidence=self.evidence,
        )


def _count(value: int, most: int) -> int:
    return min(max(value, 0), most)


def is_unreachable(error: ErrorRecord) -> bool:
    """Return whether the platform itself wasn't reached.

    No connection was made at all, or something on the way answered instead. That may be our own
    network's fault.
    """
    is_unconnected = error.status_code is None and error.applied is Applied.NO
    return is_unconnected or error.reason == "intercepted"


def next_pause_probe(paused_at: float, now: float) -> float:
    """Return when a connection paused at `paused_at` is next probed, in epoch seconds.

    >>> next_pause_probe(0.0, 0.0), next_pause_probe(0.0, 600.0), next_pause_probe(0.0, 86400.0)
    (300.0, 1200.0, 87300.0)
    """
    paused_for = now - paused_at
    return now + min(LONGEST_PROBE_WAIT, max(FIRST_PAUSE_PROBE, paused_for))


@dataclass(frozen=True, slots=True)
class Reachability:
    """When a platform last answered, and when it last couldn't be reached.

    The times are in epoch seconds.
    """

    platform: str
    reached_at: float
    unreachable_at: float


def outage_cause(here: Reachability, since: float, others: Iterable[Reachability]) -> Whose:
    """Return whose fault an outage is, by what is known now of all connections.

    A platform that answers with failures is at fault. One that can't be reached is at fault if
    another connection was answered since; an earlier answer proves nothing, since our own network
    may have failed meanwhile. If other platforms became unreachable too, the fault is ours.

    Args:
        here: The connection with the outage.
        since: When the outage began, in epoch seconds.
        others: The other connections.
    """
    if here.unreachable_at <= here.reached_at:
        return Whose.PLATFORM
    known = list(others)
    if any(_answered_since(other, since) for other in known):
        return Whose.PLATFORM
    failing = {other.platform for other in known if _failed_with(other, since)}
    return Whose.OURS if failing - {here.platform} else Whose.UNKNOWN


def _answered_since(other: Reachability, since: float) -> bool:
    return other.reached_at > max(since, other.unreachable_at)


def _failed_with(other: Reachability, since: float) -> bool:
    is_failing = other.unreachable_at > other.reached_at
    return is_failing and other.unreachable_at >= since - SAME_TIME
