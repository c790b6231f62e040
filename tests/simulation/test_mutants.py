"""Known faults are found when their mends are taken out again.

`python -m simulation --fault NAME --lives 20000` looks for any fault of `mutants`. Those that are
not in `FOUND` weren't shown by as many lives as were tried, or are shown only by more.
"""

from __future__ import annotations

import pytest

from simulation.__main__ import first_broken, live
from simulation.mutants import FAULTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FOUND = (
    "address_ignored",
    "intent_not_written",
    "no_lookup_in_doubt",
    "plugin_ends_thread",
    "poison_row",
)
"""The faults that some hundred lives show."""

MOST = 600


@pytest.mark.parametrize("name", FOUND)
def test_known_fault_is_found(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        FAULTS[name](patch)
        found = first_broken(range(MOST))
    assert found is not None, f"{MOST} lives don't show it"
    well, _ = live([found.seed])
    assert not well, "the same life is well without the fault"
