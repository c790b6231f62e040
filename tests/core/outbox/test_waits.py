"""No wait is longer than it has to be, whatever a platform asks for and however the clock is set."""

from __future__ import annotations

from core.outbox.killing import Counter, Site
from core.stand_in import an_order
from tillpost.exchange import Response
from tillpost.outbox import OrderState, OutboxSettings
from tillpost.outbox.database import Database
from tillpost.outbox.tending import Tending

A_DAY = Response(429, {"retry-after": "86400"}, b"")
QUARTER_OF_AN_HOUR = 900.0


def state(site: Site, order_id: str) -> OrderState:
    order = site.outbox.get(order_id)
    assert order
    return order.state


def test_a_platform_that_asks_to_wait_a_day_holds_up_the_orders_behind_for_a_quarter_of_an_hour(
    database: Database,
) -> None:
    counter = Counter(instead=[A_DAY])
    site = Site(database, counter.shop())
    site.add(an_order("ord_1"))
    site.work()
    assert state(site, "ord_1") is OrderState.ERROR, "a person should know of a platform that asks for so much"

    site.add(an_order("ord_2"))
    began = site.clock()
    site.work()

    assert state(site, "ord_2") is OrderState.RECEIVED
    assert site.clock() - began < QUARTER_OF_AN_HOUR + 5
    site.end()


def test_a_clock_set_back_by_an_hour_keeps_no_connection_closed_for_an_hour(database: Database) -> None:
    counter = Counter(down=True)
    site = Site(database, counter.shop(settings=OutboxSettings(lease=3600.0, outage_after=1)))
    site.clock.ahead = 3600.0
    site.add(an_order())
    site.clock.advance(1.0)
    (claim,) = site.processor.claim(1)
    site.processor.handle(claim)
    counter.down, site.clock.ahead = False, 0.0

    Tending(site.processor).tend()
    began = site.clock()
    site.work()

    assert state(site, "ord_1") is OrderState.RECEIVED
    assert site.clock() - began < QUARTER_OF_AN_HOUR
    site.end()
