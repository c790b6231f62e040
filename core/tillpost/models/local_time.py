"""Times as texts for people, in this machine's time zone."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["local_time"]


def local_time(at: float, *, offset: bool = False) -> str:
    """Format epoch seconds in this machine's time zone; "?" for what no calendar has.

    With `offset`, the zone's offset is shown, for a reader who may be in another zone.
    """
    try:
        local = datetime.fromtimestamp(at, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return "?"
    if not offset:
        local = local.replace(tzinfo=None)
    return local.isoformat(sep=" ", timespec="seconds")
