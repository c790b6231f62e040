"""How a connection deals with failures: retries, waits, prices and menu imports."""

from __future__ import annotations

import zlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tillpost.menus.matching import PricePolicy
from tillpost.submission.withholding import PastDuePolicy

__all__ = ["Policy"]


MOST_DOUBLINGS = 60
"""How often a wait doubles at most.

So no float overflows, however often a request is sent.
"""

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]


class Policy(BaseModel):
    """How a connection deals with failures. All times are in seconds.

    Attributes:
        retries: How often a request that failed transiently is sent again; 0 turns retries off.
        retry_seconds: No retry begins later than this after `submit` was called; 0 turns retries
            off.
        first_wait: The wait before the first retry. It doubles with each retry, with jitter.
        longest_wait: The longest wait before a retry.
        longest_retry_after: A platform that asks to wait longer than this isn't waited for.
        prices: What to do with a price that differs from the menu's: `refuse` raises a
            `MenuError`; `keep_paid` sends the price that the customer paid and says so in the
            order's note.
        past_due: What to do with an order whose time has passed, or is now, before it could be
            sent: `as_soon_as_possible` sends it as one that is due as soon as possible, and says
            so in the order's note and notices; `refuse` raises an `OrderError`.
        import_cooldown: An import younger than this is used instead of importing again.
        import_brake: An import that would remove more than this share of the menu is held for
            review.
        attention_ticket: Whether an order that is refused permanently, and surely doesn't exist at
            the POS, goes there as a zero-price ticket whose note spells it out, where the platform
            supports that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    retries: Annotated[int, Field(ge=0, le=100)] = 4
    retry_seconds: Seconds = 45.0
    first_wait: Seconds = 0.5
    longest_wait: Seconds = 8.0
    longest_retry_after: Seconds = 20.0
    prices: PricePolicy = "refuse"
    past_due: PastDuePolicy = "as_soon_as_possible"
    import_cooldown: Seconds = 60.0
    import_brake: Share = 0.3
    attention_ticket: bool = False

    def wait_before(self, retry: int, order_id: str) -> float:
        """Return the seconds to wait before a retry, counted from 1.

        The order's id spreads the wait over 50 to 100 % of its length.
        """
        doublings = min(retry - 1, MOST_DOUBLINGS)
        longest = min(self.longest_wait, self.first_wait * 2.0**doublings)
        jitter = zlib.crc32(f"{order_id}/{retry}".encode()) / 2**32
        return longest * (0.5 + jitter / 2)
