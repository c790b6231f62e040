"""Known faults are found when their mends are taken out again.

`python -m simulation --fault NAME --scenarios 20000` looks for any fault of `mutants`. The tests
give each scenario the kinds of trouble in which the fault does harm, so that few scenarios show it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from simulation.__main__ import first_broken, run_scenarios
from simulation.mutants import FAULTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TROUBLES = {
    "schedule_from_the_intent": ["effects late"],
    "no_lookup_in_doubt": ["network"],
    "address_ignored": ["network", "settings"],
    "pruned_whole": ["late refusals", "prunes"],
    "observers_lease": ["stalls", "leases"],
    "lease_unchecked": ["stalls"],
    "claim_not_fenced": ["stalls"],
    "intent_not_written": ["kills"],
    "webhook_settles_doubt": ["blackouts", "webhooks", "lines dropped"],
    "anothers_answer_believed": ["stale answers"],
    "plugin_ends_thread": ["plugins"],
    "poison_row": ["poison"],
    "page_pauses_store": ["network"],
    "not_undone": ["payments refused"],
    "failure_judged_by_type": ["network"],
}
"""The kinds of trouble that show a fault, by its name."""

MOST = 2500
"""Scenarios in which a fault must be found. Most faults are found in a tenth of them."""


@pytest.mark.parametrize(("name", "troubles"), TROUBLES.items())
def test_known_fault_is_found(name: str, troubles: Sequence[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        FAULTS[name](patch)
        found = first_broken(range(MOST), troubles)
    assert found is not None, f"{MOST} scenarios don't show it"
    well, _ = run_scenarios([found.seed], only=troubles)
    assert not well, "the same scenario is well without the fault"


def test_each_known_fault_is_looked_for() -> None:
    assert set(TROUBLES) == set(FAULTS)
