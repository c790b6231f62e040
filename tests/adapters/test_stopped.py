"""A submission that is stopped at each command of its flow, and begun again, ends with one order.

The second process has the first one's journal, or none. Without a key (Kounta) a process that has
no journal and sees nothing yet can't know of the first: there the order is submitted as new, or as
one that may have been sent before.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from adapters.kounta.bench import QUICK, Bench, plain_order
from adapters.stopping import CASES, KOUNTA_LATE, Case, Shop, Stopped, attempt
from tillpost import Order, PosError, PosOrder, TaxError
from tillpost.submission.journal import MemoryJournal


@dataclass(frozen=True)
class Run:
    """A case, and what the two processes know."""

    case: Case
    is_new: bool = False
    same_journal: bool = True


def runs() -> dict[str, Run]:
    found: dict[str, Run] = {}
    for platform in ("generic", "square"):
        for name, case in CASES[platform].items():
            found[f"{platform}: {name}, with the journal"] = Run(case)
            found[f"{platform}: {name}, without it"] = Run(case, same_journal=False)
    for name, case in CASES["kounta"].items():
        found[f"kounta: {name}, perhaps sent before"] = Run(case)
        found[f"kounta: {name}, new"] = Run(case, is_new=True)
    return found


RUNS = runs()


def submit_until(shop: Shop, run: Run, order: Order, journal: MemoryJournal, stop: int) -> bool:
    """Submit in a process that ends before a command; return whether it came to its own end."""
    till = shop.connect(journal, run.case.policy)
    till.stops_at = stop
    try:
        till.submit(order, is_new=run.is_new)
    except PosError:
        return True
    except Stopped:
        return False
    return True


def submit_again(shop: Shop, run: Run, order: Order, journal: MemoryJournal) -> PosOrder | PosError:
    """Submit in a second process."""
    known = journal if run.same_journal else MemoryJournal()
    till = shop.connect(known, run.case.policy)
    result = attempt(till, order)
    if shop.leaves_drafts and not run.same_journal and isinstance(result, TaxError):
        # Without a journal, the first process's draft can't be distinguished from one's own. So
        # this answer may be about taxes that are mended by now; it undid the draft, and the next
        # is right.
        result = attempt(till, order)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_submission_stopped_at_any_command_ends_right(name: str) -> None:
    run = RUNS[name]
    point = 0
    while True:
        shop = run.case.open()
        order = run.case.order(f"ord_{point}")
        journal = MemoryJournal()
        finished = submit_until(shop, run, order, journal, point)
        run.case.mend(shop)
        result = submit_again(shop, run, order, journal)
        assert isinstance(result, run.case.ends), (point, result)
        shop.check(order, result)
        point += 1
        if finished:
            break
    assert point > shop.least_commands


def test_new_process_without_a_journal_finds_the_order() -> None:
    bench = Bench(KOUNTA_LATE, policy=QUICK)
    bench.till.submit(plain_order(), is_new=True)
    assert bench.connect().submit(plain_order()).id == "93824701"
    assert len(bench.simulator.ledger().entries) == 1
