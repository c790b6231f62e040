"""The simulator's clock, and RFC 3339 times and durations as Square writes and reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tillpost_simulators.square.errors import bad_request

_DURATION = re.compile(
    r"^P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?$"
)


class Clock:
    """Tells the time to the millisecond, and can be set forward."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._last_tick = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """The time in UTC."""
        told = datetime.now(UTC) + self._ahead
        return told.replace(microsecond=told.microsecond // 1000 * 1000)

    def tick(self) -> datetime:
        """The time in UTC, and later than any tick before: for versions that must not coincide."""
        self._last_tick = max(self.now(), self._last_tick + timedelta(milliseconds=1))
        return self._last_tick

    def advance(self, seconds: float) -> None:
        """Sets the clock forward."""
        self._ahead += timedelta(seconds=seconds)


def written(moment: datetime) -> str:
    """A time as Square writes it: `2026-11-23T00:52:07.123Z`."""
    return (
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    )


def read_time(text: str, field: str) -> datetime:
    """Reads an RFC 3339 time with its offset, or refuses the field."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in text:
        raise bad_request("INVALID_TIME", f"`{text}` is not a valid RFC 3339 timestamp.", field)
    return moment.astimezone(UTC)


def read_duration(text: str, field: str) -> timedelta:
    """Reads an RFC 3339 duration such as `P1W3D` or `PT20M`, or refuses the field."""
    match = _DURATION.match(text)
    if match is None:
        raise bad_request("INVALID_VALUE", f"`{text}` is not a valid RFC 3339 duration.", field)
    return timedelta(**{unit: int(number) for unit, number in match.groupdict().items() if number})
