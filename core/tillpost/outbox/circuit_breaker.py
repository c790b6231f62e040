"""One circuit for each connection: after so many orders in a row that an outage stopped, no more are sent but a probe.

Pure: a `Circuit` is read from the connection's row, and each method returns what becomes of it.
`store` keeps it, so all workers share it. After an outage the orders go one by one at first, and
each that gets through lets one more go at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from tillpost.errors import Applied, ErrorRecord
from tillpost.models.outage import Outage, Sample, Whose

__all__ = ["Circuit", "Reach", "is_unreached", "whose_fault"]

MOST_EVIDENCE = 20
RAMPED_UP = 64
SAME_TIME = 60.0
"""Platforms that can't be connected to within so many seconds fail at the same time."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """A connection's circuit: open from `opened_at` on (epoch seconds), closed while that is None.

    `recovery_limit` bounds how many orders may be in hand at once after an outage, 0 for no bound.
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
    def of(cls, row: RowMapping) -> Circuit:
        """Return the circuit that stands in a connection's row."""
        told = _SAMPLES.validate_json(row["evidence"]) if row["evidence"] else ()
        return cls(
            row["failures"],
            row["opened_at"],
            row["probe_at"],
            row["probes"],
            row["recovery_limit"],
            told,
        )

    def values(self) -> dict[str, object]:
        """Return what is to stand in the connection's row."""
        told = _SAMPLES.dump_json(self.evidence).decode() if self.evidence else ""
        return {
            "failures": self.failures,
            "opened_at": self.opened_at,
            "probe_at": self.probe_at,
            "probes": self.probes,
            "recovery_limit": self.recovery_limit,
            "evidence": told,
        }

    def room(self, limit: int, now: float) -> int:
        """Return how many orders may be in hand at once."""
        if self.opened_at is not None:
            return 1 if now >= self.probe_at else 0
        return min(limit, self.recovery_limit) if self.recovery_limit else limit

    def probing(self, now: float, first: float, longest: float) -> Circuit:
        """Return the circuit after an order was taken to try whether the outage is over."""
        return replace(
            self,
            probe_at=now + min(longest, first * 2.0**self.probes),
            probes=min(self.probes + 1, 30),
        )

    def failed(self, error: ErrorRecord, now: float, threshold: int, first: float) -> Circuit:
        """Return the circuit after an order that an outage stopped."""
        sample = Sample(
            at=now,
            kind=error.kind,
            detail=error.detail[:200],
            status_code=error.status_code,
            code=error.code,
            request_id=error.request_id,
        )
        seen = replace(
            self, failures=self.failures + 1, evidence=(*self.evidence, sample)[-MOST_EVIDENCE:]
        )
        if self.opened_at is None and seen.failures >= threshold:
            return replace(seen, opened_at=now, probe_at=now + first, probes=1, recovery_limit=0)
        return seen

    def passed(self) -> Circuit:
        """Return the circuit after an order that the platform answered, whatever it said."""
        if self.opened_at is not None:
            return Circuit(recovery_limit=1)
        return Circuit(
            recovery_limit=self.recovery_limit + 1 if 0 < self.recovery_limit < RAMPED_UP else 0
        )

    def outage(self, whose: Whose = Whose.PLATFORM, ended_at: float | None = None) -> Outage:
        """Return the outage as plugins are told of it."""
        return Outage(
            began_at=self.opened_at or 0.0, ended_at=ended_at, whose=whose, evidence=self.evidence
        )


_SAMPLES: TypeAdapter[tuple[Sample, ...]] = TypeAdapter(tuple[Sample, ...])


def is_unreached(error: ErrorRecord) -> bool:
    """Whether no connection came about at all, which may be the fault of our own network."""
    return error.status_code is None and error.applied is Applied.NO


@dataclass(frozen=True, slots=True)
class Reach:
    """When a platform last answered a connection of ours, and when it last couldn't be connected to (epoch seconds)."""

    platform: str
    reached_at: float
    unreachable_at: float


def whose_fault(here: Reach, since: float, others: Iterable[Reach]) -> Whose:
    """Say whose an outage is that has lasted since a time (epoch seconds), by what is known now of it and of others.

    Who answers with a failure is at fault itself. Who can't be connected to is at fault if another
    has answered since; one that answered before proves nothing, since our own network may have
    failed meanwhile. When other platforms fail to connect too, it is ours.
    """
    if here.unreachable_at <= here.reached_at:
        return Whose.PLATFORM
    known = list(others)
    if any(r.reached_at > max(since, r.unreachable_at) for r in known):
        return Whose.PLATFORM
    failing = {
        r.platform
        for r in known
        if r.unreachable_at > r.reached_at and r.unreachable_at >= since - SAME_TIME
    }
    return Whose.OURS if failing - {here.platform} else Whose.UNKNOWN
