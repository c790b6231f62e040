"""Where a cassette comes from, as it stands at the top of its file.

A recording of our own simulator shows that the adapter does what it did; it proves nothing about
the platform. A sample that the vendor publishes does. So each cassette says which it is, and what
was changed in a vendor's sample.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

__all__ = ["Provenance", "Source"]


class Source(StrEnum):
    """Whose words the answers are."""

    SIMULATOR = "simulator"
    VENDOR_SAMPLE = "vendor-sample"


class Provenance(BaseModel):
    """A cassette's `metadata`.

    Attributes: platform: the adapter's name, such as "square". api_version: the version of the
        platform's API that was asked for; empty where there are none. recorded: the day of the
        recording, as YYYY-MM-DD. Recording the same again leaves the day as it was. source: whose
        words the answers are. origin: what they were taken from: the document and its samples, or
        the simulator. adapted: each change that was made to the vendor's samples, in a sentence.
        note: what a reader should know; with `simulator`, why there is no sample of the vendor's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str
    api_version: str
    recorded: str
    source: Source
    origin: str
    adapted: tuple[str, ...] = ()
    note: str = ""
