"""A submission to Square that is stopped at every command of its flow, and begun again over its journal, ends right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from adapters.mortal import Mortal, Stopped
from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, TOASTIE, free_order, paid
from tillpost import Order, Outcome, Policy, PosError, PosOrder, TaxError, Till
from tillpost.client.base import adapter_for
from tillpost.simulator import Running, serve_in_thread
from tillpost.submission.context import Connection
from tillpost.submission.journal import MemoryJournal
from tillpost_simulators.square import SquareSimulator

REFUSING = Policy(first_wait=0.001, import_cooldown=0)
KEEPING = Policy(first_wait=0.001, import_cooldown=0, prices="keep_paid")


@dataclass(frozen=True)
class World:
    """A case: how the shop is set up, the order, how the shop is mended meanwhile, and how it has to end."""

    order: Callable[[str], Order]
    set_up: Callable[[SquareSimulator], object] = lambda simulator: None
    mend: Callable[[SquareSimulator], object] = lambda simulator: None
    ends: type[PosOrder] | type[PosError] = PosOrder
    policy: Policy = REFUSING


def two_taxes(simulator: SquareSimulator) -> None:
    simulator.add_tax("Surcharge", "10", tax_id="EXTRA")


WORLDS = {
    "healthy": World(lambda ref: paid(ref, [FLAT_WHITE, TOASTIE], surcharge=100, off=50, tip=20)),
    "healed": World(lambda ref: paid(ref, [DRIFTED, FLAT_WHITE])),
    "undone": World(lambda ref: paid(ref, [TOASTIE]), set_up=two_taxes, ends=TaxError),
    "undone, and the taxes mended meanwhile": World(
        lambda ref: paid(ref, [TOASTIE]),
        set_up=two_taxes,
        mend=lambda simulator: simulator.remove_tax("EXTRA"),
    ),
    "nothing to pay": World(free_order),
    "a price that was kept": World(
        lambda ref: paid(ref, [TOASTIE]),
        set_up=lambda simulator: simulator.change_price("5312", 1600),
        policy=KEEPING,
    ),
}


CLIENT = httpx.Client()  # making one costs more than a whole submission


def till_over(
    running: Running[SquareSimulator],
    journal: MemoryJournal,
    policy: Policy,
    dies_at: int | None = None,
) -> Mortal:
    adapter = adapter_for("square", {**running.settings, "look_after": (0.001, 0.002)})
    till = Mortal(Connection(adapter, policy=policy), journal=journal, http_client=CLIENT)
    till.dies_at = dies_at
    return till


@pytest.mark.parametrize(
    "same_journal", [True, False], ids=["over its journal", "by a new process without one"]
)
@pytest.mark.parametrize("case", WORLDS)
def test_stopped_anywhere_and_begun_again_an_order_ends_right(
    case: str, same_journal: bool
) -> None:
    world = WORLDS[case]
    point, finished = 0, False
    with serve_in_thread(SquareSimulator()) as running:
        simulator = running.simulator
        while not finished:
            simulator.reset()
            world.set_up(simulator)
            order, journal = world.order(f"ord_{point}"), MemoryJournal()
            with till_over(running, journal, world.policy, dies_at=point) as till:
                try:
                    till.submit(order)
                    finished = True
                except PosError:
                    finished = True
                except Stopped:
                    pass
            world.mend(simulator)
            again = journal if same_journal else MemoryJournal()
            with till_over(running, again, world.policy) as till:
                result = attempt(till, order)
                if not same_journal and isinstance(result, TaxError):
                    # Without a journal nobody can tell an earlier process's draft from one's own,
                    # so the first answer may be about taxes that are mended by now; it has undone
                    # the draft, and the next one is right.
                    result = attempt(till, order)
            assert isinstance(result, world.ends), (point, result)
            ledger = simulator.ledger()
            assert ledger.half_done == ()
            if isinstance(result, PosError):
                assert result.outcome is Outcome.NOT_CREATED
                assert ledger.shown == ()
            else:
                assert [entry.total for entry in ledger.shown] == [order.total], point
            point += 1
    assert point > 6


def attempt(till: Till, order: Order) -> PosOrder | PosError:
    try:
        return till.submit(order)
    except PosError as error:
        return error
