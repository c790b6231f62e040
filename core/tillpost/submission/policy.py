"""How a connection deals with trouble: retries, waits, prices, imports."""

from __future__ import annotations

import zlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tillpost.menus.matching import PricePolicy

__all__ = ["Policy"]


Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Policy(BaseModel):
    """How a connection deals with trouble. All times are in seconds.

    Attributes: retries: how often a request that failed for a passing reason is sent again; 0 turns
        retrying off. retry_seconds: no retry begins later than this after `submit` was called; 0
        turns retrying off. first_wait, longest_wait: the wait before the first retry, doubled each
        time, jittered, up to the longest. longest_retry_after: a platform that asks to wait longer
        than this isn't waited for. prices: what happens to a price that differs from the menu's:
        `refuse` raises a `MenuError`, `keep_paid` lets the price that the customer paid stand and
        says so in the order's note. import_cooldown: an import younger than this serves instead of
        another one. import_brake: an import that would remove more than this share of the menu is
        held for a person. attention_ticket: an order that is refused for good, and surely isn't at
        the POS, goes there as a ticket of a zero price whose note spells it out, where the platform
        takes one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    retries: Annotated[int, Field(ge=0, le=100)] = 4
    retry_seconds: Seconds = 45.0
    first_wait: Seconds = 0.5
    longest_wait: Seconds = 8.0
    longest_retry_after: Seconds = 20.0
    prices: PricePolicy = "refuse"
    import_cooldown: Seconds = 60.0
    import_brake: Annotated[float, Field(ge=0, le=1)] = 0.3
    attention_ticket: bool = False

    def wait_before(self, retry: int, order_id: str) -> float:
        """Return the seconds to wait before the given retry (from 1 on), spread over 50 to 100 % by the order's id."""
        longest = min(self.longest_wait, self.first_wait * 2.0 ** (retry - 1))
        spread = zlib.crc32(f"{order_id}/{retry}".encode()) / 2**32
        return longest * (0.5 + spread / 2)
