"""The simulator's clock, and RFC 3339 times and durations.

They are as Square writes and reads them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tillpost_simulators.square.errors import bad_request

_DURATION = re.compile(
    r"^P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?$"
)
_MILLISECOND = timedelta(milliseconds=1)


class Clock:
    """A clock to the millisecond that can be set forward."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._last_tick = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time in UTC."""
        time = datetime.now(UTC) + self._ahead
        milliseconds = time.microsecond // 1000
        return time.replace(microsecond=milliseconds * 1000)

    def tick(self) -> datetime:
        """Return a time in UTC that is later than any earlier tick, for versions."""
        after_last = self._last_tick + _MILLISECOND
        self._last_tick = max(self.now(), after_last)
        return self._last_tick

    def advance(self, seconds: float) -> None:
        """Set the clock forward."""
        self._ahead += timedelta(seconds=seconds)


def written(moment: datetime) -> str:
    """Return a time as Square writes it: `2026-11-23T00:52:07.123Z`."""
    seconds = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    milliseconds = moment.microsecond // 1000
    return f"{seconds}.{milliseconds:03d}Z"


def read_time(text: str, field: str) -> datetime:
    """Read an RFC 3339 time with its offset, or refuse the field."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in text:
        raise bad_request("INVALID_TIME", f"`{text}` is not a valid RFC 3339 timestamp.", field)
    return moment.astimezone(UTC)


def read_duration(text: str, field: str) -> timedelta:
    """Read an RFC 3339 duration such as `P1W3D` or `PT20M`, or refuse the field."""
    match = _DURATION.match(text)
    if match is None:
        raise bad_request("INVALID_VALUE", f"`{text}` is not a valid RFC 3339 duration.", field)
    units = match.groupdict(default="0")
    return timedelta(**{unit: int(number) for unit, number in units.items()})
