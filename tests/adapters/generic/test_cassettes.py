"""The generic format replayed from cassettes: each operation, and each kind of error.

Recorded by: pytest -p tillpost.testing.cassettes tests/adapters/generic/test_cassettes.py --record
What the files must be like is tested in `test_cassette_files`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from adapters.cassette_orders import (
    CANARY_ADDRESS,
    DELIVERED,
    LUNCH,
    TOASTIE,
    WEEKEND,
    WELCOME,
    order,
)
from adapters.cassette_refusals import NEVER, Refusal, assert_refused, kinds, on_create, played
from adapters.generic.cassette_origins import GENERIC, NO_SAMPLE, REFUSALS, from_simulator
from tillpost.adapter.base import Attempt
from tillpost.errors import MenuError, Outcome
from tillpost.models.order import DineIn, PosOrder, PosState, Progress
from tillpost.simulator import Fault, FaultKind
from tillpost.submission.policy import Policy
from tillpost.testing import Cassettes, Store, plays
from tillpost_simulators.generic import GenericSimulator

pytest_plugins = ["tillpost.testing.cassettes"]


@pytest.fixture(scope="session")
def cassettes() -> Cassettes:
    return GENERIC


LOST = Fault(kind=FaultKind.SERVER_ERROR, when="after")
THERE = PosOrder(id="G00001", reference="ord-1", status="new", total=2710)


@plays("submit", from_simulator(note=NO_SAMPLE))
def test_a_paid_order_is_made_in_one_call(store: Store) -> None:
    assert store.submit(LUNCH) == THERE


@plays("submit-extras", from_simulator(note=NO_SAMPLE))
def test_a_charge_a_discount_and_a_tip_arrive(store: Store) -> None:
    whole = order(
        *LUNCH.lines, charges=WEEKEND, discounts=WELCOME, tip=100, fulfilment=DineIn(table="7")
    )

    assert store.submit(whole).total == 2881


@plays("submit-delivery", from_simulator(note=NO_SAMPLE))
def test_a_scheduled_delivery_arrives(store: Store) -> None:
    address = CANARY_ADDRESS.model_copy(
        update={"country": None}
    )  # a masked one would be no country any more
    due = DELIVERED.model_copy(
        update={"due_at": datetime(2036, 11, 23, 8, tzinfo=UTC), "address": address}
    )

    assert store.submit(order(TOASTIE, fulfilment=due)).total == 1450


@plays(
    "submit-again",
    from_simulator(note=NO_SAMPLE, faults=on_create("/orders$", LOST, times=1)),
    Policy(retries=1, first_wait=0, longest_wait=0),
)
def test_order_after_outage_is_resent_under_its_key(store: Store) -> None:
    assert store.submit(LUNCH) == THERE


@plays("submit-healed", from_simulator(lambda pos: pos.recreate_variation("5312"), note=NO_SAMPLE))
def test_item_with_new_id_is_healed_by_an_import(store: Store) -> None:
    assert store.submit(LUNCH) == THERE


@plays(
    "submit-not-healed", from_simulator(lambda pos: pos.remove_variation("5312"), note=NO_SAMPLE)
)
def test_missing_item_is_refused_with_its_line(
    store: Store,
) -> None:
    with pytest.raises(MenuError) as caught:
        store.submit(LUNCH)

    assert (caught.value.lines, caught.value.subjects) == ((1,), ("BLT toastie (line 2)",))
    assert (caught.value.outcome, caught.value.menu_imported) == (Outcome.NOT_CREATED, True)


@plays("find", from_simulator(note=NO_SAMPLE))
def test_an_order_is_found_by_its_reference(store: Store) -> None:
    assert store.ask("find", None, order=LUNCH) is None
    store.ask("submit", Attempt(), order=LUNCH)

    assert store.ask("find", None, order=LUNCH) == THERE


@plays("fetch", from_simulator(note=NO_SAMPLE))
def test_an_order_is_fetched_as_it_is_now(store: Store) -> None:
    assert store.fetch(store.submit(LUNCH)) == THERE


@plays("cancel", from_simulator(note=NO_SAMPLE))
def test_an_order_is_withdrawn(store: Store) -> None:
    cancelled = store.cancel(store.submit(LUNCH))

    assert (cancelled.state, cancelled.progress, cancelled.status) == (
        PosState.CANCELLED,
        Progress.CANCELLED,
        "withdrawn",
    )


@plays("import_menu", from_simulator(note=NO_SAMPLE))
def test_a_menu_is_imported_whole(store: Store) -> None:
    menu = store.import_menu().menu
    assert menu

    assert (menu.currency, len(menu.items), len(menu.tables or ())) == ("AUD", 8, 20)
    prices = {id_: variation.price for id_, (_, variation) in menu.by_variation.items()}
    assert (prices["7302"], prices["7303"], prices["6103"]) == (550, 650, None)
    assert menu.by_variation["6101"][1].sold_out
    assert [option.id for option in menu.group_by_id["MILK"].options] == ["228", "229", "230"]
    assert [(str(tax.rate), tax.included) for tax in menu.taxes] == [("0.1", True)]


@plays("store_currency", from_simulator(note=NO_SAMPLE))
def test_store_says_its_currency(store: Store) -> None:
    assert store.ask("store_currency") == "AUD"


@plays("check", from_simulator(lambda pos: pos.connect_register(online=False), note=NO_SAMPLE))
def test_check_reports_what_is_wrong_at_the_store(store: Store) -> None:
    found = {finding.what: finding.ok for finding in store.check().findings}

    assert found == {"connection": True, "store open": True, "register online": False}


@played(REFUSALS, from_simulator, NO_SAMPLE)
def test_refusal_becomes_its_kind_of_error(
    store: Store, refusal: Refusal[GenericSimulator]
) -> None:
    assert_refused(store, refusal)


def test_every_kind_of_error_has_a_cassette_or_a_reason() -> None:
    assert {refusal.error for refusal in REFUSALS} | set(NEVER) == set(kinds())
