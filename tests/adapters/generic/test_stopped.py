"""A submission that is stopped at every command of its flow, and begun again, ends with one order or none, rightly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from adapters.generic.store import NO_WAIT, adapter_for
from adapters.in_process import InProcess
from adapters.mortal import Mortal, Stopped
from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, TOASTIE, paid
from tillpost import Order, Outcome, Policy, PosError, PosOrder, TaxError, Till
from tillpost.submission.context import Connection
from tillpost.submission.journal import MemoryJournal
from tillpost_simulators.generic import GenericSimulator

KEEPING = Policy(first_wait=0, longest_wait=0, import_cooldown=0, prices="keep_paid")


@dataclass(frozen=True)
class Case:
    """How the store is set up, the order, how the store is mended meanwhile, and how it has to end."""

    order: Callable[[str], Order]
    set_up: Callable[[GenericSimulator], object] = lambda simulator: None
    mend: Callable[[GenericSimulator], object] = lambda simulator: None
    ends: type[PosOrder] | type[PosError] = PosOrder
    policy: Policy = NO_WAIT


def two_taxes(simulator: GenericSimulator) -> None:
    simulator.add_tax("Surcharge", "10", tax_id="EXTRA")


CASES = {
    "healthy": Case(lambda ref: paid(ref, [FLAT_WHITE, TOASTIE], surcharge=100, off=50, tip=20)),
    "healed": Case(lambda ref: paid(ref, [DRIFTED, FLAT_WHITE])),
    "two taxes": Case(lambda ref: paid(ref, [TOASTIE]), set_up=two_taxes, ends=TaxError),
    "two taxes, mended meanwhile": Case(
        lambda ref: paid(ref, [TOASTIE]),
        set_up=two_taxes,
        mend=lambda simulator: simulator.remove_tax("EXTRA"),
    ),
    "nothing to pay": Case(lambda ref: paid(ref, [TOASTIE], off=1450)),
    "a price that was kept": Case(
        lambda ref: paid(ref, [TOASTIE]),
        set_up=lambda simulator: simulator.change_price("5312", 1600),
        policy=KEEPING,
    ),
}


def mortal(
    simulator: GenericSimulator, journal: MemoryJournal, policy: Policy, dies_at: int | None = None
) -> Mortal:
    client = httpx.Client(transport=InProcess(simulator), verify=False)
    connection = Connection(adapter_for(simulator), policy=policy)
    till = Mortal(connection, journal=journal, http_client=client, sleep=lambda _: None)
    till.dies_at = dies_at
    return till


@pytest.mark.parametrize(
    "same_journal", [True, False], ids=["over its journal", "by a new process without one"]
)
@pytest.mark.parametrize("name", CASES)
def test_stopped_anywhere_and_begun_again_an_order_ends_right(
    name: str, same_journal: bool
) -> None:
    case, simulator = CASES[name], GenericSimulator()
    point, finished = 0, False
    while not finished:
        simulator.reset()
        case.set_up(simulator)
        order, journal = case.order(f"ord_{point}"), MemoryJournal()
        try:
            mortal(simulator, journal, case.policy, dies_at=point).submit(order)
            finished = True
        except PosError:
            finished = True
        except Stopped:
            pass
        case.mend(simulator)
        again = journal if same_journal else MemoryJournal()
        result = attempt(mortal(simulator, again, case.policy), order)
        assert isinstance(result, case.ends), (point, result)
        ledger = simulator.ledger()
        if isinstance(result, PosError):
            # What was under way when it stopped may have worked, for all that its journal knows.
            assert result.outcome is not Outcome.CREATED
            assert ledger.shown == ()
        else:
            assert [entry.total for entry in ledger.shown] == [order.total], point
        point += 1
    assert point > 4


def attempt(till: Till, order: Order) -> PosOrder | PosError:
    try:
        return till.submit(order)
    except PosError as error:
        return error
