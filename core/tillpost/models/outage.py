"""An outage of a connection: its times, owner, and evidence for the provider."""

from __future__ import annotations

from enum import StrEnum

from tillpost.models.base import FrozenModel, OutsideWords

__all__ = ["Outage", "Sample", "Whose"]


class Whose(StrEnum):
    """Whose outage it is.

    `PLATFORM`: the provider's. `OURS`: our own network's. `UNKNOWN`: it isn't known which.
    """

    PLATFORM = "platform"
    OURS = "ours"
    UNKNOWN = "unknown"


class Sample(FrozenModel):
    """One failure, as evidence for the provider. `at` is in epoch seconds."""

    at: float
    kind: str
    detail: OutsideWords
    status_code: int | None = None
    code: OutsideWords = ""
    request_id: OutsideWords = ""


class Outage(FrozenModel):
    """An outage of a connection.

    Times are in epoch seconds; `evidence` are some failures of it.
    """

    began_at: float
    ended_at: float | None = None
    whose: Whose = Whose.PLATFORM
    evidence: tuple[Sample, ...] = ()
