"""Times as texts for people, in this machine's time zone or in a chosen one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo

__all__ = ["local_time", "times_in"]

_ZONE: ContextVar[tzinfo | None] = ContextVar("tillpost_time_zone", default=None)


@contextmanager
def times_in(zone: tzinfo) -> Generator[None]:
    """Have `local_time` use a time zone during the block, and show its name."""
    token = _ZONE.set(zone)
    try:
        yield
    finally:
        _ZONE.reset(token)


def local_time(at: float, *, offset: bool = False) -> str:
    """Format epoch seconds in this machine's time zone; "?" for what no calendar has.

    With `offset`, the zone's offset is shown, for a reader who may be in another zone.
    """
    zone = _ZONE.get()
    try:
        local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return "?"
    name = f" {local.tzname()}" if zone and not offset else ""
    if not offset:
        local = local.replace(tzinfo=None)
    return local.isoformat(sep=" ", timespec="seconds") + name
