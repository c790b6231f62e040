"""Runs many scenarios: `python -m simulation --scenarios 100000 --jobs 2`.

tests/ must be on the path.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from simulation.clocks import replaced_clocks
from simulation.mutants import FAULTS
from simulation.scenario import Outcome, Runner

BATCH = 500
"""How many scenarios a process runs at a time."""

COLLECT_EVERY = 50
"""After how many scenarios garbage is collected."""


@contextmanager
def running(*, is_direct: bool = True) -> Generator[Runner]:
    """Open a runner, with the simulated clocks in place.

    Python doesn't collect garbage meanwhile: looking through what a scenario leaves behind, all the
    time, takes a fifth of a scenario. What is there before the first one is never looked through.
    """
    with tempfile.TemporaryDirectory() as folder, replaced_clocks():
        runner = Runner(Path(folder) / "orders.db", is_direct=is_direct)
        gc.disable()
        gc.collect()
        gc.freeze()
        try:
            yield runner
        finally:
            gc.unfreeze()
            gc.enable()
            runner.close()


def scenarios(
    seeds: Iterable[int],
    without: Sequence[str] = (),
    only: Sequence[str] = (),
    *,
    is_direct: bool = True,
) -> Generator[Outcome]:
    """Run the scenarios of some seeds, one after the other."""
    with running(is_direct=is_direct) as runner:
        for number, seed in enumerate(seeds, 1):
            yield runner.run(seed, without=without, only=only)
            if number % COLLECT_EVERY == 0:
                gc.collect()
                gc.freeze()  # what is kept for later scenarios isn't looked through again


def run_scenarios(
    seeds: Iterable[int], without: Sequence[str] = (), only: Sequence[str] = ()
) -> tuple[list[Outcome], Counter[str]]:
    """Run scenarios; return those that broke a promise, and in which states all orders ended."""
    broken: list[Outcome] = []
    states: Counter[str] = Counter()
    for outcome in scenarios(seeds, without, only):
        states.update(outcome.states)
        if outcome.wrong:
            broken.append(outcome)
    return broken, states


def first_broken(seeds: Iterable[int], only: Sequence[str] = ()) -> Outcome | None:
    """Run scenarios until one breaks a promise, and return it."""
    with closing(scenarios(seeds, only=only)) as all_scenarios:
        return next((outcome for outcome in all_scenarios if outcome.wrong), None)


def traces(seeds: Iterable[int], *, is_direct: bool = True) -> str:
    """Return the traces of scenarios as one text."""
    return "\n\n".join(str(outcome) for outcome in scenarios(seeds, is_direct=is_direct))


def _take_mend_out(fault: str) -> None:
    """Give this process a known fault, for as long as it runs."""
    if fault:
        FAULTS[fault](pytest.MonkeyPatch())


def _show_progress(done: int, total: int, broken: int) -> None:
    """Show a person how far it is."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        text = f"\r{done} of {total} scenarios, {broken} broken"
        print(text, end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Run scenarios, and print what they came to."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--scenarios", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--without", nargs="*", default=[], help="kinds of trouble to leave out")
    parser.add_argument("--only", nargs="*", default=[], help="kinds that each scenario has")
    parser.add_argument("--fault", choices=FAULTS, default="", help="a known fault to put back in")
    parser.add_argument("--show", type=int, default=3, help="how many traces to print")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.scenarios)
    batches = [seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH)]
    began = time.perf_counter()
    broken: list[Outcome] = []
    states: Counter[str] = Counter()
    with ProcessPoolExecutor(
        arguments.jobs, initializer=_take_mend_out, initargs=(arguments.fault,)
    ) as pool:
        jobs = [pool.submit(run_scenarios, it, arguments.without, arguments.only) for it in batches]
        for number, job in enumerate(jobs, 1):
            found, ended = job.result()
            broken += found
            states += ended
            _show_progress(min(number * BATCH, len(seeds)), len(seeds), len(broken))
    seconds = time.perf_counter() - began
    for outcome in broken[: arguments.show]:
        print(outcome, "\n")
    kinds = Counter(
        wrong.partition(":")[0].partition("[")[0] for it in broken for wrong in it.wrong
    )
    orders = states.total()
    print(f"{len(seeds)} scenarios, {orders} orders in {seconds:.0f} s", end=": ")
    print(f"{len(seeds) / seconds:.0f} scenarios, {orders / seconds:.0f} orders a second")
    print("orders:", dict(states))
    print(f"broken: {len(broken)}", dict(kinds))
    for outcome in broken[:60]:
        print(outcome.seed, outcome.trace[0][23:], "|", "; ".join(outcome.wrong)[:150])
    raise SystemExit(bool(broken))


if __name__ == "__main__":
    main()
