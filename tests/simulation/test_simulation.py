"""Scenarios of orders in a simulated hostile world: nothing lost, doubled, half done or altered.

`python -m simulation --scenarios 100000` runs many more, in the folder `tests`. CI runs 2,000,
without measuring their coverage. A scenario that breaks a promise prints its trace; its seed
repeats it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.__main__ import run_scenarios, traces

FEW = 20


@pytest.mark.parametrize(
    "scenarios", [range(FEW), pytest.param(range(FEW, 60), marks=pytest.mark.slow)]
)
def test_scenarios_break_no_promise(scenarios: range) -> None:
    broken, states = run_scenarios(scenarios)
    assert not broken, "\n\n".join(str(outcome) for outcome in broken[:2])
    assert states["received"] > len(scenarios) / 2, "most orders arrive in spite of all"


def test_seed_repeats_its_life() -> None:
    assert traces(range(100, 106)) == traces(range(100, 106))


@pytest.mark.parametrize(
    "scenarios", [range(200, 203), pytest.param(range(203, 210), marks=pytest.mark.slow)]
)
def test_scenarios_are_the_same_through_engine_and_client(scenarios: range) -> None:
    assert traces(scenarios) == traces(scenarios, is_direct=False)


@pytest.mark.slow
def test_seed_repeats_its_life_in_another_process() -> None:
    """No set's or dictionary's sequence, which differs by process, decides anything."""
    program = "from simulation.__main__ import traces; print(traces(range(40)))"
    printed = {_run(program, hash_seed) for hash_seed in ("1", "2")}
    assert len(printed) == 1


def _run(program: str, hash_seed: str) -> str:
    tests = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join([*sys.path, str(tests)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout
