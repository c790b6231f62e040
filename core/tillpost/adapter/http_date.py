"""Dates of HTTP headers, whatever a server sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

__all__ = ["MOST_SKEW", "parse_http_date"]

MOST_SKEW = timedelta(hours=26).total_seconds()
"""By how many seconds two clocks differ at most, as two time zones do.

A `Date` that is further from our time comes from a machine without a clock.
"""


def parse_http_date(text: str) -> datetime | None:
    """Return a date of HTTP in UTC; None if it can't be read as one.

    A date without an offset is in UTC.
    """
    return _parsed(text)


@lru_cache(16)  # several readers of one answer, and answers of one second, have the same date
def _parsed(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
