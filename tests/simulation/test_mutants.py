"""Each known fault is found when its mend is taken out again."""

from __future__ import annotations

import pytest

from simulation.__main__ import first_broken, live
from simulation.mutants import FAULTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

MOST = 20_000


@pytest.mark.parametrize("name", FAULTS)
def test_known_fault_is_found(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        FAULTS[name](patch)
        found = first_broken(range(MOST))
    assert found is not None, f"{MOST} lives don't show it"
    well, _ = live([found.seed])
    assert not well, "the same life is well without the fault"
