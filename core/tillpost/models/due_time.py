"""When an order is due, in words for staff."""

from __future__ import annotations

from datetime import datetime, timedelta

__all__ = ["due_in_words"]

_NO_OFFSET = timedelta()


def due_in_words(due_at: datetime) -> str:
    """Return a time as the order gave it, with its offset.

    It reads as "Fri 27 Nov 2026 20:42 +10:00". The till may be in another zone, and the order may
    be old, so both the offset and the year are always there.
    """
    offset = f"{due_at:%z}"
    zone = "UTC" if due_at.utcoffset() == _NO_OFFSET else f"{offset[:3]}:{offset[3:5]}"
    return f"{due_at:%a %d %b %Y %H:%M} {zone}"
