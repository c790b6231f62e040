"""No wait is longer than needed, whatever a platform asks for and however the clock is set."""

from __future__ import annotations

import pytest

from core.outbox.killing import Counter, Site, StillClock
from core.stand_in import Keyless, an_order
from tillpost.adapter.exchange import Response
from tillpost.outbox import OrderState, OutboxSettings
from tillpost.outbox.db.database import Database
from tillpost.outbox.worker.maintenance import Maintenance

RETRY_IN_A_DAY = Response(429, {"retry-after": "86400"}, b"")
QUARTER_OF_AN_HOUR = 900.0


def state(site: Site, order_id: str) -> OrderState:
    order = site.outbox.get(order_id)
    assert order
    return order.state


def test_long_retry_after_holds_other_orders_for_15_minutes(
    database: Database,
) -> None:
    counter = Counter(instead=[RETRY_IN_A_DAY])
    site = Site(database, counter.shop())
    site.add(an_order("ord_1"))
    site.work()
    assert state(site, "ord_1") is OrderState.ERROR, "a person should know of such a long wait"

    site.add(an_order("ord_2"))
    began = site.clock()
    site.work()

    assert state(site, "ord_2") is OrderState.RECEIVED
    assert site.clock() - began < QUARTER_OF_AN_HOUR + 60  # what the work itself takes
    site.end()


def test_clock_set_back_keeps_no_connection_held(
    database: Database,
) -> None:
    counter = Counter(down=True)
    site = Site(database, counter.shop(settings=OutboxSettings(lease=3600.0, outage_after=1)))
    site.clock.ahead = 3600.0
    site.add(an_order())
    site.clock.advance(1.0)
    (claim,) = site.processor.claim(1)
    site.processor.handle(claim)
    counter.down, site.clock.ahead = False, 0.0

    Maintenance(site.processor).tend()
    began = site.clock()
    site.work()

    assert state(site, "ord_1") is OrderState.RECEIVED
    assert site.clock() - began < QUARTER_OF_AN_HOUR
    site.end()


@pytest.mark.parametrize(
    ("jump", "appears_after", "orders"),
    [(0.0, 15.9, 1), (0.0, 16.1, 2), (3600.0, 10.9, 1), (3600.0, 11.1, 2)],
    ids=[
        "clock unchanged, inside",
        "clock unchanged, outside",
        "clock set forward, inside",
        "clock set forward, outside",
    ],
)
def test_clock_set_forward_shortens_one_pause_of_the_look_ups(
    jump: float, appears_after: float, orders: int, database: Database
) -> None:
    """The schedule of 5, 3, 3 and 5 seconds ends after 11 instead of 16.

    See "What remains open" in docs/explanation/never-twice.md.
    """
    counter = Counter(loses=1, hides=True)
    shop = counter.shop(Keyless, clock=StillClock())
    site = Site(database, shop)
    site.add(an_order(), is_new=True)
    site.clock.advance(60.0)  # it was added by the machine's clock
    (claim,) = site.processor.claim(1)
    site.processor.handle(claim)
    given_up_at = shop.clock()

    def show_in_time(_: float) -> None:
        counter.hides = shop.clock() - jump < given_up_at + appears_after

    shop.clock.ahead += jump
    shop.clock.followers.append(show_in_time)
    site.work()

    assert len(counter.platform.shown("ord_1")) == orders
    site.end()
