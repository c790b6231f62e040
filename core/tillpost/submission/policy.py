"""How a connection deals with trouble: retries, waits, prices, imports."""

from __future__ import annotations

import zlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tillpost.menus.matching import PricePolicy

__all__ = ["Policy"]


Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Policy(BaseModel):
    """How a connection handles failures, prices and menu imports. Times are in seconds.

    Attributes:
        retries: Most retries of a request after a transient failure. 0 turns retries off.
        retry_seconds: No retry begins later than this after `submit` was called. 0 turns retries
            off.
        first_wait: Wait before the first retry. It doubles with each retry and is jittered.
        longest_wait: Longest wait between two retries.
        longest_retry_after: A platform that asks for a longer wait than this isn't waited for.
        prices: What to do about a price that differs from the menu's. `refuse` raises a
            `MenuError`; `keep_paid` keeps the price that the customer paid, and says so in the
            order's note.
        import_cooldown: A menu that was imported less than this ago is used instead of a new
            import.
        import_brake: An import that would remove more than this share of the menu is held for
            review. 0.3 is 30 %.
        attention_ticket: Whether an order that is refused for good, and is known not to be at the
            POS, is announced there by a zero-price ticket whose note spells it out, where the
            platform takes one.
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
