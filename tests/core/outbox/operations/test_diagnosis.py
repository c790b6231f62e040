"""The diagnosis changes nothing, and considers live workers and the acts of people."""

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


@pytest.fixture
def received(shop_outbox: Outbox, shop: Shop) -> None:
    """The platform has the order ord-1."""
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop)})


def diagnosis_of(outbox: Outbox, shop: Shop, *, live: bool = True) -> Diagnosis:
    connections = from_mapping({"cafe": connected(shop)})
    return diagnose_order(outbox, "ord-1", connections=connections, live=live)


def rows(outbox: Outbox) -> list[tuple[object, ...]]:
    with outbox.database.reading() as db:
        orders = db.execute(sa.select(t.orders)).all()
        events = db.execute(sa.select(t.events)).all()
    return [tuple(row) for row in (*orders, *events)]


@pytest.mark.usefixtures("received")
def test_diagnosis_changes_nothing_of_the_order(shop_outbox: Outbox, shop: Shop) -> None:
    before = rows(shop_outbox)
    assert diagnosis_of(shop_outbox, shop).hop is Hop.REGISTER
    shop.simulator.staff_reject("ord-1")
    assert diagnosis_of(shop_outbox, shop).error == "OrderError"
    assert rows(shop_outbox) == before
    assert not shop_outbox.workers.beats(), "no worker is left either"


@pytest.mark.usefixtures("received")
def test_diagnosis_that_is_not_live_sends_nothing(shop_outbox: Outbox, shop: Shop) -> None:
    before = shop.simulator.count()
    assert diagnosis_of(shop_outbox, shop, live=False).hop is Hop.REGISTER
    assert shop.simulator.count() == before


def test_unknown_order_raises_lookup_error(shop_outbox: Outbox, shop: Shop) -> None:
    with pytest.raises(LookupError, match="no order 'ord-1'"):
        diagnosis_of(shop_outbox, shop)


def test_dead_worker_does_not_count_and_a_live_one_does(shop_outbox: Outbox, shop: Shop) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    shop_outbox.workers.enlist(time.time())  # it never gives a heartbeat
    without_worker = diagnosis_of(shop_outbox, shop, live=False)
    assert without_worker.hop is Hop.CAPTURED
    assert without_worker.steps[0].do.startswith("No worker is running")
    with Processor(shop_outbox, connections=from_mapping({})):
        with_worker = diagnosis_of(shop_outbox, shop, live=False)
    assert with_worker.hop is Hop.CAPTURED
    assert with_worker.steps == ()
    assert with_worker.well


def test_claimed_order_is_being_sent_unless_its_worker_died(
    shop_outbox: Outbox, shop: Shop
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    with Processor(shop_outbox, connections=from_mapping({"cafe": connected(shop)})) as processor:
        assert processor.claim(1)
        sending = diagnosis_of(shop_outbox, shop, live=False)
        assert sending.evidence[0] == "It is being sent right now."
    dead = shop_outbox.workers.enlist(time.time())
    assert shop_outbox.claims.claim("cafe", dead, time.time(), limit=1, most=1)
    assert diagnosis_of(shop_outbox, shop, live=False).hop is Hop.CAPTURED


def test_acts_of_people_are_the_first_evidence(shop_outbox: Outbox, shop: Shop) -> None:
    connections = from_mapping({"cafe": connected(shop)})
    operations = OrderOperations(shop_outbox, "mia", connections=connections)
    shop_outbox.add(lunch(), connection="cafe")

    operations.manual("ord-1")
    by_hand = diagnosis_of(shop_outbox, shop)
    assert by_hand.hop is Hop.NONE
    assert by_hand.evidence[0] == "It is handled by hand."
    assert by_hand.well

    operations.cancel("ord-1")
    assert diagnosis_of(shop_outbox, shop).evidence[0] == "It was cancelled."


@pytest.mark.usefixtures("received")
def test_connection_that_cannot_be_opened_is_in_the_evidence(shop_outbox: Outbox) -> None:
    facts = gather_facts(shop_outbox, "ord-1", connections=from_mapping({}))
    diagnosis = diagnose(facts)
    assert diagnosis.hop is Hop.REGISTER
    evidence = " ".join(diagnosis.evidence)
    assert "couldn't be queried about it: no connection 'cafe'" in evidence


@pytest.mark.usefixtures("received")
def test_diagnosis_holds_no_customer_data(shop_outbox: Outbox, shop: Shop) -> None:
    assert "Mia" not in diagnosis_of(shop_outbox, shop).model_dump_json()


@pytest.mark.usefixtures("received")
def test_times_beyond_the_calendar_are_shown_as_unknown(shop_outbox: Outbox, shop: Shop) -> None:
    with shop_outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(added_at=1e13))
    assert "It was captured at ?" in diagnosis_of(shop_outbox, shop).evidence


@pytest.mark.parametrize("whose", [Whose.OURS, Whose.UNKNOWN, Whose.PLATFORM])
def test_hops_of_order_in_doubt_are_unknown_and_not_failed(whose: Whose) -> None:
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
