"""The simulator's clock, and dates as Kounta writes and reads them.

They are ISO 8601, with an offset, to the second.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from tillpost_simulators.kounta.errors import bad_request


class Clock:
    """A clock that can be set forward."""

    def __init__(self, utc_offset_hours: float) -> None:
        self.zone = timezone(timedelta(hours=utc_offset_hours))
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the time in the company's zone, with fractions of a second."""
        return (datetime.now(UTC) + self._ahead).astimezone(self.zone)

    def advance(self, seconds: float) -> None:
        """Set the clock forward."""
        self._ahead += timedelta(seconds=seconds)

    def written(self, moment: datetime) -> str:
        """Return a time as Kounta writes it.

        Such as `2013-05-29T11:14:06+10:00` (vendor's samples).
        """
        return moment.astimezone(self.zone).isoformat(timespec="seconds")

    def read(self, text: str, field: str) -> datetime:
        """Read a date, with or without a time.

        Without an offset it is the company's own time. A `Z` is UTC, as ISO 8601 says: put after a
        local time it moves an order by hours (third-party code).

        Raises:
            Refusal: It isn't a date.
        """
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            # unconfirmed: status and text of this refusal; a call with a malformed date would show.
            raise bad_request(f"{field} is not a valid date.") from None
        if moment.tzinfo:
            return moment
        return moment.replace(tzinfo=self.zone)
