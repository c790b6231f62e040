"""A submission to Kounta that is stopped at every command and begun again over its journal is never there twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import httpx
import pytest

from adapters.kounta.bench import QUICK, Bench, an_order, on_create, plain_order
from adapters.mortal import Mortal, Stopped
from tillpost import Order, Outcome, PosError, PosOrder, TaxError
from tillpost.submission.journal import MemoryJournal
from tillpost_simulators.kounta import KountaSettings as World

TOASTIE = {
    "item_id": "5312",
    "sku": "BLT",
    "name": "BLT toastie",
    "quantity": 1,
    "unit_price": 1450,
}


CALM = World(oauth_limit=10**9)
LATE = World(oauth_limit=10**9, order_lag_seconds=9, get_lag_seconds=3, sends_location=False)
KEPT = {7302, 228, 229, 231, 3091, 5312, 9001, 9003, 9004}
"""The products that the orders need: an import asks for each of them, and a submission is stopped at every request."""


@dataclass(frozen=True)
class Case:
    """How the shop behaves, the order, and how it has to end."""

    order: Callable[[str], Order] = lambda ref: an_order(id=ref)
    world: World = CALM
    set_up: Callable[[Bench], object] = lambda bench: None
    ends: type[PosOrder] | type[PosError] = PosOrder


def spoiled(
    answer: Callable[[], httpx.Response | Exception], *, done: bool
) -> Callable[[Bench], object]:
    return lambda bench: setattr(bench, "answer", on_create(answer(), done=done))


def null() -> httpx.Response:
    return httpx.Response(201, content=b"null")


CASES = {
    "healthy": Case(),
    "healed": Case(
        lambda ref: plain_order(ref, lines=[TOASTIE]),
        set_up=lambda bench: bench.simulator.recreate_product(5312),
    ),
    "answered with null": Case(set_up=spoiled(null, done=True)),
    "answered with null, and not made": Case(set_up=spoiled(null, done=False)),
    "an answer that is lost": Case(set_up=spoiled(lambda: httpx.ReadTimeout("late"), done=True)),
    "never named, and shown late": Case(world=LATE),
    "another tax than the menu's": Case(
        set_up=lambda bench: bench.simulator.add_tax("Surcharge", Decimal("0.05")),
        ends=TaxError,
    ),
}


def small_shop(world: World = CALM) -> Bench:
    bench = Bench(world)
    for product_id in bench.simulator.world.products.keys() - KEPT:
        del bench.simulator.world.products[product_id]
    return bench


MENU = small_shop().till.import_menu().menu


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("is_new", [False, True], ids=["perhaps sent before", "new"])
def test_stopped_anywhere_and_begun_again_an_order_is_there_once(case: str, is_new: bool) -> None:
    world = CASES[case]
    point, finished = 0, False
    while not finished:
        bench, order, journal = (
            small_shop(world.world),
            world.order(f"ord_{point}"),
            MemoryJournal(),
        )
        world.set_up(bench)
        mortal = bench.connect(journal, Mortal)
        mortal.menu, mortal.dies_at = MENU, point
        try:
            mortal.submit(order, is_new=is_new)
            finished = True
        except PosError:
            finished = True
        except Stopped:
            pass
        again = bench.connect(journal)
        again.menu = MENU
        try:
            result: PosOrder | PosError = again.submit(order)
        except PosError as error:
            result = error
        assert isinstance(result, world.ends), (point, result)
        entries = bench.simulator.ledger().entries
        assert [entry.reference for entry in entries] == [order.id], point
        if isinstance(result, PosError):
            assert result.outcome is Outcome.CREATED
        point += 1
    assert point > 6


def test_a_new_process_without_the_journal_finds_what_was_made() -> None:
    bench = Bench(LATE, policy=QUICK)
    bench.till.submit(plain_order(), is_new=True)
    assert bench.connect().submit(plain_order()).id == "93824701"
    assert len(bench.simulator.ledger().entries) == 1
