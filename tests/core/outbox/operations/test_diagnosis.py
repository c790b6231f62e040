"""Diagnosing only looks, and knows what an order's row alone doesn't say: whether a worker is alive, and who acted."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from core.outbox.corner_shop import connected, lunch, work_off
from tillpost.errors import OutageError, Outcome
from tillpost.models.outage import Outage, Whose
from tillpost.outbox import Outbox, Processor, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.diagnosis import diagnose_order, gather_facts
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.simulator import Running
from tillpost.support.diagnosis import Diagnosis, Facts, Hop, HopStatus, diagnose, three_hops
from tillpost_simulators.square import SquareSimulator

Shop = Running[SquareSimulator]


def diagnosed(outbox: Outbox, shop: Shop, *, live: bool = True) -> Diagnosis:
    return diagnose_order(
        outbox, "ord-1", connections=from_mapping({"cafe": connected(shop)}), live=live
    )


def rows(outbox: Outbox) -> list[tuple[object, ...]]:
    with outbox.database.reading() as db:
        return [
            tuple(row) for table in (t.orders, t.events) for row in db.execute(sa.select(table))
        ]


def test_it_changes_nothing_of_the_order_whatever_the_platform_says(
    shop_outbox: Outbox, shop: Shop
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop)})
    before = rows(shop_outbox)
    assert diagnosed(shop_outbox, shop).hop is Hop.REGISTER
    shop.simulator.staff_reject("ord-1")
    assert diagnosed(shop_outbox, shop).error == "OrderError"
    assert rows(shop_outbox) == before
    assert not shop_outbox.workers.beats(), "nor is there a worker left"


def test_without_a_live_look_no_platform_is_asked(shop_outbox: Outbox, shop: Shop) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop)})
    before = shop.simulator.count()
    assert diagnosed(shop_outbox, shop, live=False).hop is Hop.REGISTER
    assert shop.simulator.count() == before


def test_an_order_that_isnt_there_is_a_lookup_error(shop_outbox: Outbox, shop: Shop) -> None:
    with pytest.raises(LookupError, match="no order 'ord-1'"):
        diagnosed(shop_outbox, shop)


def test_a_worker_that_died_counts_as_none_and_one_that_lives_as_one(
    shop_outbox: Outbox, shop: Shop
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    shop_outbox.workers.enlist(time.time())  # and never gives a sign of life
    stuck = diagnosed(shop_outbox, shop, live=False)
    assert (stuck.hop, stuck.steps[0].do[:20]) == (Hop.CAPTURED, "No worker is running")
    with Processor(shop_outbox, connections=from_mapping({})):
        waiting = diagnosed(shop_outbox, shop, live=False)
    assert (waiting.hop, waiting.steps, waiting.well) == (Hop.CAPTURED, (), True)


def test_an_order_in_hand_is_being_sent_unless_who_had_it_has_died(
    shop_outbox: Outbox, shop: Shop
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    with Processor(shop_outbox, connections=from_mapping({"cafe": connected(shop)})) as processor:
        assert processor.claim(1)
        assert (
            diagnosed(shop_outbox, shop, live=False).evidence[0]
            == "It is being sent at this moment."
        )
    dead = shop_outbox.workers.enlist(time.time())
    assert shop_outbox.claims.claim("cafe", dead, time.time(), limit=1, most=1)
    assert diagnosed(shop_outbox, shop, live=False).hop is Hop.CAPTURED


def test_what_people_did_is_the_answer_before_anything_else(
    shop_outbox: Outbox, shop: Shop
) -> None:
    known = from_mapping({"cafe": connected(shop)})
    desk = OrderOperations(shop_outbox, "mia", connections=known)
    shop_outbox.add(lunch(), connection="cafe")
    desk.manual("ord-1")
    by_hand = diagnosed(shop_outbox, shop)
    assert (by_hand.hop, by_hand.evidence[0], by_hand.well) == (
        Hop.NONE,
        "It was taken over by hand.",
        True,
    )
    desk.cancel("ord-1")
    assert diagnosed(shop_outbox, shop).evidence[0] == "It was withdrawn."


def test_a_connection_that_cant_be_made_now_is_told_beside_what_is_known(
    shop_outbox: Outbox, shop: Shop
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop)})
    facts = gather_facts(shop_outbox, "ord-1", connections=from_mapping({}))
    found = diagnose(facts)
    assert found.hop is Hop.REGISTER
    assert any(
        "couldn't be asked about it: no connection 'cafe'" in said for said in found.evidence
    )


def test_no_evidence_and_no_step_says_anything_of_the_customer(
    shop_outbox: Outbox, shop: Shop
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop)})
    assert "Mia" not in diagnosed(shop_outbox, shop).model_dump_json()


@pytest.mark.parametrize("whose", [Whose.OURS, Whose.UNKNOWN, Whose.PLATFORM])
def test_while_it_is_in_doubt_the_platforms_hop_is_unknown_and_not_failed(whose: Whose) -> None:
    error = OutageError("no answer")
    error.outcome = Outcome.UNKNOWN
    facts = Facts(
        "ord-1",
        "Square",
        "due",
        waits_for="retry",
        error=error.record(),
        outage=Outage(began_at=1.0, whose=whose),
    )
    assert [hop.status for hop in three_hops(facts)][1:] == [HopStatus.UNKNOWN] * 2
