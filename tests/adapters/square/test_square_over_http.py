"""Over real HTTP: a Till, the adapter found as a plugin, and the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.square.bench import an_order, plain_order
from tillpost import MenuError, Policy, TaxError, Till
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator

NO_WAIT = Policy(first_wait=0, longest_wait=0)


@pytest.fixture
def square() -> Iterator[Running[SquareSimulator]]:
    with serve_in_thread(SquareSimulator()) as running:
        yield running


def till(square: Running[SquareSimulator], **options: Any) -> Till:
    settings: dict[str, Any] = {**square.settings, **options}
    return Till.connect("square", policy=NO_WAIT, **settings)


def test_an_order_arrives_once_however_often_it_is_submitted(
    square: Running[SquareSimulator],
) -> None:
    for _ in range(2):
        with till(square) as connected:
            connected.submit(an_order())
            connected.submit(an_order())

    (entry,) = square.simulator.ledger().entries
    assert (entry.paid, len(entry.lines), entry.tip) == (2881, 2, 100)


def test_item_recreated_under_new_id_is_found_by_sku(
    square: Running[SquareSimulator],
) -> None:
    square.simulator.recreate_variation("5312")

    with till(square) as connected:
        connected.submit(an_order())

    (entry,) = square.simulator.ledger().shown
    assert entry.paid == 2881


@pytest.mark.parametrize("path", ["^/v2/orders$", "^/v2/payments$"])
@pytest.mark.parametrize(
    "kind", [FaultKind.LOST_ANSWER, FaultKind.SERVER_ERROR, FaultKind.TRUNCATED, FaultKind.HTML]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fault_at_either_call_leaves_one_paid_order(
    square: Running[SquareSimulator], path: str, kind: FaultKind, when: Any
) -> None:
    rule = FaultRule(fault=Fault(kind=kind, when=when), path=path, method="POST")
    square.simulator.set_faults(FaultPlan(rules=(rule,)))

    with till(square) as connected:
        connected.submit(plain_order())

    ledger = square.simulator.ledger()
    assert (len(ledger.shown), ledger.half_done, ledger.twice) == (1, (), ())


def test_a_fault_at_the_undo_leaves_nothing_half_done(square: Running[SquareSimulator]) -> None:
    square.simulator.add_tax("Weekend surcharge", "15")
    rule = FaultRule(
        fault=Fault(kind=FaultKind.LOST_ANSWER, when="after"), path="^/v2/orders/", method="PUT"
    )
    square.simulator.set_faults(FaultPlan(rules=(rule,)))

    with till(square) as connected, pytest.raises(TaxError) as caught:
        connected.submit(plain_order())

    assert caught.value.outcome == "not_created"
    assert square.simulator.ledger().half_done == ()


def test_changed_price_is_reported_with_line_and_actor(
    square: Running[SquareSimulator],
) -> None:
    square.simulator.change_price("5312", 1500)

    with till(square) as connected, pytest.raises(MenuError) as caught:
        connected.submit(an_order())

    assert caught.value.lines == (1,)
    assert "BLT toastie" in caught.value.remedy.manager
    assert square.simulator.ledger().half_done == ()


def test_every_operation_of_the_till_works_on_the_simulator(
    square: Running[SquareSimulator],
) -> None:
    with till(square) as connected:
        assert connected.check().ready
        menu = connected.import_menu().menu
        assert menu
        assert menu.by_variation["5312"][1].price == 1450
        assert connected.quote(an_order()) == 2881
        made = connected.submit(an_order())
        square.simulator.staff_accept(made.id)
        assert connected.fetch(made).state == "accepted"
        assert connected.cancel(made).state == "cancelled"


def test_first_order_of_a_variable_price_heals_at_once(square: Running[SquareSimulator]) -> None:
    square.simulator.add_item("9001", "Catch of the day", None)
    line = {"item_id": "9001", "name": "Catch of the day", "quantity": 1, "unit_price": 1234}

    with till(square) as connected:
        connected.submit(plain_order(unit_price=1234, lines=[line]))

    (entry,) = square.simulator.ledger().shown
    assert (entry.paid, entry.lines[0].unit_price) == (1234, 1234)
