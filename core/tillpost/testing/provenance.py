"""The provenance of a cassette, at the top of its file.

A recording of our own simulator shows that the adapter still does the same; it proves nothing about
the platform. A sample that the vendor publishes does. So each cassette says which it is, and how a
vendor's sample was changed.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

__all__ = ["Provenance", "Source"]


class Source(StrEnum):
    """Who wrote the answers."""

    SIMULATOR = "simulator"
    VENDOR_SAMPLE = "vendor-sample"


class Provenance(BaseModel):
    """A cassette's `metadata`.

    Attributes:
        platform: The adapter's name, such as "square".
        api_version: The requested version of the platform's API; empty where it has none.
        recorded: The date of the recording, as YYYY-MM-DD. A recording of the same exchanges
            leaves it unchanged.
        source: Who wrote the answers.
        origin: The document and its samples, or the simulator.
        adapted: Each change to the vendor's samples, in a sentence.
        note: What a reader should know; for a simulator, why there is no sample.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str
    api_version: str
    recorded: str
    source: Source
    origin: str
    adapted: tuple[str, ...] = ()
    note: str = ""
