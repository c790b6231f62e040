"""What is told of an outage: since when, whose it is, and the evidence for the provider. Words only."""

from __future__ import annotations

from enum import StrEnum

from tillpost.models.base import FrozenModel

__all__ = ["Outage", "Sample", "Whose"]


class Whose(StrEnum):
    """Who has to mend it: `PLATFORM`, the provider; `OURS`, our own network; `UNKNOWN`, it can't be told apart."""

    PLATFORM = "platform"
    OURS = "ours"
    UNKNOWN = "unknown"


class Sample(FrozenModel):
    """One failure, as evidence for the provider. `at` is in epoch seconds."""

    at: float
    kind: str
    detail: str
    status_code: int | None = None
    code: str = ""
    request_id: str = ""


class Outage(FrozenModel):
    """An outage of a connection: since when, until when (epoch seconds), whose it is, and what was seen of it."""

    began_at: float
    ended_at: float | None = None
    whose: Whose = Whose.PLATFORM
    evidence: tuple[Sample, ...] = ()
