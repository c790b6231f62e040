"""An order that a person takes over while it is in doubt leaves nothing half done or twice.

Workers go on looking it up, and withdraw what they find; until then it can't be cancelled, and a
person sees what is left.
"""

from __future__ import annotations

import pytest

from core.outbox.asking import Asking
from core.outbox.killing import Counter, Lifetime, Shop, Site, Stopped
from core.outbox.operations.test_people_machine import KeyedRegister, KeylessRegister
from core.stand_in import Keyed, an_order
from tillpost.outbox import OrderState, OutboxSettings, StoredOrder, WaitsFor
from tillpost.outbox.db.database import Database
from tillpost.outbox.operations.orders import ActError, OrderOperations

KINDS = pytest.mark.parametrize("kind", [KeyedRegister, KeylessRegister])


def in_doubt(database: Database, shop: Shop, *, sent: bool = True) -> Site:
    """Let a worker die right after the create was carried out, or right before it was sent."""
    life = Lifetime()
    site = Site(database, shop, life)
    site.add(an_order(), is_new=True)
    life.at = life.steps + (5 if sent else 4)
    with pytest.raises(Stopped):
        site.work()
    site.end()
    return Site(database, shop)


def operations_on(site: Site) -> OrderOperations:
    connected = site.shop.connected(Lifetime())
    return OrderOperations(
        site.outbox, "mia", connections=Asking(lambda _: connected), clock=site.shop.clock
    )


def stored(site: Site) -> StoredOrder:
    order = site.outbox.get("ord_1")
    assert order
    return order


def take_over(site: Site) -> bool:
    """Take the order over; return whether its docket warns of a copy."""
    return operations_on(site).manual("ord_1", even_in_doubt=True).copy_may_appear


@KINDS
def test_doubt_is_withdrawn_once_store_is_reconnected(
    database: Database, kind: type[Keyed]
) -> None:
    counter = Counter()
    site = in_doubt(database, counter.shop(kind))
    assert len(counter.platform.orders) == 1
    counter.tokens.clear()

    assert take_over(site)
    assert stored(site).state is OrderState.MANUAL
    with pytest.raises(ActError, match="once it is withdrawn"):
        operations_on(site).cancel("ord_1")
    site.clock.advance(60.0)
    for claim in site.processor.claim(1):
        site.processor.handle(claim)
    waiting = stored(site)
    assert (waiting.state, waiting.waits_for) == (OrderState.MANUAL, WaitsFor.AUTHORISATION)
    assert waiting.problem_at is not None

    counter.tokens.add("token-0")
    site.outbox.resume("cafe")
    site.work()

    (made,) = counter.platform.orders.values()
    assert made["state"] == "DEAD"
    assert not counter.platform.half_done()
    ended = stored(site)
    assert (ended.state, ended.due_at, ended.problem_at) == (OrderState.MANUAL, None, None)
    assert not take_over(site)
    assert operations_on(site).cancel("ord_1").state is OrderState.CANCELLED
    site.end()


@KINDS
def test_doubt_without_a_copy_ends_after_the_last_look_up(
    database: Database, kind: type[Keyed]
) -> None:
    counter = Counter()
    site = in_doubt(database, counter.shop(kind), sent=False)
    assert take_over(site)
    assert stored(site).waits_for is WaitsFor.LOOK

    site.work()

    assert stored(site).due_at is None
    assert not take_over(site)
    assert counter.platform.orders == {}
    assert "POST /orders" not in counter.requests
    site.end()


def test_withdrawal_that_keeps_failing_is_left_to_a_person(database: Database) -> None:
    counter = Counter()
    impatient = OutboxSettings(lease=3600.0, give_up_after=60.0)
    site = in_doubt(database, counter.shop(KeyedRegister, settings=impatient))
    counter.down = True
    assert take_over(site)

    site.work()

    order = stored(site)
    assert (order.state, order.due_at) == (OrderState.MANUAL, None)
    assert order.problem_at is not None
    assert order.error
    assert order.error.kind == "OutageError"
    assert take_over(site)

    counter.down = False
    assert operations_on(site).cancel("ord_1").state is OrderState.CANCELLED
    assert not counter.platform.half_done()
    site.end()


def test_lost_answer_to_the_withdrawal_is_made_good(database: Database) -> None:
    counter = Counter()
    site = in_doubt(database, counter.shop(KeyedRegister))
    counter.loses = 1

    assert take_over(site)
    site.work()

    assert not counter.platform.half_done()
    assert not take_over(site)
    assert [path for path in counter.requests if path.startswith("POST /cancel")] == [
        "POST /cancel/o1"
    ]
    site.end()


class NoCancelling(KeylessRegister):
    """A platform whose orders can't be cancelled from here."""

    @classmethod
    def capabilities(cls) -> frozenset[str]:
        return super().capabilities() - {"cancel"}


def test_copy_that_cannot_be_cancelled_is_left_to_a_person(database: Database) -> None:
    counter = Counter()
    site = in_doubt(database, counter.shop(NoCancelling))

    assert take_over(site)

    order = stored(site)
    assert (order.state, order.due_at) == (OrderState.MANUAL, None)
    assert order.problem_at is not None
    assert order.error
    assert "cancel it at the register" in order.error.detail
    site.end()
